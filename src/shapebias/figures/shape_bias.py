"""Figures of shape bias, from tables.

All figures share one encoding: colour and marker are the regime, people are black diamonds, and networks not trained
here are grey stars. Panels or groups of rows tell models apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapebias.figures.forest_plot import (
    HEADING,
    ForestRow,
    describe_ticks,
    draw_forest,
    fit_rows,
    forest_height,
    forest_rows,
)
from shapebias.figures.frame import add_frame
from shapebias.figures.style import (
    BODY_HEIGHT,
    MM,
    PAGE_WIDTH,
    ROW_HEIGHT,
    SMALL_TYPE,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    draw_dashed_line,
    new_figure,
    set_fraction_axis,
    small_type,
)
from shapebias.tables.summaries import (
    PEOPLE,
    pool_coverage,
)

PUBLISHED_PEOPLE = "people, published stimuli"
MOST_ROWS = 30  # in one column
AXIS_HEIGHT = 14  # mm of the head of the numbers, tick labels and axis label
# Distance of the right edge of each column of numbers from the axes in mm, column, factor, format
NUMBER_COLUMNS = ((9, "shape_bias", 1, "{:.2f}"), (22.5, "coverage", 100, "{:.0f} %"))


def shape_bias_overview(
    pooled: pd.DataFrame,
    shape_bias: pd.DataFrame,
    cue_accuracy: pd.DataFrame,
    people: pd.DataFrame | None = None,
    *,
    benchmark: str,
    style: FigureStyle | None = None,
) -> Figure:
    """Draw the shape bias of every observer with its 95 % interval, and print bias and coverage on the right.

    pooled: `shape_bias_pooled.csv`, one row of the plot each; shape_bias: `shape_bias.csv`, with the seeds and persons
    that are ticks on the bars; cue_accuracy: `cue_accuracy.csv`; people: as in `shape_bias_by_category`.
    """
    style = style or FigureStyle()
    table = shape_bias[shape_bias["benchmark"] == benchmark]
    pooled = pooled[pooled["benchmark"] == benchmark].assign(regime=lambda rows: rows["regime"].fillna(""))
    if pooled.empty and people is None:
        raise NoDataError(f"{benchmark}: no decisions to show.")
    persons, persons_label = people_rows(pooled, people)
    if persons_label == PUBLISHED_PEOPLE and not persons.empty:
        hits = persons[["shape_hits", "texture_hits"]].sum()
        reference = {"kind": PEOPLE, "model": persons_label, "regime": "", "ci_low": np.nan, "ci_high": np.nan}
        reference |= {"shape_bias": hits["shape_hits"] / hits.sum()}
        pooled = pd.concat([pooled, pd.DataFrame([reference])], ignore_index=True)
    coverage = pool_coverage(cue_accuracy[cue_accuracy["benchmark"] == benchmark])
    pooled = pooled.merge(coverage, on=["model", "regime"], how="left")

    with style.apply():
        columns, left = fit_rows(forest_rows(pooled), MOST_ROWS, (BODY_HEIGHT - AXIS_HEIGHT) / ROW_HEIGHT)
        height = max(map(forest_height, columns))
        figure = new_figure(PAGE_WIDTH, AXIS_HEIGHT + ROW_HEIGHT * height)
        records = {(record["model"], record["regime"]): record for record in pooled.to_dict("records")}
        regimes = list(pooled.loc[pooled["kind"] == "run", "regime"])
        for axes, part in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
            draw_forest(axes, part, pooled, table, "shape_bias", style, regimes)
            axes.set_ylim(height - 0.4, -0.6)
            set_fraction_axis(axes, ticks=6 if len(columns) == 1 else 3)
            draw_dashed_line(axes, x=0.5)
            _print_numbers(axes, part, records)
            axes.set_xlabel("← texture          shape bias          shape →")
        remarks = [f"bar: 95 % interval over {_interval_scope(pooled)}", *describe_ticks(table)]
        remarks += ["shape bias: shape hits / (shape hits + texture hits)", "coverage: answers that name either cue"]
        remarks += [f"not shown: {left} more observers, in the table"] if left else []
        add_frame(figure, benchmark_title("Shape bias", benchmark, table), remarks=remarks)
    return figure


def _print_numbers(axes: Axes, rows: Sequence[ForestRow], records: Mapping[tuple[str, str], Mapping]) -> None:
    """Print bias and coverage of each row on the right of the axes."""
    points = 72 * MM * small_type() / SMALL_TYPE  # a mm, larger with larger type
    for distance, column, factor, form in NUMBER_COLUMNS:
        options: ArtistStyle = {
            "textcoords": "offset points",
            "ha": "right",
            "va": "center_baseline",
            "annotation_clip": False,
            "fontsize": small_type(),
            "xycoords": ("axes fraction", "data"),
            "xytext": (distance * points, 0),
        }
        axes.annotate(column.removeprefix("shape_"), (1, -1), fontweight="bold", **options)
        for row in rows:
            number = records.get((row.model, row.regime), {}).get(column, np.nan)
            if row.kind != HEADING and np.isfinite(number):
                axes.annotate(form.format(number * factor), (1, row.y), **options)


def benchmark_title(subject: str, benchmark: str, table: pd.DataFrame) -> str:
    """Return a title with the subject, the benchmark, and the numbers of conflict images and of seeds per run."""
    single = table[table["observer"] != PEOPLE]  # all people together count every image once per person
    observer = (single if len(single) else table).groupby("observer")["conflict_images"].sum()
    parts = [f"{int(observer.max()):,} conflict images"] if len(observer) else []
    seeds = table.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds):
        low, high = min(seeds.to_list()), max(seeds.to_list())
        number = f"{high}" if low == high else f"{low} to {high}"
        parts.append(f"{number} {'seed' if high == 1 else 'seeds'} a run")
    return f"{subject}: {benchmark}" + (f" ({', '.join(parts)})" if parts else "")


def people_rows(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    """Return people's rows and their label: measured on this benchmark, or else the reference."""
    measured = pooled[pooled["kind"] == PEOPLE]
    if not measured.empty or reference is None:
        return measured, PEOPLE
    hits = reference["shape_hits"] + reference["texture_hits"]
    return reference.assign(shape_bias=reference["shape_hits"] / hits), PUBLISHED_PEOPLE


def _interval_scope(pooled: pd.DataFrame) -> str:
    """Return what the intervals cover: images, images and seeds, or both sorts if only some runs have several seeds."""
    kinds = set(pooled["interval"].dropna())
    if len(kinds) > 1:
        return "images, and over seeds where a run has several"
    return kinds.pop() if kinds else "images"
