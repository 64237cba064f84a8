"""Photographs with one cue suppressed: what goes, and what stays as it was."""

import json
import math

import numpy as np
import pytest
from helpers import ROOT

from shapebias.errors import UserError
from shapebias.evaluation.cue_suppression import (
    STRENGTHS,
    checked,
    conditions,
    greyed,
    read_strengths,
    shuffled,
    smoothed,
    suppressed,
    words,
)

NOISE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
IMAGES = [f"image{k}" for k in range(200)]


def patches(pixels: np.ndarray, side: int) -> list[bytes]:
    """The square patches of an image, row by row."""
    starts = range(0, len(pixels), side)
    return [pixels[top : top + side, left : left + side].tobytes() for top in starts for left in starts]


# Shape


@pytest.mark.parametrize("grid", [2, 4, 8])
def test_shuffling_keeps_every_patch_and_never_their_order(grid):
    before = patches(NOISE, 32 // grid)
    assert len(set(before)) == grid * grid
    for image in IMAGES:  # of four patches every 24th order is the original one
        after = patches(shuffled(NOISE, grid, image), 32 // grid)
        assert sorted(after) == sorted(before) and after != before


def test_a_shuffle_depends_on_the_image_and_the_grid_alone():
    assert (shuffled(NOISE, 4, "a") == shuffled(NOISE, 4, "a")).all()
    orders = {tuple(patches(shuffled(NOISE, 4, image), 8)) for image in IMAGES}
    assert len(orders) == len(IMAGES)
    turned = 255 - NOISE  # another picture by the same name is shuffled alike
    assert (shuffled(turned, 4, "a") == 255 - shuffled(NOISE, 4, "a")).all()


def test_what_a_grid_leaves_over_stays_at_the_rim():
    made = shuffled(NOISE, 3, "a")  # 3 × 10 pixels, one left over on each side
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert (made[rim] == NOISE[rim]).all()
    assert sorted(patches(made[1:-1, 1:-1], 10)) == sorted(patches(NOISE[1:-1, 1:-1], 10))


def test_more_patches_than_pixels_are_refused():
    with pytest.raises(UserError, match="shape 33"):
        shuffled(NOISE, 33, "a")


# Texture


def test_smoothing_takes_a_faint_pattern_and_keeps_an_edge():
    checks = np.indices((16, 16)).sum(axis=0) % 2
    faint = np.repeat((100 + 4 * checks)[..., None], 3, axis=2).astype(np.uint8)  # 100 and 104
    assert set(np.unique(smoothed(faint, 1))) <= {101, 102, 103}
    edge = np.zeros((16, 16, 3), dtype=np.uint8)
    edge[:, 8:] = 255
    assert (smoothed(edge, 2) == edge).all()


def plainly_smoothed(pixels: np.ndarray, window: int, deviation: float) -> np.ndarray:
    """A bilateral filter pixel by pixel: a disc `window` pixels across, mirrored at the rim."""
    size, reach = len(pixels), window // 2
    inside = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if math.hypot(y, x) <= reach]
    mirrored = [*range(size), *range(size - 2, -1, -1)] * 2  # 0 1 2 3 2 1 0, forwards and for negative indices
    made = np.zeros(pixels.shape)
    for i in range(size):
        for j in range(size):
            near = [pixels[mirrored[abs(i + y)], mirrored[abs(j + x)]].astype(float) for y, x in inside]
            weights = [math.exp(-((np.abs(one - pixels[i, j]).sum() / deviation) ** 2) / 2) for one in near]
            made[i, j] = np.average(near, axis=0, weights=weights)
    return made


@pytest.mark.parametrize(("sigma", "window", "deviation"), [(1, 4, 50), (1.5, 6, 80)])  # of the published code
def test_smoothing_is_a_bilateral_filter_in_the_published_settings(sigma, window, deviation):
    pixels = NOISE[:12, :12] // 3
    np.testing.assert_allclose(smoothed(pixels, sigma), plainly_smoothed(pixels, window, deviation), atol=0.51)


# Colour


def test_grey_has_the_luma_of_its_colour_in_all_channels():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], dtype=np.uint8)
    # 255 times 0.299, 0.587, 0.114: the weights of ITU-R BT.601.
    assert greyed(colours, 1).tolist() == [[[76] * 3, [150] * 3, [29] * 3, [90] * 3]]
    np.testing.assert_allclose(greyed(colours, 0.5)[0, 0], [(255 + 76) / 2, 76 / 2, 76 / 2], atol=1)


# All


def test_strengths_that_suppress_nothing_leave_the_image_as_it_is():
    for made in (shuffled(NOISE, 1, "a"), smoothed(NOISE, 0), greyed(NOISE, 0)):
        assert (made == NOISE).all()


def test_a_surface_of_one_colour_has_no_cue_to_lose():
    grey = np.full((32, 32, 3), 90, dtype=np.uint8)
    for condition, made in suppressed(grey, "a", STRENGTHS):
        assert (made == grey).all(), condition


def test_an_image_comes_in_all_conditions_in_their_order_and_is_not_changed_itself():
    strengths, kept = {"shape": (2, 4), "texture": (1.5,), "colour": (0.5, 1)}, NOISE.copy()
    made = dict(suppressed(NOISE, "a", strengths))
    assert (
        list(made) == conditions(strengths) == ["none", "shape-2", "shape-4", "texture-1.5", "colour-0.5", "colour-1"]
    )
    assert all(pixels.dtype == np.uint8 and pixels.shape == (32, 32, 3) for pixels in made.values())
    assert len({pixels.tobytes() for pixels in made.values()}) == 6
    assert (made["none"] == kept).all()


# What is asked for


def test_strengths_are_read_from_words_and_from_json_alike():
    expected = {"shape": (2, 4, 8), "texture": (1.5,), "colour": (1,)}
    assert read_strengths(["colour=1", "shape=8,2,4,4", "texture=1.5"]) == expected
    assert read_strengths(['{"colour": [1], "shape": [8, 2, 4], "texture": [1.5]}']) == expected
    assert read_strengths(words(STRENGTHS).split()) == STRENGTHS


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["color=1"], "'color'.*shape, texture, colour"),
        (["shape=2.5"], "shape 2.5.*whole number"),
        (["shape=0"], "shape 0"),
        (["texture=0.2"], "texture 0.2.*0.5"),
        (["texture=nan"], "texture nan"),
        (["texture=inf"], "texture inf"),
        (["colour=2"], "colour 2.*to 1"),
        (["shape=two"], "'shape=two'"),
        (["shape"], "'shape'"),
        (['{"shape": 2}'], "shape 2 is no list"),
        (['{"shape": [true]}'], "shape True"),
        (['{"shape": []}'], "no strengths"),
        (['{"shape": [2]'], "JSON"),
    ],
)
def test_strengths_that_make_no_sense_are_refused_by_name(given, named):
    with pytest.raises(UserError, match=named):
        read_strengths(given)


def test_the_config_s_own_strengths_are_those_of_the_library():
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    own = {cue: tuple(entry["default"]) for cue, entry in schema["$defs"]["Suppression"]["properties"].items()}
    assert own == STRENGTHS == checked(own)
