"""What the checks of a GPU work on: sizes, networks with random weights, and drawn images."""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from shapebias.images.codec import encode
from shapebias.images.shards import Label, Sample, label, open_shards, write_shard
from shapebias.networks.models import Preparation, preparation
from shapebias.parallel import ordered_map, process_pool
from shapebias.seeding import generator
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import CLASSES, draw_image
from shapebias.training.data_loading import AugmentedDataset, ImageDataset
from shapebias.training.initialization import initial_network
from shapebias.training.recipe import Recipe

CLASS_NAMES = sorted(CLASSES)
SPLITS = ("train", "val")
STYLES = 8


@dataclass(frozen=True)
class Sizes:
    """How much the checks compute.

    networks: name → its name in timm (or torchvision) and its arguments; the first one has batch norm.
    side, packed, style: sides of a network's input, of a stored image and of a painting, pixels.
    drawn: distinct images of a split. batch, steps: of the checks of agreement.
    learning_rates, learning_epochs: for the decisions, with which each network learns most of the drawn images.
    width, decoder_steps: channels of AdaIN's first stage, and steps of its decoder's training.
    speed_batch, speed_images, epochs: of the timed trainings. contents: images that are stylized, timed.
    threads, workers: of the CPU for a job, and processes or threads beside it.
    """

    networks: dict[str, dict[str, Any]]
    side: int
    packed: int
    drawn: int
    batch: int
    steps: int
    learning_rates: tuple[float, ...]
    learning_epochs: int
    speed_batch: int
    speed_images: int
    epochs: int
    contents: int
    decoder_steps: int
    style: int
    width: int
    threads: int
    workers: int


def gpu_sizes(cores: int) -> Sizes:
    """Return the sizes for one GPU of a data centre: the networks of experiments/paper.yaml at their own size."""
    return Sizes(
        networks={
            "resnet50": {"timm": "resnet50", "kwargs": {}},
            "vit_b_16": {"timm": "vit_base_patch16_224", "kwargs": {"drop_path_rate": 0.1}},
        },
        side=224,
        packed=256,
        drawn=256,
        batch=16,
        steps=4,
        learning_rates=(0.001, 0.0003),
        learning_epochs=10,
        speed_batch=128,
        speed_images=2560,
        epochs=2,
        contents=256,
        decoder_steps=60,
        style=512,
        width=64,
        threads=min(cores, 16),
        workers=max(1, min(cores, 16) - 1),
    )


def cpu_sizes(cores: int) -> Sizes:
    """Return sizes for two cores and a few minutes: the same code, small networks."""
    return Sizes(
        networks={
            "resnet10t": {"timm": "resnet10t", "kwargs": {"channels": [16, 32, 64, 128], "stem_width": 16}},
            "vit_2_blocks": {
                "timm": "vit_tiny_patch16_224",
                "kwargs": {
                    "img_size": 64,
                    "patch_size": 8,
                    "depth": 2,
                    "embed_dim": 64,
                    "num_heads": 2,
                    "drop_path_rate": 0.1,
                },
            },
        },
        side=64,
        packed=96,
        drawn=64,
        batch=16,
        steps=4,
        learning_rates=(0.003, 0.003),
        learning_epochs=20,
        speed_batch=32,
        speed_images=128,
        epochs=1,
        contents=8,
        decoder_steps=20,
        style=64,
        width=16,
        threads=1,
        workers=0,
    )


def draw_sample(split: str, size: int, number: int) -> tuple[Label, str, bytes]:
    """Draw one image of a split as a sample of a shard: a JPEG and its label."""
    name = CLASS_NAMES[number % len(CLASS_NAMES)]
    image = draw_image(name, f"{split}{number}", size=size, seed=0)
    category = CLASSES[name]
    sample_label = label(f"{number:05d}", class_name=name, shape=category, texture=category, content=f"{number:05d}")
    return sample_label, *encode(image, "jpeg")


def draw_images(folder: Path, sizes: Sizes) -> None:
    """Draw both splits as shards, and STYLES paintings as files."""
    (folder / "styles").mkdir()
    for k in range(STYLES):
        image = Image.fromarray(painting(generator(0, "painting", k), sizes.style))
        image.save(folder / "styles" / f"{k}.png")
    for split in SPLITS:
        draw = partial(draw_sample, split, sizes.packed)
        write_shard(folder / f"{split}.tar", ordered_map(draw, range(sizes.drawn), sizes.workers, process_pool))


def open_split(folder: Path, split: str) -> Sequence[Sample]:
    return open_shards([folder / f"{split}.tar"])


def build_network(sizes: Sizes, name: str) -> tuple[nn.Module, Preparation]:
    """Return a network with the random weights of seed 0, and the preparation of its images."""
    entry = sizes.networks[name]
    network = initial_network(entry["timm"], CLASS_NAMES, kwargs=entry["kwargs"], init="scratch", seed=0).network
    return network, preparation(network, sizes.side)


def training_sets(
    folder: Path, prepared: Preparation, recipe: Recipe, images: int
) -> tuple[AugmentedDataset, ImageDataset]:
    """Return `images` training images, which repeat the drawn ones, and the validation images."""
    drawn, validation = (open_split(folder, split) for split in SPLITS)
    samples = [drawn[k % len(drawn)] for k in range(images)]
    return (
        AugmentedDataset(samples, CLASS_NAMES, prepared, recipe, seed=0),
        ImageDataset(validation, CLASS_NAMES, prepared),
    )


def peak_memory(device: str) -> str:
    """Return the peak of the GPU's allocated memory since the last reset, or of this process's memory on a CPU."""
    if device.startswith("cuda"):
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB"
    unit = 1024 if sys.platform == "linux" else 1  # of ru_maxrss, bytes
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB (of the process)"
