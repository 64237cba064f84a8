"""How a network is trained: the hyperparameters of one run, and the command-line flags that set them."""

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

from shapebias.errors import UserError


def option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one run. Defaults are those of the study that this workflow replaces."""

    epochs: int = option(80, "passes over the training images")
    batch_size: int = option(64, "images of one optimizer step")
    optimizer: str = option("sgd", "an optimizer of timm: sgd, adamw, …")
    lr: float = option(0.1, "peak learning rate")
    momentum: float = option(0.9, "momentum (of adamw: its first β)")
    weight_decay: float = option(1e-4, "weight decay; norms and biases have none")
    schedule: str = option("step", "learning rate over time", choices=("step", "cosine", "constant"))
    step_epochs: int = option(20, "epochs between drops (schedule step)")
    step_factor: float = option(0.1, "factor of a drop (schedule step)")
    warmup_epochs: int = option(0, "epochs of linear rise to the peak")
    label_smoothing: float = option(0.0, "probability mass moved from the label to all classes")
    max_norm: float = option(0.0, "gradients are clipped to this norm; 0 is never")
    patience: int = option(5, "epochs without a lower validation loss before training stops; 0 is never")
    crop_scale: tuple[float, float] = option((0.08, 1.0), "area of the random crop, smallest and largest", nargs=2)
    flip: bool = option(True, "mirror every second image")
    workers: int = option(0, "processes that decode and augment; 0 does it in the training process")
    threads: int = option(1, "CPU threads; part of the recipe, since the last bits of a result depend on it")

    def checked(self) -> "Recipe":
        """Itself, if its values make sense together; raises UserError."""
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise UserError(f"crop_scale {low:g} {high:g}: expected 0 < smallest ≤ largest ≤ 1")
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: at least 1")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise UserError(f"warmup_epochs {self.warmup_epochs}: expected 0 to epochs ({self.epochs})")
        return self


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """One flag a hyperparameter: `--batch-size` sets `batch_size`."""
    group = parser.add_argument_group("recipe")
    for item in fields(Recipe):
        flag, text = "--" + item.name.replace("_", "-"), f"{item.metadata['help']} (default: {shown(item.default)})"
        if isinstance(item.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=item.default, help=text)
        else:
            kind = type(item.default[0] if isinstance(item.default, tuple) else item.default)
            more = {key: item.metadata[key] for key in ("choices", "nargs") if key in item.metadata}
            group.add_argument(flag, type=kind, default=item.default, help=text, **more)


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The recipe that the flags describe."""
    values: dict[str, Any] = {item.name: getattr(args, item.name) for item in fields(Recipe)}
    values["crop_scale"] = tuple(values["crop_scale"])
    return Recipe(**values).checked()
