"""Suppress one cue of a photograph. The accuracy that remains shows how much a network relied on that cue.

The method follows Burgert, Stoll, Rota and Demir, "ImageNet-trained CNNs are not biased towards texture: Revisiting
feature reliance through controlled suppression", NeurIPS 2025 (arXiv 2509.20234). Its cues are not in conflict, and the
network is not forced to choose between them. The settings come from the published code
(github.com/tomburgert/feature-reliance, of 2025):

- shape: the patches of a grid × grid raster change places (published grids: 2, 4, … 16).
- texture: a bilateral filter smooths surfaces and keeps edges, so shape remains (published windows: 4, 6, … 14 pixels,
  with standard deviations of 50, 80, … 200 grey levels in colour). Gaussian blur would remove outlines as well.
- colour: the image is mixed with grey of the same luma (ITU-R BT.601), by 0.2, 0.4, … 1.

Other ways to suppress the same cues, each with its own strengths (`suppression_filters`):

- rotation (shape): the patches of the raster are rotated by multiples of 90° (published grids: 2, 4, … 16).
- gaussian (texture): Gaussian blur (published deviations: 0.33, 0.66, 1, 1.33, 1.66, 2, 2.33 pixels).
- non_local_means (texture): non-local means (published deviations: 5, 10, … 25 grey levels).
- channels (colour): red, green and blue change places (strength 1).

Two cues at once, in the published order (PAIRS): first texture, then shape; first texture, then colour; first shape,
then colour.
A strength is then two numbers. Published are smoothing 1, 1.5, … 3.5 with grids 2, 4, … 12 (the first with the first),
smoothing 3 with grids 2, 4, … 16, and each smoothing and each grid with grey of fraction 1.

Differences from the published method:

- Each image has its own shuffle. It is the same for every network and never the original order. The published shuffle
  of channels leaves one image in six unchanged, so a published relative accuracy is 1/6 + 5/6 of this one on average.
- If a grid does not divide the image's side, a margin stays unchanged. Published, patches are rotated in an image that
  is scaled to a multiple of the grid and back.
- One number, `sigma`, determines both settings of the bilateral filter, and both of the Gaussian blur.
- Cues are suppressed in the network's input image, after scaling and cropping.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from PIL import Image, ImageEnhance

from shapebias.errors import UserError
from shapebias.evaluation.suppression_filters import blur, rotate_patches, shuffle_channels, smooth_by_similar_patches
from shapebias.seeding import generator

CUES = ("shape", "texture", "colour")
UNTOUCHED = "none"  # the condition of the unchanged photograph
SUPPRESSIONS = (*CUES, "rotation", "gaussian", "non_local_means", "channels")  # each takes one cue away
# Two cues suppressed at once → the first and the second suppression.
PAIRS: Mapping[str, tuple[str, str]] = {
    "texture_and_shape": ("texture", "shape"),
    "texture_and_colour": ("texture", "colour"),
    "shape_and_colour": ("shape", "colour"),
}

Strength = float | Sequence[float]  # two numbers for PAIRS
Strengths = Mapping[str, Sequence[Strength]]
DEFAULT_STRENGTHS: Strengths = {"shape": (2, 4, 8, 16), "texture": (1, 2, 3.5), "colour": (1,)}
ALLOWED_STRENGTHS = {
    "shape": "a whole number from 1 (patches along a side; 1 leaves the image unchanged)",
    "texture": "0 (unchanged) or a number from 0.5 to 8 (standard deviation, pixels)",
    "colour": "a number from 0 (unchanged) to 1 (grey)",
    "rotation": "a whole number from 1 (patches along a side; 1 leaves the image unchanged)",
    "gaussian": "0 (unchanged) or a number from 0.2 to 16 (standard deviation, pixels)",
    "non_local_means": "0 (unchanged) or a positive number to 255 (standard deviation, grey levels)",
    "channels": "0 (unchanged) or 1 (red, green and blue in another order)",
}


def read_strengths(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Parse `shape=2,4,8 texture=1,2 colour=1`, or the same as one JSON object; see `validate_strengths`.

    The two strengths of a pair are written 1+2 (in JSON [1, 2]), as in `texture_and_shape=1+2,1.5+4`.
    """
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        try:
            return validate_strengths(json.loads(words[0]))
        except json.JSONDecodeError as error:
            raise UserError(f"suppress {words[0]!r}: not a JSON object ({error})") from None
    strengths: dict[str, list[Strength]] = {}
    for word in words:
        cue, _, numbers = word.partition("=")
        try:
            strengths.setdefault(cue, []).extend(parse_strength(text) for text in numbers.split(","))
        except ValueError:
            raise UserError(f"suppress {word!r}: expected CUE=NUMBER,NUMBER…, such as shape=2,4,8") from None
    return validate_strengths(strengths)


