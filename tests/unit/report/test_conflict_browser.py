"""The browser holds a limited, deterministic sample of conflict images that covers the categories."""

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
from shapebias.report.conflict_browser import Thumbnail, choose_images, encode_thumbnails, make_browser


def answers(count: int = 2) -> pd.DataFrame:
    """Return answers of two observers to `count` images per shape; the texture is of the next category."""
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


def test_thumbnails_hold_the_image_and_its_answers(pictures):
    browser = make_browser("b", answers(), pictures())
    assert (len(browser.thumbnails), browser.total, browser.observers) == (32, 32, ["somebody", "nobody"])
    first = browser.thumbnails[0]
    assert first.alt == "Shape: airplane, texture: bear" and first.counts == "1 shape, 0 texture, 0 something else"
    assert first.answers == [0, -1]
    data = base64.b64decode(first.uri.partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("WEBP", (96, 72))


def test_counts_leave_out_observers_that_did_not_see_the_image():
    thumbnail = Thumbnail("x", "cat", "dog", "", [CATEGORIES.index(name) for name in ("cat", "dog", "car")] + [-1, -2])
    assert thumbnail.counts == "1 shape, 1 texture, 1 something else"


def test_a_sample_covers_the_categories_and_does_not_depend_on_other_rows():
    many = answers(count=50)
    sample = choose_images(many, 40)
    assert sample["shape"].value_counts().between(2, 3).all()
    assert list(choose_images(many.sample(frac=1, random_state=0), 40)["image"]) == list(sample["image"])
    assert sample.iloc[:16]["shape"].nunique() == 16
    cats = many[many["shape"] == "cat"]
    assert list(choose_images(cats, 2)["image"]) == list(sample[sample["shape"] == "cat"]["image"][:2])


def test_thumbnails_stay_within_the_byte_limit():
    images = [picture(i, (96, 96)) for i in range(12)]  # noise compresses least
    full_size = sum(map(len, encode_thumbnails(images, 10**9)))
    assert sum(map(len, encode_thumbnails(images, full_size // 2))) <= full_size // 2
    few = encode_thumbnails(images, full_size // 12)
    assert 0 < len(few) < 12 and sum(map(len, few)) <= full_size // 12


def test_images_without_conflict_and_broken_images_are_left_out(pictures, tmp_path):
    same = answers()
    same.loc[same["shape"] == "cat", "texture"] = "cat"
    assert make_browser("b", same, pictures()).total == 30
    (tmp_path / "dog" / "dog1-elephant1.png").write_bytes(b"no image")
    assert len(make_browser("b", answers(), pictures()).thumbnails) == 31


def test_images_of_another_benchmark_raise_an_error_with_an_example(pictures):
    other_answers = answers().assign(image=[f"other{i}" for i in range(32)])
    with pytest.raises(UserError, match=r"none of the 32 images given for benchmark 'b'.*other0"):
        make_browser("b", other_answers, pictures())


def test_a_benchmark_of_broken_images_has_neither_thumbnails_nor_an_example(pictures, tmp_path):
    for path in tmp_path.glob("*/*.png"):
        path.write_bytes(b"no image")
    browser = make_browser("b", answers(), pictures())
    assert (browser.thumbnails, browser.example, browser.total) == ([], None, 32)
