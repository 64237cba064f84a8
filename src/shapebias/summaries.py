"""Result tables made ready to show: who answered, and several seeds of a run as one row.

The tables have one row an observer. An observer is a run (it has a regime and a seed), a pretrained network
(a model, no regime), one person, or all people together.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from shapebias.melanoma import COMPARED, COUNTS, MEASURES

PEOPLE = "people"
REGIMES = ("in", "sin", "combined", "frozen")  # the order in which regimes are shown; others follow


def kind_of(table: pd.DataFrame) -> pd.Series:
    """`run`, `pretrained`, `person` or `people` for each row."""
    kind = pd.Series("run", index=table.index)
    kind[table["regime"].isna() | (table["regime"] == "")] = "pretrained"
    kind[table["model"] == PEOPLE] = "person"
    kind[(table["model"] == PEOPLE) & (table["observer"] == PEOPLE)] = PEOPLE
    return kind


def regime_order(regimes: Iterable[str]) -> list[str]:
    """The regimes once each: those of the study in its order, then others as they come."""
    found = list(dict.fromkeys(regimes))
    return [regime for regime in REGIMES if regime in found] + [regime for regime in found if regime not in REGIMES]


def in_order(table: pd.DataFrame, first: Sequence[str] = ()) -> pd.DataFrame:
    """The rows by `first`, model, regime and seed: names in the order in which they appear, regimes as in the study."""
    ranks = {name: list(dict.fromkeys(table[name])) for name in [*first, "model"]}
    ranks["regime"] = regime_order(table["regime"].dropna())
    keys = pd.DataFrame({name: table[name].map({v: i for i, v in enumerate(r)}) for name, r in ranks.items()})
    keys["seed"] = table["seed"]
    return table.loc[keys.sort_values(list(keys), kind="stable").index]


def pool_bias(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each model × regime (× `by`): hits summed over seeds, hence the bias of all decisions together.

    The interval spans those of the seeds, from the lowest bound to the highest: it is never narrower than one
    seed's. A single seed keeps its own. Persons become one row `people`, unless the table has that row already.
    `conflict_images` is the number of different images an observer saw.
    """
    groups = _groups(table, by)
    pooled = groups.agg(
        kind=("kind", "first"),
        seeds=("seed", "nunique"),
        conflict_images=("conflict_images", "max"),
        shape_hits=("shape_hits", "sum"),
        texture_hits=("texture_hits", "sum"),
        ci_low=("ci_low", "min"),
        ci_high=("ci_high", "max"),
    ).reset_index()
    pooled["shape_bias"] = pooled["shape_hits"] / (pooled["shape_hits"] + pooled["texture_hits"])  # 0/0 is NaN
    return _without_interval_of_persons(pooled)


def pool_accuracy(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each benchmark × unit × model × regime; images and correct answers summed over seeds."""
    groups = _groups(table, ["benchmark", "unit"])
    pooled = groups.agg(
        kind=("kind", "first"),
        seeds=("seed", "nunique"),
        images=("images", "sum"),
        correct=("correct", "sum"),
        ci_low=("ci_low", "min"),
        ci_high=("ci_high", "max"),
        chance=("chance", "first"),
    ).reset_index()
    pooled["accuracy"] = pooled["correct"] / pooled["images"]
    return _without_interval_of_persons(pooled)


def pool_coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of the share of conflict images answered with either cue, for each model × regime."""
    return _groups(table).agg(coverage=("coverage", "mean")).reset_index()


def pool_melanoma(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each benchmark × model × regime: measures are means over seeds, counts their sums.

    Intervals span those of the seeds, as in `pool_bias`.
    """
    whole = {name: (name, "sum") for name in COUNTS}
    means = {name: (name, "mean") for name in [*MEASURES, *(f"{name}_difference" for name in COMPARED)]}
    ends = [("_low", "min"), ("_high", "max")]
    bounds = {f"{name}{end}": (f"{name}{end}", how) for name in means for end, how in ends}
    groups = _groups(table, ["benchmark"])
    return groups.agg(kind=("kind", "first"), seeds=("seed", "nunique"), **whole, **means, **bounds).reset_index()


def _groups(table: pd.DataFrame, by: Sequence[str] = ()):
    table = table.assign(kind=kind_of(table), regime=table["regime"].fillna(""))
    if (table["kind"] == PEOPLE).any():
        table = table[table["kind"] != "person"]
    return table.groupby([*by, "model", "regime"], sort=False, dropna=False)


def _without_interval_of_persons(pooled: pd.DataFrame) -> pd.DataFrame:
    # One person's interval says nothing about all of them together.
    pooled.loc[pooled["kind"] == "person", ["ci_low", "ci_high"]] = float("nan")
    pooled.loc[pooled["kind"] == "person", "kind"] = PEOPLE
    return pooled
