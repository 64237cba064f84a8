"""Figures of shape bias, from tables.

All figures share one encoding: a marker is a regime, people are black diamonds, pretrained networks are stars. Colour
is the model if the rows are categories, and the regime if the rows are models.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from shapebias.figures.category_icons import draw_icon
from shapebias.figures.forest_plot import describe_ticks, draw_forest, forest_height, forest_rows
from shapebias.figures.style import (
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_MARKER,
    ArtistStyle,
    Color,
    FigureStyle,
    add_legend_beside,
    add_note,
    add_title,
    draw_dashed_line,
    legend_heading,
    marker_size,
    message_figure,
    new_figure,
    set_fraction_axis,
)
from shapebias.tables.summaries import (
    PEOPLE,
    describe_interval,
    format_range,
    order_regimes,
    pool_bias,
    pool_coverage,
    shorten_name,
    shorten_names,
)

PUBLISHED_PEOPLE = "people, published stimuli"
MOST_SERIES = 24  # series with a marker in each category; further series are grey ticks
MOST_BARS = 5  # series; more intervals would hide each other


def shape_bias_by_category(
    by_category: pd.DataFrame,
    people: pd.DataFrame | None = None,
    *,
    benchmark: str,
    style: FigureStyle | None = None,
) -> Figure:
    """Draw the shape bias of each model × regime in each category of shape, and the overall bias as a vertical line.

    by_category: `shape_bias_by_category.csv`.
    people: category, shape_hits, texture_hits on the published stimuli. They are drawn if the benchmark itself was not
    shown to people.

    A category without a hit has no marker. Up to MOST_BARS series have 95 % intervals. Series after MOST_SERIES, and
    series of models without a colour, are grey ticks.
    """
    style = style or FigureStyle()
    table = by_category[by_category["benchmark"] == benchmark]
    if table.empty:
        return message_figure(f"{benchmark}: no decisions to show.", style)
    pooled = pool_bias(table, by=["category"])
    measured = pooled[pooled["kind"] != PEOPLE]
    persons, persons_label = _people_rows(pooled, people)

    categories = _order_categories(measured if len(measured) else persons)
    series = list(dict.fromkeys(zip(measured["model"], measured["regime"], strict=True)))
    regimes = order_regimes(regime for _, regime in series if regime)
    models = list(dict.fromkeys(measured["model"]))
    # The regimes of one model are side by side. They differ more than models of one regime do, so markers overlap less.
    series.sort(key=lambda pair: (models.index(pair[0]), [*regimes, ""].index(pair[1])))
    colors = style.distinct_colors(models)
    drawn_series = [pair for pair in series if colors[pair[0]] != OTHERS_COLOR][:MOST_SERIES]
    series, grey_series = drawn_series, [pair for pair in series if pair not in drawn_series]
    bars = len(series) + (not persons.empty) <= MOST_BARS
    models = [model for model in models if any(model == one for one, _ in series)]
    markers = style.regime_markers(regimes) | {"": PRETRAINED_MARKER}
    lines: dict[str, Any] = style.regime_lines(regimes) | {"": "-"}

    with style.apply():
        least_height = 0.52 if bars else 0.36  # inches a category
        figure = new_figure(11, 1.7 + len(categories) * min(max(least_height, 0.12 + 0.03 * len(series)), 0.8))
        axes = figure.subplots()
        dodge = np.linspace(-0.36, 0.36, len(series)) if len(series) > 1 else np.zeros(1)
        for pair in grey_series:
            rows = _series_rows(measured, pair)
            options: ArtistStyle = {"color": OTHERS_COLOR, "marker": "|", "label": " ".join(pair).strip()}
            _draw_markers(axes, rows["shape_bias"].reindex(categories), 0.0, **options)
        for (model, regime), offset in zip(series, dodge, strict=False):
            rows = _series_rows(measured, (model, regime))
            options: ArtistStyle = {"color": colors[model], "label": f"{model} {regime}".strip()}
            axes.axvline(_overall(rows), linestyle=lines[regime], linewidth=1.4, alpha=0.75, zorder=2, **options)
            if bars:
                _draw_bars(axes, rows.reindex(categories), offset, colors[model])
            _draw_markers(axes, rows["shape_bias"].reindex(categories), offset, marker=markers[regime], **options)
        if not persons.empty:
            rows = persons.set_index("category").reindex(categories)
            options: ArtistStyle = {"color": PEOPLE_COLOR, "label": persons_label}
            axes.axvline(_overall(rows), linewidth=1.8, zorder=2, **options)
            if bars and "ci_low" in rows:
                _draw_bars(axes, rows, 0.0, PEOPLE_COLOR)
            _draw_markers(axes, rows["shape_bias"], 0.0, marker=PEOPLE_MARKER, **options)

        _category_rows(axes, categories, style)
        _fraction_arrows(axes)
        axes.set_ylabel(f"category of the shape{_images_each(measured if len(measured) else pooled)}")
        add_title(figure, benchmark_title("Shape bias by category", benchmark, table))
        remarks = [
            "line: all categories together",
            f"bar: {describe_interval(pooled)}" if bars else "intervals: in the table",
        ]
        remarks += [f"grey ticks: {len(grey_series)} more observers"] if grey_series else []
        add_note(figure, *remarks)
        legend = _model_legend(models, [pair[1] for pair in series], colors, markers, lines)
        if not persons.empty:
            people_options: ArtistStyle = {
                "color": PEOPLE_COLOR,
                "linewidth": 1.8,
                "markersize": 7,
                "markeredgecolor": "white",
            }
            legend += [legend_heading("people")] + [
                Line2D([], [], marker=PEOPLE_MARKER, label=persons_label, **people_options)
            ]
        add_legend_beside(figure, legend)
    return figure


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
    persons, persons_label = _people_rows(pooled, people)
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


def _people_rows(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    """Return people's rows and their label: measured on this benchmark, or else the reference."""
    people_rows = pooled[pooled["kind"] == PEOPLE]
    if not people_rows.empty or reference is None:
        return people_rows, PEOPLE
    hits = reference["shape_hits"] + reference["texture_hits"]
    return reference.assign(shape_bias=reference["shape_hits"] / hits), PUBLISHED_PEOPLE


