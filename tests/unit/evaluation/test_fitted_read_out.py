"""Networks without a classifier: their features are read by a head that is fitted on photographs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers import TINY_RESNET, refused, run_script, succeeded, tiny_resnet
from PIL import Image
from safetensors.torch import save_file

from shapebias import Preparation, evaluate
from shapebias.errors import UserError
from shapebias.evaluation.decisions import read_raw_predictions

PREPARATION = Preparation(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear", crop=1.0)
RED, BLUE = (200, 40, 40), (40, 40, 200)


def plain_image(path: Path, colour: tuple[int, ...], shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), tuple(value + shade for value in colour)).save(path)


@pytest.fixture
def photographs(tmp_path):
    """Return a folder with three red cats and two blue dogs."""
    folder = tmp_path / "photographs"
    for i in range(3):
        plain_image(folder / f"cat/{i}.png", RED, 10 * i)
    for i in range(2):
        plain_image(folder / f"dog/{i}.png", BLUE, 5 + 10 * i)
    return folder


@pytest.fixture
def stimuli(tmp_path):
    """Return two red and two blue stimuli; the names of half of them say otherwise."""
    folder = tmp_path / "stimuli"
    for i, colour in enumerate([RED, BLUE, BLUE, RED]):
        shape, texture = ("cat", "dog") if i < 2 else ("dog", "cat")
        plain_image(folder / f"{shape}/{shape}{i}-{texture}{i}.png", colour, 8 + i)
    return folder


def mean_colour(images: torch.Tensor) -> torch.Tensor:
    """Return features [B, 3]."""
    return images.mean((2, 3))


def classify(network: Any, stimuli: Path, photographs: Path, **options: Any) -> pd.DataFrame:
    arguments: dict[str, Any] = {"preparation": PREPARATION, "read_out": "prototypes", "fit_on": photographs}
    return evaluate(network, stimuli, **arguments | options)


@pytest.mark.parametrize("kind", ["prototypes", "neighbours", "linear"])
def test_a_function_that_returns_features_is_read_out(stimuli, photographs, kind):
    table = classify(mean_colour, stimuli, photographs, read_out=kind)
    assert table["decision"].tolist() == ["cat", "dog", "dog", "cat"]  # in the order of the images: by colour
    assert table["p_airplane"].isna().all()
    facts = table.attrs["fitted_read_out"]
    assert facts["kind"] == kind and facts["photographs"] == {"cat": 3, "dog": 2}
    assert (facts["features"], facts["fit_on"]) == ("output of the network", "photographs")
    assert facts["settings"].get("neighbours") == (2 if kind == "neighbours" else None)
    assert table.attrs["answers"] == ["cat", "dog"] and table.attrs["outputs"] == "logits"


def test_a_network_of_timm_is_read_out_and_stays_unchanged(stimuli, photographs):
    network = tiny_resnet()
    network.train()
    network.get_parameter("fc.weight").data.fill_(torch.nan)  # the classifier does not count
    table = classify(network, stimuli, photographs)
    assert table["decision"].tolist() == ["cat", "dog", "dog", "cat"]
    assert table.attrs["fitted_read_out"]["features"] == "pooled features (forward_head with pre_logits)"
    assert network.training


def test_a_photograph_among_the_benchmark_s_images_is_named(stimuli, photographs):
    shutil.copy(stimuli / "dog/dog2-cat2.png", photographs / "dog/copy.png")
    with pytest.raises(UserError, match=r"image 'dog/dog2-cat2' is also a photograph .* \('dog/copy'\); fit it on"):
        classify(mean_colour, stimuli, photographs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read_out": "knn"}, "unknown read-out 'knn'"),
        ({"fit_on": None}, "both read_out and fit_on"),
        ({"classes": ["cat", "dog"]}, "a read_out knows the categories of its photographs"),
        ({"fit_on": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_wrong_arguments_are_refused(stimuli, photographs, options, message):
    with pytest.raises(UserError, match=message):
        classify(mean_colour, stimuli, photographs, **options)


def test_photographs_without_a_category_and_features_that_are_not_finite_are_named(stimuli, photographs):
    with pytest.raises(UserError, match="features of photograph 'cat/0' are not finite"):
        classify(lambda images: mean_colour(images) * torch.nan, stimuli, photographs)
    plain_image(photographs / "teapot/0.png", RED, 0)
    with pytest.raises(UserError, match="photograph 'teapot/0' has no category"):
        classify(mean_colour, stimuli, photographs)


def test_the_script_fits_a_head_and_records_it(stimuli, photographs, tmp_path):
    save_file(tiny_resnet(0).state_dict(), tmp_path / "headless.safetensors")
    arguments = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET | {"num_classes": 0})]
    arguments += ["--weights", tmp_path / "headless.safetensors", "--images", stimuli, "--benchmark", "cue_conflict"]
    arguments += ["--out", tmp_path / "mine.parquet", "--reuse", tmp_path / "measured"]
    head = ["--head", "prototypes", "--fit-on", photographs]
    assert "mine: shape bias" in succeeded(run_script("evaluate", *arguments, *head)).stdout
    table, facts = read_raw_predictions(tmp_path / "mine.parquet")
    assert table["decision"].tolist() == ["cat", "dog", "dog", "cat"]
    assert facts["fitted_read_out"]["photographs"] == {"cat": 3, "dog": 2}
    assert len(list((tmp_path / "measured").iterdir())) == 1
    plain_image(photographs / "dog/9.png", BLUE, 19)  # other photographs make another measurement
    succeeded(run_script("evaluate", *arguments, *head))
    assert len(list((tmp_path / "measured").iterdir())) == 2
    refused(run_script("evaluate", *arguments), "no classifier (0 outputs)", "--head")
    assert "give --head and --fit-on together" in run_script("evaluate", *arguments, "--head", "linear").stderr
