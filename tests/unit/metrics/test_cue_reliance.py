"""Reliance on cues: the accuracy without a cue, counted by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from shapebias.errors import UserError
from shapebias.metrics.cue_reliance import (
    RELIANCE_PAIR_COLUMNS,
    measure_reliance,
    tabulate_reliance,
    tabulate_reliance_pairs,
)

METADATA: dict[str, Any] = {"observer": "net", "answers": ["cat", "dog"]}


def answers(shape: str = "cat", **conditions: str) -> pd.DataFrame:
    """Answers to images of one shape; condition (with _ for -) → marks: + right, - wrong, blank not shown."""
    rows = [
        (f"image{i:03}", shape, name.replace("_", "-"), "cat" if mark == "+" else "dog")
        for name, marks in conditions.items()
        for i, mark in enumerate(marks)
        if mark != " "
    ]
    return pd.DataFrame(rows, columns=["image", "shape", "condition", "decision"])


def test_accuracy_is_relative_to_accuracy_without_suppression():
    table = tabulate_reliance(answers(none="++++-", shape_4="++---", texture_1="+++++", shape_2="++++-"), METADATA)
    assert list(zip(table["cue"], table["strength"], strict=True)) == [
        ("shape", 1),
        ("shape", 2),
        ("shape", 4),
        ("texture", 0),
        ("texture", 1),
    ]
    assert list(table["accuracy"]) == [4 / 5, 4 / 5, 2 / 5, 4 / 5, 1]
    assert list(table["relative"]) == [1, 1, 2 / 4, 1, 5 / 4]
    assert set(table["chance"]) == {1 / 2} and set(table["images"]) == {5}
    assert list(table.loc[0, ["relative_low", "relative_high"]]) == [1, 1]  # by definition
    lost = table.iloc[2]
    assert lost["relative_low"] < lost["relative"] < lost["relative_high"]


def test_images_are_paired():
    # A network that loses some images and gains different ones has the accuracy of one that loses none, but a wider
    # interval.
    same = tabulate_reliance(answers(none="+-" * 40, colour_1="+-" * 40), METADATA).iloc[1]
    other = tabulate_reliance(answers(none="+-" * 40, colour_1="-+" * 40), METADATA).iloc[1]
    assert same["relative"] == other["relative"] == 1
    width = [row["relative_high"] - row["relative_low"] for row in (same, other)]
    assert width[0] < width[1] / 3


def test_equal_answers_have_an_interval_that_is_symmetric_as_a_ratio():
    # Gained and lost images are equally likely, so the ratio and its inverse have the same distribution.
    row = tabulate_reliance(answers(none="+" * 8, colour_1="+" * 8), METADATA).iloc[1]
    assert row["relative_low"] < 1 < row["relative_high"] < 1.5
    assert row["relative_low"] * row["relative_high"] == pytest.approx(1, abs=0.05)


def test_the_interval_of_images_that_are_lost_is_nearly_jeffreys():
    # All 200 images are right before, and 100 of them after.
    row = tabulate_reliance(answers(none="+" * 200, colour_1="+-" * 100), METADATA).iloc[1]
    expected = beta.ppf([0.025, 0.975], 100.5, 100.5)
    assert [row["relative_low"], row["relative_high"]] == pytest.approx(expected, abs=0.01)


def test_relative_accuracy_covers_images_shown_in_both_ways():
    row = tabulate_reliance(answers(none="++-- ", colour_1=" +-++"), METADATA).iloc[1]
    assert (row["images"], row["accuracy"], row["relative"]) == (4, 3 / 4, 2 / 1)


def test_images_of_unknown_categories_do_not_count():
    predictions = pd.concat([answers(none="++", colour_1="+-"), answers("oven", none="---", colour_1="---")])
    predictions["image"] = [f"image{i}" for i in (0, 1, 0, 1, 2, 3, 4, 2, 3, 4)]
    table = tabulate_reliance(predictions, METADATA)
    assert list(table["images"]) == [2, 2]
    assert list(table["relative"]) == [1, 1 / 2]


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"none": "--", "colour_1": "+-"}, "never right without suppression"),
        ({"colour_1": "+-"}, "no image was also shown without suppression"),
        ({"none": "++  ", "colour_1": "  +-"}, "no image was also shown without suppression"),
    ],
)
def test_undefined_ratios_have_a_reason(conditions, reason):
    row = tabulate_reliance(answers(**conditions), METADATA).iloc[1]
    assert math.isnan(row["relative"]) and math.isnan(row["relative_low"])
    assert (row["reason"], row["accuracy"]) == (reason, 1 / 2)


def test_no_image_of_a_known_category():
    row = tabulate_reliance(answers("oven", none="--", colour_1="--"), METADATA).iloc[1]
    assert row["images"] == 0 and math.isnan(row["accuracy"]) and math.isnan(row["relative"])
    assert row["reason"] == "no image whose category the network knows"


def test_a_sweep_that_includes_the_weakest_strength_has_one_row_for_it():
    table = tabulate_reliance(answers(none="++", colour_0="++", colour_1="+-"), METADATA)
    assert list(table["strength"]) == [0, 1]


def test_two_cues_at_once_have_a_table_of_their_own():
    frame = answers(none="++++-", shape_4="++---")
    pairs = answers(strong="+----", weak="++-- ")
    names = {"strong": "texture_and_shape-1.5+4", "weak": "texture_and_shape-1+2"}
    pairs["condition"] = pairs["condition"].map(names)
    frame = pd.concat([frame, pairs])
    assert list(tabulate_reliance(frame, METADATA)["cue"]) == ["shape", "shape"]
    table = tabulate_reliance_pairs(frame, METADATA)
    assert list(table) == RELIANCE_PAIR_COLUMNS
    shown = table[["cues", "strength_1", "strength_2", "images", "accuracy", "relative"]].to_numpy().tolist()
    assert shown == [["texture_and_shape", 1, 2, 4, 2 / 4, 2 / 4], ["texture_and_shape", 1.5, 4, 5, 1 / 5, 1 / 4]]
    assert (table["relative_low"] < table["relative"]).all() and (table["relative"] < table["relative_high"]).all()
    with pytest.raises(UserError, match=r"expected texture_and_shape-<strength>\+<strength>"):
        tabulate_reliance_pairs(pairs[:1].assign(condition="texture_and_shape-1"), METADATA)


def test_pairs_use_the_paired_interval_of_single_cues():
    single = tabulate_reliance(answers(none="++++-" * 8, colour_1="++---" * 8), METADATA).iloc[1]
    pair = answers(none="++++-" * 8, colour_1="++---" * 8).replace({"colour-1": "shape_and_colour-4+1"})
    [row] = tabulate_reliance_pairs(pair, METADATA).to_dict("records")
    for name in ("accuracy", "ci_low", "ci_high", "relative", "relative_low", "relative_high", "chance"):
        assert row[name] == single[name]


@pytest.mark.parametrize("condition", ["blur_3", "colour", "colour_big"])
def test_other_conditions_are_refused(condition):
    with pytest.raises(UserError, match=r"expected none, shape-<strength>"):
        tabulate_reliance(answers(**{"none": "+", condition: "+"}), METADATA)


def test_an_image_answered_twice_is_refused():
    with pytest.raises(UserError, match="answered twice"):
        tabulate_reliance(pd.concat([answers(none="+"), answers(none="-")]), METADATA)


def test_intervals_contain_the_true_ratio():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_arrays([np.arange(160), np.arange(160) % 16], names=["image", "shape"])
    contained = 0
    for _ in range(500):
        luck = rng.random((2, 160))
        luck[1, ::2] = luck[0, ::2]
        before, after = pd.Series(luck[0] < 0.8, index=index), pd.Series(luck[1] < 0.4, index=index)
        predictions = measure_reliance(after.astype(float), before.astype(float), 16)
        contained += predictions["relative_low"] <= 0.5 <= predictions["relative_high"]
    assert 0.92 <= contained / 500 <= 0.98  # three standard deviations of a fraction of 500
