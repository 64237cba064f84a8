"""Reproduction of a finished training: the same bytes, a changed weight, and inputs that are gone."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import ENV, ROOT, TINY_RESNET, colour_shard, files_below, refused, run_script, succeeded

from shapebias.commands.reproduce import history_difference, likely_reasons, train_again, weights_difference
from shapebias.errors import UserError
from shapebias.networks.weights import read_weights, write_weights
from shapebias.tables.reading import read_json

RUN, FIRST_RUN = Path("results/runs/tiny/sin/seed3"), Path("results/runs/tiny/in/seed3")
NETWORK = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", "32", "--model", "tiny"]
RECIPE = ["--epochs", 2, "--batch-size", 8, "--lr", 0.01, "--crop-scale", 0.3, 1, "--no-flip", "--seed", 3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Return a working folder with a run that starts from another run, trained on two shards."""
    folder = tmp_path_factory.mktemp("trained")
    for number, classes in enumerate(({"cat": (200, 40, 40)}, {"dog": (40, 40, 200)})):
        colour_shard(folder / f"results/images/in/train/{number}.tar", 9, colours=classes)
    colour_shard(folder / "results/images/in/val/0.tar", 4)
    images = ["--train", "in=results/images/in/train/{0..1}.tar", "--val", "in=results/images/in/val/0.tar"]
    start = ["--init", FIRST_RUN / "model.safetensors", "--trainable", 2]
    for out, more in ((FIRST_RUN, []), (RUN, start)):
        words = [*images, *NETWORK, *RECIPE, *more, "--regime", out.parent.name, "--out", out]
        succeeded(run_script("train", *words, folder=folder))
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch) -> Path:
    """Return a copy of the working folder, in which `reproduce` trains with this checkout's library."""
    monkeypatch.setitem(ENV, "PYTHONPATH", str(ROOT / "src"))
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def change_record(run: Path, **values: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(read_json(path) | values))


def test_a_run_is_trained_again_with_the_same_bytes(folder):
    before = contents(folder)
    done = succeeded(run_script("reproduce", RUN, folder=folder))
    assert done.stdout == f"{RUN}: same bytes\n"
    assert contents(folder) == before


def test_a_changed_weight_is_found_with_its_layer_and_the_difference(folder):
    weights = folder / RUN / "model.safetensors"
    layers, metadata = read_weights(weights)
    layers["fc.bias"][0] += 0.25
    write_weights(weights, layers, metadata)
    change_record(folder / RUN, hardware="an abacus")
    before = contents(folder)
    done = run_script("reproduce", RUN, folder=folder)
    refused(done, f"1 of {len(layers)} layers have other weights, first fc.bias (largest difference 0.25, in fc.bias)")
    refused(done, "likely reason: another processor (an abacus → ")
    assert "history.csv" not in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("results/images/in/train/1.tar", "results/images/in/train/1.tar: no such shard"),
        (FIRST_RUN / "model.safetensors", f"{FIRST_RUN}/model.safetensors: no such file"),
        (RUN / "history.csv", f"{RUN}/history.csv: no such file"),
    ],
)
def test_a_missing_file_is_named(folder, lost, named):
    (folder / lost).unlink()
    refused(run_script("reproduce", RUN, folder=folder), named)


def test_other_initial_weights_are_refused(folder):
    with (folder / FIRST_RUN / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    refused(run_script("reproduce", RUN, folder=folder), f"not the weights from which {RUN} started")


@pytest.mark.parametrize("run", [RUN, FIRST_RUN])  # from another run, and from scratch
def test_other_images_are_refused(folder, run):
    colour_shard(folder / "results/images/in/val/0.tar", 5)
    refused(run_script("reproduce", run, folder=folder), f"not the images with which {run} was trained")


def test_a_record_of_an_earlier_version_is_refused(folder):
    record = read_json(folder / RUN / "run.json")
    del record["files"]
    (folder / RUN / "run.json").write_text(json.dumps(record))
    refused(run_script("reproduce", RUN, folder=folder), "run.json: written by an earlier version", "'files'")


LAYERS = {"head.bias": torch.zeros(2), "head.weight": torch.ones(2, 2)}
NOT_A_NUMBER = torch.tensor([0.0, float("nan")])


@pytest.mark.parametrize(
    ("layers", "metadata", "difference"),
    [
        (LAYERS, {"epoch": 2}, ""),
        (LAYERS, {"epoch": 3, "seed": 1}, "the weights are the same, but not their description (epoch, seed)"),
        ({"head.weight": torch.ones(2, 2)}, {"epoch": 2}, "the weights have other layers, such as head.bias"),
        (
            LAYERS | {"head.bias": torch.zeros(3)},
            {"epoch": 2},
            "1 of 2 layers have other weights, first head.bias (largest difference inf, in head.bias)",
        ),
        (
            LAYERS | {"head.bias": NOT_A_NUMBER},
            {"epoch": 2},
            "1 of 2 layers have other weights, first head.bias (largest difference inf, in head.bias)",
        ),
        (
            LAYERS | {"head.weight": torch.ones(2, 2).double()},
            {"epoch": 2},
            "1 of 2 layers have other weights, first head.weight (largest difference 0, in head.weight)",
        ),
    ],
)
def test_the_difference_between_two_files_of_weights_is_named(tmp_path, layers, metadata, difference):
    files = tmp_path / "recorded.safetensors", tmp_path / "repeated.safetensors"
    for file, content, description in ((files[0], LAYERS, {"epoch": 2}), (files[1], layers, metadata)):
        write_weights(file, content, description)
    assert weights_difference(*files) == difference


def test_weights_that_are_no_numbers_equal_themselves(tmp_path):
    files = tmp_path / "recorded.safetensors", tmp_path / "repeated.safetensors"
    for epoch, file in enumerate(files):
        write_weights(file, {"bias": NOT_A_NUMBER}, {"epoch": epoch})
    assert weights_difference(*files) == "the weights are the same, but not their description (epoch)"


@pytest.mark.parametrize(
    ("repeated", "difference"),
    [
        ("epoch,loss\n1,0.5\n", ""),
        ("epoch,loss\n1,0.25\n", "history.csv differs from line 2 (1,0.5 → 1,0.25)"),
        ("epoch,loss\n1,0.5\n2,0.25\n", "history.csv differs from line 3 (no line → 2,0.25)"),
    ],
)
def test_the_first_line_that_differs_in_a_history_is_named(tmp_path, repeated, difference):
    (tmp_path / "recorded.csv").write_text("epoch,loss\n1,0.5\n")
    (tmp_path / "repeated.csv").write_text(repeated)
    assert history_difference(tmp_path / "recorded.csv", tmp_path / "repeated.csv") == difference


def test_likely_reasons_of_a_difference_are_listed():
    record: dict[str, Any] = {"hardware": "x86", "commit": "abc", "device": "cpu", "versions": {"torch": "2.15.0"}}
    record["identity"] = {"initial_weights": "123"}
    assert likely_reasons(record, record) == []
    changed = record | {"commit": "abc+changes", "device": "cuda:0", "versions": {"torch": "2.14.0"}}
    assert likely_reasons(changed, record) == [
        "another code (abc+changes → abc)",
        "another torch (2.14.0 → 2.15.0)",
        "changes of the code that are in no commit",
        "a GPU, which does not promise the same bytes",
    ]


def test_a_training_that_fails_is_reported_with_its_status(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=f"^{RUN}: its training ended with status 1; the reason stands above"):
        train_again(RUN, [], 1, tmp_path)
