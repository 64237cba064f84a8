"""Speeds on a device against the plain loops, the memory they take, and the rates of a plan.

The plain loops are what a script without this project contains. Both sides read the same bytes with the same number of
workers; the first epoch of each does not count.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from evaluate import plain_loop as plain_evaluation
from gpu_data import SPLITS, Sizes, build_network, open_split, peak_memory, training_sets
from isolation import Row
from measuring import ROOT
from stylize import ours as our_stylizing
from stylize import plain_loop as plain_stylizing
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from shapebias.commands.plan import read_throughputs, write_throughputs
from shapebias.config.files import read_config_file
from shapebias.config.queries import Config
from shapebias.config.validation import check_config
from shapebias.evaluation.inputs import PreparedImages
from shapebias.evaluation.observer import observe, wrap_network
from shapebias.images.pictures import open_pictures
from shapebias.images.rejections import Rejections
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.models import build
from shapebias.networks.models import preparation as preparation_of
from shapebias.stylize.adain import AdainStylizer, make_decoder, make_encoder
from shapebias.training.distributed import World
from shapebias.training.loop import TrainState, train
from shapebias.training.recipe import Recipe

RECIPE = Recipe(optimizer="momentum", lr=0.01, schedule="constant", patience=0)


def rate_row(name: str, images: int, times: Sequence[float], reference: Sequence[float] | None = None) -> Row:
    """Return the row of a speed; reference: the times of the plain loop for as many images."""
    rate = images / statistics.median(times)
    words = f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"
    ratio = f", {statistics.median(reference) / statistics.median(times):.2f} × the plain loop" if reference else ""
    return Row(name, words + ratio)


def clock(device: str) -> float:
    """Return the time in seconds; on a CPU that of this process alone, which other work hardly changes."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def seconds(work: Callable[[], object], device: str) -> float:
    start = clock(device)
    work()
    return clock(device) - start


def reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


# Training


def write_folder(folder: Path, sizes: Sizes) -> None:
    """Write the images of the shards as files <split>/<class>/<number>.jpg; the training images repeat."""
    for split, count in zip(SPLITS, (sizes.speed_images, sizes.drawn), strict=True):
        samples = open_split(folder, split)
        for k in range(count):
            sample = samples[k % len(samples)]
            path = folder / split / sample.label["class"] / f"{k:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sample.bytes())


def plain_training(folder: Path, network: nn.Module, sizes: Sizes, device: str) -> list[float]:
    """Return the seconds of each epoch with validation, without the first."""
    normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    augment = [transforms.RandomResizedCrop(sizes.side), transforms.RandomHorizontalFlip()]
    loader, val_loader = (
        DataLoader(
            ImageFolder(folder / split, transforms.Compose([*steps, *normalize])),
            sizes.speed_batch,
            shuffle=split == "train",
            num_workers=sizes.workers,
            pin_memory=device.startswith("cuda"),
        )
        for split, steps in zip(SPLITS, (augment, [transforms.Resize(sizes.side)]), strict=True)
    )
    network.to(device)
    optimizer = torch.optim.SGD(network.parameters(), RECIPE.lr, RECIPE.momentum)
    times = []
    for _ in range(sizes.epochs + 1):
        start = clock(device)
        network.train()
        total, right = 0.0, 0
        for images, labels in loader:
            images, labels = (tensor.to(device, non_blocking=True) for tensor in (images, labels))
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        network.eval()
        with torch.no_grad():
            for images, labels in val_loader:
                right += (network(images.to(device)).argmax(1) == labels.to(device)).sum().item()
        times.append(clock(device) - start)
    return times[1:]


def our_training(folder: Path, name: str, sizes: Sizes, device: str, precision: str) -> list[float]:
    """Return the seconds of each epoch with validation, without the first."""
    network, prepared = build_network(sizes, name)
    recipe = replace(RECIPE, epochs=sizes.epochs + 1, batch_size=sizes.speed_batch, precision=precision)
    recipe = replace(recipe, threads=sizes.threads, workers=sizes.workers)
    marks: list[float] = []

    def record_epoch(_: TrainState) -> None:
        marks.append(clock(device))

    sets = training_sets(folder, prepared, recipe, sizes.speed_images)
    train(network, *sets, recipe, trainable="all", seed=0, world=World(device=device), on_epoch=record_epoch)
    return np.diff(marks).tolist()[1:]