def _series_rows(measured: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    """Return the rows of one model × regime, by category."""
    return measured[(measured["model"] == pair[0]) & (measured["regime"] == pair[1])].set_index("category")


def _interval_scope(pooled: pd.DataFrame) -> str:
    """Return what the intervals cover: images, images and seeds, or both sorts if only some runs have several seeds."""
    kinds = set(pooled["interval"].dropna())
    if len(kinds) > 1:
        return "images, and over seeds where a run has several"
    return kinds.pop() if kinds else "images"


def _images_each(pooled: pd.DataFrame) -> str:
    """Format how many conflict images a category has."""
    return f" ({format_range(pooled.groupby('category')['conflict_images'].max())} images each)"


def _category_rows(axes: Axes, categories: list[str], style: FigureStyle) -> None:
    """Draw a striped row for each category, with its silhouette beside its name."""
    axes.set_yticks(range(len(categories)), categories)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for row in range(0, len(categories), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.965", zorder=0)
    side = 19 * style.font_scale
    axes.tick_params(axis="y", pad=side + 8)
    for row, category in enumerate(categories):
        draw_icon(axes, category, row, points=side, offset=-6)


def _model_legend(
    models: list[str],
    drawn_regimes: list[str],
    colors: dict[str, Color],
    markers: dict[str, str],
    lines: dict[str, Any],
) -> list[Line2D]:
    """Return a legend of the models' colours, then of the markers and lines of the regimes that are drawn."""
    dot: ArtistStyle = {"marker": "o", "linestyle": "none", "markersize": 8}
    legend = [legend_heading("model")] if models else []
    names = shorten_names({model: model for model in models})
    legend += [Line2D([], [], color=colors[model], label=names[model], **dot) for model in models]
    if not any(drawn_regimes):  # no model was trained here, so all series have one style
        return legend
    options: ArtistStyle = {"color": "0.25", "linewidth": 1.4, "markeredgecolor": "white"}
    legend.append(legend_heading("regime"))
    for regime in [*markers]:
        if regime in drawn_regimes:
            options |= {"marker": markers[regime], "markersize": marker_size(markers[regime])}
            legend.append(
                Line2D([], [], linestyle=lines[regime], label=shorten_name(regime) or "not trained here", **options)
            )
    return legend


def _overall(rows: pd.DataFrame) -> float:
    """Return the bias over all categories. Hits are summed, so a category counts in proportion to its decisions."""
    hits = rows[["shape_hits", "texture_hits"]].sum()
    return hits["shape_hits"] / hits.sum() if hits.sum() else np.nan


def _order_categories(pooled: pd.DataFrame) -> list[str]:
    """Return the categories from highest to lowest mean shape bias over observers; undefined categories are last."""
    mean = pooled.groupby("category")["shape_bias"].mean().sort_index()
    return list(mean.sort_values(ascending=False, kind="stable").index)


def _draw_bars(axes: Axes, rows: pd.DataFrame, offset: float, color: Color) -> None:
    axes.hlines(
        np.arange(len(rows)) + offset, rows["ci_low"], rows["ci_high"], color=color, linewidth=1.6, alpha=0.5, zorder=2
    )


def _draw_markers(axes: Axes, bias: pd.Series, offset: float, **options) -> None:
    axes.plot(
        bias.to_numpy(float),
        np.arange(len(bias)) + offset,
        linestyle="none",
        markersize=marker_size(options["marker"]),
        markeredgecolor=options["color"] if options["marker"] == "|" else "white",
        markeredgewidth=0.7,
        zorder=3,
        **options,
    )


def _fraction_arrows(axes: Axes) -> None:
    """Label the bottom axis with shape decisions and the mirrored top axis with texture decisions, and add arrows."""
    set_fraction_axis(axes)
    axes.set_xticks(np.linspace(0, 1, 11).round(1))
    axes.set_xlabel('fraction of "shape" decisions', labelpad=14)
    top = axes.secondary_xaxis("top", functions=(_mirrored, _mirrored))
    top.set_xticks(np.linspace(0, 1, 11).round(1))
    top.set_xlabel('fraction of "texture" decisions', labelpad=14)
    figure = axes.get_figure(root=True)
    assert figure is not None
    for y, points, ends in ((0, -27, (0, 1)), (1, 27, (1, 0))):
        place = axes.transAxes + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)
        arrow = {"arrowstyle": "->", "color": "0.2", "shrinkA": 0, "shrinkB": 0}
        start_x, end = ends
        axes.annotate("", xy=(end, y), xytext=(start_x, y), xycoords=place, textcoords=place, arrowprops=arrow)


def _mirrored(fraction):
    return 1 - fraction
