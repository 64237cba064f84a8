"""A linear read-out finds the cues in features, and does not confuse single photographs with categories."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shapebias.evaluation.shared_files import SharedFolder
from shapebias.images.pictures import ImageFile
from shapebias.images.shards import label
from shapebias.metrics import linear_read_out
from shapebias.metrics.classification import READ_OUT_COLUMNS
from shapebias.metrics.linear_read_out import (
    FOLDS,
    assign_folds,
    cluster_intervals,
    cross_validate,
    cue_sources,
    is_conflict,
    read_out,
)
from shapebias.networks.stages import Stage

CATEGORIES = ["bird", "cat", "dog", "oven"]


def conflicts(each: int = 6, times: int = 5) -> pd.DataFrame:
    """Return conflicts: each category has `each` photographs as shapes, and each of them has `times` textures."""
    rows, turn = [], dict.fromkeys(CATEGORIES, 0)
    for photograph in range(each):
        for shape in CATEGORIES:
            others = [category for category in CATEGORIES if category != shape]
            for k in range(times):
                texture = others[(photograph + k) % 3]
                style = turn[texture] = (turn[texture] + 1) % each
                rows.append((shape, texture, f"{shape}{photograph}", f"{texture}{style}"))
    return pd.DataFrame(rows, columns=["shape", "texture", "content", "style"])


def one_hot(names: pd.Series) -> np.ndarray:
    return pd.get_dummies(names).to_numpy(dtype=np.float32)


def noise(images: pd.DataFrame, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((len(images), width)).astype(np.float32)


def by_cue(table: pd.DataFrame) -> dict[str, dict]:
    return {row["cue"]: row for row in table.to_dict("records")}


def test_features_of_the_shape_reveal_the_shape_and_not_the_texture():
    images = conflicts()
    features = np.hstack([one_hot(images["shape"]), 0.1 * noise(images)])
    table = read_out([Stage("blocks.3", 0.5)], [features], images)
    assert list(table.columns) == READ_OUT_COLUMNS
    row = by_cue(table)
    assert (row["shape"]["stage"], row["shape"]["depth"], row["shape"]["features"]) == ("blocks.3", 0.5, 12)
    assert (row["shape"]["images"], row["shape"]["accuracy"], row["shape"]["ci_high"]) == (120, 1.0, 1.0)
    assert 0.8 < row["shape"]["ci_low"] < 1
    assert row["shape"]["chance"] == row["texture"]["chance"] == 1 / 4
    # The shape rules out one texture only, so guessing is right in a third of the images.
    assert row["texture"]["ci_low"] < 1 / 3 < row["texture"]["accuracy"] + 0.1
    assert row["texture"]["accuracy"] < 0.45


def test_features_of_the_photograph_do_not_reveal_the_category():
    images = conflicts()
    features = [one_hot(images["content"]), one_hot(images["style"])]
    table = read_out([Stage("a", 0.2), Stage("b", 0.4)], features, images)
    accuracies = table.set_index(["stage", "cue"])["accuracy"]
    assert accuracies["a", "shape"] <= 1 / 4 and accuracies["b", "texture"] <= 1 / 4
    # Folds that split the images of a photograph would report this accuracy.
    torn = np.arange(len(images)) % FOLDS
    for rows, cue in zip(features, ("shape", "texture"), strict=True):
        right = cross_validate(rows, images[cue].to_numpy(dtype=str), torn)
        assert right.mean() == 1


def test_the_accuracy_equals_cross_validation_of_scikit_learn():
    images = conflicts()
    features = 0.7 * np.pad(one_hot(images["shape"]), ((0, 0), (0, 4))) + noise(images)
    row = by_cue(read_out([Stage("a", 0.2)], [features], images))["shape"]
    parts = PredefinedSplit(assign_folds(images["shape"].to_numpy(object), images["content"].to_numpy(object)))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=30 / 8, tol=1e-6))
    expected = (cross_val_predict(model, features, images["shape"], cv=parts) == images["shape"]).mean()
    assert 0.3 < expected < 0.9
    assert row["accuracy"] == pytest.approx(expected, abs=1 / len(images))


def test_the_penalty_is_30_divided_by_the_number_of_features():
    images, width = conflicts(), 1200
    features = 0.7 * np.pad(one_hot(images["shape"]), ((0, 0), (0, width - 4))) + noise(images, width)
    parts = assign_folds(images["shape"].to_numpy(object), images["content"].to_numpy(object))
    right = cross_validate(features, images["shape"].to_numpy(str), parts)

    def differing(penalty: float) -> int:
        """Count the images on which scikit-learn's own cross-validation is right and the read-out wrong, or reverse."""
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, tol=1e-6, max_iter=1000))
        answers = cross_val_predict(model, features, images["shape"], cv=PredefinedSplit(parts))
        return int(((answers == images["shape"]) != right).sum())

    assert differing(30 / width) <= 1 and differing(1) >= 4


