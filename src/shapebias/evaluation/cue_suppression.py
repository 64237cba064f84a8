"""Photographs with one cue suppressed: how much accuracy is left says how much a network relied on that cue.

After Burgert, Stoll, Rota and Demir, "ImageNet-trained CNNs are not biased towards texture: Revisiting feature reliance
through controlled suppression", NeurIPS 2025 (arXiv 2509.20234): no cues in conflict, no forced choice between them.
Taken from there, with the settings of the published code (github.com/tomburgert/feature-reliance, of 2025):

- shape: the patches of a grid × grid raster change places (there with grids of 2, 4, … 16).
- texture: bilateral filtering, which smooths surfaces and keeps edges, so that shape stays (there windows of 4, 6, … 14
  pixels with standard deviations of 50, 80, … 200 grey levels in colour). Gaussian blur would take outlines as well.
- colour: mixing with grey of the same luma (ITU-R BT.601), by 0.2, 0.4, … 1.

Different here: each image has its own shuffle, the same for every network and never the original; grids that do not
divide the image's side leave a margin as it is; both numbers of the bilateral filter follow from one, `sigma`; images
are those that the network gets, after scaling and cropping. Rotated patches, non-local means, shuffled channels and two
cues suppressed at once are not offered.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, ImageEnhance

from shapebias.errors import UserError
from shapebias.seeding import generator

CUES = ("shape", "texture", "colour")
UNTOUCHED = "none"  # the condition of the photograph as it is

Strengths = Mapping[str, Sequence[float]]
STRENGTHS: Strengths = {"shape": (2, 4, 8, 16), "texture": (1, 2, 3.5), "colour": (1,)}
ALLOWED = {
    "shape": "a whole number from 1 (patches along a side; 1 leaves the image as it is)",
    "texture": "0 (as it is) or a number from 0.5 (standard deviation, pixels)",
    "colour": "a number from 0 (as it is) to 1 (grey)",
}


def read_strengths(words: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Parse `shape=2,4,8 texture=1,2 colour=1`, or the same as one JSON object; see `checked`."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            return checked(json.loads(words[0]))
        except json.JSONDecodeError as error:
            raise UserError(f"suppress {words[0]!r}: not a JSON object ({error})") from None
    found: dict[str, list[float]] = {}
    for word in words:
        cue, _, numbers = word.partition("=")
        try:
            found.setdefault(cue, []).extend(map(float, numbers.split(",")))
        except ValueError:
            raise UserError(f"suppress {word!r}: expected CUE=NUMBER,NUMBER…, such as shape=2,4,8") from None
    return checked(found)


def words(strengths: Strengths) -> str:
    """Strengths as `read_strengths` takes them."""
    return " ".join(f"{cue}={','.join(f'{value:g}' for value in values)}" for cue, values in strengths.items())


def checked(strengths: Strengths) -> dict[str, tuple[float, ...]]:
    """Cue → strengths, cues in the order of CUES, strengths ascending.

    Raises UserError for a cue that there is none of, strengths outside ALLOWED, and for no strength at all.
    """
    if not isinstance(strengths, Mapping) or not any(strengths.values()):
        raise UserError(f"suppress {strengths!r}: no strengths; give some of one cue at least: {', '.join(CUES)}")
    for cue, values in strengths.items():
        if cue not in CUES:
            raise UserError(f"suppress: unknown cue {cue!r}; allowed: {', '.join(CUES)}")
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise UserError(f"suppress: {cue} {values!r} is no list of strengths")
        for value in values:
            if not is_allowed(cue, value):
                raise UserError(f"suppress: {cue} {value!r} is not allowed; expected {ALLOWED[cue]}")
    return {cue: tuple(sorted(set(strengths[cue]))) for cue in CUES if strengths.get(cue)}


def is_allowed(cue: str, value: object) -> bool:
    """Whether an image's cue can be suppressed so strongly."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    if cue == "shape":
        return value >= 1 and value == int(value)
    if cue == "texture":
        return value == 0 or 0.5 <= value < np.inf
    return 0 <= value <= 1


def condition_name(cue: str, strength: float) -> str:
    """What a condition is called: `shape-4`, `texture-1.5`, `colour-1`."""
    return f"{cue}-{strength:g}"


