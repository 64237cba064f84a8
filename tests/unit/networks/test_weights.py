"""Weights in files: reading, refusals and loading into a network."""

import numpy as np
import pytest
import torch
from helpers import same_weights, tiny_resnet
from safetensors.torch import save_file
from torch import nn

from shapebias.errors import UserError
from shapebias.networks.models import build, classifier_keys
from shapebias.networks.weights import load_weights, read_weights, weights_path


def test_weights_with_the_same_names_are_loaded_by_name():
    trained, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    assert load_weights(fresh, trained.state_dict(), "x") == "name"
    assert same_weights(fresh, trained)


def test_weights_in_the_same_order_with_other_names_are_loaded_by_position():
    trained, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    renamed = {f"other.{i}": tensor for i, tensor in enumerate(trained.state_dict().values())}
    assert load_weights(fresh, renamed, "x") == "position"
    assert same_weights(fresh, trained)


@pytest.mark.parametrize(
    "packed",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 90, "optimizer": {"lr": 0.1}},
        lambda state: {"model": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
        lambda state: {f"_orig_mod.module.{key}": value for key, value in state.items()},
    ],
    ids=["plain", "state_dict", "model", "DDP", "DDP in state_dict", "DDP of compiled", "compiled DDP"],
)
def test_wrappers_around_weights_are_removed(tmp_path, packed):
    trained, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    torch.save(packed(trained.state_dict()), tmp_path / "x.pth")
    state, metadata = read_weights(tmp_path / "x.pth")
    load_weights(fresh, state, "x.pth")
    assert same_weights(fresh, trained) and metadata == {}


class Wrapped(nn.Module):
    """Features and a classifier, as in AlexNet and VGG."""

    def __init__(self) -> None:
        super().__init__()
        self.features: nn.Module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.classifier = nn.Linear(4, 2)


@pytest.mark.parametrize("zipped", [False, True], ids=["the format of 2018", "today's format"])
@pytest.mark.parametrize(
    "best", [76.1, torch.tensor(76.1), np.float64(76.1), np.float32(76.1)], ids=lambda best: type(best).__name__
)
def test_checkpoints_of_pytorch_s_imagenet_example_are_read(tmp_path, best, zipped):
    """Geirhos et al. saved such files: DataParallel around AlexNet's and VGG's features, with an optimizer."""
    trained, fresh, path = Wrapped(), Wrapped(), tmp_path / "alexnet_train_60_epochs-b4aa5238.pth.tar"
    wrapped = Wrapped()
    wrapped.load_state_dict(trained.state_dict())
    wrapped.features = nn.DataParallel(wrapped.features)
    optimizer = torch.optim.SGD(wrapped.parameters(), 0.1, momentum=0.9)
    wrapped.classifier(torch.ones(1, 4)).sum().backward()
    optimizer.step()  # creates the momentum buffer
    trained.load_state_dict({key.replace(".module", ""): value for key, value in wrapped.state_dict().items()})
    state = {"epoch": 60, "arch": "alexnet", "state_dict": wrapped.state_dict(), "best_prec1": best}
    torch.save(state | {"optimizer": optimizer.state_dict()}, path, _use_new_zipfile_serialization=zipped)
    if not zipped:  # numpy's module name at that time
        path.write_bytes(path.read_bytes().replace(b"numpy._core", b"numpy.core"))
    read, metadata = read_weights(path)
    assert "features.module.0.weight" in wrapped.state_dict() and "features.0.weight" in read
    assert load_weights(fresh, read, "x") == "name"
    assert same_weights(fresh, trained) and metadata == {}


def test_files_without_batch_counters_of_batch_norm_are_loaded():
    trained, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    old = {key: value for key, value in trained.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(trained.state_dict())
    load_weights(fresh, old, "x")
    assert same_weights(fresh, trained)


def test_the_classifier_may_stay_unchanged_while_the_rest_is_loaded():
    trained, fresh, untouched = tiny_resnet(5, seed=0), tiny_resnet(2, seed=1), tiny_resnet(2, seed=1)
    assert classifier_keys(fresh) == ["fc.weight", "fc.bias"]
    load_weights(fresh, trained.state_dict(), "x", keep=classifier_keys(fresh))
    assert same_weights(fresh, trained, "layer4") and same_weights(fresh, untouched, "fc")
    renamed = {f"other.{i}": tensor for i, tensor in enumerate(trained.state_dict().values())}
    second = tiny_resnet(2, seed=1)
    assert load_weights(second, renamed, "x", keep=classifier_keys(second)) == "position"
    assert same_weights(second, fresh)


def test_safetensors_contain_the_metadata_of_training(tmp_path):
    trained = tiny_resnet()
    save_file(trained.state_dict(), tmp_path / "x.safetensors", metadata={"shapebias": '{"model": "resnet"}'})
    state, metadata = read_weights(tmp_path / "x.safetensors")
    assert metadata == {"model": "resnet"}
    assert list(state) and state.keys() == trained.state_dict().keys()


@pytest.mark.parametrize(
    ("make_other", "named"),
    [
        (
            lambda: build("convnext_atto", classes=2, kwargs={"depths": [1, 1, 1, 1], "dims": [8] * 4}),
            ["missing", "conv1"],
        ),
        (lambda: tiny_resnet(classes=3), ["of another shape", "fc.weight (3,", "instead of (2,"]),
        (lambda: nn.Linear(2, 2), ["missing", "not in this network", "first weight"]),
    ],
    ids=["other network", "other head", "other keys"],
)
def test_weights_of_another_architecture_are_refused_and_change_nothing(make_other, named):
    network, untouched = tiny_resnet(), tiny_resnet()
    with pytest.raises(UserError) as refusal:
        load_weights(network, make_other().state_dict(), "theirs.pth")
    assert all(text in str(refusal.value) for text in ["theirs.pth", "another architecture than ResNet", *named])
    assert same_weights(network, untouched)


def test_one_missing_tensor_is_enough_to_refuse():
    state = dict(tiny_resnet().state_dict())
    del state["fc.bias"]
    with pytest.raises(UserError, match=r"1 missing, first fc\.bias"):
        load_weights(tiny_resnet(), state, "x")


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.pth", b"no weights"), ("x.safetensors", b"no weights"), ("x.pth", b""), ("x.safetensors", b"")],
)
def test_a_file_without_weights_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not a file of weights"):
        read_weights(tmp_path / name)


def test_a_pickled_network_is_refused_because_loading_it_would_run_its_code(tmp_path):
    torch.save(tiny_resnet(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth"):
        read_weights(tmp_path / "x.pth")


def test_a_dictionary_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: holds no state dict"):
        read_weights(tmp_path / "x.pth")


def test_missing_files_and_packages_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pth: no such weights file"):
        read_weights(tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match="'no_such_package' is not installed"):
        weights_path("package:no_such_package/x.pth")
