"""Small multiples of lines: one panel per model, one line per regime. Colour is the regime in every figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.frame import LegendGroup, text_width
from shapebias.figures.style import (
    DASHES,
    HALO,
    MOST_COLORS,
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_COLOR,
    PRETRAINED_MARKER,
    ArtistStyle,
    Color,
    FigureStyle,
    marker_size,
    small_type,
)
from shapebias.tables.summaries import PEOPLE, order_regimes, shorten_name, shorten_names

NOT_TRAINED_TITLE = "not trained here"
MOST_PANELS = 16
SeriesKey = tuple[str, str]  # model, regime
# How networks without a colour of their own are drawn: as the range of their lines, as ticks or as points.
OTHERS_BAND: ArtistStyle = {"color": OTHERS_COLOR, "alpha": 0.3, "linewidth": 5, "solid_capstyle": "butt"}
OTHERS_TICK: ArtistStyle = {"color": OTHERS_COLOR, "marker": "|", "linestyle": "none"}
OTHERS_POINT: ArtistStyle = {"color": OTHERS_COLOR, "marker": ".", "linestyle": "none"}


@dataclass(frozen=True)
class SeriesStyle:
    """The style of one model × regime, the same in all panels of a figure.

    faint: it is one of so many that no colour tells them apart; they are drawn together, in grey.
    """

    color: Color
    marker: str
    faint: bool = False

    def marker_style(self, size: float = 1.0) -> ArtistStyle:
        return {"color": self.color, "marker": self.marker, "markersize": size * marker_size(self.marker)} | HALO


@dataclass(frozen=True)
class LinePanel:
    """One panel: its title, and its series. People are in every panel, as the reference."""

    title: str
    series: list[SeriesKey] = field(default_factory=list)


def make_panels(pooled: pd.DataFrame, most: int = MOST_PANELS) -> list[LinePanel]:
    """Return one panel per model trained here and per network not trained here.

    pooled: kind, model, regime. With more than `most` panels, the networks not trained here share one. They share one
    with people if no model was trained here, because colours then tell them apart.
    """
    runs = pooled[pooled["kind"] == "run"]
    others = list(dict.fromkeys(pooled.loc[pooled["kind"] == "pretrained", "model"]))
    people = [(str(model), "") for model in dict.fromkeys(pooled.loc[pooled["kind"] == PEOPLE, "model"])]
    together = LinePanel(NOT_TRAINED_TITLE, [*((model, "") for model in others), *people])
    if runs.empty:
        title = "networks and people" if others and people else ("" if others else PEOPLE)
        return [LinePanel(title, together.series)] if together.series else []
    names = shorten_names({model: str(model) for model in [*runs["model"], *others]})
    panels = [
        LinePanel(names[model], [*((str(model), regime) for regime in order_regimes(part["regime"])), *people])
        for model, part in runs.groupby("model", sort=False)
    ]
    if len(panels) + len(others) > most:
        return [*panels, together]
    return [*panels, *(LinePanel(names[model], [(model, ""), *people]) for model in others)]


def series_styles(pooled: pd.DataFrame, style: FigureStyle, most: int = MOST_PANELS) -> dict[SeriesKey, SeriesStyle]:
    """Return the style of every series: colour and marker are the regime, networks not trained here are grey stars.

    In a study without regimes, each of the first networks has a colour. People are black.
    most: as for `make_panels`.
    """
    runs = pooled[pooled["kind"] == "run"]
    regimes = order_regimes(runs["regime"])
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    styles = {
        (model, regime): SeriesStyle(colors[regime], markers[regime])
        for model, regime in zip(runs["model"], runs["regime"], strict=True)
    }
    others = list(dict.fromkeys(pooled.loc[pooled["kind"] == "pretrained", "model"]))
    if regimes or style.regimes:
        faint = len(others) > MOST_COLORS and runs["model"].nunique() + len(others) > most
        grey = SeriesStyle(OTHERS_COLOR if faint else PRETRAINED_COLOR, PRETRAINED_MARKER, faint)
        styles |= dict.fromkeys([(model, "") for model in others], grey)
    else:
        for model, color in style.distinct_colors(others).items():
            styles[model, ""] = SeriesStyle(color, PRETRAINED_MARKER, color == OTHERS_COLOR)
    people = dict.fromkeys(pooled.loc[pooled["kind"] == PEOPLE, "model"])
    return styles | {(model, ""): SeriesStyle(PEOPLE_COLOR, PEOPLE_MARKER) for model in people}


def series_legend(
    styles: Mapping[SeriesKey, SeriesStyle], *, lines: bool = True, others: ArtistStyle = OTHERS_BAND
) -> list[LegendGroup]:
    """Return the legend of `series_styles`.

    lines: False for a legend of markers only. others: how faint series are drawn.
    """
    no_line: ArtistStyle = {} if lines else {"linestyle": "none"}

    def entry(label: str, series_style: SeriesStyle) -> Line2D:
        return Line2D([], [], label=label, **series_style.marker_style(), **no_line)

    regimes = {regime: series_style for (_, regime), series_style in styles.items() if regime}
    legend = [("regime", [entry(shorten_name(regime), regimes[regime]) for regime in order_regimes(regimes)])]
    people = {model: series_style for (model, _), series_style in styles.items() if series_style.color == PEOPLE_COLOR}
    networks = {
        model: series_style for (model, regime), series_style in styles.items() if not regime and model not in people
    }
    clear = {model: series_style for model, series_style in networks.items() if not series_style.faint}
    if len({series_style.color for series_style in clear.values()}) > 1:
        names = shorten_names({model: model for model in clear})
        entries = [entry(names[model], series_style) for model, series_style in clear.items()]
    else:
        entries = [entry(NOT_TRAINED_TITLE, next(iter(clear.values())))] if clear else []
    if len(networks) > len(clear):
        label = f"{len(networks) - len(clear)} {'others' if clear else NOT_TRAINED_TITLE}"
        label += ", lowest to highest" if lines else ""
        entries.append(Line2D([], [], label=label, **others))
    legend.append(("network" if len(entries) > 1 else "", entries))
    labels = {model: PEOPLE if model == PEOPLE else shorten_name(model) for model in people}
    legend.append(("", [entry(labels[model], series_style) for model, series_style in people.items()]))
    return [group for group in legend if group[1]]


def chance_legend() -> LegendGroup:
    """Return the legend of the dashed line at chance."""
    return "", [Line2D([], [], color="0.35", linestyle=DASHES, linewidth=0.7, label="chance")]


def panel_grid(figure: Figure, panels: Sequence[object], columns: int, **shared) -> list[Axes]:
    """Return axes for the panels, row by row. Unused axes are hidden."""
    lines = -(-len(panels) // columns)
    grid = figure.subplots(lines, columns, squeeze=False, **shared).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return list(grid[: len(panels)])


def name_ticks(axes: Axes, names: Sequence[str], width: float) -> None:
    """Name the positions 0, 1, … of an x axis that is `width` mm wide, upright if the names would touch each other."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    widest = max(text_width(figure, name, small_type()) for name in names)
    axes.set_xticks(range(len(names)), names, rotation=90 if widest + 0.8 > width / len(names) else 0)


