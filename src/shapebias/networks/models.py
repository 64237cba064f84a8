"""Networks: built by name, with the image preparation that each expects and its classifier."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import resolve_data_config
from torch import nn

from shapebias.categories import CATEGORIES, ilsvrc_categories
from shapebias.errors import UserError
from shapebias.images.codec import centre_crop
from shapebias.networks.functions import FunctionNetwork
from shapebias.networks.timm_models import build_timm, name_converter
from shapebias.networks.torchvision_models import TORCHVISION_PREFIX, build_torchvision
from shapebias.networks.weights import WRAPPER_NAMES, State, load_weights

log = logging.getLogger(__name__)

PILLOW_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
PREPARATION_HINT = (
    "preparation=Preparation(size=…, mean=(…), std=(…), interpolation=…, crop=…), which `shapebias` exports"
)


@dataclass(frozen=True)
class Preparation:
    """How an image becomes a network's input. All values but the size come with the network's published weights.

    size: height and width in pixels. mean, std: of each channel, for values in [0, 1]. crop: share of a photograph's
    shorter side that the network sees (timm's crop_pct). resizes_all: whether images of the network's size are scaled
    and cropped like other images. Raises UserError for values outside these ranges.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop: float
    resizes_all: bool = False

    def __post_init__(self) -> None:
        for name, wrong, allowed in (
            ("size", not (isinstance(self.size, int) and self.size > 0), "a number of pixels, such as 224"),
            (
                "mean",
                not (is_triple(self.mean) and min(self.mean) >= 0 and max(self.mean) <= 1),
                "three numbers from 0 to 1, one a channel; divide a mean and a std for values to 255 by 255",
            ),
            ("std", not (is_triple(self.std) and min(self.std) > 0), "three numbers above 0, for values in [0, 1]"),
            ("interpolation", self.interpolation not in PILLOW_FILTERS, f"one of {', '.join(PILLOW_FILTERS)}"),
            ("crop", not 0 < self.crop <= 1, "a share of the shorter side, above 0 and at most 1"),
        ):
            if wrong:
                raise UserError(f"preparation: {name} is {getattr(self, name)!r}; expected {allowed}")

    def resize_and_crop(self, image: Image.Image, *, keep_square: bool = True) -> Image.Image:
        """Fit an image to the network: `size` × `size` pixels.

        An image whose shorter side equals `size` is not resized, such as a 224 px stimulus for a 224 px network. Other
        images are scaled and cropped as in timm's evaluation. keep_square: scale square images without cropping them,
        because they were cropped before.
        """
        if self.resizes(image):
            scale = self.crop if self.uses_crop(image, keep_square=keep_square) else 1.0
            target = int(self.size / scale)
            sides = [max(target, round(side * target / min(image.size))) for side in image.size]
            image = image.resize((sides[0], sides[1]), PILLOW_FILTERS[self.interpolation])
        return centre_crop(image, self.size)

    def uses_crop(self, image: Image.Image, *, keep_square: bool) -> bool:
        """Return whether the result of `resize_and_crop` depends on `crop`."""
        return self.resizes(image) and not (keep_square and image.width == image.height)

    def resizes(self, image: Image.Image) -> bool:
        """Return whether `resize_and_crop` scales the image."""
        return self.resizes_all or min(image.size) != self.size

    def tensor(self, pictures: list[np.ndarray], device: str = "cpu") -> torch.Tensor:
        """Turn uint8 arrays [H, W, 3] into normalized float32 [B, 3, H, W] on the device, channels last in memory."""
        return self.normalize(torch.from_numpy(np.stack(pictures)), device)

    def normalize(self, batch: torch.Tensor, device: str = "cpu") -> torch.Tensor:
        """Turn uint8 [B, H, W, 3] into normalized float32 [B, 3, H, W] on the device, channels last in memory.

        The bits are the same on every device and in every batch: each value takes one multiplication and one addition,
        each rounded.
        """
        images, height, width, channels = batch.shape
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        # Repeat the factors over a row of pixels: three values alone would leave a vector unit idle.
        factor = (1 / (255 * std)).repeat(width).to(device)
        offset = (-mean / std).repeat(width).to(device)
        rows = batch.to(device, non_blocking=True).to(torch.float32).view(images, height, width * channels)
        return rows.mul_(factor).add_(offset).view(batch.shape).permute(0, 3, 1, 2)


def is_triple(values: Any) -> bool:
    """Return whether a value is a sequence of three finite numbers."""
    return isinstance(values, list | tuple) and len(values) == 3 and bool(np.isfinite(values).all())


def build(
    name: str, *, classes: int | None = None, kwargs: dict[str, Any] | None = None, pretrained: bool = False
) -> nn.Module:
    """Build a network by its timm name, or as `torchvision/<name>`. Either may end in the tag of published weights.

    classes: number of outputs, by default the network's own (1,000). pretrained: load the published weights. Raises
    UserError for an unknown name or tag, for kwargs that do not fit the network, for weights that cannot be downloaded,
    and for published weights that do not fill every layer, such as a classifier of another size.
    """
    kwargs = kwargs or {}
    if classes is not None and kwargs.get("num_classes", classes) != classes:
        raise UserError(
            f"network {name!r}: kwargs num_classes {kwargs['num_classes']}, but there are {classes} classes; leave "
            f"num_classes out"
        )
    builder = build_torchvision if name.startswith(TORCHVISION_PREFIX) else build_timm
    return builder(name, classes=classes, kwargs=kwargs, pretrained=pretrained)


def load_file(
    network: nn.Module,
    state: State,
    source: str,
    *,
    name: str,
    kwargs: dict[str, Any],
    keep: Collection[str] = (),
) -> str:
    """Load a file's state dict into the network that `build` made by this name; see `load_weights`."""
    outputs = getattr(network, "num_classes", None)
    is_timm = outputs is not None and not name.startswith(TORCHVISION_PREFIX)
    convert = name_converter(name, kwargs, outputs, keep) if is_timm else None
    return load_weights(network, state, source, keep=keep, convert=convert)


def unwrap(network: nn.Module) -> nn.Module:
    """Return the network inside wrappers that pass images and answers on: DataParallel, torch.compile, …

    A class of the user's own is no such wrapper, because its `forward` may change the images.
    """
    while True:
        [*others, (name, inner)] = [("", network), *network.named_children()]
        is_wrapper = name in WRAPPER_NAMES and type(network).__module__.startswith(("torch.", "timm."))
        if len(others) != 1 or not (is_wrapper or type(network) is nn.Sequential):
            return network
        network = inner


def image_part(network: nn.Module) -> nn.Module:
    """Return the part of a network that gets the images as they come: itself, or the first part of a sequence."""
    network = unwrap(network)
    while type(network) is nn.Sequential and len(network):
        network = unwrap(network[0])
    return network


def image_facts(network: nn.Module) -> dict[str, Any]:
    """Return timm's description of a network's weights and input, or {} if timm does not know the network."""
    config = getattr(image_part(network), "pretrained_cfg", None)
    return config if isinstance(config, dict) else {}


def preparation(model: nn.Module, size: int | None = None) -> Preparation:
    """Return the preparation that the network's published weights expect; `size` replaces the input size.

    A network that timm does not know gets 224 pixels and ImageNet's mean and standard deviation. Raises UserError for a
    network that has one of timm inside, because its own code may prepare the images, too; for a network of Hugging
    Face's transformers, whose image processor holds the preparation; and for a function, which has none.
    """
    inner_part = image_part(model)
    if isinstance(inner_part, FunctionNetwork):
        raise UserError(
            f"{inner_part.name} is a function, which does not say how its images are prepared; give {PREPARATION_HINT}"
        )
    if type(inner_part).__module__.startswith("transformers."):
        raise UserError(
            f"network {type(inner_part).__name__} is of transformers; give the values of its image processor as "
            f"{PREPARATION_HINT}"
        )
    config = image_facts(model)
    inner = [
        name
        for name, module in model.named_modules()
        if name and isinstance(getattr(module, "pretrained_cfg", None), dict)
    ]
    if not config and inner:
        raise UserError(
            f"network {type(model).__name__} has a network of timm inside ({inner[0]}), and its own code may prepare "
            f"the images, too; say how they are prepared (preparation=…; for the inner network it is "
            f"shapebias.networks.models.preparation(network.{inner[0]}))"
        )
    if not config:
        log.warning("%s is not of timm: images get 224 pixels and ImageNet's mean and std", type(model).__name__)
    data = resolve_data_config({"in_chans": 3}, pretrained_cfg=config)
    mean, std = (tuple(data[key]) for key in ("mean", "std"))  # lists in descriptions of the hub
    return Preparation(size or data["input_size"][1], mean, std, data["interpolation"], data["crop_pct"])


@torch.no_grad()
def memory_format(network: nn.Module, size: int) -> torch.memory_format:
    """Return channels last if the network runs in it (a third faster on a CPU), else contiguous.

    The network is tried out, because some of timm's attention blocks take views that exist in one memory format only.
    Raises UserError if the network takes no images of `size` × `size` at all.
    """
    if any(isinstance(module, FunctionNetwork) for module in network.modules()):
        return torch.contiguous_format  # functions of numpy arrays expect it
    was_training, problem = network.training, ""
    device = next((parameter.device for parameter in network.parameters()), None)  # it may already be on a GPU
    blank = torch.zeros(2, 3, size, size, device=device, dtype=input_dtype(network))
    try:
        network.eval()
    except NotImplementedError as error:  # an exported program has one mode for good
        raise UserError(
            f"network {network_label(network)!r} cannot be set to evaluation ({error}); if it is exported "
            f"for evaluation, give it as a function: lambda images: network(images)"
        ) from None
    try:
        for layout in (torch.channels_last, torch.contiguous_format):
            try:
                # Two images: with a single image every stride fits, so every view exists.
                network(blank.contiguous(memory_format=layout))
                return layout
            except UserError:
                raise
            except Exception as error:  # a network may fail in any way
                problem = str(error)
    finally:
        network.train(was_training)
    raise UserError(
        f"network {network_label(network)!r} takes no images of {size} × {size} pixels: {problem}; set its "
        f"kwargs or the size"
    )


def input_dtype(network: nn.Module) -> torch.dtype:
    """Return the precision in which a network takes its images: that of its first weights."""
    return next((tensor.dtype for tensor in network.parameters() if tensor.is_floating_point()), torch.float32)


def network_label(network: nn.Module) -> str:
    """Return the name of a network's architecture in timm, or of its class."""
    return image_facts(network).get("architecture") or type(unwrap(network)).__name__


def classifier(network: nn.Module) -> nn.Module:
    """Return the layer that computes the classes' logits, whatever its name: fc, head, classifier.6, …"""
    return network.get_submodule(classifier_name(network))


def classifier_keys(network: nn.Module) -> list[str]:
    """Return the names of the classifier's tensors in the network; a distilled DeiT has two classifiers."""
    names = classifier_names(network)
    return [f"{name}.{key}" for name in names for key in network.get_submodule(name).state_dict()]


def classifier_name(network: nn.Module) -> str:
    """Return the classifier's name. Raises UserError if the network has none or several (a distilled DeiT)."""
    names = classifier_names(network)
    if len(names) != 1:
        raise UserError(f"network {type(network).__name__} has no single classifier layer")
    return names[0]


def classifier_names(network: nn.Module) -> list[str]:
    """Return the names of all classifier layers."""
    if hasattr(network, "get_classifier"):  # timm's
        layers = network.get_classifier()  # ty: ignore[not-callable]
        layers = layers if isinstance(layers, tuple) else (layers,)
        return [name for name, module in network.named_modules() if any(module is layer for layer in layers)]
    return list(filter(None, [getattr(network, "pretrained_cfg", {}).get("classifier")]))


def category_indices(classes: list[str], categories: dict[str, str] | None = None) -> dict[str, list[int]]:
    """Map each category to the outputs of its classes. Classes without a category are left out."""
    category_of = ilsvrc_categories() if categories is None else categories
    indices: dict[str, list[int]] = {}
    for index, name in enumerate(classes):
        category = category_of.get(name)
        if category and category not in CATEGORIES:
            raise UserError(f"class {name!r}: unknown category {category!r}; allowed: {', '.join(CATEGORIES)}, or none")
        if category:
            indices.setdefault(category, []).append(index)
    if not indices:
        raise UserError(f"none of the network's {len(classes)} classes belongs to one of the 16 categories")
    return dict(sorted(indices.items()))
