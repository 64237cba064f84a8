"""Data loading: batches of images, their order and their augmentation, as functions of (seed, epoch, id)."""

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
from shapebias.training.augmentation import augment, crop_and_resize, decode, sample_crop
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.recipe import Recipe
from shapebias.training.sampling import ImageKey, epoch_batches, rank_batches, shard_batch, steps_per_epoch

GRACE_SECONDS = 30  # a worker lives this long after a SIGTERM
# Limit of the cache of decoded images, per set. Once all images are cached, later epochs decode nothing. Each worker
# caches the images that it decoded, in its share of the limit.
MAX_CACHE_BYTES = 2**30

# A socket's path has at most 107 bytes on Linux; `/pymp-XXXXXXXX/listener-XXXXXXXX` takes 32 of them.
MAX_TMPDIR_LENGTH = 107 - 32

Batch = tuple[torch.Tensor, torch.Tensor]


def class_names(sets: dict[str, Sequence[Sample]]) -> list[str]:
    """Return the sorted classes of the training sets. Raises UserError if a set lacks a class of another set."""
    names = {name: {sample.label["class"] for sample in samples} for name, samples in sets.items()}
    all_names = set().union(*names.values())
    for name, set_names in names.items():
        if None in set_names:
            raise UserError(f"training set {name!r} holds images without a class")
        if all_names - set_names:
            missing = ", ".join(sorted(all_names - set_names)[:5])
            raise UserError(f"training set {name!r} lacks the classes {missing} of the other sets")
    return sorted(all_names)


class ImageDataset(Dataset):
    """Images prepared for evaluation, with their class: uint8 [H, W, 3], normalized later, one batch at a time."""

    def __init__(self, samples: Sequence[Sample], classes: list[str], preparation: Preparation) -> None:
        index_of = {name: index for index, name in enumerate(classes)}
        unknown = next((s for s in samples if s.label["class"] not in index_of), None)
        if unknown is not None:
            raise UserError(
                f"image {unknown.id}: class {unknown.label['class']!r} is not one of the {len(classes)} trained classes"
            )
        self.samples, self.preparation = samples, preparation
        self.labels = [index_of[sample.label["class"]] for sample in samples]
        self.cache: dict[int, np.ndarray] = {}
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: ImageKey) -> tuple[torch.Tensor, int]:
        try:
            return self.load_image(*index), self.labels[index[1]]
        except BadImageError as error:
            sample = self.samples[index[1]]
            raise UserError(f"{sample.origin}: image {sample.id}: {error}; remove the shard to make it again") from None

    def load_image(self, epoch: int, position: int) -> torch.Tensor:
        """Return one image, uint8 [size, size, 3], the same in every epoch; raises BadImageError."""
        pixels = self.cache.get(position)
        if pixels is None:
            pixels = np.array(self.preparation.resize_and_crop(self.samples[position].image()))
            self.add_to_cache(position, pixels)
        return torch.from_numpy(pixels)

    def add_to_cache(self, position: int, pixels: np.ndarray) -> None:
        """Keep an image for later epochs, if the cache has room."""
        if self.has_room:
            self.cache[position] = pixels
            self.cached_bytes += pixels.nbytes

    @property
    def has_room(self) -> bool:
        """Whether the cache has room; each worker process caches the images that it decoded."""
        worker = get_worker_info()
        return self.cached_bytes < MAX_CACHE_BYTES // (worker.num_workers if worker else 1)


class AugmentedDataset(ImageDataset):
    """Images with random resized crops and mirroring; each augmentation depends on (seed, epoch, id) alone."""

    def __init__(
        self, samples: Sequence[Sample], classes: list[str], preparation: Preparation, recipe: Recipe, seed: int
    ) -> None:
        super().__init__(samples, classes, preparation)
        self.scale, self.flip, self.seed = recipe.crop_scale, recipe.flip, seed

    def load_image(self, epoch: int, position: int) -> torch.Tensor:
        sample, size = self.samples[position], self.preparation.size
        rng = generator(self.seed, "augment", epoch, sample.id)
        if position not in self.cache and not self.has_room:
            return augment(sample.bytes(), rng, size, self.scale, self.flip)
        if position not in self.cache:
            self.add_to_cache(position, decode(sample.bytes()))
        pixels = self.cache[position]
        height, width, _ = pixels.shape
        return crop_and_resize(pixels, sample_crop(rng, width, height, self.scale, self.flip), size)


@dataclass(frozen=True)
class TrainingStep:
    """One rank's part of an optimizer step.

    parts: the rank's shard of the batch. images: number in the whole batch, over all ranks. weight: sum of the class
    weights of all these images.
    """

    parts: list[Batch]
    images: int
    weight: float


class BatchSource(Protocol):
    """A source of batches: of images, or of features that were computed once."""

    images: int  # per epoch
    steps: int  # per epoch
    val_steps: int  # batches of a rank's validation

    def training(self, epoch: int, start: int = 0) -> Iterator[TrainingStep]:
        """Yield an epoch's steps, from step `start` on."""
        ...

    def validation(self) -> Iterator[Batch]:
        """Yield this rank's shard of the validation images, in order; all ranks get equally many batches."""
        ...


