"""Decisions of observers in files: predictions of networks (parquet) and the CSV of the model-vs-human toolbox."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, Kind
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stem, stimulus_name, toolbox_name, trial_name
from shapebias.files import atomic_write

CSV_COLUMNS = ["subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename"]
PROBABILITIES = [f"p_{category}" for category in CATEGORIES]
TRIALS = ["observer", "image", "shape", "texture", "decision", "answerable", "condition", "session"]
METADATA_KEY = b"shapebias"
NO_ANSWER = {"na", "nan", "none", ""}  # how the toolbox writes a trial without a response


def write_predictions(target: Path, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Write one observer's predictions on one benchmark, with what made them, as parquet."""
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
    with atomic_write(target) as draft:
        pq.write_table(table, draft)


def read_predictions(path: Path, needed: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions and their metadata; adds `answerable`: whether the observer knows the categories asked for.

    Those are the shape's and, where it has one, the texture's. Predictions of before there were conditions get the
    columns `condition` ("") and `session` (1). needed: keys that the metadata must have, beside `answers`.
    """
    frame, metadata = read_answers(path, ["answers", *needed])
    missing = [name for name in ("observer", "image", "shape", "texture", "decision") if name not in frame]
    if missing:
        raise UserError(
            f"{path}: predictions of {metadata.get('benchmark')} without a column {missing[0]!r}; those of a "
            f"benchmark of shape or texture have it"
        )
    answers = set(metadata["answers"])
    cues = frame[["shape", "texture"]]
    frame["answerable"] = (cues.isin(answers) | cues.isna()).all(axis=1)
    for column, value in (("condition", ""), ("session", 1)):
        if column not in frame:
            frame[column] = value
    return frame, metadata


def read_answers(path: Path, needed: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions of any benchmark, as they were written, and their metadata.

    needed: keys that the metadata must have. Raises UserError for other files and for one without predictions.
    """
    try:
        table = pq.read_table(path)
        metadata = json.loads((table.schema.metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a predictions file of scripts/evaluate.py ({error})") from None
    missing = [key for key in needed if key not in metadata]
    if missing:
        raise UserError(f"{path}: its metadata lack {', '.join(missing)}; make it again with scripts/evaluate.py")
    if not table.num_rows:
        raise UserError(f"{path}: no predictions in this file; make it again with scripts/evaluate.py")
    return table.to_pandas(), metadata


def write_decisions(target: Path, predictions: pd.DataFrame, observer: str) -> None:
    """Write predictions as the toolbox's CSV: condition, session and image name as the stimuli have them.

    An image without a stimulus name gets one, which holds both cues where it has both. Images whose class has no
    category are left out: the toolbox asks for categories.
    """
    rows, taken = [], set()
    for trial, row in enumerate(predictions.to_dict("records"), start=1):
        if pd.isna(row["shape"]):
            continue
        condition = row.get("condition") or 0
        name = row.get("imagename")
        if pd.isna(name):
            name = made_name(row, trial, condition, taken)
        session = row.get("session", 1)
        rows.append((observer, session, trial, np.nan, row["decision"], row["shape"], condition, name))
    with atomic_write(target) as draft:
        pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")


def made_name(row: dict[str, Any], trial: int, condition: str | int, taken: set[str]) -> str:
    """A name in the toolbox's manner for an image that has none, as no other image of `taken`, where it is added.

    The toolbox knows an image by what follows the last underscore, so that holds none.
    """
    shape, texture = row["shape"], row["texture"]
    image = Path(str(row["content"])).stem
    named = CUE_CONFLICT_NAME.match(image)
    if pd.notna(texture) and (not named or named.groups() != (shape, texture)):
        image = f"{shape}{trial}-{texture}{trial}"
    image = image.rpartition("_")[2]
    if f"{condition}/{image}" in taken:
        image = f"{image}-{trial}"
    taken.add(f"{condition}/{image}")
    return f"{trial:04d}_sb_dnn_{condition}_{shape}_00_{image}.png"


def read_decisions(path: Path, kind: str = "cue_conflict") -> pd.DataFrame:
    """Read the toolbox's CSV: observer, image, shape, texture, decision, condition, session.

    kind: what the decisions are on, a name of benchmark_kinds.KINDS. Columns may come in any order. The shape is the
    column `category`; on cue conflicts the texture comes from the name of the image (cat1-bird1.png is a cat with a
    bird's texture), elsewhere there is none. Images are called as `pictures.trial_name` says, conditions as the kind
    does. A trial without a response keeps its row, with a missing decision.
    Raises UserError for missing columns, unknown categories and conditions, trials without an observer, names that
    contradict their row, and on cue conflicts names without a texture.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable CSV: {error}") from None
    table.columns = table.columns.str.strip().str.lower()  # some of the toolbox's files say Session
    needed = {"subj", "object_response", "category", "imagename"} | ({"condition"} if KINDS[kind].conditions else set())
    missing = needed - set(table.columns)
    if missing:
        raise UserError(f"{path}: column {', '.join(sorted(missing))} missing; expected {','.join(CSV_COLUMNS)}")
    if table.empty:
        raise UserError(f"{path}: no trials; expected a row for each image")
    nobody = table["subj"].str.strip() == ""
    if nobody.any():
        raise UserError(f"{path}: no subj in the row of {table['imagename'][nobody].iloc[0]}; say who answered")
    decision = table["object_response"].str.strip()
    decision = decision.mask(decision.str.lower().isin(NO_ANSWER))
    cues = cues_of(path, table["imagename"] if kind == "cue_conflict" else table["imagename"][:0])
    texture = cues[1].reindex(table.index)
    for column, values in (("object_response", decision), ("category", table["category"]), ("imagename", texture)):
        unknown = sorted(set(values.dropna()) - set(CATEGORIES))
        if unknown:
            raise UserError(f"{path}: {column} {unknown[0]!r} is none of the 16 categories: {', '.join(CATEGORIES)}")
    condition = conditions(path, table, KINDS[kind])
    other = cues[cues[0] != table["category"].reindex(cues.index)]
    if len(other):
        row = table.loc[other.index[0]]
        raise UserError(
            f"{path}: {row['imagename']} says shape {other[0].iloc[0]}, but its row says category {row['category']}; "
            f"one of them is wrong"
        )
    images = [trial_name(*row) for row in values_of(table["imagename"], table["category"], condition)]
    return pd.DataFrame(
        {
            "observer": table["subj"],
            "image": images,
            "shape": table["category"],
            "texture": texture,
            "decision": decision,
            "condition": condition,
            "session": sessions(path, table),
        }
    )


def cues_of(path: Path, names: pd.Series) -> pd.DataFrame:
    """The shape (0) and the texture (1) in each image name; raises UserError for a name without them."""
    cues = names.map(stem).str.extract(CUE_CONFLICT_NAME)
    if cues.isna().any(axis=None):
        example = names[cues.isna().any(axis=1)].iloc[0]
        raise UserError(f"{path}: image name {example!r} holds no texture; expected …_<shape><i>-<texture><j>.png")
    return cues


def conditions(path: Path, table: pd.DataFrame, kind: Kind) -> pd.Series:
    """The condition of each trial, as the kind calls it; raises UserError for an unknown one.

    A name that follows the toolbox's pattern says condition and category too: one that says another is refused.
    """
    known = table.get("condition", pd.Series("", table.index)).map(kind.condition)
    if known.isna().any():
        row = table[known.isna()].iloc[0]
        raise UserError(
            f"{path}: condition {row['condition']!r} of {row['imagename']} is none of {kind.name}; "
            f"allowed: {', '.join(kind.conditions)}"
        )
    for name, category, condition in values_of(table["imagename"], table["category"], known):
        said = toolbox_name(name)
        if said and (said.category, kind.condition(said.condition)) != (category, condition):
            raise UserError(
                f"{path}: {name} says category {said.category}, condition {said.condition}, but its row says "
                f"{category}, {condition or 'none'}; one of them is wrong"
            )
    return known


def values_of(*columns: pd.Series) -> Iterator[tuple]:
    """The rows of some columns; iterating over pandas' own strings would take ten times as long."""
    return zip(*(column.to_numpy(dtype=object) for column in columns), strict=True)


def sessions(path: Path, table: pd.DataFrame) -> pd.Series:
    """The session of each trial, 1 where there is none; raises UserError for what is no number."""
    written = table.get("session", pd.Series("1", table.index)).replace("", "1")
    numbers = pd.to_numeric(written, errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise UserError(f"{path}: session {written[numbers.isna() | (numbers % 1 != 0)].iloc[0]!r} is no whole number")
    return numbers.astype(int)


def read_observers(paths: list[Path], kind: str = "cue_conflict") -> pd.DataFrame:
    """Read any mixture of predictions (.parquet) and decisions (.csv) on one benchmark; one row a trial.

    Columns: observer, image, shape, texture (missing where there is none), decision (missing without an answer),
    answerable (see read_predictions; people know all categories), condition, session.
    kind: the benchmark's, see read_decisions; but on cue conflicts, textures are left out, since decisions have none.
    Whether somebody answers one image twice is for `panel.panel_of` to say, which pairs the trials.
    """
    frames = []
    for path in paths:
        if path.suffix.lower() == ".parquet":
            frame = read_predictions(path)[0]
            frames.append(frame if KINDS[kind].measures == "bias" else frame.assign(texture=None))
        elif path.suffix.lower() == ".csv":
            frames.append(read_decisions(path, kind).assign(answerable=True))
        else:
            raise UserError(f"{path}: expected predictions (.parquet) or decisions (.csv)")
    frames = [frame.assign(image=frame["image"].map(stimulus_name))[TRIALS] for frame in frames]
    trials = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=TRIALS)
    if trials.empty:
        raise UserError(f"no decisions in {', '.join(map(str, paths))}")
    return trials
