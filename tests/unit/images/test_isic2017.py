"""The ISIC 2017 challenge's folders: its splits, its two classes, and damaged downloads."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from moles import HEADER, challenge

from shapebias.errors import UserError
from shapebias.images.isic2017 import list_isic

SHARDS = {"train": 2, "val": 1, "test": 1}
EACH = {"train": (2, 4), "val": (1, 2), "test": (2, 3)}
TRAINING = "ISIC-2017_Training_Part3_GroundTruth.csv"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return challenge(tmp_path_factory.mktemp("isic"), EACH)


@pytest.fixture
def isic(original, tmp_path) -> Path:
    """Return a copy that a test may damage."""
    return shutil.copytree(original, tmp_path / "isic")


def spoil(isic: Path, old: str, new: str) -> None:
    """Change the ground truth of the training images."""
    text = (isic / TRAINING).read_text()
    assert old in text
    (isic / TRAINING).write_text(text.replace(old, new, 1))


def test_splits_and_classes_are_the_challenge_s_and_superpixels_are_ignored(original):
    listing = list_isic(original, SHARDS, 0)
    counts = listing.groupby(["split", "class_name"]).size()
    assert {split: (counts[split, "melanoma"], counts[split, "other"]) for split in EACH} == EACH
    assert listing["id"].is_unique and (listing["category"] == "").all()
    (first,) = listing[listing["id"] == "ISIC_0000000"].to_dict("records")
    assert (first["file"], first["class_name"]) == ("ISIC-2017_Training_Data/ISIC_0000000.jpg", "melanoma")
    assert all((original / file).is_file() for file in listing["file"])


def test_shards_share_a_split_and_the_seed_changes_no_split(original):
    listing = list_isic(original, SHARDS, 0)
    assert listing[listing["split"] == "train"]["shard"].value_counts().to_dict() == {0: 3, 1: 3}
    reseeded = list_isic(original, SHARDS, 1)
    pd.testing.assert_series_equal(
        listing.set_index("id")["split"].sort_index(), reseeded.set_index("id")["split"].sort_index()
    )


def test_integer_labels_are_accepted_too(isic):
    text = (isic / TRAINING).read_text()
    (isic / TRAINING).write_text(text.replace("1.0", "1").replace("0.0", "0"))
    assert len(list_isic(isic, SHARDS, 0)) == 14


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("melanoma,", "benign,", ["column melanoma is missing", HEADER]),
        ("ISIC_0000001,1.0", "ISIC_0000001,2.0", ["melanoma of ISIC_0000001 is '2.0'", "0.0 and 1.0"]),
        ("ISIC_0000001,1.0,0.0", "ISIC_0000001,1.0,", ["seborrheic_keratosis of ISIC_0000001 is ''"]),
        ("ISIC_0000001,1.0,0.0", "ISIC_0000001,1.0,1.0", ["'ISIC_0000001' is both"]),
        ("ISIC_0000001,", "ISIC_0000000,", ["'ISIC_0000000' is listed twice"]),
        ("ISIC_0000001,", "ISIC_0000001.jpg,", ["image_id 'ISIC_0000001.jpg'", "without an ending"]),
        ("ISIC_0000001,", "ISIC_7777777,", ["ISIC-2017_Training_Data/ISIC_7777777.jpg: missing", TRAINING]),
    ],
)
def test_a_damaged_ground_truth_is_refused_by_name(isic, old, new, fragments):
    spoil(isic, old, new)
    with pytest.raises(UserError) as refused:
        list_isic(isic, SHARDS, 0)
    assert all(text in str(refused.value) for text in fragments)


def test_listed_but_missing_images_are_reported_with_their_number(isic):
    for number in (0, 3, 4):
        (isic / "ISIC-2017_Training_Data" / f"ISIC_{number:07d}.jpg").unlink()
    with pytest.raises(UserError, match=r"ISIC_0000000\.jpg: missing and 2 more of its images"):
        list_isic(isic, SHARDS, 0)


def test_an_image_in_two_splits_is_refused(isic):
    test = isic / "ISIC-2017_Test_v2_Part3_GroundTruth.csv"
    test.write_text(test.read_text() + "ISIC_0000000,1.0,0.0\n")
    shutil.copy(isic / "ISIC-2017_Training_Data/ISIC_0000000.jpg", isic / "ISIC-2017_Test_v2_Data")
    with pytest.raises(UserError, match=f"'ISIC_0000000' is in {TRAINING} too"):
        list_isic(isic, SHARDS, 0)


def test_missing_files_of_the_challenge_are_reported(isic):
    shutil.rmtree(isic / "ISIC-2017_Validation_Data")
    with pytest.raises(UserError, match="ISIC-2017_Validation_Data: no such folder"):
        list_isic(isic, SHARDS, 0)
    (isic / "ISIC-2017_Validation_Part3_GroundTruth.csv").unlink()
    with pytest.raises(UserError, match=r"Validation_Part3_GroundTruth\.csv: no such file"):
        list_isic(isic, SHARDS, 0)
    (isic / TRAINING).write_text(HEADER + "\n")
    with pytest.raises(UserError, match="lists no images"):
        list_isic(isic, SHARDS, 0)
