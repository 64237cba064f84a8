"""The frame of a figure: the title and the legend above its panels, and a note below them."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from shapebias.figures.style import MM, MOST_HEIGHT, layout_engine, small_type

MARGIN = 1.0  # mm
LEGEND_GAP = 4.0  # mm between two groups of a legend
LegendGroup = tuple[str, list[Line2D]]  # heading, entries


def add_frame(
    figure: Figure,
    title: str,
    *,
    legend: Sequence[LegendGroup] = (),
    remarks: Sequence[str] = (),
    most: float = MOST_HEIGHT,
) -> None:
    """Add title, legend and note to a figure, which grows by their height, up to `most` mm. Call it last.

    remarks: how to read the figure, and what it leaves out. A line of the note holds as many remarks as fit.
    The legend is a strip of its groups. A strip on the right would take a fifth of the width from the panels.
    """
    wide = figure.get_figwidth() / MM - 2 * MARGIN
    heading = figure.suptitle(
        wrap_text(figure, title, mpl.rcParams["figure.titlesize"], wide, bold=True),
        x=0,
        y=1,
        ha="left",
        va="top",
        fontweight="bold",
        linespacing=1.1,
    )
    note = figure.supxlabel(
        join_remarks(figure, remarks, wide), x=0, y=0, ha="left", va="bottom", fontsize=small_type(), color="0.3"
    )
    groups = [_draw_group(figure, group, wide) for group in legend if group[1]]
    placed, legend_height = _place_groups(figure, groups, wide)
    above = MARGIN + _height(figure, heading) + 0.8 + legend_height
    below = (MARGIN + 0.5 + _height(figure, note)) if remarks else MARGIN
    height = min(figure.get_figheight() / MM + above + below, most)
    figure.set_figheight(height * MM)

    left = MARGIN * MM / figure.get_figwidth()
    heading.set_position((left, 1 - MARGIN / height))
    note.set_position((left, MARGIN / height))
    top = height - above + legend_height
    for (text, entries), (x, down, indent) in zip(groups, placed, strict=True):
        y = (top - down) / height
        text.set_position((left + x / (wide + 2 * MARGIN), y))
        entries.set_bbox_to_anchor((left + (x + indent) / (wide + 2 * MARGIN), y), figure.transFigure)
    for artist in (heading, note, *(part for group in groups for part in group)):
        artist.set_in_layout(False)
    layout_engine(figure).set(rect=(0, below / height, 1, (height - above - below) / height))


def _draw_group(figure: Figure, group: LegendGroup, wide: float) -> tuple[Text, Legend]:
    """Draw a bold heading and its entries, in as many columns as fit beside it."""
    heading, handles = group
    text = figure.text(0, 1, f"{heading}:" if heading else "", va="top", fontsize=small_type(), fontweight="bold")
    room = wide - _width(figure, text)
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles,
            ncols=columns,
            loc="upper left",
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.25,
            handlelength=2.2,
            handletextpad=0.5,
            columnspacing=1.2,
        )
        if columns == 1 or _width(figure, legend) <= room:
            return text, legend
        legend.remove()
    raise AssertionError("a group has entries")


def _place_groups(
    figure: Figure, groups: Sequence[tuple[Text, Legend]], wide: float
) -> tuple[list[tuple[float, float, float]], float]:
    """Return x, distance from the top and indentation of each group in mm, and the height of all lines."""
    placed, x, down, line = [], 0.0, 0.0, 0.0
    for text, entries in groups:
        indent = _width(figure, text) + (1 if text.get_text() else 0)
        width = indent + _width(figure, entries)
        if x > 0 and x + width > wide:
            x, down, line = 0.0, down + line + 0.7, 0.0
        placed.append((x, down, indent))
        x, line = x + width + LEGEND_GAP, max(line, _height(figure, entries))
    return placed, down + line + (0.8 if groups else 0)


def _renderer(figure: Figure) -> RendererAgg:
    assert isinstance(figure.canvas, FigureCanvasAgg)
    return figure.canvas.get_renderer()


def _width(figure: Figure, artist: Text | Legend) -> float:
    return artist.get_window_extent(_renderer(figure)).width / figure.dpi / MM


def _height(figure: Figure, artist: Text | Legend) -> float:
    return artist.get_window_extent(_renderer(figure)).height / figure.dpi / MM


def text_width(figure: Figure, text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a line of text in mm."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return _renderer(figure).get_text_width_height_descent(text, font, ismath=False)[0] / figure.dpi / MM


def wrap_text(figure: Figure, text: str, size: float, wide: float, *, bold: bool = False) -> str:
    """Wrap a text into lines of at most `wide` mm, as set by matplotlib's default hinting, which widens some letters.

    A longer word has a line of its own.
    """
    wide *= 0.97
    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(figure, longer, size, bold=bold) <= wide:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def join_remarks(figure: Figure, remarks: Sequence[str], wide: float) -> str:
    """Return the remarks as lines of at most `wide` mm. A remark that does not fit into a line begins the next one."""
    lines: list[str] = []
    for remark in remarks:
        joined = f"{lines[-1]}     {remark}" if lines else remark
        if lines and text_width(figure, joined, small_type()) <= wide:
            lines[-1] = joined
        else:
            lines += wrap_text(figure, remark, small_type(), wide).split("\n")
    return "\n".join(lines)
