"""Differences in accuracy between two networks on the same images, with paired intervals and tests.

Overlapping intervals of two accuracies do not show that the accuracies are equal, and intervals that are apart ask for
too much: most images are easy or difficult for both networks.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import bdtr, ndtri

from shapebias.metrics.bootstrap import LEVEL
from shapebias.metrics.panel import Panel

ACCURACY_DIFFERENCE_COLUMNS = [
    *["observer_1", "observer_2", "images", "accuracy_1", "accuracy_2", "difference", "ci_low", "ci_high"],
    *["only_1", "only_2", "p", "p_adjusted"],
]


def difference_row(right_1: np.ndarray, right_2: np.ndarray) -> dict[str, Any]:
    """Return the difference of two accuracies on the same images, first minus second.

    right_1, right_2: bool [images], whether each observer was right.
    only_1, only_2: images on which only the first or only the second was right; all other images say nothing about the
    difference. ci_low, ci_high: the 95 % interval of Agresti and Min (2005, Statistics in Medicine 24), which adds half
    an image to each of the four cells. p: the exact two-sided test of McNemar. All are NaN without images.
    """
    images, only_1, only_2 = len(right_1), int((right_1 & ~right_2).sum()), int((right_2 & ~right_1).sum())
    row: dict[str, Any] = {"images": images, "only_1": only_1, "only_2": only_2}
    if not images:
        return row | dict.fromkeys(("accuracy_1", "accuracy_2", "difference", "ci_low", "ci_high", "p"), math.nan)
    row |= {"accuracy_1": float(right_1.mean()), "accuracy_2": float(right_2.mean())}
    total, centre = images + 2, only_1 - only_2
    z = float(ndtri((1 + LEVEL) / 2))
    spread = z * math.sqrt(only_1 + only_2 + 1 - centre**2 / total) / total
    row |= {"difference": centre / images, "ci_low": centre / total - spread, "ci_high": centre / total + spread}
    row["p"] = min(1.0, 2 * float(bdtr(min(only_1, only_2), only_1 + only_2, 0.5))) if only_1 + only_2 else 1.0
    return row


def compare_accuracies(panel: Panel, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return one row per pair of observers of a panel, on the images that both saw and whose category both know."""
    counts = (panel.shape >= 0)[:, None] & panel.seen & panel.answerable
    rows = []
    for names in pairs:
        columns = [panel.observers.index(name) for name in names]
        shared = counts[:, columns].all(axis=1)
        first, second = (panel.correct[shared, column] for column in columns)
        rows.append({"observer_1": names[0], "observer_2": names[1]} | difference_row(first, second))
    return rows
