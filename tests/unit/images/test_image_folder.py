"""Listings: an image's split depends only on the seed and the ids."""

from pathlib import Path

import pandas as pd
import pytest
from helpers import image_folder

from shapebias.errors import UserError
from shapebias.images.folder_files import image_files
from shapebias.images.image_folder import (
    class_pools,
    list_imagefolder,
    list_style_folder,
    list_synthetic,
    read_categories,
    unique_ids,
)
from shapebias.images.listing import RESERVE, read_listing, read_pool, write_listing
from shapebias.images.pictures import open_pictures

ONE_SHARD = {"train": 1, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """`<class>/image`: ten cats, twelve dogs."""
    return image_folder(tmp_path_factory.mktemp("photographs"), {"cat": 10, "dog": 12}, size=4)


def listed(root: Path, per_class: dict, *, shards: dict = ONE_SHARD, seed: int = 0, **more) -> pd.DataFrame:
    """Return the listing without its reserves."""
    listing = list_imagefolder(root, per_class, shards, seed, **more)
    return listing[listing["split"] != RESERVE].reset_index(drop=True)


def splits_by_file(listing: pd.DataFrame) -> dict[str, str]:
    """Return file → split."""
    return dict(zip(listing["file"], listing["split"], strict=True))


def test_splits_are_disjoint_and_have_the_requested_counts(photographs):
    listing = listed(photographs, {"train": 6, "val": 1, "test": 3})
    assert listing["file"].is_unique
    counts = listing.groupby(["split", "class_name"]).size().to_dict()
    assert counts == {(s, c): n for s, n in {"train": 6, "val": 1, "test": 3}.items() for c in ("cat", "dog")}


def test_all_takes_the_images_that_other_splits_leave(photographs):
    listing = listed(photographs, {"train": "all", "test": 3})
    assert listing[listing["split"] == "train"].groupby("class_name").size().to_dict() == {"cat": 7, "dog": 9}


def test_more_shards_change_no_split(photographs):
    per_class = {"train": 6, "val": 2, "test": 2}
    single = listed(photographs, per_class)
    many = listed(photographs, per_class, shards={"train": 5, "val": 2, "test": 1})
    assert splits_by_file(single) == splits_by_file(many)
    sizes = many[many["split"] == "train"].groupby("shard").size()
    assert sizes.to_dict() == {0: 3, 1: 3, 2: 2, 3: 2, 4: 2}


def test_the_order_of_file_creation_does_not_matter(photographs, tmp_path):
    for file in sorted(image_files(photographs), reverse=True):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((photographs / file).read_bytes())
    per_class = {"train": 6, "test": 2}
    pd.testing.assert_frame_equal(listed(tmp_path, per_class), listed(photographs, per_class))


def test_the_seed_changes_the_split(photographs):
    per_class = {"train": 6, "test": 4}
    assert splits_by_file(listed(photographs, per_class, seed=0)) != splits_by_file(
        listed(photographs, per_class, seed=1)
    )


def test_split_folders_are_used_and_a_missing_split_is_sampled_from_training_images(tmp_path):
    image_folder(tmp_path / "train", {"cat": 6}, size=4)
    image_folder(tmp_path / "val", {"cat": 3}, size=4)
    listing = listed(tmp_path, {"train": "all", "val": 2, "test": 2})
    assert listing["file"].is_unique
    folders = listing["file"].str.split("/").str[0]
    assert folders.groupby(listing["split"]).agg(list).to_dict() == {
        "train": ["train"] * 4,
        "val": ["val"] * 2,
        "test": ["train"] * 2,
    }
    assert set(listing["class_name"]) == {"cat"}


def test_an_image_beside_the_class_folders_belongs_to_no_class(tmp_path):
    root = image_folder(tmp_path, {"train/cat": 2, "test/cat": 1})
    (root / "train/cat/0.png").rename(root / "train/loose.png")
    assert splits_by_file(listed(root, {"train": "all", "test": 1}, shards={"train": 1, "test": 1})) == {
        "train/cat/1.png": "train",
        "test/cat/0.png": "test",
    }


def test_images_may_lie_in_nested_folders_of_their_class(tmp_path):
    image_folder(tmp_path / "cat" / "some", {"deep": 2}, size=4)
    assert class_pools(tmp_path) == {"train": {"cat": ["cat/some/deep/0.png", "cat/some/deep/1.png"]}}


def test_categories_come_from_the_name_from_ilsvrc_or_from_a_table(tmp_path):
    image_folder(tmp_path, {"cat": 1, "n02123045": 1, "moggy": 1}, size=4)
    listing = listed(tmp_path, {"train": 1}, categories={"moggy": "cat"})
    assert dict(zip(listing["class_name"], listing["category"], strict=True)) == {
        "cat": "cat",
        "n02123045": "cat",
        "moggy": "cat",
    }


def test_ids_have_no_dots_and_are_unique():
    ids = unique_ids(["v1.2/a.b.jpg", "x/a.jpg", "x/a.png"])
    assert ids[0] == "v1_2/a_b"
    assert len(set(ids)) == 3 and not any("." in i for i in ids)


@pytest.mark.parametrize(
    "files",
    [["a-2.jpg", "a.jpg", "a.png"], ["a.b.jpg", "a_b.jpg"], ["a.JPG", "a.jpg"]],
    ids=["a number that is taken", "a dot and an underscore", "endings in two cases"],
)
def test_ids_are_unique_even_for_similar_names(files):
    assert len(set(unique_ids(files))) == len(files)


def test_an_image_s_id_does_not_depend_on_its_split(tmp_path):
    image_folder(tmp_path, {"cat": 4}, suffix=".png", size=4)
    image_folder(tmp_path, {"cat": 4}, suffix=".jpg", size=4)  # 0.jpg beside 0.png
    together, apart = listed(tmp_path, {"train": "all"}), listed(tmp_path, {"train": 5, "val": 2, "test": 1})
    assert apart["id"].is_unique
    assert dict(zip(together["file"], together["id"], strict=True)) == dict(
        zip(apart["file"], apart["id"], strict=True)
    )


def test_pictures_of_two_folders_have_unique_ids(tmp_path):
    folders = [image_folder(tmp_path / name, {"cat": 2}, size=4) for name in ("a", "b")]
    ids = [picture.id for picture in open_pictures(folders)]
    assert len(ids) == len(set(ids)) == 4


def make(root: Path, **classes: int) -> Path:
    return image_folder(root / "photographs", classes, size=4)


def empty_class(root: Path) -> Path:
    (make(root, cat=2) / "dog").mkdir()
    return root / "photographs"


def no_images(root: Path) -> Path:
    (root / "photographs" / "cat").mkdir(parents=True)
    (root / "photographs" / "cat" / "notes.txt").write_text("no image")
    return root / "photographs"


def no_classes(root: Path) -> Path:
    image_folder(root, {"photographs": 2}, size=4)
    return root / "photographs"


def both_layouts(root: Path) -> Path:
    make(root, cat=2)
    return image_folder(root / "photographs" / "train", {"cat": 2}, size=4).parent


@pytest.mark.parametrize(
    ("folder", "per_class", "categories", "fragments"),
    [
        (lambda root: root / "nowhere", {"train": 1}, None, ["nowhere", "no such folder"]),
        (no_images, {"train": 1}, None, ["photographs", "no images"]),
        (no_classes, {"train": 1}, None, ["photographs", "no class folders"]),
        (both_layouts, {"train": 1}, None, ["photographs", "train", "cat"]),
        (empty_class, {"train": 1}, None, ["photographs", "no images in class folder dog"]),
        (lambda root: make(root, zebra=1), {"train": 1}, None, ["'zebra'", "no category", "categories"]),
        (lambda root: make(root, moggy=1), {"train": 1}, {"moggy": "kat"}, ["'moggy'", "'kat'", "did you mean 'cat'"]),
        (lambda root: make(root, cat=3), {"train": 4}, None, ["'cat'", "3 images", "'train'", "4 wanted"]),
        (lambda root: make(root, cat=3), {"train": "all", "test": 3}, None, ["'cat'", "0 images", "'train'"]),
    ],
)
def test_an_unusable_folder_is_refused_by_name(tmp_path, folder, per_class, categories, fragments):
    with pytest.raises(UserError) as refusal:
        listed(folder(tmp_path), per_class, categories=categories)
    assert all(text in str(refusal.value) for text in fragments), refusal.value


@pytest.mark.parametrize(
    ("text", "fragments"),
    [("name,kind\nmoggy,cat\n", ["name, kind", "class,category"]), (None, ["own.csv"]), ("", ["own.csv"])],
    ids=["other columns", "missing", "empty"],
)
def test_an_unreadable_table_of_categories_is_refused_by_name(tmp_path, text, fragments):
    if text is not None:
        (tmp_path / "own.csv").write_text(text)
    with pytest.raises(UserError) as refusal:
        read_categories(tmp_path / "own.csv")
    assert all(part in str(refusal.value) for part in fragments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wnid,class,category\nn02123045,tabby,cat\nn02088364,beagle,dog\n", {"n02123045": "cat", "n02088364": "dog"}),
        ('class,category\n"tabby, tabby cat",cat\nNA,\n', {"tabby, tabby cat": "cat", "NA": ""}),
    ],
    ids=["the id is the class", "quoted"],
)
def test_a_table_of_categories_is_read_as_it_is_meant(tmp_path, text, expected):
    (tmp_path / "own.csv").write_text(text)
    assert read_categories(tmp_path / "own.csv") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class,category\ntabby, tabby cat,cat\n", "line 2: 3 values"),
        ("class,category\ncrane,bird\nhound,dog\ncrane,truck\n", "line 4: class 'crane' is named twice, in line 2"),
        ("class,category\ncrane,bird\ncrane ,bird\n", "line 3: class 'crane' is named twice"),
        ("wnid,class,category\nn1,crane,bird\nn1,crane,truck\n", "line 3: class 'n1' is named twice"),
        ("class,category\ntabby,kat\n", "line 2: class 'tabby': unknown category 'kat'"),
        ("class,category\n,cat\n", "line 2: the class has no name"),
    ],
)
def test_a_table_of_categories_that_could_be_misread_is_refused_with_its_line(tmp_path, text, reason):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(UserError) as refusal:
        read_categories(tmp_path / "own.csv")
    assert reason in str(refusal.value)


