"""Accuracy in each condition of a benchmark, next to people's on the same images.

Also what all measures of conditions share: which images count, and how they are resampled. Not as for shape bias:
`intervals.image_draws` weighs an image by its name alone, which understates the variance in small strata, and of a
category a condition often has but five or ten images, whose weights must know how many they are.
Sources: Geirhos et al., NeurIPS 2018 (arXiv 1808.08750) and NeurIPS 2021 (arXiv 2106.07411).
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from shapebias.metrics.bootstrap import JEFFREYS, strata_of
from shapebias.metrics.panel import Panel
from shapebias.metrics.shape_bias import TAILS, accuracy
from shapebias.seeding import generator

CONDITION_RESAMPLES = 2_000
COLUMNS = [
    *["observer", "condition", "images", "correct", "accuracy", "ci_low", "ci_high", "chance"],
    *["people_accuracy", "difference", "difference_low", "difference_high", "reason", "squared_difference"],
]


def eligible(panel: Panel) -> np.ndarray:
    """bool [I, O]: images of a known shape that an observer saw and could have named."""
    return (panel.shape >= 0)[:, None] & panel.shown & panel.answerable


def conditions_of(panel: Panel, order: Sequence[str] = ()) -> list[str]:
    """The conditions of a panel: first those in `order`, then others by name."""
    found = set(panel.condition)
    return [name for name in order if name in found] + sorted(found - set(order))


def resampled_images(labels: np.ndarray, key: str, resamples: int = CONDITION_RESAMPLES) -> tuple[np.ndarray, float]:
    """Weights of images in resamples, float32 [resamples, images], whole numbers; and what stands for one image.

    labels: the stratum's name of each image [images]; each stratum keeps its size. key: what is drawn for; two sets of
    images with the same key and strata have the same weights.
    Weights of a stratum of n images are Dirichlet with concentration (n - 2) / n: then the variance of a weighted mean
    is the unbiased estimate, s² / n. The Bayesian bootstrap (Rubin 1981; concentration 1) understates it by
    (n - 1) / (n + 1), and strata of ten or five images are usual here. They are whole numbers so small that sums of
    them are exact in float32: the same bits in any order of adding.
    """
    return _resampled_images(tuple(labels.tolist()), key, resamples)


@lru_cache(maxsize=1)  # one observer after the other is shown the same images
def _resampled_images(labels: tuple[str | int, ...], key: str, resamples: int) -> tuple[np.ndarray, float]:
    strata = strata_of(np.array(labels))
    weights = np.empty((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = strata == stratum
        size = int(members.sum())
        # One or two images say nothing about their variance; the prior must.
        concentration = max(size - 2, JEFFREYS) / size
        drawn = generator(0, "images", key, int(stratum), size).standard_gamma(concentration, (resamples, size))
        total = drawn.sum(axis=1, keepdims=True)
        weights[:, members] = np.divide(drawn * size, total, out=np.ones_like(drawn), where=total > 0)
    unit = 2.0 ** math.floor(math.log2(2**23 / max(len(strata), 1)))
    whole = np.rint(weights * unit).astype(np.float32)
    whole.flags.writeable = False
    return whole, unit


def prior(cells: int, key: str, resamples: int = CONDITION_RESAMPLES) -> np.ndarray:
    """float64 [cells, resamples]: images that Jeffreys' prior adds to each cell of a table of answers.

    Without it a cell that happens to be empty would be empty in all resamples, and its interval claim certainty.
    """
    return generator(0, "prior", key, cells).standard_gamma(JEFFREYS, (cells, resamples))


def condition_table(
    panel: Panel, people: Sequence[str], chance: Mapping[str, float], order: Sequence[str] = ()
) -> pd.DataFrame:
    """One row an observer and condition: its accuracy, people's, and the difference.

    people: names of persons; a person is compared with the others. chance: observer → accuracy of guessing.
    order: of the conditions. Columns: COLUMNS. images, correct, accuracy and its Wilson interval are over all images
    that the observer saw. people_accuracy and difference (observer minus people) are over those that a person saw too,
    once for each person who did. The interval of the difference is over images, stratified by shape; persons are
    taken as they are. squared_difference: mean over persons of the squared difference from each, as model-vs-human
    averages it (`human_likeness`).
    """
    counts, correct = eligible(panel), panel.correct & eligible(panel)
    person = np.isin(panel.observers, list(people))
    rows = []
    for condition in conditions_of(panel, order):
        here = np.flatnonzero((panel.condition == condition) & counts.any(axis=1))
        seen, right = counts[here].astype(np.float64), correct[here].astype(np.float64)
        weights = resampled_images(panel.shape[here], condition)[0].astype(np.float64)
        against = prior(3, condition)
        for column, observer in enumerate(panel.observers):
            others = person & (np.arange(len(person)) != column)
            row: dict[str, Any] = {"observer": observer, "condition": condition}
            own = seen[:, column] > 0
            row |= accuracy(pd.Series(right[own, column] > 0), chance[observer])
            row |= compared(right[:, column], seen[:, column], right[:, others], seen[:, others], weights, against)
            if not row["images"]:
                row["reason"] = "saw no image of this condition whose category it knows"
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def compared(
    right: np.ndarray, seen: np.ndarray, people_right: np.ndarray, people_seen: np.ndarray,
    weights: np.ndarray, against: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    """An observer against persons, on the images that both saw.

    right, seen: 0 or 1 [images]; people_right, people_seen: [images, persons]; weights: [resamples, images];
    against: images of the prior [3, resamples] that only the observer, only the person, or neither alone got right.
    """
    undefined = {"people_accuracy": math.nan, "difference": math.nan, "difference_low": math.nan}
    undefined |= {"difference_high": math.nan, "squared_difference": math.nan}
    if not people_seen.shape[1]:
        return undefined | {"reason": "no person to compare with"}
    trials = seen * people_seen.sum(axis=1)
    if not trials.any():
        return undefined | {"reason": "no image that a person saw too"}
    people_hits = seen * people_right.sum(axis=1)
    ahead = right * trials - people_hits  # of each image: persons it beats minus persons that beat it
    resampled = (weights @ ahead) / np.maximum(weights @ trials, 1) * np.count_nonzero(trials)
    resampled = (resampled + against[0] - against[1]) / (np.count_nonzero(trials) + against.sum(axis=0))
    low, high = np.quantile(resampled, TAILS)
    shared = (seen[:, None] * people_seen).sum(axis=0)
    met = shared > 0
    each = (right[:, None] * people_seen - seen[:, None] * people_right)[:, met].sum(axis=0) / shared[met]
    return {
        "people_accuracy": people_hits.sum() / trials.sum(),
        "difference": ahead.sum() / trials.sum(),
        "difference_low": float(low),
        "difference_high": float(high),
        "squared_difference": float((each**2).mean()),
        "reason": "",
    }
