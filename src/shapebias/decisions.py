"""Decisions of observers in files: predictions of networks (parquet) and the CSV of the model-vs-human toolbox."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.pictures import CUE_CONFLICT_NAME

CSV_COLUMNS = ["subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename"]
PROBABILITIES = [f"p_{category}" for category in CATEGORIES]
METADATA_KEY = b"shapebias"
NO_ANSWER = {"na", "nan", "none", ""}  # how the toolbox writes a trial without a response


def write_predictions(target: Path, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Write one observer's predictions on one benchmark, with what made them, as parquet."""
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with replacing(target) as draft:
        pq.write_table(table, draft)


def read_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions and their metadata; adds `answerable`: whether the observer knows both cues' categories."""
    frame, metadata = read_answers(path)
    if "shape" not in frame:
        raise UserError(f"{path}: predictions of {metadata['benchmark']}, which know no shape and no texture")
    answers = set(metadata["answers"])
    cues = frame[["shape", "texture"]]
    frame["answerable"] = (cues.isin(answers) | cues.isna()).all(axis=1)
    return frame, metadata


def read_answers(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions of any benchmark, as they were written, and their metadata."""
    try:
        table = pq.read_table(path)
        metadata = json.loads((table.schema.metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"{path}: not a predictions file of scripts/evaluate.py ({error})") from None
    return table.to_pandas(), metadata


def write_decisions(target: Path, predictions: pd.DataFrame, observer: str) -> None:
    """Write predictions as the toolbox's CSV; an image without a stimulus name gets one that holds both cues."""
    rows = []
    columns = [predictions[name] for name in ("content", "shape", "texture", "decision")]
    for trial, (content, shape, texture, decision) in enumerate(zip(*columns, strict=True), start=1):
        stem = Path(str(content)).stem
        if pd.notna(texture) and not CUE_CONFLICT_NAME.match(stem):
            stem = f"{shape}{trial}-{texture}{trial}"
        name = f"{trial:04d}_sb_dnn_0_{shape}_00_{stem.rpartition('_')[2]}.png"
        rows.append((observer, 1, trial, np.nan, decision, shape, 0, name))
    with replacing(target) as draft:
        pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")


def read_decisions(path: Path) -> pd.DataFrame:
    """Read the toolbox's CSV: observer, image, shape, texture, decision; columns may come in any order.

    The shape is the column `category`; the texture comes from the name of the image (cat1-bird1.png is a cat
    with a bird's texture). A trial without a response keeps its row, with a missing decision.
    Raises UserError for missing columns, unknown categories and names without a texture.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable CSV: {error}") from None
    missing = {"subj", "object_response", "category", "imagename"} - set(table.columns)
    if missing:
        raise UserError(f"{path}: column {', '.join(sorted(missing))} missing; expected {','.join(CSV_COLUMNS)}")
    if table.empty:
        raise UserError(f"{path}: no trials; expected a row for each image")
    names = table["imagename"].str.replace(r"\.\w+$", "", regex=True)
    cues = names.str.extract(CUE_CONFLICT_NAME)
    if cues.isna().any(axis=None):
        example = table.loc[cues.isna().any(axis=1), "imagename"].iloc[0]
        raise UserError(f"{path}: image name {example!r} holds no texture; expected …_<shape><i>-<texture><j>.png")
    decision = table["object_response"].str.strip()
    decision = decision.mask(decision.str.lower().isin(NO_ANSWER))
    for column, values in (("object_response", decision), ("category", table["category"]), ("imagename", cues[1])):
        unknown = sorted(set(values.dropna()) - set(CATEGORIES))
        if unknown:
            raise UserError(f"{path}: {column} {unknown[0]!r} is none of the 16 categories: {', '.join(CATEGORIES)}")
    return pd.DataFrame(
        {
            "observer": table["subj"],
            "image": names.str.rpartition("_")[2],
            "shape": table["category"],
            "texture": cues[1],
            "decision": decision,
        }
    )


def stimulus_name(image: str) -> str:
    """A published stimulus is called alike everywhere, without its folder; other images keep their id."""
    name = image.rpartition("/")[2]
    return name if CUE_CONFLICT_NAME.match(name) else image


def read_observers(paths: list[Path]) -> pd.DataFrame:
    """Read any mixture of predictions (.parquet) and decisions (.csv); one row a trial.

    Raises UserError where one observer answers the same image twice.
    """
    frames = []
    for path in paths:
        if path.suffix.lower() == ".parquet":
            frames.append(read_predictions(path)[0])
        elif path.suffix.lower() == ".csv":
            frames.append(read_decisions(path).assign(answerable=True))
        else:
            raise UserError(f"{path}: expected predictions (.parquet) or decisions (.csv)")
    frames = [frame.assign(image=frame["image"].map(stimulus_name)) for frame in frames]
    trials = pd.concat([f[["observer", "image", "shape", "texture", "decision", "answerable"]] for f in frames])
    if trials.empty:
        raise UserError(f"no decisions in {', '.join(map(str, paths))}")
    twice = trials[trials.duplicated(["observer", "image"])]
    if len(twice):
        first = twice.iloc[0]
        raise UserError(
            f"observer {first['observer']!r} answers image {first['image']!r} twice; give each trial once, "
            f"one benchmark at a time"
        )
    return trials.reset_index(drop=True)