def test_networks_with_equal_features_share_a_read_out(tmp_path, monkeypatch):
    images, fits = conflicts(), []
    monkeypatch.setattr(linear_read_out, "cross_validate", lambda *a: fits.append(a) or cross_validate(*a))
    features = [one_hot(images["shape"]) + noise(images, 4), noise(images)]
    stages = [Stage("a", 0.2), Stage("b", 0.5)]
    alone, first, second = (
        read_out(stages, features, images, shared) for shared in (None, SharedFolder(tmp_path), SharedFolder(tmp_path))
    )
    pd.testing.assert_frame_equal(first, alone, check_exact=True)
    pd.testing.assert_frame_equal(second, alone, check_exact=True)
    assert len(fits) == 4 + 4  # two stages, two cues
    read_out(stages, [features[0], features[1] + 1], images, SharedFolder(tmp_path))
    assert len(fits) == 4 + 4 + 2
    read_out(stages, features, images.assign(style=images["style"] + "b"), SharedFolder(tmp_path))
    assert len(fits) == 4 + 4 + 2 + 2  # the textures come from other photographs, so their folds differ


def test_folds_keep_photographs_together_and_spread_each_category():
    images = conflicts(each=7)
    categories, photographs = (images[name].to_numpy(dtype=object) for name in ("shape", "content"))
    images["part"] = assign_folds(categories, photographs)
    assert (images.groupby("content")["part"].nunique() == 1).all()
    assert (images.groupby("shape")["part"].nunique() == FOLDS).all()
    sizes = images.drop_duplicates("content")["part"].value_counts()
    assert sizes.max() - sizes.min() <= 1
    backwards = assign_folds(categories[::-1], photographs[::-1])[::-1]
    assert (backwards == images["part"]).all()


def test_two_photographs_a_category_are_enough():
    images = conflicts(each=2)
    row = by_cue(read_out([Stage("a", 0.2)], [one_hot(images["shape"])], images))["shape"]
    assert (row["accuracy"], row["reason"]) == (1.0, "")


def test_two_categories_are_enough():
    images = conflicts()
    images = images[images["shape"].isin(["cat", "dog"])].reset_index(drop=True)
    row = by_cue(read_out([Stage("a", 0.2)], [one_hot(images["shape"])], images))["shape"]
    assert (row["accuracy"], row["chance"], row["reason"]) == (1, 1 / 2, "")


def test_the_same_images_give_the_same_table():
    images = conflicts()
    features = [one_hot(images["shape"])[:, :2] + noise(images, 2), noise(images)]
    stages = [Stage("a", 0.2), Stage("b", 0.4)]
    first = read_out(stages, features, images)
    pd.testing.assert_frame_equal(first, read_out(stages, features, images), check_exact=True)
    # The result of a stage does not depend on the remaining stages.
    alone = read_out(stages[1:], features[1:], images)
    pd.testing.assert_frame_equal(first[first["stage"] == "b"].reset_index(drop=True), alone, check_exact=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"style": None}, "120 images do not say which photograph their texture comes from (style)"),
        ({"texture": "car"}, "all images have the texture of one category, car"),
        ({"style": "x.png"}, "photograph x.png gives the texture of several categories"),
    ],
)
def test_a_cue_that_cannot_be_read_out_is_nan_with_a_reason_and_the_second_cue_stays(change, reason):
    images = conflicts().assign(**change)
    row = by_cue(read_out([Stage("a", 0.2)], [one_hot(images["shape"])], images))
    assert (row["shape"]["accuracy"], row["shape"]["reason"]) == (1.0, "")
    assert row["texture"]["reason"] == reason
    assert all(math.isnan(row["texture"][name]) for name in ("accuracy", "ci_low", "ci_high"))


