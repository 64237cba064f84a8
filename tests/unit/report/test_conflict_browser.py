"""Conflict images to browse: bounded, spread over the categories, the same ones each time."""

import base64
import io
from pathlib import Path

import pandas as pd
import pytest
from helpers import picture
from PIL import Image

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.report.conflict_browser import Thumbnail, browser, chosen, encoded


def answers(count: int = 2) -> pd.DataFrame:
    """`count` images of each shape with the texture of the next category, and what two observers answered."""
    rows = []
    for place, shape in enumerate(CATEGORIES):
        texture = CATEGORIES[(place + 1) % len(CATEGORIES)]
        rows += [(f"{shape}{i + 1}-{texture}{i + 1}", shape, texture, shape, "none") for i in range(count)]
    return pd.DataFrame(rows, columns=["image", "shape", "texture", "somebody", "nobody"])


@pytest.fixture
def pictures(tmp_path: Path):
    for seed, row in enumerate(answers().to_dict("records")):
        (tmp_path / row["shape"]).mkdir(exist_ok=True)
        picture(seed, (120, 90)).save(tmp_path / row["shape"] / f"{row['image']}.png")
    return lambda: open_benchmark([tmp_path], "cue_conflict")


def test_thumbnails_hold_the_image_and_what_was_answered(pictures):
    found = browser("b", answers(), pictures())
    assert (len(found.thumbnails), found.total, found.observers) == (32, 32, ["somebody", "nobody"])
    first = found.thumbnails[0]
    assert first.alt == "Shape: airplane, texture: bear" and first.counts == "1 shape, 0 texture, 0 else"
    assert first.answers == [0, -1]
    data = base64.b64decode(first.uri.partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("WEBP", (96, 72))


def test_counts_leave_out_who_did_not_see_the_image():
    thumbnail = Thumbnail("x", "cat", "dog", "", [CATEGORIES.index(name) for name in ("cat", "dog", "car")] + [-1, -2])
    assert thumbnail.counts == "1 shape, 1 texture, 1 else"


def test_few_of_many_are_spread_over_the_categories_and_do_not_depend_on_the_rest():
    many = answers(count=50)
    some = chosen(many, 40)
    assert some["shape"].value_counts().between(2, 3).all()
    assert list(chosen(many.sample(frac=1, random_state=0), 40)["image"]) == list(some["image"])
    assert some.iloc[:16]["shape"].nunique() == 16
    cats = many[many["shape"] == "cat"]
    assert list(chosen(cats, 2)["image"]) == list(some[some["shape"] == "cat"]["image"][:2])


def test_thumbnails_stay_within_their_budget():
    images = [picture(i, (96, 96)) for i in range(12)]  # noise: what compresses least
    whole = sum(map(len, encoded(images, 10**9)))
    assert sum(map(len, encoded(images, whole // 2))) <= whole // 2
    few = encoded(images, whole // 12)
    assert 0 < len(few) < 12 and sum(map(len, few)) <= whole // 12


def test_images_without_conflict_and_broken_ones_are_passed_over(pictures, tmp_path):
    same = answers()
    same.loc[same["shape"] == "cat", "texture"] = "cat"
    assert browser("b", same, pictures()).total == 30
    (tmp_path / "dog" / "dog1-elephant1.png").write_bytes(b"no image")
    assert len(browser("b", answers(), pictures()).thumbnails) == 31


def test_images_of_another_benchmark_are_refused_by_name(pictures):
    other = answers().assign(image=[f"other{i}" for i in range(32)])
    with pytest.raises(UserError, match=r"none of the 32 images given for benchmark 'b'.*other0"):
        browser("b", other, pictures())
