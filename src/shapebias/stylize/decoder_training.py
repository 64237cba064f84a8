"""Training a decoder for AdaIN, as Huang and Belongie 2017 (arXiv 1703.06868) and the published PyTorch code did.

Several processes (torchrun) share each batch; which images and crops it holds is a function of (seed, step) alone,
so one process and two follow the same losses.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from shapebias.errors import BadImageError, UserError
from shapebias.files import atomic_write
from shapebias.images.codec import resize_shorter
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.parallel import ordered_map
from shapebias.seeding import generator
from shapebias.stylize.adain import RELUS, adain, encoder_hash, encoder_width, make_decoder, mean_std

log = logging.getLogger(__name__)

LR_DECAY = 5e-5  # of the published code: the rate is lr / (1 + LR_DECAY · step)
HISTORY_ROWS = 400  # losses are averaged to about so many rows

LossRow = dict[str, float]


@dataclass(frozen=True)
class DecoderRecipe:
    """How a decoder is trained. Defaults are those of the published code.

    resize: shorter side that images are scaled to (the published code scales both sides, which distorts); size: side
    of the random crop of them, pixels.
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
    """Random crops of drawn pictures; a broken one is replaced by the next drawn and counted."""

    def __init__(self, pictures: Sequence[Picture], recipe: DecoderRecipe, allowed: float) -> None:
        self.pictures, self.recipe = pictures, recipe
        self.rejections, self.broken, self.lock = Rejections(allowed), set[int](), threading.Lock()

    def crop(self, rng: np.random.Generator) -> Image.Image:
        """The crop that a generator draws; raises UserError if too many pictures are broken."""
        size = self.recipe.size
        while True:
            index = int(rng.integers(len(self.pictures)))
            if index in self.broken:
                continue
            try:
                image = resize_shorter(self.pictures[index].image(), self.recipe.resize)
            except BadImageError as error:
                self.set_aside(index, error)
                continue
            left, top = (int(rng.integers(side - size + 1)) for side in image.size)
            return image.crop((left, top, left + size, top + size))

    def set_aside(self, index: int, reason: BadImageError) -> None:
        with self.lock:  # threads decode ahead, and two may meet one broken picture
            if index not in self.broken:
                self.broken.add(index)
                picture = self.pictures[index]
                self.rejections.add(picture.label["content"] or picture.id, reason)
            self.rejections.check(len(self.pictures))


class ContentStylePairs:
    """Contents and styles, drawn and cropped for each step."""

    def __init__(
        self, contents: Sequence[Picture], styles: Sequence[Picture], recipe: DecoderRecipe, allowed: float = 0.0
    ) -> None:
        self.recipe = recipe
        self.contents, self.styles = RandomCrops(contents, recipe, allowed), RandomCrops(styles, recipe, allowed)

    def batch(self, step: int, part: range) -> tuple[torch.Tensor, torch.Tensor]:
        """The pairs of one step whose numbers are in `part`: contents and styles, each [B, 3, size, size], [0, 1]."""
        drawn = [self.pair("pair", step, number) for number in part]
        return stack_images([content for content, _ in drawn]), stack_images([style for _, style in drawn])

    def pair(self, *names: object) -> tuple[Image.Image, Image.Image]:
        """A content and a style, drawn by the seed and some names."""
        rng = generator(self.recipe.seed, *names)
        return self.contents.crop(rng), self.styles.crop(rng)


def stack_images(images: Sequence[Image.Image]) -> torch.Tensor:
    """RGB images of one size → [B, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float() / 255


def stage_features(encoder: nn.Sequential, images: torch.Tensor) -> list[torch.Tensor]:
    """The encoder's features at relu1_1, relu2_1, relu3_1 and relu4_1."""
    found, x = [], images
    for index, module in enumerate(encoder):
        x = module(x)
        if index in RELUS:
            found.append(x)
    return found


