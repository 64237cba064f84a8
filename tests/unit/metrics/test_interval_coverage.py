"""Coverage of intervals: about 95 % of them contain the known bias of simulated observers.

Each test simulates 500 observers on 1,280 images as published: 16 categories of 80 images, 75 of them conflicts. A
fraction of 500 has a standard deviation of 1 %. The required bounds, 92 and 98 %, are three of these away.
"""

from dataclasses import replace

import numpy as np
import pytest

from shapebias.categories import CATEGORIES
from shapebias.metrics.bias_differences import difference_intervals, share_differences
from shapebias.metrics.panel import NO_ANSWER, Panel
from shapebias.metrics.seed_pooling import pooled_difference, seed_interval
from shapebias.metrics.shape_bias import CueCounts, bias_intervals, count_cues, cue_accuracy_rows

OBSERVERS = 500
LOW, HIGH = 0.92, 0.98
RESAMPLES = 1_000  # a tenth of the number in tables: a little more scatter, a tenth of the time
SHAPE = np.repeat(np.arange(16), 80)
OTHER = (SHAPE + 1 + np.arange(1280) % 15) % 16
TEXTURE = np.where(np.arange(1280) % 80 < 75, OTHER, SHAPE)
CONFLICT = SHAPE != TEXTURE
CHANCE = [1 / 16] * OBSERVERS


def panel(decisions: np.ndarray) -> Panel:
    """The design with some answers, int8 [1280, observers]."""
    names = [f"{CATEGORIES[s]}{i}-{CATEGORIES[t]}{i}" for i, (s, t) in enumerate(zip(SHAPE, TEXTURE, strict=True))]
    return Panel(
        images=np.array(names, dtype=object),
        shape=SHAPE.astype(np.int8),
        texture=TEXTURE.astype(np.int8),
        condition=np.full(1280, "", dtype=object),
        observers=[f"{k:04d}" for k in range(decisions.shape[1])],
        decisions=decisions.astype(np.int8),
        answerable=np.ones(decisions.shape, dtype=bool),
    )


def answers(bias, coverage, rng, observers: int = OBSERVERS, draws=None) -> np.ndarray:
    """Decisions [1280, observers]; bias, coverage: probabilities, numbers or one for each image [1280, 1]."""
    hit, shape = rng.random((2, 1280, observers)) if draws is None else draws
    return np.where(hit < coverage, np.where(shape < bias, SHAPE[:, None], TEXTURE[:, None]), NO_ANSWER)


def coverage_of(decisions: np.ndarray) -> CueCounts:
    return count_cues(panel(decisions), resamples=RESAMPLES)


def contains(intervals: np.ndarray, truth: float) -> float:
    """The fraction of intervals [n, 2] that contain the truth."""
    return float(np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])))


def width(intervals: np.ndarray) -> float:
    return float(np.mean(intervals[:, 1] - intervals[:, 0]))


@pytest.mark.parametrize(
    ("bias", "coverage"),
    [(0.5, 0.6), (0.2, 0.6), (0.98, 0.8), (0.98, 0.6), (0.3, 20 / 1200), (0.98, 20 / 1200)],
    ids=["one half", "texture-biased", "people", "people, fewer hits", "about 20 hits", "about 20 hits at 0.98"],
)
def test_the_interval_contains_the_bias(bias, coverage):
    intervals = bias_intervals(coverage_of(answers(bias, coverage, np.random.default_rng(0))))
    assert LOW <= contains(intervals, bias) <= HIGH


@pytest.mark.parametrize("bias", [0.3, 0.5, 0.98])
def test_the_interval_contains_the_bias_with_exactly_20_hits(bias):
    rng = np.random.default_rng(1)
    order = np.where(CONFLICT[:, None], rng.random((1280, OBSERVERS)), np.inf).argsort(axis=0)
    chosen = np.zeros((1280, OBSERVERS), dtype=bool)
    np.put_along_axis(chosen, order[:20], True, axis=0)
    decisions = np.where(chosen, answers(bias, 1, rng), NO_ANSWER)
    counts = coverage_of(decisions)
    assert (counts.hits.sum(axis=1) == 20).all()
    assert LOW <= contains(bias_intervals(counts), bias) <= HIGH


