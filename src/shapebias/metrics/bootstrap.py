"""Intervals by resampling images, stratified, with the same resamples for all observers.

The Bayesian bootstrap (Rubin 1981) gives every image a random weight instead of drawing it 0, 1, 2, … times. With
Jeffreys' prior for a ratio of hits (half a hit for either side) it is, for one observer without strata, exactly
the Jeffreys interval of a proportion, whose coverage is close to the nominal one down to a handful of hits and
near 0 and 1 (Brown, Cai and DasGupta 2001), where the percentile bootstrap fails.
"""

import numpy as np

from shapebias.seeding import generator

LEVEL = 0.95
RESAMPLES = 10_000
# Resampling within a stratum of n images understates its variance by (n - 1) / n: small ones are drawn together.
SMALLEST_STRATUM = 5
JEFFREYS = 0.5  # hits
# Draws are whole numbers, of this mean: sums of them below 2 ** 24 are exact in float32, so that they are the same
# bits in any order of adding, from any linear algebra library, for one observer alone and among others.
UNIT = 1024


def strata_of(labels: np.ndarray, counted: np.ndarray | None = None, *, smallest: int = SMALLEST_STRATUM) -> np.ndarray:
    """int [images]: the stratum of each, from a label of each; labels of fewer than `smallest` images share one.

    counted: bool [images], those to count; all where it is None.
    """
    _, strata = np.unique(labels, return_inverse=True)
    counts = np.bincount(strata if counted is None else strata[counted], minlength=strata.max(initial=-1) + 1)
    small = counts < smallest
    return np.where(small, 0, np.cumsum(~small))[strata] if small.any() else strata


def image_draws(images: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """float32 [images, resamples]: exponential draws of mean UNIT, whole numbers of at least 1; images: names [images].

    Divided by its sum over some images, a draw is the weight of an image among them in the Bayesian bootstrap. An
    image's draws depend on its name only: it weighs the same for any observer, in any table and beside any images.
    """
    draws = np.empty((len(images), resamples), dtype=np.float32)
    for row, image in zip(draws, images, strict=True):
        generator(0, "image", image).standard_exponential(dtype=np.float32, out=row)
    draws *= UNIT
    return np.ceil(draws, out=draws)


def resampled_sums(draws: np.ndarray, strata: np.ndarray, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """float64 [rows, resamples]: sums of some counts over resampled images, each stratum keeping its size.

    draws: [images, resamples] of `image_draws`; strata: int [images]; counts: [rows, images], 0 outside of the mask;
    mask: bool [rows, images] or [1, images], the images that count for each row.
    """
    sums = np.zeros((len(counts), draws.shape[1]))
    for stratum in np.unique(strata):
        members = _slice_or_positions(np.flatnonzero(strata == stratum))
        inside, drawn = mask[:, members], draws[members]
        sizes = inside.sum(axis=1, keepdims=True)
        if sizes.any():
            # A row without an image here has no hit here either: its 0 is divided by whatever is not 0.
            whole = np.maximum(_exact_product(inside, drawn), 1)
            part = _exact_product(counts[:, members], drawn)
            part *= sizes / whole
            sums += part
    return sums


def _slice_or_positions(positions: np.ndarray) -> slice | np.ndarray:
    # Neighbours are a view of the draws; others have to be copied.
    first, last = positions[0], positions[-1] + 1
    return slice(first, last) if last - first == len(positions) else positions


def _exact_product(counts: np.ndarray, draws: np.ndarray) -> np.ndarray:
    # Twice what is expected is out of reach of any resample; float64 is exact up to 2 ** 53.
    exact = counts.sum(axis=1).max(initial=0) * UNIT * 2 < 2**24
    kind = np.float32 if exact else np.float64
    return (counts.astype(kind) @ draws.astype(kind, copy=False)).astype(np.float64)


def jeffreys_prior(resamples: int = RESAMPLES, *, side: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two float arrays [resamples]: what the prior adds to the hits of either cue.

    side: 0 or 1; the two observers of a difference have a prior each, or two of equal answers would have none.
    """
    rng = generator(0, "Jeffreys", side, resamples)
    return rng.gamma(JEFFREYS, size=resamples), rng.gamma(JEFFREYS, size=resamples)