def test_a_photograph_of_two_categories_is_named():
    images = conflicts()
    images.loc[images["style"].isin(["cat1", "dog1"]), "style"] = "both"
    row = by_cue(read_out([Stage("a", 0.2)], [noise(images)], images))["texture"]
    assert row["reason"] == "photograph both gives the texture of several categories"


def test_a_category_of_one_photograph_is_named():
    images = conflicts()
    images.loc[images["shape"] == "cat", "content"] = "cat0"
    row = by_cue(read_out([Stage("a", 0.2)], [noise(images)], images))["shape"]
    assert row["reason"] == "the shape of cat comes from one photograph: none is left to test on"


def test_chance_is_the_share_of_the_largest_category():
    images = conflicts()
    dogs = images.index[images["shape"] == "dog"]
    images = images.drop(dogs[:15]).reset_index(drop=True)
    row = by_cue(read_out([Stage("a", 0.2)], [noise(images)], images))["shape"]
    assert row["chance"] == 30 / 105


# Intervals


def test_with_one_image_per_photograph_the_interval_is_jeffreys():
    right = np.arange(60) < 20
    # There are so few photographs per category that all categories share a stratum.
    categories = np.array([f"category{k % 20}" for k in range(60)], dtype=object)
    photographs = np.array([f"photograph{k}" for k in range(60)], dtype=object)
    [intervals] = cluster_intervals([right], categories, photographs)
    assert intervals == pytest.approx(beta.ppf([0.025, 0.975], 20.5, 40.5), abs=0.004)


def test_images_that_repeat_a_photograph_do_not_narrow_the_interval():
    right = np.arange(60) < 20
    categories = np.array(["cat", "dog"] * 30, dtype=object)
    photographs = np.array([f"photograph{k}" for k in range(60)], dtype=object)
    [once] = cluster_intervals([right], categories, photographs)
    [often] = cluster_intervals([np.repeat(right, 9)], np.repeat(categories, 9), np.repeat(photographs, 9))
    assert often == pytest.approx(once, abs=1e-9)
    alone = np.array([f"photograph{k}" for k in range(540)], dtype=object)
    [narrow] = cluster_intervals([np.repeat(right, 9)], np.repeat(categories, 9), alone)
    assert narrow[1] - narrow[0] < 0.4 * (often[1] - often[0])


# The photographs of shape and texture


@pytest.mark.parametrize(
    ("sample_id", "more", "content", "style"),
    [
        ("cat/cat3-bird1", {"content": "cat/cat3-bird1.png"}, "cat3", "bird1"),
        ("0007_cc_dnn_0_cat_00_cat3-bird1", {"content": "session-1/x.png"}, "cat3", "bird1"),
        ("test/tabby/00012", {"content": "test/tabby/00012", "style": "test/robin/00003"}, None, None),
        ("mine", {"content": "mine.png"}, "mine.png", None),
    ],
)
def test_photographs_are_read_from_the_label_or_from_a_published_name(tmp_path, sample_id, more, content, style):
    image_label = label(sample_id, shape="cat", texture="bird", **more)
    intervals = cue_sources(ImageFile(tmp_path, image_label))
    expected = (content or more["content"], style or more.get("style"))
    assert (intervals["content"], intervals["style"]) == expected
    assert (intervals["image"], intervals["shape"], intervals["texture"]) == (sample_id, "cat", "bird")


@pytest.mark.parametrize(
    ("shape", "texture", "conflict"), [("cat", "dog", True), ("cat", "cat", False), ("cat", None, False)]
)
def test_only_images_whose_cues_are_known_and_differ_are_conflicts(tmp_path, shape, texture, conflict):
    assert is_conflict(ImageFile(tmp_path, label("x", shape=shape, texture=texture))) is conflict
