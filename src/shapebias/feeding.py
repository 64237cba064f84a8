"""Images on their way into a network: which, in which order, augmented how; all functions of (seed, epoch, id)."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from shapebias.draws import draw_key
from shapebias.errors import BadImageError, UserError
from shapebias.models import Preparation
from shapebias.ranks import ALONE, Ranks
from shapebias.recipe import Recipe
from shapebias.sampling import Key, epoch_batches, own_part, share, steps_per_epoch
from shapebias.shards import Sample

GRACE = 60  # seconds that a worker outlasts a SIGTERM
CACHE_BYTES = 2**30  # decoded images are kept in memory up to this size: later epochs decode nothing

Batch = tuple[torch.Tensor, torch.Tensor]


def class_names(sets: dict[str, Sequence[Sample]]) -> list[str]:
    """The classes of the training sets, sorted; raises UserError where one set lacks a class of another."""
    names = {name: {sample.label["class"] for sample in samples} for name, samples in sets.items()}
    every = set().union(*names.values())
    for name, own in names.items():
        if None in own:
            raise UserError(f"training set {name!r} holds images without a class")
        if every - own:
            raise UserError(
                f"training set {name!r} lacks the classes {', '.join(sorted(every - own)[:5])} of the others"
            )
    return sorted(every)


class Pictures(Dataset):
    """Decoded, cropped and mirrored images with their class, uint8 [H, W, 3]; normalized later, a batch at a time."""

    def __init__(self, samples: Sequence[Sample], classes: list[str], preparation: Preparation) -> None:
        known = {name: index for index, name in enumerate(classes)}
        strange = next((s for s in samples if s.label["class"] not in known), None)
        if strange is not None:
            raise UserError(
                f"image {strange.id}: class {strange.label['class']!r} is none of the {len(classes)} trained"
            )
        self.samples, self.preparation = samples, preparation
        self.labels = [known[sample.label["class"]] for sample in samples]
        self.cache: dict[int, Image.Image] = {}
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> Image.Image:
        if index in self.cache:
            return self.cache[index]
        try:
            image = self.samples[index].image()
        except BadImageError as error:
            sample = self.samples[index]
            raise UserError(f"{sample.origin}: image {sample.id}: {error}; remove the shard to make it anew") from None
        if self.cached_bytes < CACHE_BYTES:
            self.cache[index] = image
            self.cached_bytes += image.width * image.height * 3
        return image

    def __getitem__(self, index: Key) -> tuple[np.ndarray, int]:
        _, position = index
        return np.asarray(self.preparation.picture(self.image(position))), self.labels[position]


class Augmented(Pictures):
    """Random resized crops and mirroring, as in the papers; what happens to an image depends on (seed, epoch, id)."""

    def __init__(
        self, samples: Sequence[Sample], classes: list[str], preparation: Preparation, recipe: Recipe, seed: int
    ) -> None:
        super().__init__(samples, classes, preparation)
        crop = v2.RandomResizedCrop(preparation.size, scale=recipe.crop_scale, antialias=True)
        self.transform = v2.Compose([crop, v2.RandomHorizontalFlip(0.5 if recipe.flip else 0.0)])
        self.seed = seed

    def __getitem__(self, index: Key) -> tuple[np.ndarray, int]:
        epoch, position = index
        # torchvision draws from torch's global generator: it gets a seed of the image's own and its state back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw_key(self.seed, "augment", epoch, self.samples[position].id) % 2**63)
            return np.asarray(self.transform(self.image(position))), self.labels[position]


@dataclass(frozen=True)
class Step:
    """What a rank computes of one optimizer step.

    parts: its share of the batch. images: of the whole batch, over all ranks. weight: the sum of their class weights.
    """

    parts: list[Batch]
    images: int
    weight: float


class Feed(Protocol):
    """Where batches come from: images, or features of them that were computed once."""

    images: int  # of an epoch
    steps: int  # of an epoch
    rounds: int  # batches of a rank's validation

    def training(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """An epoch's steps from number `start` on."""
        ...

    def validation(self) -> Iterator[Batch]:
        """A rank's part of the validation images, in order; all ranks get equally many batches."""
        ...


