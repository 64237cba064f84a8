"""Accuracy by condition and its difference from people, on tables that can be counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from shapebias.metrics.accuracy_by_condition import (
    compare_with_people,
    condition_table,
    prior_images,
    resampled_image_weights,
)
from shapebias.metrics.panel import Panel, pair_trials


def panel(**observers: str) -> Panel:
    """Each observer's answers to cats, first four in `easy`, then `hard`: + right, - wrong, a blank: not seen."""
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
    table = condition_table(panel(net="++--+---", p1="++++++--", p2="++-+----"), ["p1", "p2"], CHANCE)
    easy = row(table, "net", "easy")
    assert (easy["images"], easy["correct"], easy["accuracy"], easy["chance"]) == (4, 2, 2 / 4, 1 / 16)
    assert easy["people_accuracy"] == 7 / 8
    assert easy["difference"] == 4 / 8 - 7 / 8
    assert easy["squared_difference"] == (0.5**2 + 0.25**2) / 2  # persons have 4 and 3 of 4
    assert easy["difference_low"] < easy["difference"] < easy["difference_high"]
    # A person is compared with the others only.
    assert row(table, "p1", "hard")["people_accuracy"] == 0
    assert row(table, "p1", "hard")["difference"] == 2 / 4


def test_conditions_are_in_their_order():
    answers = panel(net="++--+---", p1="++++++--")
    table = condition_table(answers, ["p1"], CHANCE, ["hard", "easy", "elsewhere"])
    assert list(table["condition"].unique()) == ["hard", "easy"]
    assert list(condition_table(answers, [], CHANCE)["condition"].unique()) == ["easy", "hard"]


def test_the_difference_is_on_images_that_both_saw():
    table = condition_table(panel(net="++--", p1="+ + "), ["p1"], CHANCE)
    told = row(table, "net", "easy")
    assert (told["accuracy"], told["people_accuracy"], told["difference"]) == (2 / 4, 1, 1 / 2 - 1)


@pytest.mark.parametrize(
    ("answers", "people", "reason"),
    [
        ({"net": "++--"}, [], "no person to compare with"),
        ({"net": "++  ", "p1": "  ++"}, ["p1"], "no image that a person saw too"),
    ],
)
def test_without_people_the_difference_is_undefined(answers, people, reason):
    told = row(condition_table(panel(**answers), people, CHANCE), "net", "easy")
    assert told["reason"] == reason
    assert all(math.isnan(told[name]) for name in ("people_accuracy", "difference", "difference_low"))
    assert told["accuracy"] == 2 / told["images"]


def test_a_condition_without_images_is_undefined():
    told = row(condition_table(panel(net="++--", p1="++--+---"), ["p1"], CHANCE), "net", "hard")
    assert told["images"] == 0 and math.isnan(told["accuracy"]) and math.isnan(told["difference"])
    assert told["reason"] == "saw no image of this condition whose category it knows"


def test_images_whose_category_an_observer_does_not_know_do_not_count():
    answers = panel(net="++--", p1="++++")
    answers.answerable[:1, 0] = False
    told = row(condition_table(answers, ["p1"], CHANCE), "net", "easy")
    assert (told["images"], told["correct"]) == (3, 1)


def test_perfect_agreement_is_no_certainty():
    told = row(condition_table(panel(net="++++", p1="++++"), ["p1"], CHANCE), "net", "easy")
    assert told["difference"] == 0
    assert told["difference_low"] < 0 < told["difference_high"]


def test_weights_keep_strata_and_have_the_unbiased_variance():
    labels = np.repeat(["bear", "cat"], 10)
    weights, unit = resampled_image_weights(labels, "x", resamples=20_000)
    assert (weights == np.rint(weights)).all()
    assert weights[:, :10].sum(axis=1) / unit == pytest.approx(10, abs=1e-4)
    right = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])  # the variance of a mean of ten: 0.3 · 0.7 / 9
    assert np.var(weights[:, :10] @ right / unit / 10) == pytest.approx(0.3 * 0.7 / 9, rel=0.05)


@pytest.mark.parametrize(("images", "network", "person"), [(160, 0.5, 0.8), (160, 0.95, 0.98), (80, 0.9, 0.8)])
def test_intervals_hold_the_true_difference(images: int, network: float, person: float):
    rng = np.random.default_rng(0)
    weights = resampled_image_weights(np.arange(images) % 16, "x", resamples=1000)[0].astype(np.float64)
    added = prior_images(3, "x", resamples=1000)
    seen = np.ones(images)
    held = 0
    for _ in range(1000):
        luck = rng.random((images, 2))  # half of the images are judged by the same luck: errors go together
        luck[::2, 1] = luck[::2, 0]
        right = (luck < [network, person]).astype(float)
        told = compare_with_people(right[:, 0], seen, right[:, 1:], seen[:, None], weights, added)
        held += told["difference_low"] <= network - person <= told["difference_high"]
    assert 0.93 <= held / 1000 <= 0.97
