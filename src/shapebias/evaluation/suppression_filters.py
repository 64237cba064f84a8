"""Further ways to suppress a cue: rotated patches, Gaussian blur, non-local means and shuffled channels.

`cue_suppression` says to which cue each belongs, and how they differ from the published protocol (Burgert et al. 2025,
arXiv 2509.20234).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import correlate1d

from shapebias.errors import UserError
from shapebias.seeding import generator

PATCH_REACH, SEARCH_REACH = 7, 10  # of non-local means, pixels to each side
LEAST_WEIGHT = 0.001  # of a neighbour in non-local means


def rotate_patches(pixels: np.ndarray, grid: int, image: str) -> np.ndarray:
    """Rotate each patch of a grid × grid raster by 0°, 90°, 180° or 270°. Patches stay in their places.

    pixels: uint8 [H, W, 3]; image: the image's id. A patch is min(H, W) // grid pixels wide and high; the margin around
    the raster stays unchanged. The angles depend only on (image, grid), and at least one patch is rotated.
    Raises UserError if the grid has more patches along a side than the image has pixels.
    """
    if grid == 1:
        return pixels
    side = min(pixels.shape[:2]) // grid
    if not side:
        raise UserError(f"suppress: rotation {grid} is more patches than an image of {pixels.shape[:2]} pixels has")
    rng = generator(0, "rotated patches", image, grid)
    turns = np.zeros((grid, grid), dtype=int)
    while not turns.any():
        turns = rng.integers(4, size=(grid, grid))
    top, left = (pixels.shape[0] - grid * side) // 2, (pixels.shape[1] - grid * side) // 2
    result = pixels.copy()
    for (row, column), turn in np.ndenumerate(turns):
        patch = np.s_[top + row * side : top + (row + 1) * side, left + column * side : left + (column + 1) * side]
        result[patch] = np.rot90(pixels[patch], k=int(turn))
    return result


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an image with a Gaussian; sigma: its standard deviation in pixels, 0 leaves the image unchanged.

    pixels: uint8 [H, W, 3]. The kernel reaches round(3 sigma) pixels to each side. Burgert et al. use the same pairs of
    kernel and deviation: 3 pixels with 0.33 to 15 with 2.33. Pixels beyond the rim are mirrored. OpenCV, their library,
    agrees with this function to within one grey level.
    """
    if sigma == 0:
        return pixels
    distances = np.arange(-round(3 * sigma), round(3 * sigma) + 1)
    kernel = np.exp(-(distances**2) / (2 * sigma**2))
    values = pixels.astype(np.float64)
    for axis in (0, 1):
        values = correlate1d(values, kernel / kernel.sum(), axis=axis, mode="mirror")
    return np.rint(values).astype(np.uint8)


def smooth_by_similar_patches(pixels: np.ndarray, deviations: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield an image smoothed by non-local means with each of some deviations, in their order.

    pixels: uint8 [H, W, 3]; deviations: h in grey levels, 0 leaves the image unchanged.

    Each pixel becomes a mean of the pixels at most SEARCH_REACH rows and columns away. A neighbour's weight is
    exp(-d / (3 h²)), or 0 below LEAST_WEIGHT. d compares the patch around the neighbour with that around the pixel: it
    is the mean squared difference of their pixels, summed over red, green and blue. A patch reaches PATCH_REACH
    pixels to each side. Pixels beyond the rim are mirrored. Burgert et al. use this filter of OpenCV with a template of
    14 (which makes patches of 15 pixels) and a search window of 21. OpenCV agrees with this function to within one grey
    level. All deviations share the distances.
    Source: Buades, Coll and Morel 2005 (a non-local algorithm for image denoising, CVPR).
    """
    height, width, _ = pixels.shape
    positive = [deviation for deviation in deviations if deviation]
    weights = np.zeros((len(positive), height, width), np.float32)
    sums = np.zeros((len(positive), 3, height, width), np.float32)
    rim = PATCH_REACH + SEARCH_REACH
    values = np.pad(pixels.transpose(2, 0, 1), ((0, 0), (rim, rim), (rim, rim)), mode="reflect").astype(np.int32)
    rows, columns = height + 2 * PATCH_REACH, width + 2 * PATCH_REACH
    centre = values[:, SEARCH_REACH : SEARCH_REACH + rows, SEARCH_REACH : SEARCH_REACH + columns]
    offsets = range(2 * SEARCH_REACH + 1) if positive else ()
    for y in offsets:
        for x in offsets:
            shifted = values[:, y : y + rows, x : x + columns]
            distances = mean_over_patches(np.square(shifted - centre).sum(axis=0, dtype=np.int32))
            neighbours = shifted[:, PATCH_REACH : PATCH_REACH + height, PATCH_REACH : PATCH_REACH + width]
            for place, deviation in enumerate(positive):
                weight = np.exp(distances * np.float32(-1 / (3 * deviation**2)))
                weight[weight < LEAST_WEIGHT] = 0
                weights[place] += weight
                sums[place] += weight * neighbours.astype(np.float32)
    smoothed = iter(np.rint(sums / weights[:, None]).astype(np.uint8).transpose(0, 2, 3, 1))
    for deviation in deviations:
        yield np.ascontiguousarray(next(smoothed)) if deviation else pixels


def mean_over_patches(squares: np.ndarray) -> np.ndarray:
    """Return the mean over the patch around each pixel, float32 [H, W]; squares: int32 [H + 2 reach, W + 2 reach]."""
    size = 2 * PATCH_REACH + 1
    for _ in range(2):
        # A running sum may exceed int32 and wrap around. The sum over a patch, a difference, is exact all the same.
        running = np.cumsum(squares, axis=0, dtype=np.int32)
        squares = np.concatenate([running[size - 1 : size], running[size:] - running[:-size]]).T
    return squares.astype(np.float32) / np.float32(size * size)


def shuffle_channels(pixels: np.ndarray, image: str) -> np.ndarray:
    """Put red, green and blue in another order; pixels: uint8 [H, W, 3]; image: the image's id.

    The order depends only on the image and is never the original order. The five other orders are equally likely.
    """
    rng, original = generator(0, "channels", image), np.arange(3)
    order = original
    while (order == original).all():
        order = rng.permutation(original)
    return np.ascontiguousarray(pixels[:, :, order])