def draw_line(
    axes: Axes,
    x: np.ndarray,
    rows: pd.DataFrame,
    value: str,
    series_style: SeriesStyle,
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    line: Any = "-",
    band: bool = True,
    label: str = "",
) -> None:
    """Draw one line with its markers and a band for its interval; x: the positions of the rows."""
    label_option: ArtistStyle = {"label": label} if label else {}
    axes.plot(x, rows[value], linestyle=line, zorder=3, **label_option, **series_style.marker_style(0.85))
    if band:
        axes.fill_between(
            x, rows[bounds[0]], rows[bounds[1]], color=series_style.color, alpha=0.16, linewidth=0, zorder=1
        )


def draw_range(
    axes: Axes,
    table: pd.DataFrame,
    series: Sequence[SeriesKey],
    over: str,
    value: str,
    *,
    positions: Mapping[Any, float] | None = None,
    line: Any = "-",
) -> None:
    """Draw a grey band from the lowest to the highest value of these series at each x; their lines would be a tangle.

    over: the column of x. positions: its values → x, if these are not numbers.
    """
    keys = pd.MultiIndex.from_frame(table[["model", "regime"]])
    rows = table[keys.isin(list(series))]
    x = rows[over].map(positions) if positions else rows[over].astype(float)
    span = rows[value].groupby(x).agg(["min", "max"]).sort_index()
    if span.empty:
        return
    axes.fill_between(span.index, span["min"], span["max"], color=OTHERS_COLOR, alpha=0.2, linewidth=0, zorder=1)
    for bound in ("min", "max"):
        axes.plot(span.index, span[bound], color=OTHERS_COLOR, linestyle=line, linewidth=0.6, zorder=2)
