"""Read the result files that figures and the report are made from, with errors that name the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from shapebias.errors import UserError
from shapebias.tables import columns

FILE_COLUMNS: dict[str, list[str]] = columns.TABLE_COLUMNS | {
    "runs": columns.RUN_COLUMNS,
    "rejected": columns.REJECTED_COLUMNS,
    "melanoma": columns.MELANOMA_TABLE_COLUMNS,
    "people": ["category", "conflict_images", "shape_hits", "texture_hits"],
}
_TEXT = [
    *[
        "benchmark",
        "observer",
        "model",
        "regime",
        "model_1",
        "regime_1",
        "model_2",
        "regime_2",
        "category",
        "unit",
        "timm",
        "init",
        "train_on",
        "trainable",
    ],
    *["set", "split", "file", "reason", "images_seen", "baseline", "kind", "interval", "observer_1", "observer_2"],
    *["cue", "of", "trials", "answer", "condition", "stage", "table", "what"],
]


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """One of the result tables, `<folder>/<name>.csv`."""
    return _read_csv(folder / f"{name}.csv", FILE_COLUMNS[name])


def read_tables(folder: Path, *, melanoma: bool) -> dict[str, pd.DataFrame]:
    """Every result table of a folder by its name.

    melanoma: whether it was measured. It is not what lies there that says so: a table of an earlier config may.
    """
    names = [*columns.TABLE_COLUMNS, "runs", "rejected", *(["melanoma"] if melanoma else [])]
    return {name: read_table(folder, name) for name in names}


def read_answers(folder: Path, benchmark: str) -> pd.DataFrame:
    """What every observer answered on a benchmark of cue conflict: image, shape, texture, then a column an observer.

    All text: a category, `none` of an observer that named none of them, "" where the image was not shown.
    """
    path = folder / f"answers.{benchmark}.csv"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; make it with scripts/tables.py") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as error:
        raise UserError(f"{path}: not a table ({error}); remove it to have it made again") from None
    missing = [name for name in ("image", "shape", "texture") if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; expected image,shape,texture and observers")
    return table


def read_people(path: Path) -> pd.DataFrame:
    """People's hits for each category on the published stimuli."""
    return _read_csv(path, FILE_COLUMNS["people"])


def read_histories(runs: Path, table: pd.DataFrame) -> pd.DataFrame:
    """`history.csv` of every run in the table `runs`, with its model, regime, seed and best_epoch."""
    columns = ["model", "regime", "seed", "epoch", "train_accuracy", "val_accuracy", "best_epoch"]
    histories = []
    for folder, run in _run_folders(runs, table):
        history = _read_csv(folder / "history.csv", ["epoch", "train_accuracy", "val_accuracy"])
        histories.append(history.assign(**run, best_epoch=read_json(folder / "run.json").get("best_epoch")))
    return pd.concat(histories, ignore_index=True) if histories else pd.DataFrame(columns=columns)


def read_records(runs: Path, table: pd.DataFrame) -> list[dict[str, Any]]:
    """`run.json` of every run in the table `runs`."""
    return [read_json(folder / "run.json") | who for folder, who in _run_folders(runs, table)]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error}); remove it to have it made again") from None


def _run_folders(runs: Path, table: pd.DataFrame) -> Iterator[tuple[Path, dict[str, Any]]]:
    # From the table, not from the disk, where runs of an earlier config may lie.
    for model, regime, seed in zip(table["model"], table["regime"], table["seed"], strict=True):
        yield runs / model / regime / f"seed{seed}", {"model": model, "regime": regime, "seed": int(seed)}


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, "str"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; make it with scripts/tables.py") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as error:
        raise UserError(f"{path}: not a table ({error}); remove it to have it made again") from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; expected {','.join(columns)}")
    return table
