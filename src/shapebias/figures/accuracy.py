"""Figures of accuracy on each benchmark, in each condition, and with one cue suppressed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapebias.figures.forest_plot import (
    HEADING,
    ForestRow,
    describe_ticks,
    draw_forest,
    forest_height,
    forest_rows,
    keep_rows,
    label_width,
)
from shapebias.figures.frame import add_frame
from shapebias.figures.line_panels import (
    LinePanel,
    SeriesKey,
    SeriesStyle,
    chance_legend,
    draw_line,
    draw_range,
    make_panels,
    name_ticks,
    panel_grid,
    series_legend,
    series_styles,
)
from shapebias.figures.matrices import ColumnGroup, matrix_of_observers
from shapebias.figures.style import (
    BODY_HEIGHT,
    COLUMN_WIDTH,
    PAGE_WIDTH,
    ROW_HEIGHT,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    draw_dashed_line,
    new_figure,
    set_fraction_axis,
    small_type,
    wrap_name,
)
from shapebias.tables.summaries import (
    describe_interval,
    format_image_count,
    pool_accuracy,
    pool_means,
    shorten_name,
)

MOST_BANDED_SERIES = 5  # series in one panel; more bands would hide each other
MOST_MATRIX_ROWS = 64
PANEL_HEIGHT = 36  # mm of a panel of lines, with its title and its axis
MOST_CUE_PANELS = 3  # panels side by side, with legible titles and strengths
SUPPRESSION_LABELS = {  # cue → what is done to the photographs
    "shape": "patches shuffled",
    "texture": "smoothed (σ in pixels)",
    "colour": "mixed with grey (share)",
    "rotation": "patches rotated",
    "gaussian": "blurred (σ in pixels)",
    "non_local_means": "non-local means (h in grey levels)",
    "channels": "channels shuffled",
}


@dataclass(frozen=True)
class ConditionAxis:
    """The axis of a benchmark's conditions: their order, the axis label, and names for the ticks."""

    order: tuple[str, ...]
    label: str = "condition"
    names: Mapping[str, str] = field(default_factory=dict)


