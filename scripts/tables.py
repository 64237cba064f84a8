#!/usr/bin/env python3
"""Count everything the report says: bias, accuracy, consistency, … and their intervals, from answers alone.

Without --benchmarks and --observers, all that lies in the folder of predictions is taken: networks' answers,
<benchmark>/<observer>.parquet, and decisions, <benchmark>/*.csv, as the model-vs-human toolbox writes them; CSV files
right in the folder are of one benchmark, called as the folder. Observers in them that are called subject-… are people,
as in that toolbox.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shapebias.cli import Parser, progress, run
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import read_observers, read_predictions, read_raw_predictions
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stem
from shapebias.files import replacing
from shapebias.tables import assemble, columns

log = logging.getLogger(__name__)

NEEDED = ["observer", "model", "regime", "seed", "benchmark", "rejected"]  # of the metadata of all predictions
PEOPLE = f"{columns.PEOPLE}=subject-*"
# What the toolbox calls its data sets where these kinds have another name.
TOOLBOX_NAMES = {"cue-conflict": "cue_conflict", "silhouette": "silhouettes", "edge": "edges"}


def name_value(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE` (an argparse type)."""
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def name_kind(text: str) -> tuple[str, str]:
    """Parse `NAME=KIND` (an argparse type)."""
    name, kind = name_value(text)
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r}: no kind {kind!r}; allowed: {', '.join(KINDS)}")
    return name, kind


class Decisions(argparse.Action):
    """Collect `--decisions BENCHMARK=PATH POOL=PATTERN…` as [benchmark, path, pool, …]."""

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            first, *_ = [name_value(value) for value in values]
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option_string}: {error}")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), [*first, *values[1:]]])


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="DIR", help="holds <benchmark>/<observer>.parquet"
    )
    parser.add_argument("--benchmarks", nargs="*", default=[], metavar="NAME")
    parser.add_argument(
        "--kinds",
        type=name_kind,
        nargs="*",
        default=[],
        metavar="NAME=KIND",
        help="what benchmarks are, where only decisions are known of them; by default told from their names",
    )
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
        "--read-out", type=Path, nargs="*", default=[], metavar="CSV", help="what scripts/evaluate.py wrote"
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


def discover(folder: Path) -> tuple[list[Path], list[list[str]]]:
    """All predictions in a folder of any study, and its decisions as `--decisions` gives them.

    A CSV beside predictions of the same name repeats them. Raises UserError for a folder that holds neither.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one that holds <benchmark>/<observer>.parquet, or CSV files")
    predictions, decisions = sorted(folder.glob("*/*.parquet")), []
    for place in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        recorded = [path for path in sorted(place.glob("*.csv")) if not path.with_suffix(".parquet").exists()]
        if recorded:
            decisions.append([place.resolve().name, *map(str, recorded)])
    if not predictions and not decisions:
        raise UserError(f"{folder}: neither <benchmark>/<observer>.parquet nor CSV files of decisions in it")
    return predictions, decisions


def recorded(paths: Sequence[Path]) -> list[Path]:
    """The CSV files given, and those in the folders given."""
    files = [file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])]
    if not files:
        raise UserError(f"{paths[0]}: no CSV of decisions in this folder")
    return files


def kind_of(benchmark: str, files: Sequence[Path]) -> str:
    """The kind of a benchmark that only decisions are known of: by its name, else by the names of its images.

    Raises UserError where neither says it.
    """
    known = TOOLBOX_NAMES.get(benchmark, benchmark)
    if known in KINDS:
        return known
    try:
        names = pd.read_csv(files[0], dtype=str, keep_default_na=False)["imagename"]
    except (OSError, ValueError, KeyError):
        names = pd.Series(dtype=str)  # whoever reads the decisions says what is wrong
    if names.map(stem).str.match(CUE_CONFLICT_NAME).all():
        return "cue_conflict"
    raise UserError(
        f"{files[0]}: decisions on a benchmark {benchmark!r} of an unknown kind (images such as {names.iloc[0]!r}); "
        f"call the benchmark, or the folder, as its kind: {', '.join(KINDS)}"
    )


def only_shown(decisions: pd.DataFrame, shown: set[str], benchmark: str, path: str) -> pd.DataFrame:
    """The decisions on images that networks saw: observers are compared on the same images.

    The benchmark may be a part of what people saw. Raises UserError if it is no part of it.
    """
    seen = decisions["image"].isin(shown)
    if not seen.any():
        raise UserError(f"{path}: no decision is about an image of benchmark {benchmark!r}; give its own decisions")
    if not seen.all():
        told = "%s: %d of %d trials are of images of %r, the others are left out"
        log.info(told, path, seen.sum(), len(seen), benchmark)
    return decisions[seen]


def run_facts(runs: Path, trained: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The run.json of each observer that was trained here; those that are not there are left out, with a warning.

    trained: metadata of their predictions, which may have come here without the runs.
    """
    paths = [runs / told["model"] / told["regime"] / f"seed{told['seed']}" / "run.json" for told in trained]
    missing = [path for path in paths if not path.exists()]
    if missing:
        log.warning("%d runs are left out of the table of runs: there is no %s", len(missing), missing[0])
    found = [(path, told["observer"]) for path, told in zip(paths, trained, strict=True) if path not in missing]
    return [{"observer": observer, **json.loads(path.read_text())} for path, observer in found]