@dataclass(frozen=True)
class Plan:
    """Which training images each rank takes at which step. weights: of the classes, None where all count alike."""

    labels: list[int]
    recipe: Recipe
    seed: int
    ranks: Ranks = ALONE
    weights: torch.Tensor | None = None

    @property
    def steps(self) -> int:
        return steps_per_epoch(len(self.labels), self.recipe.batch_size)

    def batches(self, epoch: int, start: int) -> list[list[Key]]:
        """An epoch's batches from step `start` on, over all ranks."""
        return epoch_batches(len(self.labels), self.recipe.batch_size, self.seed, epoch)[start:]

    def parts(self, batch: list[Key]) -> list[list[Key]]:
        """This rank's share of a batch."""
        return share(batch, self.ranks.rank, self.ranks.world, self.recipe.accumulate)

    def step(self, batch: list[Key], parts: list[Batch]) -> Step:
        """A step from this rank's parts of it."""
        weights = self.weights
        total = len(batch) if weights is None else sum(float(weights[self.labels[index]]) for _, index in batch)
        return Step(parts, len(batch), float(total))


class KeySampler:
    """The keys of each batch, set anew before every pass: worker processes outlast an epoch."""

    def __init__(self) -> None:
        self.batches: list[list[Key]] = []

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Loader:
    """Batches of a set of pictures on the device, made by processes that last as long as the loader."""

    def __init__(self, pictures: Pictures, recipe: Recipe, device: str, layout: torch.memory_format) -> None:
        self.device, self.layout = device, layout
        self.sampler = KeySampler()
        self.loader = DataLoader(
            pictures,
            batch_sampler=self.sampler,
            num_workers=recipe.workers,
            persistent_workers=recipe.workers > 0,
            worker_init_fn=outlast_signals,
            collate_fn=partial(collate, pictures.preparation),
            pin_memory=device.startswith("cuda"),
        )

    def __call__(self, plan: list[list[Key]]) -> Iterator[Batch]:
        """Normalized float32 [B, 3, H, W] and labels int64 [B] of each batch of keys."""
        self.sampler.batches = plan
        for images, labels in self.loader:
            yield (
                images.to(self.device, memory_format=self.layout, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )


def collate(preparation: Preparation, items: list[tuple[np.ndarray, int]]) -> Batch:
    arrays, labels = zip(*items, strict=True)
    return preparation.tensor(list(arrays)), torch.tensor(labels)


def outlast_signals(_worker: int) -> None:
    """A scheduler's SIGTERM and Ctrl-C reach workers too, but the training process still needs a batch from them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


class ImageFeed:
    """Batches of images, decoded and augmented anew each time."""

    def __init__(
        self,
        train_set: Augmented,
        val_set: Pictures,
        plan: Plan,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        self.train_set, self.val_set, self.plan = train_set, val_set, plan
        self.images, self.steps = len(train_set), plan.steps
        self.val_plan = self.own_part(len(val_set))
        self.rounds = len(self.val_plan)
        self.load, self.load_val = (
            Loader(pictures, plan.recipe, plan.ranks.device, layout) for pictures in (train_set, val_set)
        )

    def own_part(self, count: int) -> list[list[Key]]:
        return own_part(count, self.plan.recipe.batch_size, self.plan.ranks.rank, self.plan.ranks.world)

    def training(self, epoch: int, start: int = 0) -> Iterator[Step]:
        batches = self.plan.batches(epoch, start)
        loaded = self.load([part for batch in batches for part in self.plan.parts(batch)])
        for batch in batches:
            yield self.plan.step(batch, [next(loaded) for _ in range(self.plan.recipe.accumulate)])

    def validation(self) -> Iterator[Batch]:
        yield from filled(self.load_val([keys for keys in self.val_plan if keys]), len(self.val_plan))


def filled(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """Batches, followed by empty ones until there are `count`."""
    made = 0
    for batch in batches:
        made += 1
        yield batch
    yield from ((torch.empty(0), torch.empty(0, dtype=torch.int64)) for _ in range(count - made))
