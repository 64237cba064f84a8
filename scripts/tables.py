#!/usr/bin/env python3
"""Count everything the report says: bias, accuracy, coverage and their intervals, from decisions alone."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from shapebias import tables
from shapebias.cli import Parser, progress, run
from shapebias.decisions import read_answers, read_observers, read_predictions
from shapebias.errors import UserError
from shapebias.files import replacing

log = logging.getLogger(__name__)


def name_value(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE` (an argparse type)."""
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


class Decisions(argparse.Action):
    """Collect `--decisions BENCHMARK=PATH POOL=PATTERN…` as [benchmark, path, pool, …]."""

    def __call__(self, parser, namespace, values, option_string=None):
        first, *pools = values
        try:
            for value in values:
                name_value(value)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option_string}: {error}")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), [*name_value(first), *pools]])


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="DIR", help="holds <benchmark>/<observer>.parquet"
    )
    parser.add_argument("--benchmarks", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--observers", nargs="*", default=[], metavar="NAME", help="networks, trained or not")
    parser.add_argument("--melanoma-benchmarks", nargs="*", default=[], metavar="NAME")
    parser.add_argument(
        "--melanoma-observers", nargs="*", default=[], metavar="NAME", help="runs that were trained to tell melanomas"
    )
    parser.add_argument(
        "--melanoma-baseline", metavar="REGIME", help="what others are compared with: ImageNet weights alone"
    )
    parser.add_argument(
        "--decisions",
        nargs="+",
        action=Decisions,
        default=[],
        metavar=("BENCHMARK=CSV|DIR", "POOL=PATTERN"),
        help="recorded decisions, and pools of their observers, such as people='subject-*' (repeatable)",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("results/runs"), metavar="DIR", help="holds <model>/<regime>/seed<n>/run.json"
    )
    parser.add_argument(
        "--images", type=Path, default=Path("results/images"), metavar="DIR", help="holds <set>/rejected.csv"
    )
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME", help="sets whose rejected images are listed")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser.parse_args(argv)


def recorded(path: Path) -> pd.DataFrame:
    """The decisions in one CSV, or in all of a folder's; nobody may have answered an image twice."""
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: no CSV of decisions in this folder")
    return read_observers(files)


def run_facts(runs: Path, metadata: dict[str, Any]) -> dict[str, Any]:
    """The run.json of an observer that was trained here."""
    path = runs / metadata["model"] / metadata["regime"] / f"seed{metadata['seed']}" / "run.json"
    return {"observer": metadata["observer"], **json.loads(path.read_text())}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    measured, facts, rejected = tables.Measured(), dict[str, dict[str, Any]](), []
    shown: dict[str, set[str]] = {}
    jobs = [(benchmark, observer) for benchmark in args.benchmarks for observer in args.observers]
    for benchmark, observer in progress(jobs, unit="file", what="tables"):
        predictions, metadata = read_predictions(args.predictions / benchmark / f"{observer}.parquet")
        measured.add_network(benchmark, predictions, metadata)
        shown[benchmark] = set(predictions["image"].str.rpartition("/")[2])
        rejected += [(benchmark, "test", file, reason) for file, reason in metadata["rejected"]]
        if metadata["regime"] is not None and observer not in facts:
            facts[observer] = run_facts(args.runs, metadata)
    lesions = []
    jobs = [(benchmark, observer) for benchmark in args.melanoma_benchmarks for observer in args.melanoma_observers]
    for benchmark, observer in progress(jobs, unit="file", what="melanoma"):
        predictions, metadata = read_answers(args.predictions / benchmark / f"{observer}.parquet")
        rejected += [(benchmark, "test", file, reason) for file, reason in metadata["rejected"]]
        if metadata["regime"] is not None and observer not in facts:
            facts[observer] = run_facts(args.runs, metadata)
        lesions.append((benchmark, predictions, metadata))
    for benchmark, path, *pools in args.decisions:
        decisions = recorded(Path(path))
        if benchmark in shown:
            # Observers are compared on the same images: the benchmark may be a part of what people saw.
            seen = decisions["image"].isin(shown[benchmark])
            if not seen.any():
                raise UserError(
                    f"{path}: no decision is about an image of benchmark {benchmark!r}; give its own decisions"
                )
            log.info(
                "%s: %d of %d trials are of images of %r, the others are left out",
                path,
                seen.sum(),
                len(seen),
                benchmark,
            )
            decisions = decisions[seen]
        measured.add_decisions(benchmark, decisions, dict(map(name_value, pools)))
    for name in args.sets:
        listed = pd.read_csv(args.images / name / "rejected.csv", dtype=str)
        rejected += [(name, *row) for row in listed[["split", "file", "reason"]].itertuples(index=False)]
    made = measured.tables() | {"runs": tables.run_table(list(facts.values()))}
    made["rejected"] = tables.rejected_table(rejected)
    if args.melanoma_benchmarks:
        made["melanoma"] = tables.melanoma_table(lesions, args.melanoma_baseline)
    for name, table in made.items():
        with replacing(args.out / f"{name}.csv") as draft:
            table.to_csv(
                draft, index=False, na_rep="NaN" if name not in ("runs", "rejected") else "", lineterminator="\n"
            )
    log.info(
        "%s: %d observers on %d benchmarks", args.out, made["shape_bias"]["observer"].nunique(), len(args.benchmarks)
    )


if __name__ == "__main__":
    run(main)
