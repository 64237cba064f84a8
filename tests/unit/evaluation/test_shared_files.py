"""Networks share prepared images through files, and get the same numbers as without them."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from helpers import ROOT, bad_images, colour_shard, picture, tiny_resnet

from shapebias.errors import UserError
from shapebias.evaluation import fingerprints, inputs
from shapebias.evaluation.inputs import PreparedImages
from shapebias.evaluation.observer import measure, wrap_network
from shapebias.evaluation.shared_files import SharedFolder
from shapebias.images import pictures as pictures_module
from shapebias.images.pictures import ImageFile
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Shard, label
from shapebias.networks.models import preparation

PREPARATION = preparation(tiny_resnet(), 32)
STRENGTHS = {"shape": [2], "texture": [1]}


@pytest.fixture
def photographs(tmp_path) -> list[ImageFile]:
    """Return six images; the fifth is broken."""
    (tmp_path / "images").mkdir()
    files = [tmp_path / "images" / f"{i}.png" for i in range(6)]
    for i, file in enumerate(files):
        picture(i, (40, 40)).save(file)
    files[4].write_bytes(bad_images()["truncated.jpg"])
    return [ImageFile(file, label(file.stem, shape="cat", content=file.name)) for file in files]


@pytest.fixture
def decodings(monkeypatch) -> list[str]:
    """Return the names of the decoded files, in order; they appear during the test."""
    names: list[str] = []
    decode = pictures_module.load_rgb
    monkeypatch.setattr(pictures_module, "load_rgb", lambda path: names.append(path.name) or decode(path))
    return names


def prepare(photographs, folder, *, prepared=PREPARATION, suppress=None, allowed=0.5) -> tuple:
    """Return all that a benchmark learns from its images: ids, conditions, pixels, counts, rejections."""
    shared = SharedFolder(folder) if folder else None
    images = PreparedImages(photographs, prepared, Rejections(allowed), suppress=suppress, shared=shared)
    rows = [(item.id, item.label.get("condition"), pixels.tolist()) for item, pixels in images]
    return rows, images.resize_counts, images.rejections.rows


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_no_regular_file_is_set_aside_like_a_broken_image(photographs, tmp_path, shared):
    """A dangling link, a FIFO and a device neither end nor stop the measurement."""
    for file, target in zip(photographs[:2], ("nowhere", "/dev/zero"), strict=True):
        file.path.unlink()
        file.path.symlink_to(target)
    photographs[2].path.unlink()
    os.mkfifo(photographs[2].path)
    images = PreparedImages(
        photographs,
        PREPARATION,
        Rejections(0.9),
        cache=inputs.ImageCache(),
        shared=SharedFolder(tmp_path / "shared") if shared else None,
    )
    assert [item.id for item, _ in images] == ["3", "5"]
    assert [file for file, _ in images.rejections.rows] == ["0.png", "1.png", "2.png", "4.png"]
    assert images.rejections.rows[0][1] == "a link to nowhere, which does not exist"


@pytest.mark.parametrize("suppress", [None, STRENGTHS])
def test_the_second_network_reads_the_same_images_and_rejections(photographs, tmp_path, decodings, suppress):
    alone, first, second = (prepare(photographs, folder, suppress=suppress) for folder in (None, tmp_path, tmp_path))
    assert alone == first == second
    assert len(decodings) == 2 * 6
    assert [file for file, _ in second[2]] == ["4.png"]
    with pytest.raises(UserError, match="1 of 6 images"):
        prepare(photographs, tmp_path, suppress=suppress, allowed=0.1)


def test_answers_are_equal_with_and_without_shared_images(photographs, tmp_path):
    observer = wrap_network(tiny_resnet(2), classes={"cat": "cat", "dog": "dog"}, input_preparation=PREPARATION)
    numbers: dict[str, Any] = {"batch_size": 4, "workers": 0, "device": "cpu", "max_rejected": 0.5}
    alone, first, second = (
        measure(observer, photographs, "suppressed", **numbers, suppress=STRENGTHS, shared=shared)
        for shared in (None, SharedFolder(tmp_path), SharedFolder(tmp_path))
    )
    for table, facts in (first, second):
        pd.testing.assert_frame_equal(table, alone[0], check_exact=True)
        assert facts == alone[1]


def test_images_with_noise_are_shared_apart_from_those_without(photographs, tmp_path):
    shared = SharedFolder(tmp_path)
    plain, masked, again = (
        list(PreparedImages(photographs, PREPARATION, Rejections(0.5), mask=mask, shared=shared))
        for mask in (False, True, True)
    )
    for (_, before), (first, noisy), (second, repeated) in zip(plain, masked, again, strict=True):
        assert (before != noisy).any() and (noisy == repeated).all()
        assert first.label["condition"] == second.label["condition"] != ""


@pytest.mark.parametrize("change", ["image", "preparation", "strength", "code"])
def test_a_change_prepares_the_images_again(photographs, tmp_path, decodings, monkeypatch, change):
    prepare(photographs, tmp_path, suppress=STRENGTHS)
    options: dict[str, Any] = {"suppress": STRENGTHS}
    if change == "image":
        picture(9, (40, 40)).save(photographs[0].path)
    if change == "preparation":
        options["prepared"] = replace(PREPARATION, interpolation="nearest")
    if change == "strength":
        options["suppress"] = STRENGTHS | {"texture": [2]}
    if change == "code":
        monkeypatch.setattr(fingerprints, "code_and_versions", lambda: {"code": ["edited"]})
    decodings.clear()
    changed = prepare(photographs, tmp_path, **options)
    assert len(decodings) == 6
    assert changed == prepare(photographs, None, **options)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_normalization_does_not_matter(photographs, tmp_path, decodings):
    prepare(photographs, tmp_path)
    darker = replace(PREPARATION, mean=(0.1, 0.1, 0.1))
    prepare(photographs, tmp_path, prepared=darker)
    assert len(decodings) == 6


def test_the_crop_matters_for_files_but_not_for_square_packed_images(photographs, tmp_path, decodings):
    other = replace(PREPARATION, crop=0.5)
    for prepared in (PREPARATION, other, PREPARATION, other):
        assert prepare(photographs, tmp_path, prepared=prepared) == prepare(photographs, None, prepared=prepared)
    assert len(decodings) == 6 * (4 + 2)
    packed = Shard(colour_shard(tmp_path / "packed.tar", 3, size=40)).samples
    first, second = (prepare(packed, tmp_path / "packed", prepared=prepared) for prepared in (PREPARATION, other))
    assert first == second == prepare(packed, None, prepared=other)
    assert len(list((tmp_path / "packed").iterdir())) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_file_is_made_anew(photographs, tmp_path, decodings, caplog, damage):
    expected = prepare(photographs, tmp_path)
    [file] = tmp_path.glob("*.safetensors")
    data = bytearray(file.read_bytes())
    original = bytes(data)
    data[-1] ^= 1
    file.write_bytes({"truncated": original[:-1], "flipped": bytes(data), "empty": b""}[damage])
    assert prepare(photographs, tmp_path) == expected
    assert len(decodings) == 2 * 6 and file.name in caplog.text
    assert file.read_bytes() == original


def test_large_sets_are_not_written(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SHARED_BYTES", 6 * 32 * 32 * 3 - 1)
    prepare(photographs, tmp_path)
    assert list(tmp_path.glob("*.safetensors")) == []
    monkeypatch.setattr(inputs, "SHARED_BYTES", 6 * 32 * 32 * 3)
    prepare(photographs, tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_set_without_a_usable_image_is_refused_and_not_written(photographs, tmp_path):
    with pytest.raises(UserError, match="1 of 1 images"):
        prepare(photographs[4:5], tmp_path)
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_folder_that_cannot_be_written_costs_a_warning(photographs, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    assert prepare(photographs, tmp_path / "file" / "shared") == prepare(photographs, None)
    assert "not written" in caplog.text


WRITER = """
import sys
from pathlib import Path

import numpy as np

from shapebias.evaluation.shared_files import SharedFolder

print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    SharedFolder(Path(sys.argv[1])).write("same", {"pixels": np.full(100_000, 7, dtype=np.uint8)})
"""


def test_jobs_that_write_at_once_leave_one_complete_file(tmp_path):
    command, pipe = [sys.executable, "-c", WRITER, str(tmp_path)], subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    jobs = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for job in jobs:
        assert job.stdout and job.stdout.readline() == "ready\n"
    for job in jobs:
        assert job.stdin
        job.stdin.write("start\n")
        job.stdin.flush()
    for job in jobs:
        job.communicate(timeout=60)
    assert [job.returncode for job in jobs] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["same.safetensors"]
    arrays = SharedFolder(tmp_path).read("same")
    assert arrays is not None and (arrays["pixels"] == 7).all()