def read_out(paths: Sequence[Path]) -> Iterator[pd.DataFrame]:
    """What scripts/evaluate.py wrote; raises UserError for other files."""
    for path in paths:
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)  # as it was written
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not a table of scripts/evaluate.py ({error})") from None
        missing = [name for name in columns.TABLE_COLUMNS["read_out"] if name not in table]
        if missing:
            raise UserError(f"{path}: column {missing[0]!r} is missing; make it with scripts/evaluate.py")
        yield table


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    files = [args.predictions / name / f"{observer}.parquet" for name in args.benchmarks for observer in args.observers]
    lesion_files = [
        args.predictions / name / f"{observer}.parquet"
        for name in args.melanoma_benchmarks
        for observer in args.melanoma_observers
    ]
    decisions = [(benchmark, [path], pools) for benchmark, path, *pools in args.decisions]
    asked = args.benchmarks or args.observers or args.melanoma_benchmarks or args.decisions
    if not asked:
        files, found = discover(args.predictions)
        decisions = [(benchmark, paths, None) for benchmark, *paths in found]

    measured, trained, rejected, lesions = assemble.TableBuilder(), dict[str, dict[str, Any]](), [], []
    for path in progress([*files, *lesion_files], unit="file", what="tables"):
        predictions, metadata = read_raw_predictions(path, NEEDED)
        benchmark = path.parent.name
        if metadata["benchmark"] not in KINDS:
            raise UserError(
                f"{path}: predictions on images of an unknown kind {metadata['benchmark']!r}; known: {', '.join(KINDS)}"
            )
        if KINDS[metadata["benchmark"]].measures == "melanoma":
            lesions.append((benchmark, predictions, metadata))
        else:
            measured.add_network(benchmark, *read_predictions(path, ["class_names"]))
        rejected += [(benchmark, "test", file, reason) for file, reason in metadata["rejected"]]
        if metadata["regime"] is not None:
            trained.setdefault(metadata["observer"], metadata)
    kinds = dict(args.kinds)
    for benchmark, paths, pools in decisions:
        csvs = recorded([Path(path) for path in paths])
        known = measured.benchmarks.get(benchmark)
        kind = kinds.get(benchmark) or (known.kind if known else kind_of(benchmark, csvs))
        if not asked and not assemble.takes_decisions(kind):
            log.warning(
                "%s is left out: decisions tell nothing of what is measured on images of kind %s", paths[0], kind
            )
            continue
        answered = read_observers(csvs, kind)
        if known and known.networks:
            answered = only_shown(answered, known.image_names(), benchmark, paths[0])
        if pools is None:
            pools = [PEOPLE] if answered["observer"].str.startswith("subject-").any() else []
        measured.add_decisions(benchmark, answered, pools, kind)
    if not asked and not measured.benchmarks and not lesions:
        raise UserError(f"{args.predictions}: nothing is measured from what lies there; see the warnings")
    measured.read_out += read_out(args.read_out)
    for name in args.sets:
        listed = pd.read_csv(args.images / name / "rejected.csv", dtype=str)
        rejected += [(name, *row) for row in listed[["split", "file", "reason"]].itertuples(index=False)]

    made = measured.tables() | {"runs": assemble.tabulate_runs(run_facts(args.runs, list(trained.values())))}
    made["rejected"] = assemble.tabulate_rejected(rejected)
    if args.melanoma_benchmarks or lesions:
        made["melanoma"] = assemble.tabulate_melanoma(lesions, args.melanoma_baseline)
    for name, table in made.items():
        with replacing(args.out / f"{name}.csv") as draft:
            table.to_csv(
                draft, index=False, na_rep="NaN" if name not in ("runs", "rejected") else "", lineterminator="\n"
            )
    observers = {observer for answers in measured.benchmarks.values() for observer in answers.identities}
    log.info("%s: %d observers on %d benchmarks", args.out, len(observers), len(measured.benchmarks))


if __name__ == "__main__":
    run(main)
