"""A small silhouette of each of the 16 categories, to put beside its name in a figure.

The outlines come from the synthetic photographs, in the pose that is easiest to recognize at 16 pixels. Bicycle and
keyboard are drawn here instead, because the thin lines of the synthetic ones vanish at that size.
"""

import functools
from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, DrawingArea
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from shapebias.errors import UserError
from shapebias.seeding import generator
from shapebias.synthetic import animals, bears_and_elephants, birds, household, objects, vehicles, wheels
from shapebias.synthetic.parts import FilledOutline, box, render_mask, ring, stroke
from shapebias.synthetic.sketching import Kind

GRID = 128  # pixels: side of the mask on which outlines are traced
DETAIL = 48  # pixels: outlines are exact up to this size
ICON_MARGIN = 0.04  # of the unit square, on all sides


def bicycle(_: np.random.Generator) -> list[FilledOutline]:
    """Draw a bicycle of thick tubes: two rings, a diamond frame, saddle and bar."""
    wheels_ = [*ring(0.23, 0.66, 0.22, 0.145), *ring(0.77, 0.66, 0.22, 0.145)]
    tubes = [
        *stroke([(0.23, 0.66), (0.37, 0.36), (0.66, 0.36), (0.46, 0.66), (0.23, 0.66)], 0.06),
        *stroke([(0.46, 0.66), (0.34, 0.28)], 0.06),
        *stroke([(0.77, 0.66), (0.62, 0.22), (0.74, 0.20)], 0.06),
        *stroke([(0.26, 0.27), (0.42, 0.27)], 0.075),
    ]
    return [*wheels_, *tubes]


def keyboard(_: np.random.Generator) -> list[FilledOutline]:
    """Draw a keyboard with few, large keys."""
    keys = [box(x, y, x + 0.1, y + 0.09, hole=True) for y in (0.34, 0.48) for x in (0.12, 0.275, 0.43, 0.585, 0.74)]
    return [box(0.04, 0.26, 0.96, 0.76, radius=0.07), *keys, box(0.25, 0.62, 0.71, 0.69, hole=True)]


DRAWINGS: dict[str, Kind] = {
    "airplane": vehicles.airliner_above,
    "bear": bears_and_elephants.walking_bear,
    "bicycle": bicycle,
    "bird": birds.perched_songbird,
    "boat": vehicles.sloop,
    "bottle": objects.bordeaux,
    "car": wheels.sedan,
    "cat": animals.sitting_cat,
    "chair": household.ladder_back_chair,
    "clock": household.wall_clock,
    "dog": animals.standing_dachshund,
    "elephant": bears_and_elephants.african_elephant_side,
    "keyboard": keyboard,
    "knife": objects.chefs_knife,
    "oven": household.stove,
    "truck": wheels.semi_trailer,
}


@functools.cache
def category_icon(category: str) -> Path:
    """Return the silhouette of a category: one closed path with holes, inside the unit square, with y pointing up.

    Raises UserError for any name that is not one of the 16 categories.
    """
    if category not in DRAWINGS:
        raise UserError(f"no icon of {category!r}; there are {', '.join(DRAWINGS)}")
    draw: Callable = DRAWINGS[category]
    coverage, _ = render_mask(draw(generator(0, "icon", category)), GRID)
    coverage = np.pad(coverage, 1)[::-1]  # the padding closes outlines at the edge; y points up
    middles = (np.arange(GRID + 2) - 0.5) / GRID
    (path,) = Figure().subplots().contourf(middles, middles, coverage, levels=[0.5, 2]).get_paths()
    vertices = np.asarray(path.vertices)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    scale = (1 - 2 * ICON_MARGIN) / (high - low).max()
    # Matplotlib drops points that move an outline by less than a ninth of a unit, so the unit here is a pixel.
    large = Affine2D().translate(*(-(low + high) / 2)).scale(scale * DETAIL).transform_path(path)
    return Affine2D().scale(1 / DETAIL).translate(0.5, 0.5).transform_path(large.cleaned(simplify=True))


def draw_icon(axes: Axes, category: str, y: float, *, points: float, offset: float, color: str = "0.2") -> Artist:
    """Put a category's icon beside the axes, at height `y` in data units.

    points: the side of the icon; offset: points from the left spine to the icon's right side, negative to the left.
    """
    area = DrawingArea(points, points)
    path = Affine2D().scale(points).transform_path(category_icon(category))
    area.add_artist(PathPatch(path, facecolor=color, edgecolor="none", linewidth=0))
    artist = AnnotationBbox(
        area,
        (0, y),
        xybox=(offset, 0),
        xycoords=axes.get_yaxis_transform(),
        boxcoords="offset points",
        box_alignment=(1, 0.5),
        frameon=False,
        pad=0,
        annotation_clip=False,
    )
    axes.add_artist(artist)
    return artist
