"""Seeds of one run are pooled. Where their images or their answers share nothing, Student's t gives the interval."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers import trials
from scipy.stats import beta, t

from shapebias.metrics.bias_differences import difference_rows, restrict_to_images
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.seed_pooling import pooled_difference, pooled_row, seed_interval
from shapebias.metrics.shape_bias import CueCounts, bias_rows, count_cues

GROUPS = {name: [name] for name in "abcd"}


def answers(shape: int, texture: int, observer: str, images: str = "image", other: int = 0) -> pd.DataFrame:
    """Answers with the shape, with the texture or with neither, to images of cats with the texture of dogs."""
    decisions = ["cat"] * shape + ["dog"] * texture + ["car"] * other
    table = trials(*[("cat", "dog", decision) for decision in decisions], observer=observer)
    return table.assign(image=[f"{images}{i:03}" for i in range(len(table))])


def count(*tables: pd.DataFrame) -> CueCounts:
    return count_cues(pair_trials(pd.concat(tables)))


def bounds(row: dict) -> tuple[float, float]:
    return row["ci_low"], row["ci_high"]


def test_seeds_that_saw_different_images_have_the_interval_of_student():
    # Biases 0.4, 0.5 and 0.6, mean 0.5, standard deviation 0.1. The images have nothing in common.
    counts = count(*(answers(shape, 100 - shape, name, name) for shape, name in ((40, "a"), (50, "b"), (60, "c"))))
    half = t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert half == pytest.approx(0.2484, abs=1e-4)
    assert seed_interval(counts, [0, 1, 2]) == pytest.approx((0.5 - half, 0.5 + half), abs=0.005)
    close = count(*(answers(shape, 100 - shape, name, name) for name, shape in (("a", 49), ("b", 50), ("c", 51))))
    assert seed_interval(close, [0, 1, 2]) == pytest.approx((0.5 - half / 10, 0.5 + half / 10), abs=0.005)
    row = pooled_row(counts, bias_rows(counts), [0, 1, 2])
    assert (row["conflict_images"], row["shape_hits"], row["texture_hits"], row["shape_bias"]) == (300, 150, 150, 0.5)
    assert bounds(row) == seed_interval(counts, [0, 1, 2])


def test_the_interval_adds_the_variance_that_seeds_share_to_the_variance_of_seeds():
    # Eight seeds name the shape of the first 16, 20, … 44 of 100 images. Two seeds with biases p < q have a covariance
    # of p (1 - q) / 101 over images.
    biases = [0.16 + 0.04 * k for k in range(8)]
    names = "abcdefgh"
    counts = count(*(answers(round(100 * p), round(100 * (1 - p)), k) for p, k in zip(biases, names, strict=True)))
    shared = np.mean([p * (1 - q) / 101 for p, q in combinations(biases, 2)])
    half = math.hypot(t.ppf(0.975, 7) * np.std(biases, ddof=1) / math.sqrt(8), 1.96 * math.sqrt(shared))
    assert seed_interval(counts, list(range(8))) == pytest.approx((0.3 - half, 0.3 + half), abs=0.008)


def test_seeds_with_equal_answers_have_the_interval_of_one_seed():
    counts = count(*(answers(60, 40, name) for name in "abc"))
    row = pooled_row(counts, bias_rows(counts), [0, 1, 2])
    # The half hits of the prior weigh less among 300 hits than among 100.
    assert bounds(row) == pytest.approx(beta.ppf([0.025, 0.975], 60.5, 40.5), abs=0.006)
    assert (row["conflict_images"], row["shape_bias"]) == (100, 0.6)


def test_seeds_that_differ_much_have_an_interval_from_0_to_1():
    # Student's t with one degree of freedom: 12.7 × 0.8 / 2 to either side.
    counts = count(answers(90, 10, "a"), answers(10, 90, "b"))
    assert seed_interval(counts, [0, 1]) == (0, 1)
    others = count(answers(90, 10, "a"), answers(10, 90, "b"), answers(10, 90, "c"), answers(90, 10, "d"))
    row = pooled_difference(others, [0, 1], [2, 3])
    assert (row["difference"], *bounds(row)) == (0, -1, 1)
    assert (row["shape_difference"], row["shape_difference_low"], row["shape_difference_high"]) == (0, -1, 1)


def test_seeds_that_always_name_the_texture_have_the_exact_interval():
    counts = count(*(answers(0, 100, name) for name in "ab"))
    row = pooled_row(counts, bias_rows(counts), [0, 1])
    assert bounds(row) == (0, pytest.approx(1 - 0.025 ** (1 / 100)))  # both saw the same 100 images
    assert (row["shape_bias"], row["interval"]) == (0, "images and seeds")


def test_seeds_without_a_hit_leave_the_interval_to_the_remaining_seed():
    counts = count(answers(6, 4, "a"), answers(0, 0, "b", other=10), answers(6, 4, "c", "x"))
    rows = bias_rows(counts)
    row = pooled_row(counts, rows, [0, 1])
    assert (row["shape_bias"], row["interval"], *bounds(row)) == (0.6, "images", *bounds(rows[0]))
    assert pooled_row(counts, rows, [0, 2])["interval"] == "images and seeds"
    nothing = pooled_row(counts, rows, [1])
    assert math.isnan(nothing["shape_bias"]) and math.isnan(nothing["ci_low"]) and nothing["conflict_images"] == 10


def test_equal_answers_have_no_difference_and_a_narrow_interval():
    counts = count(answers(60, 40, "a"), answers(50, 50, "b"), answers(60, 40, "c"), answers(50, 50, "d"))
    row = pooled_difference(counts, [0, 1], [2, 3])
    assert (row["seeds"], row["difference"], row["shape_difference"], row["texture_difference"]) == (2, 0, 0, 0)
    # Only the priors differ: ± half a hit of 200, about.
    assert -0.02 < row["ci_low"] < 0 < row["ci_high"] < 0.02
    assert -0.02 < row["shape_difference_low"] < 0 < row["shape_difference_high"] < 0.02


def test_a_difference_covers_the_images_that_all_seeds_saw():
    # The last ten images of `a` have the answer texture; no other observer saw them.
    counts = count(answers(10, 20, "a"), answers(10, 10, "b"), answers(5, 15, "c"), answers(5, 15, "d"))
    row = pooled_difference(counts, [0, 1], [2, 3])
    assert (row["difference"], row["shape_difference"], row["texture_difference"]) == (1 / 4, 1 / 4, -1 / 4)
    same = pooled_difference(
        count(*(answers(n, 20 - n, k) for n, k in ((10, "a"), (10, "b"), (5, "c"), (5, "d")))), [0, 1], [2, 3]
    )
    assert row == pytest.approx(same, nan_ok=True)
    apart = count(answers(1, 1, "a"), answers(1, 1, "b", "x"))
    assert pooled_difference(apart, [0], [1])["reason"] == "no conflict image that all saw and could answer"


def test_pairs_of_seeds_in_which_one_has_no_hit_are_left_out():
    counts = count(answers(12, 8, "a"), answers(0, 0, "b", other=20), answers(4, 16, "c"), answers(8, 12, "d"))
    row = pooled_difference(counts, [0, 1], [2, 3])
    alone = pooled_difference(counts, [0], [2])
    assert (row["seeds"], row["interval"], row["difference"]) == (1, "images", pytest.approx(12 / 20 - 4 / 20))
    assert row == alone
    nothing = pooled_difference(counts, [1], [2])
    assert (nothing["seeds"], nothing["reason"]) == (0, "not both have a hit on the 20 common conflict images")
    assert math.isnan(nothing["difference"]) and math.isnan(nothing["shape_difference"])


def test_seeds_that_name_one_cue_only_have_the_difference_of_two_exact_intervals():
    # Always the shape of 100 images: from 0.025 ** (1 / 100) = 0.9638 to 1. Always the texture: from 0 to 0.0362.
    counts = count(*(answers(100, 0, name) for name in "ab"), *(answers(0, 100, name) for name in "cd"))
    row, turned = pooled_difference(counts, [0, 1], [2, 3]), pooled_difference(counts, [2, 3], [0, 1])
    half = math.hypot(0.0362, 0.0362)
    assert (row["difference"], *bounds(row)) == pytest.approx((1, 1 - half, 1), abs=1e-4)
    assert (turned["difference"], *bounds(turned)) == pytest.approx((-1, -1, -1 + half), abs=1e-4)
    assert row["interval"] == "images and seeds" and row["seeds"] == 2


def test_a_side_that_names_one_cue_only_has_its_exact_bound():
    counts = count(*(answers(10, 0, name) for name in "ab"), *(answers(5, 5, name) for name in "cd"))
    row, second = pooled_difference(counts, [0, 1], [2, 3]), pooled_row(counts, bias_rows(counts), [2, 3])
    exact = 1 - 0.025 ** (1 / 10)
    assert row["ci_low"] == pytest.approx(0.5 - math.hypot(exact, second["ci_high"] - 0.5))
    assert row["ci_high"] == pytest.approx(0.5 + 0.5 - second["ci_low"])


def test_one_observer_is_compared_with_each_seed():
    counts = count(answers(90, 10, "a"), answers(20, 80, "b"), answers(30, 70, "c"), answers(40, 60, "d"))
    row = pooled_difference(counts, [0], [1, 2, 3])
    turned = pooled_difference(counts, [1, 2, 3], [0])
    assert (row["seeds"], row["difference"], turned["difference"]) == (3, pytest.approx(0.6), pytest.approx(-0.6))
    # Student's t with two degrees of freedom, 4.303 × 0.1 / √3 = 0.248, and the images of 100: ± 1.96 · √(0.25 / 101).
    for one in (row["difference"] - row["ci_low"], turned["ci_high"] - turned["difference"]):
        assert 0.248 < one < math.hypot(0.26, 0.1)
    assert row["shape_difference"] == pytest.approx(0.6) and row["texture_difference"] == pytest.approx(-0.6)


def test_the_share_of_a_cue_counts_answers_that_name_neither():
    counts = count(
        *(answers(10, 10, name, other=80) for name in "ab"), *(answers(10, 40, name, other=50) for name in "cd")
    )
    row = pooled_difference(counts, [0, 1], [2, 3])
    assert row["shape_difference"] == 0 and row["texture_difference"] == pytest.approx(-0.3)
    assert row["difference"] == pytest.approx(10 / 20 - 10 / 50)
    assert row["shape_difference_low"] < 0 < row["shape_difference_high"]
    assert row["texture_difference_low"] < -0.3 < row["texture_difference_high"] < -0.15


def test_pairs_are_compared_in_the_order_of_rows():
    counts = count(answers(8, 2, "a"), answers(6, 4, "b"), answers(1, 9, "c"), answers(0, 0, "d", other=10))
    rows = difference_rows(counts, GROUPS)
    assert [(row["observer_1"], row["observer_2"]) for row in rows] == [
        tuple(pair) for pair in ("ab", "ac", "ad", "bc", "bd", "cd")
    ]
    biases = [(row["shape_bias_1"], row["shape_bias_2"], row["difference"]) for row in rows[:2]]
    assert biases == [(0.8, 0.6, pytest.approx(0.2)), (0.8, 0.1, pytest.approx(0.7))]
    assert rows[2]["reason"] == "no hit of d on the 10 common conflict images"
    assert rows[2]["shape_difference"] == 0.8 and rows[2]["shape_difference_low"] > 0
    (common,) = difference_rows(count(answers(10, 20, "a"), answers(10, 10, "b")), GROUPS)
    assert (common["conflict_images"], common["shape_bias_1"], common["difference"]) == (20, 1 / 2, 0)
    both = difference_rows(count(answers(0, 0, "a", other=2), answers(0, 0, "b", other=2)), GROUPS)
    assert both[0]["reason"] == "no hit of a and b on the 2 common conflict images"


def test_the_interval_of_two_observers_is_paired_by_image():
    # On 40 of 100 images only the first answers the shape. The difference has a variance of 0.4 · 0.6 / 101.
    (row,) = difference_rows(count(answers(60, 40, "a"), answers(20, 80, "b")), GROUPS)
    half = 1.96 * math.sqrt(0.4 * 0.6 / 101)
    assert bounds(row) == pytest.approx((0.4 - half, 0.4 + half), abs=0.01)
    (equal,) = difference_rows(count(answers(60, 40, "a"), answers(60, 40, "b")), GROUPS)
    assert -0.05 < equal["ci_low"] < 0 < equal["ci_high"] < 0.05  # only the priors differ


def test_counts_are_restricted_to_the_common_images():
    counts = count(answers(2, 1, "a"), answers(1, 0, "b"))
    restricted = restrict_to_images(counts, [0, 1], counts.seen[[1, 1]])
    assert restricted.trials.tolist() == restricted.shape_hits.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert restricted.texture_hits.sum() == 0 and restricted.names == ["a", "b"]
    second = restrict_to_images(counts, [1], counts.seen[[1]])
    assert (second.names, second.hits.tolist(), second.trials.tolist()) == (["b"], [[1, 0, 0]], [[1, 0, 0]])
