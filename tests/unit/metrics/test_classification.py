"""Confusion matrices, classification reports and top-k accuracy, counted by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import trials

from shapebias.metrics.classification import tabulate_classification, tabulate_confusion, tabulate_top_k, top_k_chance
from shapebias.metrics.panel import pair_trials

ROWS = [
    ("cat", "dog", "cat"),
    ("cat", "dog", "dog"),
    ("cat", "car", "bird"),
    ("dog", "cat", "cat"),
    ("dog", "car", None),
    ("car", "car", "car"),  # no conflict
]


def counts(table: pd.DataFrame, trials: str, cue: str) -> dict[tuple[str, str], int]:
    rows = table[(table["trials"] == trials) & (table["cue"] == cue)]
    return dict(zip(zip(rows["category"], rows["answer"], strict=True), rows["count"], strict=True))


def test_confusion_of_all_conflict_images():
    table = tabulate_confusion(pair_trials(trials(*ROWS)))
    shape = {("cat", "bird"): 1, ("cat", "cat"): 1, ("cat", "dog"): 1, ("dog", "cat"): 1, ("dog", "none"): 1}
    texture = {("dog", "cat"): 1, ("dog", "dog"): 1, ("car", "bird"): 1, ("cat", "cat"): 1, ("car", "none"): 1}
    assert (counts(table, "all", "shape"), counts(table, "all", "texture")) == (shape, texture)


def test_confusion_of_images_answered_with_either_cue():
    table = tabulate_confusion(pair_trials(trials(*ROWS)))
    assert counts(table, "consistent", "shape") == {("cat", "cat"): 1, ("cat", "dog"): 1, ("dog", "cat"): 1}
    assert counts(table, "consistent", "texture") == {("dog", "cat"): 1, ("dog", "dog"): 1, ("cat", "cat"): 1}


def test_each_observer_has_its_own_counts():
    both = pd.concat([trials(*ROWS), trials(("cat", "dog", "oven"), observer="other")])
    table = tabulate_confusion(pair_trials(both))
    assert counts(table[table["observer"] == "other"], "all", "shape") == {("cat", "oven"): 1}


@pytest.mark.parametrize("texture", [None, "cat"])
def test_without_conflict_texture_is_not_scored(texture):
    panel = pair_trials(trials(("cat", texture, "cat"), ("cat", texture, "dog")))
    table = tabulate_confusion(panel)
    assert set(zip(table["trials"], table["cue"], strict=True)) == {("all", "shape")}
    assert counts(table, "all", "shape") == {("cat", "cat"): 1, ("cat", "dog"): 1}
    assert set(tabulate_classification(panel)["cue"]) == {"shape"}


def test_classification_report_counted_by_hand():
    table = tabulate_classification(pair_trials(trials(*ROWS))).set_index(["cue", "category"])
    cat = table.loc[("shape", "cat")]  # three images, answered `cat` twice, once rightly
    assert (cat["precision"], cat["recall"], cat["f1"], cat["support"]) == (1 / 2, 1 / 3, 2 / 5, 3)
    dog = table.loc[("shape", "dog")]
    assert (dog["precision"], dog["recall"], dog["f1"], dog["support"], dog["reason"]) == (0, 0, 0, 2, "")
    macro = table.loc[("shape", "macro average")]
    assert (macro["precision"], macro["recall"]) == (1 / 4, 1 / 6)
    assert (macro["f1"], macro["support"], macro["reason"]) == (1 / 5, 5, "")
    assert len(table.loc["shape"]) == 17


def test_a_category_without_images_or_answers_is_undefined():
    table = tabulate_classification(pair_trials(trials(*ROWS))).set_index(["cue", "category"])
    bird = table.loc[("shape", "bird")]
    assert (bird["support"], bird["reason"]) == (0, "no image")
    assert all(math.isnan(bird[name]) for name in ("precision", "recall", "f1"))
    car = table.loc[("texture", "car")]
    assert math.isnan(car["precision"])
    assert (car["recall"], car["f1"], car["reason"]) == (0, 0, "never answered")
    macro = table.loc[("texture", "macro average")]
    assert macro["reason"] == "precision over 2 of 3 categories: the others are never answered"
    assert macro["precision"] == (1 / 2 + 1) / 2


def test_an_observer_without_images_has_no_report():
    mute = trials(("cat", "dog", "cat"), observer="mute").assign(answerable=False)
    panel = pair_trials(pd.concat([trials(*ROWS[1:]).assign(answerable=True), mute]))
    table = tabulate_classification(panel)
    macro = table[(table["observer"] == "mute") & (table["category"] == "macro average")]
    assert macro["precision"].isna().all() and set(macro["reason"]) == {"no image"}


# Top k

KNOWN = ["tabby", "siamese", "husky", *(f"car{i}" for i in range(7))]
OWN = {"tabby": "cat", "siamese": "cat", "husky": "dog"} | {f"car{i}": "car" for i in range(7)}
METADATA: dict[str, Any] = {
    "observer": "net",
    "answers": ["cat", "dog", "car"],
    "class_names": KNOWN,
    "class_categories": OWN,
}


def ranked(*rows: tuple) -> pd.DataFrame:
    columns = ["shape", "shape_class", "shape_rank", "texture", "texture_class", "texture_rank"]
    table = pd.DataFrame(rows, columns=columns).astype({"shape_rank": "Int64", "texture_rank": "Int64"})
    images = [f"image{i}" for i in range(len(rows), 0, -1)]  # in an order that is not theirs by name
    return table.assign(observer="net", image=images, condition="", decision=None)


def test_top_k_counted_by_hand():
    rows = [
        ("cat", "tabby", 1, "dog", "husky", 2),
        ("cat", "siamese", 5, "dog", "husky", 1),
        ("dog", "husky", 6, "cat", "tabby", 3),
        ("cat", "tabby", 9, "cat", "tabby", 9),  # no conflict
    ]
    table = tabulate_top_k(ranked(*rows), METADATA).set_index(["cue", "of", "k"])
    # Ten classes: k of 10 and 20 would always hit.
    assert list(table.index) == [(cue, "class", k) for cue in ("shape", "texture") for k in (1, 5)]
    assert list(table["hits"]) == [1, 2, 1, 3]
    assert list(table["images"]) == [3] * 4
    assert list(table["chance"]) == pytest.approx([0.1, 0.5, 0.1, 0.5])
    row = table.loc[("texture", "class", 5)]
    assert row["accuracy"] == 1
    assert row["ci_low"] == pytest.approx(3 / (3 + 1.959964**2), abs=1e-6)  # Wilson 1927, three of three


def test_top_k_covers_1_5_10_and_20_of_more_classes():
    classes = METADATA["class_names"] + [f"car{i}" for i in range(7, 27)]
    table = tabulate_top_k(ranked(("cat", "tabby", 11, "dog", "husky", 20)), METADATA | {"class_names": classes})
    shape = table[table["cue"] == "shape"].set_index("k")
    assert shape["hits"].to_dict() == {1: 0, 5: 0, 10: 0, 20: 1}
    assert list(shape["chance"]) == pytest.approx([1 / 30, 5 / 30, 10 / 30, 20 / 30])


def test_conflicts_with_an_unknown_category_are_left_out_of_top_k():
    rows = [("cat", "tabby", 1, "dog", "husky", 2), ("cat", "tabby", 1, "bird", None, pd.NA)]
    table = tabulate_top_k(ranked(*rows).assign(answerable=[True, False]), METADATA)
    assert set(table["images"]) == {1} and set(table["cue"]) == {"shape", "texture"}


def test_a_category_counts_by_its_best_class():
    rows = [("cat", None, 1, "car", None, 4), ("dog", None, pd.NA, "cat", None, 2), ("dog", None, 7, "car", None, 1)]
    table = tabulate_top_k(ranked(*rows), METADATA).set_index(["cue", "of", "k"])
    best = "best class of the category"
    assert (table.loc[("shape", best, 5), "hits"], table.loc[("shape", best, 5), "images"]) == (1, 2)
    # Shapes: a category of two classes, one of one. Neither among 5 of 10: 1 - 8·7·6·5·4 / 10·9·8·7·6 = 7/9; 1/2.
    assert table.loc[("shape", best, 5), "chance"] == pytest.approx((7 / 9 + 1 / 2) / 2)
    assert table.loc[("texture", best, 1), "chance"] == pytest.approx((0.7 + 0.2 + 0.7) / 3)


def test_chance_is_undefined_if_the_classes_of_a_category_are_unknown():
    unknown = METADATA | {"class_categories": None}
    table = tabulate_top_k(ranked(("cat", None, 1, "car", None, 4)), unknown)
    assert table["chance"].isna().all() and list(table["hits"]) == [1, 1, 0, 1]


def test_images_without_texture_have_no_texture_rows():
    table = tabulate_top_k(ranked(("cat", "tabby", 1, None, None, pd.NA)), METADATA)
    assert set(table["cue"]) == {"shape"}
    assert tabulate_top_k(ranked(("cat", "tabby", pd.NA, None, None, pd.NA)), METADATA).empty


@pytest.mark.parametrize(("members", "k"), [(1, 1), (3, 5), (109, 20)])
def test_chance_of_the_best_class_agrees_with_shuffled_ranks(members: int, k: int):
    rng = np.random.default_rng(0)
    best = rng.permuted(np.tile(np.arange(1, 208), (20_000, 1)), axis=1)[:, :members].min(axis=1)
    assert np.mean(best <= k) == pytest.approx(top_k_chance(207, members, k), abs=0.01)
