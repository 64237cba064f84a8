"""The figure of shape bias by category, in the classic layout of Geirhos et al. 2019 (arXiv 1811.12231)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from shapebias.figures.category_icons import draw_icon
from shapebias.figures.frame import add_frame
from shapebias.figures.line_panels import (
    OTHERS_TICK,
    LinePanel,
    SeriesKey,
    SeriesStyle,
    make_panels,
    panel_grid,
    series_legend,
    series_styles,
)
from shapebias.figures.shape_bias import benchmark_title, people_rows
from shapebias.figures.style import (
    COLUMN_WIDTH,
    HALO,
    PAGE_WIDTH,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    format_tick,
    marker_size,
    new_figure,
    set_fraction_axis,
    wrap_name,
)
from shapebias.tables.summaries import PEOPLE, describe_interval, format_range, pool_bias

MOST_BARS = 5  # series in a panel; more intervals would hide each other
MOST_COLUMNS = 5
MOST_PANELS = 15
ICON = 8.5  # points, beside a category's name


def shape_bias_by_category(
    by_category: pd.DataFrame,
    people: pd.DataFrame | None = None,
    *,
    benchmark: str,
    compared: tuple[str, str] | None = None,
    style: FigureStyle | None = None,
) -> Figure:
    """Draw the shape bias in each category of the shape, and the bias over all categories as a vertical line.

    by_category: `shape_bias_by_category.csv`.
    people: category, shape_hits, texture_hits on the published stimuli. They are drawn if the benchmark itself was not
    shown to people.
    compared: two regimes, before and after; others are left out of the panels of models that have both.

    Each model has a panel, where colours are regimes. Without a model that was trained here, all observers share one. A
    category without a hit has no marker. Panels of up to MOST_BARS series have 95 % intervals. Models without a colour
    are grey ticks.
    """
    style = style or FigureStyle()
    table = by_category[by_category["benchmark"] == benchmark]
    if table.empty:
        raise NoDataError(f"{benchmark}: no decisions to show.")
    pooled = pool_bias(table, by=["category"])
    measured = pooled[pooled["kind"] != PEOPLE]
    persons, persons_label = people_rows(pooled, people)
    categories = _order_categories(measured if len(measured) else persons)
    panels = _choose_panels(measured, compared) or [LinePanel("")]
    drawn_panels = panels[:MOST_PANELS]
    styles = series_styles(measured, style, MOST_PANELS)
    drawn = {pair: styles[pair] for panel in drawn_panels for pair in panel.series}
    longest = max(sum(not styles[pair].faint for pair in panel.series) for panel in drawn_panels)
    bars = longest + (not persons.empty) <= MOST_BARS

    with style.apply():
        columns = min(MOST_COLUMNS, len(drawn_panels))
        lines = -(-len(drawn_panels) // columns)
        pitch = max(min(1.2 + 0.9 * longest, 8), 3.0) if lines == 1 else {2: 4.2, 3: 3.0}[lines]  # mm a category
        narrow = len(drawn_panels) == 1 and longest <= MOST_BARS
        figure = new_figure(COLUMN_WIDTH if narrow else PAGE_WIDTH, 26 + lines * (5 + len(categories) * pitch))
        grid = panel_grid(figure, drawn_panels, columns, sharey=True)
        for position, (axes, panel) in enumerate(zip(grid, drawn_panels, strict=True)):
            _draw_series(axes, measured, panel.series, categories, styles, bars=bars)
            if not persons.empty:
                _draw_people(axes, persons.set_index("category").reindex(categories), persons_label, bars=bars)
            _category_rows(axes, categories, style, icons=position % columns == 0)
            last, ticks = position + columns >= len(drawn_panels), 6 if columns < 4 else 3
            _fraction_arrows(axes, style, ticks=ticks, top=position < columns, bottom=last)
            pad = (31 if ticks == 6 else 39) * style.font_scale if position < columns else None
            axes.set_title(wrap_name(panel.title, int((PAGE_WIDTH - 25) / columns / 1.9)), pad=pad)
        figure.supylabel(f"category of the shape{_images_each(measured if len(measured) else pooled)}")
        remarks = [
            "line: all categories together",
            f"bar: {describe_interval(pooled)}" if bars else "intervals: in the table",
        ]
        left = len(panels) - len(drawn_panels)
        remarks += [f"not shown: {left} more models, in the table"] if left else []
        legend = series_legend(drawn, lines=False, others=OTHERS_TICK)
        if not persons.empty:
            options: ArtistStyle = {"color": PEOPLE_COLOR, "markersize": marker_size(PEOPLE_MARKER)}
            legend.append(("", [Line2D([], [], marker=PEOPLE_MARKER, label=persons_label, **HALO, **options)]))
        add_frame(figure, benchmark_title("Shape bias by category", benchmark, table), legend=legend, remarks=remarks)
    return figure


def _choose_panels(measured: pd.DataFrame, compared: tuple[str, str] | None) -> list[LinePanel]:
    """Return the panels of the models, with only the two compared regimes of a model that has both."""
    panels = []
    for panel in make_panels(measured, MOST_PANELS):
        both = [pair for pair in panel.series if compared and pair[1] in compared]
        panels.append(LinePanel(panel.title, both) if len(both) == 2 else panel)
    return [LinePanel("", panels[0].series)] if len(panels) == 1 and measured["kind"].ne("run").all() else panels


def _draw_series(
    axes: Axes,
    measured: pd.DataFrame,
    series: Sequence[SeriesKey],
    categories: list[str],
    styles: Mapping[SeriesKey, SeriesStyle],
    *,
    bars: bool,
) -> None:
    """Draw each series: a marker in each category, its interval, and a line at the bias over all categories."""
    coloured = [pair for pair in series if not styles[pair].faint]
    dodge = np.linspace(-0.36, 0.36, len(coloured)) if len(coloured) > 2 else np.linspace(-0.15, 0.15, len(coloured))
    offsets = dict(zip(coloured, dodge if len(coloured) > 1 else [0.0] * len(coloured), strict=True))
    places = np.arange(len(categories))
    for pair in series:
        look, rows = styles[pair], measured[(measured["model"] == pair[0]) & (measured["regime"] == pair[1])]
        overall, rows = _overall(rows), rows.set_index("category").reindex(categories)
        label = " ".join(pair).strip()
        if pair not in offsets:
            axes.plot(rows["shape_bias"].to_numpy(float), places, label=label, zorder=2, **OTHERS_TICK)
            continue
        axes.axvline(overall, color=look.color, linewidth=0.9, alpha=0.75, zorder=2, label=label)
        y = places + offsets[pair]
        if bars:
            axes.hlines(y, rows["ci_low"], rows["ci_high"], color=look.color, linewidth=1, alpha=0.5, zorder=2)
        axes.plot(rows["shape_bias"].to_numpy(float), y, linestyle="none", zorder=3, label=label, **look.marker_style())


def _draw_people(axes: Axes, rows: pd.DataFrame, label: str, *, bars: bool) -> None:
    """Draw people in each category, and a line at their bias over all categories."""
    axes.axvline(_overall(rows), color=PEOPLE_COLOR, linewidth=1, zorder=2, label=label)
    places = np.arange(len(rows))
    if bars and "ci_low" in rows:
        axes.hlines(places, rows["ci_low"], rows["ci_high"], color=PEOPLE_COLOR, linewidth=1, alpha=0.5, zorder=2)
    marker: ArtistStyle = {"marker": PEOPLE_MARKER, "markersize": marker_size(PEOPLE_MARKER), "color": PEOPLE_COLOR}
    marker |= {"linestyle": "none", "zorder": 3} | HALO
    axes.plot(rows["shape_bias"].to_numpy(float), places, label=label, **marker)


def _overall(rows: pd.DataFrame) -> float:
    """Return the bias over all categories. Hits are summed, so a category counts in proportion to its decisions."""
    hits = rows[["shape_hits", "texture_hits"]].sum()
    return hits["shape_hits"] / hits.sum() if hits.sum() else np.nan


def _order_categories(pooled: pd.DataFrame) -> list[str]:
    """Return the categories from highest to lowest mean shape bias over observers; undefined categories are last."""
    mean = pooled.groupby("category")["shape_bias"].mean().sort_index()
    return list(mean.sort_values(ascending=False, kind="stable").index)


def _images_each(pooled: pd.DataFrame) -> str:
    """Format how many conflict images a category has."""
    return f" ({format_range(pooled.groupby('category')['conflict_images'].max())} images each)"


def _category_rows(axes: Axes, categories: list[str], style: FigureStyle, *, icons: bool) -> None:
    """Draw a striped row for each category; icons: also its silhouette beside its name."""
    axes.set_yticks(range(len(categories)), categories)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for row in range(0, len(categories), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.965", zorder=0)
    side = ICON * style.font_scale
    axes.tick_params(axis="y", pad=side + 4, length=0)
    if icons:
        for row, category in enumerate(categories):
            draw_icon(axes, category, row, points=side, offset=-3)


def _fraction_arrows(axes: Axes, style: FigureStyle, *, ticks: int, top: bool, bottom: bool) -> None:
    """Label the bottom axis with shape decisions and the mirrored top axis with texture decisions, and add arrows."""
    set_fraction_axis(axes, ticks=ticks)
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = 11.5 * style.font_scale  # points from the axes to the arrow, below the numbers
    if bottom:
        axes.set_xlabel('fraction of\n"shape" decisions' if ticks < 6 else 'fraction of "shape" decisions', labelpad=5)
    if top:
        upper = axes.secondary_xaxis("top", functions=(_mirrored, _mirrored))
        upper.set_xticks(np.linspace(0, 1, ticks))
        upper.xaxis.set_major_formatter(format_tick)
        upper.set_xlabel(
            'fraction of\n"texture" decisions' if ticks < 6 else 'fraction of "texture" decisions', labelpad=5
        )
    for y, points, ends in ((0, -gap, (0, 1)), (1, gap, (1, 0))):
        if not (top if y else bottom):
            continue
        place = axes.transAxes + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)
        arrow = {"arrowstyle": "->", "color": "0.2", "shrinkA": 0, "shrinkB": 0, "linewidth": 0.7, "mutation_scale": 6}
        start_x, end = ends
        axes.annotate("", xy=(end, y), xytext=(start_x, y), xycoords=place, textcoords=place, arrowprops=arrow)


def _mirrored(fraction):
    return 1 - fraction