def format_strengths(strengths: Strengths) -> str:
    """Return the strengths as text that `read_strengths` can parse."""
    return " ".join(
        f"{cue}={','.join(format_strength(value) for value in values)}" for cue, values in strengths.items()
    )


def parse_strength(text: str) -> Strength:
    """Return the number `1.5`, or the two numbers of a pair, `1.5+4`. Raises ValueError for other texts."""
    numbers = tuple(float(part) for part in text.split("+")) if "+" in text.lstrip("+") else ()
    return numbers or float(text)


def format_strength(strength: Strength) -> str:
    """Return a strength as text that `parse_strength` can parse."""
    return f"{strength:g}" if isinstance(strength, (int, float)) else "+".join(f"{value:g}" for value in strength)


def validate_strengths(strengths: Strengths) -> dict[str, tuple[Any, ...]]:
    """Return cue → strengths, in the order of SUPPRESSIONS and PAIRS, with the strengths ascending.

    A strength of one of PAIRS is a tuple of two numbers. Raises UserError for an unknown cue, for a strength outside
    ALLOWED_STRENGTHS, for two strengths with one name, and if there is no strength at all.
    """
    if not isinstance(strengths, Mapping) or not any(strengths.values()):
        raise UserError(
            f"suppress {strengths!r}: no strengths; give at least one strength of one cue: {', '.join(CUES)}"
        )
    for cue, values in strengths.items():
        if cue not in SUPPRESSIONS and cue not in PAIRS:
            raise UserError(f"suppress: unknown cue {cue!r}; allowed: {', '.join([*SUPPRESSIONS, *PAIRS])}")
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise UserError(f"suppress: {cue} {values!r} is not a list of strengths")
        for value in values:
            check_strength(cue, value)
    ordered = [cue for cue in (*SUPPRESSIONS, *PAIRS) if strengths.get(cue)]
    unique: dict[str, tuple[Any, ...]] = {
        cue: tuple(sorted({tuple(value) if isinstance(value, Sequence) else value for value in strengths[cue]}))
        for cue in ordered
    }
    conditions = list_conditions(unique)
    if repeated := [name for name in conditions if conditions.count(name) > 1]:
        raise UserError(
            f"suppress: two strengths are nearly equal, and the name of both is {repeated[0]}; give strengths with at "
            f"most six digits"
        )
    return unique


def check_strength(cue: str, value: object) -> None:
    """Raise UserError if a suppression cannot have this strength; cue: one of SUPPRESSIONS or PAIRS."""
    if cue in PAIRS:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
            raise UserError(
                f"suppress: {cue} {value!r} is not allowed; expected two numbers, for {' and for '.join(PAIRS[cue])}"
            )
        for part, number in zip(PAIRS[cue], value, strict=True):
            if not is_allowed(part, number):
                raise UserError(
                    f"suppress: {cue} {list(value)!r}: {part} {number!r} is not allowed; expected "
                    f"{ALLOWED_STRENGTHS[part]}"
                )
    elif not is_allowed(cue, value):
        raise UserError(f"suppress: {cue} {value!r} is not allowed; expected {ALLOWED_STRENGTHS[cue]}")


