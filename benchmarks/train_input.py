#!/usr/bin/env python3
"""Speed of the path from photographs to normalized training crops, against the plain loop in the same run.

The plain loop: a folder of JPEGs, decoded by Pillow, torchvision's RandomResizedCrop, RandomHorizontalFlip, ToTensor
and Normalize, in a DataLoader. Our loop reads the same bytes from a shard. Both use the same number of workers, the
same batches and images, and no cache of decoded images. Photographs of about 500 × 375 pixels come from a folder
(--photographs, such as ILSVRC's), or are drawn.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measuring import alternating, median, ratio, table
from pack import draw_photographs
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from shapebias.images.codec import load_rgb
from shapebias.images.image_folder import image_files
from shapebias.images.shards import Sample, label, open_shards, write_shard
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.models import Preparation
from shapebias.seeding import generator
from shapebias.training.augmentation import Crop, baseline_frame, crop_and_resize, decode, decode_rows, sample_crop
from shapebias.training.data_loading import AugmentedDataset, BatchLoader
from shapebias.training.recipe import Recipe
from shapebias.training.sampling import epoch_batches

SIZE = 224
SCALE = (0.08, 1.0)
PREPARATION = Preparation(SIZE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic", 0.875)
AUGMENTATIONS = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
TO_FLOAT = [transforms.ToTensor(), transforms.Normalize(PREPARATION.mean, PREPARATION.std)]


class PlainDataset(Dataset):
    """A folder of JPEGs with the transforms of torchvision."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files, self.transform = files, transforms.Compose([*AUGMENTATIONS, *TO_FLOAT])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with self.files[index].open("rb") as stream:
            return self.transform(Image.open(stream).convert("RGB")), index


class Uncached(AugmentedDataset):
    """A dataset without a cache, because ImageNet does not fit into memory."""

    @property
    def has_room(self) -> bool:
        return False


def plain_loop(files: Sequence[Path], batch_size: int, workers: int) -> Callable[[], None]:
    """Return a pass over all files in random order; its workers start at the first pass and stay."""
    loader = DataLoader(
        PlainDataset(files), batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )

    def work() -> None:
        for images, _ in loader:
            assert images.shape[1:] == (3, SIZE, SIZE) and images.dtype == torch.float32

    return work


def ours(samples: Sequence[Sample], batch_size: int, workers: int) -> Callable[[], None]:
    """Return the same pass with the data loading of scripts/train.py."""
    pictures = Uncached(samples, ["x"], PREPARATION, Recipe(crop_scale=SCALE, flip=True), seed=0)
    load = BatchLoader(pictures, Recipe(workers=workers), "cpu", torch.channels_last)

    def work() -> None:
        for images, _ in load(epoch_batches(len(samples), batch_size, seed=0, epoch=0)):
            assert images.shape[1:] == (3, SIZE, SIZE) and images.dtype == torch.float32

    return work


def crop_of(sample: Sample, width: int, height: int) -> Crop:
    return sample_crop(generator(0, "augment", 0, sample.id), width, height, SCALE, flip=True)


def our_decoding(samples: Sequence[Sample]) -> list[np.ndarray]:
    """Return decoded images with only the rows that the crop needs, as in `augment`."""
    pixels = []
    for sample in samples:
        data = sample.bytes()
        frame = baseline_frame(data)
        if frame is None:
            pixels.append(decode(data))
        else:
            crop = crop_of(sample, frame.width, frame.height)
            pixels.append(decode_rows(data, frame, crop.top + crop.height))
    return pixels


def stage_times(files: Sequence[Path], samples: Sequence[Sample], rounds: int) -> list[tuple[str, str]]:
    """Return the milliseconds per image of each stage, in one process with one thread."""
    pictures = [load_rgb(file) for file in files]
    crops = [crop_of(sample, *picture.size) for sample, picture in zip(samples, pictures, strict=True)]
    arrays = our_decoding(samples)
    augment, to_float = transforms.Compose(AUGMENTATIONS), transforms.Compose(TO_FLOAT)
    plain_bytes = [augment(picture) for picture in pictures]
    plain_float = [to_float(picture) for picture in plain_bytes]
    our_bytes = [crop_and_resize(array, crop, SIZE) for array, crop in zip(arrays, crops, strict=True)]
    batch = torch.stack(our_bytes[:64])
    works: dict[str, tuple[Callable[[], object], Callable[[], object], int]] = {
        "decode": (
            lambda: [Image.open(file).convert("RGB") for file in files],
            lambda: our_decoding(samples),
            len(files),
        ),
        "crop, scale, mirror": (
            lambda: [augment(picture) for picture in pictures],
            lambda: [crop_and_resize(array, crop, SIZE) for array, crop in zip(arrays, crops, strict=True)],
            len(files),
        ),
        "to float32, normalize": (
            lambda: [to_float(picture) for picture in plain_bytes[:64]],
            lambda: PREPARATION.normalize(batch),
            len(batch),
        ),
        "stack": (lambda: torch.stack(plain_float[:64]), lambda: torch.stack(our_bytes[:64]), len(batch)),
    }
    rows = []
    for name, (plain, ours, count) in works.items():
        times = alternating({"plain": plain, "ours": ours}, rounds)
        plain_time, our_time = (1000 * median(t) / count for t in times.values())
        rows.append(
            (
                name,
                f"{plain_time:.2f} ms, ours {our_time:.2f} ms an image: {ratio(times['plain'], times['ours']):.2f} ×",
            )
        )
    return rows


def differences(files: Sequence[Path], samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the mean and the largest difference from Pillow's crops at the same places, in grey levels."""
    errors = []
    for file, sample, pixels in zip(files, samples, our_decoding(samples), strict=True):
        picture = load_rgb(file)
        crop = replace(crop_of(sample, *picture.size), mirrored=False)
        box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
        expected = np.asarray(picture.crop(box).resize((SIZE, SIZE), Image.Resampling.BILINEAR), int)
        errors.append(np.abs(expected - crop_and_resize(pixels, crop, SIZE).numpy()))
    return float(np.mean([d.mean() for d in errors])), float(max(d.max() for d in errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, help="a folder of photographs (default: drawn photographs)")
    parser.add_argument("--images", type=int, default=1024, help="images of a pass (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="images of a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as in scripts/train.py; the plain loop gets faster too
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.photographs or draw_photographs(Path(temporary) / "drawn", 200)
        files = [folder / file for file in image_files(folder)]
        shard = Path(temporary) / "0.tar"
        photographs = ((label(f"{i:05d}", class_name="x"), "jpg", file.read_bytes()) for i, file in enumerate(files))
        write_shard(shard, photographs)
        samples = open_shards([shard])
        repeated = np.arange(args.images) % len(files)
        for workers in (0, 2):
            works = {
                "plain loop": plain_loop([files[i] for i in repeated], args.batch_size, workers),
                "ours": ours([samples[i] for i in repeated], args.batch_size, workers),
            }
            for work in works.values():
                work()
            times = alternating(works, args.rounds)
            rows = [(name, f"{args.images / median(t):5.0f} images/s") for name, t in times.items()]
            ratios = [a / b for a, b in zip(times["plain loop"], times["ours"], strict=True)]
            rows.append(("ratio", f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"))
            table(f"photographs to normalized {SIZE} px crops, {workers} workers", rows)
        table("each stage, one process", stage_times(files, samples, args.rounds))
        mean, largest = differences(files, samples)
        table("against Pillow's crops at the same places", [("grey levels", f"{mean:.3f} in the mean, {largest:.0f}")])


if __name__ == "__main__":
    main()
