"""How figures look, and how they are written: colours, markers, saved bytes."""

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

from shapebias.files import replacing

T = TypeVar("T")
Color = tuple[float, float, float]
ArtistStyle = dict[str, Any]  # keywords that matplotlib draws with

PEOPLE_COLOR: Color = (0.0, 0.0, 0.0)
PRETRAINED_COLOR: Color = (0.4, 0.4, 0.4)
OTHERS_COLOR: Color = (0.75, 0.75, 0.75)  # those beyond the number of colours that one can tell apart
PRETRAINED_MARKER = "*"
PEOPLE_MARKER = "D"
CONTRAST_ORDER = (0, 1, 2, 3, 4, 9, 5, 6, 8, 7)  # of seaborn's colorblind palette: faint ones and grey come last
MOST_COLORS = 9  # models that one can tell apart by colour, and from those that have none
# Paul Tol's "muted" scheme: safe for colour-blind readers, and no colour that the default palette gives a model.
REGIME_COLORS = ("#332288", "#cc6677", "#44aa99", "#999933", "#882255", "#88ccee", "#aa4499", "#117733")
SVG_DPI = 72  # of photographs and matrices inside an SVG file
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
    """Looks that change no number. `palette` colours models, `regime_palette` regimes: seaborn's names, or colours."""

    palette: str = "colorblind"
    regime_palette: str | Sequence[str] = REGIME_COLORS
    dpi: int = 150
    font_scale: float = 1.0

    def model_colors(self, models: Iterable[str]) -> dict[str, Color]:
        models = list(models)
        colors = sns.color_palette(self.palette, len(models))
        if self.palette == "colorblind" and len(models) <= len(CONTRAST_ORDER):
            colors = [sns.color_palette("colorblind")[i] for i in CONTRAST_ORDER[: len(models)]]
        return dict(zip(models, colors, strict=True))

    def distinct_colors(self, models: Iterable[str]) -> dict[str, Color]:
        """A colour for each of the first MOST_COLORS models; the others are grey."""
        models = list(models)
        return dict.fromkeys(models, OTHERS_COLOR) | self.model_colors(models[:MOST_COLORS])

    def regime_colors(self, regimes: Iterable[str]) -> dict[str, Color]:
        regimes = list(regimes)
        return dict(zip(regimes, sns.color_palette(self.regime_palette, len(regimes)), strict=True))

    @contextmanager
    def apply(self) -> Generator[None]:
        """Matplotlib's settings for this style, put back afterwards."""
        settings: Any = {
            **sns.axes_style("whitegrid"),
            **sns.plotting_context("paper", font_scale=1.15 * self.font_scale),
            "font.family": ["sans-serif"],
            "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same text on every machine
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
    """A figure (inches) that pyplot does not know: nothing to close, no state left behind."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def assign_in_order(names: Iterable[str], styles: tuple[T, ...]) -> dict[str, T]:
    """Give each name a look, in order; styles repeat when there are more names."""
    return {name: styles[i % len(styles)] for i, name in enumerate(names)}


def marker_size(marker: str) -> float:
    """Points; open shapes are drawn larger to weigh the same."""
    return {"*": 11.0, "X": 8.5, "D": 7.0}.get(marker, 7.5)


def legend_heading(text: str) -> Line2D:
    """A legend entry that is only a heading; `legend_beside` prints it bold."""
    return Line2D([], [], linestyle="none", label=text, gid="heading")


def add_legend_beside(figure: Figure, handles: list[Line2D]) -> None:
    """One legend, outside, at the upper right and below the title (give that first).

    The figure grows where it is too low for it.
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
    """An x axis from 0 to 1 whose extreme markers are not cut."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])


def wrap_name(name: str, width: int) -> str:
    """A name in lines of about `width` letters, broken after spaces, underscores and hyphens only."""
    lines = [""]
    for part in re.findall(r"[^\s_-]+[\s_-]*|[\s_-]+", name):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def add_title(figure: Figure, text: str) -> None:
    """What the figure shows, in bold at its upper left."""
    points = font_manager.FontProperties(size=mpl.rcParams["figure.titlesize"]).get_size_in_points()
    columns = int(figure.get_figwidth() * 72 / (0.63 * points))  # bold letters are that wide, of their height
    figure.suptitle(textwrap.fill(text, columns), x=0.01, ha="left", fontweight="bold")


def add_note(figure: Figure, *remarks: str) -> None:
    """How to read the figure, and what it leaves out, below it: as many remarks a line as there is room for."""
    points = font_manager.FontProperties(size="small").get_size_in_points()
    columns = int(figure.get_figwidth() * 72 / (0.58 * points))  # letters are that wide, of their height
    lines = [""]
    for remark in remarks:
        joined = f"{lines[-1]}     {remark}" if lines[-1] else remark
        if len(joined) <= columns:
            lines[-1] = joined
        else:
            lines[-1:] = [*filter(None, lines[-1:]), *textwrap.wrap(remark, columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize="small", color="0.3")


def draw_dashed_line(axes: Axes, *, x: float | None = None, y: float | None = None) -> None:
    """A thin dashed line across: chance, or no difference."""
    options: ArtistStyle = {"color": "0.35", "linestyle": (0, (4, 3)), "linewidth": 1, "zorder": 1}
    if x is not None:
        axes.axvline(x, **options)
    if y is not None:
        axes.axhline(y, **options)


def set_difference_axis(axes: Axes, values: np.ndarray, *, least: float = 0.05) -> None:
    """An x axis as wide as the values, at least to ± `least`, alike on both sides of no difference."""
    widest = 1.1 * max(least, float(np.nanmax(np.abs(values), initial=0)))
    axes.set_xlim(-widest, widest)
    axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    draw_dashed_line(axes, x=0)


def hatch_missing(axes: Axes, missing: np.ndarray) -> None:
    """Hatch the cells [rows, columns] of a matrix that have no value: grey would be taken for one."""
    if not missing.any():
        return
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    cells = Outline.make_compound_path(*(Outline(square + cell[::-1], closed=True) for cell in np.argwhere(missing)))
    axes.add_artist(PathPatch(cells, facecolor="white", edgecolor="0.75", hatch="////", linewidth=0))


def name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], size: str = "small") -> None:
    """Names beside the rows and below the columns of a matrix."""
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
    """A figure that says in words why there is nothing to draw."""
    with (style or FigureStyle()).apply():
        figure = new_figure(7, 1.2)
        figure.text(0.5, 0.5, text, ha="center", va="center", color="0.3", wrap=True)
    return figure


def save_figure(figure: Figure, stem: Path, dpi: int = 150) -> None:
    """Write `<stem>.png` and `<stem>.svg`: the same figure gives the same bytes, and text needs no installed font."""
    # Once for both. Figure.savefig would lay out and draw each file twice, the first time for nothing.
    engine = figure.get_layout_engine()
    if figure.axes and engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.set_facecolor("white")
    with mpl.rc_context({"svg.hashsalt": "shapebias", "svg.fonttype": "path"}):
        with replacing(stem.with_name(f"{stem.name}.png")) as draft:
            figure.set_dpi(dpi)
            FigureCanvasAgg(figure).print_png(draft, metadata={"Software": None})
        with replacing(stem.with_name(f"{stem.name}.svg")) as draft:
            figure.set_dpi(SVG_DPI)
            FigureCanvasSVG(figure).print_svg(draft, metadata={"Date": None, "Creator": None})
