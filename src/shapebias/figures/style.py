"""The style of figures: sizes, type, colours and markers."""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from shapebias.errors import UserError

T = TypeVar("T")
Color = tuple[float, float, float]
ArtistStyle = dict[str, Any]  # keyword arguments of matplotlib's artists
Width = Literal[85, 180]

# Millimetres. Journals print figures as wide as one column or as the page.
COLUMN_WIDTH: Width = 85
PAGE_WIDTH: Width = 180
MOST_HEIGHT = 230
BODY_HEIGHT = 192  # of the panels; the rest is for title, legend and note
MM = 1 / 25.4  # inches
# Points at a font scale of 1. Journals ask for 7 to 9.
TITLE_TYPE, TEXT_TYPE, SMALL_TYPE = 9.0, 8.0, 7.0
TEXT_SHAPES: Any = {"text.hinting": "no_hinting"}  # so that text is equally wide at every resolution
ROW_HEIGHT = 3.1  # mm of a line of small type in a list

LEAST_CONTRAST = 3.0  # of markers and lines against white (WCAG 2.2, success criterion 1.4.11)
PEOPLE_COLOR: Color = (0.0, 0.0, 0.0)
PRETRAINED_COLOR: Color = (0.4, 0.4, 0.4)
OTHERS_COLOR: Color = (0.57, 0.57, 0.57)  # observers beyond the number of distinguishable colours
PRETRAINED_MARKER = "*"
PEOPLE_MARKER = "D"
CONTRAST_ORDER = (0, 1, 2, 3, 4, 9, 5, 6, 8, 7)  # of seaborn's colorblind palette; faint colours and grey are last
MOST_COLORS = 9  # models whose colours differ clearly from each other and from the grey of the rest
# After Paul Tol's "muted" scheme, with its faint colours darkened. The first four differ for colour-blind readers, too:
# by at least 28 (CIE 1976) as simulated for each of the three kinds of colour blindness.
REGIME_COLORS = ("#332288", "#d5586b", "#3a96c8", "#7a6a10", "#7a1f4f", "#117733", "#c069b8", "#2a8f7f")
DEFAULT_PALETTE = "colorblind"
MARKERS = ("o", "X", "s", "^", "v", "P", "p", "h")
DASHES = (0, (4, 3))
HALO: ArtistStyle = {"markeredgecolor": "white", "markeredgewidth": 0.4}  # a wider edge would hide the arms of a star


@dataclass(frozen=True)
class FigureStyle:
    """Settings that change the appearance of figures but no number.

    palette: a name of seaborn, for regimes, or for networks in a study without regimes. `colorblind`, the default, is
    REGIME_COLORS for regimes. Colours that are too faint on white are darkened.
    models, regimes: all of the study, in order. They give a model and a regime the same look in every figure, also in
    figures that show only some of them.
    """

    palette: str = DEFAULT_PALETTE
    dpi: int = 300
    font_scale: float = 1.0
    models: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()

    def model_colors(self, models: Iterable[str]) -> dict[str, Color]:
        models = list(models)
        colors = sns.color_palette(self.palette, len(models))
        if self.palette == DEFAULT_PALETTE and len(models) <= len(CONTRAST_ORDER):
            colors = [sns.color_palette(DEFAULT_PALETTE)[i] for i in CONTRAST_ORDER[: len(models)]]
        return dict(zip(models, map(darken, colors), strict=True))

    def distinct_colors(self, models: Iterable[str]) -> dict[str, Color]:
        """Return a colour for each of the first MOST_COLORS models; the remaining models are grey."""
        present = list(models)
        everyone = list(dict.fromkeys([*self.models, *present]))
        colors = dict.fromkeys(everyone, OTHERS_COLOR) | self.model_colors(everyone[:MOST_COLORS])
        return {model: colors[model] for model in present}

    def regime_colors(self, regimes: Iterable[str]) -> dict[str, Color]:
        everyone = self.all_regimes(regimes)
        palette = REGIME_COLORS if self.palette == DEFAULT_PALETTE else self.palette
        palette = sns.color_palette(palette, len(everyone))
        colors = dict(zip(everyone, map(darken, palette), strict=True))
        return {regime: colors[regime] for regime in regimes}

    def regime_markers(self, regimes: Iterable[str]) -> dict[str, str]:
        return assign_in_order(self.all_regimes(regimes), MARKERS)

    def all_regimes(self, regimes: Iterable[str]) -> list[str]:
        """Return the regimes of the study, and then those of a figure that the study does not name."""
        return list(dict.fromkeys([*self.regimes, *regimes]))

    @contextmanager
    def apply(self) -> Generator[None]:
        """Set matplotlib's settings for this style, and restore them at the end of the block."""
        title, text, small = (self.font_scale * size for size in (TITLE_TYPE, TEXT_TYPE, SMALL_TYPE))
        settings: Any = {
            **sns.axes_style("whitegrid"),
            "font.family": ["sans-serif"],
            "font.sans-serif": ["DejaVu Sans"],  # part of matplotlib, so text is the same on every machine
            **TEXT_SHAPES,
            **dict.fromkeys(["font.size", "axes.titlesize", "axes.labelsize", "figure.labelsize"], text),
            **dict.fromkeys(["xtick.labelsize", "ytick.labelsize", "legend.fontsize"], small),
            "figure.titlesize": title,
            "axes.edgecolor": "0.3",
            "axes.labelpad": 2,
            "axes.linewidth": 0.6,
            "axes.titlelocation": "left",
            "axes.titlepad": 3,
            "axes.titleweight": "bold",
            **dict.fromkeys(["xtick.major.width", "ytick.major.width", "hatch.linewidth", "patch.linewidth"], 0.5),
            **dict.fromkeys(["xtick.major.size", "ytick.major.size", "xtick.major.pad", "ytick.major.pad"], 2),
            "grid.color": "0.9",
            "grid.linewidth": 0.5,
            "legend.frameon": False,
            "lines.linewidth": 1,
            "lines.markersize": 4,
        }
        with mpl.rc_context(settings):
            yield


