"""Packing and stylizing a folder of photographs, through the scripts."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from helpers import (
    ENV,
    ROOT,
    bad_images,
    files_below,
    image_folder,
    picture,
    refused,
    run_process,
    run_script,
    succeeded,
)
from PIL import Image

from shapebias.images.shards import Shard, open_shards

CLASSES = {"cat": 4, "dog": 4, "n02814533": 4}  # the last is one of ILSVRC's cars
SIZE = 32


def images_of(*shards: Path) -> dict[str, tuple[bytes, dict]]:
    """Return id → image bytes and label of all shards."""
    return {sample.id: (sample.bytes(), sample.label) for sample in open_shards(shards)}


def rejected_in(path: Path) -> dict[str, str]:
    """Return file → reason of a table of rejected images."""
    with path.open(newline="") as file:
        return {row["file"]: row["reason"] for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    return image_folder(tmp_path_factory.mktemp("photographs"), CLASSES, suffix=".JPEG", size=40)


def scan(folder: Path, out: Path, *, shards: int = 1, kind: str = "imagefolder"):
    per_class = ["--per-class", "test=all"] if kind == "imagefolder" else []
    split = "test" if kind == "imagefolder" else "all"
    flags = ["--kind", kind, "--folder", folder, *per_class, "--shards", f"{split}={shards}", "--seed", 0]
    return run_script("scan", *flags, "--out", out)


def pack(folder: Path, listing: Path, shard: int, out: Path, run=run_script):
    flags = ["--listing", listing, "--split", "test", "--shard", shard, "--size", SIZE]
    return run("pack", *flags, "--kind", "imagefolder", "--folder", folder, "--out", out)


def stylize(content: Path, styles: Path, out: Path, *more: object):
    # The command line that issue 2 keeps stable.
    flags = ["--content", content, "--styles", styles, "--stylizer", "ghiasi", "--size", SIZE, "--seed", 5]
    return run_script("stylize", *flags, *more, "--out", out)


@pytest.fixture(scope="session")
def packed(photographs, tmp_path_factory) -> dict[int, list[Path]]:
    """Return number of shards → shards of the packed photographs."""
    shards_by_count = {}
    for count in (1, 3):
        folder = tmp_path_factory.mktemp(f"packed{count}")
        succeeded(scan(photographs, folder / "listing.parquet", shards=count))
        shards_by_count[count] = [folder / "test" / f"{k}.tar" for k in range(count)]
        for shard, out in enumerate(shards_by_count[count]):
            succeeded(pack(photographs, folder / "listing.parquet", shard, out))
    return shards_by_count


@pytest.fixture(scope="session")
def conflicts(packed, tmp_path_factory) -> dict[int, list[Path]]:
    """Return number of shards → shards of photographs in the style of another category."""
    shards_by_count = {}
    for count, contents in packed.items():
        folder = tmp_path_factory.mktemp(f"conflicts{count}")
        shards_by_count[count] = [folder / f"{k}.tar" for k in range(count)]
        for content, out in zip(contents, shards_by_count[count], strict=True):
            succeeded(stylize(content, packed[1][0], out, "--other-category"))
    return shards_by_count


# Results


def test_photographs_are_packed_with_their_class_and_category(photographs, packed):
    images = images_of(*packed[1])
    assert len(images) == 12
    _, car = images["n02814533/0"]
    assert {key: car[key] for key in ("class", "shape", "texture", "content", "style")} == {
        "class": "n02814533",
        "shape": "car",
        "texture": "car",
        "content": "n02814533/0.JPEG",
        "style": None,
    }
    assert {sample.image().size for sample in Shard(packed[1][0])} == {(SIZE, SIZE)}


def test_packing_into_more_shards_changes_no_image(packed):
    assert images_of(*packed[1]) == images_of(*packed[3])
    assert [len(Shard(path).samples) for path in packed[3]] == [4, 4, 4]


def test_stylizing_in_more_shards_changes_no_image(conflicts):
    assert images_of(*conflicts[1]) == images_of(*conflicts[3])


def test_packing_again_gives_the_same_file(photographs, packed, tmp_path):
    succeeded(pack(photographs, packed[1][0].parents[1] / "listing.parquet", 0, tmp_path / "0.tar", run_process))
    assert (tmp_path / "0.tar").read_bytes() == packed[1][0].read_bytes()


def test_a_conflict_carries_both_cues_and_names_content_and_style(photographs, conflicts):
    for _, label in images_of(*conflicts[1]).values():
        assert label["shape"] != label["texture"]
        assert {label["shape"], label["texture"]} <= {"cat", "dog", "car"}
        assert (photographs / label["content"]).is_file() and (photographs / label["style"]).is_file()
        assert label["style"].startswith(f"{label['texture_class']}/")
        assert (label["stylizer"], label["strength"]) == ("ghiasi", 1.0)


def test_styles_encoded_beforehand_give_the_same_conflicts(packed, conflicts, tmp_path):
    vectors = tmp_path / "styles.safetensors"
    succeeded(run_process("encode_styles", "--styles", packed[1][0], "--stylizer", "ghiasi", "--out", vectors))
    flags = ["--content", packed[1][0], "--style-vectors", vectors, "--stylizer", "ghiasi", "--size", SIZE, "--seed", 5]
    succeeded(run_script("stylize", *flags, "--other-category", "--out", tmp_path / "0.tar"))
    assert (tmp_path / "0.tar").read_bytes() == conflicts[1][0].read_bytes()


def test_the_stable_command_line_stylizes_a_folder_with_a_folder_of_paintings(photographs, tmp_path):
    image_folder(tmp_path, {"paintings": 2}, size=64)
    done = succeeded(stylize(photographs, tmp_path / "paintings", tmp_path / "x.tar", "--format", "png"))
    assert "12 images, 0 rejected" in done.stderr
    subprocess.run(["tar", "xf", tmp_path / "x.tar", "-C", tmp_path], check=True)
    sample_label = json.loads((tmp_path / "cat" / "0.json").read_text())
    assert (sample_label["content"], sample_label["shape"], sample_label["texture"]) == ("cat/0.JPEG", "cat", None)
    assert sample_label["style"] in ("0.png", "1.png")
    with Image.open(tmp_path / "cat" / "0.png") as image:
        assert (image.size, image.format) == ((SIZE, SIZE), "PNG")


def test_the_catalogue_lists_the_shard_of_each_image_and_shows_some_images(packed, tmp_path):
    folder, sheet = packed[3][0].parents[1], tmp_path / "sheet.png"
    outputs = ["--out", tmp_path / "manifest.csv", "--rejected", tmp_path / "rejected.csv", "--sheet", sheet]
    flags = ["--sample", *packed[3], "--title", "test", "--count", 6, "--columns", 3]
    succeeded(run_script("catalogue", "--folder", folder, "--shards", "test=3", *outputs, *flags))
    manifest = pd.read_csv(tmp_path / "manifest.csv")
    assert manifest.groupby("shard").size().to_dict() == {0: 4, 1: 4, 2: 4}
    for shard, rows in manifest.groupby("shard"):
        assert set(rows["id"]) == set(images_of(packed[3][shard]))
    assert rejected_in(tmp_path / "rejected.csv") == {}
    with Image.open(sheet) as image:
        assert image.width > 3 * SIZE and image.height > 2 * SIZE
        assert len(image.getcolors(maxcolors=2**24) or []) > 1000  # pictures, not a blank page


def test_a_drawn_shard_is_the_same_with_and_without_a_listing(tmp_path):
    drawn = ["--kind", "synthetic", "--per-class", "test=1", "--shards", "test=2", "--seed", 3]
    succeeded(run_script("scan", *drawn, "--out", tmp_path / "listing.parquet"))
    shard = ["--split", "test", "--shard", 1, "--size", SIZE]
    succeeded(run_script("pack", *drawn, *shard, "--out", tmp_path / "a.tar"))
    listed = ["--kind", "synthetic", "--seed", 3, "--listing", tmp_path / "listing.parquet"]
    succeeded(run_process("pack", *listed, *shard, "--out", tmp_path / "b.tar"))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    refused(run_script("pack", "--kind", "paintings", *shard, "--out", tmp_path / "c.tar"), "needs --shards")
    refused(run_script("pack", "--kind", "folder", *shard, "--out", tmp_path / "c.tar"), "needs --folder")


def test_drawn_photographs_and_paintings_are_packed(tmp_path):
    flags = ["--seed", 0, "--out", tmp_path / "listing.parquet"]
    succeeded(run_script("scan", "--kind", "paintings", "--count", 2, "--shards", "all=1", *flags))
    flags = [
        "--listing",
        tmp_path / "listing.parquet",
        "--split",
        "all",
        "--shard",
        0,
        "--kind",
        "paintings",
        "--size",
        SIZE,
    ]
    for name, run in (("a", run_script), ("b", run_process)):
        succeeded(run("pack", *flags, "--out", tmp_path / f"{name}.tar"))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert sorted(images_of(tmp_path / "a.tar")) == ["painting-00000", "painting-00001"]


# Bad input


@pytest.fixture(scope="session")
def with_bad_images(tmp_path_factory) -> Path:
    """Return a folder of twelve photographs and three files that are no images."""
    folder = image_folder(tmp_path_factory.mktemp("some bad"), CLASSES, size=40)
    for name, data in bad_images().items():
        (folder / "cat" / name).write_bytes(data)
    return folder


REASONS = {"cat/truncated.jpg": "truncated", "cat/empty.jpg": "empty file", "cat/text.jpg": "not an image"}


def test_bad_images_are_rejected_with_reasons_and_the_others_are_packed(with_bad_images, tmp_path):
    succeeded(scan(with_bad_images, tmp_path / "listing.parquet"))
    succeeded(pack(with_bad_images, tmp_path / "listing.parquet", 0, tmp_path / "0.tar"))
    assert len(images_of(tmp_path / "0.tar")) == 12
    rejected = rejected_in(tmp_path / "0.rejected.csv")
    assert rejected.keys() == REASONS.keys()
    assert all(reason in rejected[file] for file, reason in REASONS.items())


def test_bad_contents_and_bad_styles_are_rejected_with_reasons(with_bad_images, tmp_path):
    succeeded(stylize(with_bad_images, with_bad_images, tmp_path / "0.tar"))
    images, rejected = images_of(tmp_path / "0.tar"), rejected_in(tmp_path / "0.rejected.csv")
    assert len(images) == 12
    assert rejected.keys() == REASONS.keys()
    assert not {label["style"] for _, label in images.values()} & REASONS.keys()


def test_a_job_fails_without_output_if_too_many_images_are_bad(tmp_path):
    folder = tmp_path / "photographs"
    for name, data in bad_images().items():
        (folder / "cat").mkdir(parents=True, exist_ok=True)
        (folder / "cat" / name).write_bytes(data)
    succeeded(scan(folder, tmp_path / "listing.parquet"))
    before = files_below(tmp_path)
    refused(pack(folder, tmp_path / "listing.parquet", 0, tmp_path / "0.tar"), "3 of 3 images", "cat/")
    refused(stylize(folder, image_folder(tmp_path / "styles", {"a": 1}), tmp_path / "1.tar"), "3 of 3 images", "cat/")
    assert [file for file in files_below(tmp_path) if not file.startswith("styles/")] == before


def test_a_set_of_bad_styles_is_refused(photographs, tmp_path):
    (tmp_path / "styles").mkdir()
    for name, data in bad_images().items():
        (tmp_path / "styles" / name).write_bytes(data)
    before = files_below(tmp_path)
    refused(stylize(photographs, tmp_path / "styles", tmp_path / "0.tar"), str(tmp_path / "styles"))
    done = run_script("encode_styles", "--styles", tmp_path / "styles", "--stylizer", "ghiasi", "--out", tmp_path / "x")
    refused(done, "3 of 3 images")
    assert files_below(tmp_path) == before


def test_unusable_folders_are_refused_by_name(photographs, tmp_path):
    (tmp_path / "no paintings").mkdir()
    out = tmp_path / "out"
    refused(scan(tmp_path / "nowhere", out / "listing.parquet"), "nowhere", "no such folder")
    (image_folder(tmp_path / "a", {"cat": 1}) / "dog").mkdir()
    refused(scan(tmp_path / "a", out / "listing.parquet"), "no images in class folder dog")
    refused(scan(image_folder(tmp_path / "b", {"zebra": 1}), out / "listing.parquet"), "'zebra' has no category")
    refused(scan(tmp_path / "no paintings", out / "listing.parquet", kind="folder"), "no paintings", "no images")
    refused(stylize(photographs, tmp_path / "no paintings", out / "0.tar"), "no paintings", "no images")
    refused(stylize(tmp_path / "nowhere.tar", photographs, out / "0.tar"), "nowhere.tar", "no such shard")
    assert files_below(out) == []


def test_a_photograph_that_vanished_after_the_scan_is_named(tmp_path):
    folder = image_folder(tmp_path / "photographs", {"cat": 2})
    succeeded(scan(folder, tmp_path / "listing.parquet"))
    (folder / "cat" / "1.png").unlink()
    refused(pack(folder, tmp_path / "listing.parquet", 0, tmp_path / "out" / "0.tar"), "cat/1.png", "gone")
    assert files_below(tmp_path / "out") == []


def test_a_conflict_needs_two_categories(tmp_path):
    picture().save(tmp_path / "x.png")
    cats = image_folder(tmp_path / "cats", {"cat": 2})
    out = tmp_path / "out"
    refused(stylize(cats, cats, out / "0.tar", "--other-category"), "cat/0", "'cat'")
    refused(stylize(cats, cats, out / "0.tar", "--strength", 1.5), "--strength", "1.5", "0 to 1")
    assert files_below(out) == []


def test_a_stopped_job_writes_no_file(tmp_path):
    listing = tmp_path / "listing.parquet"
    counts = ["--per-class", "train=60", "--shards", "train=1"]
    succeeded(run_script("scan", "--kind", "synthetic", *counts, "--out", listing))
    flags = ["--listing", listing, "--split", "train", "--shard", 0, "--kind", "synthetic", "--size", 96]
    command = [sys.executable, ROOT / "scripts" / "pack.py", *flags, "--out", tmp_path / "out" / "0.tar"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    while not files_below(tmp_path / "out") and process.poll() is None:  # until the draft exists
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)  # as scancel and Snakemake do
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in errors
    assert files_below(tmp_path / "out") == []


def test_a_full_disk_is_named_and_no_partial_shard_is_left(photographs, tmp_path):
    # A limit on the file size acts like a full disk: writing fails in the middle.
    succeeded(scan(photographs, tmp_path / "listing.parquet"))
    flags = ["--listing", tmp_path / "listing.parquet", "--split", "test", "--shard", 0, "--size", SIZE]
    flags += ["--kind", "imagefolder", "--folder", photographs, "--out", tmp_path / "out" / "0.tar"]
    command = [sys.executable, ROOT / "scripts" / "pack.py", *flags]
    # The limit also holds for the data of `make coverage`, so the process is not measured.
    environment = {name: value for name, value in ENV.items() if not name.startswith("COVERAGE")}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, preexec_fn=limit, check=False
    )
    refused(done, "File too large", "0.tar")
    assert files_below(tmp_path / "out") == []


def test_rejected_images_have_a_sheet_and_without_any_its_folder_is_empty(with_bad_images, tmp_path):
    succeeded(scan(with_bad_images, tmp_path / "listing.parquet"))
    succeeded(pack(with_bad_images, tmp_path / "listing.parquet", 0, tmp_path / "0.tar"))
    (tmp_path / "none.csv").write_text("file,reason\n")
    for table, sheets in (("0.rejected.csv", ["rejected.png"]), ("none.csv", [])):
        sets = ["--sets", f"in={tmp_path / table}={with_bad_images}"]
        succeeded(run_script("rejected_sheet", *sets, "--out", tmp_path / f"sheet of {table}"))
        assert files_below(tmp_path / f"sheet of {table}") == sheets
