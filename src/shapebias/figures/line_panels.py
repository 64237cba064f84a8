"""Small multiples of lines: one panel per model, one line per regime. Networks not trained here share a panel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.style import (
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_MARKER,
    ArtistStyle,
    Color,
    FigureStyle,
    legend_heading,
    marker_size,
)
from shapebias.tables.summaries import PEOPLE, order_regimes, shorten_name, shorten_names

NOT_TRAINED_TITLE = "not trained here"
MOST_PANELS = 24
SeriesKey = tuple[str, str]  # model, regime


@dataclass(frozen=True)
class SeriesStyle:
    """The style of one model × regime, the same in all panels of a figure."""

    color: Color
    marker: str
    line: Any = "-"

    def marker_style(self, size: float = 0.75) -> ArtistStyle:
        weight = size * marker_size(self.marker)
        edge: ArtistStyle = {
            "markeredgecolor": "white",
            "markeredgewidth": 0.6,
        }  # a wider edge would hide the arms of a star
        return {"color": self.color, "marker": self.marker, "markersize": weight} | edge


@dataclass(frozen=True)
class LinePanel:
    """One panel: its title, the kind of its series (run, pretrained or people), and the series."""

    title: str
    kind: str
    series: list[SeriesKey] = field(default_factory=list)


def make_panels(pooled: pd.DataFrame) -> list[LinePanel]:
    """Return one panel per model trained here, one for all networks not trained here, and one for people.

    pooled: kind, model, regime. If no model was trained here, networks and people share one panel.
    """
    runs = pooled[pooled["kind"] == "run"]
    names = shorten_names({model: str(model) for model in runs["model"]})
    panels = [
        LinePanel(names[model], "run", [(str(model), regime) for regime in order_regimes(part["regime"])])
        for model, part in runs.groupby("model", sort=False)
    ]
    for kind, title in (("pretrained", NOT_TRAINED_TITLE), (PEOPLE, PEOPLE)):
        models = list(dict.fromkeys(pooled.loc[pooled["kind"] == kind, "model"]))
        if models:
            panels.append(LinePanel(title, kind, [(model, "") for model in models]))
    if [panel.kind for panel in panels] == ["pretrained", PEOPLE]:
        return [LinePanel("networks and people", "pretrained", [pair for panel in panels for pair in panel.series])]
    return panels


def regime_styles(pooled: pd.DataFrame, style: FigureStyle) -> dict[SeriesKey, SeriesStyle]:
    """Return styles with colour and marker by regime. Each network not trained here has a colour; people are black."""
    runs = pooled[pooled["kind"] == "run"]
    regimes = order_regimes(runs["regime"])
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    styles = {
        (model, regime): SeriesStyle(colors[regime], markers[regime])
        for model, regime in zip(runs["model"], runs["regime"], strict=True)
    }
    return styles | _untrained_styles(pooled, style)


def model_styles(pooled: pd.DataFrame, style: FigureStyle) -> dict[SeriesKey, SeriesStyle]:
    """Return styles for panels with all models: colour by model, marker and line by regime. People are black."""
    runs = pooled[pooled["kind"] == "run"]
    regimes = order_regimes(runs["regime"])
    markers, lines = style.regime_markers(regimes), style.regime_lines(regimes)
    colors = style.distinct_colors(dict.fromkeys(pooled.loc[pooled["kind"] != PEOPLE, "model"]))
    styles = {
        (model, regime): SeriesStyle(colors[model], markers[regime], lines[regime])
        for model, regime in zip(runs["model"], runs["regime"], strict=True)
    }
    others = pooled.loc[pooled["kind"] == "pretrained", "model"]
    styles |= {(model, ""): SeriesStyle(colors[model], PRETRAINED_MARKER) for model in others}
    return styles | _people_styles(pooled)


def _untrained_styles(pooled: pd.DataFrame, style: FigureStyle) -> dict[SeriesKey, SeriesStyle]:
    models = list(dict.fromkeys(pooled.loc[pooled["kind"] == "pretrained", "model"]))
    colors = style.distinct_colors(models)
    return {(model, ""): SeriesStyle(colors[model], PRETRAINED_MARKER) for model in models} | _people_styles(pooled)


def _people_styles(pooled: pd.DataFrame) -> dict[SeriesKey, SeriesStyle]:
    models = dict.fromkeys(pooled.loc[pooled["kind"] == PEOPLE, "model"])
    return {(model, ""): SeriesStyle(PEOPLE_COLOR, PEOPLE_MARKER) for model in models}


def series_legend(styles: dict[SeriesKey, SeriesStyle], *, by: str, lines: bool = True) -> list[Line2D]:
    """Return the legend of `regime_styles` or `model_styles`.

    by: `regime` or `model`, the one that colour encodes. lines: False for a legend of markers only.
    """
    no_line: ArtistStyle = {} if lines else {"linestyle": "none"}
    trained = {pair: series_style for pair, series_style in styles.items() if pair[1]}
    others = {
        pair[0]: series_style
        for pair, series_style in styles.items()
        if not pair[1] and series_style.color != PEOPLE_COLOR
    }
    people = {pair[0]: series_style for pair, series_style in styles.items() if series_style.color == PEOPLE_COLOR}
    names = shorten_names({model: model for model, _ in styles})
    legend = []
    if by == "model":
        dot: ArtistStyle = {"marker": "o", "linestyle": "none", "markersize": 7}
        models = {model: series_style.color for (model, _), series_style in trained.items()}
        legend += [legend_heading("model")] if models else []
        legend += [
            Line2D([], [], color=color, label=names[model], **dot)
            for model, color in models.items()
            if color != OTHERS_COLOR
        ]
    regimes = {regime: series_style for (_, regime), series_style in trained.items()}
    legend += [legend_heading("regime")] if regimes else []
    for regime in order_regimes(regimes):
        options: ArtistStyle = {"linestyle": regimes[regime].line, **regimes[regime].marker_style(0.9), **no_line}
        options |= {"color": "0.25"} if by == "model" else {}
        legend.append(Line2D([], [], label=shorten_name(regime), **options))
    legend += [legend_heading(NOT_TRAINED_TITLE)] if others else []
    coloured = {model: series_style for model, series_style in others.items() if series_style.color != OTHERS_COLOR}
    legend += [
        Line2D([], [], label=names[model], **series_style.marker_style(1), **no_line)
        for model, series_style in coloured.items()
    ]
    grey = sum(series_style.color == OTHERS_COLOR for series_style in styles.values())
    if grey:
        legend.append(Line2D([], [], color=OTHERS_COLOR, marker=".", label=f"{grey} others", **no_line))
    legend += [legend_heading(PEOPLE)] if people else []
    for name, series_style in people.items():
        label = "all together" if name == PEOPLE else names[name]
        legend.append(Line2D([], [], label=label, **series_style.marker_style(0.9), **no_line))
    return legend


def panel_grid(figure: Figure, panels: Sequence[object], columns: int, **shared) -> list[Axes]:
    """Return axes for the panels, row by row. Unused axes are hidden."""
    lines = -(-len(panels) // columns)
    grid = figure.subplots(lines, columns, squeeze=False, **shared).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return list(grid[: len(panels)])


def draw_line(
    axes: Axes,
    x: np.ndarray,
    rows: pd.DataFrame,
    value: str,
    series_style: SeriesStyle,
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    line: Any = None,
    band: bool = True,
    label: str = "",
) -> None:
    """Draw one line with its markers and a band for its interval; x: the positions of the rows."""
    faint = series_style.color == OTHERS_COLOR
    label_option: ArtistStyle = {"label": label} if label else {}
    axes.plot(
        x,
        rows[value],
        linestyle=series_style.line if line is None else line,
        linewidth=0.8 if faint else 1.5,
        zorder=2 if faint else 3,
        **(label_option | ({"color": OTHERS_COLOR} if faint else series_style.marker_style(0.7))),
    )
    if band and not faint:
        axes.fill_between(
            x, rows[bounds[0]], rows[bounds[1]], color=series_style.color, alpha=0.16, linewidth=0, zorder=1
        )
