"""How figures look, and how they are written: colours, markers, saved bytes."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.files import replacing

T = TypeVar("T")
Color = tuple[float, float, float]
Look = dict[str, Any]  # keywords that matplotlib draws with

PEOPLE_COLOR: Color = (0.0, 0.0, 0.0)
PRETRAINED_COLOR: Color = (0.4, 0.4, 0.4)
PRETRAINED_MARKER = "*"
PEOPLE_MARKER = "D"
CONTRAST_ORDER = (0, 1, 2, 3, 4, 9, 5, 7, 6, 8)  # of seaborn's colorblind palette: faint pink and yellow come last
# Paul Tol's "muted" scheme: safe for colour-blind readers, and no colour that the default palette gives a model.
REGIME_COLORS = ("#332288", "#cc6677", "#44aa99", "#999933", "#882255", "#88ccee", "#aa4499", "#117733")
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

    def regime_colors(self, regimes: Iterable[str]) -> dict[str, Color]:
        regimes = list(regimes)
        return dict(zip(regimes, sns.color_palette(self.regime_palette, len(regimes)), strict=True))

    @contextmanager
    def applied(self) -> Generator[None]:
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


def by_order(names: Iterable[str], looks: tuple[T, ...]) -> dict[str, T]:
    """Give each name a look, in order; looks repeat when there are more names."""
    return {name: looks[i % len(looks)] for i, name in enumerate(names)}


def marker_size(marker: str) -> float:
    """Points; open shapes are drawn larger to weigh the same."""
    return {"*": 11.0, "X": 8.5, "D": 7.0}.get(marker, 7.5)


def heading(text: str) -> Line2D:
    """A legend entry that is only a heading; `legend_beside` prints it bold."""
    return Line2D([], [], linestyle="none", label=text, gid="heading")


def legend_beside(figure: Figure, handles: list[Line2D]) -> None:
    """One legend, outside, at the upper right."""
    spaced: list[Line2D] = []
    for handle in handles:
        if spaced and handle.get_gid() == "heading":
            spaced.append(Line2D([], [], linestyle="none", label=" "))
        spaced.append(handle)
    legend = figure.legend(handles=spaced, loc="outside right upper", alignment="left", handlelength=3.6)
    for handle, text in zip(spaced, legend.get_texts(), strict=True):
        if handle.get_gid() == "heading":
            text.set_fontweight("bold")


def fraction_axis(axes: Axes) -> None:
    """An x axis from 0 to 1 whose extreme markers are not cut."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])


def message_figure(text: str, style: FigureStyle | None = None) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    with (style or FigureStyle()).applied():
        figure = new_figure(7, 1.2)
        figure.text(0.5, 0.5, text, ha="center", va="center", color="0.3", wrap=True)
    return figure


def save(figure: Figure, stem: Path, dpi: int = 150) -> None:
    """Write `<stem>.png` and `<stem>.svg`: the same figure gives the same bytes, and text needs no installed font."""
    with mpl.rc_context({"svg.hashsalt": "shapebias", "svg.fonttype": "path"}):
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            with replacing(stem.with_name(f"{stem.name}.{suffix}")) as draft:
                figure.savefig(draft, dpi=dpi, format=suffix, metadata=metadata, facecolor="white")
