"""Rank networks by their likeness to people, as the model-vs-human benchmark does.

Three measures compare a network with people: the squared difference of accuracies, observed consistency and error
consistency (kappa). Each is averaged over conditions, then over persons, then over benchmarks. A network's mean rank is
the mean of its ranks in the three measures, with the best network first. Tied networks share their average rank.
Source: Geirhos et al., NeurIPS 2021 (arXiv 2106.07411), and the toolbox bethgelab/model-vs-human.
"""

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from shapebias.metrics.error_consistency import ALL, PEOPLE

IDENTITY_COLUMNS = ["observer", "model", "regime", "seed"]
HUMAN_LIKE = ["accuracy_difference", "observed_consistency", "error_consistency"]
LIKENESS_MEASURES = ["accuracy", *HUMAN_LIKE]
LIKENESS_RANKS = [f"{name}_rank" for name in LIKENESS_MEASURES]
LIKENESS_COLUMNS = ["benchmark", *IDENTITY_COLUMNS, *LIKENESS_MEASURES, *LIKENESS_RANKS, "mean_rank", "reason"]
# Values that are equal to this many decimals are tied: sums in another order differ by 1e-16.
TIE_DECIMALS = 12
NO_PEOPLE = "no person answered"


def tabulate_human_likeness(
    by_condition: pd.DataFrame,
    consistency: pd.DataFrame,
    omitted: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return one row per benchmark and observer, one per benchmark for `people`, and the means over benchmarks (`all`).

    Single persons have no rows.
    by_condition: rows of `tabulate_conditions` with benchmark, model, regime and seed; a person's model is `people`.
    consistency: rows of `tabulate_consistency` with benchmark.
    omitted: benchmark → the conditions that are left out, as in the toolbox (`BenchmarkKind.omitted`).

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
    return table.astype(dict.fromkeys([*LIKENESS_MEASURES, *LIKENESS_RANKS, "mean_rank"], float))


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
