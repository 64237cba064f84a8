#!/usr/bin/env python3
"""Train one network on one or several sets of images; write its weights, its history and what was done."""

import argparse
import csv
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from shapebias.cli import (
    Parser,
    image_size,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    progress,
    run,
)
from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.shards import Sample, expand, open_shards
from shapebias.networks import models
from shapebias.networks.device import keep_freed_memory
from shapebias.networks.weights import METADATA_KEY
from shapebias.provenance import provenance
from shapebias.tracking.client import Tracker, add_tracking_flags, new_run_id, tracking_settings
from shapebias.training.checkpoints import Checkpoints, claimed_folder, digest, fingerprint
from shapebias.training.data_loading import Augmented, Pictures, class_names
from shapebias.training.distributed import Ranks, join, leave
from shapebias.training.initialization import Start, initial_network
from shapebias.training.interruption import Stop, StoppedError
from shapebias.training.loop import TrainState, image_counts, silently, train
from shapebias.training.recipe import EXECUTION, Recipe, add_recipe_flags, recipe_from
from shapebias.training.staging import add_staging_flag, staged

log = logging.getLogger(__name__)

Sets = dict[str, Sequence[Sample]]

HURRY = 5.0  # seconds for W&B when the run must leave


def named_shards(text: str) -> tuple[str, list[Path]]:
    """Parse `in=folder/{0..3}.tar` (an argparse type)."""
    name, _, path = text.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not SET=TAR")
    return name, expand([path])


def trainable_part(text: str) -> str | int:
    """Parse `all`, `head` or a number of layer groups (an argparse type)."""
    if text in ("all", "head"):
        return text
    return positive_int(text)


def make_parser(**more: Any) -> argparse.ArgumentParser:
    """The command line, options in groups; more: arguments of the parser."""
    parser = Parser(description=__doc__, **more)
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
    data.add_argument("--image-size", type=image_size, help="input of the network, pixels (default: the network's own)")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--timm", required=True, metavar="NAME", help="the network's name in timm, or torchvision/NAME"
    )
    network.add_argument("--kwargs", type=models.json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument(
        "--init", default="scratch", help="scratch, pretrained (published weights) or a weights file (default: scratch)"
    )
    network.add_argument(
        "--trainable",
        type=trainable_part,
        default="all",
        metavar="all|head|N",
        help="what learns: all weights, the classifier, or the last N layer groups of timm (default: %(default)s)",
    )
    who = parser.add_argument_group("the run")
    who.add_argument("--model", help="what to call the network in tables (default: its timm name)")
    who.add_argument("--regime", default="", help="what to call the way it is trained")
    who.add_argument(
        "--seed", type=non_negative_int, default=0, help="of weights, order, augmentation (default: %(default)s)"
    )
    who.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for model.safetensors, history.csv, run.json"
    )
    add_recipe_flags(parser)
    job = parser.add_argument_group("the job")
    job.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    job.add_argument(
        "--cpus", type=non_negative_int, default=0, help="end at once unless each rank may use so many CPUs"
    )
    job.add_argument("--checkpoints", type=Path, metavar="DIR", help="default: checkpoints in the folder of --out")
    job.add_argument("--checkpoint-minutes", type=positive_float, default=10.0, help="default: %(default)s")
    job.add_argument("--checkpoint-epochs", type=positive_int, default=1, help="default: %(default)s")
    job.add_argument(
        "--time-limit",
        type=non_negative_float,
        default=0.0,
        metavar="MINUTES",
        help="leave with a checkpoint and status 75 shortly before the job has run so long (default: no limit)",
    )
    add_staging_flag(job)
    add_tracking_flags(parser)
    return parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    return make_parser().parse_args(argv)


