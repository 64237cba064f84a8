"""Style transfer by optimization (Gatys, Ecker and Bethge, CVPR 2016): the method of the published cue conflicts.

L-BFGS changes the pixels of an image until its features in a network resemble those of the content, and the Gram
matrices of its features those of the style. As in the authors' code (leongatys/PytorchNeuralStyleTransfer), the image
starts as the content, features are taken after the ReLU, and values are clipped to [0, 1] at the end.

Two things differ. The authors scale VGG-19 so that activations have about the same size in all layers. Here, any
network can give the features, so the error of each layer is divided by the squared norm of its target instead. And the
optimizer's variables are the image divided by a filter that favours low frequencies (Olah, Mordvintsev and Schubert,
Feature visualization, Distill 2017, doi 10.23915/distill.00007). That moves no minimum. With pixels as the variables,
the first steps mostly add fine noise.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.fft import fftfreq, irfft2, rfft2, rfftfreq
from torch.nn import functional as F
from torchvision.models.vgg import VGG

from shapebias.errors import BadImageError, UserError
from shapebias.networks.models import Preparation, build, load_file, preparation
from shapebias.networks.weights import read_weights
from shapebias.stylize.adain import encoder_hash
from shapebias.stylize.gatys_settings import GatysSettings

HISTORY = 20  # steps that L-BFGS remembers; each takes two copies of the image
# Sum of both weights of the losses, of which only the ratio counts. torch's L-BFGS ignores curvatures below 1e-10.
LOSS_SCALE = 1000.0


def gram(features: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean product of each two channels over all positions: [B, C, H, W] → [B, C, C].

    weights: of the positions, [B, 1, h, w] in [0, 1] at any size; without them, all positions count the same.
    """
    flat = features.flatten(2)
    if weights is None:
        return flat @ flat.mT / flat.shape[2]
    weights = F.interpolate(weights, features.shape[2:], mode="area").flatten(2)
    return (flat * weights) @ flat.mT / weights.sum(2, keepdim=True)


