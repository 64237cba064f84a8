"""Ranks of human-likeness agree with averaging and ranking by hand, as in the model-vs-human benchmark."""

import math

import pandas as pd
import pytest

from shapebias.metrics.accuracy_by_condition import tabulate_conditions
from shapebias.metrics.error_consistency import tabulate_consistency
from shapebias.metrics.human_likeness import resample_likeness, tabulate_human_likeness
from shapebias.metrics.panel import Panel, pair_trials

PERSONS = ["p1", "p2"]


def consistency_inputs(benchmark: str, marks: dict[str, dict[str, str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of a benchmark; marks: condition → observer → its answers, + is right, blank not seen."""
    rows = [
        (observer, f"{condition}{i}", "cat", None, "cat" if mark == "+" else "dog", condition)
        for condition, observers in marks.items()
        for observer, answers in observers.items()
        for i, mark in enumerate(answers)
        if mark != " "
    ]
    panel = pair_trials(pd.DataFrame(rows, columns=["observer", "image", "shape", "texture", "decision", "condition"]))
    table = tabulate_conditions(panel, PERSONS, dict.fromkeys(panel.observers, 1 / 16)).assign(regime="", seed="")
    table["model"] = ["people" if name in PERSONS else name for name in table["observer"]]
    return table.assign(benchmark=benchmark), tabulate_consistency(panel, PERSONS).assign(benchmark=benchmark)


def likeness_table(*parts: tuple[pd.DataFrame, pd.DataFrame], **more) -> pd.DataFrame:
    conditions, consistency = (pd.concat(tables) for tables in zip(*parts, strict=True))
    return tabulate_human_likeness(conditions, consistency, **more).set_index(["benchmark", "observer"])


NOISE = {
    "0.1": {"good": "++-+", "bad": "---+", "p1": "++-+", "p2": "+++-"},
    "0.3": {"good": "+--+", "bad": "-+--", "p1": "+--+", "p2": "+-+-"},
}
SKETCH = {"": {"good": "+-+-", "bad": "--+-", "p1": "+-+-", "p2": "++--"}}


def test_measures_are_means_over_conditions_then_persons():
    row = likeness_table(consistency_inputs("noise", NOISE)).loc[("noise", "bad")]
    assert row["accuracy"] == 2 / 8
    assert row["accuracy_difference"] == pytest.approx((0.5**2 + 0.25**2) / 2)  # 1/4 against 3/4, 1/4 against 2/4
    # The outcome equals that of p1 on 2 and 1 of 4 images, and that of p2 on 0 and 1.
    assert row["observed_consistency"] == pytest.approx((2 + 1 + 0 + 1) / 16)


def test_the_mean_rank_covers_three_measures():
    table = likeness_table(consistency_inputs("noise", NOISE))
    assert list(table.loc[("noise", "good"), ["accuracy_rank", "error_consistency_rank", "mean_rank"]]) == [1, 1, 1]
    assert table.loc[("noise", "bad"), "mean_rank"] == 2
    assert math.isnan(table.loc[("noise", "people"), "mean_rank"])
    assert "p1" not in table.index.get_level_values("observer")


def test_tied_networks_share_their_rank():
    same = {"": {"a": "+-+-", "b": "+-+-", "c": "----", "p1": "+-+-", "p2": "++--"}}
    table = likeness_table(consistency_inputs("sketch", same))
    assert list(table.loc[[("sketch", "a"), ("sketch", "b"), ("sketch", "c")], "mean_rank"]) == [1.5, 1.5, 3]


def test_sums_in_another_order_do_not_split_a_tie():
    """Networks a and b agree with the person on 1, 2 and 3, and on 3, 2 and 1 of ten images of three benchmarks."""
    marks = ["+" * n + "-" * (10 - n) for n in range(4)]
    parts = [consistency_inputs(f"set{n}", {"": {"a": marks[n], "b": marks[4 - n], "p1": "+" * 10}}) for n in (1, 2, 3)]
    assert sum([0.1, 0.2, 0.3]) != sum([0.3, 0.2, 0.1])
    table = likeness_table(*parts)
    assert list(table.loc[[("all", "a"), ("all", "b")], "observed_consistency_rank"]) == [1.5, 1.5]


def test_the_row_of_people_compares_persons_with_each_other():
    row = likeness_table(consistency_inputs("sketch", SKETCH)).loc[("sketch", "people")]
    assert (row["accuracy"], row["accuracy_difference"], row["observed_consistency"]) == (4 / 8, 0, 2 / 4)
    assert row["error_consistency"] == 0


def test_all_is_the_mean_over_benchmarks():
    table = likeness_table(consistency_inputs("noise", NOISE), consistency_inputs("sketch", SKETCH))
    for name in ("accuracy", "accuracy_difference", "observed_consistency", "error_consistency"):
        assert table.loc[("all", "bad"), name] == pytest.approx(
            (table.loc[("noise", "bad"), name] + table.loc[("sketch", "bad"), name]) / 2
        )
    assert table.loc[("all", "good"), "mean_rank"] == 1


def test_conditions_that_a_kind_omits_are_left_out():
    marks = NOISE | {
        "0": {"good": "++++", "bad": "++++", "p1": "++++", "p2": "+++-"},
        "0.9": {"good": "++++", "bad": "----", "p1": "----", "p2": "----"},
    }
    table = likeness_table(consistency_inputs("noise", marks), omitted={"noise": ("0", "0.9")})
    pd.testing.assert_frame_equal(table, likeness_table(consistency_inputs("noise", NOISE)))


def test_without_people_only_accuracy_is_defined():
    table = likeness_table(consistency_inputs("sketch", {"": {"net": "++--"}}))
    row = table.loc[("sketch", "net")]
    assert (row["accuracy"], row["accuracy_rank"], row["reason"]) == (0.5, 1, "no person answered")
    assert math.isnan(row["accuracy_difference"]) and math.isnan(row["mean_rank"])
    assert math.isnan(table.loc[("all", "net"), "accuracy"])


def test_an_observer_that_lacks_a_benchmark_has_no_mean_over_benchmarks():
    less = {condition: {k: v for k, v in marks.items() if k != "bad"} for condition, marks in SKETCH.items()}
    table = likeness_table(consistency_inputs("noise", NOISE), consistency_inputs("sketch", less))
    assert math.isnan(table.loc[("all", "bad"), "error_consistency"])
    assert table.loc[("all", "bad"), "reason"] == "not shown: sketch"
    assert table.loc[("all", "good"), "mean_rank"] == 1


def test_undefined_error_consistency_has_its_reason_and_no_mean_rank():
    certain = {"": {"net": "++++", "p1": "++++", "p2": "++++"}}
    row = likeness_table(consistency_inputs("sketch", certain)).loc[("sketch", "net")]
    assert (row["observed_consistency"], row["accuracy_difference"]) == (1, 0)
    assert math.isnan(row["error_consistency"]) and math.isnan(row["mean_rank"])
    assert row["reason"] == "error consistency is undefined in each condition"


def test_a_condition_without_common_images_is_named():
    marks = NOISE | {"0.5": {"p1": "++-+", "p2": "+++-", "bad": "    +"}}
    table = likeness_table(consistency_inputs("noise", marks))
    assert table.loc[("noise", "bad"), "reason"] == "no image in common with people in condition 0.5"
    assert math.isnan(table.loc[("noise", "bad"), "accuracy_difference"])
    only = {"": {"net": "    +-", "p1": "+-+-", "p2": "++--"}}
    row = likeness_table(consistency_inputs("sketch", only)).loc[("sketch", "net")]
    assert (row["accuracy"], row["reason"]) == (1 / 2, "no image in common with people in condition (none)")


def test_omitted_conditions_alone_and_a_single_person_are_named():
    never = {"0": {"net": "++++", "p1": "++++"}, "0.9": {"net": "++++", "p1": "----"}}
    table = likeness_table(consistency_inputs("noise", never), omitted={"noise": ("0", "0.9")})
    reason = "only conditions that are left out were shown"
    assert table.loc[("noise", "net"), "reason"] == reason
    assert table.loc[("all", "net"), "reason"] == f"noise: {reason}"
    alone = likeness_table(consistency_inputs("sketch", {"": {"net": "+-+-", "p1": "++--"}}))
    assert alone.loc[("sketch", "people"), "reason"] == "one person has no other to compare with"
    assert alone.loc[("sketch", "net"), "reason"] == ""


def test_people_that_recognize_a_fifth_of_the_images_are_enough():
    marks = {"": {"net": "++---", "p1": "+----", "p2": "+----"}}
    assert likeness_table(consistency_inputs("sketch", marks)).loc[("sketch", "net"), "accuracy"] == 2 / 5


def panel_of(marks: dict[str, str]) -> Panel:
    """Return answers to images of a cat; + is right."""
    rows = [
        (observer, f"i{k}", "cat", None, "cat" if mark == "+" else "dog")
        for observer, answers in marks.items()
        for k, mark in enumerate(answers)
    ]
    return pair_trials(pd.DataFrame(rows, columns=["observer", "image", "shape", "texture", "decision"]))


def test_a_mean_rank_has_an_interval_over_images():
    """Network `like` errs as the person does, `unlike` never does, and `same` answers as `unlike`."""
    person = "+++-" * 10
    marks = {"p1": person, "p2": person, "like": person, "unlike": "-+-+" * 10, "same": "-+-+" * 10}
    panel = panel_of(marks)
    conditions, consistency = consistency_inputs("sketch", {"": marks})
    resampled = resample_likeness(panel, PERSONS, (), "sketch")
    assert resampled is not None
    assert resampled.observers == ["like", "same", "unlike"]
    table = tabulate_human_likeness(conditions, consistency, resampled={"sketch": resampled})
    for benchmark in ("sketch", "all"):
        rows = table[table["benchmark"] == benchmark].set_index("observer")
        assert tuple(rows.loc["like", ["mean_rank_low", "mean_rank", "mean_rank_high"]]) == (1, 1, 1)
        assert tuple(rows.loc["same", ["mean_rank_low", "mean_rank", "mean_rank_high"]]) == (2.5, 2.5, 2.5)
        assert rows.loc["people", ["mean_rank_low", "mean_rank_high"]].isna().all()


def test_the_order_of_two_networks_of_equal_accuracy_is_uncertain():
    marks = {"p1": "+" * 20 + "-" * 20, "p2": "+" * 20 + "-" * 20, "a": "+-" * 20, "b": "-+" * 18 + "+-" * 2}
    resampled = resample_likeness(panel_of(marks), PERSONS, (), "sketch")
    conditions, consistency = consistency_inputs("sketch", {"": marks})
    assert resampled is not None
    table = tabulate_human_likeness(conditions, consistency, resampled={"sketch": resampled})
    rows = table[table["benchmark"] == "sketch"].set_index("observer").loc[["a", "b"]]
    assert list(rows["mean_rank_low"]) == [1, 1] and list(rows["mean_rank_high"]) == [2, 2]


def test_without_persons_nothing_is_resampled():
    assert resample_likeness(panel_of({"a": "+-"}), [], (), "sketch") is None
    assert resample_likeness(panel_of({"p1": "+-"}), ["p1"], (), "sketch") is None
