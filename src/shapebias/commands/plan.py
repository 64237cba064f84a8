"""Estimate the cost of a study before anything runs: jobs, images, hours, files and bytes of each rule and in total.

Every assumption is printed. Measured numbers can replace assumed ones. Set `throughputs` in the config (images a second
of one job), or measure this machine with --measure and read the result with --throughputs.
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

from shapebias.cli import Parser, non_negative_float, non_negative_int, positive_int
from shapebias.config.data_files import data_problems
from shapebias.config.dataset_sizes import count_folders
from shapebias.config.files import parse_yaml, read_config_file
from shapebias.config.queries import Config
from shapebias.config.validation import check_config
from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.planning.costs import Measurements, NetworkSize, Throughput, parse_throughputs
from shapebias.planning.graph import list_jobs
from shapebias.planning.network_costs import is_listed
from shapebias.planning.plan import plan_study
from shapebias.planning.schedule import simulate_schedule
from shapebias.planning.summary import COLUMNS, compare_timings, format_plan, format_totals, list_assumptions, plan_rows

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]  # of a clone, which has the workflow beside the library
CORES_A_GPU = 16  # assumed with --gpus but without --cpus


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=ROOT / "config.yaml", help="the study (default: the demo)")
    parser.add_argument(
        "--config",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="values that replace those of the file, such as data_root=FOLDER",
    )
    machine = parser.add_argument_group("the machine that runs the study")
    machine.add_argument(
        "--gpus", type=non_negative_int, help="GPUs at one time (default: 1, or none if the config has none)"
    )
    machine.add_argument(
        "--cpus",
        type=positive_int,
        help=f"cores at one time (default: {CORES_A_GPU} per GPU; without GPUs, those of this machine)",
    )
    machine.add_argument(
        "--start",
        type=non_negative_float,
        default=1.0,
        metavar="SECONDS",
        help="time that the scheduler takes to start a job; about 3 on a cluster (default: %(default)s)",
    )
    measured = parser.add_argument_group("measurements instead of assumptions")
    measured.add_argument("--throughputs", type=Path, metavar="FILE", help="a file that --measure wrote")
    measured.add_argument(
        "--measure", action="store_true", help="time the study's networks on this machine and write --out"
    )
    measured.add_argument("--device", default="auto", help="for --measure: auto, cpu, cuda (default: %(default)s)")
    measured.add_argument(
        "--compare",
        type=Path,
        metavar="DIR",
        help="print planned and measured seconds; DIR holds Snakemake's timings (logs/benchmarks)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the plan as a CSV, or the throughputs of --measure as JSON"
    )
    args = parser.parse_args(argv)
    if args.measure and args.out is None:
        parser.error("--measure needs --out, a file for the throughputs")
    return args


def read_config(path: Path, changes: Config) -> Config:
    """Return the checked config of a file, updated with --config.

    Sections are merged as in Snakemake's --config.
    """
    return check_config(merge_sections(read_config_file(path), changes))


def parse_changes(words: Sequence[str]) -> Config:
    """Parse the words KEY=VALUE of --config."""
    if malformed := next((word for word in words if "=" not in word), None):
        raise UserError(f"--config {malformed!r}: expected KEY=VALUE")
    return {key: parse_yaml(value, f"--config {key}") for key, _, value in (word.partition("=") for word in words)}


def merge_sections(content: Config, changes: Config) -> Config:
    """Return content updated with changes; sections are merged key by key at every depth."""
    shared = content.keys() & changes.keys()
    sections = {
        key: merge_sections(content[key], changes[key]) for key in shared if is_section(content[key], changes[key])
    }
    return content | changes | sections


def is_section(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def read_throughputs(path: Path) -> dict[tuple[str, str], Throughput]:
    """Read a file that --measure wrote; names outside the config have no effect."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        machine, section = content["machine"], content["throughputs"]
        rates = [rate for stage in section.values() for rate in stage.values()]
        if not all(isinstance(rate, (int, float)) and rate > 0 for rate in rates):
            raise ValueError("throughputs are numbers above 0")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: not a file of --measure ({error}); make one with plan.py --measure --out") from None
    return parse_throughputs(section, f"measured on {machine}")