class NoDataError(UserError):
    """The tables hold no data for a figure; the message says which."""


def new_figure(width: Width, height: float) -> Figure:
    """Create a figure without pyplot, so that nothing has to be closed.

    width: COLUMN_WIDTH or PAGE_WIDTH. height: of the panels, in mm at a font scale of 1; `add_frame` makes the figure
    higher.
    """
    scale = small_type() / SMALL_TYPE
    figure = Figure(figsize=(width * MM, height * scale * MM), layout="constrained")
    layout_engine(figure).set(w_pad=1.2 * MM, h_pad=0.8 * MM, wspace=0, hspace=0)
    FigureCanvasAgg(figure)
    return figure


def layout_engine(figure: Figure) -> ConstrainedLayoutEngine:
    """Return the engine that lays out the panels of a new figure."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    return engine


def small_type() -> float:
    """Return the size of tick labels, numbers and notes in points, in the style that is applied."""
    return mpl.rcParams["xtick.labelsize"]


def contrast_to_white(color: Color) -> float:
    """Return the contrast of a colour to white, from 1 to 21, as WCAG 2.2 defines it."""
    channels = np.asarray(color)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)


def darken(color: Color) -> Color:
    """Return the colour, as much darker as LEAST_CONTRAST asks for."""
    while contrast_to_white(color) < LEAST_CONTRAST:
        red, green, blue = color
        color = (0.97 * red, 0.97 * green, 0.97 * blue)
    return color


def assign_in_order(names: Iterable[str], styles: tuple[T, ...]) -> dict[str, T]:
    """Assign each name a style, in order. Styles repeat if there are more names than styles."""
    return {name: styles[i % len(styles)] for i, name in enumerate(names)}


def marker_size(marker: str) -> float:
    """Return the size of a marker in points. Open shapes are larger, so that all markers have equal visual weight."""
    return {"*": 6.4, "X": 4.9, "D": 3.9}.get(marker, 4.3)


def set_fraction_axis(axes: Axes, *, ticks: int = 6) -> None:
    """Set an x axis from 0 to 1, with room for the markers at its ends."""
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks(np.linspace(0, 1, ticks))
    axes.xaxis.set_major_formatter(format_tick)


def format_tick(value: float, _: float = 0) -> str:
    """Return the number at a tick, without zeros at its end."""
    return f"{value:.6g}".replace("-", "−")


def wrap_name(name: str, width: int) -> str:
    """Wrap a name into lines of about `width` letters, breaking only after spaces, underscores and hyphens."""
    lines = [""]
    for part in re.findall(r"[^\s_-]+[\s_-]*|[\s_-]+", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def name_width(name: str) -> float:
    """Return about how wide a name in small type is, in mm at a font scale of 1."""
    return 0.62 * SMALL_TYPE * 25.4 / 72 * len(name)


def draw_dashed_line(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """Draw a thin dashed line across the axes, for chance or for no difference."""
    options: ArtistStyle = {"color": "0.35", "linestyle": DASHES, "linewidth": 0.7, "zorder": 1}
    if x is not None:
        axes.axvline(x, **options)
    if y is not None:
        axes.axhline(y, **options)


def set_difference_axis(axes: Axes, values: np.ndarray, *, least: float = 0.05) -> None:
    """Set an x axis that is symmetric around 0, as wide as the values and at least ± `least`."""
    widest = 1.1 * max(least, float(np.nanmax(np.abs(values), initial=0)))
    axes.set_xlim(-widest, widest)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    draw_dashed_line(axes, x=0)
