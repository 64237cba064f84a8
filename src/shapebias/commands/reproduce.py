"""Train a finished run again from its run.json, and compare weights and history with the run, byte for byte.

The run's folder stays as it is. Start the command in the folder in which the run was trained: run.json names images and
weights by their paths from there.
"""

import argparse
import filecmp
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch

from shapebias.cli import Parser
from shapebias.commands import train
from shapebias.commands.training_options import options_of_recipe
from shapebias.errors import UserError
from shapebias.evaluation.fingerprints import digest_of_file
from shapebias.networks.weights import State, read_weights, weights_path
from shapebias.tables.reading import read_json
from shapebias.training.checkpoints import images_digest

WEIGHTS, HISTORY, RECORD = "model.safetensors", "history.csv", "run.json"
NEEDED = ("files", "identity", "recipe", "ranks")  # keys of run.json


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="folder of a finished run, such as results/runs/MODEL/REGIME/seed0"
    )
    return parser.parse_args(argv)


def read_run(folder: Path) -> dict[str, Any]:
    """Return a run's record; raises UserError if the run is not finished or does not record what a repetition needs."""
    for name in (RECORD, WEIGHTS, HISTORY):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file; give the folder of a finished run")
    record = read_json(folder / RECORD)
    missing = [key for key in NEEDED if key not in record]
    if missing:
        raise UserError(
            f"{folder / RECORD}: written by an earlier version, which did not record {missing[0]!r}; remove the file "
            f"and train this run once more, then it can be reproduced"
        )
    return record


def training_options(record: Mapping[str, Any]) -> list[str]:
    """Return the command line of a recorded training, without its output."""
    files = record["files"]
    words = [f"--{name}={record[name]}" for name in ("timm", "model", "regime", "seed", "trainable")]
    words += [f"--kwargs={json.dumps(record['kwargs'])}", f"--init={files['init']}"]
    words += [f"--image-size={record['identity']['input_size']}", f"--device={record['device'].partition(':')[0]}"]
    for split in ("train", "val"):
        words += [f"--{split}", *(f"{name}={shards}" for name, shards in files[split].items())]
    return [*words, *options_of_recipe(record["recipe"] | {"ranks": record["ranks"]}), "--wandb-mode=disabled"]


def check_inputs(folder: Path, record: Mapping[str, Any], options: list[str]) -> None:
    """Raise UserError if images or initial weights are missing or are not those of the run."""
    files, args = record["files"], train.parse_args([*options, "--out", str(folder)])
    if files["init_sha256"]:
        weights = weights_path(files["init"])
        if not weights.is_file():
            raise UserError(f"{weights}: no such file, but {folder} started from these weights; make them again first")
        if digest_of_file(weights) != files["init_sha256"]:
            raise UserError(f"{weights}: not the weights from which {folder} started; make those again first")
    for split, sets in (("train", args.train), ("val", args.val)):
        samples = chain(*train.open_sets(sets, split, {}).values())
        if images_digest(samples) != record["identity"][f"{split}_images"]:
            raise UserError(
                f"{', '.join(shards for _, shards in sets)}: not the images with which {folder} was trained; "
                f"make those again first"
            )


def train_again(folder: Path, options: list[str], ranks: int, out: Path) -> None:
    """Train in another process per rank, and write into `out`; raises UserError if the training fails."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    command = [sys.executable, *launcher, "-m", "shapebias", "train", *options, "--out", str(out)]
    with subprocess.Popen(command) as process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            raise
    if status:
        raise UserError(f"{folder}: its training ended with status {status}; the reason stands above")


def weights_difference(recorded: Path, repeated: Path) -> str:
    """Return where two weights files differ, "" if their bytes are the same."""
    if filecmp.cmp(recorded, repeated, shallow=False):
        return ""
    (first, first_metadata), (second, second_metadata) = read_weights(recorded), read_weights(repeated)
    if first.keys() != second.keys():
        return f"the weights have other layers, such as {min(first.keys() ^ second.keys())}"
    layers = [name for name in first if not same_bytes(first[name], second[name])]
    if not layers:
        keys = sorted(
            key for key in first_metadata | second_metadata if first_metadata.get(key) != second_metadata.get(key)
        )
        return f"the weights are the same, but not their description ({', '.join(keys) or 'its layout'})"
    sizes = {name: largest_difference(first, second, name) for name in layers}
    largest = max(sizes, key=sizes.__getitem__)
    return (
        f"{len(layers)} of {len(first)} layers have other weights, first {layers[0]} "
        f"(largest difference {sizes[largest]:.3g}, in {largest})"
    )


def same_bytes(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors have the same shape, the same type and the same bytes, so that NaN equals NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return torch.equal(*(tensor.contiguous().view(-1).view(torch.uint8) for tensor in (first, second)))


def largest_difference(first: State, second: State, name: str) -> float:
    """Return the largest absolute difference of a layer's weights; infinite for NaN or another shape."""
    if first[name].shape != second[name].shape:
        return float("inf")
    return float((first[name].double() - second[name].double()).abs().nan_to_num(float("inf")).max())


def history_difference(recorded: Path, repeated: Path) -> str:
    """Return where two histories differ, "" if their bytes are the same."""
    lines = zip_longest(recorded.read_text().splitlines(), repeated.read_text().splitlines(), fillvalue="no line")
    for number, (first, second) in enumerate(lines, start=1):
        if first != second:
            return f"{HISTORY} differs from line {number} ({first} → {second})"
    return ""


def likely_reasons(recorded: Mapping[str, Any], repeated: Mapping[str, Any]) -> list[str]:
    """Return the recorded differences that may change the last bits of a training."""
    facts = [
        ("processor", recorded.get("hardware"), repeated["hardware"]),
        ("code", recorded.get("commit"), repeated["commit"]),
        ("initial weights", recorded["identity"].get("initial_weights"), repeated["identity"]["initial_weights"]),
        *((name, recorded.get("versions", {}).get(name), version) for name, version in repeated["versions"].items()),
    ]
    reasons = [f"another {name} ({first} → {second})" for name, first, second in facts if first != second]
    if str(recorded.get("commit")).endswith("+changes"):
        reasons.append("changes of the code that are in no commit")
    if recorded["device"] != "cpu":
        reasons.append("a GPU, which does not promise the same bytes")
    return reasons


def main(argv: list[str] | None = None) -> None:
    folder = parse_args(argv).run
    record = read_run(folder)
    options = training_options(record)
    check_inputs(folder, record, options)
    with tempfile.TemporaryDirectory(prefix=".reproduce-", dir=".") as name:
        out = Path(name)
        train_again(folder, options, record["ranks"], out)
        differences = [
            weights_difference(folder / WEIGHTS, out / WEIGHTS),
            history_difference(folder / HISTORY, out / HISTORY),
        ]
        reasons = likely_reasons(record, read_json(out / RECORD))
    if any(differences):
        raise UserError(
            f"{folder}: other bytes: {'; '.join(filter(None, differences))}; likely reason: "
            f"{', '.join(reasons) or 'none is recorded, so a file was changed or the training is not deterministic'}"
        )
    print(f"{folder}: same bytes")
