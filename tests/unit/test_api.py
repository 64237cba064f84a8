"""Tests of the notebook functions: from a network and a folder of stimuli to a table."""

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from helpers import ENV, conflict_folder, image_folder, run_script, succeeded, tiny_resnet, trials
from torch import nn

import shapebias
from shapebias import evaluate, plot_shape_bias, shape_bias, stylize_photographs
from shapebias.api import shared_image_cache
from shapebias.errors import UserError
from shapebias.evaluation.decisions import write_predictions
from shapebias.images.pictures import open_pictures
from shapebias.networks.models import preparation


@pytest.fixture
def stimuli(tmp_path):
    """Return stimuli of cats with dog texture and dogs with cat texture."""
    return conflict_folder(tmp_path)


def classify(network: nn.Module, images: Any, **options: Any) -> pd.DataFrame:
    defaults: dict[str, Any] = {"classes": ["cat", "dog"], "observer": "mine"}
    if "preparation" not in options:
        defaults["preparation"] = preparation(network, 32)
    return evaluate(network, images, **defaults | options)


def test_importing_the_package_and_counting_decisions_needs_no_torch():
    code = "import shapebias, sys; assert 'pandas' not in sys.modules; from shapebias import shape_bias; shape_bias"
    done = subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], env=ENV)
    assert done.returncode == 0


def test_an_unknown_name_raises_an_attribute_error():
    import shapebias

    with pytest.raises(AttributeError, match="evaluat'"):
        shapebias.evaluat  # noqa: B018


# evaluate


def test_a_network_with_own_classes_brings_own_labels(tmp_path, stimuli):
    for cue, label in (("shape", "feline"), ("texture", "canine")):
        image_folder(tmp_path / "cues" / f"refined_bias_{cue}", {label: 2})
    (tmp_path / "labels.csv").write_text("class,label\ncat,feline\ndog,canine\n")
    options: dict[str, Any] = {"benchmark": "refined_bias", "labels": tmp_path / "labels.csv"}
    table = classify(tiny_resnet(), tmp_path / "cues", **options)
    assert table.attrs["label_classes"] == {"canine": ["dog"], "feline": ["cat"]} and len(table) == 4
    with pytest.raises(UserError, match="labels of their own, not to 'cue_conflict'"):
        classify(tiny_resnet(), stimuli, labels=tmp_path / "labels.csv")


def test_a_network_in_memory_classifies_a_folder_and_stays_unchanged(stimuli):
    network = tiny_resnet()
    network.train()
    weight = network.get_parameter("layer1.0.conv1.weight")
    strides = weight.stride()
    table = classify(network, stimuli)
    assert network.training and weight.stride() == strides
    assert table["observer"].unique().tolist() == ["mine"]
    assert table["shape"].tolist() == ["cat"] * 3 + ["dog"] * 3
    np.testing.assert_allclose(table["p_cat"] + table["p_dog"], 1)
    assert set(table["decision"]) <= {"cat", "dog"}
    assert table.attrs["shown"] == {"as they are": 6, "resized": 0}
    assert table.attrs["answers"] == ["cat", "dog"]
    assert len(shape_bias(table)) == 1


def test_the_bias_of_a_constant_network_equals_the_count_by_hand(stimuli):
    network = tiny_resnet()
    network.get_parameter("fc.weight").data.zero_()
    network.get_parameter("fc.bias").data = torch.tensor([1.0, 0.0])  # always a cat: three shapes, three textures
    (row,) = shape_bias(classify(network, str(stimuli))).to_dict("records")
    assert (row["conflict_images"], row["shape_hits"], row["texture_hits"], row["shape_bias"]) == (6, 3, 3, 0.5)


def test_a_second_call_reuses_the_decoded_images(stimuli, monkeypatch):
    shared_image_cache.cache_clear()
    first = classify(tiny_resnet(), [stimuli])
    monkeypatch.setattr("shapebias.images.pictures.load_rgb", lambda path: pytest.fail(f"{path} decoded again"))
    pd.testing.assert_frame_equal(classify(tiny_resnet(), [stimuli]), first)
    assert len(classify(tiny_resnet(seed=1), [stimuli])) == 6