def test_strata_narrow_the_interval_if_categories_differ():
    each = np.linspace(0.05, 0.95, 16)[SHAPE][:, None]
    counts = coverage_of(answers(each, 0.6, np.random.default_rng(2)))
    stratified = bias_intervals(counts)
    together = bias_intervals(replace(counts, strata=np.zeros_like(counts.strata)))
    assert LOW <= contains(stratified, 0.5) <= HIGH
    assert contains(together, 0.5) > contains(stratified, 0.5)
    assert width(stratified) < 0.92 * width(together)


def test_the_intervals_contain_the_fractions():
    # Each category has one fraction, from 0.1 to 0.7. Wilson's interval would be too wide, because it has no strata.
    coverage = np.linspace(0.1, 0.7, 16)[SHAPE][:, None]
    # Twice as many observers: the intervals contain 94 % of the fractions, closer to the bound than elsewhere.
    decisions = answers(0.3, coverage, np.random.default_rng(3), observers=2 * OBSERVERS)
    rows = cue_accuracy_rows(coverage_of(decisions), 2 * CHANCE)
    for name, truth in (("shape", 0.3 * 0.4), ("texture", 0.7 * 0.4), ("coverage", 0.4)):
        intervals = np.array([(row[f"{name}_low"], row[f"{name}_high"]) for row in rows])
        assert LOW <= contains(intervals, truth) <= HIGH


@pytest.mark.parametrize("guessing", [0.2, 0.7])
def test_the_corrected_interval_contains_the_bias_of_answers_that_are_no_guesses(guessing):
    rng = np.random.default_rng(8)
    decisions = answers(0.3, 1.0, rng)
    guesses = rng.integers(0, 16, decisions.shape)
    decisions = np.where(rng.random(decisions.shape) < guessing, guesses, decisions)
    rows = cue_accuracy_rows(coverage_of(decisions), CHANCE)
    intervals = np.array([(row["corrected_low"], row["corrected_high"]) for row in rows])
    assert LOW <= contains(intervals, 0.3) <= HIGH


def test_the_paired_interval_contains_the_difference_in_shape_answers():
    rng = np.random.default_rng(9)
    draws = rng.random((2, 1280, OBSERVERS))
    others = np.where(rng.random((1280, OBSERVERS)) < 0.7, draws, rng.random((2, 1280, OBSERVERS)))
    decisions = [answers(0.5, 0.6, rng, draws=draws), answers(0.4, 0.6, rng, draws=others)]
    counts = coverage_of(np.concatenate(decisions, axis=1))
    rows = share_differences(counts, [(k, OBSERVERS + k) for k in range(OBSERVERS)], "shape")
    intervals = np.array([(row["shape_difference_low"], row["shape_difference_high"]) for row in rows])
    assert LOW <= contains(intervals, 0.6 * (0.5 - 0.4)) <= HIGH


@pytest.mark.parametrize(
    ("one", "two", "coverage", "alike"),
    [(0.5, 0.4, 0.6, 0.7), (0.98, 0.95, 0.6, 0.5), (0.5, 0.3, 40 / 1200, 0.5)],
    ids=["alike", "people", "few hits"],
)
def test_the_paired_interval_contains_the_difference(one, two, coverage, alike):
    # Two observers share their random numbers on part of the images; column k belongs to the same study in both.
    rng = np.random.default_rng(4)
    draws = rng.random((2, 1280, OBSERVERS))
    others = np.where(rng.random((1280, OBSERVERS)) < alike, draws, rng.random((2, 1280, OBSERVERS)))
    decisions = [answers(one, coverage, rng, draws=draws), answers(two, coverage, rng, draws=others)]
    counts = coverage_of(np.concatenate(decisions, axis=1))
    paired = difference_intervals(counts, [(k, OBSERVERS + k) for k in range(OBSERVERS)])
    assert LOW <= contains(paired, one - two) <= HIGH
    apart = difference_intervals(counts, [(k, OBSERVERS + (k + 1) % OBSERVERS) for k in range(OBSERVERS)])
    assert width(paired) < 0.9 * width(apart)


