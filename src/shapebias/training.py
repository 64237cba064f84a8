"""Training: one loop for every regime."""

import copy
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.feeding import Augmented, Batch, Pictures, training_batches, validation_batches
from shapebias.models import build, classifier, memory_format
from shapebias.recipe import Recipe
from shapebias.weights import load_weights, read_weights

log = logging.getLogger(__name__)

TRAINABLE = ("all", "head")


@dataclass
class TrainState:
    """Everything that changes while training; what a checkpoint will have to hold."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler | None
    trainable: str
    epoch: int = 0  # epochs completed
    step: int = 0  # optimizer updates completed
    images_seen: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def initial_network(
    timm_name: str, classes: list[str], *, kwargs: dict[str, Any], init: str, seed: int
) -> tuple[nn.Module, str]:
    """The network at the start of training, and what it starts from: scratch, pretrained, a regime or a file.

    init: `scratch`, `pretrained` (timm's weights under a new head) or a weights file. Raises UserError where the
    file holds another architecture or was trained on other classes.
    """
    torch.manual_seed(seed)
    network = build(timm_name, classes=len(classes), kwargs=kwargs, pretrained=init == "pretrained")
    if init in ("scratch", "pretrained"):
        return network, init
    state, trained = read_weights(Path(init))
    if trained and list(trained["classes"]) != classes:
        raise UserError(f"{init}: trained on other classes than the {len(classes)} of these images")
    load_weights(network, state, init)
    return network, trained.get("regime") or Path(init).name


def freeze_backbone(network: nn.Module) -> None:
    """Leave only the classifier trainable, whatever the architecture calls it (timm knows)."""
    network.requires_grad_(False)
    classifier(network).requires_grad_(True)


def training_mode(network: nn.Module, trainable: str) -> None:
    """Switch to training; a frozen backbone stays in eval mode, or its batch norm would drift."""
    network.train(trainable == "all")
    if trainable == "head":
        classifier(network).train()


def start(network: nn.Module, recipe: Recipe, trainable: str, steps_per_epoch: int) -> TrainState:
    """The state before the first step."""
    if trainable == "head":
        freeze_backbone(network)
    try:
        optimizer = create_optimizer_v2(
            network, opt=recipe.optimizer, lr=recipe.lr, weight_decay=recipe.weight_decay, momentum=recipe.momentum
        )
    except (ValueError, AssertionError) as error:
        raise UserError(f"optimizer {recipe.optimizer!r}: {error}") from None
    scheduler = None
    if recipe.schedule != "constant" or recipe.warmup_epochs:
        scheduler, _ = create_scheduler_v2(
            optimizer,
            sched="step" if recipe.schedule != "cosine" else "cosine",
            num_epochs=recipe.epochs,
            # Constant after a warm-up is a step that never comes.
            decay_epochs=recipe.step_epochs if recipe.schedule == "step" else 10 * recipe.epochs,
            decay_rate=recipe.step_factor,
            warmup_epochs=recipe.warmup_epochs,
            warmup_lr=recipe.lr / 100,
            warmup_prefix=False,
            min_lr=0.0,
            step_on_epochs=False,
            updates_per_epoch=steps_per_epoch,
        )
    return TrainState(network, optimizer, scheduler, trainable)


def train_step(state: TrainState, images: torch.Tensor, labels: torch.Tensor, recipe: Recipe) -> tuple[float, int]:
    """Update the network once; return the summed loss (nats) and the number of right answers of the batch.

    images: float32 [B, 3, H, W], normalized; labels: int64 [B]. Raises FloatingPointError before the weights
    change if the loss or a gradient is not finite.
    """
    state.optimizer.zero_grad(set_to_none=True)
    logits = state.network(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    loss.backward()
    limit = recipe.max_norm or math.inf
    norm = nn.utils.clip_grad_norm_([p for p in state.network.parameters() if p.requires_grad], limit)
    if not torch.isfinite(norm + loss.detach()):
        raise FloatingPointError(f"loss {loss.item():g}, gradient norm {norm.item():g} at step {state.step}")
    if state.scheduler:
        state.scheduler.step_update(state.step)
    state.optimizer.step()
    state.step += 1
    state.images_seen += len(labels)
    return loss.item() * len(labels), int((logits.argmax(dim=1) == labels).sum())


@torch.inference_mode()
def validate(network: nn.Module, batches: Iterable[Batch]) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy over all images."""
    network.eval()
    loss, right, count = 0.0, 0, 0
    for images, labels in batches:
        logits = network(images).float()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(dim=1) == labels).sum())
        count += len(labels)
    return loss / count, right / count


def train(
    network: nn.Module,
    train_set: Augmented,
    val_set: Pictures,
    recipe: Recipe,
    *,
    trainable: str,
    seed: int,
    device: str,
) -> TrainState:
    """Train until the epochs or the patience end; the network is left with the weights of its best epoch.

    The best epoch is that of the lowest validation loss. Raises UserError when training diverges.
    """
    torch.manual_seed(seed)  # dropout and drop path
    layout = memory_format(network, train_set.preparation.size)
    network.to(device).to(memory_format=layout)
    steps = -(-len(train_set) // recipe.batch_size)
    state = start(network, recipe, trainable, steps)
    to_device = partial(moved, device=device, layout=layout)
    while state.epoch < recipe.epochs and not out_of_patience(state, recipe):
        state.history.append(train_epoch(state, train_set, val_set, recipe, seed, to_device))
        log.info("%s", "  ".join(f"{key} {value:.4g}" for key, value in state.history[-1].items()))
    network.load_state_dict(state.best_weights)
    return state


def train_epoch(
    state: TrainState,
    train_set: Augmented,
    val_set: Pictures,
    recipe: Recipe,
    seed: int,
    to_device: Callable[[Iterable[Batch]], Iterator[Batch]],
) -> dict[str, float]:
    """One pass over the training images and its validation; returns its row of the history."""
    training_mode(state.network, state.trainable)
    loss, right = 0.0, 0
    try:
        for images, labels in to_device(training_batches(train_set, recipe, seed, state.epoch)):
            batch_loss, batch_right = train_step(state, images, labels, recipe)
            loss, right = loss + batch_loss, right + batch_right
    except FloatingPointError as error:
        raise UserError(f"training diverged ({error}); lower `lr` ({recipe.lr:g}) or set `max_norm`") from None
    val_loss, val_accuracy = validate(state.network, to_device(validation_batches(val_set, recipe)))
    state.epoch += 1
    if val_loss < state.best_loss or not state.best_weights:
        state.best_loss, state.best_epoch = val_loss, state.epoch
        state.best_weights = copy.deepcopy(state.network.state_dict())
    return {
        "epoch": state.epoch,
        "steps": state.step,
        "images_seen": state.images_seen,
        "lr": state.optimizer.param_groups[0]["lr"],
        "train_loss": loss / len(train_set),
        "train_accuracy": right / len(train_set),
        "val_loss": val_loss,
        "val_accuracy": val_accuracy,
    }


def moved(batches: Iterable[Batch], *, device: str, layout: torch.memory_format) -> Iterator[Batch]:
    """Batches on the device, in the network's memory format."""
    for images, labels in batches:
        yield images.to(device, memory_format=layout, non_blocking=True), labels.to(device, non_blocking=True)


def out_of_patience(state: TrainState, recipe: Recipe) -> bool:
    return recipe.patience > 0 and state.epoch - state.best_epoch >= recipe.patience


def image_counts(sets: dict[str, Any], epochs: int) -> dict[str, int]:
    """Images seen of each set: every epoch sees each once."""
    return {name: len(samples) * epochs for name, samples in sets.items()}
