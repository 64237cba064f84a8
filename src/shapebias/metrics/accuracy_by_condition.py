"""Accuracy in each condition of a benchmark, compared with the accuracy of people on the same images.

The module also holds the code that all measures by condition share: which images count, and how images are resampled.
Resampling differs from that of shape bias. `bootstrap.image_weights` derives an image's weight from its name alone,
which understates the variance in small strata. A condition often has only five or ten images of a category, so here
the weights depend on the size of the stratum.
Sources: Geirhos et al., NeurIPS 2018 (arXiv 1808.08750) and NeurIPS 2021 (arXiv 2106.07411).
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from shapebias.metrics.bootstrap import JEFFREYS, assign_strata
from shapebias.metrics.panel import Panel
from shapebias.metrics.shape_bias import TAILS, accuracy_row
from shapebias.seeding import generator

CONDITION_RESAMPLES = 2_000
CONDITION_COLUMNS = [
    *["observer", "condition", "images", "correct", "accuracy", "ci_low", "ci_high", "chance"],
    *["people_accuracy", "difference", "difference_low", "difference_high", "reason", "squared_difference"],
]


def eligible_images(panel: Panel) -> np.ndarray:
    """Return bool [I, O]: images of a known shape that the observer saw and could have named."""
    return (panel.shape >= 0)[:, None] & panel.seen & panel.answerable


def panel_conditions(panel: Panel, order: Sequence[str] = ()) -> list[str]:
    """Return the conditions of a panel: first the conditions in `order`, then the rest by name."""
    present = set(panel.condition)
    return [name for name in order if name in present] + sorted(present - set(order))


def resampled_image_weights(
    labels: np.ndarray, key: str, resamples: int = CONDITION_RESAMPLES
) -> tuple[np.ndarray, float]:
    """Sample weights of images. Return them as float32 [resamples, images] with whole numbers, and the weight unit.

    labels: the name of each image's stratum [images]; each stratum keeps its size.
    key: part of the seed. Two sets of images with the same key and strata have the same weights.
    The weight unit is the weight of one image.

    The weights of a stratum of n images follow a Dirichlet distribution with concentration (n - 2) / n. The variance of
    a weighted mean is then the unbiased estimate, s² / n. The Bayesian bootstrap (Rubin 1981; concentration 1)
    understates it by (n - 1) / (n + 1), and strata of ten or five images are usual here. Weights are whole numbers,
    small enough that sums of them are exact in float32: every order of addition gives the same bits.
    """
    return _cached_image_weights(tuple(labels.tolist()), key, resamples)


@lru_cache(maxsize=8)  # conditions of a benchmark, which several measures go through one after another
def _cached_image_weights(labels: tuple[str | int, ...], key: str, resamples: int) -> tuple[np.ndarray, float]:
    strata = assign_strata(np.array(labels))
    weights = np.empty((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = strata == stratum
        size = int(members.sum())
        # One or two images carry no information on their variance, so the prior supplies it.
        concentration = max(size - 2, JEFFREYS) / size
        samples = generator(0, "images", key, int(stratum), size).standard_gamma(concentration, (resamples, size))
        total = samples.sum(axis=1, keepdims=True)
        weights[:, members] = np.divide(samples * size, total, out=np.ones_like(samples), where=total > 0)
    unit = 2.0 ** math.floor(math.log2(2**23 / max(len(strata), 1)))
    integers = np.rint(weights * unit).astype(np.float32)
    integers.flags.writeable = False
    return integers, unit


def forget_image_weights() -> None:
    """Free the weights that `resampled_image_weights` keeps: 10 MB for 1,280 images."""
    _cached_image_weights.cache_clear()


def prior_images(cells: int, key: str, resamples: int = CONDITION_RESAMPLES) -> np.ndarray:
    """Return float64 [cells, resamples]: the images that Jeffreys' prior adds to each cell of a table of answers.

    Without the prior, a cell that is empty by chance would be empty in all resamples, and its interval would have no
    width.
    """
    return generator(0, "prior", key, cells).standard_gamma(JEFFREYS, (cells, resamples))


def tabulate_conditions(
    panel: Panel, people: Sequence[str], chance: Mapping[str, float], order: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row per observer and condition: the observer's accuracy, the accuracy of people, and the difference.

    people: names of persons; a person is compared with the remaining persons.
    chance: observer → accuracy of guessing.
    order: the order of the conditions.

    The columns are CONDITION_COLUMNS:

    - images, correct, accuracy and its Wilson interval cover all images that the observer saw.
    - people_accuracy and difference (observer minus people) cover the images that a person also saw. An image counts
      once for each such person.
    - The interval of the difference resamples images, stratified by shape. Persons are not resampled.
    - squared_difference is the mean over persons of the squared difference from each person, averaged as in
      model-vs-human (`human_likeness`).
    """
    counts, correct = eligible_images(panel), panel.correct & eligible_images(panel)
    person = np.isin(panel.observers, list(people))
    rows = []
    for condition in panel_conditions(panel, order):
        images = np.flatnonzero((panel.condition == condition) & counts.any(axis=1))
        seen, right = counts[images].astype(np.float64), correct[images].astype(np.float64)
        weights = resampled_image_weights(panel.shape[images], condition)[0].astype(np.float64)
        prior = prior_images(3, condition)
        for column, observer in enumerate(panel.observers):
            other_persons = person & (np.arange(len(person)) != column)
            row: dict[str, Any] = {"observer": observer, "condition": condition}
            saw = seen[:, column] > 0
            row |= accuracy_row(pd.Series(right[saw, column] > 0), chance[observer])
            row |= compare_with_people(
                right[:, column], seen[:, column], right[:, other_persons], seen[:, other_persons], weights, prior
            )
            if not row["images"]:
                row["reason"] = "saw no image of this condition whose category it knows"
            rows.append(row)
    return pd.DataFrame(rows, columns=CONDITION_COLUMNS)