@pytest.mark.parametrize(
    ("one", "two", "low", "high"),
    [(0.5, 0.3, LOW, 0.985), (0.98, 0.3, 0.89, 0.975), (0.98, 0.98, 0.985, 1), (0.02, 0.02, 0.985, 1)],
    ids=["inside", "one at the end", "both at the end: too wide", "both at the other end: too wide"],
)
def test_the_paired_interval_with_20_hits_has_the_documented_coverage(one, two, low, high):
    rng = np.random.default_rng(6)
    order = np.where(CONFLICT[:, None], rng.random((1280, OBSERVERS)), np.inf).argsort(axis=0)
    chosen = np.zeros((1280, OBSERVERS), dtype=bool)
    np.put_along_axis(chosen, order[:20], True, axis=0)
    decisions = [np.where(chosen, answers(bias, 1, rng), NO_ANSWER) for bias in (one, two)]
    paired = difference_intervals(
        coverage_of(np.concatenate(decisions, axis=1)), [(k, OBSERVERS + k) for k in range(OBSERVERS)]
    )
    assert low <= contains(paired, one - two) <= high


def test_the_interval_over_seeds_contains_the_difference():
    # Two regimes at 0.5 and 0.3. Their seeds scatter by 0.05, half of it jointly. The same images are hard for all.
    rng, studies, number = np.random.default_rng(7), 300, 3
    shared = rng.normal(0, 0.035, (studies, number))
    truth = [bias + shared + rng.normal(0, 0.035, shared.shape) for bias in (0.5, 0.3)]
    images = np.repeat(rng.random((2, 1280, studies)), number, axis=2)
    decisions = []
    for biases in truth:
        draws = np.where(rng.random(images.shape[1:]) < 0.5, images, rng.random(images.shape))
        decisions.append(answers(biases.reshape(1, -1), 0.6, rng, draws=draws))
    counts = coverage_of(np.concatenate(decisions, axis=1))
    seeds = np.arange(studies * number).reshape(studies, number)
    rows = [pooled_difference(counts, list(those), list(those + seeds.size)) for those in seeds]
    intervals = np.array([(row["ci_low"], row["ci_high"]) for row in rows])
    assert 0.91 <= contains(intervals, 0.2) <= 0.99


@pytest.mark.parametrize("number", [3, 5])
def test_the_interval_over_seeds_contains_the_mean_of_all_seeds_there_could_be(number):
    # Biases of seeds scatter by 0.05 around 0.3 (a Beta). The same images are hard for all seeds.
    rng, studies = np.random.default_rng(5), 300
    truth = rng.beta(24.9, 58.1, (studies, number))
    images = np.repeat(rng.random((2, 1280, studies)), number, axis=2)
    draws = np.where(rng.random(images.shape[1:]) < 0.5, images, rng.random(images.shape))
    counts = coverage_of(answers(truth.reshape(1, -1), 0.6, rng, draws=draws))
    seeds = np.arange(studies * number).reshape(studies, number)
    intervals = np.array([seed_interval(counts, list(those)) for those in seeds])
    # With 300 studies, three standard deviations are 4 %.
    assert 0.91 <= contains(intervals, 0.3) <= 0.99
    images_only = bias_intervals(counts.select_rows(seeds[:, 0]))
    assert contains(images_only, 0.3) < 0.7