def relative_error(values: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return each squared distance from a target, divided by the target's squared norm if it has one: [B, …] → [B]."""
    norm = target.square().flatten(1).sum(1)
    # A target of zeros, such as features of a black image, gives no error of infinite size.
    return (values - target).square().flatten(1).sum(1) / norm.where(norm > 0, 1)


def pack_grams(grams: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the upper triangles of symmetric matrices [B, C, C] as vectors, one after another: [B, D]."""
    return torch.cat([matrix[:, *torch.triu_indices(*matrix.shape[1:])] for matrix in grams], dim=1)


def unpack_grams(vectors: torch.Tensor, channels: Sequence[int]) -> list[torch.Tensor]:
    """Return the matrices [B, C, C] that `pack_grams` packed; channels: C of each."""
    grams = []
    for part, side in zip(vectors.split([c * (c + 1) // 2 for c in channels], dim=1), channels, strict=True):
        rows, columns = torch.triu_indices(side, side)
        matrix = vectors.new_empty(len(vectors), side, side)
        matrix[:, rows, columns] = part
        matrix[:, columns, rows] = part
        grams.append(matrix)
    return grams


def smooth(images: torch.Tensor) -> torch.Tensor:
    """Divide the amplitudes of images by the root of their frequency in cycles per longer side, at least 1.

    images: [B, 3, H, W]; the result has the same shape.
    """
    height, width = images.shape[2:]
    rows, columns = (fft(side, 1 / max(height, width)) for fft, side in ((fftfreq, height), (rfftfreq, width)))
    frequencies = torch.hypot(rows[:, None], columns[None]).clamp_min(1).to(images.device)
    return irfft2(rfft2(images) * frequencies.rsqrt(), s=(height, width))


class GatysStylizer:
    """A network, and the images that match its features. All arithmetic is in float32.

    Raises UserError for a layer that the network does not have, or that gives no feature maps.
    """

    name = "gatys"
    resample = Image.Resampling.BICUBIC

    def __init__(self, network: nn.Module, prepared: Preparation, settings: GatysSettings, device: str = "cpu") -> None:
        self.settings, self.device = settings, torch.device(device)
        # On a CPU, an image's last bits would depend on its neighbours in the batch.
        self.batch_size = 32 if self.device.type == "cuda" else 1
        self.mean, self.std = (
            torch.tensor(values, device=self.device)[:, None, None] for values in (prepared.mean, prepared.std)
        )
        self.content_layers, self.style_layers = (
            module_names(network, names) for names in (settings.content_layers, settings.style_layers)
        )
        self.features = LayerOutputs(network, [*dict.fromkeys(self.content_layers + self.style_layers)]).to(self.device)
        layers = ",".join(self.style_layers)
        self.fingerprint = f"gatys-{encoder_hash(self.features)[:16]}-{layers}"

    def batch(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Convert RGB images of one size to the network's input, [B, 3, H, W]."""
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).to(self.device)
        return ((pixels.permute(0, 3, 1, 2) / 255 - self.mean) / self.std).contiguous()

    def feature_maps(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return layer → features, [B, 3, H, W] → [B, C, h, w].

        Raises UserError for features of another form, and for images of a size that the network does not take.
        """
        height, width = inputs.shape[2:]
        try:
            maps = self.features(inputs)
        except (RuntimeError, AssertionError, ValueError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            raise UserError(
                f"network {self.settings.timm!r} takes no images of {width} × {height} pixels ({error}); choose a "
                f"larger size, or a convolutional network"
            ) from None
        for layer in self.content_layers + self.style_layers:
            values = maps.get(layer)
            if not isinstance(values, torch.Tensor) or values.ndim != 4:
                output = f"values of {values.ndim} dimensions" if isinstance(values, torch.Tensor) else "no tensor"
            elif abs(values.shape[2] * width - values.shape[3] * height) > 2 * max(height, width):
                output = f"values of the form {tuple(values.shape)} for images of {width} × {height} pixels"
            else:
                continue
            raise UserError(
                f"network {self.settings.timm!r}: layer {layer!r} gives {output}; choose a layer that gives feature "
                f"maps [images, channels, height, width]"
            )
        return maps

    def grams(self, maps: dict[str, torch.Tensor], weights: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Return the Gram matrix of each style layer."""
        return [gram(maps[layer], weights) for layer in self.style_layers]

    @torch.no_grad()
    def encode(self, style: Image.Image) -> np.ndarray:
        """Return the Gram matrices of an image at its own size, float32 [D].

        Pixels of an RGBA image count by their opacity, so that a background can be left out. Raises BadImageError if no
        pixel is opaque. Raises UserError if the network does not take images of this size, or gives values that are not
        finite.
        """
        weights = None
        if style.mode == "RGBA":
            opacity = np.asarray(style.getchannel("A"), np.float32) / 255
            if not opacity.any():
                raise BadImageError("the mask of this style is black everywhere; objects are white in a mask")
            weights = torch.from_numpy(opacity)[None, None].to(self.device)
        maps = self.feature_maps(self.batch([style.convert("RGB")]))
        vector = pack_grams(self.grams(maps, weights))[0]
        if not torch.isfinite(vector).all():
            raise UserError(
                f"network {self.settings.timm!r} gives values that are not finite; are its weights those of a trained "
                f"network?"
            )
        return vector.cpu().numpy()

    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """Stylize RGB images of one size, each in its style ([B, D]).

        A strength below 1 mixes the style's Gram matrices with the content's own.
        """
        inputs = self.batch(contents)
        with torch.no_grad():
            maps = self.feature_maps(inputs)
            own = pack_grams(self.grams(maps))
            mixed = own + strength * (torch.from_numpy(np.asarray(styles, np.float32)).to(self.device) - own)
            targets = unpack_grams(mixed, [maps[layer].shape[1] for layer in self.style_layers])
        results = self.optimize(inputs, [maps[layer] for layer in self.content_layers], targets)
        pixels = (results * self.std + self.mean).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        return [Image.fromarray(image) for image in pixels.permute(0, 2, 3, 1).cpu().numpy()]

    def optimize(
        self, inputs: torch.Tensor, contents: Sequence[torch.Tensor], grams: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return the images [B, 3, H, W] after all steps, from `inputs`; raises UserError if they are not finite.

        The network sees all images at once. Each image has an optimizer of its own, whose only evaluation in a step is
        that of the batch, so an image does not depend on the others.
        """
        changes = [torch.zeros_like(image[None]).requires_grad_() for image in inputs]
        optimizers = [
            torch.optim.LBFGS([change], max_iter=1, tolerance_grad=0, tolerance_change=0, history_size=HISTORY)
            for change in changes
        ]
        for _ in range(self.settings.steps):
            losses = self.losses(inputs + smooth(torch.cat(changes)), contents, grams)
            gradients = torch.autograd.grad(losses.sum(), changes)
            for change, gradient, optimizer, loss in zip(changes, gradients, optimizers, losses.detach(), strict=True):
                change.grad = gradient
                optimizer.step(lambda loss=loss: loss)
        results = (inputs + smooth(torch.cat(changes))).detach()
        if not torch.isfinite(results).all():
            raise UserError(
                f"the optimization of gatys diverged in {self.settings.steps} steps, with the weights "
                f"{self.settings.content_weight:g} and {self.settings.style_weight:g}; take fewer steps or other layers"
            )
        return results

    def losses(
        self, images: torch.Tensor, contents: Sequence[torch.Tensor], grams: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Return the loss of each image [B]: the mean over content layers and over style layers, each weighted."""
        maps = self.feature_maps(images)
        own = [maps[layer] for layer in self.content_layers], self.grams(maps)
        content, style = (
            torch.stack([relative_error(value, target) for value, target in zip(values, targets, strict=True)]).mean(0)
            for values, targets in zip(own, (contents, grams), strict=True)
        )
        scale = LOSS_SCALE / (self.settings.content_weight + self.settings.style_weight)
        return scale * (self.settings.content_weight * content + self.settings.style_weight * style)


def module_names(network: nn.Module, layers: Sequence[str]) -> list[str]:
    """Return the modules of these layers; conv4_2 is the ReLU after that convolution in torchvision's VGG networks.

    Raises UserError for a layer that the network does not have.
    """
    modules = {name: name for name, _ in network.named_modules() if name}
    aliases = vgg_layers(network) if isinstance(network, VGG) else {}
    for layer in layers:
        if layer not in aliases | modules:
            names = [*aliases, *modules]
            raise UserError(
                f"{type(network).__name__} has no layer {layer!r}; it has {', '.join(names[:40])}"
                f"{', …' if names[40:] else ''}"
            )
    return [(aliases | modules)[layer] for layer in layers]


def vgg_layers(network: VGG) -> dict[str, str]:
    """Return the paper's name of each convolution → the module of its ReLU: conv1_1 → features.1, …"""
    layers, block, number = {}, 1, 0
    for name, module in network.features.named_children():
        if isinstance(module, nn.MaxPool2d):
            block, number = block + 1, 0
        elif isinstance(module, nn.ReLU):
            number += 1
            layers[f"conv{block}_{number}"] = f"features.{name}"
    return layers


class LayerOutputs(nn.Module):
    """A frozen network that returns the outputs of some of its modules instead of its own: layer → output.

    Hooks take them, because many networks of timm cannot be traced. So the layers behind the last one run too.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.network, self.outputs = network.eval().requires_grad_(False), dict[str, torch.Tensor]()
        for layer in layers:
            network.get_submodule(layer).register_forward_hook(partial(self.keep, layer))

    def keep(self, layer: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A copy: the next operation may overwrite the output, as the sum of a residual block does.
        self.outputs[layer] = output.clone() if isinstance(output, torch.Tensor) else output

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        self.outputs = {}
        self.network(inputs)
        outputs, self.outputs = self.outputs, {}
        return outputs


def read_gatys(weights: Path, settings: GatysSettings, device: str = "cpu") -> GatysStylizer:
    """Build the network of the settings with the weights in a file; raises UserError for weights that do not fit."""
    network = build(settings.timm)
    load_file(network, read_weights(weights)[0], str(weights), name=settings.timm, kwargs={})
    return GatysStylizer(network, preparation(network), settings, device)
