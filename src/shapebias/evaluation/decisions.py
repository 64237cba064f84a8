"""Read and write decisions: predictions of networks (parquet) and the CSV of the model-vs-human toolbox."""

import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, BenchmarkKind
from shapebias.evaluation.dialects import CSV_COLUMNS, NO_ANSWER_TEXTS, REQUIRED_COLUMNS, read_recorded_trials
from shapebias.evaluation.stimulus_names import (
    CUE_CONFLICT_NAME,
    ToolboxName,
    stem,
    stimulus_name,
    toolbox_name,
    trial_name,
)
from shapebias.files import atomic_write
from shapebias.seals import SEAL_KEY, UNSEALED, check_seal, seal

log = logging.getLogger(__name__)

PROBABILITIES = [f"p_{category}" for category in CATEGORIES]
CLASS_COLUMNS = ["shape_class", "texture_class", "predicted_class", *PROBABILITIES]
TRIALS = ["observer", "image", "shape", "texture", "decision", "answerable", "condition", "session"]
PREDICTIONS_KEY = b"shapebias"
SCORE = "s_"  # begins the column of a label's score, on benchmarks with labels of their own
PROTOCOLS_SUFFIX = ".protocols.parquet"  # files of decisions under all protocols, see `evaluation.protocols`
READ_OUT_KEY = "read_out_sha256"  # metadata: the checksum of the table of read-outs from the same measurement


def write_predictions(target: Path, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Write one observer's predictions on one benchmark as parquet, with metadata on how they were made."""
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    text = json.dumps(metadata | {SEAL_KEY: UNSEALED}, sort_keys=True)
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({PREDICTIONS_KEY: text.encode()}), buffer)
    with atomic_write(target) as draft:
        draft.write_bytes(seal(buffer.getvalue().to_pybytes()))


