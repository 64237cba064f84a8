"""The style of figures, and how they are saved: colours, markers, identical bytes."""

import re
import textwrap
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator

from shapebias.files import atomic_write

T = TypeVar("T")
Color = tuple[float, float, float]
ArtistStyle = dict[str, Any]  # keyword arguments of matplotlib's artists

PEOPLE_COLOR: Color = (0.0, 0.0, 0.0)
PRETRAINED_COLOR: Color = (0.4, 0.4, 0.4)
OTHERS_COLOR: Color = (0.75, 0.75, 0.75)  # observers beyond the number of distinguishable colours
PRETRAINED_MARKER = "*"
PEOPLE_MARKER = "D"
CONTRAST_ORDER = (0, 1, 2, 3, 4, 9, 5, 6, 8, 7)  # of seaborn's colorblind palette; faint colours and grey are last
MOST_COLORS = 9  # models whose colours differ clearly from each other and from the grey of the rest
# Paul Tol's "muted" scheme. It is safe for colour-blind readers and shares no colour with the models' default palette.
REGIME_COLORS = ("#332288", "#cc6677", "#44aa99", "#999933", "#882255", "#88ccee", "#aa4499", "#117733")
SVG_DPI = 72  # resolution of photographs and matrices inside an SVG file
MARKERS = ("o", "X", "s", "^", "v", "P", "p", "h")
LINE_STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2, 1, 1, 1, 2)),
    (0, (3, 4)),
)


@dataclass(frozen=True)
class FigureStyle:
    """Settings that change the appearance of figures but no number.

    palette: colours of models, a name of seaborn; regime_palette: colours of regimes, a name of seaborn or colours.
    models, regimes: all of the study, in order. They give a model and a regime the same look in every figure, also in
    figures that show only some of them.
    """

    palette: str = "colorblind"
    regime_palette: str | Sequence[str] = REGIME_COLORS
    dpi: int = 150
    font_scale: float = 1.0
    models: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()

    def model_colors(self, models: Iterable[str]) -> dict[str, Color]:
        models = list(models)
        colors = sns.color_palette(self.palette, len(models))
        if self.palette == "colorblind" and len(models) <= len(CONTRAST_ORDER):
            colors = [sns.color_palette("colorblind")[i] for i in CONTRAST_ORDER[: len(models)]]
        return dict(zip(models, colors, strict=True))

    def distinct_colors(self, models: Iterable[str]) -> dict[str, Color]:
        """Return a colour for each of the first MOST_COLORS models; the remaining models are grey."""
        present = list(models)
        everyone = list(dict.fromkeys([*self.models, *present]))
        colors = dict.fromkeys(everyone, OTHERS_COLOR) | self.model_colors(everyone[:MOST_COLORS])
        return {model: colors[model] for model in present}

    def regime_colors(self, regimes: Iterable[str]) -> dict[str, Color]:
        everyone = self.all_regimes(regimes)
        colors = dict(zip(everyone, sns.color_palette(self.regime_palette, len(everyone)), strict=True))
        return {regime: colors[regime] for regime in regimes}

    def regime_markers(self, regimes: Iterable[str]) -> dict[str, str]:
        return assign_in_order(self.all_regimes(regimes), MARKERS)

    def regime_lines(self, regimes: Iterable[str]) -> dict[str, Any]:
        return assign_in_order(self.all_regimes(regimes), LINE_STYLES)

    def all_regimes(self, regimes: Iterable[str]) -> list[str]:
        """Return the regimes of the study, and then those of a figure that the study does not name."""
        return list(dict.fromkeys([*self.regimes, *regimes]))

    @contextmanager
    def apply(self) -> Generator[None]:
        """Set matplotlib's settings for this style, and restore them at the end of the block."""
        settings: Any = {
            **sns.axes_style("whitegrid"),
            **sns.plotting_context("paper", font_scale=1.15 * self.font_scale),
            "font.family": ["sans-serif"],
            "font.sans-serif": ["DejaVu Sans"],  # part of matplotlib, so text is the same on every machine
            "axes.edgecolor": "0.3",
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "grid.color": "0.9",
            "grid.linewidth": 0.8,
            "legend.frameon": False,
        }
        with mpl.rc_context(settings):
            yield


def new_figure(width: float, height: float) -> Figure:
    """Create a figure (size in inches) without pyplot, so that nothing has to be closed."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def assign_in_order(names: Iterable[str], styles: tuple[T, ...]) -> dict[str, T]:
    """Assign each name a style, in order. Styles repeat if there are more names than styles."""
    return {name: styles[i % len(styles)] for i, name in enumerate(names)}


def marker_size(marker: str) -> float:
    """Return the size of a marker in points. Open shapes are larger, so that all markers have equal visual weight."""
    return {"*": 11.0, "X": 8.5, "D": 7.0}.get(marker, 7.5)


def legend_heading(text: str) -> Line2D:
    """Return a legend entry that is only a heading; `add_legend_beside` prints it bold."""
    return Line2D([], [], linestyle="none", label=text, gid="heading")


def add_legend_beside(figure: Figure, handles: list[Line2D]) -> None:
    """Add one legend outside the axes, at the upper right below the title. Call `add_title` first.

    A figure that is too low for the legend grows.
    """
    blank = Line2D([], [], linestyle="none", label=" ")
    above = figure.get_suptitle()
    spaced: list[Line2D] = [blank] * (1 + 2 * above.count("\n") if above else 0)
    for handle in handles:
        if handles[0] is not handle and handle.get_gid() == "heading":
            spaced.append(blank)
        spaced.append(handle)
    points = font_manager.FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points()
    figure.set_figheight(max(figure.get_figheight(), (1.55 * points * len(spaced) + 30) / 72))
    legend = figure.legend(handles=spaced, loc="outside right upper", alignment="left", handlelength=3.6)
    for handle, text in zip(spaced, legend.get_texts(), strict=True):
        if handle.get_gid() == "heading":
            text.set_fontweight("bold")


def set_fraction_axis(axes: Axes) -> None:
    """Set an x axis from 0 to 1, with room for the markers at its ends."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])


