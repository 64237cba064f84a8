"""The atlas: the shape bias of the study's networks among published observers, in groups."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapebias.evaluation.published import PERSON
from shapebias.figures.frame import add_frame
from shapebias.figures.style import (
    BODY_HEIGHT,
    HALO,
    PAGE_WIDTH,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_COLOR,
    PRETRAINED_MARKER,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    draw_dashed_line,
    new_figure,
    set_fraction_axis,
    small_type,
)
from shapebias.tables.atlas import OWN, POOLED
from shapebias.tables.summaries import short_observer_names

STEP = 1.0  # mm from one observer of a group to the next
NAMED_STEP = 3.0  # mm, for observers of the study, whose names are printed
GROUP_GAP = 3.2  # mm between groups
AXIS_HEIGHT = 12  # mm of tick labels and axis label


def atlas_overview(atlas: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the shape bias of every observer with its 95 % interval, in the groups of the table `atlas`.

    The networks of the study have the colours and markers of the other figures, and their names. A vertical line is the
    bias of all people of a group together.
    """
    style = style or FigureStyle()
    single = atlas[(atlas["kind"] != POOLED) & atlas["shape_bias"].notna()]
    if single.empty:
        raise NoDataError("atlas: no published observer to show.")
    pooled = atlas[atlas["kind"] == POOLED].set_index("group")["shape_bias"].to_dict()
    places, centres, height = lay_out(single)
    body = BODY_HEIGHT - AXIS_HEIGHT
    with style.apply():
        figure = new_figure(PAGE_WIDTH, AXIS_HEIGHT + min(height, body))
        axes = figure.subplots()
        styles = own_styles(single, style)
        names = short_observer_names(single[single["group"] == OWN]) if styles else {}
        for row, y in zip(single.to_dict("records"), places, strict=True):
            _draw_observer(axes, row, y, styles, names)
        for group, (first, last, _) in centres.items():
            if group in pooled:
                axes.plot([pooled[group]] * 2, [first - STEP, last + STEP], color=PEOPLE_COLOR, linewidth=1.2, zorder=4)
        counts = single["group"].value_counts()
        axes.set_yticks([centre for *_, centre in centres.values()], [f"{name} ({counts[name]})" for name in centres])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(height, 0)
        set_fraction_axis(axes)
        draw_dashed_line(axes, x=0.5)
        axes.set_xlabel("← texture          shape bias          shape →")
        title = f"Shape bias of {len(single)} observers on the published cue conflicts"
        remarks = [
            "point: an observer; bar: its 95 % interval over images",
            "black line: all people of a group together",
        ]
        add_frame(figure, title, remarks=[*remarks, "in brackets: number of observers"])
    return figure


def lay_out(single: pd.DataFrame) -> tuple[list[float], dict[str, tuple[float, float, float]], float]:
    """Place observers from top to bottom, in the order of the table.

    Returns the place of each observer in mm; group → its first place, its last place and the centre; and the height.
    """
    places: list[float] = []
    groups: dict[str, tuple[float, float, float]] = {}
    y = 0.0
    for group, part in single.groupby("group", sort=False):
        y += GROUP_GAP
        step = NAMED_STEP if group == OWN else STEP
        rows = [y + step * k for k in range(len(part))]
        places += rows
        groups[str(group)] = (rows[0], rows[-1], (rows[0] + rows[-1]) / 2)
        y = rows[-1]
    return places, groups, y + GROUP_GAP


def own_styles(single: pd.DataFrame, style: FigureStyle) -> dict[str, ArtistStyle]:
    """Return colour and marker of each network of the study: those of its regime, or those of networks not trained."""
    own = single[single["group"] == OWN]
    regimes = [regime for regime in dict.fromkeys(own["regime"].fillna("")) if regime]
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    return {
        row["observer"]: {
            "color": colors.get(row["regime"], PRETRAINED_COLOR),
            "marker": markers.get(row["regime"], PRETRAINED_MARKER),
            "markersize": 5,
        }
        for row in own.to_dict("records")
    }


def _draw_observer(
    axes: Axes, row: Mapping, y: float, styles: Mapping[str, ArtistStyle], names: Mapping[str, str]
) -> None:
    person = row["kind"] == PERSON
    artist_style: ArtistStyle = styles.get(row["observer"]) or {
        "color": PEOPLE_COLOR if person else PRETRAINED_COLOR,
        "marker": PEOPLE_MARKER if person else PRETRAINED_MARKER,
        "markersize": 1.8 if person else 2.6,
    }
    is_own = row["observer"] in styles
    width, alpha, edge = (1.4, 1.0, HALO) if is_own else (0.5, 0.5, {"markeredgewidth": 0})
    bounds = [value for value in (row["ci_low"], row["ci_high"]) if np.isfinite(value)]
    axes.plot(bounds, [y] * len(bounds), color=artist_style["color"], linewidth=width, alpha=alpha)
    axes.plot([row["shape_bias"]], [y], linestyle="none", zorder=5, **artist_style, **edge)
    if is_own:
        text: ArtistStyle = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "zorder": 6}
        text |= {"fontsize": small_type(), "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.4}}
        axes.annotate(names[row["observer"]], (max([row["shape_bias"], *bounds]), y), **text)
