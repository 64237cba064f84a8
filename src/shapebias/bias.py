"""Shape bias and accuracy, each with its 95 % interval.

A table of decisions has one row a trial: observer, image, shape, texture, decision (categories or missing).
Sources: Geirhos et al., ICLR 2019 (arXiv 1811.12231); the toolbox bethgelab/model-vs-human.
"""

import math

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from shapebias.draws import generator

LEVEL = 0.95
RESAMPLES = 10_000


def conflict_trials(decisions: pd.DataFrame) -> pd.DataFrame:
    """The trials that measure bias: both cues known, of different categories, and both open to the observer.

    An observer whose answers are restricted (a network of 11 of the 16 categories) has a column `answerable`
    (bool); a conflict of which it can only ever name one side would count for that side.
    """
    trials = decisions[decisions["shape"].notna() & decisions["texture"].notna()]
    trials = trials[trials["shape"] != trials["texture"]]
    return trials[trials["answerable"].astype(bool)] if "answerable" in trials else trials


def bias(decisions: pd.DataFrame) -> dict[str, float]:
    """Shape bias of one observer (or several, pooled): its hits, its value and its interval.

    Returns conflict_images (trials that count), shape_hits, texture_hits, shape_bias (shape hits over all hits;
    NaN if there is no hit), ci_low, ci_high. Bounds come from a bootstrap over images, see `bias_interval`.
    """
    trials = conflict_trials(decisions)
    shape = (trials["decision"] == trials["shape"]).to_numpy()
    texture = (trials["decision"] == trials["texture"]).to_numpy()
    # People share images: all trials with one image are drawn together, or the interval would be too narrow.
    per_image = pd.DataFrame({"image": trials["image"].to_numpy(), "shape": shape, "texture": texture})
    hits = per_image.groupby("image")[["shape", "texture"]].sum().to_numpy(dtype=np.int64).reshape(-1, 2)
    low, high = bias_interval(hits)
    return {
        "conflict_images": len(trials),
        "shape_hits": int(shape.sum()),
        "texture_hits": int(texture.sum()),
        "shape_bias": ratio(shape.sum(), shape.sum() + texture.sum()),
        "ci_low": low,
        "ci_high": high,
    }


def bias_interval(hits: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of shape bias over images; hits: int [images, 2] (shape, texture).

    Images with equal hits are interchangeable, so a resample is one multinomial draw over the distinct pairs:
    the same distribution as drawing images, thousands of times faster. Where all hits go to one cue no resample
    can hold another, so the bound on that side is the exact binomial one (Clopper and Pearson 1934).
    """
    total = hits.sum(axis=0) if len(hits) else np.zeros(2, dtype=np.int64)
    if total.sum() == 0:
        return math.nan, math.nan
    if 0 in total:
        exact = binomtest(int(total[0]), int(total.sum())).proportion_ci(LEVEL)
        return float(exact.low), float(exact.high)
    pairs, counts = np.unique(hits, axis=0, return_counts=True)
    # Seeded by the data: equal decisions have equal intervals, in any table and order.
    rng = generator(0, "bootstrap", pairs.tolist(), counts.tolist())
    draws = rng.multinomial(len(hits), counts / len(hits), size=RESAMPLES) @ pairs
    sums = draws.sum(axis=1)
    values = draws[sums > 0, 0] / sums[sums > 0]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def cue_accuracy(decisions: pd.DataFrame) -> dict[str, float]:
    """How often conflict images are answered with their shape, with their texture, with either (coverage).

    A ratio of hits hides how many there are; fractions are NaN if there is no conflict image.
    """
    trials = conflict_trials(decisions)
    shape = int((trials["decision"] == trials["shape"]).sum())
    texture = int((trials["decision"] == trials["texture"]).sum())
    return {
        "conflict_images": len(trials),
        "shape_accuracy": ratio(shape, len(trials)),
        "texture_accuracy": ratio(texture, len(trials)),
        "coverage": ratio(shape + texture, len(trials)),
    }


def accuracy(correct: pd.Series, chance: float) -> dict[str, float]:
    """Fraction correct with its Wilson 95 % interval (Wilson 1927), next to chance; NaN without images."""
    hits, images = int(correct.sum()), len(correct)
    interval = binomtest(hits, images).proportion_ci(LEVEL, method="wilson") if images else None
    return {
        "images": images,
        "correct": hits,
        "accuracy": ratio(hits, images),
        "ci_low": float(interval.low) if interval else math.nan,
        "ci_high": float(interval.high) if interval else math.nan,
        "chance": chance,
    }


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN, not an error and never 0, where the whole is 0."""
    return float(part) / float(whole) if whole else math.nan
