"""The recipe of a training run: its hyperparameters."""

import math
from dataclasses import dataclass, field
from typing import Any

from shapebias.errors import UserError


def option(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


# Settings of a run's execution. They do not change its result, so a run may resume with other values.
# `nodes` is used by the launcher of the ranks.
EXECUTION = ("ranks", "nodes", "workers")


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one run. The defaults come from the study that this workflow replaces."""

    epochs: int = option(80, "passes over the training images")
    batch_size: int = option(64, "images of one optimizer step, over all ranks")
    accumulate: int = option(1, "parts of a rank's shard of a batch, computed one after another to save memory")
    patience: int = option(5, "epochs without a lower validation loss before training stops; 0 means never")
    optimizer: str = option("sgd", "a timm optimizer: sgd, adamw, …")
    lr: float = option(0.1, "peak learning rate")
    momentum: float = option(0.9, "momentum (for adamw: the first β)")
    weight_decay: float = option(1e-4, "weight decay; norms, biases and the parameters that timm lists have none")
    layer_decay: float = option(
        1.0, "factor of the learning rate from each of timm's layer groups to the previous group"
    )
    schedule: str = option("step", "learning rate over time", choices=("step", "cosine", "constant"))
    step_epochs: int = option(20, "epochs between drops (schedule step)")
    step_factor: float = option(0.1, "factor of a drop (schedule step)")
    warmup_epochs: int = option(0, "epochs of linear rise to the peak")
    max_norm: float = option(0.0, "gradients are clipped to this norm; 0 means no clipping")
    label_smoothing: float = option(0.0, "probability mass moved from the label to all classes")
    class_weights: str = option(
        "none",
        "weights of the classes in the loss: none, or balanced (inverse to the number of images)",
        choices=("none", "balanced"),
    )
    crop_scale: tuple[float, float] = option((0.08, 1.0), "smallest and largest area of the random crop", nargs=2)
    flip: bool = option(True, "mirror every second image on average")
    feature_views: int = option(
        0, "for trainable head: number of augmented views whose features are computed once; 0 augments in each epoch"
    )
    precision: str = option(
        "float32", "arithmetic of the forward pass (fp16 scales the loss)", choices=("float32", "bf16", "fp16")
    )
    compile: bool = option(False, "torch.compile the network: takes a minute at the start, steps on a GPU are faster")
    threads: int = option(1, "CPU threads; part of the recipe, because the last bits of a result depend on them")
    ranks: int = option(0, "processes that share each batch, one per GPU; 0 takes the number that was started")
    workers: int = option(0, "processes per rank that decode and augment; 0 uses the training process")

    def validate(self) -> "Recipe":
        """Return the recipe if its values fit together; raises UserError otherwise."""
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
