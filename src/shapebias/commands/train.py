"""Train one network on one or more image sets; write its weights, its history and a record of the run."""

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

from shapebias.cli import progress
from shapebias.commands.tracking_options import tracking_settings
from shapebias.commands.training_options import recipe_from_options, training_parser
from shapebias.errors import UserError
from shapebias.evaluation.fingerprints import digest_of_file
from shapebias.files import atomic_write
from shapebias.images.shards import Sample, expand, open_shards
from shapebias.networks import models
from shapebias.networks.device import device_name, keep_freed_memory
from shapebias.networks.weights import weights_path, write_weights
from shapebias.provenance import provenance
from shapebias.seals import SEAL_KEY, UNSEALED, seal
from shapebias.tracking.client import Tracker, new_run_id
from shapebias.training.checkpoints import Checkpoints, images_digest, lock_checkpoints, weights_digest
from shapebias.training.data_loading import AugmentedDataset, ImageDataset, class_names
from shapebias.training.distributed import World, join_process_group, leave_process_group
from shapebias.training.initialization import PRETRAINED, InitialNetwork, initial_network
from shapebias.training.interruption import StoppedError, StopSignal
from shapebias.training.loop import TrainState, image_counts, no_progress, train
from shapebias.training.recipe import EXECUTION, Recipe
from shapebias.training.staging import stage_shards

log = logging.getLogger(__name__)

SampleSets = dict[str, Sequence[Sample]]

SHORT_WAIT = 5.0  # seconds for W&B if the run must stop


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    return training_parser(description=__doc__).parse_args(argv)


def class_categories(samples: Sequence[Sample]) -> dict[str, str]:
    """Map each class to its category, as the labels do."""
    return dict(sorted({s.label["class"]: s.label["shape"] for s in samples}.items()))


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    with atomic_write(path) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, history[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def run_identity(args: argparse.Namespace, initial: InitialNetwork, size: int, samples: SampleSets) -> dict[str, Any]:
    """Return the values that define the run; a checkpoint with other values is refused."""
    recipe = dataclasses.asdict(recipe_from_options(args))
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in recipe.items()}
    return {
        **{key: value for key, value in values.items() if key not in EXECUTION},
        **{key: getattr(args, key) for key in ("timm", "kwargs", "trainable", "seed")},
        "input_size": size,
        "initial_weights": weights_digest(initial.network.state_dict()),
        **{f"{split}_images": images_digest(images) for split, images in samples.items()},
    }


def check_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Raise UserError if the folder holds another run, which training would overwrite."""
    path = folder / "run.json"
    if not path.is_file():
        return
    try:
        recorded = json.loads(path.read_text())["identity"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a run record of this version; choose another --out or remove the file") from None
    differences = [
        f"{key} {recorded.get(key)!r} → {value!r}" for key, value in identity.items() if recorded.get(key) != value
    ]
    if differences:
        raise UserError(f"{folder}: holds another run: {', '.join(differences)}; choose another --out or remove it")


def show_progress(items: Iterable[Any], total: int, label: str) -> Iterable[Any]:
    return progress(items, total=total, unit="batches", label=label)


def named_files(args: argparse.Namespace) -> dict[str, Any]:
    """Return the files of the command line, which `shapebias reproduce` reads again."""
    from_file = args.init not in ("scratch", PRETRAINED)
    return {
        "train": dict(args.train),
        "val": dict(args.val),
        "init": args.init,
        "init_sha256": digest_of_file(weights_path(args.init)) if from_file else None,
    }


def run_record(
    args: argparse.Namespace,
    initial: InitialNetwork,
    state: TrainState,
    sets: SampleSets,
    files: dict[str, Any],
    world: World,
) -> dict[str, Any]:
    """Return a record of the training: network, recipe, images and code, but no times."""
    images_seen = image_counts(sets, state.epoch)
    return {
        "model": args.model or args.timm,
        "regime": args.regime,
        "seed": args.seed,
        "timm": args.timm,
        "kwargs": args.kwargs,
        "parameters": sum(p.numel() for p in initial.network.parameters()),
        "init": initial.init,
        "head": initial.head,
        "files": files,
        "train_on": list(sets),
        "trainable": args.trainable,
        "trained_parameters": sum(p.numel() for p in initial.network.parameters() if p.requires_grad),
        "recipe": dataclasses.asdict(recipe_from_options(args)),
        "ranks": world.size,
        "images": {name: len(samples) for name, samples in sets.items()},
        "images_seen": images_seen,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.step,
        "lineage": [*initial.lineage, lineage_entry(args, initial, state, images_seen)],
        "val_accuracy": state.history[state.best_epoch - 1]["val_accuracy"],
        **provenance(world.device, device_name(world.device)),
    }


def lineage_entry(
    args: argparse.Namespace, initial: InitialNetwork, state: TrainState, images_seen: dict[str, int]
) -> dict[str, Any]:
    """Return this training's entry in the lineage of its weights."""
    return {
        "regime": args.regime,
        "init": initial.init,
        "head": initial.head,
        "trainable": args.trainable,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.step,
        "images_seen": images_seen,
    }


