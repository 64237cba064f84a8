"""Names read from the source of timm, torchvision, seaborn and matplotlib equal those of the imported packages."""

import inspect
import sys

import matplotlib as mpl
import pytest
import seaborn as sns
import timm
from timm.models import get_pretrained_cfg
from torch import nn
from torchvision import models

from shapebias.config import registries


def test_networks_of_timm():
    assert set(registries.networks_by_source("timm")) == set(timm.list_models())


def test_networks_and_weights_of_torchvision():
    classifiers = set(models.list_models(module=models))
    assert set(registries.networks_by_source("torchvision")) >= classifiers
    for name in classifiers:
        weights = set(models.get_model_weights(name).__members__)
        assert set(registries.weights_of("torchvision", name)) | {"DEFAULT"} == weights | {"DEFAULT"}


def test_weights_of_timm():
    tags: dict[str, set[str]] = {}
    for name in timm.list_models(pretrained=False, include_tags=True):
        network, _, tag = name.partition(".")
        tags.setdefault(network, set()).add(tag)
    read = {name: set(weights) for name in tags if (weights := registries.weights_of("timm", name))}
    assert len(read) > 1000
    assert {name: weights for name, weights in read.items() if weights < tags[name]} == {}


def test_input_sizes_of_timm():
    read = {name: registries.input_size_of("timm", name, "") for name in timm.list_models()}
    fixed = {name: size for name, size in read.items() if size}
    assert len(fixed) > 200 and set(fixed.values()) > {224, 384}
    for name, size in fixed.items():
        cfg = get_pretrained_cfg(name)
        assert cfg is not None and cfg.fixed_input_size and cfg.input_size[-1] == size, name


@pytest.mark.parametrize(("tag", "size"), [("", 224), ("IMAGENET1K_V1", 224), ("IMAGENET1K_SWAG_E2E_V1", 384)])
def test_input_sizes_of_torchvision(tag, size):
    assert models.get_model_weights("vit_b_16")[tag or "IMAGENET1K_V1"].transforms().crop_size == [size]
    assert registries.input_size_of("torchvision", "vit_b_16", tag) == size
    assert registries.input_size_of("torchvision", "resnet50", tag) is None


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_arguments_of_networks(package):
    """No argument of any class in a network's module is refused."""
    if package == "timm":
        builders = {name: timm.model_entrypoint(name) for name in timm.list_models()}
    else:
        builders = {name: models.get_model_builder(name) for name in models.list_models(module=models)}
    networks = {inspect.unwrap(builder).__module__: name for name, builder in builders.items()}  # one of each module
    for module, name in networks.items():
        classes = [value for value in vars(sys.modules[module]).values() if inspect.isclass(value)]
        local = [c for c in classes if c.__module__.startswith(f"{package}.models") and issubclass(c, nn.Module)]
        own = [c for c in local if "__init__" in vars(c)]
        arguments = {key for c in own for key in inspect.signature(c.__init__).parameters}
        assert arguments - {"args"} <= registries.argument_words(package, name) | {"kwargs"}, name
        assert "chanels" not in registries.argument_words(package, name)
    common = {"num_classes", "in_chans", "pretrained_cfg_overlay", "features_only", "global_pool", "img_size"}
    assert package == "torchvision" or common <= registries.argument_words("timm", "vit_tiny_patch16_224")
    assert not registries.argument_words(package, "no_such_network")


def test_palettes_of_seaborn():
    names = {*mpl.colormaps, *sns.palettes.SEABORN_PALETTES, "hls", "husl"} - {"jet"}
    assert [name for name in names if not registries.is_palette(name)] == []
    for name in registries.palettes():
        if name != "jet":
            sns.color_palette(name)
