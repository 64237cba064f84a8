"""The figure of shape bias by category, in the classic layout of Geirhos et al. 2019 (arXiv 1811.12231)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from shapebias.figures.category_icons import draw_icon
from shapebias.figures.line_panels import (
    SeriesKey,
    SeriesStyle,
    make_panels,
    model_styles,
    regime_styles,
    series_legend,
)
from shapebias.figures.shape_bias import benchmark_title, people_rows
from shapebias.figures.style import (
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    ArtistStyle,
    FigureStyle,
    add_legend_beside,
    add_note,
    add_title,
    legend_heading,
    marker_size,
    message_figure,
    new_figure,
    set_fraction_axis,
    wrap_name,
)
from shapebias.tables.summaries import PEOPLE, describe_interval, format_range, pool_bias

MOST_PANELS = 6  # models with a panel each; more models share one panel
MOST_BARS = 5  # series in a panel; more intervals would hide each other


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

    Each model that was trained here has a panel, where colours are regimes. With more than MOST_PANELS models, or
    without any, all series share a panel, where colours are models. A category without a hit has no marker. Panels of
    up to MOST_BARS series have 95 % intervals. Models without a colour are grey ticks.
    """
    style = style or FigureStyle()
    table = by_category[by_category["benchmark"] == benchmark]
    if table.empty:
        return message_figure(f"{benchmark}: no decisions to show.", style)
    pooled = pool_bias(table, by=["category"])
    measured = pooled[pooled["kind"] != PEOPLE]
    persons, persons_label = people_rows(pooled, people)
    categories = _order_categories(measured if len(measured) else persons)
    panels = _choose_panels(measured, compared)
    by = "regime" if len(panels) > 1 or (panels and panels[0][0]) else "model"
    styles = regime_styles(measured, style) if by == "regime" else model_styles(measured, style)
    drawn = {pair for _, series in panels for pair in series}
    bars = max((len(series) for _, series in panels), default=0) + (not persons.empty) <= MOST_BARS

    with style.apply():
        least_height = 0.42 if bars else 0.36  # inches a category
        longest = max((len(series) for _, series in panels), default=1)
        height = 1.9 + len(categories) * min(max(least_height, 0.12 + 0.03 * longest), 0.8)
        width = 11 if len(panels) < 2 else 3.6 + 2.5 * len(panels)
        figure = new_figure(width, height)
        grid = figure.subplots(1, max(len(panels), 1), sharey=True, squeeze=False)[0]
        for axes, (title, series) in zip(grid, panels or [("", [])], strict=True):
            axes.set_title(wrap_name(title, 24) if title else "", fontsize="medium", pad=44 if title else None)
            _draw_series(axes, measured, series, categories, styles, bars=bars)
            if not persons.empty:
                _draw_people(axes, persons.set_index("category").reindex(categories), persons_label, bars=bars)
            _category_rows(axes, categories, style, icons=axes is grid[0])
            _fraction_arrows(axes, ticks=11 if len(panels) < 2 else 6)
        grid[0].set_ylabel(f"category of the shape{_images_each(measured if len(measured) else pooled)}")
        add_title(figure, benchmark_title("Shape bias by category", benchmark, table))
        remarks = [
            "line: all categories together",
            f"bar: {describe_interval(pooled)}" if bars else "intervals: in the table",
        ]
        grey = sum(styles[pair].color == OTHERS_COLOR for pair in drawn)
        remarks += [f"grey ticks: {grey} more observers"] if grey else []
        add_note(figure, *remarks)
        legend = series_legend({pair: look for pair, look in styles.items() if pair in drawn}, by=by)
        if not persons.empty:
            options: ArtistStyle = {"color": PEOPLE_COLOR, "linewidth": 1.8, "markersize": 7}
            legend += [legend_heading("people")]
            legend += [Line2D([], [], marker=PEOPLE_MARKER, markeredgecolor="white", label=persons_label, **options)]
        add_legend_beside(figure, legend)
    return figure


