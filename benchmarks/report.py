#!/usr/bin/env python3
"""Cost of a report from decisions: 52 networks and people on the 17 sets of model-vs-human, in processor time.

The answers are drawn: an observer is right with a probability that falls with the difficulty of the image and of its
condition, and otherwise names any category. The sets have the names, conditions and numbers of images and people of the
toolbox. Each script runs as a user runs it. The plain loop computes the intervals of κ pair by pair, and must give the
same numbers.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import job_cost, median, ratio, table

from shapebias.categories import CATEGORIES
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import CSV_COLUMNS, read_observers
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, published_conflicts
from shapebias.metrics.accuracy_by_condition import prior_images, resampled_image_weights
from shapebias.metrics.error_consistency import ConditionAnswers, count_pairs, resample_kappas, split_by_condition
from shapebias.metrics.kappa_statistics import kappa
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.shape_bias import TAILS
from shapebias.seeding import generator

ROUNDS = 3


@dataclass(frozen=True)
class StimulusSet:
    """A set of the toolbox. name: of its folder. kind: of benchmark. images: of each condition. people: observers."""

    name: str
    kind: str
    images: int
    people: int = 4


SETS = [
    StimulusSet("cue-conflict", "cue_conflict", 1280, 10),
    StimulusSet("edge", "edges", 160, 10),
    StimulusSet("silhouette", "silhouettes", 160, 10),
    StimulusSet("sketch", "sketch", 800, 7),
    StimulusSet("stylized", "stylized", 800, 5),
    StimulusSet("colour", "colour", 640),
    *(StimulusSet(name, name, 560) for name in ("false-colour", "power-equalisation")),
    StimulusSet("rotation", "rotation", 320),
    *(StimulusSet(name, name, 160) for name in ("contrast", "high-pass", "low-pass", "phase-scrambling")),
    *(StimulusSet(name, name, 160) for name in ("uniform-noise", "eidolonI", "eidolonII", "eidolonIII")),
]


def draw_stimuli(stimulus_set: StimulusSet) -> pd.DataFrame:
    """Return one row per image: category, texture (None without one), condition, name, and difficulty in logits."""
    conditions = KINDS[stimulus_set.kind].conditions or ("0",)
    rows = []
    for step, condition in enumerate(conditions):
        level = step / max(len(conditions) - 1, 1)
        for i in range(stimulus_set.images):
            category = CATEGORIES[i % len(CATEGORIES)]
            difficulty = generator(0, "difficulty", stimulus_set.name, i).normal() + 4 * level
            rows.append((category, None, condition, f"{category}-{i:04d}", difficulty))
    if stimulus_set.kind == "cue_conflict":
        names = sorted(published_conflicts())
        cues = [CUE_CONFLICT_NAME.findall(name)[0] for name in names]
        rows = [(*cues[i], condition, names[i], hard) for i, (_, _, condition, _, hard) in enumerate(rows)]
    return pd.DataFrame(rows, columns=["category", "texture", "condition", "name", "difficulty"])


def draw_decisions(stimuli: pd.DataFrame, observer: str, stimulus_set: StimulusSet, *, person: bool) -> pd.DataFrame:
    """Return an observer's decisions on a set in the columns of the toolbox."""
    traits = generator(0, "observer", observer)
    skill, shape_weight = traits.normal(3.0 if person else 2.0, 0.5), 0.95 if person else traits.uniform(0.1, 0.5)
    rng = generator(0, "decisions", stimulus_set.name, observer)
    chance = 1 / (1 + np.exp(stimuli["difficulty"] - skill))
    answers = rng.choice(CATEGORIES, len(stimuli))
    cue = stimuli["category"]
    if stimuli["texture"].notna().all():
        cue = cue.where(rng.random(len(stimuli)) < shape_weight, stimuli["texture"])
    answers = np.where(rng.random(len(stimuli)) < chance, cue, answers)
    trials = np.arange(1, len(stimuli) + 1)
    files = [
        f"{trial:04d}_bench_x_{condition}_{category}_00_{name}.png"
        for trial, condition, category, name in zip(
            trials, stimuli["condition"], stimuli["category"], stimuli["name"], strict=True
        )
    ]
    columns = (observer, 1, trials, np.nan, answers, stimuli["category"], stimuli["condition"], files)
    return pd.DataFrame(dict(zip(CSV_COLUMNS, columns, strict=True)))


