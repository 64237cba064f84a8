"""torchvision's networks under timm's conventions: `torchvision/<name>`, or `torchvision/<name>.<weights>`.

They are what the field's published numbers were measured on. Without a tag, published weights are IMAGENET1K_V1, the
ones of those numbers, where there are such; else torchvision's default.
"""

import difflib
import re
from pickle import UnpicklingError
from typing import Any

from torch import nn
from torchvision import models

from shapebias.downloads import AIR_GAP
from shapebias.errors import UserError
from shapebias.networks.weights import State, load_weights

PREFIX = "torchvision/"
FIRST = "IMAGENET1K_V1"
HEADS = ("fc", "head", "heads", "classifier")  # what torchvision calls the part with the classifier
# Without the second and third outputs that these have in training; their published weights take images in [-1, 1].
INCEPTIONS = ("googlenet", "inception_v3")
INCEPTION_KWARGS = {"aux_logits": False, "transform_input": True, "init_weights": True}
AUXILIARY = re.compile(r"aux1\.|aux2\.|AuxLogits\.")
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # names of 2017 in its files


def build_torchvision(name: str, *, classes: int | None, kwargs: dict[str, Any], pretrained: bool) -> nn.Module:
    """Build a network; published weights come without their classifier where `classes` (default 1,000) differs.

    What its weights expect of an image is left in `pretrained_cfg`, as timm does it.
    Raises UserError for an unknown name or tag, kwargs that do not fit, weights that cannot be downloaded.
    """
    own, _, tag = name.removeprefix(PREFIX).partition(".")
    known = models.list_models(module=models)
    if own not in known:
        near = difflib.get_close_matches(own, known, 1)
        hint = f"; did you mean {PREFIX + near[0]!r}?" if near else f"; it has {', '.join(known)}"
        raise UserError(f"unknown network {name!r}: torchvision has none of that name{hint}")
    weights = published(own, tag, name)
    sizes: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if own.startswith("vit_"):
        sizes["image_size"] = weights.transforms().crop_size[0]
    fixed = INCEPTION_KWARGS if own in INCEPTIONS else {}
    try:
        network = models.get_model(own, weights=None, **(sizes | fixed | kwargs))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
    head = classifier_name(network)
    config = image_config(weights, kwargs) | {"architecture": name, "classifier": head}
    network.pretrained_cfg = config  # ty: ignore[invalid-assignment]
    if pretrained:
        outputs = classes or kwargs.get("num_classes", 1000)
        keep = [] if outputs == len(weights.meta["categories"]) else [f"{head}.weight", f"{head}.bias"]
        load_weights(network, downloaded(weights, name), f"{name}.{weights.name}", keep=keep)
    return network


def published(own: str, tag: str, name: str) -> Any:
    """The weights of that tag, a member of torchvision's enum; raises UserError if there are none."""
    # Those without categories are features for other tasks, with a classifier of NaN.
    known = {
        key: member for key, member in models.get_model_weights(own).__members__.items() if member.meta["categories"]
    }
    tag = tag or (FIRST if FIRST in known else "DEFAULT")
    if tag not in known:
        raise UserError(f"network {name!r}: {PREFIX}{own} has no weights {tag!r}; it has {', '.join(known)}")
    return known[tag]


def classifier_name(network: nn.Module) -> str:
    """Where the classifier is: the last layer with weights of the part that holds it, linear or 1 × 1."""
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return [name for name in layers if name.partition(".")[0] in HEADS][-1]


def image_config(weights: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """What the weights expect of an image, in timm's words."""
    made = weights.transforms()
    crop, side = made.crop_size[0], made.resize_size[0]
    size = kwargs.get("image_size", crop)
    return {
        "input_size": (3, size, size),
        "mean": tuple(made.mean),
        "std": tuple(made.std),
        "interpolation": made.interpolation.value,
        "crop_pct": crop / side,
    }


def downloaded(weights: Any, name: str) -> State:
    """The published weights, under the names that the network has today."""
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (RuntimeError, OSError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"network {name!r}: its pretrained weights could not be downloaded ({type(error).__name__}) from "
            f"{weights.url}; {AIR_GAP}"
        ) from None
    return {OLD_DENSENET.sub(r"\1\2.", key): value for key, value in state.items() if not AUXILIARY.match(key)}
