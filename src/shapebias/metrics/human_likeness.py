"""How human-like networks answer, in the ranks of the model-vs-human benchmark.

Three measures against people, each averaged over conditions, then over persons, then over benchmarks: the squared
difference of accuracies, observed consistency and error consistency (kappa). A network's mean rank is the mean of its
ranks in the three, best first; ranks of equals are averaged.
Source: Geirhos et al., NeurIPS 2021 (arXiv 2106.07411), and the toolbox bethgelab/model-vs-human.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from shapebias.metrics.error_consistency import ALL, PEOPLE

WHO = ["observer", "model", "regime", "seed"]
HUMAN_LIKE = ["accuracy_difference", "observed_consistency", "error_consistency"]
MEASURES = ["accuracy", *HUMAN_LIKE]
RANKS = [f"{name}_rank" for name in MEASURES]
COLUMNS = ["benchmark", *WHO, *MEASURES, *RANKS, "mean_rank", "reason"]
# Where people hardly know what they see, agreement with them says little: the toolbox leaves such conditions out.
LOWEST_ACCURACY = 0.2
NO_PEOPLE = "no person answered"


def human_likeness_table(
    by_condition: pd.DataFrame, consistency: pd.DataFrame, undistorted: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """One row a benchmark and observer that is no person, one for `people`; then the same over benchmarks (`all`).

    by_condition: rows of `condition_table` with benchmark, model, regime and seed, where model is `people` for persons;
    consistency: rows of `consistency_table` with benchmark. undistorted: benchmark → the condition that leaves
    photographs as they are. That is left out, and so are conditions in which people are right less often than
    LOWEST_ACCURACY: both as in the toolbox, which lists the latter.

    accuracy: of all images of the conditions that are left, as the toolbox's out-of-distribution accuracy.
    error_consistency: over conditions in which it is defined. The row of `people` says how persons differ from each
    other; it has no rank. `all` is over the benchmarks that persons answered. reason: why a measure is NaN.
    """
    rows = [
        row
        for benchmark in sorted(by_condition["benchmark"].unique())
        for row in of_benchmark(
            by_condition[by_condition["benchmark"] == benchmark],
            consistency[(consistency["benchmark"] == benchmark) & (consistency["observer_2"] == PEOPLE)],
            undistorted.get(benchmark),
        )
    ]
    rows += over_benchmarks(rows)
    table = pd.DataFrame(rows, columns=COLUMNS)
    for _, part in table.groupby("benchmark", sort=False):
        ranked = part[part["observer"] != PEOPLE]
        for name in MEASURES:
            lowest_is_best = name == "accuracy_difference"
            table.loc[ranked.index, f"{name}_rank"] = ranked[name].astype(float).rank(ascending=lowest_is_best)
    table["mean_rank"] = table[[f"{name}_rank" for name in HUMAN_LIKE]].astype(float).mean(axis=1, skipna=False)
    return table.astype(dict.fromkeys([*MEASURES, *RANKS, "mean_rank"], float))


def of_benchmark(rows: pd.DataFrame, consistency: pd.DataFrame, undistorted: str | None) -> list[dict[str, Any]]:
    """The rows of one benchmark, without ranks; consistency: its pairs with `people`."""
    rows = rows[rows["observer"] != PEOPLE]
    persons = rows[rows["model"] == PEOPLE]
    kept = rows["condition"] != undistorted
    if len(persons):
        theirs = persons.groupby("condition")["accuracy"].mean()
        kept &= rows["condition"].map(theirs) >= LOWEST_ACCURACY
    conditions = sorted(rows.loc[kept, "condition"].unique())
    # A single condition has no row of its own beside `all`.
    of_them = [ALL] if rows["condition"].nunique() == 1 and conditions else conditions
    agreeing = consistency[consistency["condition"].isin(of_them)].groupby("observer_1")[["observed", "kappa"]].mean()
    told = []
    groups = [*rows[rows["model"] != PEOPLE].groupby("observer")] + ([(PEOPLE, persons)] if len(persons) else [])
    for observer, own in groups:
        first = own.iloc[0]
        row = {"benchmark": first["benchmark"], "observer": observer}
        row |= {name: "" if observer == PEOPLE else first[name] for name in ("regime", "seed")}
        row |= {"model": first["model"]}
        own = own[own["condition"].isin(conditions)]
        images = own["images"].sum()
        row["accuracy"] = own["correct"].sum() / images if images else math.nan
        squared = own["squared_difference"].astype(float)
        row["accuracy_difference"] = squared.mean(skipna=observer == PEOPLE)
        both = agreeing.loc[observer] if observer in agreeing.index else {"observed": math.nan, "kappa": math.nan}
        row |= {"observed_consistency": both["observed"], "error_consistency": both["kappa"]}
        row["reason"] = reason(row, own, len(persons), conditions)
        told.append(row)
    return told


def reason(row: dict[str, Any], own: pd.DataFrame, persons: int, conditions: list[str]) -> str:
    """Why a measure of an observer on one benchmark is NaN; "" where none is."""
    if not any(math.isnan(row[name]) for name in MEASURES):
        return ""
    if not persons:
        return NO_PEOPLE
    if not conditions:
        return f"people are right in less than {LOWEST_ACCURACY:.0%} of the images of each distorted condition"
    if row["observer"] == PEOPLE and persons == 1:
        return "one person has no other to compare with"
    missing = own.loc[own["squared_difference"].isna(), "condition"]
    if len(missing) and row["observer"] != PEOPLE:
        return f"no image in common with people in condition {missing.iloc[0] or '(none)'}"
    return "error consistency is undefined in each condition"


def over_benchmarks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of each observer over the benchmarks that persons answered; NaN for one that lacks some of them."""
    answered = [row["benchmark"] for row in rows if row["observer"] == PEOPLE]
    told = []
    for observer in dict.fromkeys(row["observer"] for row in rows):
        own = {row["benchmark"]: row for row in rows if row["observer"] == observer}
        merged = {name: next(iter(own.values()))[name] for name in WHO} | {"benchmark": ALL}
        lacking = [benchmark for benchmark in answered if benchmark not in own]
        for name in MEASURES:
            values = [own[benchmark][name] for benchmark in answered if benchmark in own]
            merged[name] = math.nan if lacking or not values else sum(values) / len(values)
        undefined = [own[b] for b in answered if b in own and own[b]["reason"]]
        if not answered:
            merged["reason"] = NO_PEOPLE
        elif lacking:
            merged["reason"] = f"not shown: {', '.join(lacking)}"
        else:
            merged["reason"] = "; ".join(f"{row['benchmark']}: {row['reason']}" for row in undefined)
        told.append(merged)
    return sorted(told, key=lambda row: row["observer"] == PEOPLE)
