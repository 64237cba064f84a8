"""Initialization: the origin of weights and head, and the part of the network that learns."""

import json
import logging

import pytest
import timm
import torch
import torchvision
from helpers import TINY_RESNET, tiny_resnet
from safetensors.torch import save_file
from timm.optim import create_optimizer_v2
from torch import nn

from shapebias.categories import ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.networks.models import build
from shapebias.training.initialization import freeze, initial_network, layer_groups, published_weights, training_mode

ANIMALS = ["cat", "dog"]


def equal(first: nn.Module, second: nn.Module, part: str = "") -> bool:
    """Whether two networks, or a part of both, have the same weights."""
    states = (network.get_submodule(part).state_dict() for network in (first, second))
    pairs = zip(*(state.values() for state in states), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def start(classes=ANIMALS, *, init="scratch", seed=0):
    return initial_network("resnet10t", list(classes), kwargs=TINY_RESNET, init=str(init), seed=seed)


@pytest.fixture
def write_trained(tmp_path):
    """Return a function that writes a network as scripts/train.py does, and returns it with its file."""

    def write(classes, **metadata):
        network, path = tiny_resnet(len(classes), seed=7), tmp_path / "model.safetensors"
        content = {"classes": dict.fromkeys(classes, "")} | metadata
        save_file(network.state_dict(), path, metadata={"shapebias": json.dumps(content)})
        return network, path

    return write


# Origin of the weights


def test_the_seed_determines_the_weights_from_scratch():
    first, repeated, second_seed = start(seed=3), start(seed=3), start(seed=4)
    assert (first.init, first.head, first.lineage) == ("scratch", "new", [])
    assert equal(first.network, repeated.network) and not equal(first.network, second_seed.network)


def test_averaged_weights_of_a_checkpoint_are_named(tmp_path):
    network, path = tiny_resnet(1000, seed=7), tmp_path / "checkpoint.pth"
    torch.save({"state_dict": tiny_resnet(1000).state_dict(), "state_dict_ema": network.state_dict()}, path)
    initial = start(init=path)
    assert initial.init == "checkpoint.pth (state_dict_ema)"
    assert equal(initial.network, network, "layer1")


def test_weights_of_the_same_classes_keep_their_head_and_lineage(write_trained):
    before = [{"regime": "in", "epochs": 8}]
    network, path = write_trained(ANIMALS, regime="sin", lineage=before)
    initial = start(init=path)
    assert (initial.init, initial.head, initial.lineage) == ("sin", "kept", before)
    assert equal(initial.network, network)


def test_weights_of_entirely_different_classes_get_a_new_head_from_the_seed(write_trained, caplog):
    network, path = write_trained(["melanoma", "other", "neither"])
    with caplog.at_level(logging.INFO):
        initial, repeated, second_seed = start(init=path, seed=1), start(init=path, seed=1), start(init=path, seed=2)
    assert (initial.init, initial.head) == ("model.safetensors", "new")
    assert "has other classes; a new classifier with 2 outputs is initialized" in caplog.text
    assert equal(initial.network, network, "layer4") and initial.network.get_parameter("fc.weight").shape[0] == 2
    assert equal(initial.network, repeated.network, "fc") and not equal(initial.network, second_seed.network, "fc")
    assert equal(initial.network, start(seed=1).network, "fc")  # as if from scratch


@pytest.mark.parametrize(
    ("file_classes", "message"),
    [
        (["cat", "cow"], "1 are not of these images, first 'cow'; 1 of these images are not of the file, first 'dog'"),
        (["cat"], r"\(1\) than these images have \(2\): 1 of these images are not of the file, first 'dog'"),
        (["dog", "cat"], "another order, first 'dog' where these images have 'cat'"),
    ],
    ids=["some", "fewer", "order"],
)
def test_weights_that_share_some_classes_are_refused_with_the_differences(write_trained, file_classes, message):
    _, path = write_trained(file_classes)
    with pytest.raises(UserError, match=message):
        start(init=path)


def test_a_foreign_file_of_1000_outputs_keeps_its_head_only_for_ilsvrc_s_classes(tmp_path):
    network, path = tiny_resnet(1000, seed=7), tmp_path / "resnet-0123abcd.pth.tar"
    torch.save({"state_dict": nn.DataParallel(network).state_dict(), "epoch": 90}, path)
    complete = start(ilsvrc_wnids(), init=path)
    assert (complete.init, complete.head) == ("resnet-0123abcd.pth.tar", "kept")
    assert equal(complete.network, network)
    for classes in (ANIMALS, ilsvrc_wnids()[:207], ilsvrc_wnids()[::-1]):
        initial = start(classes, init=path)
        assert initial.head == "new"
        assert equal(initial.network, network, "layer4")
        assert equal(initial.network, start(classes).network, "fc")


@pytest.mark.parametrize("outputs", [21, None], ids=["of another size", "none"])
def test_a_foreign_head_that_does_not_fit_ilsvrc_s_classes_is_replaced(tmp_path, outputs):
    network = tiny_resnet(outputs or 0, seed=7)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    initial = start(ilsvrc_wnids(), init=tmp_path / "x.pth")
    assert initial.head == "new" and equal(initial.network, network, "layer4")


def test_a_foreign_file_of_another_architecture_is_refused_with_the_differences(tmp_path):
    torch.save(timm.create_model("convnext_atto", depths=[1] * 4, dims=[8] * 4).state_dict(), tmp_path / "x.pth")
    for classes in (ANIMALS, ilsvrc_wnids()):
        with pytest.raises(UserError, match=r"x\.pth: weights of another architecture than ResNet: .* missing, first"):
            start(classes, init=tmp_path / "x.pth")


def test_weights_may_come_from_a_package(write_trained, tmp_path, monkeypatch):
    network, path = write_trained(ANIMALS)
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "__init__.py").touch()
    path.rename(tmp_path / "carrier" / "w.safetensors")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert equal(start(init="package:carrier/w.safetensors").network, network)


