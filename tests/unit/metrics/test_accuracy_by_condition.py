"""Accuracy by condition and its difference from people, on tables that can be counted by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shapebias.categories import CATEGORIES
from shapebias.metrics.accuracy_by_condition import (
    compare_with_people,
    prior_images,
    resampled_image_weights,
    tabulate_conditions,
)
from shapebias.metrics.panel import NO_ANSWER, Panel, pair_trials


def panel(**observers: str) -> Panel:
    """Each observer's answers to cats, four in `easy`, then four in `hard`: + right, - wrong, blank not seen."""
    rows = [
        (observer, f"image{i:02}", "cat", None, "cat" if mark == "+" else "dog", "easy" if i < 4 else "hard")
        for observer, marks in observers.items()
        for i, mark in enumerate(marks)
        if mark != " "
    ]
    columns = ["observer", "image", "shape", "texture", "decision", "condition"]
    return pair_trials(pd.DataFrame(rows, columns=columns))


def row(table: pd.DataFrame, observer: str, condition: str) -> pd.Series:
    return table[(table["observer"] == observer) & (table["condition"] == condition)].iloc[0]


CHANCE = dict.fromkeys(["net", "p1", "p2"], 1 / 16)


def test_accuracy_and_difference_counted_by_hand():
    table = tabulate_conditions(panel(net="++--+---", p1="++++++--", p2="++-+----"), ["p1", "p2"], CHANCE)
    easy = row(table, "net", "easy")
    assert (easy["images"], easy["correct"], easy["accuracy"], easy["chance"]) == (4, 2, 2 / 4, 1 / 16)
    assert easy["people_accuracy"] == 7 / 8
    assert easy["difference"] == 4 / 8 - 7 / 8
    assert easy["squared_difference"] == (0.5**2 + 0.25**2) / 2  # persons have 4 and 3 of 4
    assert easy["difference_low"] < easy["difference"] < easy["difference_high"]
    # A person is compared with the remaining persons only.
    assert row(table, "p1", "hard")["people_accuracy"] == 0
    assert row(table, "p1", "hard")["difference"] == 2 / 4


def test_conditions_follow_the_given_order():
    answers = panel(net="++--+---", p1="++++++--")
    table = tabulate_conditions(answers, ["p1"], CHANCE, ["hard", "easy", "elsewhere"])
    assert list(table["condition"].unique()) == ["hard", "easy"]
    assert list(tabulate_conditions(answers, [], CHANCE)["condition"].unique()) == ["easy", "hard"]


def test_the_difference_covers_only_images_that_both_saw():
    table = tabulate_conditions(panel(net="++--", p1="+ + "), ["p1"], CHANCE)
    result = row(table, "net", "easy")
    assert (result["accuracy"], result["people_accuracy"], result["difference"]) == (2 / 4, 1, 1 / 2 - 1)
    assert result["squared_difference"] == (1 / 2 - 1) ** 2


@pytest.mark.parametrize(
    ("answers", "people", "reason"),
    [
        ({"net": "++--"}, [], "no person to compare with"),
        ({"net": "++  ", "p1": "  ++"}, ["p1"], "no image that a person saw too"),
    ],
)
def test_without_people_the_difference_is_undefined(answers, people, reason):
    result = row(tabulate_conditions(panel(**answers), people, CHANCE), "net", "easy")
    assert result["reason"] == reason
    assert all(math.isnan(result[name]) for name in ("people_accuracy", "difference", "difference_low"))
    assert result["accuracy"] == 2 / result["images"]


def test_a_condition_without_images_is_undefined():
    result = row(tabulate_conditions(panel(net="++--", p1="++--+---"), ["p1"], CHANCE), "net", "hard")
    assert result["images"] == 0 and math.isnan(result["accuracy"]) and math.isnan(result["difference"])
    assert result["reason"] == "saw no image of this condition whose category it knows"


def test_a_condition_of_images_without_a_shape_is_undefined():
    answers = panel(net="++--+---", p1="++++++--")
    answers = replace(answers, shape=np.where(answers.condition == "hard", -1, answers.shape))
    table = tabulate_conditions(answers, ["p1"], CHANCE)
    hard = row(table, "net", "hard")
    assert hard["images"] == 0 and math.isnan(hard["accuracy"]) and math.isnan(hard["difference"])
    assert hard["reason"] == "saw no image of this condition whose category it knows"
    assert row(table, "net", "easy")["accuracy"] == 2 / 4


