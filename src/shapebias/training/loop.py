"""Training: one loop for every regime, on one processor or on many."""

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
from shapebias.networks.device import autocast
from shapebias.networks.models import classifier, memory_format
from shapebias.networks.sync_batch_norm import synchronize_batch_norm
from shapebias.seeding import draw_key
from shapebias.training.checkpoints import Checkpoints
from shapebias.training.data_loading import Augmented, Batch, Feed, ImageFeed, Pictures, Plan, Step
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.frozen_features import FeatureFeed
from shapebias.training.initialization import freeze, training_mode
from shapebias.training.interruption import Stop, StoppedError
from shapebias.training.recipe import Recipe
from shapebias.training.sampling import check_batches

log = logging.getLogger(__name__)

T = TypeVar("T")

SMALLEST_SCALE = 1.0  # of the loss in fp16: where gradients overflow even so, training has diverged

Row = dict[str, float]
Show = Callable[[Iterable[T], int, str], Iterable[T]]  # a progress bar: items, how many, what they are


def silently(items: Iterable[T], _total: int, _what: str) -> Iterable[T]:
    return items


@dataclass
class TrainState:
    """Everything that changes while training; what is missing in `capture` is lost when a run goes on.

    learner: what learns and is saved, the network or its classifier alone. forward: the learner as it is called in
    training, compiled or over all ranks. No generator's state is here: order, augmentation and dropout are drawn
    anew by (seed, epoch, id) and (seed, step, rank).
    """

    learner: nn.Module
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler
    scaler: torch.amp.GradScaler
    trainable: str | int
    epoch: int = 0  # epochs completed
    batch: int = 0  # steps done of the epoch that is under way
    step: int = 0  # steps done in all
    images_seen: int = 0
    loss: float = 0.0  # of the epoch that is under way: loss (nats) and weight summed, right answers counted
    weight: float = 0.0
    right: float = 0.0
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    run_id: str = ""  # by which W&B knows the run, over all its starts

    COUNTERS = ("epoch", "batch", "step", "images_seen", "loss", "weight", "right")
    RESULTS = ("best_epoch", "best_loss", "best_weights", "history", "run_id")

    def capture(self) -> dict[str, Any]:
        """All of it, in copies of its own: training goes on while they are written."""
        plain = {name: getattr(self, name) for name in (*self.COUNTERS, *self.RESULTS)}
        parts = {name: getattr(self, name).state_dict() for name in ("learner", "optimizer", "scaler")}
        return copied(plain | parts)

    def restore(self, content: dict[str, Any]) -> None:
        """Take over what `capture` gave."""
        for name in ("learner", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(content[name])
        for name in (*self.COUNTERS, *self.RESULTS):
            setattr(self, name, content[name])


def copied(value: Any) -> Any:
    """A copy whose tensors are in the CPU's memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list | tuple) else value


def start(
    learner: nn.Module, recipe: Recipe, trainable: str | int, steps_per_epoch: int, ranks: Ranks = ALONE
) -> TrainState:
    """The state before the first step."""
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
        # A constant rate is a step that never comes.
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
    # Compiled, it is a module too, though torch.compile promises a callable only.
    forward: Any = torch.compile(learner) if recipe.compile else learner
    if ranks.world > 1:
        gpus = [torch.device(ranks.device)] if ranks.device.startswith("cuda") else None
        # Batch norm's statistics are equal on all ranks as it is.
        forward = DistributedDataParallel(forward, device_ids=gpus, forward_sync_buffers=False)
    scaler = torch.amp.GradScaler(ranks.device.partition(":")[0], enabled=recipe.precision == "fp16")
    return TrainState(learner, forward, optimizer, scheduler, scaler, trainable)


def train_step(
    state: TrainState,
    step: Step,
    recipe: Recipe,
    *,
    seed: int = 0,
    ranks: Ranks = ALONE,
    class_weights: torch.Tensor | None = None,
    notes: Sequence[float] = (),
) -> list[float]:
    """Update the learner once; return sums over all ranks: loss (nats, weighted), right answers, the notes.

    step.parts: this rank's share of the batch, inputs [B, …] and labels int64 [B], whose gradients add up. Raises
    FloatingPointError, on all ranks alike, before the weights change if the loss or a gradient is not finite.
    """
    torch.manual_seed(draw_key(seed, "step", state.step, ranks.rank) % 2**63)  # dropout and drop path
    state.optimizer.zero_grad(set_to_none=True)
    sums = torch.zeros(2, device=ranks.device)
    for number, (inputs, labels) in enumerate(step.parts, 1):
        with contextlib.ExitStack() as stack:
            if isinstance(state.forward, DistributedDataParallel) and number < len(step.parts):
                stack.enter_context(state.forward.no_sync())
            stack.enter_context(autocast(ranks.device, recipe.precision))
            logits = state.forward(inputs)
            loss = F.cross_entropy(
                logits.float(), labels, class_weights, reduction="sum", label_smoothing=recipe.label_smoothing
            )
            # The ranks' gradients are averaged, but the loss is a mean over the whole batch.
            state.scaler.scale(loss * (ranks.world / step.weight)).backward()
        sums += torch.stack([loss.detach(), (logits.argmax(dim=1) == labels).sum().to(loss.dtype)])
    state.scaler.unscale_(state.optimizer)
    parameters = [p for p in state.learner.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(parameters, recipe.max_norm or math.inf)
    # All that is asked of the device in a step (but for the scale of fp16) at once: cheaper than a lost run.
    told = ranks.sum(torch.cat([sums, norm.detach().view(1), sums.new_tensor(notes)])).tolist()
    loss, right, norm_sum = told[:3]
    overflow = state.scaler.is_enabled() and state.scaler.get_scale() > SMALLEST_SCALE
    if not math.isfinite(loss) or not (math.isfinite(norm_sum) or overflow):
        mean = loss / step.weight
        raise FloatingPointError(f"loss {mean:g}, gradient norm {norm_sum / ranks.world:g} at step {state.step}")
    state.scheduler.step_update(state.step)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    state.batch += 1
    state.images_seen += step.images
    state.loss, state.weight, state.right = state.loss + loss, state.weight + step.weight, state.right + right
    return [loss, right, *told[3:]]


@torch.inference_mode()
def validate(
    learner: nn.Module,
    batches: Iterable[Batch],
    recipe: Recipe,
    *,
    ranks: Ranks = ALONE,
    class_weights: torch.Tensor | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Mean cross entropy (nats, weighted) and accuracy over all images of all ranks.

    Raises StoppedError, on all ranks alike, where one is to stop.
    """
    learner.eval()
    total = torch.zeros(4, dtype=torch.float64)  # loss, its weight, right answers, images
    for inputs, labels in batches:
        found = torch.zeros(5, dtype=torch.float64, device=ranks.device)
        if len(labels):
            with autocast(ranks.device, recipe.precision):
                logits = learner(inputs).float()
            found[0] = F.cross_entropy(logits, labels, class_weights, reduction="sum")
            found[1] = len(labels) if class_weights is None else class_weights[labels].sum()
            found[2], found[3] = (logits.argmax(dim=1) == labels).sum(), len(labels)
        found[4] = stop()
        *numbers, stopping = ranks.sum(found).tolist()
        total += torch.tensor(numbers, dtype=torch.float64)
        if stopping:
            raise StoppedError
    loss, weight, right, count = total.tolist()
    return loss / weight, right / count


@dataclass
class Job:
    """What one training job works with; all of it stays the same from first to last step."""

    feed: Feed
    recipe: Recipe
    seed: int
    ranks: Ranks
    class_weights: torch.Tensor | None
    checkpoints: Checkpoints | None
    stop: Stop
    show: Show


def train(
    network: nn.Module,
    train_set: Augmented,
    val_set: Pictures,
    recipe: Recipe,
    *,
    trainable: str | int,
    seed: int,
    ranks: Ranks = ALONE,
    checkpoints: Checkpoints | None = None,
    stop: Stop | None = None,
    watch: Callable[[TrainState], None] = lambda state: None,
    show: Show = silently,
    run_id: str = "",
) -> TrainState:
    """Train until the epochs or the patience end; the network is left with the weights of its best epoch.

    The best epoch is that of the lowest validation loss. With checkpoints, it goes on from the newest, and leaves
    one behind when it is stopped. watch: is called before the first epoch and after each. run_id: of a new run; one
    that goes on keeps its own. Raises UserError when training diverges, StoppedError when it was stopped.
    """
    if recipe.feature_views and trainable != "head":
        raise UserError(f"feature_views {recipe.feature_views} needs trainable: head, not {trainable!r}")
    check_batches(len(train_set), recipe.batch_size, ranks.world, recipe.accumulate)
    if len(val_set) < ranks.world:
        raise UserError(f"{ranks.world} ranks share {len(val_set)} validation images; take fewer ranks")
    freeze(network, trainable)
    layout = memory_format(network, train_set.preparation.size)
    network.to(ranks.device).to(memory_format=layout)
    stop = stop or Stop()
    weights = balanced(train_set.labels) if recipe.class_weights == "balanced" else None
    images = ImageFeed(train_set, val_set, Plan(train_set.labels, recipe, seed, ranks, weights), layout)
    if recipe.feature_views:
        feed: Feed = FeatureFeed(network, images, stop.requested, show)
        learner = classifier(network)
        del images  # and its workers
    else:
        feed, learner = images, network if ranks.world == 1 else synchronize_batch_norm(network, ranks.device)
    weights = None if weights is None else weights.to(ranks.device)
    job = Job(feed, recipe, seed, ranks, weights, checkpoints, stop, show)
    state = start(learner, recipe, trainable, feed.steps, ranks)
    state.run_id = run_id
    go_on(state, job)
    watch(state)
    while state.epoch < recipe.epochs and not out_of_patience(state, recipe):
        train_epoch(state, job)
        log.info("%s", "  ".join(f"{key} {value:.4g}" for key, value in state.history[-1].items()))
        watch(state)
        if checkpoints and ranks.first and checkpoints.due(state.epoch):
            checkpoints.save(state.capture())
    learner.load_state_dict(state.best_weights)
    return state


def balanced(labels: list[int]) -> torch.Tensor:
    """A weight a class, inverse to its number of images, float32, summing to 1 (of two classes: the other's share)."""
    inverse = 1 / torch.bincount(torch.tensor(labels)).double()
    return (inverse / inverse.sum()).float()


def go_on(state: TrainState, job: Job) -> None:
    """Take over the newest checkpoint, if there is one."""
    saved = job.checkpoints.newest() if job.checkpoints else None
    if saved is not None:
        state.restore(saved)
    moments = torch.tensor([state.step, state.step**2], dtype=torch.float64, device=job.ranks.device)
    total, squares = job.ranks.sum(moments).tolist()
    if squares * job.ranks.world != total**2:  # steps that are not all the same have a variance
        raise UserError("the ranks read different checkpoints; is the folder one that all nodes see?")


def train_epoch(state: TrainState, job: Job) -> None:
    """The rest of the epoch that is under way, and its validation; adds a row to the history."""
    recipe, ranks, left = job.recipe, job.ranks, job.feed.steps - state.batch
    training_mode(state.learner, "all" if recipe.feature_views else state.trainable)
    steps = job.feed.training(state.epoch, state.batch)
    try:
        for step in job.show(steps, left, f"epoch {state.epoch + 1}"):
            *_, stopping = train_step(
                state,
                step,
                recipe,
                seed=job.seed,
                ranks=ranks,
                class_weights=job.class_weights,
                notes=[float(job.stop.requested())],
            )
            if stopping:
                raise StoppedError
            if job.checkpoints and ranks.first and job.checkpoints.due():
                job.checkpoints.save(state.capture())
        validation = job.show(job.feed.validation(), job.feed.rounds, "validation")
        val_loss, val_accuracy = validate(
            state.learner,
            validation,
            recipe,
            ranks=ranks,
            class_weights=job.class_weights,
            stop=job.stop.requested,
        )
    except FloatingPointError as error:
        raise UserError(f"training diverged ({error}); lower `lr` ({recipe.lr:g}) or set `max_norm`") from None
    except StoppedError:
        raise StoppedError(leave(state, job)) from None
    if not math.isfinite(val_loss):
        raise UserError(f"training diverged: validation loss {val_loss:g} after epoch {state.epoch + 1}; lower `lr`")
    finish_epoch(state, val_loss, val_accuracy, job.feed.images)


def leave(state: TrainState, job: Job) -> str:
    """Write a last checkpoint; returns what to tell about it."""
    where = f"{job.stop.reason or 'another rank was stopped'} at step {state.step}, epoch {state.epoch + 1}"
    if job.checkpoints is None:
        return f"{where}; no checkpoint was asked for"
    try:
        if job.ranks.first:
            job.checkpoints.save(state.capture(), wait=True)
    finally:  # torchrun ends all ranks as soon as one has left
        job.ranks.sum(torch.zeros(1, device=job.ranks.device))
    return f"{where}; the same command goes on from {job.checkpoints.folder}"


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
    """Images seen of each set: every epoch sees each once."""
    return {name: len(samples) * epochs for name, samples in sets.items()}
