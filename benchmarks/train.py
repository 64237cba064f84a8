#!/usr/bin/env python3
"""Training speed against the plain loop in the same run; costs of start-up, checkpoints and ranks.

The plain loop is what a script without this project contains: a folder of JPEGs decoded by Pillow, torchvision's
RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize in a DataLoader, zero_grad, backward, step, and the loss
as a number at each step. Both loops use the same network, batches, images, workers and threads. Each loop runs in its
own processes, and the loops take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from measuring import ROOT, median, ratio, seconds, table
from PIL import Image
from torch import distributed, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from shapebias.images.shards import label, open_shards, write_shard
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.models import preparation
from shapebias.synthetic.scene import CLASSES, draw_image
from shapebias.training.checkpoints import Checkpoints
from shapebias.training.data_loading import AugmentedDataset, ImageDataset
from shapebias.training.distributed import World, join_process_group, leave_process_group
from shapebias.training.initialization import freeze
from shapebias.training.loop import TrainState, train
from shapebias.training.recipe import Recipe

SIZE, PACKED, BATCH = 64, 96, 64  # pixels, pixels, images
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"img_size": SIZE, "patch_size": 8, "depth": 4},
}
RECIPE = Recipe(batch_size=BATCH, optimizer="momentum", lr=0.01, schedule="constant", patience=0, threads=2)


def draw_images(folder: Path, train: int, val: int) -> None:
    """Write drawn photographs as a folder of JPEGs and as a shard of the same bytes: `train`, `val`."""
    for split, count in (("train", train), ("val", val)):
        samples = []
        for i in range(count):
            name = list(CLASSES)[i % len(CLASSES)]
            path = folder / split / name / f"{i:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(draw_image(name, f"{split}{i}", size=PACKED, seed=0))).save(path, quality=95)
            samples.append((label(f"{i:05d}", class_name=name), "jpg", path.read_bytes()))
        write_shard(folder / f"{split}.tar", samples)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=len(CLASSES), **NETWORKS[name])


# Each loop runs in its own process. It yields the seconds of each epoch, then the validation accuracy.


def plain_training(folder: Path, name: str, epochs: int, workers: int, frozen: bool) -> Iterator[float]:
    network = build(name)
    normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    augment = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    loader, val_loader = (
        DataLoader(ImageFolder(folder / split, transforms.Compose(steps)), BATCH, shuffle=shuffle, num_workers=workers)
        for split, steps, shuffle in (
            ("train", [*augment, *normalize], True),
            ("val", [transforms.Resize(SIZE), *normalize], False),
        )
    )
    if frozen:
        freeze(network, "head")
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], RECIPE.lr, RECIPE.momentum)
    for _ in range(epochs):
        start = time.perf_counter()
        network.train(not frozen)
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        network.eval()
        right = 0
        with torch.no_grad():
            for images, labels in val_loader:
                right += (network(images).argmax(1) == labels).sum().item()
        yield time.perf_counter() - start
    yield right / len(val_loader.dataset)  # ty: ignore[invalid-argument-type]


def our_sets(folder: Path, network: nn.Module, recipe: Recipe) -> tuple[AugmentedDataset, ImageDataset]:
    prepared = preparation(network, SIZE)
    training, validation = (open_shards([folder / f"{split}.tar"]) for split in ("train", "val"))
    classes = sorted(CLASSES)
    return AugmentedDataset(training, classes, prepared, recipe, 0), ImageDataset(validation, classes, prepared)


def our_training(
    folder: Path, name: str, recipe: Recipe, trainable: str, checkpoints: Path | None, world: World
) -> Iterator[float]:
    keep_freed_memory()
    network, marks, memory = build(name), [], []
    writer = Checkpoints(checkpoints, {}) if checkpoints else None

    def record_epoch(_: TrainState) -> None:
        marks.append(time.perf_counter())
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)

    sets = our_sets(folder, network, recipe)
    start = time.perf_counter()
    state = train(
        network, *sets, recipe, trainable=trainable, seed=0, world=world, checkpoints=writer, on_epoch=record_epoch
    )
    if writer:
        writer.finish()
    if recipe.feature_views:  # the features before the first epoch count too
        yield marks[-1] - start
    else:
        yield from np.diff(marks).tolist()
    yield state.history[-1]["val_accuracy"]
    yield from memory


def child(folder: Path, options: dict[str, Any]) -> list[float]:
    """Run a loop in its own process; return its measurements."""
    command = [sys.executable, __file__, "--child", json.dumps(options | {"folder": str(folder)})]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout)


def be_child(options: dict[str, Any]) -> None:
    torch.set_num_threads(options.get("threads", 2))
    folder, name, epochs, workers = Path(options["folder"]), options["network"], options["epochs"], options["workers"]
    frozen = options.get("frozen", False)
    if options["side"] == "plain":
        print(json.dumps(list(plain_training(folder, name, epochs, workers, frozen))))
        return
    views = options.get("views", 0)
    recipe = replace(RECIPE, epochs=epochs, workers=workers, feature_views=views)
    checkpoints = Path(options["checkpoints"]) if "checkpoints" in options else None
    print(json.dumps(list(our_training(folder, name, recipe, "head" if frozen else "all", checkpoints, World()))))


# Measurements


def training_speed(folder: Path, count: int, rounds: int) -> None:
    """Measure images per second over complete epochs with validation, without the first epoch."""
    for name in NETWORKS:
        for workers in (0, 2):
            times: dict[str, list[float]] = {"plain": [], "ours": []}
            for _ in range(rounds):
                for side, measured in times.items():
                    options = {"side": side, "network": name, "epochs": 3, "workers": workers}
                    measured.append(median(child(folder, options)[1:3]))
            rows = [(side, f"{count / median(measured):6.0f} images/s") for side, measured in times.items()]
            rows.append(("ratio", f"{ratio(times['plain'], times['ours']):.2f}"))
            table(f"{name} at {SIZE} px, {workers} workers", rows)


def frozen_speed(folder: Path, epochs: int) -> None:
    name, options = "resnet10t", {"network": "resnet10t", "epochs": epochs, "workers": 0, "frozen": True}
    plain = child(folder, options | {"side": "plain"})
    ours = child(folder, options | {"side": "ours", "views": 4})
    plain_seconds, accuracy = sum(plain[:epochs]), plain[epochs]
    table(
        f"{name} frozen, {epochs} epochs, features of 4 views",
        [
            ("plain", f"{plain_seconds:.1f} s, validation accuracy {accuracy:.3f}"),
            ("ours", f"{ours[0]:.1f} s, validation accuracy {ours[1]:.3f}"),
            ("ratio", f"{plain_seconds / ours[0]:.1f}"),
        ],
    )


def checkpoint_cost(folder: Path, epochs: int, rounds: int) -> None:
    times: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(rounds):
        for kind, measured in times.items():
            options: dict[str, Any] = {"side": "ours", "network": "resnet10t", "epochs": epochs, "workers": 0}
            if kind == "with":
                options["checkpoints"] = str(folder / f"checkpoints{number}")
            measured.append(sum(child(folder, options)[1:epochs]))
    rows = [(kind, f"{median(measured):.2f} s for {epochs - 1} epochs") for kind, measured in times.items()]
    rows.append(("cost", f"{100 * (1 / ratio(times['without'], times['with']) - 1):.1f} %"))
    table("checkpoints each epoch, where they are not more than 2 % of the time", rows)


def memory_over_epochs(folder: Path, epochs: int) -> None:
    options = {"side": "ours", "network": "resnet10t", "epochs": epochs, "workers": 0}
    memory = child(folder, options)[epochs + 1 :]
    values = ", ".join(f"{memory[k]:.0f}" for k in (1, 2, epochs // 2, epochs))
    table("resident memory", [(f"after epochs 1, 2, {epochs // 2}, {epochs}", f"{values} MiB")])


def start_up(folder: Path, rounds: int) -> None:
    """Measure the time to the end of the first step with its checkpoint, against the time of a bare import."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    arguments = ["--train", f"in={folder}/train.tar", "--val", f"in={folder}/val.tar", "--timm", "resnet10t"]
    arguments += [
        "--image-size",
        str(SIZE),
        "--time-limit",
        "1e-6",
        "--out",
        str(folder / "start"),
        "--wandb-mode",
        "disabled",
    ]

    def bare() -> None:
        subprocess.run([sys.executable, "-c", "import torch, timm"], env=environment, check=True)

    def first_step() -> None:
        script = [sys.executable, str(ROOT / "scripts" / "train.py")]
        process = subprocess.run([*script, *arguments], env=environment, stderr=subprocess.PIPE, text=True)
        assert process.returncode == 75, process.stderr

    times: dict[str, list[float]] = {"bare import": [], "to the first step": []}
    for _ in range(rounds):
        times["bare import"].append(seconds(bare))
        times["to the first step"].append(seconds(first_step))
    rows = [(name, f"{median(measured):.2f} s") for name, measured in times.items()]
    rows.append(("ratio", f"{ratio(times['to the first step'], times['bare import']):.2f}"))
    table("start of a training job", rows)


