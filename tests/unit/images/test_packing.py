"""Packing: a broken image is replaced by the next reserve, however the shards are divided into jobs."""

from pathlib import Path

import numpy as np
import pytest
from helpers import image_folder, picture
from PIL import Image

from shapebias.errors import UserError
from shapebias.images.codec import load_rgb
from shapebias.images.image_folder import list_imagefolder
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import SplitCounts, read_listing, read_pool, write_listing
from shapebias.images.packing import FileEncoder, pack_images
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label

WANTED: SplitCounts = {"test": 6}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder of dogs and of ten cats; six of the cats are in the listing's split."""
    return image_folder(tmp_path / "photographs", {"cat": 10, "dog": 6}, size=20)


def cats(folder: Path) -> tuple[list[str], list[str]]:
    """Return the cats in the split and the reserves, by rank."""
    listing = list_imagefolder(folder, WANTED, {"test": 1}, 0)
    rows = listing[listing["class_name"] == "cat"].sort_values("rank")
    return list(rows[rows["split"] == "test"]["file"]), list(rows[rows["split"] == ""]["file"])


def spoil(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).write_bytes(b"no image")


def pack(folder: Path, shards: int, workers: int = 0, allowed: float = 1.0) -> tuple[dict[str, Label], list]:
    """Pack each shard separately; return id → label, and the rejections."""
    listing = folder.parent / f"{shards}.parquet"
    write_listing(listing, list_imagefolder(folder, WANTED, {"test": shards}, 0))
    make, labels, rejected = FileEncoder(ImageStore(folder), 16, "png"), {}, []
    for shard in range(shards):
        rejections = Rejections(allowed)
        rows = read_listing(listing, "test", shard)
        for label, _, data in pack_images(rows, make, lambda *key: read_pool(listing, *key), rejections, workers):
            assert label["id"] not in labels
            assert load_rgb(data).size == (16, 16)
            labels[label["id"]] = label
        rejected += rejections.rows
    return labels, rejected


def test_intact_images_are_packed_without_reading_reserves(folder):
    spoil(folder, *cats(folder)[1])  # the reserves are not needed
    labels, rejected = pack(folder, 2)
    assert len(labels) == 12 and rejected == []
    assert not any("replaces" in label for label in labels.values())


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_counts_stay_exact_and_no_two_jobs_use_the_same_reserve(folder, shards):
    selected, reserves = cats(folder)
    spoil(folder, selected[1], selected[4], reserves[0])
    labels, rejected = pack(folder, shards)
    packed_cats = {label["content"]: label.get("replaces") for label in labels.values() if label["class"] == "cat"}
    # The second cat is replaced by the first usable reserve, the fifth by the second.
    expected = {file: None for file in selected if file not in (selected[1], selected[4])}
    expected |= {reserves[1]: selected[1].removesuffix(".png"), reserves[2]: selected[4].removesuffix(".png")}
    assert packed_cats == expected
    assert {file for file, _ in rejected} == {selected[1], selected[4], reserves[0]}
    assert {reason for _, reason in rejected} == {"not an image in a known format"}


def test_a_class_that_runs_out_of_images_is_reported_with_counts(folder):
    selected, reserves = cats(folder)
    spoil(folder, *selected[:3], *reserves[:2])
    with pytest.raises(UserError, match=r"'cat': 6 images wanted, 3 of them broken, and only 2 usable reserves"):
        pack(folder, 1)


def test_too_many_broken_images_fail_even_if_reserves_exist(folder):
    selected, _ = cats(folder)
    spoil(folder, selected[0], selected[1])
    with pytest.raises(UserError, match=r"2 of 12 images cannot be used, more than the allowed fraction 0\.1"):
        pack(folder, 1, allowed=0.1)


def test_with_per_class_all_a_broken_image_is_left_out(folder):
    spoil(folder, "dog/3.png")
    listing = list_imagefolder(folder, {"test": "all"}, {"test": 1}, 0)
    write_listing(folder.parent / "all.parquet", listing)
    rows, rejections = read_listing(folder.parent / "all.parquet", "test", 0), Rejections(0.5)
    make = FileEncoder(ImageStore(folder), 16, "png")
    ids = [label["id"] for label, _, _ in pack_images(rows, make, lambda *key: [], rejections)]
    assert len(ids) == 15 and "dog/3" not in ids


def test_without_reserves_a_broken_image_is_left_out_and_counted(folder):
    spoil(folder, "dog/3.png")  # the split uses all six dogs
    labels, rejected = pack(folder, 1)
    assert len(labels) == 11 and "dog/3" not in labels
    assert rejected == [("dog/3.png", "not an image in a known format")]


def test_a_long_strip_is_rejected(folder):
    selected, _ = cats(folder)
    Image.new("RGB", (2000, 1)).save(folder / selected[0])
    labels, rejected = pack(folder, 1)
    assert len(labels) == 12
    assert rejected == [(selected[0], "2000 × 1 pixels: longer than 8 times its width")]


def test_two_processes_give_the_same_shard(folder):
    spoil(folder, cats(folder)[0][2])
    assert pack(folder, 1, workers=2) == pack(folder, 1)


def test_a_large_jpeg_decoded_at_reduced_scale_hardly_differs(tmp_path):
    small = np.asarray(picture(0, (60, 40)).resize((2400, 1600), Image.Resampling.BICUBIC), float)
    grain = np.random.default_rng(0).normal(0, 12, small.shape)
    photograph = Image.fromarray(np.clip(small + grain, 0, 255).astype(np.uint8))
    photograph.save(tmp_path / "large.jpg", quality=95)
    exact = load_rgb(tmp_path / "large.jpg").resize((384, 256), Image.Resampling.BICUBIC)
    reduced = load_rgb(tmp_path / "large.jpg", shorter=256)
    assert reduced.size == (1200, 800)  # half the size: a quarter, 400, would be less than twice 256
    difference = np.abs(np.asarray(reduced.resize((384, 256), Image.Resampling.BICUBIC), float) - np.asarray(exact))
    assert difference.mean() < 1 and difference.max() <= 12