@dataclass(frozen=True)
class BatchPlan:
    """Which training images each rank takes at each step. weights: of the classes; None means equal weights."""

    labels: list[int]
    recipe: Recipe
    seed: int
    world: World = SINGLE_PROCESS
    weights: torch.Tensor | None = None

    @property
    def steps(self) -> int:
        return steps_per_epoch(len(self.labels), self.recipe.batch_size)

    def batches(self, epoch: int, start: int) -> list[list[ImageKey]]:
        """Return an epoch's batches over all ranks, from step `start` on."""
        return epoch_batches(len(self.labels), self.recipe.batch_size, self.seed, epoch)[start:]

    def parts(self, batch: list[ImageKey]) -> list[list[ImageKey]]:
        """Return this rank's shard of a batch."""
        return shard_batch(batch, self.world.rank, self.world.size, self.recipe.accumulate)

    def step(self, batch: list[ImageKey], parts: list[Batch]) -> TrainingStep:
        """Return the step of a batch, from this rank's parts."""
        weights = self.weights
        total = len(batch) if weights is None else sum(float(weights[self.labels[index]]) for _, index in batch)
        return TrainingStep(parts, len(batch), float(total))


class KeySampler:
    """The keys of each batch. They are set before every epoch, because worker processes outlast an epoch."""

    def __init__(self) -> None:
        self.batches: list[list[ImageKey]] = []

    def __iter__(self) -> Iterator[list[ImageKey]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class BatchLoader:
    """Loads batches of a dataset onto the device, with worker processes that last as long as the loader."""

    def __init__(self, dataset: ImageDataset, recipe: Recipe, device: str, layout: torch.memory_format) -> None:
        self.preparation, self.device, self.layout = dataset.preparation, device, layout
        self.sampler = KeySampler()
        if recipe.workers:
            shorten_socket_paths()
        self.loader = DataLoader(
            dataset,
            batch_sampler=self.sampler,
            num_workers=recipe.workers,
            persistent_workers=recipe.workers > 0,
            worker_init_fn=delay_signals,
            collate_fn=collate,
            pin_memory=device.startswith("cuda"),
        )

    def __call__(self, batches: list[list[ImageKey]]) -> Iterator[Batch]:
        """Yield normalized images, float32 [B, 3, H, W], and labels, int64 [B], for each batch of keys."""
        self.sampler.batches = batches
        for images, labels in unwrap_worker_errors(self.loader):
            batch = self.preparation.normalize(images, self.device)
            yield batch.contiguous(memory_format=self.layout), labels.to(self.device, non_blocking=True)


def collate(items: list[tuple[torch.Tensor, int]]) -> Batch:
    """Stack images, uint8 [B, H, W, 3], and labels. Workers send uint8, a quarter of the bytes of float32."""
    images, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(labels)


def unwrap_worker_errors(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches; a worker's UserError loses the traceback that DataLoader adds."""
    try:
        yield from batches
    except UserError as error:
        raise UserError(str(error).strip().splitlines()[-1].rpartition("UserError: ")[2]) from None


def shorten_socket_paths() -> None:
    """Give workers a socket folder below /tmp if $TMPDIR is too long for a socket's path.

    Workers send batches through sockets below $TMPDIR. A batch system may set a longer path than a socket's name
    allows, and the workers would then hang. CPython does the same from version 3.14 on.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= MAX_TMPDIR_LENGTH:
        return
    configured, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        multiprocessing.util.get_temp_dir()  # created once, inherited by the workers, removed at the end
    finally:
        tempfile.tempdir = configured


def delay_signals(_worker: int) -> None:
    """Let a worker outlive the signals that end a job.

    A scheduler's signals and Ctrl-C reach the workers too, but the training process still needs a batch from them.
    """
    for number in (signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_SECONDS))


class ImageBatches:
    """Batches of images that are decoded and augmented in every epoch."""

    def __init__(
        self,
        train_set: AugmentedDataset,
        val_set: ImageDataset,
        plan: BatchPlan,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        self.train_set, self.val_set, self.plan = train_set, val_set, plan
        self.images, self.steps = len(train_set), plan.steps
        self.val_plan = self.rank_batches(len(val_set))
        self.val_steps = len(self.val_plan)
        self.load, self.load_val = (
            BatchLoader(dataset, plan.recipe, plan.world.device, layout) for dataset in (train_set, val_set)
        )

    def rank_batches(self, count: int) -> list[list[ImageKey]]:
        return rank_batches(count, self.plan.recipe.batch_size, self.plan.world.rank, self.plan.world.size)

    def training(self, epoch: int, start: int = 0) -> Iterator[TrainingStep]:
        batches = self.plan.batches(epoch, start)
        parts = self.load([part for batch in batches for part in self.plan.parts(batch)])
        for batch in batches:
            yield self.plan.step(batch, [next(parts) for _ in range(self.plan.recipe.accumulate)])

    def validation(self) -> Iterator[Batch]:
        yield from pad_batches(self.load_val([keys for keys in self.val_plan if keys]), len(self.val_plan))


def pad_batches(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """Yield the batches, then empty batches until there are `count`."""
    yielded = 0
    for batch in batches:
        yielded += 1
        yield batch
    yield from ((torch.empty(0), torch.empty(0, dtype=torch.int64)) for _ in range(count - yielded))
