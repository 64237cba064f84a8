#!/usr/bin/env python3
"""Say what a study takes, before anything runs: jobs, images, hours, files and bytes of each rule, and all in all.

Every assumption is printed. Better numbers than the assumed ones: `throughputs` in the config (images a second of one
job), or --measure, which writes what this machine does, and --throughputs, which reads it.
"""

import argparse
import csv
import json
import logging
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from shapebias.cli import Parser, non_negative_float, non_negative_int, positive_int, run
from shapebias.config.data_files import data_problems
from shapebias.config.dataset_sizes import counted
from shapebias.config.queries import Config
from shapebias.config.validation import check_config
from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.planning.costs import Given, Known, Network, given_throughputs
from shapebias.planning.graph import list_jobs
from shapebias.planning.network_costs import is_listed
from shapebias.planning.plan import plan_study
from shapebias.planning.schedule import course
from shapebias.planning.summary import COLUMNS, assumptions, comparison, rows_of, table, totals

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
CORES_A_GPU = 16  # assumed where only GPUs are given


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config.yaml", help="default: the demo's")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="keys over the file's, such as data_root=FOLDER"
    )
    machine = parser.add_argument_group("where it is to run")
    machine.add_argument(
        "--gpus", type=non_negative_int, help="GPUs at one time (default: 1, or 0 where the config asks for none)"
    )
    machine.add_argument(
        "--cpus", type=positive_int, help=f"cores at one time (default: {CORES_A_GPU} a GPU, or this machine's)"
    )
    machine.add_argument(
        "--start",
        type=non_negative_float,
        default=1.0,
        metavar="SECONDS",
        help="that the scheduler takes to start a job; 3 on a cluster (default: %(default)s)",
    )
    better = parser.add_argument_group("better than assumed")
    better.add_argument("--throughputs", type=Path, metavar="FILE", help="what --measure wrote")
    better.add_argument("--measure", action="store_true", help="time the study's networks here, and write --out")
    better.add_argument("--device", default="auto", help="for --measure: auto, cpu, cuda (default: %(default)s)")
    better.add_argument(
        "--compare",
        type=Path,
        metavar="DIR",
        help="print planned and taken seconds: DIR holds what Snakemake timed (logs/benchmarks)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the plan as a CSV; of --measure throughputs as JSON")
    args = parser.parse_args(argv)
    if args.measure and args.out is None:
        parser.error("--measure needs --out, a file for what it finds")
    return args


def read_config(path: Path, changes: Config) -> Config:
    """The checked config, keys of the command line over the file's: sections merged, as by Snakemake's --config."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: no config; expected keys such as sources and benchmarks")
    return check_config(merged(content, changes))


def parse_changes(words: Sequence[str]) -> Config:
    """The keys and values of --config."""
    if wrong := next((word for word in words if "=" not in word), None):
        raise UserError(f"--config {wrong!r}: expected KEY=VALUE")
    try:
        return {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in words)}
    except yaml.YAMLError as error:
        raise UserError(f"--config: not YAML: {' '.join(str(error).split())}") from None


def merged(content: Config, over: Config) -> Config:
    """Values over others; a section within a section likewise."""
    both = {k: merged(content[k], over[k]) for k in content.keys() & over.keys() if is_section(content[k], over[k])}
    return content | over | both


def is_section(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def read_throughputs(path: Path) -> dict[tuple[str, str], Given]:
    """What --measure wrote; what it says of names that the config does not have changes nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        machine, section = content["machine"], content["throughputs"]
        rates = [rate for part in section.values() for rate in part.values()]
        if not all(isinstance(rate, (int, float)) and rate > 0 for rate in rates):
            raise ValueError("throughputs are numbers above 0")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: not what --measure writes ({error}); make it with plan.py --measure --out") from None
    return given_throughputs(section, f"measured on {machine}")


def known_of(config: Config, throughputs: Path | None) -> Known:
    """What is known better than assumed. A value of the config goes before one of the file."""
    given = read_throughputs(throughputs) if throughputs else {}
    given |= given_throughputs(config["throughputs"], "given in the config")
    return Known(given, counted_where_needed(config), counted(config))


def counted_where_needed(config: Config) -> dict[str, Network]:
    """Networks that no list knows are built to be counted; torch, which takes seconds to import, only for them."""
    entries = [*config["models"].values(), *(e for e in config["observers"].values() if "timm" in e)]
    if all(map(is_listed, entries)):
        return {}
    try:
        from shapebias.planning.throughput import counted_networks
    except ModuleNotFoundError as error:
        log.warning("%s is not installed: networks are taken for a ResNet-50's size", error.name)
        return {}
    return counted_networks(config)


def measure(config: Config, device: str, out: Path) -> None:
    from shapebias.networks.device import resolve_device
    from shapebias.planning.throughput import measured

    device = resolve_device(device)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(config, Path(folder), device)
    with atomic_write(out) as draft:
        draft.write_text(json.dumps({"machine": machine_name(device), "throughputs": found}, indent=2) + "\n")
    log.info("%s: read it with --throughputs, or copy its throughputs into the config", out)


def machine_name(device: str) -> str:
    if device == "cpu":
        return f"{platform.node()}, {os.cpu_count()} cores"
    import torch

    return f"{platform.node()}, {torch.cuda.get_device_name()}"


def taken(folder: Path) -> dict[str, list[float]]:
    """Rule → seconds of each job that Snakemake timed below a folder, <rule>.tsv or <rule>/….tsv."""
    found: dict[str, list[float]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                found.setdefault(rule, []).extend(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: not a timing of Snakemake's; expected a column s") from None
    if not found:
        raise UserError(f"{folder}: no timings (*.tsv); Snakemake leaves them in logs/benchmarks when jobs have run")
    return found


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    changes = parse_changes(args.config)
    config = read_config(args.configfile, changes)
    for problem in data_problems(config):
        log.warning("%s", problem)
    if args.measure:
        measure(config, args.device, args.out)
        return
    known = known_of(config, args.throughputs)
    plan = plan_study(config, list_jobs(ROOT / "Snakefile", args.configfile, changes), known)
    if args.compare:
        timed = taken(args.compare)
        if not any(jobs.rule in timed for jobs in plan):
            raise UserError(f"{args.compare}: times {', '.join(timed)}, none of which this plan has: of another study?")
        text, _ = comparison(plan, timed)
        print(text)
        return
    gpus = config["gpus"] if args.gpus is None else args.gpus
    cpus = args.cpus or CORES_A_GPU * gpus or os.cpu_count() or 1
    took = course(plan, cpus=cpus, gpus=gpus, start=args.start)
    machine = f"{cpus:,} cores and {gpus:,} GPUs" if gpus else f"{cpus:,} cores"
    print(f"{table(plan)}\n\n{totals(config, plan, took, machine)}\n\nThis rests on:")
    print("\n".join(f"- {sentence}" for sentence in assumptions(config, plan, known, args.start)))
    if args.out:
        with atomic_write(args.out) as draft, draft.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows_of(plan))


if __name__ == "__main__":
    run(main)