def compare_with_people(
    right: np.ndarray, seen: np.ndarray, people_right: np.ndarray, people_seen: np.ndarray,
    weights: np.ndarray, prior: np.ndarray,
) -> dict[str, Any]:  # fmt: skip
    """Compare an observer with persons, on the images that both saw.

    right, seen: 0 or 1 [images]; people_right, people_seen: [images, persons]; weights: [resamples, images];
    prior: images of the prior [3, resamples] that were right for only the observer, for only the person, or for both
    or neither.
    """
    undefined = {"people_accuracy": math.nan, "difference": math.nan, "difference_low": math.nan}
    undefined |= {"difference_high": math.nan, "squared_difference": math.nan}
    if not people_seen.shape[1]:
        return undefined | {"reason": "no person to compare with"}
    trials = seen * people_seen.sum(axis=1)
    if not trials.any():
        return undefined | {"reason": "no image that a person saw too"}
    people_hits = seen * people_right.sum(axis=1)
    lead = right * trials - people_hits  # per image: persons worse than the observer minus persons better
    resampled = (weights @ lead) / np.maximum(weights @ trials, 1) * np.count_nonzero(trials)
    resampled = (resampled + prior[0] - prior[1]) / (np.count_nonzero(trials) + prior.sum(axis=0))
    low, high = np.quantile(resampled, TAILS)
    shared = (seen[:, None] * people_seen).sum(axis=0)
    has_shared = shared > 0
    differences = (right[:, None] * people_seen - seen[:, None] * people_right)[:, has_shared].sum(axis=0) / shared[
        has_shared
    ]
    return {
        "people_accuracy": people_hits.sum() / trials.sum(),
        "difference": lead.sum() / trials.sum(),
        "difference_low": float(low),
        "difference_high": float(high),
        "squared_difference": float((differences**2).mean()),
        "reason": "",
    }
