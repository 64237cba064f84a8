"""Drawn anagrams: two silhouettes of different categories that consist of the same tiles in two arrangements.

Both images are cut into GRID × GRID tiles. Each tile of one image is a tile of the other, pixel for pixel, at another
place; no tile is turned or mirrored. So both images have the same tiles, the same ink, and the same contours inside the
tiles. What differs is where the tiles lie, and therefore the contours across their borders and the shape as a whole.
A network that sees areas larger than a tile can use these larger contours. JPEG keeps equal tiles equal only if a
tile's side is a multiple of 16 pixels, as in images of 160 pixels; PNG always does.

The construction: several poses of both objects are drawn. Tiles of one silhouette are matched with tiles of the other
so that they differ least (an optimal assignment), and each pair of matched tiles becomes one tile, the smoothed mean of
both in black and white. The idea comes from images that diffusion networks make: Geng, Park and Owens, CVPR 2024 (arXiv
2311.17919), and Doshi et al. 2025 (arXiv 2507.00493).
"""

import functools
import itertools

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from shapebias.seeding import generator
from shapebias.synthetic.parts import render_mask
from shapebias.synthetic.scene import CLASSES, SILHOUETTES, pick_variant, place_parts, to_image

ANAGRAM = "anagram"  # the appearance of a drawn source
GRID = 10  # tiles a side
INK, PAPER = 0.2, 0.6  # grey levels; networks that learn from photographs know no pure black and white
POSES = 3  # drawn poses of each object, of which the two that fit best are used
# Classes whose silhouettes can be made of each other's tiles, found by matching all 32 classes with each other.
COUPLES = (
    ("polar_bear", "siamese"),
    ("wine_bottle", "dachshund"),
    ("airliner", "shepherd"),
    ("kitchen_knife", "wader"),
    ("lorry", "pocket_knife"),
    ("brown_bear", "songbird"),
    ("tabby", "indian_elephant"),
)
PARTNERS = {first: second for couple in COUPLES for first, second in (couple, couple[::-1])}
ANAGRAM_CLASSES = {name: category for name, category in CLASSES.items() if name in PARTNERS}


def anagram_facts(class_name: str, sample_id: str) -> dict[str, str]:
    """Return the name of the pair and the foil (the category of the other image) of `<split>/<class>/<number>`."""
    split, _, number = sample_id.split("/")
    couple = next(couple for couple in COUPLES if class_name in couple)
    return {"pair": f"{split}/{'+'.join(couple)}/{number}", "foil": CLASSES[PARTNERS[class_name]]}


def draw_anagram(class_name: str, sample_id: str, *, size: int, seed: int) -> Image.Image:
    """Draw one image of an anagram, dark on grey, RGB of `size` × `size` pixels, a pure function of (seed, id).

    class_name: one of ANAGRAM_CLASSES. sample_id: `<split>/<class>/<number>`; the other image of the pair has the other
    class of the couple and the same number. If GRID does not divide the size, a margin stays grey.
    """
    couple = next(couple for couple in COUPLES if class_name in couple)
    images = draw_pair(couple, anagram_facts(class_name, sample_id)["pair"], size // GRID, seed)
    canvas = np.full((size, size), PAPER)
    start = (size - GRID * (size // GRID)) // 2
    image = images[couple.index(class_name)]
    canvas[start : start + len(image), start : start + len(image)] += (INK - PAPER) * image
    return to_image(np.repeat(canvas[..., None], 3, axis=2))


@functools.lru_cache(maxsize=1024)  # the second image of a pair needs no more work
def draw_pair(couple: tuple[str, str], pair: str, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ink of both images of a pair, 0 or 1, float64 [GRID · side, GRID · side].

    pair: its name, part of the seed. side: side of a tile in pixels.
    """
    first_poses, second_poses = (
        [cut_tiles(draw_pose(name, pair, pose, side, seed), side) for pose in range(POSES)] for name in couple
    )
    first, second = min(itertools.product(first_poses, second_poses), key=lambda poses: ink_difference(*poses))
    flat_first, flat_second = (tiles.reshape(GRID**2, -1) for tiles in (first, second))
    squares = [(flat**2).sum(axis=1) for flat in (flat_first, flat_second)]
    cost = squares[0][:, None] + squares[1][None] - 2 * flat_first @ flat_second.T
    _, match = linear_sum_assignment(cost)
    means = (first + second[match]) / 2
    smooth = ndimage.gaussian_filter(means, (0, side / 10, side / 10), mode="nearest")
    tiles = (smooth > 0.5).astype(np.float64)
    rearranged = np.empty_like(tiles)
    rearranged[match] = tiles
    return join_tiles(tiles), join_tiles(rearranged)


def draw_pose(class_name: str, pair: str, pose: int, side: int, seed: int) -> np.ndarray:
    """Return the coverage of one pose of an object, in [0, 1], [GRID · side, GRID · side]."""
    rng = generator(seed, "anagram", pair, class_name, pose)
    parts = place_parts(pick_variant(SILHOUETTES[CLASSES[class_name]][class_name], rng)(rng), rng)
    return render_mask(parts, GRID * side)[0].astype(np.float64)


def ink_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return how far the amounts of ink in two sets of tiles differ: a lower limit of the cost of matching them."""
    amounts = [np.sort(tiles.mean(axis=(1, 2))) for tiles in (first, second)]
    return float(((amounts[0] - amounts[1]) ** 2).sum())


def cut_tiles(image: np.ndarray, side: int) -> np.ndarray:
    """Return the tiles of an image, row by row, [GRID², side, side]."""
    return image.reshape(GRID, side, GRID, side).swapaxes(1, 2).reshape(GRID**2, side, side)


def join_tiles(tiles: np.ndarray) -> np.ndarray:
    """Return the image of some tiles, the inverse of `cut_tiles`."""
    side = tiles.shape[1]
    return tiles.reshape(GRID, GRID, side, side).swapaxes(1, 2).reshape(GRID * side, GRID * side)
