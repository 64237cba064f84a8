#!/usr/bin/env python3
"""Train one network on one or several sets of images; write its weights, its history and what was done."""

import argparse
import csv
import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from shapebias import models
from shapebias.cli import Parser, run
from shapebias.devices import resolve_device
from shapebias.errors import UserError
from shapebias.feeding import Augmented, Pictures, class_names
from shapebias.files import replacing
from shapebias.provenance import provenance
from shapebias.recipe import add_recipe_flags, recipe_from
from shapebias.shards import Sample, expand, open_shards
from shapebias.training import TRAINABLE, TrainState, image_counts, initial_network, train
from shapebias.weights import METADATA_KEY

log = logging.getLogger(__name__)


def named_shards(text: str) -> tuple[str, list[Path]]:
    """Parse `in=folder/{0..3}.tar` (an argparse type)."""
    name, _, path = text.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not SET=TAR")
    return name, expand([path])


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    data = parser.add_argument_group("images")
    data.add_argument(
        "--train",
        type=named_shards,
        nargs="+",
        required=True,
        metavar="SET=TAR",
        help="training sets; {0..3} stands for several shards",
    )
    data.add_argument("--val", type=named_shards, nargs="+", required=True, metavar="SET=TAR", help="validation sets")
    data.add_argument("--image-size", type=int, help="input of the network, pixels (default: timm's)")
    network = parser.add_argument_group("network")
    network.add_argument("--timm", required=True, metavar="NAME", help="the network's name in timm")
    network.add_argument("--kwargs", type=models.json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument("--init", default="scratch", help="scratch, pretrained (timm's weights) or a weights file")
    network.add_argument("--trainable", choices=TRAINABLE, default="all", help="default: %(default)s")
    parser.add_argument("--model", help="what to call the network in tables (default: its timm name)")
    parser.add_argument("--regime", default="", help="what to call the way it is trained")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, augmentation (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for model.safetensors, history.csv, run.json"
    )
    add_recipe_flags(parser)
    return parser.parse_args(argv)


def categories(samples: Sequence[Sample]) -> dict[str, str]:
    """class → category, as the labels say."""
    return dict(sorted({s.label["class"]: s.label["shape"] for s in samples}.items()))


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    with replacing(path) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def write_model(path: Path, network: torch.nn.Module, metadata: dict[str, Any]) -> None:
    weights = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    with replacing(path) as draft:
        # Through bytes, so that a full disk is an OSError like any other.
        draft.write_bytes(save(weights, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def record(args: argparse.Namespace, init: str, state: TrainState, sets: dict[str, Any], device: str) -> dict[str, Any]:
    """What was trained, how, on what, by which code; without times."""
    return {
        "model": args.model or args.timm,
        "regime": args.regime,
        "seed": args.seed,
        "timm": args.timm,
        "kwargs": args.kwargs,
        "parameters": sum(p.numel() for p in state.network.parameters()),
        "init": init,
        "train_on": list(sets),
        "trainable": args.trainable,
        "recipe": dataclasses.asdict(recipe_from(args)),
        "threads": args.threads,
        "images": {name: len(samples) for name, samples in sets.items()},
        "images_seen": image_counts(sets, state.epoch),
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.step,
        "val_accuracy": state.history[state.best_epoch - 1]["val_accuracy"],
        **provenance(device),
    }


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    recipe, device, started, clock = (
        recipe_from(args),
        resolve_device(args.device),
        datetime.now(UTC),
        time.monotonic(),
    )
    torch.set_num_threads(recipe.threads)
    train_sets = {name: open_shards(paths) for name, paths in args.train}
    val_sets = {name: open_shards(paths) for name, paths in args.val}
    train_samples = [sample for samples in train_sets.values() for sample in samples]
    val_samples = [sample for samples in val_sets.values() for sample in samples]
    if not train_samples or not val_samples:
        raise UserError(f"{'training' if not train_samples else 'validation'} shards hold no images")
    classes = class_names(train_sets)
    network, init = initial_network(args.timm, classes, kwargs=args.kwargs, init=args.init, seed=args.seed)
    preparation = models.preparation(network, args.image_size)
    log.info("%s: %d classes, %d training images, on %s", args.timm, len(classes), len(train_samples), device)
    opened = time.monotonic()
    state = train(
        network,
        Augmented(train_samples, classes, preparation, recipe, args.seed),
        Pictures(val_samples, classes, preparation),
        recipe,
        trainable=args.trainable,
        seed=args.seed,
        device=device,
    )
    seconds = {"setup": round(opened - clock, 1), "training": round(time.monotonic() - opened, 1)}
    name = {"model": args.model or args.timm, "regime": args.regime, "seed": args.seed}
    metadata = name | {
        "timm": args.timm,
        "kwargs": args.kwargs,
        "classes": categories(train_samples),
        "image_size": preparation.size,
    }
    write_history(args.out / "history.csv", state.history)
    write_model(args.out / "model.safetensors", network, metadata)
    with replacing(args.out / "run.json") as draft:
        told = record(args, init, state, train_sets, device)
        draft.write_text(
            json.dumps(told | {"started": started.isoformat(timespec="seconds"), "seconds": seconds}, indent=2)
        )
    log.info("best epoch %d of %d, validation accuracy %.3f", state.best_epoch, state.epoch, told["val_accuracy"])


if __name__ == "__main__":
    run(main)
