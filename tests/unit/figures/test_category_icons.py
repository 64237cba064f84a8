"""Each category has a silhouette that differs from all other silhouettes at 16 pixels."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.figures.category_icons import category_icon, draw_icon
from shapebias.figures.style import PAGE_WIDTH, FigureStyle, new_figure


def pixels(category: str, side: int = 16) -> np.ndarray:
    """Draw the icon as in a figure: float [side, side], 1 for black."""
    figure = Figure(figsize=(side / 100, side / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.add_patch(PathPatch(category_icon(category), facecolor="black", linewidth=0))
    canvas.draw()
    return 1 - np.asarray(canvas.buffer_rgba())[..., 0] / 255


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_icon_fills_its_square_in_one_direction(category):
    corners = np.asarray(category_icon(category).get_extents())
    assert corners.min() >= 0 and corners.max() <= 1
    np.testing.assert_allclose((corners[1] - corners[0]).max(), 0.92, atol=0.01)  # less a margin of 4 % on each side
    np.testing.assert_allclose(corners.mean(axis=0), 0.5, atol=0.01)


def test_icons_differ_at_16_pixels():
    drawn = {category: pixels(category) for category in CATEGORIES}
    for first, second in itertools.combinations(CATEGORIES, 2):
        ink = np.maximum(drawn[first], drawn[second]).sum()
        assert np.abs(drawn[first] - drawn[second]).sum() > 0.25 * ink, (first, second)


def test_icons_keep_holes_open_and_point_upwards():
    bicycle, elephant = pixels("bicycle", 64), pixels("elephant", 64)
    wheel = bicycle[42, 15]  # the lower half of the rear wheel is open, and its rim is closed
    assert wheel == pytest.approx(0, abs=0.1) and bicycle.max() == 1
    assert (
        elephant[-16:].sum() > 0 and elephant[:32].sum() > elephant[48:].sum()
    )  # y points up: legs, not a back, below


def test_an_icon_is_beside_the_axes_at_the_height_of_its_row():
    with FigureStyle().apply():
        figure = new_figure(PAGE_WIDTH, 100)
    axes = figure.subplots()
    axes.set_ylim(2.5, -0.5)
    artist = draw_icon(axes, "cat", 1.0, points=20, offset=-6)
    figure.draw_without_rendering()
    box = artist.get_window_extent()
    left, middle = axes.transAxes.transform((0, 0.5))
    assert box.x1 == pytest.approx(left - 6 * figure.dpi / 72, abs=0.5)
    assert (box.y0 + box.y1) / 2 == pytest.approx(middle, abs=0.5)
    assert box.height == pytest.approx(20 * figure.dpi / 72, abs=0.5)


def test_an_unknown_category_is_refused():
    with pytest.raises(UserError, match=r"zebra.*airplane"):
        category_icon("zebra")
