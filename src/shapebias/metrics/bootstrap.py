"""Intervals from stratified resampling of images, with the same resamples for all observers.

The Bayesian bootstrap (Rubin 1981) gives every image a random weight instead of sampling it 0, 1, 2, … times. Jeffreys'
prior for a ratio of hits adds half a hit for each cue. With this prior, for one observer and no strata, the result is
exactly the Jeffreys interval of a proportion. The coverage of that interval is close to nominal down to a handful of
hits and near 0 and 1 (Brown, Cai and DasGupta 2001), where the percentile bootstrap fails.
"""

from functools import cache

import numpy as np

from shapebias.seeding import generator

LEVEL = 0.95
RESAMPLES = 10_000
# Resampling within a stratum of n images understates its variance by (n - 1) / n, so small strata are merged.
SMALLEST_STRATUM = 5
JEFFREYS = 0.5  # hits
# Weights are whole numbers with this mean. Their sums are exact in float32 below 2 ** 24, so the bits do not depend on
# the order of addition, on the linear algebra library, or on the number of observers in a call.
UNIT = 1024


def assign_strata(
    labels: np.ndarray, mask: np.ndarray | None = None, *, smallest: int = SMALLEST_STRATUM
) -> np.ndarray:
    """Return int [images]: the stratum of each image, from its label.

    Labels with fewer than `smallest` images share a stratum; mask: bool [images], the images to count (None: all).
    """
    _, strata = np.unique(labels, return_inverse=True)
    counts = np.bincount(strata if mask is None else strata[mask], minlength=strata.max(initial=-1) + 1)
    small = counts < smallest
    return np.where(small, 0, np.cumsum(~small))[strata] if small.any() else strata


def image_weights(images: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Sample weights of images, float32 [images, resamples]: exponential with mean UNIT, rounded up to whole numbers.

    images: names [images]. Dividing the weights by their sum over a set of images gives the weights of the Bayesian
    bootstrap for this set. An image's weights depend only on its name, so they are the same for any observer, in any
    table and in any set of images.
    """
    weights = np.empty((len(images), resamples), dtype=np.float32)
    for row, image in zip(weights, images, strict=True):
        generator(0, "image", image).standard_exponential(dtype=np.float32, out=row)
    weights *= UNIT
    return np.ceil(weights, out=weights)


def resampled_sums(weights: np.ndarray, strata: np.ndarray, counts: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return float64 [rows, resamples]: sums of counts over resampled images. Each stratum keeps its size.

    weights: [images, resamples] of `image_weights`; strata: int [images]; counts: [rows, images], 0 outside the mask;
    mask: bool [rows, images] or [1, images], the images that count for each row.
    """
    sums = np.zeros((len(counts), weights.shape[1]))
    counted = mask.any(axis=0)  # a child saw 80 of 1,280 images: the others would only add zeros
    for stratum in np.unique(strata[counted]):
        members = _slice_or_positions(np.flatnonzero((strata == stratum) & counted))
        inside, stratum_weights = mask[:, members], weights[members]
        sizes = inside.sum(axis=1, keepdims=True)
        if sizes.any():
            # A row without an image in this stratum has no hit in it. Its sum is 0, and any divisor but 0 will do.
            denominator = np.maximum(_exact_product(inside, stratum_weights), 1)
            numerator = _exact_product(counts[:, members], stratum_weights)
            numerator *= sizes / denominator
            sums += numerator
    return sums


def _slice_or_positions(positions: np.ndarray) -> slice | np.ndarray:
    # A slice gives a view of the weights; positions that are not adjacent need a copy.
    first, last = positions[0], positions[-1] + 1
    return slice(first, last) if last - first == len(positions) else positions


def _exact_product(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # No resample comes near twice the expected sum. float64 is exact up to 2 ** 53.
    exact = counts.sum(axis=1).max(initial=0) * UNIT * 2 < 2**24
    dtype = np.float32 if exact else np.float64
    return (counts.astype(dtype) @ weights.astype(dtype, copy=False)).astype(np.float64)


@cache
def jeffreys_prior(resamples: int = RESAMPLES, *, side: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two float arrays [resamples]: the hits that the prior adds for either cue.

    side: 0 or 1. The two observers of a difference have separate priors. With one prior for both, two observers with
    equal answers would have an interval without width.
    """
    rng = generator(0, "Jeffreys", side, resamples)
    hits = rng.gamma(JEFFREYS, size=(2, resamples))
    hits.flags.writeable = False  # all callers share these numbers
    return hits[0], hits[1]
