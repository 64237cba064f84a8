"""Training: one loop for every regime, on one or more processes."""

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from shapebias.errors import UserError
from shapebias.networks.device import autocast, write_new_outputs
from shapebias.networks.models import classifier, memory_format
from shapebias.networks.sync_batch_norm import synchronize_batch_norm
from shapebias.seeding import draw_key
from shapebias.training.checkpoints import Checkpoints
from shapebias.training.data_loading import (
    AugmentedDataset,
    Batch,
    BatchPlan,
    BatchSource,
    ImageBatches,
    ImageDataset,
    TrainingStep,
)
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.frozen_features import FeatureBatches
from shapebias.training.initialization import freeze, training_mode
from shapebias.training.interruption import StoppedError, StopSignal
from shapebias.training.recipe import Recipe
from shapebias.training.sampling import check_batches

log = logging.getLogger(__name__)

T = TypeVar("T")

SINGLE_VALUE = "Expected more than 1 value per channel when training"  # torch's words for batch norm of one value
MIN_LOSS_SCALE = 1.0  # in fp16; if gradients overflow even at this scale, training has diverged

HistoryRow = dict[str, float]
ProgressBar = Callable[[Iterable[T], int, str], Iterable[T]]  # arguments: items, their number, a label


def no_progress(items: Iterable[T], _total: int, _what: str) -> Iterable[T]:
    return items