def conditions(strengths: Strengths) -> list[str]:
    """The conditions that each image is shown in, in order: first as it is."""
    return [UNTOUCHED, *(condition_name(cue, value) for cue, values in strengths.items() for value in values)]


def suppressed(pixels: np.ndarray, image: str, strengths: Strengths) -> Iterator[tuple[str, np.ndarray]]:
    """An image in all its conditions, in the order of `conditions`; pixels: uint8 [H, W, 3]; image: its id."""
    yield UNTOUCHED, pixels
    for cue, values in strengths.items():
        for value in values:
            yield condition_name(cue, value), suppress(pixels, image, cue, value)


def suppress(pixels: np.ndarray, image: str, cue: str, strength: float) -> np.ndarray:
    """An image with one cue suppressed, uint8 [H, W, 3]; image: its id, which the shuffle depends on."""
    if cue == "shape":
        return shuffled(pixels, int(strength), image)
    return smoothed(pixels, strength) if cue == "texture" else greyed(pixels, strength)


def shuffled(pixels: np.ndarray, grid: int, image: str) -> np.ndarray:
    """The image with the patches of a grid × grid raster in another order: parts stay, their arrangement goes.

    Patches are square where the image is, of side // grid pixels; what is left over at the rim, less than grid pixels
    in all, stays in its place. The order depends on (image, grid) alone and is never the original one.
    Raises UserError for more patches along a side than pixels.
    """
    if grid == 1:
        return pixels
    height, width = pixels.shape[0] // grid, pixels.shape[1] // grid
    if not min(height, width):
        raise UserError(f"suppress: shape {grid} is more patches than an image of {pixels.shape[:2]} pixels has")
    rng, original = generator(0, "patches", image, grid), np.arange(grid * grid)
    order = original
    while (order == original).all():
        order = rng.permutation(original)
    top, left = (pixels.shape[0] - grid * height) // 2, (pixels.shape[1] - grid * width) // 2
    inner = np.s_[top : top + grid * height, left : left + grid * width]
    patches = pixels[inner].reshape(grid, height, grid, width, 3).swapaxes(1, 2).reshape(grid * grid, height, width, 3)
    made = pixels.copy()
    placed = patches[order].reshape(grid, grid, height, width, 3)
    made[inner] = placed.swapaxes(1, 2).reshape(grid * height, grid * width, 3)
    return made


def smoothed(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Bilateral filtering (Tomasi and Manduchi 1998): each pixel becomes a mean of those near it in place and colour.

    sigma: standard deviation of the neighbourhood along each axis, pixels; 0 leaves the image as it is. In place the
    mean is that of a disc, 4 sigma across; in colour neighbours weigh by a Gaussian of the difference, summed over red,
    green and blue, with a standard deviation of 60 sigma - 10 grey levels. These are the windows and deviations that
    Burgert et al. paired: 4 pixels with 50 grey levels (sigma 1) to 14 with 200 (sigma 3.5). Their library, OpenCV,
    gives the same to a grey level.
    """
    if sigma == 0:
        return pixels
    radius, (height, width, _) = 2 * sigma, pixels.shape
    reach = int(radius)
    near = np.exp(-((np.arange(3 * 255 + 1, dtype=np.float32) / (60 * sigma - 10)) ** 2) / 2)
    rim = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(pixels.transpose(2, 0, 1), rim, mode="reflect").astype(np.int16)
    values = padded.astype(np.float32)
    centre = padded[:, reach : reach + height, reach : reach + width]
    weights, sums = np.zeros((height, width), np.float32), np.zeros((3, height, width), np.float32)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            if x * x + y * y > radius * radius:
                continue
            there = np.s_[:, reach + y : reach + y + height, reach + x : reach + x + width]
            weight = near[np.abs(padded[there] - centre).sum(axis=0, dtype=np.int16)]
            weights += weight
            sums += weight * values[there]
    return np.ascontiguousarray(np.rint(sums / weights).astype(np.uint8).transpose(1, 2, 0))


def greyed(pixels: np.ndarray, fraction: float) -> np.ndarray:
    """The image mixed with its own grey (luma of ITU-R BT.601): 0 leaves it as it is, 1 is grey."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(pixels)).enhance(1 - fraction))
