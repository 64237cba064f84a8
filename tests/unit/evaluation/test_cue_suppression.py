"""Suppressing a cue removes that cue and leaves the rest of the photograph unchanged."""

import json
import math

import numpy as np
import pytest
from helpers import ROOT

from shapebias.errors import UserError
from shapebias.evaluation.cue_suppression import (
    DEFAULT_STRENGTHS,
    PAIRS,
    SUPPRESSIONS,
    filter_bilaterally,
    format_strengths,
    list_conditions,
    mix_with_grey,
    read_strengths,
    shuffle_patches,
    suppress_each,
    validate_strengths,
)
from shapebias.evaluation.suppression_filters import blur, rotate_patches, shuffle_channels, smooth_by_similar_patches

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
        after = patches(shuffle_patches(NOISE, grid, image), 32 // grid)
        assert sorted(after) == sorted(before) and after != before


def test_a_shuffle_depends_only_on_image_and_grid():
    assert (shuffle_patches(NOISE, 4, "a") == shuffle_patches(NOISE, 4, "a")).all()
    orders = {tuple(patches(shuffle_patches(NOISE, 4, image), 8)) for image in IMAGES}
    assert len(orders) == len(IMAGES)
    turned = 255 - NOISE  # another picture by the same name is shuffled alike
    assert (shuffle_patches(turned, 4, "a") == 255 - shuffle_patches(NOISE, 4, "a")).all()


def test_the_margin_outside_the_grid_stays_unchanged():
    result = shuffle_patches(NOISE, 3, "a")  # 3 × 10 pixels, one left over on each side
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert (result[rim] == NOISE[rim]).all()
    assert sorted(patches(result[1:-1, 1:-1], 10)) == sorted(patches(NOISE[1:-1, 1:-1], 10))


def test_more_patches_than_pixels_are_refused():
    with pytest.raises(UserError, match="shape 33"):
        shuffle_patches(NOISE, 33, "a")


# Texture


def test_smoothing_removes_a_faint_pattern_and_keeps_an_edge():
    checks = np.indices((16, 16)).sum(axis=0) % 2
    faint = np.repeat((100 + 4 * checks)[..., None], 3, axis=2).astype(np.uint8)  # 100 and 104
    assert set(np.unique(filter_bilaterally(faint, 1))) <= {101, 102, 103}
    edge = np.zeros((16, 16, 3), dtype=np.uint8)
    edge[:, 8:] = 255
    assert (filter_bilaterally(edge, 2) == edge).all()


def smooth_pixel_by_pixel(pixels: np.ndarray, window: int, deviation: float) -> np.ndarray:
    """A bilateral filter pixel by pixel: a disc `window` pixels across, mirrored at the rim."""
    size, reach = len(pixels), window // 2
    inside = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if math.hypot(y, x) <= reach]
    mirrored = [*range(size), *range(size - 2, -1, -1)] * 2  # 0 1 2 3 2 1 0, forwards and for negative indices
    result = np.zeros(pixels.shape)
    for i in range(size):
        for j in range(size):
            near = [pixels[mirrored[abs(i + y)], mirrored[abs(j + x)]].astype(float) for y, x in inside]
            weights = [math.exp(-((np.abs(neighbour - pixels[i, j]).sum() / deviation) ** 2) / 2) for neighbour in near]
            result[i, j] = np.average(near, axis=0, weights=weights)
    return result


@pytest.mark.parametrize(("sigma", "window", "deviation"), [(1, 4, 50), (1.5, 6, 80)])  # of the published code
def test_smoothing_is_a_bilateral_filter_in_the_published_settings(sigma, window, deviation):
    pixels = NOISE[:12, :12] // 3
    np.testing.assert_allclose(
        filter_bilaterally(pixels, sigma), smooth_pixel_by_pixel(pixels, window, deviation), atol=0.51
    )


# Colour


def test_grey_has_the_luma_of_its_colour_in_all_channels():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], dtype=np.uint8)
    # 255 times 0.299, 0.587, 0.114: the weights of ITU-R BT.601.
    assert mix_with_grey(colours, 1).tolist() == [[[76] * 3, [150] * 3, [29] * 3, [90] * 3]]
    np.testing.assert_allclose(mix_with_grey(colours, 0.5)[0, 0], [(255 + 76) / 2, 76 / 2, 76 / 2], atol=1)


# All


def test_the_weakest_strengths_leave_the_image_unchanged():
    for result in (shuffle_patches(NOISE, 1, "a"), filter_bilaterally(NOISE, 0), mix_with_grey(NOISE, 0)):
        assert (result == NOISE).all()


def test_a_surface_of_one_colour_has_no_cue_to_lose():
    grey = np.full((32, 32, 3), 90, dtype=np.uint8)
    for condition, result in suppress_each(grey, "a", DEFAULT_STRENGTHS):
        assert (result == grey).all(), condition


