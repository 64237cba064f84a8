"""The programs beside the studies: weights of SqueezeNet, and the page of results."""

import importlib.util
import pickle
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT


def load_program(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"experiments/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


squeezenet_weights = load_program("squeezenet_weights")
photographs16_page = load_program("photographs16_page")


def test_the_first_layer_gives_the_same_values_for_normalized_images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 3, 9, 9)).astype(np.float64)  # red, green, blue
    kernel, bias = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
    published = pixels[:, ::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]  # blue, green, red
    expected = torch.conv2d(torch.tensor(published.copy()), torch.tensor(kernel), torch.tensor(bias))
    mean, std = (
        np.array(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )  # torchvision's
    normalized = torch.tensor((pixels / 255 - mean) / std)
    weight, shift = squeezenet_weights.take_normalized_images(kernel, bias)
    values = torch.conv2d(normalized, torch.tensor(weight.copy()), torch.tensor(shift))
    torch.testing.assert_close(values, expected)


def test_each_layer_has_the_name_of_torchvision():
    names = {name.rpartition(".")[0] for name in torch_squeezenet().state_dict()}
    assert set(squeezenet_weights.LAYERS.values()) == names


def torch_squeezenet():
    from torchvision.models import squeezenet1_1

    with torch.device("meta"):
        return squeezenet1_1()


def test_a_file_with_code_is_not_read(tmp_path):
    (tmp_path / "code.pkl").write_bytes(pickle.dumps(subprocess.run))
    with pytest.raises(pickle.UnpicklingError, match=r"subprocess\.run, which is no array"):
        squeezenet_weights.read_layers(tmp_path / "code.pkl")


def test_the_page_of_results_is_what_its_program_writes():
    tables = {path.stem: pd.read_csv(path) for path in photographs16_page.KEPT.glob("*.csv")}
    written = (ROOT / "docs/results-photographs16.md").read_text(encoding="utf-8")
    assert photographs16_page.page(tables) == written


def test_the_readme_gives_the_numbers_of_the_page():
    tables = {path.stem: pd.read_csv(path) for path in photographs16_page.KEPT.glob("*.csv")}
    results = photographs16_page.Results(tables)
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    answer = readme[readme.index("**The answer, on photographs.**") : readme.index("**In the built-in demo**")]
    runs = [("lite0", "in"), ("lite0", "sin"), ("lite0", "photographs")]
    runs += [(model, regime) for model in ("lite1", "squeezenet") for regime in ("in", "sin")]
    for bias in (results.bias(*run) for run in runs):
        assert bias.replace("(", "(95 % interval ") in answer or bias in answer
    for number in (str(results.conflicts), *(results.share("shape", "lite0", regime) for regime in ("in", "sin"))):
        assert number in answer
    for regime in ("in", "sin"):
        assert results.accuracy("lite0", regime).partition(" ")[0] in answer


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.4, 0.3, 0.5), "higher by 0.40 (0.30 to 0.50)"),
        ((-0.4, -0.5, -0.3), "lower by 0.40 (0.30 to 0.50)"),
        ((0.1, -0.1, 0.3), "not measurably different (+0.10, −0.10 to 0.30)"),
    ],
)
def test_a_change_is_one_only_if_its_interval_excludes_0(values, words):
    row = pd.Series(dict(zip(("difference", "ci_low", "ci_high"), values, strict=True)))
    assert photographs16_page.change(row) == words
