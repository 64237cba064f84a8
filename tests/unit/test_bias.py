"""Shape bias: known observers, hand-counted cases, published numbers."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import trials

from shapebias.bias import accuracy, bias, bias_interval, cue_accuracy
from shapebias.categories import CATEGORIES
from shapebias.decisions import read_observers


@pytest.fixture(scope="module")
def published(shared_data: Path) -> pd.DataFrame:
    """The decisions of ten people and four networks on the 1,280 published stimuli."""
    return read_observers(sorted((shared_data / "observers").glob("*.csv")))


def conflicts(count: int) -> list[tuple[str, str]]:
    """(shape, texture) pairs, never equal, over all categories."""
    return [(CATEGORIES[i % 16], CATEGORIES[(i + 1 + i // 16 % 15) % 16]) for i in range(count)]


def test_an_observer_that_answers_the_shape_has_bias_one():
    measured = bias(trials(*[(shape, texture, shape) for shape, texture in conflicts(100)]))
    assert (measured["shape_bias"], measured["shape_hits"], measured["texture_hits"]) == (1.0, 100, 0)
    # Clopper and Pearson 1934, 100 successes in 100 trials: the lower bound is 0.025 ** (1 / 100).
    assert measured["ci_low"] == pytest.approx(0.025 ** (1 / 100))
    assert measured["ci_high"] == 1.0


def test_an_observer_that_answers_the_texture_has_bias_zero():
    measured = bias(trials(*[(shape, texture, texture) for shape, texture in conflicts(100)]))
    assert (measured["shape_bias"], measured["shape_hits"], measured["texture_hits"]) == (0.0, 0, 100)
    assert measured["ci_low"] == 0.0
    assert measured["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_an_observer_that_guesses_has_bias_one_half_within_its_interval():
    answers = np.random.default_rng(0).choice(CATEGORIES, 1280)
    measured = bias(trials(*[(*pair, answer) for pair, answer in zip(conflicts(1280), answers, strict=True)]))
    assert measured["ci_low"] < 0.5 < measured["ci_high"]
    assert 0.1 < measured["ci_high"] - measured["ci_low"] < 0.2  # about 160 hits: ±0.08


@pytest.mark.parametrize("rows", [[], [("cat", "dog", "car")], [("cat", "dog", None)]])
def test_bias_without_a_hit_is_undefined(rows):
    measured = bias(trials(*rows))
    assert (measured["shape_hits"], measured["texture_hits"]) == (0, 0)
    assert all(math.isnan(measured[key]) for key in ("shape_bias", "ci_low", "ci_high"))


def test_only_images_whose_cues_disagree_count():
    rows = [
        ("cat", "cat", "cat"),
        ("cat", "dog", "cat"),
        ("cat", "dog", "dog"),
        ("car", "dog", "car"),
        ("car", None, "car"),
    ]
    measured = bias(trials(*rows))
    assert (measured["conflict_images"], measured["shape_hits"], measured["texture_hits"]) == (3, 2, 1)
    assert measured["shape_bias"] == 2 / 3


def test_conflicts_that_an_observer_cannot_answer_both_ways_do_not_count():
    decisions = trials(("cat", "oven", "cat"), ("cat", "dog", "dog"), ("dog", "cat", "dog"))
    assert bias(decisions)["shape_bias"] == 2 / 3
    knows_no_oven = decisions.assign(answerable=[False, True, True])
    assert (bias(knows_no_oven)["conflict_images"], bias(knows_no_oven)["shape_bias"]) == (2, 1 / 2)


def test_interval_is_that_of_the_binomial_where_each_image_is_one_hit():
    # 40 + 60 images, one hit each: a resample's bias is Binomial(100, 0.4) / 100, whose quantiles are tabulated.
    low, high = bias_interval(np.array([[1, 0]] * 40 + [[0, 1]] * 60))
    assert (low, high) == pytest.approx((0.31, 0.50), abs=0.0101)


def test_interval_does_not_depend_on_the_order_of_rows():
    rows = [("cat", "dog", "cat")] * 13 + [("cat", "dog", "dog")] * 29 + [("cat", "dog", "car")] * 7
    decisions = trials(*rows)
    shuffled = decisions.sample(frac=1, random_state=3)
    assert bias(decisions) == bias(shuffled)


def test_images_without_a_hit_widen_nothing_that_is_certain():
    # Misses add no information on the ratio: both intervals are nearly the same.
    hits = [[1, 0]] * 300 + [[0, 1]] * 300
    assert bias_interval(np.array(hits)) == pytest.approx(bias_interval(np.array(hits + [[0, 0]] * 600)), abs=0.01)


def test_answers_of_several_people_to_one_image_are_resampled_together():
    # Ten people agree on each of 20 images: 20 independent facts, not 200.
    rows = [("cat", "dog", "cat" if image % 2 else "dog") for image in range(20)]
    people = pd.concat([trials(*rows, observer=f"subject-{k}") for k in range(10)], ignore_index=True)
    together = bias(people)
    independent = bias(people.assign(image=range(200)))
    assert together["shape_bias"] == independent["shape_bias"] == 0.5

    def width(measured):
        return measured["ci_high"] - measured["ci_low"]

    assert width(together) / width(independent) == pytest.approx(math.sqrt(10), rel=0.15)


def test_coverage_counts_answers_that_name_either_cue():
    rows = [
        ("cat", "dog", "cat"),
        ("cat", "dog", "dog"),
        ("cat", "dog", "car"),
        ("cat", "dog", None),
        ("cat", "cat", "cat"),
    ]
    assert cue_accuracy(trials(*rows)) == {
        "conflict_images": 4,
        "shape_accuracy": 1 / 4,
        "texture_accuracy": 1 / 4,
        "coverage": 2 / 4,
    }


def test_accuracy_has_the_interval_of_wilson():
    measured = accuracy(pd.Series([True] * 8 + [False] * 2), chance=1 / 16)
    # Wilson 1927 for 8 of 10, z = 1.96: (0.8 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10)
    assert (measured["ci_low"], measured["ci_high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (measured["images"], measured["correct"], measured["accuracy"]) == (10, 8, 0.8)
    assert math.isnan(accuracy(pd.Series([], dtype=bool), chance=1 / 16)["accuracy"])


# Geirhos et al. 2019, as FACTS.md recomputes it.
PUBLISHED = {
    "alexnet": (283, 376, "0.4294"),
    "googlenet": (228, 503, "0.3119"),
    "vgg": (130, 625, "0.1722"),
    "resnet50": (162, 572, "0.2207"),
}


@pytest.mark.parametrize(("observer", "shape", "texture", "printed"), [(k, *v) for k, v in PUBLISHED.items()])
def test_published_networks_have_their_published_bias(published, observer, shape, texture, printed):
    measured = bias(published[published["observer"].str.startswith(observer)])
    assert (measured["conflict_images"], measured["shape_hits"], measured["texture_hits"]) == (1200, shape, texture)
    assert measured["shape_bias"] == float(Fraction(shape, shape + texture))
    assert f"{measured['shape_bias']:.4f}" == printed
    assert measured["ci_low"] < measured["shape_bias"] < measured["ci_high"]


def test_ten_people_together_have_their_published_bias(published):
    people = published[published["observer"].str.startswith("subject-")]
    measured = bias(people)
    assert people["observer"].nunique() == 10
    assert (measured["shape_hits"], measured["texture_hits"]) == (9236, 398)
    assert measured["shape_bias"] == float(Fraction(9236, 9236 + 398))
    assert f"{measured['shape_bias']:.4f}" == "0.9587"


def test_people_see_the_same_images_so_their_pooled_interval_is_wider_than_for_independent_trials(published):
    people = published[published["observer"].str.startswith("subject-")]
    pooled, independent = bias(people), bias(people.assign(image=range(len(people))))
    assert pooled["ci_high"] - pooled["ci_low"] > 1.1 * (independent["ci_high"] - independent["ci_low"])