class TrackedRun:
    """Logs a run to W&B if its settings say so. Only one rank logs."""

    def __init__(self, args: argparse.Namespace, config: dict[str, Any]) -> None:
        self.args, self.config = args, config
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
                config=self.config,
            )
        for row in state.history[self.logged :]:
            self.tracker.log(row, step=int(row["epoch"]))
        self.logged = len(state.history)

    def stop(self) -> None:
        """End the W&B run as unfinished, because a scheduler waits only for a short time."""
        if self.tracker:
            self.tracker.finish({}, complete=False, wait=SHORT_WAIT)

    def finish(self, summary: dict[str, Any]) -> None:
        if self.tracker:
            self.tracker.finish(summary)


def open_sets(shards_of_sets: list[tuple[str, str]], split: str, copies: Mapping[Path, Path]) -> SampleSets:
    """Open the samples of each set, from their copies where they exist; raises UserError if there are no images."""
    sets: SampleSets = {}
    for name, shards in shards_of_sets:
        if name in sets:
            raise UserError(
                f"{split} set {name!r} is given twice; name all its shards at once, {name}=FOLDER/{{0..3}}.tar"
            )
        sets[name] = open_shards([copies.get(path, path) for path in expand([shards])])
    if not any(sets.values()):
        raise UserError(f"{split} shards hold no images")
    return sets


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    start_clock, start_time = time.monotonic(), datetime.now(UTC)
    recipe = recipe_from_options(args)
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    stop = StopSignal(args.time_limit)
    try:
        with stop:
            world = join_process_group(args.device, world_size=recipe.ranks, cpus=args.cpus)
            folder = args.checkpoints or args.out / "checkpoints"
            shards = expand(pattern for _, pattern in (*args.train, *args.val)) if args.stage else []
            with lock_checkpoints(folder, world, stop.requested), stage_shards(shards, world, stop.requested) as copies:
                train_network(args, recipe, world, stop, folder, copies, start_time, start_clock)
    except StoppedError as stopped:
        log.info("%s", stopped)
        sys.exit(stop.status)
    finally:
        leave_process_group()


def train_network(
    args: argparse.Namespace,
    recipe: Recipe,
    world: World,
    stop: StopSignal,
    folder: Path,
    copies: Mapping[Path, Path],
    start_time: datetime,
    start_clock: float,
) -> None:
    """Train and write the results. folder: for the checkpoints. copies: of shards on the node's own disk."""
    train_sets, val_sets = open_sets(args.train, "training", copies), open_sets(args.val, "validation", copies)
    samples: SampleSets = {
        split: list(chain(*sets.values())) for split, sets in (("train", train_sets), ("val", val_sets))
    }
    classes = class_names(train_sets)
    initial = initial_network(args.timm, classes, kwargs=args.kwargs, init=args.init, seed=args.seed)
    files = named_files(args)  # before the training, during which a file may change
    preparation = models.preparation(initial.network, args.image_size)
    identity = run_identity(args, initial, preparation.size, samples)
    check_folder(args.out, identity)
    log.info("%s from %s: %d classes, %d training images", args.timm, initial.init, len(classes), len(samples["train"]))
    checkpoints = Checkpoints(folder, identity, minutes=args.checkpoint_minutes, epochs=args.checkpoint_epochs)
    tracked_run = TrackedRun(
        args, identity | {"init": initial.init, "regime": args.regime, "train_on": list(train_sets)}
    )
    training_clock = time.monotonic()
    try:
        state = train(
            initial.network,
            AugmentedDataset(samples["train"], classes, preparation, recipe, args.seed),
            ImageDataset(samples["val"], classes, preparation),
            recipe,
            trainable=args.trainable,
            seed=args.seed,
            world=world,
            checkpoints=checkpoints,
            stop=stop,
            on_epoch=tracked_run if world.is_first else lambda state: None,
            show_progress=show_progress if world.is_first else no_progress,
            run_id=new_run_id(),
        )
    except BaseException:
        tracked_run.stop()
        checkpoints.finish()  # while the folder is still locked
        raise
    if not world.is_first:
        return
    seconds = {"setup": round(training_clock - start_clock, 1), "training": round(time.monotonic() - training_clock, 1)}
    record = run_record(args, initial, state, train_sets, files, world)
    metadata = {key: record[key] for key in ("model", "regime", "seed", "timm", "kwargs", "lineage")} | {
        "classes": class_categories(samples["train"]),
        "image_size": preparation.size,
    }
    write_history(args.out / "history.csv", state.history)
    weights = {key: value.contiguous().cpu() for key, value in initial.network.state_dict().items()}
    write_weights(args.out / "model.safetensors", weights, metadata)
    with atomic_write(args.out / "run.json") as draft:
        times = {"started": start_time.isoformat(timespec="seconds"), "seconds": seconds}
        checks = {"history_sha256": digest_of_file(args.out / "history.csv"), SEAL_KEY: UNSEALED}
        text = json.dumps(record | {"identity": identity} | times | checks, indent=2)
        draft.write_bytes(seal(text.encode()))
    checkpoints.remove()
    tracked_run.finish({key: record[key] for key in ("best_epoch", "val_accuracy", "epochs", "steps")})
    log.info("best epoch %d of %d, validation accuracy %.3f", state.best_epoch, state.epoch, record["val_accuracy"])