def accuracy_overview(accuracy: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the accuracy of every observer with its 95 % interval, one panel per benchmark. Chance is the dashed line.

    If the panels do not fit, the figure is a matrix of numbers, without accuracies over classes.
    """
    style = style or FigureStyle()
    if accuracy.empty:
        raise NoDataError("No benchmark of accuracy was measured.")
    pooled = pool_accuracy(accuracy)
    panels = list(dict.fromkeys(zip(pooled["benchmark"], pooled["unit"], strict=True)))
    rows = forest_rows(pooled)
    beside = 2 + label_width(rows)
    columns = min(3 if len(panels) in (5, 6, 9) else 4, len(panels))
    lines = -(-len(panels) // columns)
    height = lines * (17 + ROW_HEIGHT * forest_height(rows))
    if height > BODY_HEIGHT:
        return _accuracy_matrix(accuracy, pooled, style)
    with style.apply():
        figure = new_figure(COLUMN_WIDTH if columns == 1 else PAGE_WIDTH, height)
        panel_width = (figure.get_figwidth() * 25.4 - beside) / columns
        grid = panel_grid(figure, panels, columns, sharex=True, sharey=True)
        regimes = list(pooled.loc[pooled["kind"] == "run", "regime"])
        for position, (axes, (benchmark, unit)) in enumerate(zip(grid, panels, strict=True)):
            part = pooled[(pooled["benchmark"] == benchmark) & (pooled["unit"] == unit)]
            seeds = accuracy[(accuracy["benchmark"] == benchmark) & (accuracy["unit"] == unit)]
            draw_forest(axes, rows, part, seeds, "accuracy", style, regimes, headings=position % columns == 0)
            set_fraction_axis(axes, ticks=6 if panel_width > 36 else 3)
            draw_dashed_line(axes, x=part["chance"].iloc[0])
            _set_title(axes, f"{shorten_name(benchmark)} by {unit}", f"{format_image_count(seeds)} images", panel_width)
            axes.set_xlabel("accuracy")
            axes.tick_params(labelbottom=True)
        remarks = [f"bar: {describe_interval(pooled)}", *describe_ticks(accuracy), "dashed: chance"]
        add_frame(figure, "Accuracy", remarks=remarks)
    return figure


def _accuracy_matrix(accuracy: pd.DataFrame, pooled: pd.DataFrame, style: FigureStyle) -> Figure:
    """Print the accuracy over categories of every observer (row) on every benchmark (column)."""
    pooled = pooled[pooled["unit"] == "category"]
    group = ColumnGroup("", {name: shorten_name(name) for name in dict.fromkeys(pooled["benchmark"])})
    values = pooled.assign(column=pooled["benchmark"], group="")
    chance = pooled.groupby("benchmark")["chance"].min().unique()
    remarks = [f"chance: {100 * chance[0]:.1f} %"] if len(chance) == 1 else []
    remarks += ["hatched: not measured", "intervals, and accuracies over classes: in the table"]
    title = f"Accuracy over categories ({format_image_count(accuracy)} images a benchmark)"
    return _matrix_figure(pooled, values, [group], title, remarks, style)


def _matrix_figure(
    pooled: pd.DataFrame,
    values: pd.DataFrame,
    groups: Sequence[ColumnGroup],
    title: str,
    remarks: Sequence[str],
    style: FigureStyle,
    unnamed: str = "",
) -> Figure:
    """Draw accuracies of all observers as a matrix.

    pooled: the observers. values: rows with model, regime, group, column and accuracy. unnamed: how to find a column if
    columns are too narrow for names.
    """
    rows, left = keep_rows(forest_rows(pooled), MOST_MATRIX_ROWS)
    with style.apply():
        figure, named = matrix_of_observers(
            rows, groups, pivot_values(rows, groups, values, "accuracy"), label="accuracy"
        )
        more = [unnamed] if unnamed and not named else []
        more += [f"not shown: {left} more observers, in the table"] if left else []
        add_frame(figure, title, remarks=[*more, *remarks])
    return figure


def pivot_values(
    rows: Sequence[ForestRow], groups: Sequence[ColumnGroup], table: pd.DataFrame, value: str
) -> np.ndarray:
    """Return float [rows without headings, columns of all groups] of a table with model, regime, group and column."""
    cells = table.set_index(["model", "regime", "group", "column"])[value]
    cells = cells[~cells.index.duplicated()].to_dict()
    columns = [(group.title, name) for group in groups for name in group.columns]
    return np.array(
        [
            [cells.get((row.model, row.regime, *column), np.nan) for column in columns]
            for row in rows
            if row.kind != HEADING
        ],
        dtype=float,
    )


def condition_lines(
    accuracy: pd.DataFrame, axes_of: Mapping[str, ConditionAxis], *, style: FigureStyle | None = None
) -> Figure:
    """Draw accuracy over conditions, with 95 % intervals, for each benchmark with several conditions. People are black.

    accuracy: `accuracy_by_condition.csv`.
    axes_of: benchmark → its axis. A benchmark without an axis has its conditions in the order of the table.
    Each model has a row of panels. If these do not fit, the figure is a matrix: a row per observer, shades for numbers.
    """
    style = style or FigureStyle()
    accuracy = accuracy.assign(condition=accuracy["condition"].fillna("").astype(str))
    conditions = accuracy.groupby("benchmark")["condition"].nunique()
    benchmarks = [name for name in dict.fromkeys(accuracy["benchmark"]) if conditions[name] > 1]
    if not benchmarks:
        raise NoDataError("No benchmark with several conditions was measured.")
    accuracy = accuracy[accuracy["benchmark"].isin(benchmarks)]
    pooled = pool_means(accuracy, {"accuracy": ("ci_low", "ci_high")}, ["benchmark", "condition"], ["images", "chance"])
    axes = {name: _complete_axis(pooled[pooled["benchmark"] == name], axes_of.get(name)) for name in benchmarks}
    panels = make_panels(pooled)
    columns = min(3 if len(benchmarks) in (3, 5, 6, 9) else 4, len(benchmarks))
    if len(panels) > 1 and len(benchmarks) <= 5:
        columns = len(benchmarks)
    pairs = [(panel, benchmark) for panel in panels for benchmark in benchmarks]
    lines = -(-len(pairs) // columns)
    if (len(panels) > 1 and len(benchmarks) > 5) or lines * PANEL_HEIGHT > BODY_HEIGHT:
        groups = [
            ColumnGroup(shorten_name(name), {key: axis.names.get(key, key) for key in axis.order})
            for name, axis in axes.items()
        ]
        titles = {name: shorten_name(name) for name in benchmarks}
        values = pooled.assign(group=pooled["benchmark"].map(titles), column=pooled["condition"])
        remarks = ["hatched: not measured", "intervals, and chance: in the table"]
        unnamed = "columns of a benchmark: its conditions, from the weakest change of the image to the strongest"
        return _matrix_figure(pooled, values, groups, "Accuracy in each condition", remarks, style, unnamed)
    with style.apply():
        styles = series_styles(pooled, style)
        bands = max(len(panel.series) for panel in panels) <= MOST_BANDED_SERIES
        figure = new_figure(COLUMN_WIDTH if len(pairs) == 1 else PAGE_WIDTH, lines * min(55, BODY_HEIGHT / lines))
        panel_width = (figure.get_figwidth() * 25.4 - 12) / columns - 4
        grid = panel_grid(figure, pairs, columns, sharey=True)
        for position, (plot, (panel, benchmark)) in enumerate(zip(grid, pairs, strict=True)):
            part, axis = pooled[pooled["benchmark"] == benchmark], axes[benchmark]
            faint = [pair for pair in panel.series if styles[pair].faint]
            places = {name: i for i, name in enumerate(axis.order)}
            draw_range(plot, part, faint, "condition", "accuracy", positions=places)
            for model, regime in panel.series:
                if (model, regime) in faint:
                    continue
                rows = part[(part["model"] == model) & (part["regime"] == regime)]
                rows = rows.set_index("condition").reindex(axis.order)
                draw_line(plot, np.arange(len(axis.order)), rows, "accuracy", styles[model, regime], band=bands)
            draw_dashed_line(plot, y=part["chance"].iloc[0])
            name_ticks(plot, [axis.names.get(name, name) for name in axis.order], panel_width)
            plot.set_xlim(-0.3, len(axis.order) - 0.7)
            plot.set_ylim(-0.03, 1.03)
            plot.grid(axis="x", visible=False)
            plot.spines[["top", "right"]].set_visible(False)
            plot.set_xlabel(wrap_name(axis.label, int(panel_width / 1.6)))
            name = shorten_name(benchmark)
            name = f"{panel.title}: {name}" if len(panels) > 1 else name
            _set_title(plot, name, f"{format_image_count(part)} images a condition", panel_width)
            if position % columns == 0:
                plot.set_ylabel("accuracy")
        remarks = [f"band: {describe_interval(pooled)}" if bands else "intervals: in the table"]
        legend = [*series_legend(styles), chance_legend()]
        add_frame(figure, "Accuracy in each condition", legend=legend, remarks=remarks)
    return figure


def _complete_axis(part: pd.DataFrame, axis: ConditionAxis | None) -> ConditionAxis:
    """Return the axis with the conditions that were measured; those that it does not know come last."""
    axis = axis or ConditionAxis(())
    present = list(dict.fromkeys(part["condition"]))
    order = [name for name in axis.order if name in present]
    return ConditionAxis((*order, *(name for name in present if name not in order)), axis.label, axis.names)


def reliance_lines(reliance: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the accuracy of every network on photographs from which one cue is taken, and chance.

    reliance: `reliance.csv`. Each column of panels is a cue, and each row of panels is a model (and benchmark). A line
    that falls means that the network relied on the cue. Bars are 95 % intervals. If the panels do not fit, the figure
    is a matrix of numbers.
    Source: Burgert et al. 2025 (arXiv 2509.20234).
    """
    style = style or FigureStyle()
    if reliance.empty:
        raise NoDataError("No cue was suppressed.")
    by = ["benchmark", "cue", "strength"]
    pooled = pool_means(reliance, {"accuracy": ("ci_low", "ci_high")}, by, ["images", "chance"])
    cues = [cue for cue in SUPPRESSION_LABELS if (pooled["cue"] == cue).any()]
    strengths = {cue: sorted(pooled.loc[pooled["cue"] == cue, "strength"].unique()) for cue in cues}
    panels = [
        (str(benchmark), panel)
        for benchmark, part in pooled.groupby("benchmark", sort=False)
        for panel in make_panels(part)
    ]
    several = pooled["benchmark"].nunique() > 1
    title = f"Accuracy without one cue ({format_image_count(pooled)} images)"
    if len(cues) > MOST_CUE_PANELS or len(panels) * 30 + 8 > BODY_HEIGHT:
        return _reliance_matrix(pooled, strengths, title, style)
    with style.apply():
        styles = series_styles(pooled, style)
        figure = new_figure(PAGE_WIDTH, 8 + max(30 * len(panels), 50))
        grid = figure.subplots(len(panels), len(cues), sharex="col", sharey=True, squeeze=False)
        for line, (benchmark, panel) in zip(grid, panels, strict=True):
            for axes, cue in zip(line, cues, strict=True):
                part = pooled[(pooled["benchmark"] == benchmark) & (pooled["cue"] == cue)]
                _draw_reliance(axes, part, panel, cue, strengths[cue], styles)
            name = f"{panel.title}, {benchmark}" if several else panel.title
            line[0].set_ylabel(wrap_name(name, 16), fontweight="bold")
        for axes, cue in zip(grid[0], cues, strict=True):
            axes.set_title(SUPPRESSION_LABELS[cue])
        figure.supylabel("accuracy")
        legend = [*series_legend(styles), chance_legend()]
        add_frame(figure, title, legend=legend, remarks=[f"bar: {describe_interval(pooled)}"])
    return figure


def _reliance_matrix(
    pooled: pd.DataFrame, strengths: Mapping[str, Sequence[float]], title: str, style: FigureStyle
) -> Figure:
    """Print the accuracy of every network (row) at every strength of every cue (columns)."""
    groups, parts = [], []
    for benchmark, part in pooled.groupby("benchmark", sort=False):
        ending = f", {benchmark}" if pooled["benchmark"].nunique() > 1 else ""
        for cue, values in strengths.items():
            groups.append(ColumnGroup(f"{SUPPRESSION_LABELS[cue]}{ending}", name_strengths(cue, values)))
            names = dict(zip(values, groups[-1].columns, strict=True))
            rows = part[part["cue"] == cue]
            parts.append(rows.assign(group=groups[-1].title, column=rows["strength"].map(names)))
    remarks = ["hatched: not measured", "intervals, and chance: in the table"]
    return _matrix_figure(pooled, pd.concat(parts), groups, title, remarks, style)


def name_strengths(cue: str, strengths: Sequence[float]) -> dict[str, str]:
    """Return a key and a name for each strength of a cue; the first one suppresses nothing."""
    names = [
        f"{strength:g} × {strength:g}" if cue in ("shape", "rotation") else f"{strength:g}" for strength in strengths
    ]
    return {f"{strength:g}": "none" if i == 0 else names[i] for i, strength in enumerate(strengths)}


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
    faint = [pair for pair in panel.series if styles[pair].faint]
    draw_range(axes, part, faint, "strength", "accuracy", positions=position)
    clear = [pair for pair in panel.series if pair not in faint]
    offsets = np.linspace(-0.12, 0.12, len(clear)) if len(clear) > 1 else [0.0] * len(clear)
    for pair, offset in zip(clear, offsets, strict=True):
        rows = part[(part["model"] == pair[0]) & (part["regime"] == pair[1])]
        rows = rows.sort_values("strength")
        if rows.empty:
            continue
        series_style = styles[pair]
        x = rows["strength"].map(position).to_numpy() + offset
        axes.vlines(x, rows["ci_low"], rows["ci_high"], color=series_style.color, linewidth=0.9, alpha=0.7)
        axes.plot(x, rows["accuracy"], zorder=3, **series_style.marker_style(0.9))
    if len(part):
        draw_dashed_line(axes, y=part["chance"].mean())
    names = list(name_strengths(cue, strengths).values())
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.3, len(names) - 0.6)
    axes.set_ylim(0, 1.03)
    axes.grid(axis="x", visible=False)
    axes.spines[["top", "right"]].set_visible(False)


def _set_title(axes: Axes, title: str, below: str, width: float) -> None:
    """Set a title for axes of `width` mm, with a line in grey below it."""
    axes.set_title(wrap_name(title, int(width / 1.75)), pad=1.5 + 1.3 * small_type())
    options: ArtistStyle = {"xytext": (0, 2), "textcoords": "offset points", "fontsize": small_type(), "color": "0.35"}
    axes.annotate(below, (0, 1), xycoords="axes fraction", **options)
