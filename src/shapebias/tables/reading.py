"""Read the result files for figures and report. Every error message names the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.csv_tables import read_csv_table, read_result_table
from shapebias.downloads import checksum
from shapebias.errors import UserError
from shapebias.seals import SEAL_KEY, check_against_list, check_seal
from shapebias.tables import columns
from shapebias.tables.columns import TEXT_COLUMNS

FILE_COLUMNS: dict[str, list[str]] = columns.TABLE_COLUMNS | {
    "runs": columns.RUN_COLUMNS,
    "rejected": columns.REJECTED_COLUMNS,
    "melanoma": columns.MELANOMA_TABLE_COLUMNS,
    "atlas": columns.ATLAS_COLUMNS,
    "atlas_differences": columns.ATLAS_DIFFERENCE_COLUMNS,
    "people": ["category", "conflict_images", "shape_hits", "texture_hits"],
}
RECORD_KEYS = [*columns.RUN_COLUMNS[1:], "recipe", "images"]  # of run.json, which does not name its observer
UNDEFINED = ["", "NaN"]  # numbers that a table of this tool does not have


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read the result table `<folder>/<name>.csv`."""
    return _read_csv(folder / f"{name}.csv", FILE_COLUMNS[name])


def read_tables(folder: Path, *, melanoma: bool, atlas: bool = False) -> dict[str, pd.DataFrame]:
    """Read every result table of a folder. Return name → table.

    melanoma, atlas: whether the study measures melanoma, and whether it names published observers. A file in the folder
    does not show this, because it may be left from an earlier config.
    """
    names = [*columns.TABLE_COLUMNS, "runs", "rejected", *(["melanoma"] if melanoma else [])]
    names += ["atlas", "atlas_differences"] if atlas else []
    return {name: read_table(folder, name) for name in names}


def read_answers(folder: Path, benchmark: str) -> pd.DataFrame:
    """Read the answers on a benchmark of cue conflict: columns image, shape, texture, and one column per observer.

    All values are text. An answer is a category, `none` if the observer named no category, or "" if the image was not
    shown.
    """
    path = folder / f"answers.{benchmark}.csv"
    table = _read_text(path)
    missing = [name for name in ("image", "shape", "texture") if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; expected image,shape,texture and observers")
    return table


def read_people(path: Path) -> pd.DataFrame:
    """Read people's hits for each category on the published stimuli.

    Raises UserError, with the line, for a wrong row.
    """
    table = read_csv_table(path, FILE_COLUMNS["people"])
    table.require_unique("category", "category")
    frame = table.frame()
    for line, category in frame["category"].items():
        if category not in CATEGORIES:
            raise UserError(
                f"{path}, line {line}: {category!r} is not one of the 16 categories: {', '.join(CATEGORIES)}"
            )
    for name in FILE_COLUMNS["people"][1:]:
        wrong = frame.loc[~frame[name].str.fullmatch("[0-9]{1,12}"), name]
        if len(wrong):
            raise UserError(f"{path}, line {wrong.index[0]}: {name} {wrong.iloc[0]!r} is not a whole number from 0")
        frame[name] = frame[name].astype("int64")
    for line, row in frame.iterrows():
        if row["shape_hits"] + row["texture_hits"] > row["conflict_images"]:
            raise UserError(f"{path}, line {line}: shape_hits and texture_hits together exceed conflict_images")
    return frame.reset_index(drop=True)


def read_histories(runs: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Read `history.csv` of every run in the table `runs`, and add its model, regime, seed and best_epoch."""
    columns = ["model", "regime", "seed", "epoch", "train_accuracy", "val_accuracy", "best_epoch"]
    histories = []
    for folder, run in _run_folders(runs, table):
        record, path = read_run_record(folder), folder / "history.csv"
        history = _read_csv(path, ["epoch", "train_accuracy", "val_accuracy"])
        if record.get("history_sha256", checksum(path)) != checksum(path):  # an earlier version recorded none
            raise UserError(
                f"{path}: not the history that {folder / 'run.json'} describes; remove both and train this run again "
                f"(in a study, repeat the command)"
            )
        histories.append(history.assign(**run, best_epoch=record["best_epoch"]))
    return pd.concat(histories, ignore_index=True) if histories else pd.DataFrame(columns=columns)


def read_records(runs: Path, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Read `run.json` of every run in the table `runs`."""
    return [read_run_record(folder) | run for folder, run in _run_folders(runs, table)]


def read_run_record(folder: Path) -> dict[str, Any]:
    """Read `run.json` of a run; raises UserError if it lacks a value that tables or the report show."""
    path = folder / "run.json"
    record = read_json(path)
    missing = [key for key in RECORD_KEYS if key not in record]
    if missing:
        raise UserError(
            f"{path}: written by an earlier version, without {missing[0]!r}; remove it and train this run again "
            f"(in a study, repeat the command)"
        )
    return record


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, without its seal. Raises UserError if the content does not fit the seal."""
    try:
        check_seal(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise UserError(f"{path}: not JSON ({error}); remove it to have it made again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not an object of JSON; remove it to have it made again")
    content.pop(SEAL_KEY, None)
    return content


def _run_folders(runs: Path, table: pd.DataFrame) -> Iterator[tuple[Path, dict[str, Any]]]:
    # The table lists the runs. The disk may also hold runs of an earlier config.
    for model, regime, seed in zip(table["model"], table["regime"], table["seed"], strict=True):
        yield runs / model / regime / f"seed{seed}", {"model": model, "regime": regime, "seed": int(seed)}


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    table = _read_text(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(
            f"{path}: column {missing[0]!r} is missing, perhaps because an earlier version wrote this file; remove it "
            f"and make it again (in a study, repeat the command). Expected {','.join(columns)}"
        )
    for name in table.columns:
        # Only an empty text is missing: `NA` and `NaN` are names that people give.
        undefined = [""] if name in TEXT_COLUMNS else UNDEFINED
        values = table[name].mask(table[name].isin(undefined))
        try:
            table[name] = values if name in TEXT_COLUMNS else pd.to_numeric(values.astype(object))
        except (ValueError, TypeError):
            raise UserError(f"{path}: column {name!r} holds text; remove the file to have it made again") from None
    return table


def _read_text(path: Path) -> pd.DataFrame:
    """Read a table of this tool with all values as text."""
    if not path.exists():
        raise UserError(f"{path}: no such table; make it with scripts/tables.py")
    check_against_list(path)
    return read_result_table(path)
