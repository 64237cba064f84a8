"""The layouts of files with recorded decisions. Each is turned into the columns of the model-vs-human toolbox.

The columns tell the layout, never the name of the file:

- toolbox: subj, object_response, category, imagename and others (bethgelab/model-vs-human). Alvarez and Konkle (2024)
  add decision margins, which are ignored.
- children: the same with age and difficulty (Huber et al. 2023, wichmann-lab/robustness-development).
- labels: image, pred_label (Gavrikov et al. 2025, paulgavrikov/vlm_shapebias).
"""

import logging
from pathlib import Path

import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.csv_tables import CsvTable, read_csv_table
from shapebias.errors import UserError
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stem

log = logging.getLogger(__name__)

CSV_COLUMNS = ["subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename"]
REQUIRED_COLUMNS = ["subj", "object_response", "category", "imagename"]
LABEL_COLUMNS = ["image", "pred_label"]
NO_ANSWER_TEXTS = {"na", "nan", "none", ""}  # how files write a trial without a response


def read_recorded_trials(path: Path, kind: str, required: list[str]) -> pd.DataFrame:
    """Return a file of recorded decisions as text, with the columns of the toolbox that are known.

    kind: the kind of benchmark, a name of benchmarks.KINDS. required: columns of the toolbox that its files must have.
    Raises UserError for a layout that is not known, and for labels of a benchmark other than cue conflicts.
    """
    table = read_csv_table(path, order=CSV_COLUMNS)
    if {*LABEL_COLUMNS} <= {*table.columns}:
        if kind != "cue_conflict":
            raise UserError(
                f"{path}: {','.join(LABEL_COLUMNS)} says no category, and only the names of cue conflicts do; give the "
                f"columns {','.join(CSV_COLUMNS)}"
            )
        return trials_of_labels(table)
    table.require_columns(required, ",".join(CSV_COLUMNS) + f" (or {','.join(LABEL_COLUMNS)})")
    trials = table.frame()
    if {"age", "difficulty"} <= {*table.columns}:
        trials = trials_of_children(path, trials, kind)
    report_other_name(path, trials)
    return trials


def trials_of_labels(table: CsvTable) -> pd.DataFrame:
    """Return the trials of a file `image,pred_label`. Its name is the observer, and the images tell the category.

    A label that is none of the 16 categories is an answer that names no cue.
    """
    trials = table.frame()
    shape = trials["image"].map(stem).str.extract(CUE_CONFLICT_NAME)[0]
    is_other = ~trials["pred_label"].isin(CATEGORIES) & ~trials["pred_label"].str.lower().isin(NO_ANSWER_TEXTS)
    if is_other.any():
        first = trials["pred_label"][is_other].iloc[0]
        log.warning(
            "%s: labels that are none of the 16 categories: %d (the first: %r); they count as answers that name no cue",
            *(table.path, is_other.sum(), first),
        )
    return pd.DataFrame(
        {
            "subj": table.path.stem,
            "object_response": trials["pred_label"].mask(is_other, ""),
            "category": shape.fillna(""),
            "imagename": trials["image"],
        },
        index=trials.index,
    )


def trials_of_children(path: Path, trials: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the trials of Huber et al.'s files, in which persons have a number and an age.

    A person is called `subject-<number>-age<years>`, so that patterns can pool people by age. Between the conflicts,
    undistorted photographs were shown (difficulty 0); on cue conflicts they are left out.
    """
    ages = pd.to_numeric(trials["age"].replace("", "nan"), errors="coerce")
    names = "subject-" + trials["subj"] + "-age" + ages.map(lambda age: f"{age:g}")
    trials = trials.assign(subj=trials["subj"].where(ages.isna(), names))
    if kind != "cue_conflict":
        return trials
    is_photograph = ~trials["imagename"].map(stem).str.match(CUE_CONFLICT_NAME) & trials["difficulty"].eq("0")
    if is_photograph.any():
        log.info("%s: trials with undistorted photographs that are left out: %d", path, is_photograph.sum())
    return trials[~is_photograph]


def report_other_name(path: Path, trials: pd.DataFrame) -> None:
    """Log a warning if all rows name one observer whom the name of the file does not contain."""
    observers = trials["subj"].unique()
    if len(observers) == 1 and letters_and_digits(observers[0]) not in letters_and_digits(path.stem):
        log.warning("%s: its rows name the observer %r; the name of the file does not count", path, observers[0])


def letters_and_digits(name: str) -> str:
    """Return a name in lower case without other characters, since file names write vit-b-16 for vit_b_16."""
    return "".join(filter(str.isalnum, name.lower()))
