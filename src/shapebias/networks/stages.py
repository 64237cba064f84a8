"""The stages of a network, from its input pixels to the input of its classifier, and the features at each stage.

A stage's feature maps are averaged over all positions, as most networks do themselves before the classifier. The
result is one number per channel. Stages of any resolution can then be compared, and a linear read-out from a few
hundred images stays well posed. The mean loses the position of objects. The pixels serve as the baseline and keep a
coarse layout.
"""

import logging
import math
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.networks.models import classifier, input_dtype, memory_format

log = logging.getLogger(__name__)

PIXELS, PENULTIMATE = "pixels", "penultimate"
PIXEL_GRID = 8  # patches per side
MAX_BLOCKS = 12  # in a deeper transformer, every second or third block is read
# Block names in torchvision's networks, which declare no blocks; timm's networks declare theirs (feature_info).
TORCHVISION_BLOCKS = re.compile(
    r"stem|(layer|stage)\d|conv5|trunk_output\.block\d|Mixed_\d\w|inception\d\w"
    r"|(encoder\.)?(features|blocks|layers|stages)\.\w+"
)


@dataclass(frozen=True)
class Stage:
    """A place in a network where features are read.

    name: `pixels`, the name of a module, or `penultimate` (the classifier's input). depth: share of the layers with
    weights that an image has passed at the end of the stage; the classifier counts as a layer. `penultimate` has depth
    1, the last place that can be read. channels_last: the feature maps are [B, H, W, C].
    """

    name: str
    depth: float
    channels_last: bool = False


@torch.no_grad()
def find_stages(network: nn.Module, size: int) -> list[Stage]:
    """Return the stages of a network for images of `size` × `size`, in the order of computation.

    Blocks of a timm network are those that timm declares; blocks of a torchvision network are its top-level blocks. At
    most MAX_BLOCKS blocks are returned, evenly spaced, always with the last one. A network whose classifier is not a
    single layer has no penultimate stage. Raises UserError if the network has no known blocks or does not take images
    of this size.
    """
    layout = memory_format(network, size)
    device = next(network.parameters()).device
    head = classifier_or_none(network)
    # name → number of layers up to the block's end, shapes of its maps
    blocks: dict[str, tuple[int, list[tuple[int, ...]]]] = {}
    layers = 0
    at_head: int | None = None

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal layers, at_head
        if module is head:
            at_head = layers
        layers += 1

    def record_shapes(name: str, output: Any) -> None:
        if at_head is None:
            blocks.pop(name, None)  # a block that runs twice counts where it ends
            blocks[name] = layers, [tuple(features.shape) for features in feature_maps(output, batch=2)]

    was_training = network.training
    hooks = [
        module.register_forward_pre_hook(count)
        for module in network.modules()
        if module is head or is_weight_layer(module)
    ]
    for name in block_names(network):
        module = network.get_submodule(name)
        hooks.append(
            module.register_forward_hook(partial(lambda name, _, inputs, output: record_shapes(name, output), name))
        )
    try:
        blank = torch.zeros(2, 3, size, size, device=device, dtype=input_dtype(network))
        network.eval()(blank.contiguous(memory_format=layout))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    blocks = {name: (depth, shapes) for name, (depth, shapes) in blocks.items() if shapes}
    if not blocks:
        raise UserError(
            f"network {type(network).__name__}: its stages are unknown; use a timm network that declares feature_info"
        )
    # Square images make square maps, so the dimension that differs from the two others holds the channels. If width
    # and channels are equal, the map has the same layout as the rest of the network.
    last = any(shape[1] == shape[2] != shape[3] for _, shapes in blocks.values() for shape in shapes if len(shape) == 4)
    # Blocks without a layer between them, such as a pooling after another block, count as one place.
    ends = {depth: name for name, (depth, _) in blocks.items()}
    stages = [Stage(name, depth / layers, last) for depth, name in select_evenly(list(ends.items()))]
    penultimate = [] if at_head is None else [Stage(PENULTIMATE, 1.0)]
    if not penultimate:
        log.warning(
            "%s: the classifier is not a single layer, so there is no penultimate stage", type(network).__name__
        )
    return [Stage(PIXELS, 0.0), *stages, *penultimate]


def classifier_or_none(network: nn.Module) -> nn.Module | None:
    """Return the classifier if it is a single layer, else None."""
    try:
        return classifier(network)
    except UserError:
        return None


