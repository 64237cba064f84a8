"""How well observers tell melanomas from other lesions: rates and ROC AUC, each with its 95 % interval.

Predictions have one row per image: image, class, predicted_class, p_melanoma. All observers of a benchmark share the
same resamples, so two observers are compared image by image.
Sources: Codella et al. 2018, arXiv 1710.05006 (the challenge); Hanley and McNeil 1982 (AUC as the probability that a
melanoma scores above another lesion); Efron and Tibshirani 1993 (percentile bootstrap).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from shapebias.errors import UserError
from shapebias.images.isic2017 import MELANOMA
from shapebias.metrics.shape_bias import LEVEL, RESAMPLES, TAILS
from shapebias.seeding import generator

PROPORTION_MEASURES = ("accuracy", "sensitivity", "specificity")
MELANOMA_MEASURES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auc")
COMPARED_MEASURES = ("auc", "balanced_accuracy")  # with the baseline
MELANOMA_COUNTS = ("true_positives", "false_negatives", "false_positives", "true_negatives")
MELANOMA_COLUMNS = [
    *["images", "melanoma_images", *MELANOMA_COUNTS],
    *[f"{name}{end}" for name in MELANOMA_MEASURES for end in ("", "_low", "_high")],
    *["baseline", *(f"{name}_difference{end}" for name in COMPARED_MEASURES for end in ("", "_low", "_high"))],
]


@dataclass(frozen=True)
class Performance:
    """The performance of one observer on one benchmark.

    images: the images that the observer saw, in order; counts: the confusion matrix, with melanoma as positive;
    values: the measures; resampled: the measures over RESAMPLES bootstrap resamples, [RESAMPLES] each.
    """

    images: list[str]
    counts: dict[str, int]
    values: dict[str, float]
    resampled: dict[str, np.ndarray]


def measure_performance(predictions: pd.DataFrame) -> Performance:
    """Measure an observer. Measures that need a class without images are NaN."""
    table = predictions.sort_values("image")
    melanoma = (table["class"] == MELANOMA).to_numpy()
    predicted = (table["predicted_class"] == MELANOMA).to_numpy()
    score = table["p_melanoma"].to_numpy()
    cells = (melanoma & predicted, melanoma & ~predicted, ~melanoma & predicted, ~melanoma & ~predicted)
    unweighted = np.ones(len(table), dtype=np.int64)
    values = {name: float(value) for name, value in melanoma_measures(melanoma, predicted, score, unweighted).items()}
    resampled = melanoma_measures(melanoma, predicted, score, bootstrap_counts(melanoma))
    counts = {name: int(cell.sum()) for name, cell in zip(MELANOMA_COUNTS, cells, strict=True)}
    return Performance(list(table["image"]), counts, values, resampled)


def bootstrap_counts(melanoma: np.ndarray) -> np.ndarray:
    """Sample how often each image counts, int64 [RESAMPLES, images]. Each class keeps its number of images.

    The result depends only on the classes, so every observer of the same images has the same resamples.
    """
    rng = generator(0, "bootstrap", "melanoma", melanoma.tolist())
    counts = np.zeros((RESAMPLES, len(melanoma)), dtype=np.int64)
    for members in (np.flatnonzero(melanoma), np.flatnonzero(~melanoma)):
        if len(members):
            counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=RESAMPLES)
    return counts


def melanoma_measures(
    melanoma: np.ndarray, predicted: np.ndarray, score: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return all MELANOMA_MEASURES of one or many resamples, each [...].

    melanoma, predicted: bool [images], the true and the predicted class; score: float [images], higher for melanoma;
    counts: int [..., images], how often each image counts.
    """
    positives, negatives = melanoma.sum(), (~melanoma).sum()
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
        sensitivity = counts @ (melanoma & predicted) / positives
        specificity = counts @ (~melanoma & ~predicted) / negatives
        accuracy = counts @ (melanoma == predicted) / (positives + negatives)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auc": auc(melanoma, score, counts),
    }


def auc(melanoma: np.ndarray, score: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the share of pairs (melanoma, other lesion) in which the melanoma scores higher; a tie counts half.

    Arguments: as in `melanoma_measures`; the result is [...]. The other lesions are sorted by score once for all
    resamples. A cumulative sum then gives the number of lesions below each melanoma.
    """
    others = np.flatnonzero(~melanoma)
    others = others[np.argsort(score[others])]
    lowest = np.zeros((*counts.shape[:-1], len(others) + 1), dtype=np.int64)  # [..., k]: sum of counts of the k lowest
    np.cumsum(counts[..., others], axis=-1, out=lowest[..., 1:])
    lower, not_higher = (np.searchsorted(score[others], score[melanoma], side) for side in ("left", "right"))
    below = (lowest[..., lower] + lowest[..., not_higher]) / 2  # [..., melanomas]
    melanomas = counts[..., melanoma]
    with np.errstate(invalid="ignore"):  # without any pair, AUC is undefined: 0 / 0 is NaN
        return (melanomas * below).sum(axis=-1) / (melanomas.sum(axis=-1) * lowest[..., -1])


def exact_interval(hits: int, images: int) -> tuple[float, float]:
    """Return the exact binomial interval of hits / images, images ≥ 1 (Clopper and Pearson 1934).

    scipy.stats has it too, but takes half a second to import.
    """
    low = betaincinv(hits, images - hits + 1, TAILS[0]) if hits else 0.0
    high = betaincinv(hits + 1, images - hits, TAILS[1]) if hits < images else 1.0
    return float(low), float(high)


def performance_row(performance: Performance, baseline: Performance | None) -> dict[str, float]:
    """Return counts, measures and differences from a baseline, with their 95 % percentile-bootstrap intervals.

    If every resample gives the same value (all right, all wrong, or one answer to all images), the bootstrap interval
    would have no width. A proportion then has the exact binomial interval (Clopper and Pearson 1934), and other
    measures have none (NaN).
    Raises UserError if the two observers were shown different images.
    """
    row: dict[str, float] = {
        "images": len(performance.images),
        "melanoma_images": performance.counts["true_positives"] + performance.counts["false_negatives"],
        **performance.counts,
    }
    denominators = {"sensitivity": row["melanoma_images"], "specificity": row["images"] - row["melanoma_images"]}
    for name, value in performance.values.items():
        low, high = percentiles(performance.resampled[name])
        if math.isnan(low) and math.isfinite(value) and name in PROPORTION_MEASURES:
            images = int(denominators.get(name, row["images"]))
            low, high = exact_interval(round(value * images), images)
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    for name in COMPARED_MEASURES:
        low, high, difference = math.nan, math.nan, math.nan
        if baseline is not None:
            if baseline.images != performance.images:
                raise UserError("observers to compare were shown different images; evaluate both again")
            low, high = percentiles(performance.resampled[name] - baseline.resampled[name])
            difference = performance.values[name] - baseline.values[name]
        row |= {f"{name}_difference": difference, f"{name}_difference_low": low, f"{name}_difference_high": high}
    return row


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of some resamples; NaN if all resamples are equal."""
    if np.ptp(values) == 0:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
