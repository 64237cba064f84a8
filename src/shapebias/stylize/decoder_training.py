"""Train a decoder for AdaIN, as Huang and Belongie 2017 (arXiv 1703.06868) and the published PyTorch code do.

Several processes (torchrun) share each batch. A batch's images and crops depend only on (seed, step), so the losses
are the same with one process or two.
"""

import copy
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import resize_shorter
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.parallel import ordered_map
from shapebias.seeding import generator
from shapebias.stylize.adain import RELUS, adain, encoder_hash, encoder_width, make_decoder, mean_std
from shapebias.training.checkpoints import Checkpoints

log = logging.getLogger(__name__)

LR_DECAY = 5e-5  # from the published code: the learning rate is lr / (1 + LR_DECAY · step)
HISTORY_ROWS = 400  # losses are averaged to about this many rows

LossRow = dict[str, float]


@dataclass(frozen=True)
class DecoderRecipe:
    """Hyperparameters of decoder training, with the published code's defaults.

    resize: images are scaled to this shorter side, pixels; the published code scales both sides, which distorts them.
    size: side of the random crop, pixels.
    """

    steps: int = 160_000
    batch_size: int = 8
    resize: int = 512
    size: int = 256
    lr: float = 1e-4
    content_weight: float = 1.0
    style_weight: float = 10.0
    seed: int = 0


class RandomCrops:
    """Random crops of randomly chosen pictures; a broken picture is counted and replaced by the next choice."""

    def __init__(self, pictures: Sequence[Picture], recipe: DecoderRecipe, allowed: float) -> None:
        self.pictures, self.recipe = pictures, recipe
        self.rejections, self.broken, self.lock = Rejections(allowed), set[int](), threading.Lock()

    def crop(self, rng: np.random.Generator) -> Image.Image:
        """Return a random crop; raises UserError if too many pictures are broken."""
        size = self.recipe.size
        while True:
            index = int(rng.integers(len(self.pictures)))
            if index in self.broken:
                continue
            try:
                image = resize_shorter(self.pictures[index].image(), self.recipe.resize)
            except BadImageError as error:
                self.reject(index, error)
                continue
            left, top = (int(rng.integers(side - size + 1)) for side in image.size)
            return image.crop((left, top, left + size, top + size))

    def reject(self, index: int, reason: BadImageError) -> None:
        """Record a broken picture once; raises UserError if there are too many."""
        with self.lock:  # threads decode ahead, so two may read the same broken picture
            if index not in self.broken:
                self.broken.add(index)
                picture = self.pictures[index]
                self.rejections.add(picture.label["content"] or picture.id, reason)
            self.rejections.check(len(self.pictures))


class ContentStylePairs:
    """Random pairs of content and style crops for each step."""

    def __init__(
        self, contents: Sequence[Picture], styles: Sequence[Picture], recipe: DecoderRecipe, allowed: float = 0.0
    ) -> None:
        self.recipe = recipe
        self.contents, self.styles = RandomCrops(contents, recipe, allowed), RandomCrops(styles, recipe, allowed)

    def batch(self, step: int, numbers: range) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one step's pairs with these numbers: contents and styles, each [B, 3, size, size] in [0, 1]."""
        pairs = [self.pair("pair", step, number) for number in numbers]
        return stack_images([content for content, _ in pairs]), stack_images([style for _, style in pairs])

    def pair(self, *names: object) -> tuple[Image.Image, Image.Image]:
        """Return a random content crop and style crop, given by the seed and the names."""
        rng = generator(self.recipe.seed, *names)
        return self.contents.crop(rng), self.styles.crop(rng)


def stack_images(images: Sequence[Image.Image]) -> torch.Tensor:
    """Convert RGB images of one size to [B, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float() / 255


def stage_features(encoder: nn.Sequential, images: torch.Tensor) -> list[torch.Tensor]:
    """Return the encoder's features at relu1_1, relu2_1, relu3_1 and relu4_1."""
    features, x = [], images
    for index, module in enumerate(encoder):
        x = module(x)
        if index in RELUS:
            features.append(x)
    return features


