"""Small multiples of lines: one panel a model, one line a regime; networks not trained here share a panel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.style import (
    LINE_STYLES,
    MARKERS,
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_MARKER,
    Color,
    FigureStyle,
    Look,
    by_order,
    heading,
    marker_size,
)
from shapebias.tables.summaries import PEOPLE, cut_name, regime_order, shortened

NOT_TRAINED = "not trained here"
MOST_PANELS = 24
Series = tuple[str, str]  # model, regime


@dataclass(frozen=True)
class SeriesLook:
    """How one model × regime is drawn, alike in all panels of a figure."""

    color: Color
    marker: str
    line: Any = "-"

    def of_marker(self, size: float = 0.75) -> Look:
        weight = size * marker_size(self.marker)
        edge: Look = {"markeredgecolor": "white", "markeredgewidth": 0.6}  # wider, it would eat the arms of a star
        return {"color": self.color, "marker": self.marker, "markersize": weight} | edge


@dataclass(frozen=True)
class Panel:
    """One panel: its title, the series in it, and the kind they are of (run, pretrained or people)."""

    title: str
    kind: str
    series: list[Series] = field(default_factory=list)


def panels_of(pooled: pd.DataFrame) -> list[Panel]:
    """A panel for each model that was trained here, one for all networks that were not, one for people.

    pooled: kind, model, regime. Where nothing was trained, networks and people share one panel.
    """
    runs = pooled[pooled["kind"] == "run"]
    names = shortened({model: str(model) for model in runs["model"]})
    panels = [
        Panel(names[model], "run", [(str(model), regime) for regime in regime_order(part["regime"])])
        for model, part in runs.groupby("model", sort=False)
    ]
    for kind, title in (("pretrained", NOT_TRAINED), (PEOPLE, PEOPLE)):
        models = list(dict.fromkeys(pooled.loc[pooled["kind"] == kind, "model"]))
        if models:
            panels.append(Panel(title, kind, [(model, "") for model in models]))
    if [panel.kind for panel in panels] == ["pretrained", PEOPLE]:
        return [Panel("networks and people", "pretrained", [pair for panel in panels for pair in panel.series])]
    return panels


def regime_looks(pooled: pd.DataFrame, style: FigureStyle) -> dict[Series, SeriesLook]:
    """Colour and marker are the regime; networks not trained here have a colour each, people are black."""
    runs = pooled[pooled["kind"] == "run"]
    regimes = regime_order(runs["regime"])
    colors, markers = style.regime_colors(regimes), by_order(regimes, MARKERS)
    looks = {
        (model, regime): SeriesLook(colors[regime], markers[regime])
        for model, regime in zip(runs["model"], runs["regime"], strict=True)
    }
    return looks | _untrained_looks(pooled, style)


def model_looks(pooled: pd.DataFrame, style: FigureStyle) -> dict[Series, SeriesLook]:
    """Colour is the model, marker and line are the regime: for panels that hold all models. People are black."""
    runs = pooled[pooled["kind"] == "run"]
    regimes = regime_order(runs["regime"])
    markers, lines = by_order(regimes, MARKERS), by_order(regimes, LINE_STYLES)
    colors = style.told_apart(dict.fromkeys(pooled.loc[pooled["kind"] != PEOPLE, "model"]))
    looks = {
        (model, regime): SeriesLook(colors[model], markers[regime], lines[regime])
        for model, regime in zip(runs["model"], runs["regime"], strict=True)
    }
    others = pooled.loc[pooled["kind"] == "pretrained", "model"]
    looks |= {(model, ""): SeriesLook(colors[model], PRETRAINED_MARKER) for model in others}
    return looks | _people_looks(pooled)


def _untrained_looks(pooled: pd.DataFrame, style: FigureStyle) -> dict[Series, SeriesLook]:
    models = list(dict.fromkeys(pooled.loc[pooled["kind"] == "pretrained", "model"]))
    colors = style.told_apart(models)
    return {(model, ""): SeriesLook(colors[model], PRETRAINED_MARKER) for model in models} | _people_looks(pooled)


def _people_looks(pooled: pd.DataFrame) -> dict[Series, SeriesLook]:
    models = dict.fromkeys(pooled.loc[pooled["kind"] == PEOPLE, "model"])
    return {(model, ""): SeriesLook(PEOPLE_COLOR, PEOPLE_MARKER) for model in models}


def legend_of(looks: dict[Series, SeriesLook], *, by: str, lines: bool = True) -> list[Line2D]:
    """The legend of either kind of looks; by: regime or model, that which has a colour. Without lines: markers only."""
    no_line: Look = {} if lines else {"linestyle": "none"}
    trained = {pair: look for pair, look in looks.items() if pair[1]}
    others = {pair[0]: look for pair, look in looks.items() if not pair[1] and look.color != PEOPLE_COLOR}
    people = {pair[0]: look for pair, look in looks.items() if look.color == PEOPLE_COLOR}
    names = shortened({model: model for model, _ in looks})
    legend = []
    if by == "model":
        dot: Look = {"marker": "o", "linestyle": "none", "markersize": 7}
        models = {model: look.color for (model, _), look in trained.items()}
        legend += [heading("model")] if models else []
        legend += [
            Line2D([], [], color=color, label=names[model], **dot)
            for model, color in models.items()
            if color != OTHERS_COLOR
        ]
    regimes = {regime: look for (_, regime), look in trained.items()}
    legend += [heading("regime")] if regimes else []
    for regime in regime_order(regimes):
        drawn: Look = {"linestyle": regimes[regime].line, **regimes[regime].of_marker(0.9), **no_line}
        drawn |= {"color": "0.25"} if by == "model" else {}
        legend.append(Line2D([], [], label=cut_name(regime), **drawn))
    legend += [heading(NOT_TRAINED)] if others else []
    apart = {model: look for model, look in others.items() if look.color != OTHERS_COLOR}
    legend += [Line2D([], [], label=names[model], **look.of_marker(1), **no_line) for model, look in apart.items()]
    grey = sum(look.color == OTHERS_COLOR for look in looks.values())
    if grey:
        legend.append(Line2D([], [], color=OTHERS_COLOR, marker=".", label=f"{grey} others", **no_line))
    legend += [heading(PEOPLE)] if people else []
    for name, look in people.items():
        whose = "all together" if name == PEOPLE else names[name]
        legend.append(Line2D([], [], label=whose, **look.of_marker(0.9), **no_line))
    return legend


def panel_grid(figure: Figure, panels: Sequence[object], columns: int, **shared) -> list[Axes]:
    """Axes for the panels, row by row; those left over are hidden."""
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
    look: SeriesLook,
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    line: Any = None,
    band: bool = True,
    label: str = "",
) -> None:
    """One line with its markers, and a band for its interval, at x of the rows."""
    faint = look.color == OTHERS_COLOR
    whose: Look = {"label": label} if label else {}
    axes.plot(
        x,
        rows[value],
        linestyle=look.line if line is None else line,
        linewidth=0.8 if faint else 1.5,
        zorder=2 if faint else 3,
        **(whose | ({"color": OTHERS_COLOR} if faint else look.of_marker(0.7))),
    )
    if band and not faint:
        axes.fill_between(x, rows[bounds[0]], rows[bounds[1]], color=look.color, alpha=0.16, linewidth=0, zorder=1)
