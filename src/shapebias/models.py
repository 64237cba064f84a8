"""Networks: built by timm, weights from files, and what each expects of an image."""

import difflib
import json
import pickle
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from timm.data import ImageNetInfo, resolve_model_data_config
from torch import nn

from shapebias.categories import CATEGORIES, ilsvrc_categories
from shapebias.errors import UserError
from shapebias.images import centre_crop

WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict", "state_dict_ema")
PREFIXES = ("module.", "_orig_mod.", "model.")
METADATA_KEY = "shapebias"
PILLOW_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Preparation:
    """How an image becomes a network's input; all but the size comes from timm.

    size: height and width in pixels. mean, std: of each channel, for values in [0, 1]. crop: the part of a
    photograph's shorter side that the network looks at (timm's crop_pct).
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop: float

    def picture(self, image: Image.Image) -> Image.Image:
        """Fit an image to the network: `size` × `size`.

        An image whose shorter side already fits is not resized (stimuli of 224 px in a network of 224 px); a
        square one (a stimulus) is scaled whole; other photographs are scaled and cropped as timm evaluates.
        """
        if min(image.size) != self.size:
            scale = 1.0 if image.width == image.height else self.crop
            target = int(self.size / scale)
            sides = [max(target, round(side * target / min(image.size))) for side in image.size]
            image = image.resize((sides[0], sides[1]), PILLOW_FILTERS[self.interpolation])
        return centre_crop(image, self.size)

    def tensor(self, pictures: list[np.ndarray]) -> torch.Tensor:
        """uint8 arrays [H, W, 3] → normalized float32 [B, 3, H, W], channels last in memory as they came."""
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(torch.float32).div_(255)
        mean = torch.tensor(self.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.std).view(1, -1, 1, 1)
        return (batch - mean) / std


def build(
    name: str, *, classes: int | None = None, kwargs: dict[str, Any] | None = None, pretrained: bool = False
) -> nn.Module:
    """Build a network by its timm name; `classes` replaces the head where it differs from the network's own.

    Raises UserError for an unknown name or kwargs that do not fit it.
    """
    if not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), 1)
        raise UserError(
            f"unknown network {name!r}: timm has none of that name" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    arguments: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    arguments |= kwargs or {}
    try:
        return timm.create_model(name, pretrained=pretrained, **arguments)
    except (TypeError, AssertionError) as error:
        raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
    # The hub's own errors are many; all mean that the published weights did not come.
    except (RuntimeError, OSError, ValueError) as error:
        if not pretrained:
            raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
        raise UserError(
            f"network {name!r}: its pretrained weights could not be downloaded ({type(error).__name__}); compute nodes "
            f"have no internet: give a local file (`weights`)"
        ) from None


def preparation(model: nn.Module, size: int | None = None) -> Preparation:
    """What the network expects of an image, from timm; `size` replaces the input size."""
    data = resolve_model_data_config(model)
    return Preparation(
        size or data["input_size"][1], data["mean"], data["std"], data["interpolation"], data["crop_pct"]
    )


@torch.no_grad()
def memory_format(network: nn.Module, size: int) -> torch.memory_format:
    """Channels last where the network can (a third faster on a CPU here), else contiguous; by trying it out.

    Some of timm's attention blocks take views that exist in one memory format only.
    Raises UserError if the network takes no images of `size` × `size` at all.
    """
    was_training, problem = network.training, ""
    network.eval()
    try:
        for layout in (torch.channels_last, torch.contiguous_format):
            try:
                # Two images: with one, any stride is as good as another and every view exists.
                network(torch.zeros(2, 3, size, size).contiguous(memory_format=layout))
                return layout
            except (RuntimeError, AssertionError) as error:
                problem = str(error)
    finally:
        network.train(was_training)
    name = getattr(network, "pretrained_cfg", {}).get("architecture", type(network).__name__)
    raise UserError(
        f"network {name!r} takes no images of {size} × {size} pixels: {problem}; set its kwargs or the size"
    )


def classifier(network: nn.Module) -> nn.Module:
    """The layer that timm calls the classifier, whatever its name: fc, head, classifier, …"""
    layer = network.get_classifier()  # ty: ignore[not-callable]
    if not isinstance(layer, nn.Module):
        raise UserError(f"network {type(network).__name__} has no single classifier layer to train alone")
    return layer


def weights_path(spec: str) -> Path:
    """A file's path; `package:NAME/FILE` is a file that an installed Python package carries."""
    if not spec.startswith("package:"):
        return Path(spec)
    package, _, file = spec.removeprefix("package:").partition("/")
    try:
        return Path(str(resources.files(package) / file))
    except ModuleNotFoundError:
        raise UserError(f"weights {spec}: package {package!r} is not installed") from None


def read_weights(path: Path) -> tuple[State, dict[str, Any]]:
    """Read a state dict (safetensors, or torch's format without code) and the metadata that training left in it.

    Containers (`state_dict`, `model`, …) and prefixes (`module.`) around the weights are taken off.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            return load_file(path), metadata
        state = torch.load(path, map_location="cpu", weights_only=True)
    # What the readers say of damaged files ("101") helps nobody; what would be right does.
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise UserError(
            f"{path}: not a file of weights; expected .safetensors, or a state dict as torch.save writes it "
            f"(a pickled network is not loaded: that would run its code)"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no state dict of tensors")
    while prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state, {}


def load_weights(model: nn.Module, state: State, source: str) -> str:
    """Put a state dict into the network, all of it or nothing; return how names were matched.

    Weights of the same architecture in other code bear other names: where no name is shared, but all tensors
    stand in the same order with the same shapes, they are matched by position.
    Raises UserError naming what differs.
    """
    own = model.state_dict()
    if own.keys().isdisjoint(state) and [t.shape for t in own.values()] == [t.shape for t in state.values()]:
        model.load_state_dict(dict(zip(own, state.values(), strict=True)))
        return "position"
    missing = [key for key in own if key not in state]
    extra = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if missing or extra or shapes:
        parts = [("missing", missing), ("not in this network", extra), ("of another shape", shapes)]
        told = "; ".join(f"{len(keys)} {what}, first {keys[0]}" for what, keys in parts if keys)
        raise UserError(f"{source}: weights of another architecture than {type(model).__name__}: {told}")
    model.load_state_dict(state)
    return "name"


def imagenet_classes() -> list[str]:
    """The WordNet ids of the 1,000 ILSVRC-2012 classes in the order of a pretrained network's outputs."""
    info = ImageNetInfo()
    return [info.index_to_label_name(index) for index in range(info.num_classes())]


def category_indices(classes: list[str], categories: dict[str, str] | None = None) -> dict[str, list[int]]:
    """Category → positions of its classes among a network's outputs; classes without a category are left out."""
    known = ilsvrc_categories() if categories is None else categories
    found: dict[str, list[int]] = {}
    for index, name in enumerate(classes):
        category = known.get(name)
        if category and category not in CATEGORIES:
            raise UserError(f"class {name!r}: unknown category {category!r}; allowed: {', '.join(CATEGORIES)}, or none")
        if category:
            found.setdefault(category, []).append(index)
    if not found:
        raise UserError(f"none of the network's {len(classes)} classes belongs to one of the 16 categories")
    return dict(sorted(found.items()))


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object (an argparse type)."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def resolve_device(name: str) -> str:
    """`auto` is the first GPU if there is one, else the CPU. Raises UserError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r}: {str(error).splitlines()[0]}; use cpu or auto") from None
    return name
