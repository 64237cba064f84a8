"""Weights in files: reading, refusals and loading into a network."""

import argparse
import os
import pathlib
import signal

import numpy as np
import pytest
import timm
import torch
from helpers import same_weights, tiny_resnet
from safetensors.torch import save_file
from timm.utils import CheckpointSaver, ModelEmaV3
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear as QuantizedLinear

from shapebias.errors import UserError
from shapebias.networks import weights
from shapebias.networks.models import build, classifier_keys, load_file
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


def test_a_log_does_not_list_the_tensors_that_another_try_loads(caplog):
    """timm, which is asked first, warns of every tensor whose name it does not know, if the classifier is new."""
    name = "tf_efficientnet_lite0"
    published, network = build(name), build(name, classes=16)
    renamed = {f"other.{i}": tensor for i, tensor in enumerate(published.state_dict().values())}
    keep = classifier_keys(network)
    assert load_file(network, renamed, "x", name=name, kwargs={}, keep=keep) == "position"
    assert "other.7" not in caplog.text


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
        (
            lambda: build("resnet10t", classes=2, kwargs={"channels": [16, 16, 16, 8], "stem_width": 8}),
            ["of another shape", "instead of"],
        ),
        (lambda: nn.Linear(2, 2), ["missing", "not in this network", "first weight"]),
    ],
    ids=["other network", "other widths", "other keys"],
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


def test_metadata_that_is_no_object_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors", {"shapebias": "[1]"})
    with pytest.raises(UserError, match=r"x\.safetensors: its metadata 'shapebias' is a list, not an object of JSON"):
        read_weights(tmp_path / "x.safetensors")


def test_a_list_of_tensors_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: holds no state dict of tensors$"):
        read_weights(tmp_path / "x.pth")


def test_tensors_in_the_same_number_but_of_other_shapes_are_refused():
    state = {f"layer{k}": torch.zeros(1) for k in range(len(tiny_resnet().state_dict()))}
    with pytest.raises(UserError, match=r"weights of another architecture than ResNet: .* missing, first"):
        load_weights(tiny_resnet(), state, "x")


def test_a_tensor_beside_a_complete_network_is_named():
    state = tiny_resnet().state_dict() | {"second_head.weight": torch.zeros(2)}
    with pytest.raises(UserError, match=r"ResNet: 1 not in this network, first second_head\.weight$"):
        load_weights(tiny_resnet(), state, "x")


def test_a_dictionary_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: holds no state dict"):
        read_weights(tmp_path / "x.pth")


def test_missing_files_and_packages_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pth: no such weights file"):
        read_weights(tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match="'no_such_package' is not installed"):
        weights_path("package:no_such_package/x.pth")


# Checkpoints of other projects


def read(tmp_path, content) -> tuple[dict[str, torch.Tensor], dict]:
    """Return what is read of a checkpoint with this content."""
    torch.save(content, tmp_path / "x.pth")
    return read_weights(tmp_path / "x.pth")


