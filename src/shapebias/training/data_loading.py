"""Images on their way into a network: which, in which order, augmented how; all functions of (seed, epoch, id)."""

import multiprocessing.util
import os
import signal
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from shapebias.errors import BadImageError, UserError
from shapebias.images.shards import Sample
from shapebias.networks.models import Preparation
from shapebias.seeding import generator
from shapebias.training.augmentation import augmented, cropped, decoded, draw_crop
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.recipe import Recipe
from shapebias.training.sampling import Key, epoch_batches, own_part, share, steps_per_epoch

GRACE = 30  # seconds that a worker outlasts a SIGTERM
# Decoded images of a set are kept in memory up to this size, so that later epochs decode nothing; each worker keeps
# those that it happened to decode, in its part of the room.
CACHE_BYTES = 2**30

# The longest $TMPDIR below which `/pymp-XXXXXXXX/listener-XXXXXXXX` is still a socket's path: of 107 bytes on Linux.
LONGEST_TMPDIR = 107 - 32

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
    """Images as a network is tested on them, with their class: uint8 [H, W, 3], normalized later, a batch at a time."""

    def __init__(self, samples: Sequence[Sample], classes: list[str], preparation: Preparation) -> None:
        known = {name: index for index, name in enumerate(classes)}
        strange = next((s for s in samples if s.label["class"] not in known), None)
        if strange is not None:
            raise UserError(
                f"image {strange.id}: class {strange.label['class']!r} is none of the {len(classes)} trained"
            )
        self.samples, self.preparation = samples, preparation
        self.labels = [known[sample.label["class"]] for sample in samples]
        self.cache: dict[int, np.ndarray] = {}
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Key) -> tuple[torch.Tensor, int]:
        try:
            return self.picture(*index), self.labels[index[1]]
        except BadImageError as error:
            sample = self.samples[index[1]]
            raise UserError(f"{sample.origin}: image {sample.id}: {error}; remove the shard to make it anew") from None

    def picture(self, epoch: int, position: int) -> torch.Tensor:
        """One image, uint8 [size, size, 3], the same in every epoch; raises BadImageError."""
        pixels = self.cache.get(position)
        if pixels is None:
            pixels = np.array(self.preparation.resize_and_crop(self.samples[position].image()))
            self.keep(position, pixels)
        return torch.from_numpy(pixels)

    def keep(self, position: int, pixels: np.ndarray) -> None:
        """Remember an image for later epochs, unless there is no room."""
        if self.has_room:
            self.cache[position] = pixels
            self.cached_bytes += pixels.nbytes

    @property
    def has_room(self) -> bool:
        """Whether more images may be remembered; each worker process remembers those that it made."""
        worker = get_worker_info()
        return self.cached_bytes < CACHE_BYTES // (worker.num_workers if worker else 1)


class Augmented(Pictures):
    """Random resized crops and mirroring, as in the papers; what happens to an image depends on (seed, epoch, id)."""

    def __init__(
        self, samples: Sequence[Sample], classes: list[str], preparation: Preparation, recipe: Recipe, seed: int
    ) -> None:
        super().__init__(samples, classes, preparation)
        self.scale, self.flip, self.seed = recipe.crop_scale, recipe.flip, seed

    def picture(self, epoch: int, position: int) -> torch.Tensor:
        sample, size = self.samples[position], self.preparation.size
        rng = generator(self.seed, "augment", epoch, sample.id)
        if position not in self.cache and not self.has_room:
            return augmented(sample.bytes(), rng, size, self.scale, self.flip)
        if position not in self.cache:
            self.keep(position, decoded(sample.bytes()))
        pixels = self.cache[position]
        height, width, _ = pixels.shape
        return cropped(pixels, draw_crop(rng, width, height, self.scale, self.flip), size)


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
        self.preparation, self.device, self.layout = pictures.preparation, device, layout
        self.sampler = KeySampler()
        if recipe.workers:
            make_room_for_sockets()
        self.loader = DataLoader(
            pictures,
            batch_sampler=self.sampler,
            num_workers=recipe.workers,
            persistent_workers=recipe.workers > 0,
            worker_init_fn=outlast_signals,
            collate_fn=collate,
            pin_memory=device.startswith("cuda"),
        )

    def __call__(self, plan: list[list[Key]]) -> Iterator[Batch]:
        """Normalized float32 [B, 3, H, W] and labels int64 [B] of each batch of keys."""
        self.sampler.batches = plan
        for images, labels in in_own_words(self.loader):
            batch = self.preparation.normalize(images, self.device)
            yield batch.contiguous(memory_format=self.layout), labels.to(self.device, non_blocking=True)


def collate(items: list[tuple[torch.Tensor, int]]) -> Batch:
    """uint8 [B, H, W, 3] and labels: from a worker to the training process at a quarter of float32's bytes."""
    images, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(labels)


def in_own_words(loaded: Iterable[Batch]) -> Iterator[Batch]:
    """What is loaded; a worker's UserError without the traceback that DataLoader puts around it."""
    try:
        yield from loaded
    except UserError as error:
        raise UserError(str(error).strip().splitlines()[-1].rpartition("UserError: ")[2]) from None


def make_room_for_sockets() -> None:
    """Workers hand over batches through sockets below $TMPDIR, or below /tmp where a batch system's name for it is
    longer than a socket's may be, which would hang them. CPython does the same from 3.14 on.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_TMPDIR:
        return
    usual, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        multiprocessing.util.get_temp_dir()  # made once, handed down to workers, removed at the end
    finally:
        tempfile.tempdir = usual


def outlast_signals(_worker: int) -> None:
    """A scheduler's signals and Ctrl-C reach workers too, but the training process still needs a batch from them."""
    for number in (signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
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