def wrap_name(name: str, width: int) -> str:
    """Wrap a name into lines of about `width` letters, breaking only after spaces, underscores and hyphens."""
    lines = [""]
    for part in re.findall(r"[^\s_-]+[\s_-]*|[\s_-]+", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def add_title(figure: Figure, text: str) -> None:
    """Add a title in bold at the upper left of the figure."""
    points = font_manager.FontProperties(size=mpl.rcParams["figure.titlesize"]).get_size_in_points()
    columns = int(figure.get_figwidth() * 72 / (0.63 * points))  # width of a bold letter: 0.63 of its height
    figure.suptitle(textwrap.fill(text, columns), x=0.01, ha="left", fontweight="bold")


def add_note(figure: Figure, *remarks: str) -> None:
    """Add a note below the figure: how to read it, and what it leaves out. A line holds as many remarks as fit."""
    points = font_manager.FontProperties(size="small").get_size_in_points()
    columns = int(figure.get_figwidth() * 72 / (0.58 * points))  # width of a letter: 0.58 of its height
    lines = [""]
    for remark in remarks:
        joined = f"{lines[-1]}     {remark}" if lines[-1] else remark
        if len(joined) <= columns:
            lines[-1] = joined
        else:
            lines[-1:] = [*filter(None, lines[-1:]), *textwrap.wrap(remark, columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize="small", color="0.3")


def draw_dashed_line(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """Draw a thin dashed line across the axes, for chance or for no difference."""
    options: ArtistStyle = {"color": "0.35", "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1}
    if x is not None:
        axes.axvline(x, **options)
    if y is not None:
        axes.axhline(y, **options)


def set_difference_axis(axes: Axes, values: np.ndarray, *, least: float = 0.05) -> None:
    """Set an x axis that is symmetric around 0, as wide as the values and at least ± `least`."""
    widest = 1.1 * max(least, float(np.nanmax(np.abs(values), initial=0)))
    axes.set_xlim(-widest, widest)
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    draw_dashed_line(axes, x=0)


def hatch_missing(axes: Axes, missing: np.ndarray) -> None:
    """Hatch the cells [rows, columns] of a matrix that have no value. Grey could be mistaken for a value."""
    if not missing.any():
        return
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    cells = Outline.make_compound_path(*(Outline(square + cell[::-1], closed=True) for cell in np.argwhere(missing)))
    axes.add_artist(PathPatch(cells, facecolor="white", edgecolor="0.75", hatch="////", linewidth=0))


def name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], size: str = "small") -> None:
    """Write names beside the rows and below the columns of a matrix."""
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=size)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def print_values(axes: Axes, image: AxesImage, values: np.ndarray, form: str = "{:.2f}") -> None:
    """Print each number of a matrix in its cell, dark on light and light on dark."""
    for row, column in np.argwhere(np.isfinite(values)):
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        color = "0.1" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        text = form.format(values[row, column] + 0.0)  # no minus zero
        text = text.replace("-0.00", "0.00").replace("-", "−")
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize="x-small")


def message_figure(text: str, style: FigureStyle | None = None) -> Figure:
    """Create a figure with a message that explains why there is nothing to draw."""
    with (style or FigureStyle()).apply():
        figure = new_figure(7, 1.2)
        figure.text(0.5, 0.5, text, ha="center", va="center", color="0.3", wrap=True)
    return figure


def save_figure(figure: Figure, stem: Path, dpi: int = 150) -> None:
    """Write `<stem>.png` and `<stem>.svg`. The same figure gives the same bytes, and text needs no installed font."""
    # Lay out once for both files. Figure.savefig would lay out and draw each file twice.
    engine = figure.get_layout_engine()
    if figure.axes and engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.set_facecolor("white")
    with mpl.rc_context({"svg.hashsalt": "shapebias", "svg.fonttype": "path"}):
        with atomic_write(stem.with_name(f"{stem.name}.png")) as draft:
            figure.set_dpi(dpi)
            FigureCanvasAgg(figure).print_png(draft, metadata={"Software": None})
        with atomic_write(stem.with_name(f"{stem.name}.svg")) as draft:
            figure.set_dpi(SVG_DPI)
            FigureCanvasSVG(figure).print_svg(draft, metadata={"Date": None, "Creator": None})
