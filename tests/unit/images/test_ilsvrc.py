"""ILSVRC's training images: every layout gives the same sample; errors name missing and unknown classes."""

import io
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import picture

from shapebias.categories import ilsvrc_categories, ilsvrc_wnids
from shapebias.errors import BadImageError, UserError
from shapebias.images import image_store
from shapebias.images.codec import encode, load_rgb
from shapebias.images.ilsvrc import list_ilsvrc
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import RESERVE, read_rows, write_listing

CATS, PLANE, TENCH = "n02123045", "n02690373", "n01440764"  # the last has no category
COUNTS = {"train": 3, "val": 1, "test": 1}
SHARDS = {"train": 2, "val": 1, "test": 1}


@pytest.fixture(scope="module")
def photographs() -> dict[str, dict[str, bytes]]:
    """Return class → file name → bytes: seven cats, six airplanes, two tenches."""
    counts = {CATS: 7, PLANE: 6, TENCH: 2}
    return {
        wnid: {f"{wnid}_{i}.JPEG": encode(picture(100 * k + i), "jpeg")[1] for i in range(count)}
        for k, (wnid, count) in enumerate(counts.items())
    }


def folders(root: Path, photographs: dict, below: str = "", inner: str = "") -> Path:
    for wnid, files in photographs.items():
        place = root / below / wnid / inner
        place.mkdir(parents=True)
        for name, data in files.items():
            (place / name).write_bytes(data)
    return root


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def class_tars(root: Path, photographs: dict) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for wnid, files in photographs.items():
        (root / f"{wnid}.tar").write_bytes(tar_of(files))
    return root


def nested_tar(root: Path, photographs: dict) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    inner = {f"{wnid}.tar": tar_of(files) for wnid, files in photographs.items()}
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    return root


def parquet(root: Path, photographs: dict) -> Path:
    """Write two files in Hugging Face's layout, with mixed classes and small row groups."""
    (root / "data").mkdir(parents=True)
    rows = [
        {"image": {"bytes": data, "path": f"{Path(name).stem}_{wnid}.JPEG"}, "label": ilsvrc_wnids().index(wnid)}
        for wnid, files in photographs.items()
        for name, data in files.items()
    ]
    for k in range(2):
        table = pa.Table.from_pylist(rows[k::2])
        pq.write_table(table, root / "data" / f"train-0000{k}-of-00002.parquet", row_group_size=3)
    return root


LAYOUTS = {
    "train/<wnid>": lambda root, p: folders(root, p, "train"),
    "<wnid>": folders,
    "Kaggle": lambda root, p: folders(root, p, "ILSVRC/Data/CLS-LOC/train"),
    "Tiny ImageNet": lambda root, p: folders(root, p, "train", "images"),
    "<wnid>.tar": class_tars,
    "train/<wnid>.tar": lambda root, p: class_tars(root / "train", p).parent,
    "nested tar": nested_tar,
    "the tar file itself": lambda root, p: nested_tar(root, p) / "ILSVRC2012_img_train.tar",
    "Parquet": parquet,
}


def listed(root: Path, classes: str = "present", per_class: dict = COUNTS, seed: int = 0):
    return list_ilsvrc(root, classes, per_class, SHARDS, seed)


def splits_by_id(listing) -> dict[str, str]:
    """Return id → split."""
    return dict(zip(listing["id"], listing["split"], strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_sample_and_the_right_bytes(tmp_path, photographs, layout):
    root = LAYOUTS[layout](tmp_path / "imagenet", photographs)
    listing = listed(root)
    assert splits_by_id(listing) == splits_by_id(listed(folders(tmp_path / "plain", photographs)))
    write_listing(tmp_path / "listing.parquet", listing)
    rows = read_rows(tmp_path / "listing.parquet", [("class_name", "!=", "")])
    assert len(rows) == 7 + 6  # reserves too; the tench has no category
    for row in rows:
        wnid, stem = row.id.split("/")
        assert (row.class_name, row.category) == (wnid, ilsvrc_categories()[wnid])
        assert ImageStore(root).read(row) == photographs[wnid][f"{stem}.JPEG"]


def test_splits_have_the_requested_counts_and_the_rest_are_reserves(tmp_path, photographs):
    listing = listed(folders(tmp_path, photographs))
    assert listing.groupby(["class_name", "split"]).size().to_dict() == {
        (wnid, split): count
        for wnid, rest in ((CATS, 2), (PLANE, 1))
        for split, count in {**COUNTS, RESERVE: rest}.items()
    }
    assert splits_by_id(listing) != splits_by_id(listed(tmp_path, seed=1))


def test_images_of_parquet_files_are_read_in_file_order(tmp_path, photographs):
    listing = listed(parquet(tmp_path, photographs), per_class={"train": "all"})
    places = list(zip(listing["shard"], listing["archive"], listing["offset"], strict=True))
    assert places == sorted(places)
    assert sorted(listing["shard"].value_counts()) == [6, 7]


def test_all_1000_classes_can_be_selected(tmp_path):
    photographs = {wnid: {f"{wnid}_0.JPEG": b"not read"} for wnid in ilsvrc_wnids()}
    listing = listed(nested_tar(tmp_path, photographs), "all", {"train": 1})
    assert list(listing["class_name"].sort_values()) == ilsvrc_wnids()
    assert (listing["category"] != "").sum() == 207


def test_each_real_photograph_has_a_class(shared_data):
    listing = listed(shared_data / "ilsvrc-sample", "categories", {"test": 1})
    assert len(listing) == 207
    row = read_rows_of(listing)[0]
    assert min(load_rgb(ImageStore(shared_data / "ilsvrc-sample").read(row)).size) > 50


def read_rows_of(listing) -> list:
    from shapebias.images.listing import ListedImage

    return [ListedImage(*row) for row in listing.itertuples(index=False)]


def test_hidden_files_in_archives_are_ignored(tmp_path, photographs):
    hidden = {wnid: files | {f"._{next(iter(files))}": b"x"} for wnid, files in photographs.items()}
    assert splits_by_id(listed(nested_tar(tmp_path / "a", hidden))) == splits_by_id(
        listed(nested_tar(tmp_path / "b", photographs))
    )


# Bad input


def test_labels_that_number_other_classes_are_refused(tmp_path, photographs):
    row = {"image": {"bytes": photographs[CATS][f"{CATS}_0.JPEG"], "path": f"{CATS}_0.JPEG"}, "label": 3}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match=rf"label 3 is {ilsvrc_wnids()[3]} among the 1,000 classes, but the file is"):
        listed(tmp_path)


def test_a_label_beyond_the_1000_classes_is_refused(tmp_path, photographs):
    row = {"image": {"bytes": photographs[CATS][f"{CATS}_0.JPEG"], "path": None}, "label": 1000}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match=r"train-0\.parquet, row 0: label 1000 is not one of the 1,000 classes"):
        listed(tmp_path)


