"""Decoder training through the script, in one and in two processes, and stylizing with the result."""

import subprocess
import sys

import pandas as pd
import pytest
from helpers import ENV, ROOT, files_below, image_folder, refused, run_script, succeeded
from PIL import Image

SMALL = ["--encoder", "random", "--width", 2, "--steps", 5, "--batch-size", 4, "--resize", 20, "--size", 16]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return image_folder(folder, {"content": 8, "styles": 4}, size=24)


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    flags = ["--content", images / "content", "--styles", images / "styles", *SMALL]
    succeeded(run_script("train_stylizer", *flags, "--checkpoints", out / "checkpoints", "--out", out))
    return out


def test_training_writes_weights_losses_and_a_sheet_and_removes_checkpoints(trained):
    assert files_below(trained) == ["decoder.safetensors", "encoder.safetensors", "history.csv", "sheet.png"]
    history = pd.read_csv(trained / "history.csv")
    assert list(history["step"]) == [1, 2, 3, 4, 5]
    with Image.open(trained / "sheet.png") as sheet:
        assert sheet.width > 4 * 32 and sheet.height > 6 * 32


def test_the_trained_decoder_stylizes(trained, images, tmp_path):
    inputs = ["--content", images / "content", "--styles", images / "styles"]
    sizes = ["--content-size", 24, "--crop", 16, "--style-size", 32, "--alpha", 0.5]
    weights = ["--stylizer", "adain", "--weights", trained, "--seed", 3, "--format", "png"]
    done = succeeded(run_script("stylize", *weights, *inputs, *sizes, "--out", tmp_path / "x.tar"))
    assert "8 images, 0 rejected" in done.stderr
    wrong = ["--stylizer", "adain", "--weights", images, *inputs, *sizes]
    refused(run_script("stylize", *wrong, "--out", tmp_path / "y.tar"), str(images), "vgg_normalised.pth")
    assert files_below(tmp_path) == ["x.rejected.csv", "x.tar"]


def test_two_processes_have_the_losses_of_one_process(trained, images, tmp_path):
    flags = ["--content", images / "content", "--styles", images / "styles", *SMALL, "--out", tmp_path]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, ROOT / "scripts" / "train_stylizer.py", *flags]
    env = ENV | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    one, two = (pd.read_csv(folder / "history.csv") for folder in (trained, tmp_path))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)
    assert files_below(tmp_path) == files_below(trained)