@dataclass
class TrainState:
    """Everything that changes during training. A resumed run loses everything that `capture` leaves out.

    learner: the module that learns and is saved, either the network or its classifier alone. forward: the learner as
    training calls it, compiled or distributed over the ranks. Random generators have no state here: the order, the
    augmentation and dropout are seeded from (seed, epoch, id) and (seed, step, rank).
    """

    learner: nn.Module
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler
    scaler: torch.amp.GradScaler
    trainable: str | int
    epoch: int = 0  # epochs completed
    batch: int = 0  # steps completed in the current epoch
    step: int = 0  # steps completed in total
    images_seen: int = 0
    loss: float = 0.0  # sums over the current epoch: loss (nats), weights, number of correct answers
    weight: float = 0.0
    right: float = 0.0
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[HistoryRow] = field(default_factory=list)
    run_id: str = ""  # W&B's id of the run, the same after every resume

    COUNTERS = ("epoch", "batch", "step", "images_seen", "loss", "weight", "right")
    RESULTS = ("best_epoch", "best_loss", "best_weights", "history", "run_id")

    def capture(self) -> dict[str, Any]:
        """Return copies of the complete state, because training continues while they are written."""
        values = {name: getattr(self, name) for name in (*self.COUNTERS, *self.RESULTS)}
        state_dicts = {name: getattr(self, name).state_dict() for name in ("learner", "optimizer", "scaler")}
        return copy_to_cpu(values | state_dicts)

    def restore(self, content: dict[str, Any]) -> None:
        """Restore the state that `capture` returned."""
        for name in ("learner", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(content[name])
        for name in (*self.COUNTERS, *self.RESULTS):
            setattr(self, name, content[name])


def copy_to_cpu(value: Any) -> Any:
    """Return a copy whose tensors are in CPU memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copy_to_cpu(item) for key, item in value.items()}
    return [copy_to_cpu(item) for item in value] if isinstance(value, list | tuple) else value


def initial_state(
    learner: nn.Module, recipe: Recipe, trainable: str | int, steps_per_epoch: int, world: World = SINGLE_PROCESS
) -> TrainState:
    """Return the state before the first step."""
    if recipe.layer_decay < 1 and not hasattr(learner, "group_matcher"):
        raise UserError(
            f"layer_decay {recipe.layer_decay:g}: {type(learner).__name__} has no layer groups; set it to 1"
        )
    try:
        optimizer = create_optimizer_v2(
            learner,
            opt=recipe.optimizer,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            layer_decay=recipe.layer_decay if recipe.layer_decay < 1 else None,
        )
    except (ValueError, AssertionError) as error:
        raise UserError(f"optimizer {recipe.optimizer!r}: {error}") from None
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine" if recipe.schedule == "cosine" else "step",
        num_epochs=recipe.epochs,
        # A constant rate is a step schedule whose first step is never reached.
        decay_epochs=recipe.step_epochs if recipe.schedule == "step" else 10 * recipe.epochs,
        decay_rate=recipe.step_factor,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.lr / 100,
        warmup_prefix=False,
        min_lr=0.0,
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
    )
    assert scheduler is not None
    # A compiled module is a module too, though the type of torch.compile promises only a callable.
    forward: Any = torch.compile(learner) if recipe.compile else learner
    if world.size > 1:
        gpus = [torch.device(world.device)] if world.device.startswith("cuda") else None
        # Batch norm's statistics are already equal on all ranks.
        forward = DistributedDataParallel(forward, device_ids=gpus, forward_sync_buffers=False)
    scaler = torch.amp.GradScaler(world.device.partition(":")[0], enabled=recipe.precision == "fp16")
    return TrainState(learner, forward, optimizer, scheduler, scaler, trainable)


def train_step(
    state: TrainState,
    step: TrainingStep,
    recipe: Recipe,
    *,
    seed: int = 0,
    world: World = SINGLE_PROCESS,
    class_weights: torch.Tensor | None = None,
    extra_sums: Sequence[float] = (),
) -> list[float]:
    """Update the learner once. Return sums over all ranks: loss (nats, weighted), correct answers, extra_sums.

    step.parts: this rank's shard of the batch, inputs [B, …] and labels int64 [B]; the gradients of the parts add up.
    Raises FloatingPointError on all ranks, before the weights change, if the loss or a gradient is not finite.
    """
    torch.manual_seed(draw_key(seed, "step", state.step, world.rank) % 2**63)  # dropout and drop path
    state.optimizer.zero_grad(set_to_none=True)
    sums = torch.zeros(2, device=world.device)
    for number, (inputs, labels) in enumerate(step.parts, 1):
        with contextlib.ExitStack() as contexts:
            if isinstance(state.forward, DistributedDataParallel) and number < len(step.parts):
                contexts.enter_context(state.forward.no_sync())
            contexts.enter_context(autocast(world.device, recipe.precision))
            logits = state.forward(inputs)
            loss = F.cross_entropy(
                logits.float(), labels, class_weights, reduction="sum", label_smoothing=recipe.label_smoothing
            )
            # The ranks' gradients are averaged, but the loss is a mean over the whole batch.
            state.scaler.scale(loss * (world.size / step.weight)).backward()
        sums += torch.stack([loss.detach(), (logits.argmax(dim=1) == labels).sum().to(loss.dtype)])
    state.scaler.unscale_(state.optimizer)
    parameters = [p for p in state.learner.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(parameters, recipe.max_norm or math.inf)
    # The step's only transfer from the device, except the scale of fp16; it costs less than a lost run.
    totals = world.sum(torch.cat([sums, norm.detach().view(1), sums.new_tensor(extra_sums)])).tolist()
    loss, correct, norm_sum = totals[:3]
    overflow = state.scaler.is_enabled() and state.scaler.get_scale() > MIN_LOSS_SCALE
    if not math.isfinite(loss) or not (math.isfinite(norm_sum) or overflow):
        mean = loss / step.weight
        raise FloatingPointError(f"loss {mean:g}, gradient norm {norm_sum / world.size:g} at step {state.step}")
    state.scheduler.step_update(state.step)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    state.batch += 1
    state.images_seen += step.images
    state.loss, state.weight, state.right = state.loss + loss, state.weight + step.weight, state.right + correct
    return [loss, correct, *totals[3:]]


@torch.inference_mode()
def validate(
    learner: nn.Module,
    batches: Iterable[Batch],
    recipe: Recipe,
    *,
    world: World = SINGLE_PROCESS,
    class_weights: torch.Tensor | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Return the mean cross entropy (nats, weighted) and the accuracy over all images of all ranks.

    Raises StoppedError on all ranks if one rank must stop.
    """
    learner.eval()
    total = torch.zeros(4, dtype=torch.float64)  # loss, its weight, correct answers, images
    for inputs, labels in batches:
        sums = torch.zeros(5, dtype=torch.float64, device=world.device)
        if len(labels):
            with autocast(world.device, recipe.precision):
                logits = learner(inputs).float()
            sums[0] = F.cross_entropy(logits, labels, class_weights, reduction="sum")
            sums[1] = len(labels) if class_weights is None else class_weights[labels].sum()
            sums[2], sums[3] = (logits.argmax(dim=1) == labels).sum(), len(labels)
        sums[4] = stop()
        *numbers, stop_all = world.sum(sums).tolist()
        total += torch.tensor(numbers, dtype=torch.float64)
        if stop_all:
            raise StoppedError
    loss, weight, correct, count = total.tolist()
    return loss / weight, correct / count


@dataclass
class TrainingJob:
    """The fixed inputs of one training job; they stay the same from the first to the last step."""

    source: BatchSource
    recipe: Recipe
    seed: int
    world: World
    class_weights: torch.Tensor | None
    checkpoints: Checkpoints | None
    stop: StopSignal
    show: ProgressBar


def train(
    network: nn.Module,
    train_set: AugmentedDataset,
    val_set: ImageDataset,
    recipe: Recipe,
    *,
    trainable: str | int,
    seed: int,
    world: World = SINGLE_PROCESS,
    checkpoints: Checkpoints | None = None,
    stop: StopSignal | None = None,
    on_epoch: Callable[[TrainState], None] = lambda state: None,
    show_progress: ProgressBar = no_progress,
    run_id: str = "",
) -> TrainState:
    """Train until the epochs or the patience end; the network then has the weights of its best epoch.

    The best epoch has the lowest validation loss. With checkpoints, training resumes from the newest checkpoint, and a
    stopped run leaves a checkpoint. on_epoch: called before the first epoch and after each epoch. run_id: for a new
    run; a resumed run keeps its own id. Raises UserError if training diverges and StoppedError if it is stopped.
    """
    if recipe.feature_views and trainable != "head":
        raise UserError(f"feature_views {recipe.feature_views} needs trainable: head, not {trainable!r}")
    check_batches(len(train_set), recipe.batch_size, world.size, recipe.accumulate)
    if len(val_set) < world.size:
        raise UserError(f"{world.size} ranks share {len(val_set)} validation images; take fewer ranks")
    freeze(network, trainable)
    write_new_outputs(network)
    layout = memory_format(network, train_set.preparation.size)
    network.to(world.device).to(memory_format=layout)
    stop = stop or StopSignal()
    weights = balanced_weights(train_set.labels) if recipe.class_weights == "balanced" else None
    image_batches = ImageBatches(train_set, val_set, BatchPlan(train_set.labels, recipe, seed, world, weights), layout)
    if recipe.feature_views:
        source: BatchSource = FeatureBatches(network, image_batches, stop.requested, show_progress)
        learner = classifier(network)
        del image_batches  # with its workers
    else:
        source, learner = image_batches, network if world.size == 1 else synchronize_batch_norm(network, world.device)
    weights = None if weights is None else weights.to(world.device)
    job = TrainingJob(source, recipe, seed, world, weights, checkpoints, stop, show_progress)
    state = initial_state(learner, recipe, trainable, source.steps, world)
    state.run_id = run_id
    resume_from_checkpoint(state, job)
    on_epoch(state)
    while state.epoch < recipe.epochs and not out_of_patience(state, recipe):
        train_epoch(state, job)
        log.info("%s", "  ".join(f"{key} {value:.4g}" for key, value in state.history[-1].items()))
        on_epoch(state)
        if checkpoints and world.is_first and checkpoints.due(state.epoch):
            checkpoints.save(state.capture())
    learner.load_state_dict(state.best_weights)
    return state


def balanced_weights(labels: list[int]) -> torch.Tensor:
    """Return one weight per class, inverse to its number of images, float32, with sum 1.

    With two classes, each weight is the other class's share of the images.
    """
    inverse = 1 / torch.bincount(torch.tensor(labels)).double()
    return (inverse / inverse.sum()).float()


def resume_from_checkpoint(state: TrainState, job: TrainingJob) -> None:
    """Restore the newest checkpoint, if there is one."""
    saved = job.checkpoints.newest() if job.checkpoints else None
    if saved is not None:
        state.restore(saved)
    moments = torch.tensor([state.step, state.step**2], dtype=torch.float64, device=job.world.device)
    total, squares = job.world.sum(moments).tolist()
    if squares * job.world.size != total**2:  # the variance is above 0 if the steps differ
        raise UserError("the ranks read different checkpoints; do all nodes see the same folder?")


def train_epoch(state: TrainState, job: TrainingJob) -> None:
    """Train the remaining steps of the current epoch, validate, and add a row to the history."""
    recipe, world, remaining_steps = job.recipe, job.world, job.source.steps - state.batch
    training_mode(state.learner, "all" if recipe.feature_views else state.trainable)
    steps = job.source.training(state.epoch, state.batch)
    try:
        for step in job.show(steps, remaining_steps, f"epoch {state.epoch + 1}"):
            *_, stop_all = train_step(
                state,
                step,
                recipe,
                seed=job.seed,
                world=world,
                class_weights=job.class_weights,
                extra_sums=[float(job.stop.requested())],
            )
            if stop_all:
                raise StoppedError
            if job.checkpoints and world.is_first and job.checkpoints.due():
                job.checkpoints.save(state.capture())
        validation = job.show(job.source.validation(), job.source.val_steps, "validation")
        val_loss, val_accuracy = validate(
            state.learner,
            validation,
            recipe,
            world=world,
            class_weights=job.class_weights,
            stop=job.stop.requested,
        )
    except FloatingPointError as error:
        raise UserError(f"training diverged ({error}); lower `lr` ({recipe.lr:g}) or set `max_norm`") from None
    except ValueError as error:
        if SINGLE_VALUE not in str(error):
            raise
        raise UserError(
            f"batch_size {recipe.batch_size} (accumulate {recipe.accumulate}) shows the network a single image at a "
            f"time, and its batch norm needs several where maps are 1 × 1; raise batch_size, lower accumulate, or take "
            f"larger images"
        ) from None
    except StoppedError:
        raise StoppedError(stop_with_checkpoint(state, job)) from None
    if not math.isfinite(val_loss):
        raise UserError(f"training diverged: validation loss {val_loss:g} after epoch {state.epoch + 1}; lower `lr`")
    finish_epoch(state, val_loss, val_accuracy, job.source.images)


def stop_with_checkpoint(state: TrainState, job: TrainingJob) -> str:
    """Write a last checkpoint; return the message for the log."""
    reason = f"{job.stop.reason or 'another rank was stopped'} at step {state.step}, epoch {state.epoch + 1}"
    if job.checkpoints is None:
        return f"{reason}; checkpoints are off"
    try:
        if job.world.is_first:
            job.checkpoints.save(state.capture(), wait=True)
    finally:  # torchrun ends all ranks when one rank ends
        job.world.sum(torch.zeros(1, device=job.world.device))
    return f"{reason}; the same command resumes from {job.checkpoints.folder}"


def finish_epoch(state: TrainState, val_loss: float, val_accuracy: float, images: int) -> None:
    state.epoch += 1
    if val_loss < state.best_loss:
        state.best_loss, state.best_epoch = val_loss, state.epoch
        state.best_weights = {key: value.detach().clone() for key, value in state.learner.state_dict().items()}
    state.history.append(
        {
            "epoch": state.epoch,
            "steps": state.step,
            "images_seen": state.images_seen,
            "lr": state.optimizer.param_groups[-1]["lr"],
            "train_loss": state.loss / state.weight,
            "train_accuracy": state.right / images,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
        }
    )
    state.batch, state.loss, state.weight, state.right = 0, 0.0, 0.0, 0.0


def out_of_patience(state: TrainState, recipe: Recipe) -> bool:
    return recipe.patience > 0 and state.epoch - state.best_epoch >= recipe.patience


def image_counts(sets: dict[str, Any], epochs: int) -> dict[str, int]:
    """Return the number of images seen from each set; every epoch uses each image once."""
    return {name: len(samples) * epochs for name, samples in sets.items()}
