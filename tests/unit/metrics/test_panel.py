"""Answers are paired by image, and an image that an observer did not see does not count as wrong."""

import numpy as np
import pandas as pd
import pytest
from helpers import trials

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.metrics.panel import NO_ANSWER, NOT_SHOWN, pair_trials, parse_pools

CAT, DOG, CAR = (CATEGORIES.index(name) for name in ("cat", "dog", "car"))


def two_observers() -> pd.DataFrame:
    """`a` sees image0 to image2 and does not answer the last; `b` sees image1 and image3."""
    a = trials(("cat", "dog", "cat"), ("cat", "dog", "dog"), ("dog", "cat", None), observer="a")
    b = trials(("cat", "dog", "car"), ("car", "car", "car"), observer="b").assign(image=["image1", "image3"])
    return pd.concat([b, a])


def test_rows_are_images_and_columns_are_observers_ordered_by_name():
    panel = pair_trials(two_observers())
    assert panel.observers == ["a", "b"]
    assert list(panel.images) == ["image0", "image1", "image2", "image3"]
    assert panel.decisions.tolist() == [[CAT, NOT_SHOWN], [DOG, CAR], [NO_ANSWER, NOT_SHOWN], [NOT_SHOWN, CAR]]
    assert panel.seen.sum(axis=0).tolist() == [3, 2]
    # image3 holds no conflict. An image that was not shown is neither a conflict nor right.
    assert panel.conflict.tolist() == [[True, False], [True, True], [True, False], [False, False]]
    assert panel.correct.tolist() == [[True, False], [False, False], [False, False], [False, True]]


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_counts_as_shape_and_as_texture(category):
    other = "dog" if category == "cat" else "cat"
    panel = pair_trials(trials((category, other, category), (other, category, category), (category, None, category)))
    assert panel.conflict[:, 0].tolist() == [True, True, False]
    assert panel.shape_hits[:, 0].tolist() == [True, False, False]
    assert panel.texture_hits[:, 0].tolist() == [False, True, False]
    assert panel.correct[:, 0].tolist() == [True, False, True]


def test_the_order_of_rows_and_columns_does_not_matter():
    table = two_observers()
    panel, other = pair_trials(table), pair_trials(table.sample(frac=1, random_state=1)[sorted(table.columns)])
    assert np.array_equal(panel.decisions, other.decisions) and list(panel.images) == list(other.images)


def test_one_image_in_two_conditions_is_two_rows():
    rows = trials(("cat", None, "cat"), ("cat", None, "dog")).assign(image="x", condition=["0", "40"])
    panel = pair_trials(rows)
    assert list(zip(panel.images, panel.condition, strict=True)) == [("x", "0"), ("x", "40")]
    assert panel.decisions[:, 0].tolist() == [CAT, DOG]
    with pytest.raises(UserError, match="'x' twice"):
        pair_trials(rows.assign(condition="0"))


def test_labels_that_differ_between_observers_and_unknown_categories_are_refused():
    table = pd.concat([trials(("cat", "dog", "cat")), trials(("dog", "cat", "cat"), observer="other")])
    with pytest.raises(UserError, match="'image0' has different labels"):
        pair_trials(table)
    for row in (("zebra", "dog", "cat"), ("cat", "zebra", "cat"), ("cat", "dog", "zebra")):
        with pytest.raises(UserError, match="'zebra' is not one of the 16 categories: airplane"):
            pair_trials(trials(row))


@pytest.mark.parametrize("missing", ["", None, float("nan")])
def test_trials_without_an_observer_are_refused(missing):
    table = trials(("cat", "dog", "cat"), ("cat", "dog", "dog")).assign(observer=["somebody", missing])
    with pytest.raises(UserError, match="observer of image 'image1'"):
        pair_trials(table)


def test_every_kind_of_missing_value_is_no_answer():
    for nothing in (None, float("nan"), pd.NA):
        assert pair_trials(trials(("cat", "dog", nothing), ("cat", "dog", "cat"))).decisions[0, 0] == NO_ANSWER


def test_pools_are_names_and_patterns():
    observers = ["net", "subject-01", "subject-02"]
    assert parse_pools(["people=subject-*", "all=*"], observers) == {"people": observers[1:], "all": observers}
    for pool, expected in (("people", "NAME=PATTERN"), ("people=person-*", "no observer matches"), ("net=*", "'net'")):
        with pytest.raises(UserError, match=expected):
            parse_pools([pool], observers)
