"""Read the answers of published observers to the cue conflicts."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.decisions import read_decisions, refuse_doubled
from shapebias.evaluation.published import SOURCES, find_group, readable_name

log = logging.getLogger(__name__)

OBSERVER_FACTS = ["observer", "name", "group", "kind", "source", "licence"]


def read_published(folders: Mapping[str, Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the decisions of published observers on the cue conflicts.

    folders: source → folder of its files, at any depth. Names of SOURCES, or any other name for own data.
    Returns the trials, as `read_decisions`, and one row per observer with the columns OBSERVER_FACTS. An observer is
    called `<source>/<folder>/<name>`, since several sources have a subject-01 or a resnet50.

    An observer with the same answers as one of an earlier source is left out, with a warning: the ten people of
    geirhos2019 are those of geirhos2021.
    Raises UserError for a source without files, for files that are no decisions on cue conflicts, and for an image that
    is answered twice.
    """
    trials, facts = [], []
    observer_of: dict[str, str] = {}  # fingerprint of the answers → the first observer that gave them
    for source, folder in folders.items():
        for path in list_decision_files(source, folder):
            place = path.parent.relative_to(folder).as_posix()
            decisions = read_decisions(path)
            refuse_doubled(decisions, [path] * len(decisions))
            for name, answers in decisions.groupby("observer", sort=False):
                name = readable_name(str(name))
                observer = "/".join(part for part in (source, "" if place == "." else place, name) if part)
                fingerprint = fingerprint_answers(answers)
                if observer_of.setdefault(fingerprint, observer) != observer:
                    log.warning("%s: the same answers as %s; counted once", observer, observer_of[fingerprint])
                    continue
                if any(row["observer"] == observer for row in facts):
                    raise UserError(f"{path}: a second file of the observer {name!r} in {path.parent}; leave one out")
                kind, group = find_group(source, f"{folder.name if place == '.' else place}/{name}")
                licence = SOURCES[source].licence if source in SOURCES else "yours"
                facts.append(dict(zip(OBSERVER_FACTS, (observer, name, group, kind, source, licence), strict=True)))
                trials.append(answers.assign(observer=observer))
    return pd.concat(trials, ignore_index=True), pd.DataFrame(facts, columns=OBSERVER_FACTS)


def list_decision_files(source: str, folder: Path) -> list[Path]:
    """Return the CSV files of a source. Raises UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"{source}: {folder} is no folder; give the folder with the decisions of this source")
    files = sorted(path for path in folder.rglob("*.csv") if not path.name.startswith("."))
    if not files:
        raise UserError(
            f"{source}: no CSV file in {folder} or below; give the folder with the decisions of this source"
        )
    return files


def fingerprint_answers(answers: pd.DataFrame) -> str:
    """Return a digest of one observer's images and decisions, in any order."""
    pairs: Iterable[tuple[str, str]] = zip(answers["image"], answers["decision"].fillna(""), strict=True)
    return hashlib.sha256("\n".join(sorted("\t".join(pair) for pair in pairs)).encode()).hexdigest()