def read_predictions(
    path: Path, required_keys: Sequence[str] = (), required_columns: Sequence[str] = ()
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions and their metadata, and add the column `answerable`.

    `answerable` says whether the observer knows the category of the shape and, if the image has one, of the texture.
    Older predictions have no conditions; they get the columns `condition` ("") and `session` (1).
    required_keys: keys that the metadata must have, in addition to `answers`. required_columns: columns that the table
    must have, in addition to the observer, the image, its cues and the decision. Raises UserError if one is missing.
    """
    frame, metadata = read_raw_predictions(path, ["answers", *required_keys])
    needed = ("observer", "image", "shape", "texture", "decision", *required_columns)
    missing = [name for name in needed if name not in frame]
    if missing:
        raise UserError(
            f"{path}: predictions of {metadata.get('benchmark')} without the column {missing[0]!r}: the benchmark is "
            f"of another kind, or an earlier version wrote the file; remove the file and evaluate the network again "
            f"(in a study, repeat the command)"
        )
    answers = set(metadata["answers"])
    cues = frame[["shape", "texture"]]
    frame["answerable"] = (cues.isin(answers) | cues.isna()).all(axis=1)
    for column, value in (("condition", ""), ("session", 1)):
        if column not in frame:
            frame[column] = value
    return frame, metadata


def read_label_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions of a benchmark with labels of its own, and their metadata.

    Raises UserError if the file is not such a file, and for an image that is answered twice.
    """
    frame, metadata = read_raw_predictions(path, ["label_classes", "class_names"])
    needed = ["observer", "image", "label", "decision", *(f"{SCORE}{name}" for name in metadata["label_classes"])]
    missing = [name for name in needed if name not in frame]
    if missing:
        raise UserError(
            f"{path}: predictions of {metadata.get('benchmark')} without the column {missing[0]!r}; remove the file to "
            f"have it made again"
        )
    refuse_doubled(frame.assign(condition=""), [path] * len(frame))
    return frame, metadata


def read_raw_predictions(path: Path, required_keys: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read predictions of any benchmark and their metadata, without adding columns.

    required_keys: keys that the metadata must have.
    Raises UserError if the file holds no predictions or is not a predictions file.
    """
    try:
        check_seal(path)
        table = pq.read_table(path)
        metadata = json.loads((table.schema.metadata or {})[PREDICTIONS_KEY])
        metadata.pop(SEAL_KEY, None)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: not a predictions file of scripts/evaluate.py ({error}); remove it to have it made again"
        ) from None
    missing = [key for key in required_keys if key not in metadata]
    if missing:
        raise UserError(f"{path}: its metadata lack {', '.join(missing)}; remove it to have it made again")
    if not table.num_rows:
        raise UserError(f"{path}: no predictions in this file; remove it to have it made again")
    return table.to_pandas(), metadata


def write_decisions(target: Path, predictions: pd.DataFrame, observer: str) -> None:
    """Write predictions as the toolbox's CSV, with the condition, session and image name of each stimulus.

    An image without a stimulus name gets a new one. The new name holds both cues if the image has both.
    Images whose class has no category are left out, because the toolbox knows categories only. On a benchmark with
    labels of its own, these stand in place of the categories.
    """
    if "label" in predictions:
        predictions = predictions.assign(shape=predictions["label"], texture=None)
    rows, used_names = [], set()
    for trial, row in enumerate(predictions.to_dict("records"), start=1):
        if pd.isna(row["shape"]):
            continue
        condition = row.get("condition") or 0
        name = row.get("imagename")
        if pd.isna(name):
            name = make_image_name(row, trial, condition, used_names)
        session = row.get("session", 1)
        rows.append((observer, session, trial, np.nan, row["decision"], row["shape"], condition, name))
    with atomic_write(target) as draft:
        pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")


def make_image_name(row: dict[str, Any], trial: int, condition: str | int, used_names: set[str]) -> str:
    """Return a new name in the toolbox's style for an image that has none, and add it to `used_names`.

    The toolbox identifies an image by the text after the last underscore, so that text holds no underscore.
    """
    shape, texture = row["shape"], row["texture"]
    image = Path(str(row["content"])).stem
    cue_match = CUE_CONFLICT_NAME.match(image)
    if pd.notna(texture) and (not cue_match or cue_match.groups() != (shape, texture)):
        image = f"{shape}{trial}-{texture}{trial}"
    image = image.rpartition("_")[2]
    if f"{condition}/{image}" in used_names:
        image = f"{image}-{trial}"
    used_names.add(f"{condition}/{image}")
    return f"{trial:04d}_sb_dnn_{condition}_{shape}_00_{image}.png"


def read_decisions(path: Path, kind: str = "cue_conflict") -> pd.DataFrame:
    """Read recorded decisions in a known layout: observer, image, shape, texture, decision, condition, session.

    `dialects` lists the layouts.

    kind: the kind of benchmark, a name of benchmarks.KINDS. Columns may come in any order. The shape is the column
    `category`. On cue conflicts the texture comes from the name of the image (cat1-bird1.png is a cat with a bird's
    texture); other kinds have no texture. Image names follow `stimulus_names.trial_name`, and condition names follow
    the kind. A trial without a response keeps its row, with a missing decision.
    Raises UserError for missing columns, for unknown categories and conditions, for trials without an observer, for
    names that contradict their row, and on cue conflicts for names without a texture.
    """
    required = REQUIRED_COLUMNS + (["condition"] if KINDS[kind].conditions else [])
    table = read_recorded_trials(path, kind, required)
    if table.empty:
        raise UserError(f"{path}: no trials; expected a row for each image")
    unnamed = table["subj"] == ""
    if unnamed.any():
        raise UserError(f"{path}: no subj in the row of {table['imagename'][unnamed].iloc[0]}; name the observer")
    decision = table["object_response"]
    decision = decision.mask(decision.str.lower().isin(NO_ANSWER_TEXTS))
    cues = cues_from_names(path, table["imagename"] if kind == "cue_conflict" else table["imagename"][:0])
    texture = cues[1].reindex(table.index)
    for column, values in (("object_response", decision), ("category", table["category"]), ("imagename", texture)):
        unknown = sorted(set(values.dropna()) - set(CATEGORIES))
        if unknown:
            raise UserError(f"{path}: {column} {unknown[0]!r} is not one of the 16 categories: {', '.join(CATEGORIES)}")
    files = table["imagename"].to_numpy(dtype=object)
    parts = [toolbox_name(file) for file in files]
    condition = read_conditions(path, table, parts, KINDS[kind])
    contradictions = cues[cues[0] != table["category"].reindex(cues.index)]
    if len(contradictions):
        row = table.loc[contradictions.index[0]]
        raise UserError(
            f"{path}: {row['imagename']} has the shape {contradictions[0].iloc[0]}, but its row says category "
            f"{row['category']}; one of them is wrong"
        )
    images = [trial_name(*row) for row in zip(files, parts, *as_objects(table["category"], condition), strict=True)]
    return pd.DataFrame(
        {
            "observer": table["subj"],
            "image": images,
            "shape": table["category"],
            "texture": texture,
            "decision": decision,
            "condition": condition,
            "session": read_sessions(path, table),
        }
    )


def cues_from_names(path: Path, names: pd.Series) -> pd.DataFrame:
    """Return the shape (0) and the texture (1) of each image name. Raises UserError for a name without them."""
    cues = names.map(stem).str.extract(CUE_CONFLICT_NAME)
    if cues.isna().any(axis=None):
        example = names[cues.isna().any(axis=1)].iloc[0]
        raise UserError(f"{path}: image name {example!r} has no texture; expected …_<shape><i>-<texture><j>.png")
    return cues


def read_conditions(
    path: Path, table: pd.DataFrame, parts: Sequence[ToolboxName | None], kind: BenchmarkKind
) -> pd.Series:
    """Return the condition of each trial, by its name in the kind. Raises UserError for an unknown condition.

    parts: of each image name, if it is in the toolbox's pattern. Such a name also holds a condition and a category.
    Raises UserError if they contradict the row.
    """
    find_condition = functools.cache(kind.find_condition)  # a file has few conditions and many trials
    conditions = table.get("condition", pd.Series("", table.index)).map(find_condition)
    if conditions.isna().any():
        row = table[conditions.isna()].iloc[0]
        raise UserError(
            f"{path}: condition {row['condition']!r} of {row['imagename']} is not a condition of {kind.name}; "
            f"allowed: {kind.allowed_conditions}"
        )
    columns = as_objects(table["imagename"], table["category"], conditions)
    for parsed, name, category, condition in zip(parts, *columns, strict=True):
        if parsed and (parsed.category, find_condition(parsed.condition)) != (category, condition):
            raise UserError(
                f"{path}: {name} says category {parsed.category}, condition {parsed.condition}, but its row says "
                f"{category}, {condition or 'none'}; one of them is wrong"
            )
    return conditions


def as_objects(*columns: pd.Series) -> list[np.ndarray]:
    """Return columns as arrays of objects. Iterating over pandas strings directly would take ten times as long."""
    return [column.to_numpy(dtype=object) for column in columns]


def read_sessions(path: Path, table: pd.DataFrame) -> pd.Series:
    """Return the session of each trial, 1 if none is given. Raises UserError if it is not a whole number."""
    texts = table.get("session", pd.Series("1", table.index)).replace("", "1")
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise UserError(f"{path}: session {texts[numbers.isna() | (numbers % 1 != 0)].iloc[0]!r} is not a whole number")
    return numbers.astype(int)


def read_observers(paths: list[Path], kind: str = "cue_conflict") -> pd.DataFrame:
    """Read any mixture of predictions (.parquet) and decisions (.csv) on one benchmark, one row per trial.

    Columns: observer, image, shape, texture (missing if the image has none), decision (missing without an answer),
    answerable (see `read_predictions`; people know all categories), condition, session.
    kind: the kind of benchmark, see `read_decisions`. Textures are kept on cue conflicts only, because recorded
    decisions on other kinds have none.
    Raises UserError, with the files, if an observer answers an image twice. On cue conflicts, a warning names observers
    that lack images which others answer.
    """
    frames = []
    for path in paths:
        if path.suffix.lower() == ".parquet":
            frame = read_predictions(path)[0]
            frames.append(frame if KINDS[kind].measures == "bias" else frame.assign(texture=None))
        elif path.suffix.lower() == ".csv":
            frames.append(read_decisions(path, kind).assign(answerable=True))
        else:
            noun = "a folder; give its files, " if path.is_dir() else ""
            raise UserError(f"{path}: {noun}expected predictions (.parquet) or decisions (.csv)")
    known_name = functools.cache(stimulus_name)  # all observers saw the same images
    frames = [frame.assign(image=frame["image"].map(known_name))[TRIALS] for frame in frames]
    trials = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=TRIALS)
    if trials.empty:
        raise UserError(f"no decisions in {', '.join(map(str, paths))}")
    files = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    refuse_doubled(trials, [paths[position] for position in files])
    if kind == "cue_conflict":
        report_missing(trials)
    return trials


def refuse_doubled(trials: pd.DataFrame, files: Sequence[Path]) -> None:
    """Raise UserError if an observer answers an image twice in one condition; files: the file of each trial."""
    keys = trials[["observer", "image"]].assign(condition=trials["condition"].fillna(""))
    repeated = np.flatnonzero(keys.duplicated())
    if len(repeated):
        second = repeated[0]
        first = int(np.flatnonzero((keys == keys.iloc[second]).all(axis=1))[0])
        is_one_file = files[first] == files[second]
        place = f"in {files[first]}" if is_one_file else f"in {files[first]} and in {files[second]}"
        remedy = "give each trial once" if is_one_file else "give one file of each observer, or other names"
        raise UserError(
            f"observer {keys['observer'].iloc[second]!r} answers image {keys['image'].iloc[second]!r} twice, {place}; "
            f"{remedy}"
        )


def report_missing(trials: pd.DataFrame) -> None:
    """Log a warning that names an observer without answers to images that others answer."""
    count = trials["image"].nunique()
    answered = trials.groupby("observer")["image"].nunique()
    lacking = answered[answered < count]
    if len(lacking):
        seen = set(trials.loc[trials["observer"] == lacking.index[0], "image"])
        example = next(image for image in trials["image"] if image not in seen)
        log.warning(
            "observers that lack images which others answer: %d of %d; %r lacks %d of %d images, for example %r",
            *(len(lacking), len(answered), lacking.index[0], count - lacking.iloc[0], count, example),
        )
