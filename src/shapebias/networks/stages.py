"""The stages of a network, from its input pixels to what its classifier is given, and the features at each.

A stage's feature maps are averaged over all positions, as most networks do themselves before they classify: one
number a channel, so stages of any resolution compare, and a linear read-out of a few hundred images stays well
posed. What the mean leaves out is where something is. The pixels, which serve as the baseline, keep a coarse layout.
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
from shapebias.networks.models import classifier, memory_format

log = logging.getLogger(__name__)

PIXELS, PENULTIMATE = "pixels", "penultimate"
PIXEL_GRID = 8  # a side
MOST_BLOCKS = 12  # of a deep transformer every second or third block is read
# What blocks are called in networks that declare none, as all of timm's do (feature_info): torchvision's families.
USUAL_BLOCKS = re.compile(
    r"stem|(layer|stage)\d|conv5|trunk_output\.block\d|Mixed_\d\w|inception\d\w"
    r"|(encoder\.)?(features|blocks|layers|stages)\.\w+"
)


@dataclass(frozen=True)
class Stage:
    """A place in a network where features are read.

    name: `pixels`, a module of the network, or `penultimate` (what the classifier is given). depth: the share of the
    layers with weights, the classifier among them, that an image has been through at its end; `penultimate` is at 1,
    the last place that can be read. channels_last: its maps are [B, H, W, C].
    """

    name: str
    depth: float
    channels_last: bool = False


@torch.no_grad()
def find_stages(network: nn.Module, size: int) -> list[Stage]:
    """The stages of a network for images of `size` × `size`, in the order in which it computes them.

    Blocks are those that timm declares for the network, in torchvision's its top-level blocks; at most MOST_BLOCKS
    of them, evenly spaced, the last among them. A network whose classifier is not one layer has no penultimate stage.
    Raises UserError for a network without known blocks, or that takes no images of this size.
    """
    layout = memory_format(network, size)
    device = next(network.parameters()).device
    head = classifier_or_none(network)
    blocks: dict[str, tuple[int, list[tuple[int, ...]]]] = {}  # name → layers up to its end, shapes of its maps
    layers = 0
    at_head: int | None = None

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal layers, at_head
        if module is head:
            at_head = layers
        layers += 1

    def note(name: str, output: Any) -> None:
        if at_head is None:
            blocks.pop(name, None)  # a block that runs twice has its place where it ends
            blocks[name] = layers, [tuple(one.shape) for one in maps_in(output, batch=2)]

    was_training = network.training
    hooks = [module.register_forward_pre_hook(count) for module in network.modules() if module is head or layer(module)]
    for name in block_names(network):
        module = network.get_submodule(name)
        hooks.append(module.register_forward_hook(partial(lambda name, _, inputs, output: note(name, output), name)))
    try:
        network.eval()(torch.zeros(2, 3, size, size, device=device).contiguous(memory_format=layout))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    found = {name: told for name, told in blocks.items() if told[1]}
    if not found:
        raise UserError(
            f"network {type(network).__name__}: no stages are known of it; use one of timm's that declares feature_info"
        )
    # Square images make square maps: where one side differs from the two others, it is the channels. A map that is
    # as wide as it has channels is laid out like the rest of its network.
    last = any(shape[1] == shape[2] != shape[3] for _, maps in found.values() for shape in maps if len(shape) == 4)
    # Blocks without a layer between them, such as a pooling after another block, are one place: its end.
    ends = {before: name for name, (before, _) in found.items()}
    stages = [Stage(name, before / layers, last) for before, name in thinned(list(ends.items()))]
    end = [] if at_head is None else [Stage(PENULTIMATE, 1.0)]
    if not end:
        log.warning("%s: no one layer classifies; there is no penultimate stage", type(network).__name__)
    return [Stage(PIXELS, 0.0), *stages, *end]


def classifier_or_none(network: nn.Module) -> nn.Module | None:
    """The layer that classifies, if it is one layer."""
    try:
        return classifier(network)
    except UserError:
        return None


def layer(module: nn.Module) -> bool:
    """Whether a module is a layer with a matrix of weights: a convolution, linear, attention; no norm or embedding."""
    own = module.named_parameters(recurse=False)
    return any(name.endswith("weight") and parameter.ndim > 1 for name, parameter in own)


def block_names(network: nn.Module) -> list[str]:
    """Where the blocks of a network are, in no particular order."""
    modules = dict(network.named_modules())
    declared = [entry.get("module") for entry in getattr(network, "feature_info", [])]
    # Single layers are steps within a block, but for the poolings that end the blocks of AlexNet and VGG.
    found = [name for name in declared if name in modules] or [
        name
        for name, module in modules.items()
        if USUAL_BLOCKS.fullmatch(name) and (list(module.children()) or isinstance(module, nn.MaxPool2d))
    ]
    # A list of modules does not run itself: its last one ends the block.
    ends = [
        f"{name}.{len(one) - 1}" if isinstance(one := modules[name], nn.ModuleList) and len(one) else name
        for name in found
    ]
    return list(dict.fromkeys(ends))


def thinned(blocks: list[Any]) -> list[Any]:
    """At most MOST_BLOCKS of them, evenly spaced, the last among them."""
    step = math.ceil(len(blocks) / MOST_BLOCKS)
    return blocks[::-1][::step][::-1]


def maps_in(output: Any, batch: int) -> list[torch.Tensor]:
    """The tensors of a block's output with a row an image: one as a rule, or one a branch (HRNet, CrossViT)."""
    if isinstance(output, torch.Tensor):
        return [output] if output.ndim in (2, 3, 4) and len(output) == batch else []
    if isinstance(output, dict):
        output = list(output.values())
    return [one for part in output for one in maps_in(part, batch)] if isinstance(output, list | tuple) else []


