"""Ranks of human-likeness: averaged and ranked by hand, as the model-vs-human benchmark does."""

import math

import pandas as pd
import pytest

from shapebias.metrics.accuracy_by_condition import condition_table
from shapebias.metrics.error_consistency import consistency_table
from shapebias.metrics.human_likeness import human_likeness_table
from shapebias.metrics.panel import pair_trials

PERSONS = ["p1", "p2"]


def measured(benchmark: str, marks: dict[str, dict[str, str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of a benchmark; marks: condition → observer → its answers, + is right."""
    rows = [
        (observer, f"{condition}{i}", "cat", None, "cat" if mark == "+" else "dog", condition)
        for condition, observers in marks.items()
        for observer, answers in observers.items()
        for i, mark in enumerate(answers)
    ]
    panel = pair_trials(pd.DataFrame(rows, columns=["observer", "image", "shape", "texture", "decision", "condition"]))
    table = condition_table(panel, PERSONS, dict.fromkeys(panel.observers, 1 / 16)).assign(regime="", seed="")
    table["model"] = ["people" if name in PERSONS else name for name in table["observer"]]
    return table.assign(benchmark=benchmark), consistency_table(panel, PERSONS).assign(benchmark=benchmark)


def together(*parts: tuple[pd.DataFrame, pd.DataFrame], **more) -> pd.DataFrame:
    one, two = (pd.concat(tables) for tables in zip(*parts, strict=True))
    return human_likeness_table(one, two, **more).set_index(["benchmark", "observer"])


NOISE = {
    "0.1": {"good": "++-+", "bad": "---+", "p1": "++-+", "p2": "+++-"},
    "0.3": {"good": "+--+", "bad": "-+--", "p1": "+--+", "p2": "+-+-"},
}
SKETCH = {"": {"good": "+-+-", "bad": "--+-", "p1": "+-+-", "p2": "++--"}}


def test_measures_are_means_over_conditions_then_persons():
    told = together(measured("noise", NOISE)).loc[("noise", "bad")]
    assert told["accuracy"] == 2 / 8
    assert told["accuracy_difference"] == pytest.approx((0.5**2 + 0.25**2) / 2)  # 1/4 against 3/4, 1/4 against 2/4
    # Same outcome as p1 in 2 and 1 of 4 images, as p2 in 0 and 1.
    assert told["observed_consistency"] == pytest.approx((2 + 1 + 0 + 1) / 16)


def test_the_mean_rank_is_that_of_three_measures():
    table = together(measured("noise", NOISE))
    assert list(table.loc[("noise", "good"), ["accuracy_rank", "error_consistency_rank", "mean_rank"]]) == [1, 1, 1]
    assert table.loc[("noise", "bad"), "mean_rank"] == 2
    assert math.isnan(table.loc[("noise", "people"), "mean_rank"])
    assert "p1" not in table.index.get_level_values("observer")


def test_equals_share_their_rank():
    same = {"": {"a": "+-+-", "b": "+-+-", "c": "----", "p1": "+-+-", "p2": "++--"}}
    table = together(measured("sketch", same))
    assert list(table.loc[[("sketch", "a"), ("sketch", "b"), ("sketch", "c")], "mean_rank"]) == [1.5, 1.5, 3]


def test_people_are_told_by_how_persons_differ():
    told = together(measured("sketch", SKETCH)).loc[("sketch", "people")]
    assert (told["accuracy"], told["accuracy_difference"], told["observed_consistency"]) == (4 / 8, 0, 2 / 4)
    assert told["error_consistency"] == 0


def test_all_is_the_mean_over_benchmarks():
    table = together(measured("noise", NOISE), measured("sketch", SKETCH))
    for name in ("accuracy", "accuracy_difference", "observed_consistency", "error_consistency"):
        assert table.loc[("all", "bad"), name] == pytest.approx(
            (table.loc[("noise", "bad"), name] + table.loc[("sketch", "bad"), name]) / 2
        )
    assert table.loc[("all", "good"), "mean_rank"] == 1


def test_undistorted_images_and_what_people_cannot_see_are_left_out():
    marks = NOISE | {
        "0": {"good": "++++", "bad": "++++", "p1": "++++", "p2": "+++-"},
        "0.9": {"good": "++++", "bad": "----", "p1": "----", "p2": "----"},
    }
    table = together(measured("noise", marks), undistorted={"noise": "0"})
    pd.testing.assert_frame_equal(table, together(measured("noise", NOISE)))


def test_without_people_only_accuracy_is_told():
    table = together(measured("sketch", {"": {"net": "++--"}}))
    told = table.loc[("sketch", "net")]
    assert (told["accuracy"], told["accuracy_rank"], told["reason"]) == (0.5, 1, "no person answered")
    assert math.isnan(told["accuracy_difference"]) and math.isnan(told["mean_rank"])
    assert math.isnan(table.loc[("all", "net"), "accuracy"])


def test_an_observer_that_lacks_a_benchmark_has_no_mean_over_them():
    less = {condition: {k: v for k, v in marks.items() if k != "bad"} for condition, marks in SKETCH.items()}
    table = together(measured("noise", NOISE), measured("sketch", less))
    assert math.isnan(table.loc[("all", "bad"), "error_consistency"])
    assert table.loc[("all", "bad"), "reason"] == "not shown: sketch"
    assert table.loc[("all", "good"), "mean_rank"] == 1


def test_undefined_error_consistency_has_its_reason_and_no_mean_rank():
    certain = {"": {"net": "++++", "p1": "++++", "p2": "++++"}}
    told = together(measured("sketch", certain)).loc[("sketch", "net")]
    assert (told["observed_consistency"], told["accuracy_difference"]) == (1, 0)
    assert math.isnan(told["error_consistency"]) and math.isnan(told["mean_rank"])
    assert told["reason"] == "error consistency is undefined in each condition"