def test_one_image_in_two_formats_is_refused(tmp_path, photographs):
    files = photographs[CATS] | {f"{CATS}_0.png": b"not read"}
    with pytest.raises(UserError, match=rf"{CATS}_0\.\w+ and \S+{CATS}_0\.\w+ are the same image; remove one"):
        listed(folders(tmp_path, {CATS: files}))


def test_a_row_without_an_image_is_a_bad_image(tmp_path):
    row = {"image": {"bytes": None, "path": f"{CATS}_0.JPEG"}, "label": ilsvrc_wnids().index(CATS)}
    schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "label": pa.int64()})
    pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "train-0.parquet")
    [listed_row] = read_rows_of(list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 1}, 0))
    with pytest.raises(BadImageError, match="no image in this row"):
        ImageStore(tmp_path).read(listed_row)


def test_a_row_group_that_unpacks_to_far_more_than_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_store, "MAX_FILE_BYTES", 100_000)
    row = {"image": {"bytes": bytes(10**7), "path": f"{CATS}_0.JPEG"}, "label": ilsvrc_wnids().index(CATS)}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train-0.parquet", compression="gzip")
    [listed_row] = read_rows_of(list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 1}, 0))
    with pytest.raises(
        UserError, match=r"train-0\.parquet: row group 0 unpacks from 0 to 10 MB, so it holds no encoded"
    ):
        ImageStore(tmp_path).read(listed_row)


def test_a_changed_parquet_file_is_reported(tmp_path, photographs):
    listing = listed(parquet(tmp_path, photographs), per_class={"train": 3})
    row = read_rows_of(listing)[-1]
    file = tmp_path / row.archive
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=r"parquet: changed since its listing was made"):
        ImageStore(tmp_path).read(row)


def test_more_shards_than_images_are_refused(tmp_path, photographs):
    folders(tmp_path, photographs)
    with pytest.raises(UserError, match="split 'train': 2 images cannot fill 3 shards; lower `shards`"):
        list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 3}, 0)


def test_missing_classes_are_reported(tmp_path, photographs):
    with pytest.raises(UserError, match=r"class n01514859, .* and 200 more are missing; .*classes: present"):
        listed(folders(tmp_path, photographs), "categories")


@pytest.mark.parametrize(("folder", "near"), [("n0212304", CATS), ("n02123O45", CATS), ("tabby", "")])
def test_an_unknown_class_folder_is_reported_with_a_similar_class(tmp_path, photographs, folder, near):
    folders(tmp_path, {PLANE: photographs[PLANE], folder: photographs[CATS]})
    with pytest.raises(UserError, match=f"{folder} is no ILSVRC class" + (f"; did you mean {near}" if near else "")):
        listed(tmp_path)


def test_too_few_images_are_reported_with_their_number(tmp_path, photographs):
    with pytest.raises(UserError, match=r"class 'n02690373' has 4 images left for split 'train', 5 wanted"):
        listed(folders(tmp_path, photographs), per_class={"train": 5, "val": 1, "test": 1})


def test_a_source_without_any_class_in_a_category_is_refused(tmp_path, photographs):
    with pytest.raises(UserError, match="none of the 207 ILSVRC classes that belong to a category"):
        listed(folders(tmp_path, {TENCH: photographs[TENCH]}))


def test_an_unknown_layout_is_refused_with_the_expected_ones(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        listed(tmp_path / "nowhere")
    (tmp_path / "Pictures").mkdir()
    with pytest.raises(UserError, match=r"not ILSVRC's training images: expected ILSVRC2012_img_train\.tar.*Pictures"):
        listed(tmp_path)


def test_a_damaged_archive_is_reported(tmp_path, photographs):
    tar = nested_tar(tmp_path, photographs) / "ILSVRC2012_img_train.tar"
    shutil.copy(tar, tmp_path / "complete")
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train\.tar: damaged or not a tar file"):
        listed(tmp_path)
    tar.write_bytes(tar_of({"readme": b"x"}))
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train\.tar: .*expected a tar file of <wnid>\.tar files"):
        listed(tmp_path)
    (tmp_path / "ILSVRC2012_img_train.tar").unlink()
    pq.write_table(pa.table({"label": [1]}), tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match=r"train-0\.parquet: not a Parquet file with the columns image and label"):
        listed(tmp_path)
