"""Differences in accuracy: paired by image, with a test that is corrected for many comparisons."""

import math

import numpy as np
import pandas as pd
import pytest
from helpers import trials
from scipy.stats import binomtest

from shapebias.metrics.accuracy_differences import compare_accuracies, difference_row
from shapebias.metrics.panel import pair_trials


def right(both: int, only_1: int, only_2: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    cells = [(True, True)] * both + [(True, False)] * only_1 + [(False, True)] * only_2 + [(False, False)] * neither
    return tuple(np.array(cells).T)


def test_only_images_that_one_of_both_names_count_as_evidence():
    row = difference_row(*right(both=50, only_1=12, only_2=3, neither=35))
    assert (row["images"], row["only_1"], row["only_2"]) == (100, 12, 3)
    assert row["difference"] == pytest.approx(0.62 - 0.53)
    assert row["p"] == pytest.approx(binomtest(3, 15).pvalue)
    # Agresti and Min 2005: Wald's interval with half an image in each cell more, 12.5 and 3.5 of 102. The difference is
    # 9 / 102, its standard error √(16 - 9² / 102) / 102 = 0.03823.
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.0133, 0.1632), abs=1e-4)


def test_a_difference_is_found_although_the_intervals_of_both_accuracies_overlap():
    row = difference_row(*right(both=60, only_1=8, only_2=0, neither=32))
    assert row["p"] == pytest.approx(2 / 2**8) and row["ci_low"] > 0


def test_equal_answers_and_no_images():
    same = difference_row(*right(both=5, only_1=0, only_2=0, neither=5))
    assert (same["difference"], same["p"]) == (0, 1) and same["ci_low"] < 0 < same["ci_high"]
    assert difference_row(*right(both=5, only_1=1, only_2=1, neither=5))["p"] == 1  # not 2 · 3/4
    none = difference_row(np.zeros(0, bool), np.zeros(0, bool))
    assert none["images"] == 0 and math.isnan(none["p"]) and math.isnan(none["difference"])


def test_the_interval_contains_the_difference():
    rng, images = np.random.default_rng(0), 160
    hard = rng.random((2000, images))
    first, second = (np.where(rng.random(hard.shape) < 0.6, hard, rng.random(hard.shape)) < p for p in (0.7, 0.55))
    rows = [difference_row(a, b) for a, b in zip(first, second, strict=True)]
    assert 0.93 <= np.mean([row["ci_low"] <= 0.15 <= row["ci_high"] for row in rows]) <= 0.97


def test_two_observers_are_compared_on_the_images_that_both_saw():
    first = trials(("cat", None, "cat"), ("dog", None, "dog"), ("car", None, "dog"), observer="a")
    second = trials(("cat", None, "dog"), ("dog", None, "dog"), observer="b")
    (row,) = compare_accuracies(pair_trials(pd.concat([first, second])), [("a", "b")])
    assert (row["observer_1"], row["observer_2"]) == ("a", "b")
    assert (row["images"], row["accuracy_1"], row["accuracy_2"], row["difference"]) == (2, 1, 0.5, 0.5)
