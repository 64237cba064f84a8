"""The stages of a network: their names, their order and their features."""

import math
from typing import Any

import pytest
import timm
import torch
from helpers import TINY_RESNET, tiny_resnet
from torch import nn
from torchvision.models import AlexNet, ResNet, VisionTransformer
from torchvision.models.resnet import BasicBlock

from shapebias.errors import UserError
from shapebias.networks.models import classifier
from shapebias.networks.stages import Stage, average_positions, coarse_pixels, feature_maps, find_stages, read_stages

VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "num_heads": 3}
SWIN: dict[str, Any] = {
    "img_size": 64,
    "patch_size": 4,
    "window_size": 4,
    "embed_dim": 12,
    "depths": (1, 1),
    "num_heads": (2, 2),
}
COATNET: dict[str, Any] = {"img_size": 64, "depths": [1, 1, 1, 1], "embed_dim": [8, 32, 32, 32], "stem_width": [8, 8]}
TWINS: dict[str, Any] = {
    "img_size": 32,
    "embed_dims": (8, 16),
    "depths": (2, 1),
    "num_heads": (1, 1),
    "sr_ratios": (2, 1),
}


def torchvision_vit() -> nn.Module:
    network = VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=4)
    network.pretrained_cfg = {"classifier": "heads.head"}  # ty: ignore[invalid-assignment]
    return network


def torchvision_resnet() -> nn.Module:
    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=4)
    network.pretrained_cfg = {"classifier": "fc"}  # ty: ignore[invalid-assignment]
    return network


def torchvision_alexnet() -> nn.Module:
    network = AlexNet(num_classes=4)
    network.pretrained_cfg = {"classifier": "classifier.6"}  # ty: ignore[invalid-assignment]
    return network


NETWORKS = {
    "resnet": (tiny_resnet, 32, {"act1": 16, "layer1": 8, "layer2": 8, "layer3": 8, "layer4": 8}, 8),
    "convnext": (
        lambda: timm.create_model("convnext_atto", depths=(1, 1, 2, 1), dims=(8, 16, 24, 32)),
        32,
        {"stages.0": 8, "stages.1": 16, "stages.2": 24, "stages.3": 32},
        32,
    ),
    "vit": (
        lambda: timm.create_model("vit_tiny_patch16_224", depth=3, **VIT),
        32,
        {"blocks.0": 12, "blocks.1": 12, "blocks.2": 12},
        12,
    ),
    "swin": (  # channels last; width, height and channels are equal except in the last map
        lambda: timm.create_model("swin_tiny_patch4_window7_224", **SWIN),
        64,
        {"layers.0": 12, "layers.1": 24},
        24,
    ),
    "coatnet": (
        lambda: timm.create_model("coatnet_pico_rw_224", **COATNET),
        64,
        {"stem": 8, "stages.0": 8, "stages.1": 32, "stages.2": 32, "stages.3": 32},
        32,
    ),
    "efficientnet": (
        lambda: timm.create_model("tf_efficientnet_lite0", num_classes=4),
        32,
        {"blocks.0": 16, "blocks.1": 24, "blocks.2": 40, "blocks.4": 112, "blocks.6": 320},
        1280,
    ),
    "twins": (  # declares modules that do not exist
        lambda: timm.create_model("twins_pcpvt_small", **TWINS),
        32,
        {"blocks.0.1": 8, "blocks.1.0": 16},
        16,
    ),
    "torchvision resnet": (torchvision_resnet, 64, {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}, 512),
    "torchvision vit": (torchvision_vit, 32, {f"encoder.layers.encoder_layer_{k}": 8 for k in range(3)}, 8),
    "alexnet": (torchvision_alexnet, 64, {"features.2": 64, "features.5": 192, "features.12": 256}, 4096),
}


@pytest.mark.parametrize(("build", "size", "blocks", "last"), NETWORKS.values(), ids=NETWORKS)
def test_stages_are_the_pixels_the_blocks_and_the_input_of_the_classifier(build, size, blocks, last):
    torch.manual_seed(0)
    network = build()
    stages = find_stages(network, size)
    assert [stage.name for stage in stages] == ["pixels", *blocks, "penultimate"]
    depths = [stage.depth for stage in stages]
    assert depths == sorted(set(depths)) and (depths[0], depths[-1]) == (0, 1)
    images = torch.randn(3, 3, size, size)
    network.eval()
    with torch.no_grad():
        plain = network(images)
        with read_stages(network, stages) as latest:
            read_while = network(images)
        assert {name: rows.shape for name, rows in latest.items()} == {
            name: (3, width) for name, width in {"pixels": 192, **blocks, "penultimate": last}.items()
        }
        assert all(rows.dtype == torch.float32 for rows in latest.values())
        torch.testing.assert_close(classifier(network)(latest["penultimate"]), plain)
    assert torch.equal(plain, read_while)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_depth_is_the_share_of_layers_with_weights_before_a_stage():
    # Sixteen layers: three convolutions in the stem, two and a shortcut in each of four blocks, and the classifier.
    stages = find_stages(tiny_resnet(), 32)
    assert [stage.depth for stage in stages] == [0, 3 / 16, 6 / 16, 9 / 16, 12 / 16, 15 / 16, 1]