def test_a_training_checkpoint_of_timm_is_read_with_its_averaged_weights(tmp_path):
    network, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    average = ModelEmaV3(tiny_resnet(seed=2))
    arguments = argparse.Namespace(model="resnet10t", lr=0.1, scale=(0.1, 1.0))
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    saver = CheckpointSaver(network, optimizer, args=arguments, model_ema=average, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(1, metric=50.0)
    state, metadata = read_weights(tmp_path / "last.pth.tar")
    load_weights(fresh, state, "x")
    assert same_weights(fresh, average.module) and metadata == {"entry": "state_dict_ema"}
    theirs = tiny_resnet(seed=3)
    timm.models.load_checkpoint(theirs, str(tmp_path / "last.pth.tar"))
    assert same_weights(fresh, theirs)


@pytest.mark.parametrize(
    ("raw", "averaged"),
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model", "ema"), ("state_dict", "ema_state_dict")],
)
def test_averaged_weights_are_taken_and_said_where_a_checkpoint_has_both(tmp_path, caplog, raw, averaged):
    first, second = tiny_resnet(seed=0).state_dict(), tiny_resnet(seed=1).state_dict()
    with caplog.at_level("INFO"):
        state, metadata = read(tmp_path, {"epoch": 3, raw: first, averaged: second})
    assert torch.equal(state["fc.weight"], second["fc.weight"]) and metadata == {"entry": averaged}
    assert f"takes the averaged weights ({averaged}), of {raw}, {averaged}" in caplog.text


def test_an_empty_average_is_none_and_an_unknown_form_of_it_is_said(tmp_path, caplog):
    raw = tiny_resnet(seed=0).state_dict()
    for nothing in (None, {}, 0.999):
        state, metadata = read(tmp_path, {"state_dict": raw, "state_dict_ema": nothing})
        assert torch.equal(state["fc.weight"], raw["fc.weight"]) and metadata == {}
    assert not caplog.text
    read(tmp_path, {"state_dict": raw, "ema": {"decay": 0.9, "shadow_params": [torch.zeros(2)]}})
    assert "takes state_dict; its averaged weights (ema) have an unknown form" in caplog.text


def test_several_averages_are_refused(tmp_path):
    state = tiny_resnet().state_dict()
    with pytest.raises(UserError, match=r"several averaged sets of weights: ema_0\.99, ema_0\.999; save one"):
        read(tmp_path, {"model": state, "ema_0.99": state, "ema_0.999": state})


def averaged_model(state):
    return {f"module.{key}": value for key, value in state.items()} | {"n_averaged": torch.tensor(3)}


def lightning(state, **beside):
    return {"state_dict": {f"model.{key}": value for key, value in state.items()} | beside}


@pytest.mark.parametrize(
    ("packed", "entry"),
    [
        (averaged_model, "n_averaged"),
        (lambda state: {"model_ema": averaged_model(state)}, "model_ema"),  # torchvision's reference training
        (lambda state: {"arch": "resnet", "module": state}, None),
        (lambda state: lightning(state, **{"criterion.weight": torch.ones(2), "val_loss.weight": torch.ones(2)}), None),
        (
            lambda state: (
                lightning(state) | {"hyper_parameters": argparse.Namespace(lr=0.1, out=pathlib.PosixPath("x"))}
            ),
            None,
        ),
        (lambda state: {"state_dict": {f"net.{key}": value for key, value in state.items()}}, None),
    ],
    ids=["AveragedModel", "torchvision's average", "module", "Lightning and a loss", "Lightning", "net"],
)
def test_checkpoints_of_other_frameworks_are_loaded(tmp_path, packed, entry):
    trained, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1)
    state, metadata = read(tmp_path, packed(trained.state_dict()))
    assert load_weights(fresh, state, "x") in ("name", "name below model.", "name below net.")
    assert same_weights(fresh, trained) and metadata.get("entry") == entry


def test_the_averaged_one_of_two_networks_in_one_state_dict_is_taken():
    raw, average, fresh = tiny_resnet(seed=0), tiny_resnet(seed=1), tiny_resnet(seed=2)
    both = {f"net.{key}": value for key, value in raw.state_dict().items()}
    both |= {f"net_ema.{key}": value for key, value in average.state_dict().items()}
    assert load_weights(fresh, both, "x") == "name below net_ema."
    assert same_weights(fresh, average)
    twins = {key.replace("net_ema", "teacher"): value for key, value in both.items()}
    with pytest.raises(UserError, match=r"this network several times \(net, teacher\); save one of them alone"):
        load_weights(fresh, twins, "x")


def test_a_network_inside_another_one_is_not_taken_for_the_whole():
    state = lightning(tiny_resnet().state_dict(), **{"head.weight": torch.ones(10, 2)})["state_dict"]
    with pytest.raises(UserError, match=r"below 'model\.' are this network's, but 1 others .* first head\.weight"):
        load_weights(tiny_resnet(), state, "x")


@pytest.mark.parametrize("keep", [False, True], ids=["with its classifier", "with a new classifier"])
def test_names_of_other_authors_are_converted_as_timm_does(keep):
    """ConvNeXt as its authors name the tensors: https://github.com/facebookresearch/ConvNeXt."""
    kwargs = {"depths": [1, 1, 1, 1], "dims": [8] * 4, "conv_mlp": False}
    trained = build("convnext_atto", classes=3, kwargs=kwargs)
    fresh = build("convnext_atto", classes=2 if keep else 3, kwargs=kwargs)
    renames = [("stem.", "downsample_layers.0."), (".blocks.", "."), (".downsample.", "~"), ("conv_dw", "dwconv")]
    renames += [("mlp.fc", "pwconv"), ("head.norm", "norm"), ("head.fc", "head")]
    theirs = {}
    for key, value in trained.state_dict().items():
        for ours, original in renames:
            key = key.replace(ours, original)
        if "~" in key:
            stage, _, rest = key.partition("~")
            key = f"downsample_layers.{stage.removeprefix('stages.')}.{rest}"
        theirs[key] = value
    keys = classifier_keys(fresh) if keep else ()
    assert load_file(fresh, theirs, "x", name="convnext_atto", kwargs=kwargs, keep=keys) == "timm"
    assert same_weights(fresh, trained, "stages")
    assert keep or same_weights(fresh, trained)


