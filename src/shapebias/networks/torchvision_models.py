"""torchvision's networks with timm's conventions: `torchvision/<name>`, or `torchvision/<name>.<weights>`.

The field's published results were measured with these networks. Without a tag, the published weights are
IMAGENET1K_V1, which those results used; networks without them get torchvision's default weights.
"""

import difflib
import re
from pickle import UnpicklingError
from typing import Any

from torch import nn
from torchvision import models

from shapebias.downloads import AIR_GAP
from shapebias.errors import UserError
from shapebias.networks.timm_models import require_published_outputs
from shapebias.networks.weights import State, load_weights

TORCHVISION_PREFIX = "torchvision/"
ORIGINAL_TAG = "IMAGENET1K_V1"
CLASSIFIER_PARTS = ("fc", "head", "heads", "classifier")  # torchvision's names of the part with the classifier
# Built without the second and third outputs of training; the published weights take images in [-1, 1].
INCEPTIONS = ("googlenet", "inception_v3")
INCEPTION_KWARGS = {"aux_logits": False, "transform_input": True, "init_weights": True}
AUXILIARY = re.compile(r"aux1\.|aux2\.|AuxLogits\.")
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # tensor names of 2017 in the published files


def build_torchvision(name: str, *, classes: int | None, kwargs: dict[str, Any], pretrained: bool) -> nn.Module:
    """Build a network with `classes` outputs (default 1,000).

    The image preparation of its weights is stored in `pretrained_cfg`, as in timm. Raises UserError for an unknown name
    or tag, for kwargs that do not fit, for weights that cannot be downloaded, and for published weights with another
    number of outputs.
    """
    network_name, _, tag = name.removeprefix(TORCHVISION_PREFIX).partition(".")
    names = models.list_models(module=models)
    if network_name not in names:
        near = difflib.get_close_matches(network_name, names, 1)
        hint = f"; did you mean {TORCHVISION_PREFIX + near[0]!r}?" if near else f"; it has {', '.join(names)}"
        raise UserError(f"unknown network {name!r}: torchvision has no network of that name{hint}")
    weights = select_weights(network_name, tag, name)
    sizes: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if network_name.startswith("vit_"):
        sizes["image_size"] = weights.transforms().crop_size[0]
    if pretrained:
        require_published_outputs(name, (sizes | kwargs).get("num_classes", 1000), len(weights.meta["categories"]))
    fixed = INCEPTION_KWARGS if network_name in INCEPTIONS else {}
    try:
        network = models.get_model(network_name, weights=None, **(sizes | fixed | kwargs))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
    head = last_layer_name(network)
    config = image_config(weights, kwargs) | {"architecture": name, "classifier": head}
    network.pretrained_cfg = config  # ty: ignore[invalid-assignment]
    if pretrained:
        load_weights(network, download_weights(weights, name), f"{name}.{weights.name}")
    return network


def select_weights(network_name: str, tag: str, name: str) -> Any:
    """Return the weights with that tag, a member of torchvision's enum; raises UserError if there are none."""
    # Weights without categories are features for other tasks; their classifier is NaN.
    tags = {
        key: member
        for key, member in models.get_model_weights(network_name).__members__.items()
        if member.meta["categories"]
    }
    tag = tag or (ORIGINAL_TAG if ORIGINAL_TAG in tags else "DEFAULT")
    if tag not in tags:
        raise UserError(
            f"network {name!r}: {TORCHVISION_PREFIX}{network_name} has no weights {tag!r}; it has {', '.join(tags)}"
        )
    return tags[tag]


def last_layer_name(network: nn.Module) -> str:
    """Return the name of the classifier: the last linear or convolutional layer of the network's classifier part."""
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return [name for name in layers if name.partition(".")[0] in CLASSIFIER_PARTS][-1]


def image_config(weights: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the image preparation of the weights under timm's keys."""
    transforms = weights.transforms()
    crop, resized = transforms.crop_size[0], transforms.resize_size[0]
    size = kwargs.get("image_size", crop)
    return {
        "input_size": (3, size, size),
        "mean": tuple(transforms.mean),
        "std": tuple(transforms.std),
        "interpolation": transforms.interpolation.value,
        "crop_pct": crop / resized,
    }


def download_weights(weights: Any, name: str) -> State:
    """Return the published weights, with the tensor names that torchvision uses today."""
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (RuntimeError, OSError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"network {name!r}: its pretrained weights could not be downloaded ({type(error).__name__}) from "
            f"{weights.url}; {AIR_GAP}"
        ) from None
    return {OLD_DENSENET.sub(r"\1\2.", key): value for key, value in state.items() if not AUXILIARY.match(key)}