def test_a_deep_transformer_is_read_at_every_second_block_up_to_the_last():
    network = timm.create_model("vit_tiny_patch16_224", depth=24, **VIT)
    blocks = [stage.name for stage in find_stages(network, 32)][1:-1]
    assert blocks == [f"blocks.{k}" for k in range(1, 24, 2)]


def test_a_network_with_two_classifiers_has_no_penultimate_stage():
    network = timm.create_model("deit_tiny_distilled_patch16_224", depth=2, **VIT)
    assert [stage.name for stage in find_stages(network, 32)] == ["pixels", "blocks.0", "blocks.1"]


def test_find_stages_changes_neither_mode_nor_statistics():
    network = tiny_resnet().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    find_stages(network, 32)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_without_known_blocks_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UserError, match="Sequential: its stages are unknown"):
        find_stages(network, 16)


def test_unsupported_image_sizes_are_refused():
    with pytest.raises(UserError, match="takes no images of 40 × 40"):
        find_stages(timm.create_model("vit_tiny_patch16_224", depth=1, **VIT), 40)


def test_features_are_means_over_positions_in_every_layout():
    maps = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)
    # Each channel holds sixteen consecutive numbers, so their mean is the first number plus 7.5.
    means = torch.tensor([[7.5, 23.5, 39.5], [55.5, 71.5, 87.5]])
    assert torch.equal(average_positions(maps, 2, channels_last=False), means)
    assert torch.equal(average_positions(maps.permute(0, 2, 3, 1), 2, channels_last=True), means)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(average_positions(tokens, 2, channels_last=False), means)
    prefixed = torch.cat([torch.full((2, 2, 3), math.inf), tokens], dim=1)  # a class token and a register
    assert torch.equal(average_positions(prefixed, 2, channels_last=False), means)
    assert torch.equal(average_positions(means, 2, channels_last=False), means)
    branches = [maps, (tokens, (4, 4)), torch.zeros(32, 3)]  # ignored: sizes, and a tensor without one row per image
    assert torch.equal(average_positions(branches, 2, channels_last=False), torch.cat([means, means], dim=1))


def test_all_outputs_of_a_block_with_a_row_per_image_are_its_features():
    maps, vectors = torch.zeros(2, 3, 4, 4), torch.ones(2, 5)
    assert feature_maps(maps, batch=2) == [maps]
    output = {"maps": maps, "branches": [vectors, torch.zeros(7)], "name": "stage"}
    assert [tuple(features.shape) for features in feature_maps(output, batch=2)] == [(2, 3, 4, 4), (2, 5)]


def test_pixels_are_the_mean_colours_of_an_eight_by_eight_grid():
    images = torch.zeros(1, 3, 16, 16)
    images[0, 0, :2, :2] = 1.0  # red fills the first patch
    images[0, 2, 14:, 15] = 1.0  # blue fills half of the last
    row = coarse_pixels(images)[0]
    assert row.shape == (192,)
    assert (row[0], row[-1], row.sum()) == (1.0, 0.5, 1.5)


def test_a_map_with_equal_width_and_channels_has_the_layout_of_the_other_maps():
    square = SWIN | dict[str, Any]({"img_size": 48, "window_size": 3})
    network = timm.create_model("swin_tiny_patch4_window7_224", **square)
    stages = {stage.name: stage for stage in find_stages(network, 48)}
    caught = []
    network.get_submodule("layers.0").register_forward_hook(lambda _, inputs, output: caught.append(output))
    with torch.no_grad(), read_stages(network.eval(), list(stages.values())) as latest:
        network(torch.randn(2, 3, 48, 48))
    assert caught[0].shape == (2, 12, 12, 12)
    torch.testing.assert_close(latest["layers.0"], caught[0].mean(dim=(1, 2)))
    assert stages["layers.0"] == Stage("layers.0", stages["layers.0"].depth, channels_last=True)


def test_only_features_of_the_last_batch_are_stored():
    network = timm.create_model("resnet10t", num_classes=2, **TINY_RESNET).eval()
    stages = find_stages(network, 32)
    with torch.no_grad(), read_stages(network, stages) as latest:
        network(torch.randn(4, 3, 32, 32))
        images = torch.randn(1, 3, 32, 32)
        network(images)
    assert {len(rows) for rows in latest.values()} == {1}
    assert torch.equal(latest["pixels"], coarse_pixels(images))
