"""Compute all tables of the report from predictions and decisions: bias, accuracy and more, with intervals.

Without --benchmarks and --observers, the script reads all answers in the folder of --predictions: predictions of
networks (.parquet) and decisions in the format of the model-vs-human toolbox (.csv). A subfolder holds the answers on
one benchmark and has its name. Files directly in the folder belong to one benchmark with the name of the folder.
Observers with names subject-… are people, as in the toolbox.
"""

import argparse
import logging
from pathlib import Path

from shapebias.cli import Parser, named_path, named_text, progress
from shapebias.csv_tables import read_result_table
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.published import SOURCES
from shapebias.seals import check_against_list
from shapebias.tables.collect import (
    DecisionFiles,
    PredictionFile,
    collect_tables,
    find_answers,
    find_protocols,
    write_tables,
)

log = logging.getLogger(__name__)


def name_kind(text: str) -> tuple[str, str]:
    """Parse `NAME=KIND` (an argparse type)."""
    name, kind = named_text(text)
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r}: no kind {kind!r}; allowed: {', '.join(KINDS)}")
    return name, kind


class Decisions(argparse.Action):
    """Collect `--decisions BENCHMARK=PATH POOL=PATTERN…` as [benchmark, path, pool, …]."""

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            first, *_ = [named_text(value) for value in values]
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option_string}: {error}")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), [*first, *values[1:]]])


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="holds <benchmark>/<observer>.parquet; may be left out if --published is given",
    )
    parser.add_argument("--benchmarks", nargs="*", default=[], metavar="NAME")
    parser.add_argument(
        "--kinds",
        type=name_kind,
        nargs="*",
        default=[],
        metavar="NAME=KIND",
        help="kinds of benchmarks that have decisions but no predictions (default: inferred from the names)",
    )
    parser.add_argument(
        "--observers", nargs="*", default=[], metavar="NAME", help="networks to measure, trained here or not"
    )
    parser.add_argument("--melanoma-benchmarks", nargs="*", default=[], metavar="NAME")
    parser.add_argument(
        "--melanoma-observers", nargs="*", default=[], metavar="NAME", help="runs trained on melanoma images"
    )
    parser.add_argument(
        "--melanoma-baseline", metavar="REGIME", help="regime to compare with: training from ImageNet weights alone"
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
        "--published",
        type=named_path,
        nargs="+",
        action="extend",
        default=[],
        metavar="SOURCE=DIR",
        help="decisions of published observers on the cue conflicts, for the table atlas; known sources: "
        f"{', '.join(SOURCES)}",
    )
    parser.add_argument(
        "--read-out", type=Path, nargs="*", default=[], metavar="CSV", help="read-out tables from scripts/evaluate.py"
    )
    parser.add_argument(
        "--protocols",
        type=Path,
        nargs="*",
        default=[],
        metavar="PARQUET",
        help="decisions under all protocols from scripts/evaluate.py: <benchmark>/<observer>.protocols.parquet",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("results/runs"),
        metavar="DIR",
        help="folder that holds <model>/<regime>/seed<n>/run.json",
    )
    parser.add_argument(
        "--images",
        type=Path,
        default=Path("results/images"),
        metavar="DIR",
        help="folder that holds <set>/rejected.csv",
    )
    parser.add_argument(
        "--sets", nargs="*", default=[], metavar="NAME", help="image sets whose rejected images the tables list"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    if args.predictions is None and not args.published:
        parser.error("give --predictions, --published or both")
    names = [name for name, _ in args.published]
    if repeated := [name for name in names if names.count(name) > 1]:
        parser.error(f"--published {repeated[0]}: given twice; put its files into one folder")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    strict = bool(args.benchmarks or args.observers or args.melanoma_benchmarks or args.decisions)
    files, decisions = [], []
    protocols = [PredictionFile(path.resolve().parent.name, path) for path in args.protocols]
    if strict:
        if args.predictions is None:
            raise UserError("--benchmarks, --observers and --decisions need the folder --predictions")
        pairs = [(name, observer) for name in args.benchmarks for observer in args.observers]
        pairs += [(name, observer) for name in args.melanoma_benchmarks for observer in args.melanoma_observers]
        files = [
            PredictionFile(name, args.predictions / name / f"{observer}.parquet", observer) for name, observer in pairs
        ]
        decisions = [DecisionFiles(benchmark, [Path(path)], pools) for benchmark, path, *pools in args.decisions]
    elif args.predictions is not None:
        files, decisions = find_answers(args.predictions)
        protocols += find_protocols(args.predictions)
    rejected = []
    for name in args.sets:
        path = args.images / name / "rejected.csv"
        check_against_list(path)
        table = read_result_table(path, ["split", "file", "reason"])
        rejected += [(name, *row) for row in table[["split", "file", "reason"]].itertuples(index=False)]
    tables = collect_tables(
        progress(files, unit="files", label="tables"),
        decisions,
        runs=args.runs,
        kinds=dict(args.kinds),
        strict=strict,
        read_out=args.read_out,
        protocols=protocols,
        rejected=rejected,
        melanoma=bool(args.melanoma_benchmarks),
        melanoma_baseline=args.melanoma_baseline,
        published=dict(args.published),
    )
    write_tables(tables, args.out)
    log.info("%s: %d tables", args.out, len(tables))
