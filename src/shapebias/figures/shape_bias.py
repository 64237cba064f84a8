"""Figures of shape bias, from tables.

All figures share one encoding: a marker is a regime, people are black diamonds, pretrained networks are stars. Colour
is the model if the rows are categories, and the regime if the rows are models.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shapebias.figures.forest_plot import describe_ticks, draw_forest, forest_height, forest_rows
from shapebias.figures.style import (
    ArtistStyle,
    FigureStyle,
    add_note,
    add_title,
    draw_dashed_line,
    message_figure,
    new_figure,
)
from shapebias.tables.summaries import (
    PEOPLE,
    pool_coverage,
)

PUBLISHED_PEOPLE = "people, published stimuli"


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
        return message_figure(f"{benchmark}: no decisions to show.", style)
    persons, persons_label = people_rows(pooled, people)
    if persons_label == PUBLISHED_PEOPLE and not persons.empty:
        hits = persons[["shape_hits", "texture_hits"]].sum()
        reference = {"kind": PEOPLE, "model": persons_label, "regime": "", "ci_low": np.nan, "ci_high": np.nan}
        reference |= {"shape_bias": hits["shape_hits"] / hits.sum()}
        pooled = pd.concat([pooled, pd.DataFrame([reference])], ignore_index=True)
    coverage = pool_coverage(cue_accuracy[cue_accuracy["benchmark"] == benchmark])
    pooled = pooled.merge(coverage, on=["model", "regime"], how="left")

    with style.apply():
        rows = forest_rows(pooled)
        figure = new_figure(9, 1.5 + 0.25 * forest_height(rows))
        axes = figure.subplots()
        draw_forest(axes, rows, pooled, table, "shape_bias", style)
        draw_dashed_line(axes, x=0.5)
        records = {(record["model"], record["regime"]): record for record in pooled.to_dict("records")}
        for points, column, scale, form in ((44, "shape_bias", 1, "{:.2f}"), (108, "coverage", 100, "{:.0f} %")):
            options: ArtistStyle = {
                "textcoords": "offset points",
                "ha": "right",
                "va": "center_baseline",
                "annotation_clip": False,
            }
            options |= {"xycoords": ("axes fraction", "data"), "xytext": (points * style.font_scale, 0)}
            options |= {"fontsize": axes.yaxis.get_ticklabels()[0].get_fontsize()}
            axes.annotate(column.removeprefix("shape_"), (1, -1), fontweight="bold", **options)
            for row in rows:
                number = records.get((row.model, row.regime), {}).get(column, np.nan)
                if np.isfinite(number):
                    axes.annotate(form.format(number * scale), (1, row.y), **options)
        axes.set_xlabel("← texture          shape bias          shape →\nshape hits / (shape hits + texture hits)")
        add_title(figure, benchmark_title("Shape bias", benchmark, table))
        remarks = [f"bar: 95 % interval over {_interval_scope(pooled)}", *describe_ticks(table)]
        add_note(figure, *remarks, "coverage: answers that name either cue")
    return figure


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
