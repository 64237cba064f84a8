"""Figures of accuracy on each benchmark, in each condition, and with one cue suppressed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.forest_plot import describe_ticks, draw_forest, forest_height, forest_rows
from shapebias.figures.line_panels import (
    MOST_PANELS,
    LinePanel,
    SeriesKey,
    SeriesStyle,
    draw_line,
    make_panels,
    model_styles,
    panel_grid,
    regime_styles,
    series_legend,
)
from shapebias.figures.style import (
    OTHERS_COLOR,
    ArtistStyle,
    FigureStyle,
    add_legend_beside,
    add_note,
    add_title,
    draw_dashed_line,
    hatch_missing,
    legend_heading,
    message_figure,
    name_cells,
    new_figure,
    print_values,
    wrap_name,
)
from shapebias.tables.summaries import (
    describe_interval,
    format_image_count,
    pool_accuracy,
    pool_means,
    shorten_name,
    shorten_names,
)

CHANCE_HANDLE = Line2D([], [], color="0.35", linestyle=(0, (4, 3)), linewidth=1, label="chance")
MOST_FOREST_ROWS = 240  # in all panels of accuracies together; more rows are printed in a matrix
MOST_MATRIX_ROWS = 60
MOST_BANDED_SERIES = 8  # series in one panel; more bands would hide each other
SUPPRESSION_LABELS = {  # cue → what is done to the photographs
    "shape": "patches shuffled",
    "texture": "smoothed (σ in pixels)",
    "colour": "mixed with grey (share)",
}


@dataclass(frozen=True)
class ConditionAxis:
    """The axis of a benchmark's conditions: their order, the axis label, and names for the ticks."""

    order: tuple[str, ...]
    label: str = "condition"
    names: Mapping[str, str] = field(default_factory=dict)