def draw_study(folder: Path, networks: int) -> int:
    """Write the decisions of networks and people on all sets, one file per observer and set; return their number."""
    count = 0
    for stimulus_set in SETS:
        stimuli = draw_stimuli(stimulus_set)
        (folder / stimulus_set.name).mkdir(parents=True)
        people = [f"subject-{k + 1:02d}" for k in range(stimulus_set.people)]
        for observer in [*people, *(f"net{k + 1:02d}" for k in range(networks))]:
            decisions = draw_decisions(stimuli, observer, stimulus_set, person=observer in people)
            decisions.to_csv(folder / stimulus_set.name / f"{observer}.csv", index=False, na_rep="NaN")
            count += len(decisions)
    return count


def plain_bounds(
    answers: list[ConditionAnswers], first: np.ndarray, second: np.ndarray, kappas: np.ndarray
) -> np.ndarray:
    """Return the distances of the bounds of each κ, [2, conditions, pairs], computed pair by pair."""
    distances = np.full((2, *kappas.shape), np.nan)
    for m, answer in enumerate(answers):
        weights, unit = resampled_image_weights(answer.shape, answer.condition)
        prior = prior_images(4, answer.condition) * unit
        for k in np.flatnonzero(np.isfinite(kappas[m])):
            seen = answer.seen[:, first[k]] & answer.seen[:, second[k]]
            right_1, right_2 = answer.right[:, first[k]], answer.right[:, second[k]]
            cells = seen & [right_1 & right_2, right_1 & ~right_2, ~right_1 & right_2, ~right_1 & ~right_2]
            low, high = np.quantile(kappa(*(weights @ cells.T.astype(np.float32)).T.astype(float) + prior), TAILS)
            distances[:, m, k] = max(kappas[m, k] - low, 0), max(high - kappas[m, k], 0)
    return distances


def time_intervals(files: list[Path], kind: str) -> None:
    """Measure the intervals of κ of all pairs of observers on one set, in processor time."""
    _, _, answers = split_by_condition(pair_trials(read_observers(files, kind)))
    first, second = np.triu_indices(len(files), 1)
    kappas = count_pairs(answers, first, second).measures()["kappa"]
    works = {
        "pair by pair": lambda: plain_bounds(answers, first, second, kappas),
        "ours": lambda: resample_kappas(answers, (first, second), kappas, [])[0],
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        bounds = []
        for name, work in works.items():
            start = time.process_time()
            bounds.append(work())
            times[name].append(time.process_time() - start)
        assert np.allclose(*bounds, equal_nan=True), "the two sides give different intervals"
    rows = [(name, f"{median(seconds):.2f} s") for name, seconds in times.items()]
    rows.append(("ratio", f"{ratio(times['pair by pair'], times['ours']):.1f}"))
    table(f"intervals of κ, {len(first):,} pairs on {kind}, processor time", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=Path, metavar="FOLDER", help="recorded decisions (default: drawn ones)")
    parser.add_argument("--networks", type=int, default=52, help="networks to draw (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep decisions, tables, figures and report here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or Path(scratch)
        decisions = args.decisions or out / "decisions"
        if not args.decisions:
            print(f"{draw_study(decisions, args.networks):,} decisions")
            time_intervals(sorted((decisions / "contrast").glob("*.csv")), "contrast")
        costs = {
            "tables": job_cost("tables", "--predictions", decisions, "--out", out / "tables"),
            "tables, figures and page": job_cost("report", "--predictions", decisions, "--out", out / "report.html"),
        }
        rows = [(name, f"{cost.seconds:6.1f} s, {cost.memory:4.0f} MiB") for name, cost in costs.items()]
        table(f"scripts/tables.py and scripts/report.py on {decisions.name}, processor time and peak memory", rows)


if __name__ == "__main__":
    main()