def test_images_whose_category_an_observer_does_not_know_do_not_count():
    answers = panel(net="++--", p1="++++")
    answers.answerable[:1, 0] = False
    result = row(tabulate_conditions(answers, ["p1"], CHANCE), "net", "easy")
    assert (result["images"], result["correct"]) == (3, 1)


def test_the_interval_of_the_difference_counted_by_hand():
    # Four images: one right for the network alone, two for the network and one person, one for nobody. The second
    # person saw none. The prior adds 2 images for the network alone, 1 for a person alone and 3 for both or neither.
    right, seen = np.array([1.0, 1, 1, 0]), np.ones(4)
    people_right, people_seen = np.array([[0.0, 1, 1, 0], [0, 0, 0, 0]]).T, np.array([[1.0, 1, 1, 1], [0, 0, 0, 0]]).T
    prior = np.array([[2.0], [1], [3]])
    result = compare_with_people(right, seen, people_right, people_seen, np.ones((1, 4)), prior)
    assert (result["difference"], result["squared_difference"]) == (1 / 4, 1 / 16)
    assert result["difference_low"] == result["difference_high"] == (1 + 2 - 1) / (4 + 6)
    # This resample consists of the first image, four times.
    first = compare_with_people(right, seen, people_right, people_seen, np.array([[4.0, 0, 0, 0]]), prior)
    assert first["difference_low"] == (4 + 2 - 1) / (4 + 6)
    # Without a weight on any image, the prior is left.
    nothing = compare_with_people(right, seen, people_right, people_seen, np.zeros((1, 4)), prior)
    assert nothing["difference_low"] == (2 - 1) / (4 + 6)


def test_persons_that_saw_no_common_image_do_not_count_in_the_squared_difference():
    table = tabulate_conditions(panel(net="++  ", p1="+-  ", p2="  ++"), ["p1", "p2"], CHANCE)
    assert row(table, "net", "easy")["squared_difference"] == (1 - 1 / 2) ** 2


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_counts(category):
    answers = panel(net="++--", p1="+++-")
    decisions = np.where(answers.correct, CATEGORIES.index(category), NO_ANSWER)
    answers = replace(answers, shape=np.full_like(answers.shape, CATEGORIES.index(category)), decisions=decisions)
    result = row(tabulate_conditions(answers, ["p1"], CHANCE), "net", "easy")
    assert (result["images"], result["correct"], result["people_accuracy"]) == (4, 2, 3 / 4)


def test_perfect_agreement_still_has_an_interval():
    result = row(tabulate_conditions(panel(net="++++", p1="++++"), ["p1"], CHANCE), "net", "easy")
    assert result["difference"] == 0
    assert result["difference_low"] < 0 < result["difference_high"]


def test_weights_keep_strata_and_have_the_unbiased_variance():
    labels = np.repeat(["bear", "cat"], 10)
    weights, unit = resampled_image_weights(labels, "x", resamples=20_000)
    assert (weights == np.rint(weights)).all()
    assert weights[:, :10].sum(axis=1) / unit == pytest.approx(10, abs=1e-4)
    right = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])  # the variance of a mean of ten: 0.3 · 0.7 / 9
    assert np.var(weights[:, :10] @ right / unit / 10) == pytest.approx(0.3 * 0.7 / 9, rel=0.05)


@pytest.mark.parametrize(("images", "network", "person"), [(160, 0.5, 0.8), (160, 0.95, 0.98), (80, 0.9, 0.8)])
def test_intervals_contain_the_true_difference(images: int, network: float, person: float):
    rng = np.random.default_rng(0)
    weights = resampled_image_weights(np.arange(images) % 16, "x", resamples=1000)[0].astype(np.float64)
    added = prior_images(3, "x", resamples=1000)
    seen = np.ones(images)
    contained = 0
    for _ in range(1000):
        luck = rng.random((images, 2))  # on half of the images both observers share their luck, so errors correlate
        luck[::2, 1] = luck[::2, 0]
        right = (luck < [network, person]).astype(float)
        result = compare_with_people(right[:, 0], seen, right[:, 1:], seen[:, None], weights, added)
        contained += result["difference_low"] <= network - person <= result["difference_high"]
    assert 0.93 <= contained / 1000 <= 0.97
