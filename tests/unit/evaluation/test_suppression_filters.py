"""Further ways to suppress a cue follow their published formulas and settings."""

import itertools
import math

import numpy as np
import pytest

from shapebias.errors import UserError
from shapebias.evaluation.suppression_filters import (
    PATCH_REACH,
    SEARCH_REACH,
    blur,
    rotate_patches,
    shuffle_channels,
    smooth_by_similar_patches,
)

NOISE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
IMAGES = [f"image{k}" for k in range(200)]


def mirror(position: int, size: int) -> int:
    """Return a position beyond the rim, mirrored: 0 1 2 3 2 1 0."""
    position = abs(position)
    return position if position < size else 2 * (size - 1) - position


# Rotated patches


@pytest.mark.parametrize("grid", [2, 4, 8])
def test_each_patch_is_rotated_in_its_place(grid):
    side = 32 // grid
    angles = set()
    for image in IMAGES[:40]:
        result, changed = rotate_patches(NOISE, grid, image), 0
        for top, left in itertools.product(range(0, 32, side), repeat=2):
            before, after = (pixels[top : top + side, left : left + side] for pixels in (NOISE, result))
            turns = [k for k in range(4) if (np.rot90(before, k) == after).all()]
            assert len(turns) == 1
            angles.update(turns)
            changed += turns != [0]
        assert changed
    assert angles == {0, 1, 2, 3}


def test_rotations_depend_only_on_image_and_grid():
    assert (rotate_patches(NOISE, 4, "a") == rotate_patches(NOISE, 4, "a")).all()
    assert (rotate_patches(255 - NOISE, 4, "a") == 255 - rotate_patches(NOISE, 4, "a")).all()
    assert len({rotate_patches(NOISE, 4, image).tobytes() for image in IMAGES}) == len(IMAGES)
    assert (rotate_patches(NOISE, 1, "a") == NOISE).all()


def test_the_margin_of_rotated_patches_stays_unchanged():
    result = rotate_patches(NOISE, 3, "a")  # 3 × 10 pixels, one left over on each side
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert (result[rim] == NOISE[rim]).all()
    with pytest.raises(UserError, match="rotation 33"):
        rotate_patches(NOISE, 33, "a")


# Gaussian blur


@pytest.mark.parametrize(
    ("sigma", "kernel"), [(0.33, 3), (0.66, 5), (1, 7), (1.33, 9), (1.66, 11), (2, 13), (2.33, 15)]
)
def test_blur_has_the_published_kernels(sigma, kernel):
    point = np.zeros((31, 31, 3), dtype=np.uint8)
    point[15, 15] = 255
    reach = kernel // 2
    weights = [math.exp(-(x**2) / (2 * sigma**2)) for x in range(-reach, reach + 1)]
    expected = np.outer(weights, weights) / sum(weights) ** 2 * 255
    result = blur(point, sigma)
    np.testing.assert_allclose(result[15 - reach : 16 + reach, 15 - reach : 16 + reach, 0], expected, atol=0.51)
    assert not result[:, : 15 - reach].any() and not result[: 15 - reach].any()


def test_blur_mirrors_the_image_at_its_rim():
    weights = {x: math.exp(-(x**2) / 2) for x in range(-3, 4)}
    row = [
        sum(weight * float(NOISE[0, mirror(column + x, 32), 1]) for x, weight in weights.items())
        for column in range(32)
    ]
    lines = np.repeat(NOISE[:1], 32, axis=0)  # all rows alike
    np.testing.assert_allclose(blur(lines, 1)[5, :, 1], np.array(row) / sum(weights.values()), atol=0.51)
    assert (blur(NOISE, 0) == NOISE).all()


# Non-local means


def smooth_pixel(pixels: np.ndarray, row: int, column: int, deviation: float) -> np.ndarray:
    """Return one pixel of the image smoothed by non-local means, neighbour by neighbour."""
    size = len(pixels)

    def patch(y: int, x: int) -> np.ndarray:
        reach = range(-PATCH_REACH, PATCH_REACH + 1)
        return np.array([[pixels[mirror(y + i, size), mirror(x + j, size)] for j in reach] for i in reach], dtype=float)

    total, weights = np.zeros(3), 0.0
    for y in range(row - SEARCH_REACH, row + SEARCH_REACH + 1):
        for x in range(column - SEARCH_REACH, column + SEARCH_REACH + 1):
            distance = ((patch(y, x) - patch(row, column)) ** 2).sum() / (2 * PATCH_REACH + 1) ** 2
            weight = math.exp(-distance / (3 * deviation**2))
            weight = weight if weight >= 0.001 else 0.0
            total += weight * pixels[mirror(y, size), mirror(x, size)]
            weights += weight
    return total / weights


def test_non_local_means_are_weighted_by_the_likeness_of_patches():
    ramp = np.add.outer(np.arange(32), 2 * np.arange(32))[:, :, None] + NOISE // 16
    pixels = np.clip(ramp, 0, 255).astype(np.uint8)
    for deviation, result in zip((5, 25), smooth_by_similar_patches(pixels, (5, 25)), strict=True):
        for row, column in ((15, 16), (0, 31)):
            np.testing.assert_allclose(result[row, column], smooth_pixel(pixels, row, column, deviation), atol=0.51)


def test_non_local_means_smooth_noise_and_keep_an_edge():
    edge = np.zeros((48, 48, 3), dtype=np.uint8)
    edge[:, 24:] = 200
    noisy = edge + np.random.default_rng(0).integers(0, 11, edge.shape, dtype=np.uint8)
    [result] = smooth_by_similar_patches(noisy, [15])
    assert result[:, :24].std() < noisy[:, :24].std() / 3 and result[:, 24:].min() > 190 > 20 > result[:, :24].max()


def test_strengths_of_non_local_means_share_a_pass_and_keep_their_order():
    results = list(smooth_by_similar_patches(NOISE, (25, 0, 5)))
    assert (results[1] == NOISE).all()
    for deviation, result in ((25, results[0]), (5, results[2])):
        [alone] = smooth_by_similar_patches(NOISE, [deviation])
        assert (alone == result).all() and result.dtype == np.uint8
    assert [(pixels == NOISE).all() for pixels in smooth_by_similar_patches(NOISE, [0])] == [True]


# Shuffled channels


def test_channels_come_in_each_of_the_five_other_orders():
    counts: dict[tuple[int, ...], int] = {}
    colour = np.array([[[1, 2, 3]]], dtype=np.uint8)
    for image in IMAGES:
        order = tuple(shuffle_channels(colour, image)[0, 0].tolist())
        counts[order] = counts.get(order, 0) + 1
    assert set(counts) == set(itertools.permutations((1, 2, 3))) - {(1, 2, 3)}
    assert min(counts.values()) > 20  # 40 expected
    assert (shuffle_channels(NOISE, "a") == shuffle_channels(NOISE, "a")).all()