def pooled(output: Any, batch: int, channels_last: bool) -> torch.Tensor:
    """The mean over all positions of a block's output, float32 [B, C]; branches are laid side by side.

    Maps are [B, C, H, W], or [B, H, W, C]; tokens are [B, N, C]: those before the square grid of patches (class and
    register tokens) are left out, for what they gathered shows in the penultimate features; rows [B, C] stay.
    """
    parts = []
    for one in maps_in(output, batch):
        values = one.float()
        if values.ndim == 4:
            values = values.mean(dim=(1, 2) if channels_last else (2, 3))
        elif values.ndim == 3:
            grid = math.isqrt(values.shape[1]) ** 2
            values = values[:, values.shape[1] - grid :].mean(dim=1)
        parts.append(values)
    return torch.cat(parts, dim=1)


def coarse_pixels(images: torch.Tensor) -> torch.Tensor:
    """Colours of PIXEL_GRID × PIXEL_GRID patches, float32 [B, 3 · PIXEL_GRID²]; images: [B, 3, H, W]."""
    return F.adaptive_avg_pool2d(images.float().contiguous(), PIXEL_GRID).flatten(1)


@contextmanager
def read_stages(network: nn.Module, stages: list[Stage]) -> Generator[dict[str, torch.Tensor]]:
    """Read features while a network is shown images; it computes what it does without.

    Yields stage → features of the batch shown last, float32 [B, D] on the network's device.
    """
    latest: dict[str, torch.Tensor] = {}

    def begin(images: torch.Tensor) -> None:
        latest.clear()
        latest[PIXELS] = coarse_pixels(images)

    def catch(stage: Stage, output: Any) -> None:
        # At once, not when the batch is done: a later layer may work in place. A block that runs twice is read at
        # its end.
        latest[stage.name] = pooled(output, len(latest[PIXELS]), stage.channels_last)

    hooks = [network.register_forward_pre_hook(lambda _, inputs: begin(inputs[0]))]
    for stage in stages:
        if stage.name == PENULTIMATE:
            catch_input = partial(lambda stage, _, inputs: catch(stage, inputs[0]), stage)
            hooks.append(classifier(network).register_forward_pre_hook(catch_input))
        elif stage.name != PIXELS:
            catch_output = partial(lambda stage, _, inputs, output: catch(stage, output), stage)
            hooks.append(network.get_submodule(stage.name).register_forward_hook(catch_output))
    try:
        yield latest
    finally:
        for hook in hooks:
            hook.remove()
