"""Stylizing by optimization through the scripts, with SqueezeNet of fixed random weights."""

import pytest
import torch
from helpers import files_below, image_folder, refused, run_script, succeeded
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from shapebias.images.shards import Shard

LAYERS = ["--timm", "torchvision/squeezenet1_1", "--content-layers", "features.4", "--style-layers"]
LAYERS += ["features.1", "features.3"]


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Return the options of a stylizer with weights in a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(squeezenet1_1().state_dict(), path)
    return ["--stylizer", "gatys", "--weights", path, *LAYERS, "--steps", 3, "--device", "cpu"]


def test_images_are_the_same_from_styles_and_from_their_vectors(options, tmp_path):
    photos = image_folder(tmp_path / "photos", {"cat": 2, "dog": 1}, size=40)
    view = ["--style-crop", 0.8, "--style-size", 36]
    succeeded(
        run_script("encode_styles", "--styles", photos, *options, *view, "--out", tmp_path / "vectors.safetensors")
    )
    common = ["--content", photos, "--content-size", 32, "--other-category", "--format", "png", *options]
    sources = {"a": ["--styles", photos, *view], "b": ["--style-vectors", tmp_path / "vectors.safetensors"]}
    for name, source in sources.items():
        succeeded(run_script("stylize", *common, *source, "--out", tmp_path / f"{name}.tar"))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    samples = list(Shard(tmp_path / "a.tar"))
    assert {(s.label["stylizer"], s.label["shape"] != s.label["texture"], s.image().size) for s in samples} == {
        ("gatys", True, (32, 32))
    }


def test_masks_belong_to_gatys_alone(options, tmp_path):
    photos = image_folder(tmp_path / "photos", {"cat": 1}, size=40)
    inputs = ["--styles", photos, "--style-masks", tmp_path, "--out", tmp_path / "x.safetensors"]
    refused(run_script("encode_styles", *inputs), "--style-masks", "ghiasi reads no masks", "choose gatys")
    refused(run_script("encode_styles", *inputs, *options), "1 of 1", "no mask")
    assert files_below(tmp_path) == ["photos/cat/0.png"]