def be_rank(folder: Path) -> None:
    """Train as one of two ranks; rank 0 prints each rank's longest wait for the other."""
    torch.set_num_threads(1)
    waits: list[float] = []
    steps: list[float] = []

    class TimedWorld(World):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            start = time.perf_counter()
            result = super().sum(values)
            waits.append(time.perf_counter() - start)
            steps.append(time.perf_counter())
            return result

    joined = join_process_group("cpu")
    world = TimedWorld(**vars(joined))
    recipe = replace(RECIPE, epochs=4, threads=1)
    list(our_training(folder, "resnet10t", recipe, "all", folder / "ranks" if world.is_first else None, world))
    longest = torch.tensor([max(waits[2:]), median(np.diff(steps[2:]).tolist())], dtype=torch.float64)
    gathered = [torch.zeros_like(longest) for _ in range(world.size)]
    distributed.all_gather(gathered, longest)
    if world.is_first:
        print(json.dumps([tensor.tolist() for tensor in gathered]))
    leave_process_group()


def rank_waits(folder: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, __file__, "--rank", str(folder)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    waits = json.loads(process.stdout.splitlines()[-1])
    rows = [
        (f"rank {rank}", f"longest wait {1000 * wait:.0f} ms, a step {1000 * step:.0f} ms")
        for rank, (wait, step) in enumerate(waits)
    ]
    table("two ranks on this machine, checkpoints each epoch", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=640, help="training images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each pair (default: %(default)s)")
    parser.add_argument("--only", nargs="*", default=[], help="of: speed, frozen, checkpoints, memory, start, ranks")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return be_child(args.child)
    if args.rank:
        return be_rank(args.rank)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw_images(folder, args.images, args.images // 5)
        measurements = {
            "speed": lambda: training_speed(folder, args.images, args.rounds),
            "frozen": lambda: frozen_speed(folder, 80),
            "checkpoints": lambda: checkpoint_cost(folder, 8, args.rounds),
            "memory": lambda: memory_over_epochs(folder, 20),
            "start": lambda: start_up(folder, args.rounds),
            "ranks": lambda: rank_waits(folder),
        }
        for name, measure in measurements.items():
            if not args.only or name in args.only:
                measure()
    return None


if __name__ == "__main__":
    main()