def adain_losses(
    encoder: nn.Sequential, decoder: nn.Module, contents: torch.Tensor, styles: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the content loss and the style loss of a batch (equations 12 and 13 of the paper), each 0-dim.

    The content loss compares the result's features with the decoder's target features. The style loss compares means
    and standard deviations of the result's and the style's features, summed over the four stages.
    """
    with torch.no_grad():
        style_features = stage_features(encoder, styles)
        target = adain(stage_features(encoder, contents)[-1], *mean_std(style_features[-1]))
    result_features = stage_features(encoder, decoder(target))
    style_loss = target.new_zeros(())
    for result, style in zip(result_features, style_features, strict=True):
        for statistic, goal in zip(mean_std(result), mean_std(style), strict=True):
            style_loss = style_loss + F.mse_loss(statistic, goal)
    return F.mse_loss(result_features[-1], target), style_loss


@dataclass
class DecoderState:
    """The complete state of a training run, from which an interrupted run resumes exactly."""

    decoder: nn.Sequential
    optimizer: torch.optim.Optimizer
    history: list[LossRow]
    sums: list[float]  # of content and style loss since the last row of the history
    step: int = 0  # completed updates

    def capture(self) -> dict[str, Any]:
        """Return a copy for a checkpoint; training may continue while it is written."""
        return copy.deepcopy(
            {
                "step": self.step,
                "decoder": self.decoder.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
                "sums": self.sums,
            }
        )

    def restore(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint's content."""
        self.decoder.load_state_dict(saved["decoder"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.history, self.sums = saved["step"], saved["history"], saved["sums"]


def decoder_identity(encoder: nn.Sequential, recipe: DecoderRecipe) -> dict[str, Any]:
    """Return the values that define a training; a checkpoint with other values is refused."""
    return asdict(recipe) | {"encoder": encoder_hash(encoder)}


def initial_state(encoder: nn.Sequential, recipe: DecoderRecipe, device: torch.device) -> DecoderState:
    """Return a new training state; the seed determines the decoder's weights.

    Layers that keep the number of channels start as the identity, the others with He's initialization. With torch's
    default, no signal passes all nine plain layers for the first few hundred steps. With He's initialization in all
    nine layers, positions are mostly lost.
    """
    rng, decoder = torch.Generator().manual_seed(recipe.seed), make_decoder(encoder_width(encoder))
    *inner, last = (module for module in decoder if isinstance(module, nn.Conv2d))
    for module in (*inner, last):
        if module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
        nn.init.constant_(module.get_parameter("bias"), 0)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.get_parameter("bias").fill_(0.5)
    decoder.to(device)
    return DecoderState(decoder, torch.optim.Adam(decoder.parameters(), lr=recipe.lr), [], [0.0, 0.0])


def train_decoder(
    encoder: nn.Sequential,
    pairs: ContentStylePairs,
    recipe: DecoderRecipe,
    *,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    workers: int = 0,
    show: Callable[[range], Iterator[int]] = iter,
) -> DecoderState:
    """Train a decoder for a frozen encoder; resume from the newest checkpoint, if there is one.

    checkpoints: those of `decoder_identity`. workers: threads that decode images ahead. show: wraps the steps, for a
    progress bar. Raises UserError for a checkpoint of another recipe, a batch that the processes cannot share evenly,
    and losses that are not finite.
    """
    encoder = encoder.eval().requires_grad_(False).to(device)
    state = initial_state(encoder, recipe, device)
    saved = checkpoints.newest() if checkpoints else None
    if saved is not None:
        state.restore(saved)
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    if recipe.batch_size % world:
        raise UserError(f"batch_size {recipe.batch_size} cannot be shared by {world} processes; take a multiple")
    numbers = range(rank * recipe.batch_size // world, (rank + 1) * recipe.batch_size // world)
    network: nn.Module = state.decoder if world == 1 else DistributedDataParallel(state.decoder)
    steps_per_row = max(1, recipe.steps // HISTORY_ROWS)
    steps = range(state.step, recipe.steps)
    batches = ordered_map(lambda step: pairs.batch(step, numbers), steps, workers)
    for step, batch in zip(show(steps), batches, strict=True):
        rate = recipe.lr / (1 + LR_DECAY * step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        content_loss, style_loss = adain_losses(encoder, network, *(images.to(device) for images in batch))
        loss = recipe.content_weight * content_loss + recipe.style_weight * style_loss
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        step_losses = mean_over_processes(torch.stack([content_loss.detach(), style_loss.detach()]), world)
        if not all(map(math.isfinite, step_losses)):
            raise UserError(
                f"step {step}: content loss {step_losses[0]}, style loss {step_losses[1]}; lower the learning rate"
            )
        state.optimizer.step()
        state.step = step + 1
        state.sums = [total + value for total, value in zip(state.sums, step_losses, strict=True)]
        if state.step % steps_per_row == 0:
            content, style = (total / steps_per_row for total in state.sums)
            weighted = recipe.content_weight * content + recipe.style_weight * style
            row = {"step": state.step, "content_loss": content, "style_loss": style, "loss": weighted, "lr": rate}
            state.history.append(row)
            state.sums = [0.0, 0.0]
        if checkpoints and rank == 0 and checkpoints.due():
            checkpoints.save(state.capture())
            log.info("step %d: content loss %.3f, style loss %.3f", state.step, *step_losses)
    return state


def mean_over_processes(values: torch.Tensor, world: int) -> list[float]:
    """Return the mean of each value over all processes."""
    if world > 1:
        distributed.all_reduce(values)
        values /= world
    return values.tolist()
