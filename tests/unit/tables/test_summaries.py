"""Summaries name the observers, pool the seeds, and pick members of large groups."""

import numpy as np
import pandas as pd
import pytest

from shapebias.tables.summaries import (
    describe_interval,
    format_image_count,
    observer_kinds,
    observer_names,
    pick_from_each_group,
    pool_means,
    shorten_names,
)


def table(*rows: tuple[str, str, str | None, int | None, float]) -> pd.DataFrame:
    """observer, model, regime, seed, value; the interval is 0.1 to either side, 80 images."""
    frame = pd.DataFrame(rows, columns=["observer", "model", "regime", "seed", "value"])
    return frame.assign(benchmark="b", low=frame["value"] - 0.1, high=frame["value"] + 0.1, images=80)


MEANS = {"value": ("low", "high")}


def test_seeds_are_pooled_to_their_mean_and_the_interval_spans_all_seeds():
    pooled = pool_means(table(("a", "vit", "in", 0, 0.2), ("b", "vit", "in", 1, 0.6)), MEANS, first=["images"])
    (row,) = pooled.to_dict("records")
    assert (row["kind"], row["seeds"], row["images"]) == ("run", 2, 80)
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.4, 0.1, 0.7))
    assert describe_interval(pd.DataFrame([row])) == "95 % interval over images, spanning those of all seeds"
    assert describe_interval(pd.DataFrame([row | {"seeds": 1}])) == "95 % interval over images"


def test_people_replace_persons_and_have_an_interval_only_if_it_was_measured():
    persons = [("p1", "people", None, None, 0.8), ("p2", "people", None, None, 0.6)]
    (row,) = pool_means(table(*persons), MEANS).to_dict("records")
    assert (row["kind"], row["value"]) == ("people", pytest.approx(0.7))
    assert np.isnan([row["low"], row["high"]]).all()
    (row,) = pool_means(table(*persons, ("people", "people", None, None, 0.9)), MEANS).to_dict("records")
    assert (row["value"], row["low"]) == pytest.approx((0.9, 0.8))


def test_an_undefined_seed_is_left_out_of_the_mean():
    (row,) = pool_means(table(("a", "vit", "in", 0, np.nan), ("b", "vit", "in", 1, 0.6)), MEANS).to_dict("records")
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.6, 0.5, 0.7))


def test_names_of_observers_are_unique_and_people_come_first():
    rows = [
        ("vit_sin_seed0", "vit", "sin", 0, 0.1),
        ("vit_in_seed0", "vit", "in", 0, 0.1),
        ("alexnet", "alexnet", None, None, 0.1),
        ("subject-01", "people", None, None, 0.1),
        ("people", "people", None, None, 0.1),
    ]
    names = observer_names(table(*rows))
    assert list(names.values()) == ["people", "subject-01", "alexnet", "vit in", "vit sin"]
    several = observer_names(table(*rows, ("vit_in_seed7", "vit", "in", 7, 0.1)))
    assert several["vit_in_seed7"] == "vit in 7" and several["vit_in_seed0"] == "vit in 0"


def test_long_names_lose_their_middle_and_stay_different():
    alike = [f"{'a' * 40}{letter}{'z' * 40}" for letter in "bcd"]
    short = shorten_names(
        {name: name for name in ["resnet in", *alike, "x" * 26, "vit_large_patch14_clip_quickgelu_336 combined"]}
    )
    assert short["resnet in"] == "resnet in" and short["x" * 26] == "x" * 26
    assert len(set(short.values())) == 6 and max(map(len, short.values())) == 26
    assert short["vit_large_patch14_clip_quickgelu_336 combined"] == "vit_large_patch14…combined"
    assert [short[name][-2:] for name in alike] == ["zz", " 2", " 3"]


def test_the_kind_of_an_observer_follows_from_model_regime_and_name():
    rows = [("r", "vit", "in", 0, 0.1), ("n", "n", None, None, 0.1), ("s", "people", None, None, 0.1)]
    assert list(observer_kinds(table(*rows, ("people", "people", "", None, 0.1)))) == [
        "run",
        "pretrained",
        "person",
        "people",
    ]


@pytest.mark.parametrize(
    ("most", "chosen"), [(2, ["a1", "b1"]), (3, ["a1", "a2", "b1"]), (9, ["a1", "a2", "a3", "b1", "b2"]), (0, [])]
)
def test_pick_from_each_group_keeps_the_order(most, chosen):
    members = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2")]
    assert pick_from_each_group(members, most) == chosen


def test_image_counts_ignore_the_row_of_all_people():
    rows = table(("a", "a", None, None, 0.1), ("people", "people", None, None, 0.1))
    assert format_image_count(rows.assign(images=[160, 1600])) == "160"
    assert format_image_count(
        table(("a", "a", None, None, 0.1), ("b", "b", None, None, 0.1)).assign(images=[80, 1280])
    ) == ("80 to 1,280")