def training(name: str, folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Measure the training of a network, images a second over complete epochs, and its peak memory."""
    torch.set_num_threads(sizes.threads)
    keep_freed_memory()  # as in scripts/train.py; the plain loop gets faster on a CPU, too
    write_folder(folder, sizes)
    works: dict[str, Callable[[], list[float]]] = {
        "plain loop, float32": lambda: plain_training(folder, build_network(sizes, name)[0], sizes, device),
        "ours, float32": lambda: our_training(folder, name, sizes, device, "float32"),
        "ours, bf16": lambda: our_training(folder, name, sizes, device, "bf16"),
    }
    plain: list[float] | None = None
    for kind, work in works.items():
        reset_peak(device)
        times = work()
        yield rate_row(f"{name}, {kind}", sizes.speed_images, times, plain)
        yield Row(f"{name}, {kind}: peak memory", peak_memory(device))
        plain = plain or times


# AdaIN


def stylizing(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Measure AdaIN from files to files or a shard, images a second; its weights are random, as speed ignores them."""
    torch.set_num_threads(sizes.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    networks = make_encoder(sizes.width).eval(), make_decoder(sizes.width).eval()
    (folder / "content").mkdir()
    samples = open_split(folder, "train")
    for k in range(sizes.contents):
        (folder / "content" / f"{k:04d}.jpg").write_bytes(samples[k % len(samples)].bytes())
    few = folder / "few"
    few.mkdir()
    (few / "styles").symlink_to(folder / "styles")
    (few / "content").mkdir()
    plain_count = max(4, sizes.contents // 8)  # one image after another
    for path in sorted((folder / "content").iterdir())[:plain_count]:
        (few / "content" / path.name).symlink_to(path)
    encoder, decoder = (network.to(device) for network in networks)
    plain_stylizing(few, encoder, decoder, sizes.packed, sizes.side, device)
    plain = (
        seconds(lambda: plain_stylizing(few, encoder, decoder, sizes.packed, sizes.side, device), device) / plain_count
    )
    yield rate_row("adain, plain loop, float32", 1, [plain])
    reset_peak(device)
    stylizer = AdainStylizer(encoder, decoder, device)
    our_stylizing(few, stylizer, sizes.packed, sizes.side, sizes.workers)
    ours = (
        seconds(lambda: our_stylizing(folder, stylizer, sizes.packed, sizes.side, sizes.workers), device)
        / sizes.contents
    )
    yield rate_row(f"adain, ours, {'half precision' if stylizer.half else 'float32'}", 1, [ours], [plain])
    yield Row("adain, ours: peak memory", peak_memory(device))


# Evaluation


def evaluation(name: str, folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Measure decisions a second, from files of the network's own size."""
    torch.set_num_threads(sizes.threads)
    keep_freed_memory()
    entry = sizes.networks[name]
    torch.manual_seed(0)
    network = build(entry["timm"], kwargs=entry["kwargs"])
    prepared = preparation_of(network, sizes.side)
    observer = wrap_network(network, name=name, input_preparation=prepared)
    (folder / "stimuli").mkdir(exist_ok=True)
    files = []
    for k, sample in enumerate(open_split(folder, "val")):
        files.append(folder / "stimuli" / f"{k:05d}.png")
        sample.image().resize((sizes.side, sizes.side)).save(files[-1])
    pictures = open_pictures([folder / "stimuli"])

    def plain() -> None:
        plain_evaluation(network.eval().to(device), prepared, files, device)

    def ours() -> None:
        images = PreparedImages(pictures, prepared, Rejections(0), sizes.workers)
        observe(observer, images, batch_size=sizes.speed_batch, device=device)

    times: dict[str, float] = {}
    for kind, work in (("plain loop", plain), ("ours", ours)):
        reset_peak(device)
        work()
        times[kind] = seconds(work, device)
        reference = [times["plain loop"]] if kind == "ours" else None
        yield rate_row(f"evaluating {name}, {kind}", len(files), [times[kind]], reference)
    yield Row(f"evaluating {name}, ours: peak memory", peak_memory(device))


# Plans


def study_config(sizes: Sizes, device: str) -> Config:
    """Return experiments/paper.yaml with the networks and sizes of these checks, and no observers."""
    study = read_config_file(ROOT / "experiments" / "paper.yaml")
    study |= {"models": sizes.networks, "observers": {}, "image_size": sizes.packed, "input_size": sizes.side}
    study["styles"]["paintings"]["size"] = sizes.style
    study["stylizers"]["adain"]["style_size"] = sizes.style
    for entry in study["stylized"].values():
        entry["crop"] = sizes.side
    study["training"]["workers"] = study["evaluation"]["workers"] = sizes.workers
    study["stylizers"]["adain"]["workers"] = sizes.workers
    return check_config(study | {"gpus": int(device.startswith("cuda"))})


def rates(result: Path | None, folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Measure what a plan needs, as `plan.py --measure` does, and write it to a file, unless `result` is None."""
    target = result or folder / "rates.json"
    write_throughputs(study_config(sizes, device), device, target)
    for (stage, name), throughput in read_throughputs(target).items():
        yield Row(f"{stage}: {name}", f"{throughput.rate:,.4g} images/s")
    yield Row("written", result.name if result else "nothing: a plan has larger networks")
