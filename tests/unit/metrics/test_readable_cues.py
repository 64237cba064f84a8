"""A conflict set measures a preference only if some observer reads each of its cues."""

import math

import pytest

from shapebias.metrics.readable_cues import readable_cues


def row(observer: str, shape: float, texture: float, half: float = 0.02) -> dict:
    shares = {"shape_accuracy": shape, "texture_accuracy": texture, "chance": 1 / 16, "observer": observer}
    return shares | {"shape_low": shape - half, "texture_low": texture - half}


@pytest.mark.parametrize(
    ("rows", "readable"),
    [
        ([row("a", 0.6, 0.02), row("b", 0.1, 0.4)], "both"),
        ([row("lite0", 132 / 222, 5 / 222)], "shape"),  # home-made conflicts whose texture nobody reads
        ([row("a", 0.05, 0.5)], "texture"),
        ([row("a", 0.06, 0.06)], "none"),
        ([row("a", 0.5, 0.2, half=0.15)], "shape"),  # 0.2 could be guessing
        ([row("a", 0.5, 0.25, half=0.1875)], "shape"),  # the interval of 0.25 begins at guessing
        ([row("a", 0.125, 0.12, half=0)], "shape"),  # twice guessing is 0.125
        ([], "none"),
    ],
)
def test_a_cue_is_readable_if_an_observer_names_it_clearly_more_often_than_by_guessing(rows, readable):
    assert readable_cues(rows)["readable"] == readable


def test_the_best_reader_of_each_cue_is_named_and_undefined_shares_are_ignored():
    result = readable_cues([row("nobody", math.nan, math.nan), row("a", 0.6, 0.1), row("b", 0.1, 0.4)])
    assert (result["shape_observer"], result["texture_observer"], result["texture_accuracy"]) == ("a", "b", 0.4)