def test_published_weights_keep_their_head_only_for_ilsvrc_s_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # as if downloaded
    network = build("torchvision/squeezenet1_1")
    file = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / file)

    state, metadata = published_weights("torchvision/squeezenet1_1", {})
    save_file(state, tmp_path / "fetched.safetensors", {"shapebias": json.dumps(metadata)})

    def published(classes, init):
        return initial_network("torchvision/squeezenet1_1", classes, kwargs={}, init=init, seed=0)

    # Weights from the internet and from a file of them give the same result.
    for init in ("pretrained", str(tmp_path / "fetched.safetensors")):
        complete = published(ilsvrc_wnids(), init)
        assert (complete.init, complete.head) == ("pretrained", "kept") and equal(complete.network, network)
        for classes in (ANIMALS, ilsvrc_wnids()[::-1]):
            initial = published(classes, init)
            assert (initial.init, initial.head) == ("pretrained", "new") and equal(initial.network, network, "features")
            assert initial.network.get_parameter("classifier.1.weight").shape[0] == len(classes)
            scratch = published(classes, "scratch")
            assert equal(initial.network, scratch.network, "classifier")


def test_a_network_with_two_classifiers_gets_two_new_classifiers(tmp_path):
    small = {"depth": 1, "img_size": 32, "embed_dim": 12, "num_heads": 3}
    network = build("deit_tiny_distilled_patch16_224", kwargs=small)
    save_file(network.state_dict(), tmp_path / "x.safetensors")
    initial = initial_network(
        "deit_tiny_distilled_patch16_224", ANIMALS, kwargs=small, init=str(tmp_path / "x.safetensors"), seed=0
    )
    assert initial.head == "new" and equal(initial.network, network, "blocks")
    assert {initial.network.get_parameter(f"{head}.weight").shape[0] for head in ("head", "head_dist")} == {2}


# Parts that learn


def learning(network: nn.Module) -> set[str]:
    """Return the parts of a network that learn, two levels deep."""
    return {".".join(name.split(".")[:2]) for name, p in network.named_parameters() if p.requires_grad}