def accuracy_overview(accuracy: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the accuracy of every observer with its 95 % interval, one panel per benchmark. Chance is the dashed line.

    With more than MOST_ROWS rows, the figure is a matrix of numbers, without accuracies over classes.
    """
    style = style or FigureStyle()
    if accuracy.empty:
        return message_figure("No benchmark of accuracy was measured.", style)
    pooled = pool_accuracy(accuracy)
    panels = list(dict.fromkeys(zip(pooled["benchmark"], pooled["unit"], strict=True)))
    rows = forest_rows(pooled)
    if len(panels) * len(rows) > MOST_FOREST_ROWS:
        return _accuracy_matrix(accuracy, pooled, style)
    columns = min(3 if len(panels) in (5, 6, 9) else 4, len(panels))
    with style.apply():
        lines = -(-len(panels) // columns)
        figure = new_figure(2.2 + 2.4 * columns, 0.9 + lines * (0.9 + 0.22 * forest_height(rows)))
        grid = panel_grid(figure, panels, columns, sharex=True, sharey=True)
        for axes, (benchmark, unit) in zip(grid, panels, strict=True):
            part = pooled[(pooled["benchmark"] == benchmark) & (pooled["unit"] == unit)]
            seeds = accuracy[(accuracy["benchmark"] == benchmark) & (accuracy["unit"] == unit)]
            draw_forest(axes, rows, part, seeds, "accuracy", style)
            draw_dashed_line(axes, x=part["chance"].iloc[0])
            axes.set_title(
                wrap_name(f"{shorten_name(benchmark)} by {unit}", 24), fontsize="medium", pad=16 * style.font_scale
            )
            _below_title(axes, f"{format_image_count(seeds)} images")
            axes.set_xlabel("accuracy")
            axes.tick_params(labelbottom=True)
        add_note(figure, f"bar: {describe_interval(pooled)}", *describe_ticks(accuracy), "dashed: chance")
    return figure


def _accuracy_matrix(accuracy: pd.DataFrame, pooled: pd.DataFrame, style: FigureStyle) -> Figure:
    """Print the accuracy over categories of every observer (row) on every benchmark (column)."""
    pooled = pooled[pooled["unit"] == "category"]
    benchmarks = list(dict.fromkeys(pooled["benchmark"]))
    rows = [row for row in forest_rows(pooled) if row.kind != "heading"]
    drawn_rows = rows[-MOST_MATRIX_ROWS:] if len(rows) > MOST_MATRIX_ROWS else rows  # people are last
    values = pooled.pivot_table(index=["model", "regime"], columns="benchmark", values="accuracy", sort=False)
    values = values.reindex(index=[(row.model, row.regime) for row in drawn_rows], columns=benchmarks).to_numpy(
        dtype=float
    )
    chance = pooled.groupby("benchmark")["chance"].min().unique()
    with style.apply():
        figure = new_figure(4.2 + 0.5 * len(benchmarks), 2.2 + 0.24 * len(drawn_rows))
        axes = figure.subplots()
        image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto", zorder=1)
        hatch_missing(axes, ~np.isfinite(values))
        print_values(axes, image, values)
        names = shorten_names({row.y: f"{row.model} {row.regime}".strip() for row in drawn_rows})
        name_cells(axes, list(names.values()), [shorten_name(benchmark) for benchmark in benchmarks])
        figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, label="accuracy over categories")
        add_title(figure, f"Accuracy ({format_image_count(accuracy)} images a benchmark)")
        remarks = [f"chance: {100 * chance[0]:.1f} %"] if len(chance) == 1 else []
        remarks += ["hatched: not measured", "intervals, and accuracies over classes: in the table"]
        remarks += [f"not shown: {len(rows) - len(drawn_rows)} more observers"] if len(drawn_rows) < len(rows) else []
        add_note(figure, *remarks)
    return figure


def condition_lines(
    accuracy: pd.DataFrame, axes_of: Mapping[str, ConditionAxis], *, style: FigureStyle | None = None
) -> Figure:
    """Draw accuracy over conditions, with 95 % intervals, for each benchmark with several conditions. People are black.

    accuracy: `accuracy_by_condition.csv`.
    axes_of: benchmark → its axis. A benchmark without an axis has its conditions in the order of the table.
    Models without a colour (see `FigureStyle.distinct_colors`) are grey.
    """
    style = style or FigureStyle()
    accuracy = accuracy.assign(condition=accuracy["condition"].fillna("").astype(str))
    conditions = accuracy.groupby("benchmark")["condition"].nunique()
    benchmarks = [name for name in dict.fromkeys(accuracy["benchmark"]) if conditions[name] > 1]
    if not benchmarks:
        return message_figure("No benchmark with several conditions was measured.", style)
    accuracy = accuracy[accuracy["benchmark"].isin(benchmarks)]
    pooled = pool_means(accuracy, {"accuracy": ("ci_low", "ci_high")}, ["benchmark", "condition"], ["images", "chance"])
    columns = min(3 if len(benchmarks) in (3, 5, 6, 9) else 4, len(benchmarks))
    with style.apply():
        styles = model_styles(pooled, style)
        bands = len(styles) <= MOST_BANDED_SERIES
        figure = new_figure(2.6 + 2.6 * columns, 0.7 + 2.6 * -(-len(benchmarks) // columns))
        grid = panel_grid(figure, benchmarks, columns, sharey=True)
        for position, (panel, benchmark) in enumerate(zip(grid, benchmarks, strict=True)):
            part = pooled[pooled["benchmark"] == benchmark]
            axis = axes_of.get(benchmark) or ConditionAxis(tuple(dict.fromkeys(part["condition"])))
            order = [name for name in axis.order if (part["condition"] == name).any()]
            order += [name for name in dict.fromkeys(part["condition"]) if name not in order]
            for (model, regime), rows in part.groupby(["model", "regime"], sort=False):
                rows = rows.set_index("condition").reindex(order)
                draw_line(panel, np.arange(len(order)), rows, "accuracy", styles[str(model), str(regime)], band=bands)
            draw_dashed_line(panel, y=part["chance"].iloc[0])
            names = [axis.names.get(name, name) for name in order]
            panel.set_xticks(range(len(order)), names, fontsize="small")
            panel.set_xlim(-0.3, len(order) - 0.7)
            panel.set_ylim(-0.02, 1.02)
            panel.grid(axis="x", visible=False)
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_xlabel(wrap_name(axis.label, 30), fontsize="small")
            panel.set_title(wrap_name(shorten_name(benchmark), 24), fontsize="medium", pad=16 * style.font_scale)
            _below_title(panel, f"{format_image_count(part)} images a condition")
            if position % columns == 0:
                panel.set_ylabel("accuracy")
        add_title(figure, "Accuracy in each condition")
        add_legend_beside(figure, [*series_legend(styles, by="model"), legend_heading("reference"), CHANCE_HANDLE])
        add_note(figure, f"band: {describe_interval(pooled)}" if bands else "intervals: in the table")
    return figure


def reliance_lines(reliance: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the accuracy of every network on photographs from which one cue is taken, and chance.

    reliance: `reliance.csv`. Each column of panels is a cue, and each row of panels is a model (and benchmark). A line
    that falls means that the network relied on the cue. Bars are 95 % intervals.
    Source: Burgert et al. 2025 (arXiv 2509.20234).
    """
    style = style or FigureStyle()
    if reliance.empty:
        return message_figure("No cue was suppressed.", style)
    by = ["benchmark", "cue", "strength"]
    pooled = pool_means(reliance, {"accuracy": ("ci_low", "ci_high")}, by, ["images", "chance"])
    cues = [cue for cue in SUPPRESSION_LABELS if (pooled["cue"] == cue).any()]
    styles = regime_styles(pooled, style)
    panels = [
        (benchmark, panel) for benchmark, part in pooled.groupby("benchmark", sort=False) for panel in make_panels(part)
    ]
    drawn_panels = panels[:MOST_PANELS]
    several = pooled["benchmark"].nunique() > 1
    with style.apply():
        figure = new_figure(2.6 + 2.5 * len(cues), 1.3 + max(1.85 * len(drawn_panels), 2.6))
        grid = figure.subplots(len(drawn_panels), len(cues), sharex="col", sharey=True, squeeze=False)
        for line, (benchmark, panel) in zip(grid, drawn_panels, strict=True):
            for axes, cue in zip(line, cues, strict=True):
                part = pooled[(pooled["benchmark"] == benchmark) & (pooled["cue"] == cue)]
                strengths = sorted(pooled.loc[pooled["cue"] == cue, "strength"].unique())
                _draw_reliance(axes, part, panel, cue, strengths, styles)
            name = f"{panel.title}, {benchmark}" if several else panel.title
            line[0].set_ylabel(wrap_name(name, 20), fontweight="bold")
        for axes, cue in zip(grid[0], cues, strict=True):
            axes.set_title(SUPPRESSION_LABELS[cue], fontsize="medium")
        figure.supylabel("accuracy", fontsize="medium")
        add_title(figure, f"Accuracy without one cue ({format_image_count(pooled)} images)")
        add_legend_beside(figure, [*series_legend(styles, by="regime"), legend_heading("reference"), CHANCE_HANDLE])
        left = len(panels) - len(drawn_panels)
        remarks = [f"bar: {describe_interval(pooled)}"]
        add_note(figure, *remarks, *([f"not shown: {left} more panels, in the table"] if left else []))
    return figure


def _draw_reliance(
    axes: Axes,
    part: pd.DataFrame,
    panel: LinePanel,
    cue: str,
    strengths: list[float],
    styles: Mapping[SeriesKey, SeriesStyle],
) -> None:
    """Draw the lines of one panel, several series a little apart; strengths: the first one suppresses nothing."""
    position = {strength: i for i, strength in enumerate(strengths)}
    offsets = np.linspace(-0.12, 0.12, len(panel.series)) if len(panel.series) > 1 else [0.0]
    for pair, offset in zip(panel.series, offsets, strict=True):
        rows = part[(part["model"] == pair[0]) & (part["regime"] == pair[1])]
        rows = rows.sort_values("strength")
        if rows.empty:
            continue
        series_style = styles[pair]
        x = rows["strength"].map(position).to_numpy() + offset
        faint = series_style.color == OTHERS_COLOR
        line: ArtistStyle = {"linewidth": 0.8 if faint else 1.4, "zorder": 2 if faint else 3}
        if faint:
            axes.plot(x, rows["accuracy"], color=series_style.color, **line)
            continue
        axes.vlines(x, rows["ci_low"], rows["ci_high"], color=series_style.color, linewidth=1.2, alpha=0.7)
        axes.plot(x, rows["accuracy"], **series_style.marker_style(0.75), **line)
    if len(part):
        draw_dashed_line(axes, y=part["chance"].mean())
    names = ["none", *(f"{strength:g}" for strength in strengths[1:])]
    if cue == "shape":
        names[1:] = [f"{strength:g} × {strength:g}" for strength in strengths[1:]]
    axes.set_xticks(range(len(names)), names, fontsize="small")
    axes.set_xlim(-0.3, len(names) - 0.6)
    axes.set_ylim(0, 1.02)
    axes.grid(axis="x", visible=False)
    axes.spines[["top", "right"]].set_visible(False)


def _below_title(axes: Axes, text: str) -> None:
    options: ArtistStyle = {"xytext": (0, 4), "textcoords": "offset points", "fontsize": "small", "color": "0.3"}
    axes.annotate(text, (0, 1), xycoords="axes fraction", **options)
