"""The range of a bias over protocols, and comparisons that hold in all of them, counted by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.metrics.bias_differences import difference_rows
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.protocol_range import (
    ProtocolAnswers,
    compare_protocols,
    read_protocol_answers,
    tabulate_protocols,
)
from shapebias.metrics.shape_bias import bias_rows, count_cues
from shapebias.tables.assemble import tabulate_all_protocols

MEAN, MAX = "mean probability", "max logit"


def protocol(aggregation: str, column: str, *, preset: str = "", **axes: Any) -> dict[str, Any]:
    view = {"crop": 1.0, "interpolation": "bilinear", "antialias": True}
    row = {"aggregation": aggregation, "label_space": "all classes", "ties": "first", "preset": preset}
    return row | view | axes | {"column": column}


def answers(
    observer: str, mean: str, largest: str, agreeing: str = "", known=("cat", "dog", "oven")
) -> ProtocolAnswers:
    """Return answers to cats with the texture of dogs, and then to cats that agree, under two aggregations.

    Marks: s the shape, t the texture, o an oven, a blank for no category. mean, largest: under the two aggregations;
    agreeing: to the images whose cues agree, under both.
    """
    names = {"s": "cat", "t": "dog", "o": "oven", " ": None}
    count = len(mean)
    table = {
        "image": [f"image{i:03}" for i in range(count + len(agreeing))],
        "shape": "cat",
        "texture": ["dog"] * count + ["cat"] * len(agreeing),
        "decision_0": [names[mark] for mark in mean + agreeing],
        "decision_1": [names[mark] for mark in largest + agreeing],
    }
    rows = [protocol(MEAN, "decision_0"), protocol(MAX, "decision_1"), protocol(MEAN, "decision_0", antialias=False)]
    rows.append(protocol(MEAN, "decision_0", preset="geirhos2019"))
    return read_protocol_answers(pd.DataFrame(table), {"observer": observer, "answers": list(known), "protocols": rows})


def test_each_distinct_protocol_has_one_row():
    table = tabulate_protocols(answers("net", "ssstto  ", "sttttttt"))
    assert list(table["aggregation"]) == [MEAN, MAX]
    assert list(table["antialias"]) == ["yes|no", "yes"] and list(table["combinations"]) == [2, 1]
    assert list(table["presets"]) == ["geirhos2019", ""]
    assert list(table["images"]) == [8, 8]
    assert list(table["shape_hits"]) == [3, 1] and list(table["texture_hits"]) == [2, 7]
    assert list(table["shape_bias"]) == [3 / 5, 1 / 8]


def test_images_whose_cues_agree_count_for_both_cues_or_not_at_all():
    table = tabulate_protocols(answers("net", "sttt", "tttt", agreeing="sso"))
    assert list(table["stimuli"]) == ["conflicts", "conflicts", "all", "all"]
    assert list(table["images"]) == [4, 4, 7, 7]
    assert list(zip(table["shape_hits"], table["texture_hits"], strict=True)) == [(1, 3), (0, 4), (3, 5), (2, 6)]
    assert list(table["presets"]) == ["geirhos2019", "", "", ""]  # the study leaves them out


def test_intervals_are_those_of_the_bias():
    marks = "st" * 30 + "t" * 40
    trials = pd.DataFrame({"image": [f"image{i:03}" for i in range(100)], "shape": "cat", "texture": "dog"})
    trials = trials.assign(observer="net", decision=[{"s": "cat", "t": "dog"}[mark] for mark in marks])
    [expected] = bias_rows(count_cues(pair_trials(trials)))
    row = tabulate_protocols(answers("net", marks, marks)).iloc[0]
    assert (row["shape_bias"], row["ci_low"], row["ci_high"]) == tuple(
        expected[key] for key in ("shape_bias", "ci_low", "ci_high")
    )


def test_a_network_that_does_not_know_a_cue_has_no_bias():
    table = tabulate_protocols(answers("net", "ss", "ss", known=("cat", "oven")))
    assert list(table["images"]) == [0, 0] and table["shape_bias"].isna().all()


def test_a_difference_can_hold_under_one_protocol_and_turn_under_another():
    # Under the mean, the first network names 60 shapes of 80 and the second 20; under the maximum it is the reverse.
    high, low = "s" * 60 + "t" * 20, "s" * 20 + "t" * 60
    [row] = compare_protocols([answers("a", high, low), answers("b", low, high)]).to_dict("records")
    assert (row["protocols"], row["higher"], row["lower"], row["unclear"]) == (2, 1, 1, 0)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0.5, -0.5, 0.5)
    assert 0 < row["ci_low"] < 0.5 < row["ci_high"]


def test_intervals_of_differences_are_paired_by_image():
    first, second = "sttttttttt" * 8, "ssttttttts" * 8
    networks = [answers("a", first, first), answers("b", second, second)]
    [row] = compare_protocols(networks).to_dict("records")
    trials = [
        pd.DataFrame({"image": [f"image{i:03}" for i in range(80)], "shape": "cat", "texture": "dog"}).assign(
            observer=name, decision=[{"s": "cat", "t": "dog"}[mark] for mark in marks]
        )
        for name, marks in (("a", first), ("b", second))
    ]
    [expected] = difference_rows(count_cues(pair_trials(pd.concat(trials))), {"a": ["a"], "b": ["b"]})
    assert [row[key] for key in ("difference", "ci_low", "ci_high")] == [
        expected[key] for key in ("difference", "ci_low", "ci_high")
    ]
    assert row["lower"] == row["protocols"] == 2  # two columns of decisions, though they are equal here


def test_a_network_without_a_hit_leaves_the_range_undefined():
    [row] = compare_protocols([answers("a", "ss", "oo"), answers("b", "st", "st")]).to_dict("records")
    assert row["unclear"] == 2 and math.isnan(row["difference_low"])
    assert row["reason"] == "no hit of a on the 2 common conflict images"


def test_images_that_only_one_network_saw_do_not_count():
    [row] = compare_protocols([answers("a", "s" * 40, "s" * 40), answers("b", "st" * 10, "st" * 10)]).to_dict("records")
    assert row["difference"] == 1 - 1 / 2


def test_answers_that_do_not_fit_together_are_refused():
    table = pd.DataFrame({"image": ["x", "x"], "shape": "cat", "texture": "dog", "decision_0": "cat"})
    metadata = {"observer": "net", "answers": ["cat", "dog"], "protocols": [protocol(MEAN, "decision_0")]}
    with pytest.raises(UserError, match="'net' answers image 'x' twice"):
        read_protocol_answers(table, metadata)
    with pytest.raises(UserError, match=r"'net': .* lack the column 'decision_0'"):
        read_protocol_answers(table.drop(columns="decision_0"), metadata)
    with pytest.raises(UserError, match="'x': two files of decisions under all protocols are of 'net'"):
        tabulate_all_protocols({"x": [(table.head(1), metadata)] * 2})
    other = answers("b", "s", "s")
    other.shape[:] = np.int8(3)
    with pytest.raises(UserError, match="image 'image000' has different labels for b"):
        compare_protocols([answers("a", "s", "s"), other])
