"""Adjust p values for the number of tests."""

import math
from collections.abc import Sequence

import numpy as np


def adjust_for_many_tests(p_values: Sequence[float]) -> np.ndarray:
    """Return p values adjusted by the method of Holm (1979): the chance of any false claim stays below the level.

    NaN values are not counted as tests and stay NaN.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), math.nan)
    order = [place for place in np.argsort(p, kind="stable") if not math.isnan(p[place])]
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted


def adjust_for_discoveries(p_values: Sequence[float]) -> np.ndarray:
    """Return p values adjusted by the method of Benjamini and Hochberg (1995).

    Among the differences below a level, on average at most that share are false. This fits tables of hundreds of pairs,
    in which no single claim counts. NaN values are not counted as tests and stay NaN.
    """
    from scipy.stats import false_discovery_control  # takes half a second to import

    adjusted = np.asarray(p_values, dtype=float).copy()
    is_test = ~np.isnan(adjusted)
    if is_test.any():
        adjusted[is_test] = false_discovery_control(adjusted[is_test])
    return adjusted