def test_a_class_with_an_empty_category_is_refused_by_name(tmp_path):
    (tmp_path / "own.csv").write_text("class,category\nmoggy,\n")
    with pytest.raises(UserError, match="moggy"):
        listed(make(tmp_path, moggy=1), {"train": 1}, categories=read_categories(tmp_path / "own.csv"))


def test_a_folder_of_styles_includes_its_subfolders(tmp_path):
    image_folder(tmp_path, {"monet": 2, "miró": 1}, size=4)
    listing = list_style_folder(tmp_path, 1, seed=0)
    assert sorted(listing["id"]) == ["miró/0", "monet/0", "monet/1"]
    assert set(listing["split"]) == {"all"}


def test_a_folder_of_styles_without_images_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}: no images in this folder of styles"):
        list_style_folder(tmp_path, 1, seed=0)


def test_drawn_sources_list_each_class_in_each_split():
    listing = list_synthetic({"tabby": "cat", "sedan": "car"}, {"train": 3, "test": 2}, {"train": 2, "test": 1}, seed=0)
    assert listing["id"].is_unique
    assert listing.groupby(["split", "class_name", "category"]).size().to_dict() == {
        ("train", "tabby", "cat"): 3,
        ("train", "sedan", "car"): 3,
        ("test", "tabby", "cat"): 2,
        ("test", "sedan", "car"): 2,
    }


