"""The settings of the stylizer gatys. They stand apart from it, because it imports torch, which takes seconds."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shapebias.errors import UserError


@dataclass(frozen=True)
class GatysSettings:
    """The network, the layers of both losses, the weights of the losses, and the number of steps of L-BFGS.

    timm: the network's name in timm, or torchvision/NAME. Layers: names of the network's modules; in torchvision's VGG
    networks also conv1_1 to conv5_4, each with its ReLU. Network and layers are those of the paper. Only the ratio of
    both weights counts.
    Raises UserError for values of another type or range.
    """

    timm: str = "torchvision/vgg19"
    content_layers: tuple[str, ...] = ("conv4_2",)
    style_layers: tuple[str, ...] = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    content_weight: float = 1.0
    style_weight: float = 1000.0
    steps: int = 300

    def __post_init__(self) -> None:
        for name, right, allowed in (
            ("timm", isinstance(self.timm, str) and self.timm, "the name of a network"),
            *((name, are_layers(getattr(self, name)), "different names of layers") for name in LAYER_SETTINGS),
            ("content_weight", is_number(self.content_weight) and self.content_weight >= 0, "a number, at least 0"),
            ("style_weight", is_number(self.style_weight) and self.style_weight > 0, "a number above 0"),
            ("steps", isinstance(self.steps, int) and self.steps >= 1, "a whole number, at least 1"),
        ):
            if not right:
                raise UserError(f"gatys: {name} is {getattr(self, name)!r}; expected {allowed}")


LAYER_SETTINGS = ("content_layers", "style_layers")


def are_layers(value: Any) -> bool:
    """Return whether a value is a tuple of different words, at least one."""
    if not isinstance(value, tuple) or not all(isinstance(name, str) and name for name in value):
        return False
    return 0 < len(set(value)) == len(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


SETTINGS = tuple(field.name for field in dataclasses.fields(GatysSettings))


def make_settings(values: Mapping[str, Any]) -> GatysSettings:
    """Return settings from some of their values, by name; layers may be a list. Raises UserError for other names."""
    if unknown := sorted(values.keys() - set(SETTINGS)):
        raise UserError(f"{', '.join(unknown)}: no setting of the stylizer gatys; it has {', '.join(SETTINGS)}")
    arguments: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return GatysSettings(**arguments)