def test_other_benchmarks_are_selected_by_name(tmp_path):
    photographs = image_folder(tmp_path / "photographs", {"cat": 2, "dog": 2}, size=32)
    table = classify(tiny_resnet(), photographs, benchmark="suppressed", suppress={"shape": [2], "colour": [1]})
    assert table["condition"].tolist() == ["none", "shape-2", "colour-1"] * 4
    assert (table["class"] == table["shape"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"benchmark": "cue-conflict"}, "'cue-conflict'.*cue_conflict"),
        ({"suppress": {"shape": [2]}}, "'suppressed', not to 'cue_conflict'"),
        ({"weights": "x.pth"}, "weights and kwargs"),
        ({"classes": ["cat", "dog", "car"]}, "2 outputs but 3 classes"),
        ({"classes": ["cat", "cat"]}, "class 'cat' is named twice in classes"),
        ({"classes": {"cat": "cat", "dog": "dgo"}}, "'dgo'"),
        ({"device": "cuda:9"}, "cuda:9"),
        ({"benchmark": "laion_c", "labels": {"cat": "pet"}}, "labels is a dict; give the path of a CSV file"),
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number from 1"),
        ({"workers": -1}, "workers is -1; it must be a whole number from 0"),
        ({"max_rejected": float("nan")}, "max_rejected is nan; it must be a fraction from 0 to 1"),
    ],
)
def test_invalid_arguments_are_refused_with_an_explanation(stimuli, arguments, message):
    with pytest.raises(UserError, match=message):
        classify(tiny_resnet(), stimuli, **arguments)


def test_missing_images_and_unknown_networks_are_refused(stimuli):
    with pytest.raises(UserError, match="nowhere"):
        classify(tiny_resnet(), stimuli / "nowhere")
    with pytest.raises(UserError, match="resnet5O"):
        evaluate("resnet5O", stimuli)


# shape_bias


def test_the_bias_table_has_one_row_per_observer():
    mixed = trials(("cat", "dog", "cat"), ("cat", "dog", "dog"), ("cat", "dog", "cat"), ("cat", "cat", "cat"))
    none = trials(("cat", "dog", "car"), observer="astray")
    table = shape_bias(pd.concat([mixed, none])).set_index("observer")
    assert list(table.index) == ["astray", "somebody"]
    assert table.loc["somebody", ["conflict_images", "shape_hits", "texture_hits"]].tolist() == [3, 2, 1]
    assert table.loc["somebody", "shape_bias"] == pytest.approx(2 / 3)
    assert table.loc["somebody", "ci_low"] < 2 / 3 < table.loc["somebody", "ci_high"]
    assert table.loc["astray", ["shape_bias", "ci_low", "ci_high"]].isna().all()


def test_conflicts_with_a_category_unknown_to_the_network_do_not_count():
    table = trials(("cat", "dog", "cat"), ("cat", "car", "cat")).assign(p_cat=0.5, p_dog=0.5, p_car=np.nan)
    assert shape_bias(table)["conflict_images"].tolist() == [1]
    assert shape_bias(table.drop(columns=["p_cat", "p_dog", "p_car"]))["conflict_images"].tolist() == [2]


def test_invalid_tables_of_decisions_are_refused():
    table = trials(("cat", "dog", "cat"))
    with pytest.raises(UserError, match="no column texture"):
        shape_bias(table.drop(columns="texture"))
    with pytest.raises(UserError, match="'image0' twice"):
        shape_bias(pd.concat([table, table]))
    with pytest.raises(UserError, match="no trial"):
        shape_bias(table.head(0))
    with pytest.raises(UserError, match="observer of image 'image0'"):
        shape_bias(table.assign(observer=np.nan))
    with pytest.raises(UserError, match="different labels"):
        shape_bias(pd.concat([table, table.assign(observer="other", shape="car")]))


def test_the_bias_equals_that_of_the_script(shared_data, tmp_path):
    files = sorted((shared_data / "observers").glob("*.csv"))
    succeeded(run_script("shape_bias", *files, "--out", tmp_path / "bias.csv"))
    pd.testing.assert_frame_equal(shape_bias(files), pd.read_csv(tmp_path / "bias.csv"), check_exact=True)