def test_position_embeddings_of_another_image_size_are_refused():
    kwargs = {"depth": 1, "embed_dim": 8, "num_heads": 1, "num_classes": 2}
    large, small = (build("vit_tiny_patch16_224", kwargs=kwargs | {"img_size": size}) for size in (64, 32))
    with pytest.raises(UserError, match=r"1 of another shape, first pos_embed \(1, 17, 8\) instead of \(1, 5, 8\)"):
        load_file(small, large.state_dict(), "x", name="vit_tiny_patch16_224", kwargs=kwargs | {"img_size": 32})


@pytest.mark.parametrize("rename", [str, lambda key: f"model.{key}", lambda key: f"other.{key}"])
def test_another_number_of_outputs_is_said(rename):
    state = {rename(key): value for key, value in tiny_resnet(10).state_dict().items()}
    with pytest.raises(
        UserError, match=r"x: its classifier has 10 outputs, but ResNet has 2 here; name the 10 outputs"
    ):
        load_weights(tiny_resnet(), state, "x")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.float8_e4m3fn])
def test_quantized_weights_are_refused(tmp_path, dtype):
    state = tiny_resnet().state_dict()
    weight = state["conv1.0.weight"]
    for packed in (state | {"conv1.0.weight": weight.to(dtype)}, {"a.weight": weight.to(dtype)}):
        with pytest.raises(UserError, match=rf"weight holds {dtype}: quantized weights are not"):
            load_weights(tiny_resnet(), read(tmp_path, packed)[0], "x")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_loaded(dtype):
    state = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in tiny_resnet().state_dict().items()
    }
    network = tiny_resnet(seed=1)
    load_weights(network, state, "x")
    assert torch.equal(network.get_parameter("fc.weight"), state["fc.weight"].float())


def test_a_network_that_torch_quantized_is_refused(tmp_path):
    network = tiny_resnet()
    network.fc = QuantizedLinear(network.get_parameter("fc.weight").shape[1], 3)
    with pytest.raises(UserError, match=r"'fc\._packed_params.*' is of a quantized network"):
        read(tmp_path, network.state_dict())


def test_tensors_without_values_are_refused(tmp_path):
    state = {key: value.to("meta") for key, value in tiny_resnet().state_dict().items()}
    with pytest.raises(UserError, match="no values"):
        load_weights(tiny_resnet(), read(tmp_path, state)[0], "x")


class Foreign:
    """A class that no file of weights needs; `made` counts its instances."""

    made = 0

    def __reduce__(self):
        return Foreign.make, ()

    @classmethod
    def make(cls):
        cls.made += 1
        return cls()


@pytest.mark.parametrize("zipped", [False, True], ids=["the format of 2018", "today's format"])
def test_a_foreign_class_is_named_and_its_code_does_not_run(tmp_path, zipped):
    content = {"state_dict": tiny_resnet().state_dict(), "settings": {"path": Foreign()}}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"x\.pth: not a file of weights alone: it also holds .*; if you trust"):
        read_weights(tmp_path / "x.pth")
    assert Foreign.made == 0


def test_a_torchscript_program_is_named(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "x.pt"))
    with pytest.raises(UserError, match="a TorchScript program"):
        read_weights(tmp_path / "x.pt")


def test_values_beside_the_tensors_of_a_state_dict_are_named(tmp_path):
    with pytest.raises(UserError, match="'scales' is a list beside the tensors"):
        read(tmp_path, tiny_resnet().state_dict() | {"scales": [1.0]})
    with pytest.raises(UserError, match="0 is a Tensor beside"):
        read(tmp_path, {0: torch.ones(2)})
    with pytest.raises(UserError, match=r"holds 'fc\.bias' twice"):
        read(tmp_path, {"fc.bias": torch.ones(2), "module.fc.bias": torch.zeros(2)})


@pytest.mark.parametrize("reader", ["load_file", "safe_open", "torch.load"])
@pytest.mark.parametrize("lost", [False, True], ids=["passed on", "turned into another error"])
def test_ctrl_c_ends_the_program_while_weights_load(tmp_path, monkeypatch, reader, lost):
    """Compiled code that calls Python turns the exception of a signal into an error of its own."""
    path = tmp_path / ("x.pth" if reader == "torch.load" else "x.safetensors")
    torch.save({}, path) if reader == "torch.load" else save_file({"a": torch.ones(2)}, path)

    def interrupted(*_, **__):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            if not lost:
                raise
        raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'")

    if reader == "torch.load":
        monkeypatch.setattr(torch, "load", interrupted)
    else:
        monkeypatch.setattr(weights, reader, interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_weights(path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
