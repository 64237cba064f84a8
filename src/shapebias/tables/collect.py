"""Compute the result tables from files of predictions and recorded decisions, and write them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from shapebias.csv_tables import read_csv_table, read_result_table
from shapebias.downloads import checksum
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import (
    CLASS_COLUMNS,
    PROTOCOLS_SUFFIX,
    READ_OUT_KEY,
    read_label_predictions,
    read_observers,
    read_predictions,
    read_raw_predictions,
)
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stem
from shapebias.files import atomic_write
from shapebias.seals import CHECKSUM_LIST, write_checksum_list
from shapebias.tables.assemble import (
    PUBLISHED,
    BenchmarkAnswers,
    TableBuilder,
    select_trials,
    tabulate_melanoma,
    tabulate_rejected,
    tabulate_runs,
)
from shapebias.tables.atlas import tabulate_atlas
from shapebias.tables.columns import PEOPLE, TABLE_COLUMNS, TEXT_COLUMNS
from shapebias.tables.reading import read_run_record

log = logging.getLogger(__name__)

METADATA = ["observer", "model", "regime", "seed", "benchmark", "rejected"]  # metadata of every prediction file
SUBJECTS = f"{PEOPLE}=subject-*"  # pools people in decisions of the model-vs-human toolbox
# Names of data sets in the toolbox → kinds of benchmarks, where the two differ.
TOOLBOX_NAMES = {"cue-conflict": "cue_conflict", "silhouette": "silhouettes", "edge": "edges"}


@dataclass(frozen=True)
class PredictionFile:
    """The predictions of one network on a benchmark.

    observer: the network that the predictions should belong to, if this is known.
    """

    benchmark: str
    path: Path
    observer: str | None = None


@dataclass(frozen=True)
class DecisionFiles:
    """Recorded decisions on a benchmark.

    paths: CSV files, or folders of CSV files. pools: groups of observers as NAME=PATTERN; a pool is measured as one
    more observer. None pools observers with names subject-… as people.
    """

    benchmark: str
    paths: Sequence[Path]
    pools: Sequence[str] | None = None


def find_answers(folder: Path) -> tuple[list[PredictionFile], list[DecisionFiles]]:
    """Return all predictions and decisions of a folder.

    The folder holds `<benchmark>/*.parquet`, `<benchmark>/*.csv`, or files without a subfolder. Files directly in the
    folder belong to one benchmark with the name of the folder. If they hold predictions on several kinds of images,
    each kind is one benchmark. A CSV beside a Parquet file of the same name is a copy and is left out. Raises UserError
    for a folder without answers.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of predictions (.parquet) or decisions (.csv)")
    files = [path for path in sorted(folder.glob("*/*.parquet")) if not path.name.endswith(PROTOCOLS_SUFFIX)]
    predictions, decisions = [PredictionFile(path.parent.name, path) for path in files], []
    files = [path for path in sorted(folder.glob("*.parquet")) if not path.name.endswith(PROTOCOLS_SUFFIX)]
    kinds = {path: read_raw_predictions(path, METADATA)[1]["benchmark"] for path in files}
    for path, kind in kinds.items():
        name = folder.resolve().name if len({*kinds.values()}) == 1 else kind
        predictions.append(PredictionFile(name, path))
    for subfolder in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        csvs = [path for path in sorted(subfolder.glob("*.csv")) if not path.with_suffix(".parquet").exists()]
        if csvs:
            decisions.append(DecisionFiles(subfolder.resolve().name, csvs))
    if not predictions and not decisions:
        raise UserError(
            f"{folder}: neither predictions (.parquet) nor decisions (.csv) in it or in its folders; "
            f"scripts/evaluate.py writes both"
        )
    return predictions, decisions


def find_protocols(folder: Path) -> list[PredictionFile]:
    """Return all decisions under all protocols of a folder, which `find_answers` describes."""
    paths = [path for pattern in ("", "*/") for path in sorted(folder.glob(f"{pattern}*{PROTOCOLS_SUFFIX}"))]
    return [PredictionFile(path.resolve().parent.name, path) for path in paths]


def list_csvs(paths: Sequence[Path]) -> list[Path]:
    """Return the CSV files among the paths, and those in the folders among them; raises UserError if there are none."""
    files = [file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])]
    if not files:
        raise UserError(f"{paths[0]}: no CSV of decisions in this folder")
    return files


def infer_kind(benchmark: str, files: Sequence[Path]) -> str:
    """Return the kind of a benchmark from its name, else from the names of its images.

    Raises UserError if neither determines the kind.
    """
    name = TOOLBOX_NAMES.get(benchmark, benchmark)
    if name in KINDS:
        return name
    try:
        images = read_csv_table(files[0], ["imagename"]).frame()["imagename"]
    except UserError:
        images = pd.Series(dtype=str)  # read_observers reports the error in the file
    if images.map(stem).str.match(CUE_CONFLICT_NAME).all():
        return "cue_conflict"
    raise UserError(
        f"{files[0]}: decisions on a benchmark {benchmark!r} of an unknown kind (images such as {images.iloc[0]!r}); "
        f"name the benchmark, or the folder, after its kind: {', '.join(KINDS)}"
    )


