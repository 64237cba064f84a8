"""Images on their way into a network: which, in which order, augmented how; all functions of (seed, epoch, id)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from shapebias.draws import draw_key, generator
from shapebias.errors import BadImageError, UserError
from shapebias.models import Preparation
from shapebias.recipe import Recipe
from shapebias.shards import Sample

CACHE_BYTES = 2**30  # decoded images are kept in memory up to this size: later epochs decode nothing

Batch = tuple[torch.Tensor, torch.Tensor]
Key = tuple[int, int]  # epoch, index: augmentation needs both


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


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[list[Key]]:
    """Every index once, in an order drawn by (seed, epoch), in batches whose sizes differ by at most one.

    A short last batch would give its images more weight, and batch norm fails on a batch of one.
    """
    order = generator(seed, "order", epoch).permutation(count)
    parts = np.array_split(order, -(-count // batch_size))
    return [[(epoch, int(index)) for index in part] for part in parts]


def training_batches(pictures: Augmented, recipe: Recipe, seed: int, epoch: int) -> Iterator[Batch]:
    """One epoch of training batches: normalized float32 [B, 3, H, W] and labels int64 [B]."""
    plan = epoch_batches(len(pictures), recipe.batch_size, seed, epoch)
    return batches(pictures, plan, recipe)


def validation_batches(pictures: Pictures, recipe: Recipe) -> Iterator[Batch]:
    """All images once, in order, prepared as for evaluation."""
    size = recipe.batch_size
    plan = [[(0, k) for k in range(i, min(i + size, len(pictures)))] for i in range(0, len(pictures), size)]
    return batches(pictures, plan, recipe)


def batches(pictures: Pictures, plan: list[list[Key]], recipe: Recipe) -> Iterator[Batch]:
    def collate(items: list[tuple[np.ndarray, int]]) -> Batch:
        arrays, labels = zip(*items, strict=True)
        return pictures.preparation.tensor(list(arrays)), torch.tensor(labels)

    return iter(DataLoader(pictures, batch_sampler=plan, num_workers=recipe.workers, collate_fn=collate))
