"""Rank networks by their likeness to people, as the model-vs-human benchmark does.

Three measures compare a network with people: the squared difference of accuracies, observed consistency and error
consistency (kappa). Each is averaged over conditions, then over persons, then over benchmarks. A network's mean rank is
the mean of its ranks in the three measures, with the best network first. Tied networks share their average rank.
Source: Geirhos et al., NeurIPS 2021 (arXiv 2106.07411), and the toolbox bethgelab/model-vs-human.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from shapebias.metrics.accuracy_by_condition import eligible_images, panel_conditions, resampled_image_weights
from shapebias.metrics.error_consistency import ALL, PEOPLE, kappa, mean_of_defined
from shapebias.metrics.panel import Panel
from shapebias.metrics.shape_bias import TAILS

IDENTITY_COLUMNS = ["observer", "model", "regime", "seed"]
HUMAN_LIKE = ["accuracy_difference", "observed_consistency", "error_consistency"]
LIKENESS_MEASURES = ["accuracy", *HUMAN_LIKE]
LIKENESS_RANKS = [f"{name}_rank" for name in LIKENESS_MEASURES]
LIKENESS_COLUMNS = ["benchmark", *IDENTITY_COLUMNS, *LIKENESS_MEASURES, *LIKENESS_RANKS, "mean_rank"]
LIKENESS_COLUMNS += ["mean_rank_low", "mean_rank_high", "reason"]
# Values that are equal to this many decimals are tied: sums in another order differ by 1e-16.
TIE_DECIMALS = 12
NO_PEOPLE = "no person answered"
RANK_RESAMPLES = 1_000


@dataclass(frozen=True)
class ResampledLikeness:
    """The measures HUMAN_LIKE of some observers over resampled images.

    observers: names [O], persons excluded. values: float32 [3, O, RANK_RESAMPLES], NaN where undefined.
    """

    observers: list[str]
    values: np.ndarray


def resample_likeness(
    panel: Panel, people: Collection[str], omitted: Collection[str], benchmark: str
) -> ResampledLikeness | None:
    """Compute the three measures of likeness over resampled images; None without persons or without others.

    people: names of persons. omitted: conditions that are left out. benchmark: its name, part of the seed: benchmarks
    have different images, so their resamples are independent. Images are resampled within conditions, stratified by
    shape. Conditions and persons are not resampled.
    """
    seen, right = eligible_images(panel), panel.correct & eligible_images(panel)
    is_person = np.isin(panel.observers, list(people))
    conditions = [name for name in panel_conditions(panel) if name not in omitted]
    if not is_person.any() or is_person.all() or not conditions:
        return None
    parts = []
    for condition in conditions:
        images = np.flatnonzero((panel.condition == condition) & seen.any(axis=1))
        key = f"rank/{benchmark}/{condition}"
        weights, _ = resampled_image_weights(panel.shape[images], key, RANK_RESAMPLES)
        saw, was_right = seen[images].astype(np.float32), right[images].astype(np.float32)
        others = saw[:, ~is_person], was_right[:, ~is_person]
        pairs = [
            compare_resampled(*others, saw[:, [person]], was_right[:, [person]], weights)
            for person in np.flatnonzero(is_person)
        ]
        parts.append(mean_of_defined(np.stack(pairs)))
    names = [name for name, person in zip(panel.observers, is_person, strict=True) if not person]
    return ResampledLikeness(names, mean_of_defined(np.stack(parts)).astype(np.float32))


def compare_resampled(
    seen: np.ndarray, right: np.ndarray, person_saw: np.ndarray, person_right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the three measures of observers with one person over resampled images, float [3, O, R].

    seen, right: 0 or 1 [images, O]; person_saw, person_right: [images, 1]; weights: [R, images].
    """

    def weigh(cells: np.ndarray) -> np.ndarray:
        return (weights @ cells).T.astype(float)

    shared, first, second, both = (
        weigh(cells) for cells in (seen * person_saw, right * person_saw, person_right * seen, right * person_right)
    )
    with np.errstate(invalid="ignore"):
        squared = ((first - second) / shared) ** 2
        observed = (shared - first - second + 2 * both) / shared
    return np.stack([squared, observed, kappa(both, first - both, second - both, shared - first - second + both)])