def is_allowed(cue: str, value: object) -> bool:
    """Return whether one of SUPPRESSIONS can have this strength."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    if cue in ("shape", "rotation"):
        return 1 <= value < np.inf and value == int(value)
    if cue == "channels":
        return value in (0, 1)
    if cue == "colour":
        return 0 <= value <= 1
    least, most = {"texture": (0.5, 8), "gaussian": (0.2, 16), "non_local_means": (1e-3, 255)}[cue]
    return value == 0 or least <= value <= most


def condition_name(cue: str, strength: Strength) -> str:
    """Return the name of a condition: `shape-4`, `texture-1.5`, `colour-1`, `texture_and_shape-1.5+4`."""
    return f"{cue}-{format_strength(strength)}"


def list_conditions(strengths: Strengths) -> list[str]:
    """Return the conditions in which each image is shown, in order. The unchanged image comes first."""
    return [UNTOUCHED, *(condition_name(cue, value) for cue, values in strengths.items() for value in values)]


def suppress_each(pixels: np.ndarray, image: str, strengths: Strengths) -> Iterator[tuple[str, np.ndarray]]:
    """Yield an image in each of its conditions, in the order of `list_conditions`.

    pixels: uint8 [H, W, 3]; image: the image's id.
    """
    yield UNTOUCHED, pixels
    # Several conditions start from the same bilateral filter, which takes long.
    suppress_once = functools.cache(functools.partial(suppress, pixels, image))
    for cue, values in strengths.items():
        if cue == "non_local_means":
            results = smooth_by_similar_patches(pixels, cast(Sequence[float], values))
            yield from zip([condition_name(cue, value) for value in values], results, strict=True)
            continue
        for value in values:
            if isinstance(value, (int, float)):
                result = suppress_once(cue, value)
            else:
                (first, second), (first_strength, second_strength) = PAIRS[cue], value
                result = suppress(suppress_once(first, first_strength), image, second, second_strength)
            yield condition_name(cue, value), result


def suppress(pixels: np.ndarray, image: str, cue: str, strength: float) -> np.ndarray:
    """Return an image with one cue suppressed, uint8 [H, W, 3]; image: the image's id, the seed of random orders.

    cue: one of SUPPRESSIONS but non_local_means.
    """
    if cue in ("shape", "rotation"):
        return (shuffle_patches if cue == "shape" else rotate_patches)(pixels, int(strength), image)
    if cue == "channels":
        return shuffle_channels(pixels, image) if strength else pixels
    filters = {"texture": filter_bilaterally, "gaussian": blur, "colour": mix_with_grey}
    return filters[cue](pixels, strength)


def shuffle_patches(pixels: np.ndarray, grid: int, image: str) -> np.ndarray:
    """Shuffle the patches of a grid × grid raster. Parts remain, but their arrangement is lost.

    A patch is side // grid pixels wide and high. The margin, less than grid pixels in all, stays in its place. The
    order depends only on (image, grid) and is never the original order.
    Raises UserError if the grid has more patches along a side than the image has pixels.
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
    raster = np.s_[top : top + grid * height, left : left + grid * width]
    patches = pixels[raster].reshape(grid, height, grid, width, 3).swapaxes(1, 2).reshape(grid * grid, height, width, 3)
    result = pixels.copy()
    grid_of_patches = patches[order].reshape(grid, grid, height, width, 3)
    result[raster] = grid_of_patches.swapaxes(1, 2).reshape(grid * height, grid * width, 3)
    return result


def filter_bilaterally(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Filter bilaterally: each pixel becomes a mean of pixels that are close in position and in colour.

    sigma: standard deviation of the neighbourhood along each axis, in pixels; 0 leaves the image unchanged. The
    neighbourhood is a disc, 4 sigma across. Each neighbour's weight is a Gaussian of its colour difference, summed over
    red, green and blue, with a standard deviation of 60 sigma - 10 grey levels. Burgert et al. use the same pairs of
    window and deviation: 4 pixels with 50 grey levels (sigma 1) to 14 with 200 (sigma 3.5). Their library, OpenCV,
    agrees with this function to within one grey level.
    Source: Tomasi and Manduchi 1998.
    """
    if sigma == 0:
        return pixels
    radius, (height, width, _) = 2 * sigma, pixels.shape
    reach = int(radius)
    color_weights = np.exp(-((np.arange(3 * 255 + 1, dtype=np.float32) / (60 * sigma - 10)) ** 2) / 2)
    rim = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(pixels.transpose(2, 0, 1), rim, mode="reflect").astype(np.int16)
    values = padded.astype(np.float32)
    centre = padded[:, reach : reach + height, reach : reach + width]
    weights, sums = np.zeros((height, width), np.float32), np.zeros((3, height, width), np.float32)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            if x * x + y * y > radius * radius:
                continue
            shifted = np.s_[:, reach + y : reach + y + height, reach + x : reach + x + width]
            weight = color_weights[np.abs(padded[shifted] - centre).sum(axis=0, dtype=np.int16)]
            weights += weight
            sums += weight * values[shifted]
    return np.ascontiguousarray(np.rint(sums / weights).astype(np.uint8).transpose(1, 2, 0))


def mix_with_grey(pixels: np.ndarray, fraction: float) -> np.ndarray:
    """Mix the image with its own grey (luma of ITU-R BT.601): 0 leaves it unchanged, 1 is grey."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(pixels)).enhance(1 - fraction))