def categories(samples: Sequence[Sample]) -> dict[str, str]:
    """class → category, as the labels say."""
    return dict(sorted({s.label["class"]: s.label["shape"] for s in samples}.items()))


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    with atomic_write(path) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def write_model(path: Path, network: torch.nn.Module, metadata: dict[str, Any]) -> None:
    weights = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    with atomic_write(path) as draft:
        # Through bytes, so that a full disk is an OSError like any other.
        draft.write_bytes(save(weights, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def identity(args: argparse.Namespace, start: Start, size: int, samples: Sets) -> dict[str, Any]:
    """What makes the run what it is: a checkpoint of any other is refused."""
    recipe = dataclasses.asdict(recipe_from(args))
    shown = {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()}
    return {
        **{key: value for key, value in shown.items() if key not in EXECUTION},
        **{key: getattr(args, key) for key in ("timm", "kwargs", "trainable", "seed")},
        "input_size": size,
        "initial_weights": digest(start.network.state_dict()),
        **{f"{split}_images": fingerprint(images) for split, images in samples.items()},
    }


def refuse_other_run(folder: Path, known: dict[str, Any]) -> None:
    """Raise UserError where a folder holds a run of another recipe: it would be overwritten."""
    path = folder / "run.json"
    if not path.is_file():
        return
    try:
        theirs = json.loads(path.read_text())["identity"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise UserError(f"{path}: not the record of a run of this version; choose another --out or remove it") from None
    differ = [f"{key} {theirs.get(key)!r} → {value!r}" for key, value in known.items() if theirs.get(key) != value]
    if differ:
        raise UserError(f"{folder}: holds another run: {', '.join(differ)}; choose another --out or remove it")


def show_progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return progress(items, total=total, unit="batch", label=what)


def record(args: argparse.Namespace, start: Start, state: TrainState, sets: Sets, ranks: Ranks) -> dict[str, Any]:
    """What was trained, how, on what, by which code; without times."""
    seen = image_counts(sets, state.epoch)
    return {
        "model": args.model or args.timm,
        "regime": args.regime,
        "seed": args.seed,
        "timm": args.timm,
        "kwargs": args.kwargs,
        "parameters": sum(p.numel() for p in start.network.parameters()),
        "init": start.init,
        "head": start.head,
        "train_on": list(sets),
        "trainable": args.trainable,
        "trained_parameters": sum(p.numel() for p in start.network.parameters() if p.requires_grad),
        "recipe": dataclasses.asdict(recipe_from(args)),
        "ranks": ranks.world,
        "images": {name: len(samples) for name, samples in sets.items()},
        "images_seen": seen,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.step,
        "lineage": [*start.lineage, stage(args, start, state, seen)],
        "val_accuracy": state.history[state.best_epoch - 1]["val_accuracy"],
        **provenance(ranks.device),
    }


def stage(args: argparse.Namespace, start: Start, state: TrainState, seen: dict[str, int]) -> dict[str, Any]:
    """One link of the chain of trainings that weights went through."""
    return {
        "regime": args.regime,
        "init": start.init,
        "head": start.head,
        "trainable": args.trainable,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.step,
        "images_seen": seen,
    }


class Watch:
    """Follows a run at W&B, where its settings say so; one rank does."""

    def __init__(self, args: argparse.Namespace, about: dict[str, Any]) -> None:
        self.args, self.about = args, about
        self.tracker: Tracker | None = None
        self.logged = 0

    def __call__(self, state: TrainState) -> None:
        args, model = self.args, self.args.model or self.args.timm
        if self.tracker is None:
            self.tracker = Tracker(
                tracking_settings(args),
                run_id=state.run_id,
                name="_".join(filter(None, [model, args.regime, f"seed{args.seed}"])),
                group=model,
                job_type="train",
                tags=[*filter(None, [args.regime]), f"seed{args.seed}"],
                config=self.about,
            )
        for row in state.history[self.logged :]:
            self.tracker.log(row, step=int(row["epoch"]))
        self.logged = len(state.history)

    def leave(self) -> None:
        """The run is to be continued: a scheduler's patience is short."""
        if self.tracker:
            self.tracker.finish({}, complete=False, wait=HURRY)

    def finish(self, summary: dict[str, Any]) -> None:
        if self.tracker:
            self.tracker.finish(summary)


def opened(named: list[tuple[str, list[Path]]], what: str, copies: Mapping[Path, Path]) -> Sets:
    """The samples of each set, from the copies that there are; raises UserError where there are none at all."""
    sets: Sets = {}
    for name, paths in named:
        if name in sets:
            raise UserError(
                f"{what} set {name!r} is given twice; name all its shards at once, {name}=FOLDER/{{0..3}}.tar"
            )
        sets[name] = open_shards([copies.get(path, path) for path in paths])
    if not any(sets.values()):
        raise UserError(f"{what} shards hold no images")
    return sets


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    clock, started = time.monotonic(), datetime.now(UTC)
    recipe = recipe_from(args)
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    stop = Stop(args.time_limit)
    try:
        with stop:
            ranks = join(args.device, ranks=recipe.ranks, cpus=args.cpus)
            folder = args.checkpoints or args.out / "checkpoints"
            shards = [path for _, paths in (*args.train, *args.val) for path in paths] if args.stage else []
            with claimed_folder(folder, ranks, stop.requested), staged(shards, ranks, stop.requested) as copies:
                train_one(args, recipe, ranks, stop, folder, copies, started, clock)
    except StoppedError as stopped:
        log.info("%s", stopped)
        sys.exit(stop.status)
    finally:
        leave()


def train_one(
    args: argparse.Namespace,
    recipe: Recipe,
    ranks: Ranks,
    stop: Stop,
    folder: Path,
    copies: Mapping[Path, Path],
    started: datetime,
    clock: float,
) -> None:
    """Train and write the results. folder: of the checkpoints. copies: of shards on the node's own disk."""
    train_sets, val_sets = opened(args.train, "training", copies), opened(args.val, "validation", copies)
    samples: Sets = {split: list(chain(*sets.values())) for split, sets in (("train", train_sets), ("val", val_sets))}
    classes = class_names(train_sets)
    start = initial_network(args.timm, classes, kwargs=args.kwargs, init=args.init, seed=args.seed)
    preparation = models.preparation(start.network, args.image_size)
    known = identity(args, start, preparation.size, samples)
    refuse_other_run(args.out, known)
    log.info("%s from %s: %d classes, %d training images", args.timm, start.init, len(classes), len(samples["train"]))
    checkpoints = Checkpoints(folder, known, minutes=args.checkpoint_minutes, epochs=args.checkpoint_epochs)
    watch = Watch(args, known | {"init": start.init, "regime": args.regime, "train_on": list(train_sets)})
    begun = time.monotonic()
    try:
        state = train(
            start.network,
            Augmented(samples["train"], classes, preparation, recipe, args.seed),
            Pictures(samples["val"], classes, preparation),
            recipe,
            trainable=args.trainable,
            seed=args.seed,
            ranks=ranks,
            checkpoints=checkpoints,
            stop=stop,
            watch=watch if ranks.first else lambda state: None,
            show=show_progress if ranks.first else silently,
            run_id=new_run_id(),
        )
    except BaseException:
        watch.leave()
        checkpoints.finish()  # while the folder is still claimed
        raise
    if not ranks.first:
        return
    seconds = {"setup": round(begun - clock, 1), "training": round(time.monotonic() - begun, 1)}
    told = record(args, start, state, train_sets, ranks)
    metadata = {key: told[key] for key in ("model", "regime", "seed", "timm", "kwargs", "lineage")} | {
        "classes": categories(samples["train"]),
        "image_size": preparation.size,
    }
    write_history(args.out / "history.csv", state.history)
    write_model(args.out / "model.safetensors", start.network, metadata)
    with atomic_write(args.out / "run.json") as draft:
        times = {"started": started.isoformat(timespec="seconds"), "seconds": seconds}
        draft.write_text(json.dumps(told | {"identity": known} | times, indent=2))
    checkpoints.remove()
    watch.finish({key: told[key] for key in ("best_epoch", "val_accuracy", "epochs", "steps")})
    log.info("best epoch %d of %d, validation accuracy %.3f", state.best_epoch, state.epoch, told["val_accuracy"])


if __name__ == "__main__":
    run(main)