def is_weight_layer(module: nn.Module) -> bool:
    """Whether a module has a weight matrix: a convolution, linear layer or attention; no norm or embedding."""
    parameters = module.named_parameters(recurse=False)
    return any(name.endswith("weight") and parameter.ndim > 1 for name, parameter in parameters)


def block_names(network: nn.Module) -> list[str]:
    """Return the names of a network's blocks, in no particular order."""
    modules = dict(network.named_modules())
    declared = [entry.get("module") for entry in getattr(network, "feature_info", [])]
    # Single layers are parts of a block, except the poolings at the ends of the blocks of AlexNet and VGG.
    names = [name for name in declared if name in modules] or [
        name
        for name, module in modules.items()
        if TORCHVISION_BLOCKS.fullmatch(name) and (list(module.children()) or isinstance(module, nn.MaxPool2d))
    ]
    # A ModuleList itself is never called; its last module ends the block.
    ends = [
        f"{name}.{len(block) - 1}" if isinstance(block := modules[name], nn.ModuleList) and len(block) else name
        for name in names
    ]
    return list(dict.fromkeys(ends))


def select_evenly(blocks: list[Any]) -> list[Any]:
    """Return at most MAX_BLOCKS blocks, evenly spaced, always with the last one."""
    step = math.ceil(len(blocks) / MAX_BLOCKS)
    return blocks[::-1][::step][::-1]


def feature_maps(output: Any, batch: int) -> list[torch.Tensor]:
    """Return the tensors of a block's output that have one row per image.

    Most blocks have one; blocks with branches have one per branch (HRNet, CrossViT).
    """
    if isinstance(output, torch.Tensor):
        return [output] if output.ndim in (2, 3, 4) and len(output) == batch else []
    if isinstance(output, dict):
        output = list(output.values())
    return (
        [features for part in output for features in feature_maps(part, batch)]
        if isinstance(output, list | tuple)
        else []
    )


def average_positions(output: Any, batch: int, channels_last: bool) -> torch.Tensor:
    """Return the mean over all positions of a block's output, float32 [B, C]; branches are concatenated.

    Feature maps are [B, C, H, W] or [B, H, W, C]. Tokens are [B, N, C]; the tokens before the square grid of patches
    (class and register tokens) are left out, because the penultimate features contain their information. Rows [B, C]
    stay as they are.
    """
    parts = []
    for features in feature_maps(output, batch):
        values = features.float()
        if values.ndim == 4:
            values = values.mean(dim=(1, 2) if channels_last else (2, 3))
        elif values.ndim == 3:
            grid = math.isqrt(values.shape[1]) ** 2
            values = values[:, values.shape[1] - grid :].mean(dim=1)
        parts.append(values)
    return torch.cat(parts, dim=1)


def coarse_pixels(images: torch.Tensor) -> torch.Tensor:
    """Return mean colours of PIXEL_GRID × PIXEL_GRID patches, float32 [B, 3 · PIXEL_GRID²]; images: [B, 3, H, W]."""
    return F.adaptive_avg_pool2d(images.float().contiguous(), PIXEL_GRID).flatten(1)


@contextmanager
def read_stages(network: nn.Module, stages: list[Stage]) -> Generator[dict[str, torch.Tensor]]:
    """Record the features at each stage while a network processes images; its output does not change.

    Yields stage → features of the latest batch, float32 [B, D] on the network's device.
    """
    latest: dict[str, torch.Tensor] = {}

    def start_batch(images: torch.Tensor) -> None:
        latest.clear()
        latest[PIXELS] = coarse_pixels(images)

    def record(stage: Stage, output: Any) -> None:
        # Average at once, because a later layer may change the output in place. A block that runs twice is read at its
        # end.
        latest[stage.name] = average_positions(output, len(latest[PIXELS]), stage.channels_last)

    hooks = [network.register_forward_pre_hook(lambda _, inputs: start_batch(inputs[0]))]
    for stage in stages:
        if stage.name == PENULTIMATE:
            catch_input = partial(lambda stage, _, inputs: record(stage, inputs[0]), stage)
            hooks.append(classifier(network).register_forward_pre_hook(catch_input))
        elif stage.name != PIXELS:
            catch_output = partial(lambda stage, _, inputs, output: record(stage, output), stage)
            hooks.append(network.get_submodule(stage.name).register_forward_hook(catch_output))
    try:
        yield latest
    finally:
        for hook in hooks:
            hook.remove()
