"""How a network is trained: the hyperparameters of one run, and the command-line flags that set them."""

import argparse
import math
from dataclasses import dataclass, field, fields
from typing import Any

from shapebias.errors import UserError


def option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


# How a run is carried out, not what it computes: it may go on from its checkpoint with others of these. `nodes` is for
# whoever starts the ranks.
EXECUTION = ("ranks", "nodes", "workers")
# The groups of --help.
GROUPS = {
    "epochs and batches": ("epochs", "batch_size", "accumulate", "patience"),
    "optimizer": (
        "optimizer",
        "lr",
        "momentum",
        "weight_decay",
        "layer_decay",
        "schedule",
        "step_epochs",
        "step_factor",
        "warmup_epochs",
        "max_norm",
    ),
    "loss": ("label_smoothing", "class_weights"),
    "augmentation": ("crop_scale", "flip", "feature_views"),
    "arithmetic": ("precision", "compile", "threads"),
    "processes": ("ranks", "workers"),
}


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one run. Defaults are those of the study that this workflow replaces."""

    epochs: int = option(80, "passes over the training images")
    batch_size: int = option(64, "images of one optimizer step, over all ranks")
    accumulate: int = option(1, "parts that a rank computes its share of a batch in, one after another, to save memory")
    patience: int = option(5, "epochs without a lower validation loss before training stops; 0 is never")
    optimizer: str = option("sgd", "an optimizer of timm: sgd, adamw, …")
    lr: float = option(0.1, "peak learning rate")
    momentum: float = option(0.9, "momentum (of adamw: its first β)")
    weight_decay: float = option(1e-4, "weight decay; norms, biases and what timm lists have none")
    layer_decay: float = option(1.0, "factor of the learning rate from one layer group (timm's) to the one before it")
    schedule: str = option("step", "learning rate over time", choices=("step", "cosine", "constant"))
    step_epochs: int = option(20, "epochs between drops (schedule step)")
    step_factor: float = option(0.1, "factor of a drop (schedule step)")
    warmup_epochs: int = option(0, "epochs of linear rise to the peak")
    max_norm: float = option(0.0, "gradients are clipped to this norm; 0 is never")
    label_smoothing: float = option(0.0, "probability mass moved from the label to all classes")
    class_weights: str = option(
        "none", "weight of a class in the loss: none, or balanced, inverse to its images", choices=("none", "balanced")
    )
    crop_scale: tuple[float, float] = option((0.08, 1.0), "area of the random crop, smallest and largest", nargs=2)
    flip: bool = option(True, "mirror every second image")
    feature_views: int = option(
        0, "trainable head: features of so many augmented views are computed once and trained on; 0 augments each epoch"
    )
    precision: str = option(
        "float32", "arithmetic of the forward pass (fp16 scales the loss)", choices=("float32", "bf16", "fp16")
    )
    compile: bool = option(False, "torch.compile the network: a minute at the start, faster steps on a GPU")
    threads: int = option(1, "CPU threads; part of the recipe, since the last bits of a result depend on it")
    ranks: int = option(0, "processes that share each batch, one a GPU; 0 takes as many as were started")
    workers: int = option(0, "processes of each rank that decode and augment; 0 does it in the training process")

    def checked(self) -> "Recipe":
        """Itself, if its values make sense together; raises UserError."""
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise UserError(f"crop_scale {low:g} {high:g}: expected 0 < smallest ≤ largest ≤ 1")
        for name in ("epochs", "batch_size", "accumulate", "threads", "step_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: at least 1")
        for name in ("feature_views", "ranks", "workers", "patience", "weight_decay", "max_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} {getattr(self, name)}: at least 0")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name):g}: at least 0 and below 1")
        for name in ("layer_decay", "step_factor"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"{name} {getattr(self, name):g}: above 0 and at most 1")
        if not 0 < self.lr < math.inf:
            raise UserError(f"lr {self.lr:g}: above 0")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise UserError(f"warmup_epochs {self.warmup_epochs}: expected 0 to epochs ({self.epochs})")
        return self


def add_recipe_flags(parser: argparse.ArgumentParser) -> None:
    """One flag a hyperparameter: `--batch-size` sets `batch_size`."""
    group_of = {}
    for title, names in GROUPS.items():
        group = parser.add_argument_group(title)
        group_of |= dict.fromkeys(names, group)
    for item in fields(Recipe):
        group = group_of[item.name]
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