def _choose_panels(measured: pd.DataFrame, compared: tuple[str, str] | None) -> list[tuple[str, list[SeriesKey]]]:
    """Return the title and the series of each panel; one panel without a title holds all series."""
    models = measured.loc[measured["kind"] == "run", "model"].nunique()
    if not 1 <= models <= MOST_PANELS:
        series = list(dict.fromkeys(zip(measured["model"], measured["regime"], strict=True)))
        return [("", series)] if series else []
    panels = []
    for panel in make_panels(measured):
        both = [pair for pair in panel.series if compared and pair[1] in compared]
        panels.append((panel.title, both if len(both) == 2 else panel.series))
    return panels


def _draw_series(
    axes: Axes,
    measured: pd.DataFrame,
    series: list[SeriesKey],
    categories: list[str],
    styles: Mapping[SeriesKey, SeriesStyle],
    *,
    bars: bool,
) -> None:
    """Draw each series: a marker in each category, its interval, and a line at the bias over all categories."""
    coloured = [pair for pair in series if styles[pair].color != OTHERS_COLOR]
    dodge = np.linspace(-0.36, 0.36, len(coloured)) if len(coloured) > 2 else np.linspace(-0.15, 0.15, len(coloured))
    offsets = dict(zip(coloured, dodge if len(coloured) > 1 else [0.0] * len(coloured), strict=True))
    places = np.arange(len(categories))
    for pair in series:
        look, rows = styles[pair], measured[(measured["model"] == pair[0]) & (measured["regime"] == pair[1])]
        overall, rows = _overall(rows), rows.set_index("category").reindex(categories)
        label = " ".join(pair).strip()
        if pair not in offsets:
            tick: ArtistStyle = {"marker": "|", "linestyle": "none", "color": OTHERS_COLOR, "zorder": 3}
            axes.plot(rows["shape_bias"].to_numpy(float), places, label=label, **tick)
            continue
        axes.axvline(overall, linestyle=look.line, color=look.color, linewidth=1.4, alpha=0.75, zorder=2, label=label)
        y = places + offsets[pair]
        if bars:
            axes.hlines(y, rows["ci_low"], rows["ci_high"], color=look.color, linewidth=1.6, alpha=0.5, zorder=2)
        axes.plot(
            rows["shape_bias"].to_numpy(float), y, linestyle="none", zorder=3, label=label, **look.marker_style(1)
        )


def _draw_people(axes: Axes, rows: pd.DataFrame, label: str, *, bars: bool) -> None:
    """Draw people in each category, and a line at their bias over all categories."""
    axes.axvline(_overall(rows), color=PEOPLE_COLOR, linewidth=1.8, zorder=2, label=label)
    places = np.arange(len(rows))
    if bars and "ci_low" in rows:
        axes.hlines(places, rows["ci_low"], rows["ci_high"], color=PEOPLE_COLOR, linewidth=1.6, alpha=0.5, zorder=2)
    marker: ArtistStyle = {"marker": PEOPLE_MARKER, "markersize": marker_size(PEOPLE_MARKER), "color": PEOPLE_COLOR}
    marker |= {"markeredgecolor": "white", "markeredgewidth": 0.7, "linestyle": "none", "zorder": 3}
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
    side = 19 * style.font_scale
    axes.tick_params(axis="y", pad=side + 8, length=0)
    if icons:
        for row, category in enumerate(categories):
            draw_icon(axes, category, row, points=side, offset=-6)


def _fraction_arrows(axes: Axes, *, ticks: int) -> None:
    """Label the bottom axis with shape decisions and the mirrored top axis with texture decisions, and add arrows."""
    set_fraction_axis(axes)
    axes.set_xticks(np.linspace(0, 1, ticks).round(1))
    axes.set_xlabel('fraction of "shape" decisions', labelpad=14)
    top = axes.secondary_xaxis("top", functions=(_mirrored, _mirrored))
    top.set_xticks(np.linspace(0, 1, ticks).round(1))
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