def rank_intervals(values: np.ndarray) -> np.ndarray:
    """Return the 95 % intervals of mean ranks, float [2, O]; values: of `ResampledLikeness`, [3, O, R].

    An observer with an undefined measure in a resample has no rank in it, and the others are ranked without it.
    """
    from scipy.stats import rankdata  # takes half a second to import

    signs = np.array([1, -1, -1])[:, None, None]  # a low difference of accuracies is best, and high consistencies are
    ranks = rankdata(np.round(signs * values.astype(float), TIE_DECIMALS), axis=1, nan_policy="omit").mean(axis=0)
    bounds = np.full((2, values.shape[1]), np.nan)
    is_ranked = np.isfinite(ranks).any(axis=1)
    bounds[:, is_ranked] = np.nanquantile(ranks[is_ranked], TAILS, axis=1)
    return bounds


def tabulate_human_likeness(
    by_condition: pd.DataFrame,
    consistency: pd.DataFrame,
    omitted: Mapping[str, Collection[str]] = MappingProxyType({}),
    resampled: Mapping[str, ResampledLikeness] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return one row per benchmark and observer, one per benchmark for `people`, and the means over benchmarks (`all`).

    Single persons have no rows.
    by_condition: rows of `tabulate_conditions` with benchmark, model, regime and seed; a person's model is `people`.
    consistency: rows of `tabulate_consistency` with benchmark.
    omitted: benchmark → the conditions that are left out, as in the toolbox (`BenchmarkKind.omitted`).
    resampled: benchmark → the measures over resampled images, from which mean ranks get their intervals.

    accuracy: over all images of the remaining conditions, like the toolbox's out-of-distribution accuracy.
    error_consistency: over the conditions in which it is defined. The row of `people` compares persons with each other
    and has no rank. `all` is the mean over the benchmarks that persons answered. reason: why a measure is NaN.
    """
    rows = [
        row
        for benchmark in sorted(by_condition["benchmark"].unique())
        for row in benchmark_likeness(
            by_condition[by_condition["benchmark"] == benchmark],
            consistency[(consistency["benchmark"] == benchmark) & (consistency["observer_2"] == PEOPLE)],
            omitted.get(benchmark, ()),
        )
    ]
    rows += average_benchmarks(rows)
    table = pd.DataFrame(rows, columns=LIKENESS_COLUMNS)
    for _, part in table.groupby("benchmark", sort=False):
        ranked = part[part["observer"] != PEOPLE]
        for name in LIKENESS_MEASURES:
            lowest_is_best = name == "accuracy_difference"
            values = ranked[name].astype(float).round(TIE_DECIMALS)
            table.loc[ranked.index, f"{name}_rank"] = values.rank(ascending=lowest_is_best)
    table["mean_rank"] = table[[f"{name}_rank" for name in HUMAN_LIKE]].astype(float).mean(axis=1, skipna=False)
    add_rank_intervals(table, resampled)
    numbers = [*LIKENESS_MEASURES, *LIKENESS_RANKS, "mean_rank", "mean_rank_low", "mean_rank_high"]
    return table.astype(dict.fromkeys(numbers, float))


def add_rank_intervals(table: pd.DataFrame, resampled: Mapping[str, ResampledLikeness]) -> None:
    """Add the columns mean_rank_low and mean_rank_high; NaN where the mean rank is NaN."""
    table[["mean_rank_low", "mean_rank_high"]] = math.nan
    for benchmark, part in table[table["mean_rank"].notna()].groupby("benchmark", sort=False):
        observers = list(part["observer"])
        sources = [source for name, source in resampled.items() if benchmark in (ALL, name)]
        if not sources:
            continue
        values = [source.values[:, [source.observers.index(name) for name in observers]] for source in sources]
        low, high = rank_intervals(np.mean(values, axis=0))
        # Equal values in the data are rarely equal in a resample, so the mean rank itself may lie outside.
        table.loc[part.index, "mean_rank_low"] = np.fmin(low, part["mean_rank"])
        table.loc[part.index, "mean_rank_high"] = np.fmax(high, part["mean_rank"])


def benchmark_likeness(rows: pd.DataFrame, consistency: pd.DataFrame, omitted: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of one benchmark, without ranks; consistency: the benchmark's pairs with `people`."""
    rows = rows[rows["observer"] != PEOPLE]
    persons = rows[rows["model"] == PEOPLE]
    conditions = sorted({*rows["condition"]} - {*omitted})
    # A single condition has no row apart from `all`.
    consistency_conditions = [ALL] if rows["condition"].nunique() == 1 and conditions else conditions
    agreeing = (
        consistency[consistency["condition"].isin(consistency_conditions)]
        .groupby("observer_1")[["observed", "kappa"]]
        .mean()
    )
    likeness_rows = []
    groups = [*rows[rows["model"] != PEOPLE].groupby("observer")] + ([(PEOPLE, persons)] if len(persons) else [])
    for observer, observer_rows in groups:
        first = observer_rows.iloc[0]
        row = {"benchmark": first["benchmark"], "observer": observer}
        row |= {name: "" if observer == PEOPLE else first[name] for name in ("regime", "seed")}
        row |= {"model": first["model"]}
        observer_rows = observer_rows[observer_rows["condition"].isin(conditions)]
        images = observer_rows["images"].sum()
        row["accuracy"] = observer_rows["correct"].sum() / images if images else math.nan
        squared = observer_rows["squared_difference"].astype(float)
        row["accuracy_difference"] = squared.mean(skipna=observer == PEOPLE)
        consistencies = (
            agreeing.loc[observer] if observer in agreeing.index else {"observed": math.nan, "kappa": math.nan}
        )
        row |= {"observed_consistency": consistencies["observed"], "error_consistency": consistencies["kappa"]}
        row["reason"] = likeness_reason(row, observer_rows, len(persons), conditions)
        likeness_rows.append(row)
    return likeness_rows


def likeness_reason(row: dict[str, Any], observer_rows: pd.DataFrame, persons: int, conditions: list[str]) -> str:
    """Return why a measure of an observer on one benchmark is NaN; "" if no measure is NaN."""
    if not any(math.isnan(row[name]) for name in LIKENESS_MEASURES):
        return ""
    if not persons:
        return NO_PEOPLE
    if not conditions:
        return "only conditions that are left out were shown"
    if row["observer"] == PEOPLE and persons == 1:
        return "one person has no other to compare with"
    missing = observer_rows.loc[observer_rows["squared_difference"].isna(), "condition"]
    if len(missing) and row["observer"] != PEOPLE:
        return f"no image in common with people in condition {missing.iloc[0] or '(none)'}"
    return "error consistency is undefined in each condition"


def average_benchmarks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Average each observer over the benchmarks that persons answered; NaN if the observer lacks one of them."""
    with_people = [row["benchmark"] for row in rows if row["observer"] == PEOPLE]
    averages = []
    for observer in dict.fromkeys(row["observer"] for row in rows):
        rows_of_observer = {row["benchmark"]: row for row in rows if row["observer"] == observer}
        merged = {name: next(iter(rows_of_observer.values()))[name] for name in IDENTITY_COLUMNS} | {"benchmark": ALL}
        lacking = [benchmark for benchmark in with_people if benchmark not in rows_of_observer]
        for name in LIKENESS_MEASURES:
            values = [rows_of_observer[benchmark][name] for benchmark in with_people if benchmark in rows_of_observer]
            merged[name] = math.nan if lacking or not values else sum(values) / len(values)
        undefined = [
            rows_of_observer[b] for b in with_people if b in rows_of_observer and rows_of_observer[b]["reason"]
        ]
        if not with_people:
            merged["reason"] = NO_PEOPLE
        elif lacking:
            merged["reason"] = f"not shown: {', '.join(lacking)}"
        else:
            merged["reason"] = "; ".join(f"{row['benchmark']}: {row['reason']}" for row in undefined)
        averages.append(merged)
    return sorted(averages, key=lambda row: row["observer"] == PEOPLE)