def test_published_decisions_give_the_published_bias(shared_data):
    (file,) = (shared_data / "observers").glob("*resnet*")
    (row,) = shape_bias(file).to_dict("records")
    # Counted from the published decisions of Geirhos et al. 2019.
    assert (row["shape_hits"], row["texture_hits"], round(row["shape_bias"], 4)) == (162, 572, 0.2207)


def test_a_printed_table_shows_all_columns():
    trial = {"observer": "a", "image": "x", "shape": "cat", "texture": "dog", "decision": "cat"}
    printed = repr(shape_bias(pd.DataFrame([trial])))
    assert "..." not in printed and "ci_high" in printed


def test_the_package_has_a_version():
    assert version("shapebias") == shapebias.__version__


def test_a_network_that_returns_a_dict_is_refused_with_a_hint(stimuli):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = tiny_resnet(classes=2)

        def forward(self, images):
            return {"logits": self.network(images)}

    with pytest.raises(UserError, match=r"returns a dict, expected a tensor of logits .*returns the logits alone"):
        classify(Wrapped(), stimuli, preparation=preparation(tiny_resnet(), 32))


def same_answers(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    probabilities = (table[["p_cat", "p_dog"]].to_numpy() for table in (first, second))
    return first["decision"].equals(second["decision"]) and np.allclose(*probabilities, atol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        nn.Sequential,
        lambda network: torch.compile(network, backend="eager"),
        lambda network: nn.DataParallel(torch.compile(network, backend="eager")),
        torch.optim.swa_utils.AveragedModel,
        lambda network: nn.Sequential(network, nn.Softmax(dim=1)),
        lambda network: nn.Sequential(nn.DataParallel(network), nn.LogSoftmax(dim=1)),
    ],
    ids=["DataParallel", "Sequential", "compile", "both", "AveragedModel", "and a softmax", "and a log softmax"],
)
def test_a_network_in_a_wrapper_answers_as_itself(stimuli, wrap):
    network = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=32, num_classes=2)
    vars(network)["pretrained_cfg"] = vars(network)["pretrained_cfg"] | {"input_size": (3, 32, 32)}
    torch.nn.init.normal_(network.get_parameter("head.weight"), std=3)
    alone, wrapped = (evaluate(net, stimuli, classes=["cat", "dog"]) for net in (network, wrap(network)))
    assert wrapped.attrs["preparation"] == alone.attrs["preparation"]
    assert wrapped.attrs["preparation"]["mean"] == (0.5, 0.5, 0.5)
    assert wrapped.attrs["observer"] == "vit_tiny_patch16_224"
    assert same_answers(wrapped, alone)
    ends_in_softmax = isinstance(list(wrap(network).modules())[-1], nn.Softmax)
    assert wrapped.attrs["outputs"] == ("probabilities" if ends_in_softmax else "logits")


