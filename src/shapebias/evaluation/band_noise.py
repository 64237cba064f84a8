"""Add noise of one spatial-frequency band to a photograph, to find the frequencies that recognition relies on.

The method is critical-band masking (Solomon and Pelli 1994), for networks as in Subramanian, Sizikova, Majaj and Pelli,
"Spatial-frequency channels, shape bias, and adversarial robustness", NeurIPS 2023 (arXiv 2309.13190; stimuli at
github.com/ajaysub110/critical-band-masking). A photograph becomes grey, its contrast a fifth, its mean 0.449. Gaussian
noise of a standard deviation from NOISE_LEVELS and of one octave around 1.75 · 2^k cycles per image is added.

As in the published stimuli, each photograph is shown once, in one condition, so that trials are independent.

Differences from the published stimuli:

- The band is an octave in the Fourier domain, with sharp edges. The published one is a level of a Laplacian pyramid.
- The noise has exactly the standard deviation of its condition.
- Noise is added to the network's input image, after scaling and cropping, so images are not compressed afterwards.
- Bands whose centre the input image cannot hold (above half its pixels) are left out.
"""

import math
import re
from typing import TypeVar, cast

import numpy as np
from PIL import Image

from shapebias.errors import UserError
from shapebias.seeding import generator

NOISE_LEVELS = (0.0, 0.02, 0.04, 0.08, 0.16)  # standard deviation, in units of the image's range from black to white
BANDS = 7
LOWEST_CENTRE = 1.75  # cycles per image, of band 0
CONTRAST, MEAN = 0.2, 0.449
CONDITION = re.compile(r"noise(\d+(?:\.\d+)?)freq(\d{1,2})")

Number = TypeVar("Number", float, np.ndarray)


def noise_condition(level: float, band: int) -> str:
    """Return the name of a condition, as in the published trials: `noise0.04freq3`."""
    return f"noise{level:g}freq{band}"


def parse_noise_condition(condition: str) -> tuple[float, int]:
    """Return the standard deviation of the noise and the number of its band: `noise0.04freq3` → (0.04, 3)."""
    match = CONDITION.fullmatch(condition)
    if not match:
        raise UserError(
            f"condition {condition!r} of a benchmark of kind critical_band; expected "
            f"noise<standard deviation>freq<band>, such as {noise_condition(0.04, 3)}"
        )
    return float(match[1]), int(match[2])


def band_centre(band: Number) -> Number:
    """Return the centre of a band in cycles per image: 1.75 for band 0, an octave more for each further band."""
    return cast(Number, LOWEST_CENTRE * 2.0**band)


def count_bands(size: int) -> int:
    """Return how many of the BANDS an image of so many pixels a side can hold: all from 224 pixels.

    Raises UserError if it holds fewer than three, because a channel needs three.
    """
    bands = min(BANDS, math.floor(math.log2(size / 2 / LOWEST_CENTRE)) + 1)
    if bands < 3:
        raise UserError(
            f"an input of {size} pixels holds too few bands of noise for a benchmark of kind critical_band; it needs "
            f"{2 * band_centre(2.0):g} pixels"
        )
    return bands


def choose_condition(image: str, size: int) -> tuple[float, int]:
    """Return the level and the band of an image's noise, a function of the image's id and of the input's size alone.

    All combinations are equally likely.
    """
    rng = generator(0, "band noise", image)
    level, band = rng.integers(len(NOISE_LEVELS)), rng.integers(count_bands(size))
    return NOISE_LEVELS[int(level)], int(band)


def mask_image(pixels: np.ndarray, image: str, level: float, band: int) -> np.ndarray:
    """Return a grey image of low contrast with noise of one band, uint8 [H, W, 3].

    pixels: uint8 [H, W, 3], square. image: the image's id, the seed of the noise. Values beyond black and white are
    clipped.
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64) / 255
    noisy = (grey - grey.mean()) * CONTRAST + MEAN
    if level:
        noisy = noisy + level * band_noise(pixels.shape[0], image, band)
    result = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    return np.repeat(result[:, :, None], 3, axis=2)


def band_noise(size: int, image: str, band: int) -> np.ndarray:
    """Return Gaussian noise of one octave with a standard deviation of 1, float64 [size, size].

    The octave reaches from 1/√2 to √2 times the centre of the band.
    """
    white = generator(0, "band noise", image, size).standard_normal((size, size))
    vertical, horizontal = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None, :] * size
    octaves = np.log2(np.maximum(np.hypot(vertical, horizontal), 1e-9) / band_centre(float(band)))
    noise = np.fft.irfft2(np.fft.rfft2(white) * (np.abs(octaves) <= 0.5), s=(size, size))
    return noise / noise.std()