def test_suppress_each_yields_all_conditions_in_order_and_leaves_the_original_unchanged():
    strengths, original = {"shape": (2, 4), "texture": (1.5,), "colour": (0.5, 1)}, NOISE.copy()
    result = dict(suppress_each(NOISE, "a", strengths))
    assert (
        list(result)
        == list_conditions(strengths)
        == ["none", "shape-2", "shape-4", "texture-1.5", "colour-0.5", "colour-1"]
    )
    assert all(pixels.dtype == np.uint8 and pixels.shape == (32, 32, 3) for pixels in result.values())
    assert len({pixels.tobytes() for pixels in result.values()}) == 6
    assert (result["none"] == original).all()


def test_two_cues_at_once_are_suppressed_one_after_the_other():
    strengths = {
        "texture_and_shape": ((1.5, 4), (1.5, 8)),
        "texture_and_colour": ((1, 1),),
        "shape_and_colour": ((4, 1),),
    }
    result = dict(suppress_each(NOISE, "a", strengths))
    assert list(result) == list_conditions(strengths)
    assert list(result)[1:3] == ["texture_and_shape-1.5+4", "texture_and_shape-1.5+8"]
    smooth = filter_bilaterally(NOISE, 1.5)
    assert (result["texture_and_shape-1.5+8"] == shuffle_patches(smooth, 8, "a")).all()
    assert (result["texture_and_colour-1+1"] == mix_with_grey(filter_bilaterally(NOISE, 1), 1)).all()
    assert (result["shape_and_colour-4+1"] == mix_with_grey(shuffle_patches(NOISE, 4, "a"), 1)).all()


def test_the_other_ways_to_suppress_a_cue_have_conditions_of_their_own():
    strengths = {"rotation": (4,), "gaussian": (0.33, 1), "non_local_means": (0, 5, 25), "channels": (1,)}
    result = dict(suppress_each(NOISE, "a", strengths))
    assert list(result) == list_conditions(strengths)
    assert (result["rotation-4"] == rotate_patches(NOISE, 4, "a")).all()
    assert (result["gaussian-1"] == blur(NOISE, 1)).all() and (
        result["channels-1"] == shuffle_channels(NOISE, "a")
    ).all()
    assert (result["non_local_means-0"] == NOISE).all()
    [alone] = smooth_by_similar_patches(NOISE, [25])
    assert (result["non_local_means-25"] == alone).all()


# Strengths


def test_strengths_from_words_and_from_json_are_equal():
    expected = {"shape": (2, 4, 8), "texture": (1.5,), "colour": (1,)}
    assert read_strengths(["colour=1", "shape=8,2,4,4", "texture=1.5"]) == expected
    assert read_strengths(['{"colour": [1], "shape": [8, 2, 4], "texture": [1.5]}']) == expected
    assert read_strengths(format_strengths(DEFAULT_STRENGTHS).split()) == DEFAULT_STRENGTHS
    pairs = {"gaussian": (0.33, 2), "texture_and_shape": ((1, 2), (1.5, 4)), "shape_and_colour": ((2, 1),)}
    assert read_strengths(["shape_and_colour=2+1", "texture_and_shape=1.5+4,1+2", "gaussian=2,0.33"]) == pairs
    assert read_strengths([json.dumps(pairs)]) == pairs == read_strengths(format_strengths(pairs).split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["color=1"], "'color'.*shape, texture, colour"),
        (["shape=2.5"], "shape 2.5.*whole number"),
        (["shape=0"], "shape 0"),
        (["shape=inf"], "shape inf.*whole number"),
        (["texture=0.2"], "texture 0.2.*0.5"),
        (["texture=nan"], "texture nan"),
        (["texture=inf"], "texture inf"),
        (["colour=2"], "colour 2.*to 1"),
        (["shape=two"], "'shape=two'"),
        (["shape"], "'shape'"),
        (["shape=2+1"], "shape \\(2.0, 1.0\\) is not allowed"),
        (["rotation=2.5"], "rotation 2.5.*whole number"),
        (["gaussian=0.1"], "gaussian 0.1.*0.2"),
        (["gaussian=1e9"], "gaussian 1000000000.*to 16"),
        (["gaussian=1,1.0000001"], "the name of both is gaussian-1"),
        (["channels=2"], "channels 2.*or 1"),
        (["non_local_means=-1"], "non_local_means -1.*positive"),
        (["texture_and_shape=2"], "texture_and_shape 2.0.*two numbers, for texture and for shape"),
        (["texture_and_shape=1+2.5"], "shape 2.5 is not allowed.*whole number"),
        (["texture_and_shape=1+2+3"], "two numbers"),
        (["texture_and_shape=1+"], "'texture_and_shape=1\\+'"),
        (["colour_and_shape=1+2"], "'colour_and_shape'"),
        (['{"shape": 2}'], "shape 2 is not a list"),
        (['{"shape": [true]}'], "shape True"),
        (['{"shape": []}'], "no strengths"),
        (['{"shape": [2]'], "JSON"),
    ],
)
def test_invalid_strengths_are_refused_by_name(words, expected):
    with pytest.raises(UserError, match=expected):
        read_strengths(words)


def test_the_config_s_own_strengths_are_those_of_the_library():
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    keys = schema["$defs"]["Suppression"]["properties"]
    own = {cue: tuple(entry["default"]) for cue, entry in keys.items() if "default" in entry}
    assert own == DEFAULT_STRENGTHS == validate_strengths(own)
    assert set(keys) == {*SUPPRESSIONS, *PAIRS}