def resnet():
    return tiny_resnet()


def vit():
    return timm.create_model("vit_tiny_patch16_224", depth=3, embed_dim=12, img_size=32, num_classes=2)


def convnext():
    return timm.create_model("convnext_atto", depths=[1, 1, 2, 1], dims=[8] * 4, num_classes=2)


@pytest.mark.parametrize(
    ("make", "trainable", "parts"),
    [
        (resnet, "head", {"fc.weight", "fc.bias"}),
        (resnet, 1, {"fc.weight", "fc.bias"}),
        (resnet, 2, {"layer4.0", "fc.weight", "fc.bias"}),
        (vit, "head", {"head.weight", "head.bias"}),
        (vit, 1, {"head.weight", "head.bias"}),
        (vit, 2, {"blocks.2", "norm.weight", "norm.bias", "head.weight", "head.bias"}),
        (convnext, "head", {"head.fc"}),
        (convnext, 1, {"head.norm", "head.fc"}),
        (convnext, 2, {"stages.3", "head.norm", "head.fc"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_last_layer_groups_of_timm_learn(make, trainable, parts):
    network = make()
    freeze(network, trainable)
    assert learning(network) == parts


@pytest.mark.parametrize(("make", "count"), [(resnet, 6), (vit, 5), (convnext, 7)])
def test_all_groups_include_every_parameter_and_more_groups_are_refused(make, count):
    network = make()  # a ResNet's stem, four stages of a block and head; a ViT's stem, three blocks and head; …
    freeze(network, count)
    assert all(p.requires_grad for p in network.parameters())
    with pytest.raises(UserError, match=f"trainable {count + 1}: .* has 1 to {count} layer groups"):
        freeze(network, count + 1)
    freeze(network, "head")
    freeze(network, "all")
    assert all(p.requires_grad for p in network.parameters())


def test_layer_groups_equal_those_of_timm_s_layer_wise_learning_rates():
    network = vit()
    optimizer = create_optimizer_v2(network, opt="sgd", lr=1.0, layer_decay=0.5)
    rate = {id(p): group["lr_scale"] for group in optimizer.param_groups for p in group["params"]}
    groups = layer_groups(network)
    assert all(rate[id(p)] == 0.5 ** (4 - groups[name]) for name, p in network.named_parameters())


def test_torchvision_networks_have_a_head_but_no_layer_groups():
    network = build("torchvision/squeezenet1_1", classes=2)
    freeze(network, "head")
    assert learning(network) == {"classifier.1"}
    with pytest.raises(UserError, match="SqueezeNet: torchvision's networks have no layer groups"):
        freeze(network, 2)


def modes(network: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in network.named_modules()}


def test_frozen_parts_stay_in_eval_mode():
    network = resnet()
    freeze(network, 2)
    training_mode(network, 2)
    training_of = modes(network)
    assert all(training == name.startswith(("layer4", "fc")) for name, training in training_of.items())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(torch.rand(4, 3, 32, 32))
    changed = {key.split(".")[0] for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"layer4"}  # running means of batch norm


def test_a_partly_frozen_vit_applies_dropout_only_in_the_parts_that_learn():
    network = timm.create_model("vit_tiny_patch16_224", depth=3, embed_dim=12, img_size=32, proj_drop_rate=0.5)
    freeze(network, 2)
    training_mode(network, 2)
    training_of = modes(network)
    assert training_of["blocks.2.mlp.drop1"] and training_of["norm"] and training_of["head"]
    assert not any(
        training_of[name] for name in ("", "pos_drop", "patch_embed", "blocks.0.mlp.drop1", "blocks.1.norm1")
    )


def test_with_a_frozen_backbone_only_the_classifier_is_in_train_mode():
    network = convnext()
    freeze(network, "head")
    training_mode(network, "head")
    assert [name for name, training in modes(network).items() if training] == ["head.fc"]


def test_training_mode_all_ends_an_earlier_freeze():
    network = resnet()
    training_mode(network, "head")
    training_mode(network, "all")
    assert all(modes(network).values())
