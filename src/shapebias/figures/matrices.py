"""Matrices of numbers: observers against benchmarks, conditions or categories, and observers against each other."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from shapebias.figures.forest_plot import HEADING, ForestRow
from shapebias.figures.frame import text_width
from shapebias.figures.style import MM, PAGE_WIDTH, ArtistStyle, name_width, new_figure, small_type, wrap_name
from shapebias.tables.summaries import PEOPLE, observer_kinds, observer_names, shorten_name, shorten_names

CELL_HEIGHT = 2.65  # mm of a row with a name
LEAST_PRINTED = 5.8  # mm of a cell with a number such as 0.25
LEAST_NAMED = 2.7  # mm of a column with a name
NAME_LENGTH = 14  # letters in a line of a model's name
GROUP_GAP = 0.5  # columns between two groups


RowLabel = tuple[str, str]  # the model of a run, or "", and what tells it from the other rows of the model


@dataclass(frozen=True)
class ColumnGroup:
    """Columns of a matrix that belong together; columns: value → its name."""

    title: str
    columns: Mapping[str, str]


def matrix_of_observers(
    rows: Sequence[ForestRow], groups: Sequence[ColumnGroup], values: np.ndarray, *, label: str
) -> tuple[Figure, bool]:
    """Draw numbers from 0 to 1 of observers: float [rows without headings, columns of all groups].

    Return the figure, and whether its columns are wide enough for names. Numbers are printed if the cells are wide
    enough, and explained by a bar of colours otherwise.
    """
    names = [name for group in groups for name in group.columns.values()]
    starts = np.cumsum([0.0, *(len(group.columns) + GROUP_GAP for group in groups)])
    positions = np.concatenate(
        [start + np.arange(len(group.columns)) for start, group in zip(starts[:-1], groups, strict=True)]
    )
    labels = label_rows(rows)
    beside = labels_width(labels)
    cell = (PAGE_WIDTH - beside - 5) / (positions[-1] + 1)
    printed, named = cell >= LEAST_PRINTED, cell >= LEAST_NAMED
    upright = max(map(name_width, names)) > cell - 0.8
    titles = [wrap_name(group.title, int(cell * len(group.columns) / name_width("m"))) for group in groups]
    sideways = any(
        max(map(name_width, title.split("\n"))) > cell * len(group.columns) or title.count("\n") > 3
        for title, group in zip(titles, groups, strict=True)
    )
    titles = [group.title for group in groups] if sideways else titles
    above = max(map(name_width, titles)) if sideways else 3 * (1 + max(title.count("\n") for title in titles))
    below = (max(map(name_width, names)) if upright else 3) if named else 0
    figure = new_figure(PAGE_WIDTH, above + CELL_HEIGHT * len(labels) + below + (0 if printed else 11) + 3)
    axes = figure.subplots()
    image = None
    for start, group, title in zip(starts[:-1], groups, titles, strict=True):  # an image each, because they are apart
        column = round(start - GROUP_GAP * groups.index(group))
        part = values[:, column : column + len(group.columns)]
        image = _draw_group(axes, part, start, printed=printed)
        place: ArtistStyle = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        place |= {"fontsize": small_type(), "fontweight": "bold", "linespacing": 1}
        middle = start + (len(group.columns) - 1) / 2
        if title:
            axes.annotate(title, (middle, -0.5), rotation=90 if sideways else 0, annotation_clip=False, **place)
    assert image is not None
    axes.set(xlim=(-0.5, positions[-1] + 0.5), ylim=(len(labels) - 0.5, -0.5))
    name_cells(axes, labels, names if named else [], positions, upright=upright)
    if not printed:
        figure.colorbar(image, ax=axes, location="bottom", shrink=0.4, aspect=40, pad=0.01, label=label)
    return figure, named


def _draw_group(axes: Axes, values: np.ndarray, left: float, *, printed: bool) -> AxesImage:
    """Draw the cells of one group; left: position of its first column. Ten shades suffice behind printed numbers."""
    rows, columns = values.shape
    shades = mpl.colormaps["cividis"].resampled(10 if printed else 256)
    extent = (left - 0.5, left + columns - 0.5, rows - 0.5, -0.5)
    options: ArtistStyle = {"aspect": "auto", "interpolation": "none", "zorder": 1}
    image = axes.imshow(values, cmap=shades, vmin=0, vmax=1, extent=extent, **options)
    hatch_missing(axes, ~np.isfinite(values), left)
    if printed:
        print_values(axes, image, values, left=left)
    return image


def label_rows(rows: Sequence[ForestRow]) -> list[RowLabel]:
    """Return the label of each row that is no heading: a model trained here stands beside its regimes."""
    labels, heading = [], ""
    for row in rows:
        if row.kind == HEADING:
            heading = row.label
        elif row.kind == "run":
            labels.append((heading, row.label))
        else:
            labels.append(("", PEOPLE if row.label == "pooled" else row.label))
    return labels


def label_observers(table: pd.DataFrame) -> dict[str, RowLabel]:
    """Return observer → label, in the order of figures; table: rows with observer, model, regime and seed."""
    identities = table.drop_duplicates("observer").set_index("observer")
    kinds = observer_kinds(identities.reset_index()).set_axis(identities.index)
    models = shorten_names({name: str(name) for name in identities["model"]})
    labels = {}
    for observer, name in observer_names(table).items():
        model = identities.at[observer, "model"]
        is_run = kinds[observer] == "run"
        labels[observer] = (models[model], name.removeprefix(f"{model} ")) if is_run else ("", shorten_name(name))
    return labels


def labels_width(labels: Sequence[RowLabel]) -> float:
    """Return about how wide labels are in mm, at a font scale of 1."""
    inner = max((name_width(label) for model, label in labels if model), default=0)
    outer = max((name_width(line) for name, _ in _wrap_models(labels) for line in name.split("\n")), default=0)
    return max(inner + 1.1 * outer + 2, *(name_width(label) for _, label in labels))


def _wrap_models(labels: Sequence[RowLabel]) -> list[tuple[str, float]]:
    """Return the name of each model and the middle of its rows; the name has no more lines than the model has rows."""
    names, position = [], 0
    for model, members in itertools.groupby(labels, key=lambda label: label[0]):
        count = len(list(members))
        name, length = wrap_name(model, NAME_LENGTH), len(model)
        while name.count("\n") >= count:
            length -= 1
            name = wrap_name(shorten_name(model, length), NAME_LENGTH)
        names += [(name, position + (count - 1) / 2)] if model else []
        position += count
    return names


def hatch_missing(axes: Axes, missing: np.ndarray, left: float = 0) -> None:
    """Hatch the cells [rows, columns] of a matrix that have no value. Grey could be mistaken for a value.

    left: the position of the first column.
    """
    if not missing.any():
        return
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    corners = [square + (column + left, row) for row, column in np.argwhere(missing)]
    cells = Outline.make_compound_path(*(Outline(corner, closed=True) for corner in corners))
    axes.add_artist(PathPatch(cells, facecolor="white", edgecolor="0.7", hatch="////", linewidth=0))


def name_cells(
    axes: Axes,
    rows: Sequence[RowLabel],
    columns: Sequence[str],
    positions: Sequence[float] | np.ndarray = (),
    *,
    upright: bool = True,
) -> None:
    """Write names beside the rows and below the columns of a matrix, with a gap between models.

    positions: of the columns, if not 0, 1, …
    """
    if columns:
        axes.set_xticks(positions if len(positions) else range(len(columns)), columns, rotation=90 if upright else 0)
    else:
        axes.set_xticks([])
    axes.set_yticks(range(len(rows)), [label for _, label in rows])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    indent = max((text_width(figure, label, small_type()) for model, label in rows if model), default=0)
    place: ArtistStyle = {"xytext": (-(indent + 2) * MM * 72, 0), "textcoords": "offset points", "linespacing": 1}
    place |= {"ha": "right", "va": "center", "fontsize": small_type(), "fontweight": "bold"}
    for name, middle in _wrap_models(rows):
        axes.annotate(name, (0, middle), xycoords=axes.get_yaxis_transform(), annotation_clip=False, **place)
    for i, ((model, _), (model_above, _)) in enumerate(zip(rows[1:], rows, strict=False)):
        if model != model_above:
            axes.axhline(i + 0.5, color="white", linewidth=1.5, zorder=2)


def print_values(axes: Axes, image: AxesImage, values: np.ndarray, form: str = "{:.2f}", *, left: float = 0) -> None:
    """Print each number of a matrix in its cell, dark on light and light on dark.

    left: position of the first column.
    """
    for row, column in np.argwhere(np.isfinite(values)):
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        color = "0.1" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        text = form.format(values[row, column] + 0.0)  # no minus zero
        text = text.replace("-0.00", "0.00").replace("-", "−")
        axes.text(column + left, row, text, ha="center", va="center_baseline", color=color, fontsize=small_type())