def collect_measurements(config: Config, path: Path | None) -> Measurements:
    """Collect the measurements for a plan; throughputs of the config replace those of the file."""
    throughputs = read_throughputs(path) if path else {}
    throughputs |= parse_throughputs(config["throughputs"], "given in the config")
    return Measurements(throughputs, count_unlisted_networks(config), count_folders(config))


def count_unlisted_networks(config: Config) -> dict[str, NetworkSize]:
    """Count the operations of networks without a listed size; imports torch, which takes seconds, only for them."""
    entries = [*config["models"].values(), *(entry for entry in config["observers"].values() if "timm" in entry)]
    if all(map(is_listed, entries)):
        return {}
    try:
        from shapebias.planning.throughput import count_networks
    except ModuleNotFoundError as error:
        log.warning(
            "%s is not installed, so each unlisted network is assumed to be as large as a ResNet-50", error.name
        )
        return {}
    return count_networks(config)


def write_throughputs(config: Config, device: str, out: Path) -> None:
    """Measure the study's throughputs on this machine and write them as JSON."""
    from shapebias.networks.device import resolve_device
    from shapebias.planning.throughput import measure_throughputs

    device = resolve_device(device)
    with tempfile.TemporaryDirectory() as folder:
        throughputs = measure_throughputs(config, Path(folder), device)
    with atomic_write(out) as draft:
        draft.write_text(json.dumps({"machine": machine_name(device), "throughputs": throughputs}, indent=2) + "\n")
    log.info("%s: use it with --throughputs, or copy its throughputs into the config", out)


def machine_name(device: str) -> str:
    """Return the host's name with its cores or its GPU."""
    if device == "cpu":
        return f"{platform.node()}, {os.cpu_count()} cores"
    import torch

    return f"{platform.node()}, {torch.cuda.get_device_name(device)}"


def read_timings(folder: Path) -> dict[str, list[float]]:
    """Return rule → seconds of each job, from Snakemake's timings <rule>.tsv or <rule>/….tsv in a folder."""
    timings: dict[str, list[float]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                timings.setdefault(rule, []).extend(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}: not a timing of Snakemake; expected a column s") from None
    if not timings:
        raise UserError(f"{folder}: no timings (*.tsv); Snakemake writes them to logs/benchmarks after each job")
    return timings


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not (ROOT / "Snakefile").is_file():
        raise UserError("the plan needs the workflow, which an installed package lacks: use a clone")
    changes = parse_changes(args.config)
    config = read_config(args.configfile, changes)
    for problem in data_problems(config):
        log.warning("%s", problem)
    if args.measure:
        write_throughputs(config, args.device, args.out)
        return
    measurements = collect_measurements(config, args.throughputs)
    plan = plan_study(config, list_jobs(ROOT / "Snakefile", args.configfile, changes), measurements)
    if args.compare:
        timings = read_timings(args.compare)
        if not any(group.rule in timings for group in plan):
            rules = ", ".join(timings)
            raise UserError(f"{args.compare}: timings of {rules}, but this plan has no such rule; of another study?")
        text, _ = compare_timings(plan, timings)
        print(text)
        return
    gpus = config["gpus"] if args.gpus is None else args.gpus
    cpus = args.cpus or CORES_A_GPU * gpus or os.cpu_count() or 1
    schedule = simulate_schedule(plan, cpus=cpus, gpus=gpus, start=args.start)
    machine = f"{cpus:,} cores and {gpus:,} GPUs" if gpus else f"{cpus:,} cores"
    print(f"{format_plan(plan)}\n\n{format_totals(config, plan, schedule, machine)}\n\nAssumptions and sources:")
    print("\n".join(f"- {sentence}" for sentence in list_assumptions(config, plan, measurements, args.start)))
    if args.out:
        with atomic_write(args.out) as draft, draft.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(plan_rows(plan))