def adain_losses(
    encoder: nn.Sequential, decoder: nn.Module, contents: torch.Tensor, styles: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Content loss and style loss of a batch (equations 12 and 13 of the paper), each 0-dim.

    Content: between the result's features and those asked of the decoder. Style: between means and standard
    deviations of the result's and the style's features, summed over the four stages.
    """
    with torch.no_grad():
        wanted = stage_features(encoder, styles)
        target = adain(stage_features(encoder, contents)[-1], *mean_std(wanted[-1]))
    made = stage_features(encoder, decoder(target))
    style_loss = target.new_zeros(())
    for ours, theirs in zip(made, wanted, strict=True):
        for statistic, goal in zip(mean_std(ours), mean_std(theirs), strict=True):
            style_loss = style_loss + F.mse_loss(statistic, goal)
    return F.mse_loss(made[-1], target), style_loss


@dataclass
class DecoderState:
    """All that an interrupted training needs to go on as if nothing had happened."""

    decoder: nn.Sequential
    optimizer: torch.optim.Optimizer
    history: list[LossRow]
    sums: list[float]  # of content and style loss since the last row of the history
    step: int = 0  # updates done


def initial_state(encoder: nn.Sequential, recipe: DecoderRecipe, device: torch.device) -> DecoderState:
    """A decoder whose weights are drawn by the seed.

    Layers that keep the number of channels begin as the identity, the others with He's initial weights: with torch's,
    nothing reaches the far end of nine plain layers for the first few hundred steps, and with nine layers of He's
    little of where things are.
    """
    draw, decoder = torch.Generator().manual_seed(recipe.seed), make_decoder(encoder_width(encoder))
    *inner, last = (module for module in decoder if isinstance(module, nn.Conv2d))
    for module in (*inner, last):
        if module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight)
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=draw)
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
    checkpoint: Path | None = None,
    checkpoint_steps: int = 1000,
    workers: int = 0,
    show: Callable[[range], Iterator[int]] = iter,
) -> DecoderState:
    """Train a decoder for a frozen encoder; goes on from `checkpoint` if it is there.

    workers: threads that decode images ahead. show: wraps the steps, for a progress bar. Raises UserError for a
    checkpoint of another recipe, a batch that the processes cannot share, and losses that are not finite.
    """
    encoder = encoder.eval().requires_grad_(False).to(device)
    state = initial_state(encoder, recipe, device)
    fixed = asdict(recipe) | {"encoder": encoder_hash(encoder)}
    if checkpoint is not None and checkpoint.is_file():
        resume(state, checkpoint, fixed, device)
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    if recipe.batch_size % world:
        raise UserError(f"batch_size {recipe.batch_size} cannot be shared by {world} processes; take a multiple")
    part = range(rank * recipe.batch_size // world, (rank + 1) * recipe.batch_size // world)
    network: nn.Module = state.decoder if world == 1 else DistributedDataParallel(state.decoder)
    every = max(1, recipe.steps // HISTORY_ROWS)
    steps = range(state.step, recipe.steps)
    batches = ordered_map(lambda step: pairs.batch(step, part), steps, workers)
    for step, batch in zip(show(steps), batches, strict=True):
        rate = recipe.lr / (1 + LR_DECAY * step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        content_loss, style_loss = adain_losses(encoder, network, *(images.to(device) for images in batch))
        loss = recipe.content_weight * content_loss + recipe.style_weight * style_loss
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        told = mean_over_processes(torch.stack([content_loss.detach(), style_loss.detach()]), world)
        if not all(map(math.isfinite, told)):
            raise UserError(f"step {step}: content loss {told[0]}, style loss {told[1]}; lower the learning rate")
        state.optimizer.step()
        state.step = step + 1
        state.sums = [total + one for total, one in zip(state.sums, told, strict=True)]
        if state.step % every == 0:
            content, style = (total / every for total in state.sums)
            weighted = recipe.content_weight * content + recipe.style_weight * style
            row = {"step": state.step, "content_loss": content, "style_loss": style, "loss": weighted, "lr": rate}
            state.history.append(row)
            state.sums = [0.0, 0.0]
        if checkpoint is not None and state.step % checkpoint_steps == 0 and rank == 0:
            save_checkpoint(state, checkpoint, fixed)
            log.info("step %d: content loss %.3f, style loss %.3f", state.step, *told)
    return state


def mean_over_processes(values: torch.Tensor, world: int) -> list[float]:
    """The mean of some numbers over all processes."""
    if world > 1:
        distributed.all_reduce(values)
        values /= world
    return values.tolist()


def save_checkpoint(state: DecoderState, path: Path, fixed: dict[str, Any]) -> None:
    with atomic_write(path) as draft:
        torch.save(
            {
                "fixed": fixed,
                "step": state.step,
                "decoder": state.decoder.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "history": state.history,
                "sums": state.sums,
            },
            draft,
        )


def resume(state: DecoderState, path: Path, fixed: dict[str, Any], device: torch.device) -> None:
    """Take over a checkpoint; raises UserError if it is of another recipe or encoder, naming what differs."""
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
        was = saved["fixed"]
        differ = [f"{key} {was.get(key)} → {value}" for key, value in fixed.items() if was.get(key) != value]
        if not differ:
            state.decoder.load_state_dict(saved["decoder"])
            state.optimizer.load_state_dict(saved["optimizer"])
            state.step, state.history, state.sums = saved["step"], saved["history"], saved["sums"]
    except Exception as error:  # torch raises nearly anything on a damaged file
        raise UserError(f"{path}: not a checkpoint ({type(error).__name__}); remove it to begin anew") from None
    if differ:
        raise UserError(f"{path}: a checkpoint of another recipe: {', '.join(differ)}; remove it to begin anew")
    log.info("%s: goes on from step %d", path, state.step)