def test_a_shard_of_a_listing_is_read_back_unchanged(photographs, tmp_path):
    listing = listed(photographs, {"train": 6, "test": 2}, shards={"train": 3, "test": 1})
    write_listing(tmp_path / "listing.parquet", listing)
    again = read_listing(tmp_path / "listing.parquet", "train", 1)
    wanted = listing[(listing["split"] == "train") & (listing["shard"] == 1)]
    assert [(row.id, row.file, row.class_name) for row in again] == [
        tuple(row) for row in wanted[["id", "file", "class_name"]].to_numpy()
    ]


def test_unused_images_are_reserves_in_sampling_order(photographs, tmp_path):
    listing = list_imagefolder(photographs, {"train": 6, "test": 2}, ONE_SHARD, 0)
    write_listing(tmp_path / "listing.parquet", listing)
    pool = read_pool(tmp_path / "listing.parquet", "cat", "train")
    assert [row.rank for row in pool] == list(range(10))
    assert [row.split for row in pool] == ["test"] * 2 + ["train"] * 6 + [RESERVE] * 2
    assert all(row.shard == -1 for row in pool[8:])


def test_there_are_no_reserves_if_all_images_are_used(photographs):
    listing = list_imagefolder(photographs, {"train": "all", "test": 2}, ONE_SHARD, 0)
    assert len(listing) == 22 and RESERVE not in set(listing["split"])
    assert set(listing[listing["split"] == "train"]["pool"]) == {""}


def test_a_file_that_is_not_a_listing_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"id,file\n")
    with pytest.raises(UserError, match=r"x\.parquet: not a listing"):
        read_listing(tmp_path / "x.parquet", "train", 0)
    with pytest.raises(UserError, match=r"gone\.parquet: no such listing"):
        read_listing(tmp_path / "gone.parquet", "train", 0)