def keep_images(decisions: pd.DataFrame, images: set[str], benchmark: str, path: Path) -> pd.DataFrame:
    """Return the decisions on the images that networks saw, so that all observers are compared on the same images.

    Raises UserError if no decision is about one of these images.
    """
    fits = decisions["image"].isin(images)
    if not fits.any():
        raise UserError(
            f"{path}: no decision is about an image of benchmark {benchmark!r}; give decisions on this benchmark"
        )
    if not fits.all():
        log.info(
            "%s: %d of %d trials are on images of %r; the others are left out", path, fits.sum(), len(fits), benchmark
        )
    return decisions[fits]


def read_run_facts(runs: Path, trained: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the run.json of each network trained here, and warn about missing files.

    trained: metadata of the predictions of trained networks; their runs may be missing if predictions were copied.
    """
    paths = {facts["observer"]: runs / facts["model"] / facts["regime"] / f"seed{facts['seed']}" for facts in trained}
    missing = [path / "run.json" for path in paths.values() if not (path / "run.json").exists()]
    if missing:
        log.warning("%d runs are left out of the table of runs: missing, for example, %s", len(missing), missing[0])
    return [
        {"observer": observer, **read_run_record(path)}
        for observer, path in paths.items()
        if path / "run.json" not in missing
    ]


def read_read_outs(paths: Iterable[Path], checksums: Mapping[tuple[str, str], str]) -> list[pd.DataFrame]:
    """Read the tables of linear read-outs, with all values as text.

    checksums: (benchmark, observer) → SHA-256 of the table, as the predictions record it. Raises UserError for another
    file, for a table that differs from the recorded one, and for two tables of one observer.
    """
    tables, origins = [], dict[tuple[str, str], Path]()
    for path in paths:
        table = read_result_table(path, TABLE_COLUMNS["read_out"])
        if table.empty:
            raise UserError(f"{path}: no read-outs in this file; remove it to have it made again")
        subject = (table["benchmark"].iloc[0], table["observer"].iloc[0])
        if subject in origins:
            raise UserError(
                f"{path}: read-outs of {subject[1]} on {subject[0]}, as in {origins[subject]}; remove the file that "
                f"should hold others to have it made again"
            )
        if checksums.get(subject) not in (None, checksum(path)):
            raise UserError(
                f"{path}: not the table that was written with the predictions of {subject[1]}; remove it to have it "
                f"made again"
            )
        origins[subject] = path
        tables.append(table)
    return tables


def read_protocols(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read decisions under all protocols and their metadata; raises UserError for another file."""
    return read_raw_predictions(path, [*METADATA, "answers", "protocols"])


def collect_tables(
    predictions: Iterable[PredictionFile],
    decisions: Sequence[DecisionFiles],
    *,
    runs: Path,
    kinds: Mapping[str, str] | None = None,
    strict: bool = True,
    read_out: Sequence[Path] = (),
    protocols: Sequence[PredictionFile] = (),
    rejected: Iterable[tuple[str, str, str, str]] = (),
    melanoma: bool = False,
    melanoma_baseline: str | None = None,
    published: Mapping[str, Path] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return all tables, by name, of some predictions and decisions.

    runs: folder that holds <model>/<regime>/seed<n>/run.json. kinds: benchmark → kind, for benchmarks that have only
    decisions. strict: refuse decisions that contribute to no table; otherwise leave them out with a warning. rejected:
    set, split, file and reason of images that were not packed. melanoma: make the melanoma table even if it is empty.
    published: source → folder of published observers; the tables atlas and atlas_differences are made if there are any.
    Raises UserError for unsuitable files, for answers that do not fit together, and if nothing can be measured.
    """
    measured, trained, lesions = TableBuilder(), dict[str, dict[str, Any]](), []
    rejections, read_out_checksums = [], dict[tuple[str, str], str]()
    for file in predictions:
        answers, metadata = read_raw_predictions(file.path, METADATA)
        refuse_reserved_names(file.path, metadata)
        if file.observer not in (None, metadata["observer"]):
            raise UserError(
                f"{file.path}: predictions of {metadata['observer']}, not of {file.observer}; remove the file to have "
                f"it made again"
            )
        if metadata["benchmark"] not in KINDS:
            raise UserError(
                f"{file.path}: predictions on images of an unknown kind {metadata['benchmark']!r}; allowed: "
                f"{', '.join(KINDS)}"
            )
        expected_kind = (kinds or {}).get(file.benchmark, metadata["benchmark"])
        if metadata["benchmark"] != expected_kind:
            raise UserError(
                f"{file.path}: predictions on images of kind {metadata['benchmark']}, but the benchmark "
                f"{file.benchmark!r} is of kind {expected_kind}; remove the file to have it made again"
            )
        if READ_OUT_KEY in metadata:
            read_out_checksums[file.benchmark, metadata["observer"]] = metadata[READ_OUT_KEY]
        if KINDS[metadata["benchmark"]].measures == "melanoma":
            lesions.append((file.benchmark, answers, metadata))
        elif KINDS[metadata["benchmark"]].rule:
            measured.add_network(file.benchmark, *read_label_predictions(file.path))
        else:
            measured.add_network(file.benchmark, *read_predictions(file.path, ["class_names"], CLASS_COLUMNS))
        rejections += [(file.benchmark, "test", image, reason) for image, reason in metadata["rejected"]]
        if metadata["regime"] is not None:
            trained.setdefault(metadata["observer"], metadata)
    for recorded in decisions:
        add_decisions(measured, recorded, kinds or {}, strict)
    if not strict and not measured.benchmarks and not lesions and not published:
        raise UserError(f"{decisions[0].paths[0]}: nothing is measured from this file or the others; see the warnings")
    measured.read_out += read_read_outs(read_out, read_out_checksums)
    for file in protocols:
        measured.protocols.setdefault(file.benchmark, []).append(read_protocols(file.path))

    tables = measured.tables() | {"runs": tabulate_runs(read_run_facts(runs, list(trained.values())))}
    tables["rejected"] = tabulate_rejected([*rejections, *rejected])
    if melanoma or lesions:
        tables["melanoma"] = tabulate_melanoma(lesions, melanoma_baseline)
    if published:
        tables |= tabulate_atlas(published, *select_published(measured.benchmarks, tables["benchmarks"]))
    observers = {observer for answers in measured.benchmarks.values() for observer in answers.identities}
    log.info("observers: %d, benchmarks: %d", len(observers), len(measured.benchmarks))
    return tables


def select_published(
    benchmarks: Mapping[str, BenchmarkAnswers], table: pd.DataFrame
) -> tuple[list[pd.DataFrame], list[dict[str, Any]]]:
    """Return the trials and the identities of the networks that answered the published cue conflicts.

    table: the table `benchmarks`, whose column origin says whose stimuli a benchmark has. Of several benchmarks with
    the published stimuli, the first counts.
    """
    names = table.loc[table["origin"] == PUBLISHED, "benchmark"]
    if names.empty:
        log.warning("the atlas holds no network of this study: none answered the published cue conflicts")
        return [], []
    answers = benchmarks[names.iloc[0]]
    trials = [select_trials(predictions, answers.kind) for predictions, _ in answers.networks.values()]
    return trials, [{"observer": name} | answers.identities[name] for name in answers.networks]


def refuse_reserved_names(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise UserError if a network has the name of all people together, or no name. Tables tell people by that name."""
    for key in ("observer", "model", "regime"):
        if metadata[key] in (PEOPLE, ""):
            raise UserError(
                f"{path}: its {key} is called {metadata[key]!r}, which in the tables means "
                f"{'all people together' if metadata[key] else 'that there is none'}; give the network another name"
            )


def add_decisions(measured: TableBuilder, decisions: DecisionFiles, kinds: Mapping[str, str], strict: bool) -> None:
    """Add recorded decisions to `measured`; `collect_tables` describes the arguments."""
    name, pools = decisions.benchmark, decisions.pools
    csvs = list_csvs(decisions.paths)
    benchmark = measured.benchmarks.get(name)
    kind = kinds.get(name) or (benchmark.kind if benchmark else infer_kind(name, csvs))
    if not strict and not KINDS[kind].takes_decisions:
        log.warning("%s is left out: no table uses decisions on images of kind %s", csvs[0], kind)
        return
    table = read_observers(csvs, kind)
    if benchmark and benchmark.networks:
        table = keep_images(table, benchmark.image_names(), name, decisions.paths[0])
    if pools is None:
        pools = [SUBJECTS] if table["observer"].str.startswith("subject-").any() else []
    measured.add_decisions(name, table, pools, kind)


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as `<folder>/<name>.csv`, complete or not at all, and a list of their checksums.

    Undefined numbers are NaN, and missing text is empty.
    """
    (folder / CHECKSUM_LIST).unlink(missing_ok=True)
    for name, table in tables.items():
        texts = [column for column in table.columns if column in TEXT_COLUMNS]
        table = table.assign(**{column: table[column].astype(object).fillna("") for column in texts})
        with atomic_write(folder / f"{name}.csv") as draft:
            undefined = "" if name in ("runs", "rejected") else "NaN"
            table.to_csv(draft, index=False, na_rep=undefined, lineterminator="\n")
    write_checksum_list(folder / CHECKSUM_LIST, [folder / f"{name}.csv" for name in tables])