class Centred(nn.Module):
    """A network that prepares images on its own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.module = inner

    def forward(self, images):
        return self.module(images - 0.5)


def test_a_network_of_timm_inside_another_one_needs_a_preparation(stimuli):
    for network in (Centred(tiny_resnet()), nn.Sequential(nn.Identity(), tiny_resnet())):
        with pytest.raises(UserError, match=r"has a network of timm inside \((module|1)\), .* \(preparation=…"):
            evaluate(network, stimuli, classes=["cat", "dog"])
        assert len(classify(network, stimuli, preparation=preparation(tiny_resnet(), 32))) == 6


def test_a_network_that_timm_does_not_know_is_said(stimuli, caplog):
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert evaluate(network, stimuli, classes=["cat", "dog"]).attrs["preparation"]["size"] == 224
    assert "Sequential is not of timm: images get 224 pixels and ImageNet's mean and std" in caplog.text


def test_a_network_that_ends_in_a_sigmoid_is_refused(stimuli):
    with pytest.raises(UserError, match="as after a sigmoid"):
        classify(nn.Sequential(tiny_resnet(1000), nn.Sigmoid()), stimuli, classes=None)


def test_a_network_without_weights_is_refused(stimuli):
    with torch.device("meta"):
        empty = tiny_resnet()
    with pytest.raises(UserError, match="'mine' has no weights"):
        classify(empty, stimuli)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_network_of_another_precision_is_measured_in_it(stimuli, dtype):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)).to(getattr(torch, dtype))
    seen = []
    network[0].register_forward_pre_hook(lambda _, inputs: seen.append(str(inputs[0].dtype)))
    table = classify(nn.DataParallel(network), stimuli, preparation=preparation(tiny_resnet(), 32))
    assert set(seen) == {f"torch.{dtype}"}
    assert (table.attrs["precision"], network[1].weight.dtype) == (dtype, getattr(torch, dtype))
    plain = classify(network.float(), stimuli, preparation=preparation(tiny_resnet(), 32))
    np.testing.assert_allclose(table["p_cat"], plain["p_cat"], atol=0.02)  # bfloat16 has 8 binary digits


def test_a_network_that_fails_on_images_is_refused(stimuli):
    class Failing(nn.Module):
        def forward(self, images):
            raise TypeError("expected a list of images")

    with pytest.raises(UserError, match="'Failing' takes no images of 32 × 32 pixels: expected a list of images"):
        classify(Failing(), stimuli, preparation=preparation(tiny_resnet(), 32))


def test_published_weights_of_other_classes_are_refused(stimuli):
    with pytest.raises(UserError, match=r"published weights have 1,000 outputs, not 2, .* would be random"):
        evaluate("resnet10t", stimuli, classes=["cat", "dog"])


def test_the_same_answers_in_memory_and_in_a_file_have_the_same_interval(stimuli, tmp_path):
    table = classify(tiny_resnet(), stimuli)
    write_predictions(tmp_path / "mine.parquet", table, {str(key): value for key, value in table.attrs.items()})
    pd.testing.assert_frame_equal(shape_bias(table), shape_bias(tmp_path / "mine.parquet"))


def test_an_observer_without_a_conflict_is_named(caplog):
    shape_bias(trials(("cat", "cat", "cat"), observer="mine"))
    assert "mine: no image shows two different cues that it can name" in caplog.text


# plot_shape_bias


def test_the_plot_has_a_line_at_the_bias_of_each_observer_and_of_pooled_people():
    network = trials(("cat", "dog", "cat"), ("dog", "cat", "cat"), ("cat", "car", "cat"), ("car", "cat", "car"))
    people = [trials(("cat", "dog", cue), observer=f"subject-{k}") for k, cue in enumerate(("cat", "dog"))]
    axes, *_ = plot_shape_bias(pd.concat([network, *people])).axes
    places = [np.unique(np.asarray(line.get_xdata(), dtype=float)) for line in axes.lines]
    assert {0.75, 0.5} <= {float(place[0]) for place in places if len(place) == 1}


# stylize_photographs


def test_photographs_are_stylized_as_by_the_script(tmp_path):
    photographs = image_folder(tmp_path / "photographs", {"cat": 2, "dog": 1}, size=40)
    arguments = ["--content", photographs, "--styles", photographs, "--other-category", "--size", 32, "--crop", 32]
    stylizing = ["--stylizer", "ghiasi", "--strength", 0.5, "--format", "png", "--seed", 3]
    succeeded(run_script("stylize", *arguments, *stylizing, "--out", tmp_path / "x.tar"))
    results = stylize_photographs(photographs, photographs, size=32, crop=32, strength=0.5, other_category=True, seed=3)
    for sample, (label, image) in zip(open_pictures([tmp_path / "x.tar"]), results, strict=True):
        assert sample.label == label
        assert np.array_equal(np.asarray(sample.image()), np.asarray(image))


def test_an_unknown_stylizer_is_refused_before_the_first_image(tmp_path):
    with pytest.raises(UserError, match="unknown stylizer 'gisi'; allowed: adain, ghiasi, gatys"):
        stylize_photographs(tmp_path, tmp_path, size=32, stylizer="gisi")
