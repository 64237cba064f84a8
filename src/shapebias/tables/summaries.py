"""Prepare result tables for display: name the observers, and pool the seeds of a run into one row.

The tables have one row per observer. An observer is a run (with a regime and a seed), a pretrained network (with a
model but no regime), one person, or all people together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from shapebias.metrics.melanoma import COMPARED_MEASURES, MELANOMA_COUNTS, MELANOMA_MEASURES

T = TypeVar("T")
K = TypeVar("K")

PEOPLE = "people"
LONGEST_NAME = 26  # letters of an observer in a figure
REGIMES = ("in", "sin", "combined", "frozen")  # display order; other regimes follow


def observer_kinds(table: pd.DataFrame) -> pd.Series:
    """Return `run`, `pretrained`, `person` or `people` for each row."""
    kind = pd.Series("run", index=table.index)
    kind[table["regime"].isna() | (table["regime"] == "")] = "pretrained"
    kind[table["model"] == PEOPLE] = "person"
    kind[(table["model"] == PEOPLE) & (table["observer"] == PEOPLE)] = PEOPLE
    return kind


def describe_suppression(cue: str, strength: float) -> str:
    """Return what is done to photographs at a strength of a suppressed cue, as in `patches shuffled 8 × 8`."""
    descriptions = {
        "shape": f"patches shuffled {strength:g} × {strength:g}",
        "texture": f"smoothed, σ {strength:g} px",
        "colour": "grey" if strength == 1 else f"{100 * strength:.0f} % grey",
        "rotation": f"patches rotated {strength:g} × {strength:g}",
        "gaussian": f"blurred, σ {strength:g} px",
        "non_local_means": f"non-local means, h {strength:g}",
        "channels": "channels shuffled",
    }
    return descriptions.get(cue, f"{cue} {strength:g}")


def drop_repeated_features(read_out: pd.DataFrame) -> pd.DataFrame:
    """Drop the read-outs of runs whose features equal those of another run of their model.

    A run that trains the head alone keeps the features of the run that it starts from, so it measures nothing new.
    """
    keys = ["benchmark", "model", "seed"]
    ordered = read_out.sort_values(["cue", "depth"], kind="stable")
    accuracies = ordered.groupby([*keys, "observer"], sort=False, dropna=False)["accuracy"]
    digests = accuracies.agg(lambda column: tuple(column.fillna(-1))).reset_index()
    distinct = digests.drop_duplicates([*keys, "accuracy"])
    pairs = pd.MultiIndex.from_frame(distinct[["benchmark", "observer"]])
    return read_out[pd.MultiIndex.from_frame(read_out[["benchmark", "observer"]]).isin(pairs)]


def is_interpretable(pairs: pd.DataFrame) -> pd.Series:
    """Return for each row of the tables of error consistency whether its κ says something about likeness."""
    return pairs["caution"].isna() | (pairs["caution"] == "")


def order_regimes(regimes: Iterable[str]) -> list[str]:
    """Return the distinct regimes: first those in REGIMES, in that order, then the rest in order of appearance."""
    present = list(dict.fromkeys(regimes))
    return [regime for regime in REGIMES if regime in present] + [regime for regime in present if regime not in REGIMES]


def sort_observers(table: pd.DataFrame, leading_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Sort rows by `leading_columns`, model, regime and seed.

    Names are in order of appearance, and regimes are in the order of `order_regimes`.
    """
    ranks = {name: list(dict.fromkeys(table[name])) for name in [*leading_columns, "model"]}
    ranks["regime"] = order_regimes(table["regime"].dropna())
    keys = pd.DataFrame({name: table[name].map({v: i for i, v in enumerate(r)}) for name, r in ranks.items()})
    keys["seed"] = table["seed"]
    return table.loc[keys.sort_values(list(keys), kind="stable").index]


def observer_names(table: pd.DataFrame) -> dict[str, str]:
    """Return observer → its name in figures. A run has the name of its model and regime, and its seed if several exist.

    The order is that of figures: all people together, persons, networks not trained here, then runs by model and
    regime.
    """
    table = sort_observers(table.assign(regime=table["regime"].fillna(""))).drop_duplicates("observer")
    table = table.assign(kind=observer_kinds(table))
    runs = table[table["kind"] == "run"]
    several = bool((runs.groupby(["model", "regime"])["seed"].nunique() > 1).any())
    names = {}
    for kind in (PEOPLE, "person", "pretrained", "run"):
        for row in table[table["kind"] == kind].to_dict("records"):
            names[row["observer"]] = {
                PEOPLE: PEOPLE,
                "person": row["observer"],
                "pretrained": row["model"],
                "run": f"{row['model']} {row['regime']}",
            }[kind] + (f" {int(row['seed'])}" if kind == "run" and several else "")
    return names


def shorten_names(names: Mapping[K, str], max_length: int = LONGEST_NAME) -> dict[K, str]:
    """Shorten long names for figures by leaving out their middle.

    The end stays, because it holds the regime and the seed. Different names stay different: equal short names get
    numbers.
    """
    short: dict[str, str] = {}
    used = {name for name in names.values() if len(name) <= max_length}
    for name in dict.fromkeys(names.values()):
        short_name, number = name, 1
        while len(name) > max_length and (short_name == name or short_name in used):
            ending = name[-(max_length // 3) :] if number == 1 else f" {number}"
            short_name, number = f"{name[: max_length - 1 - len(ending)]}…{ending}", number + 1
        short[name] = short_name
        used.add(short_name)
    return {key: short[name] for key, name in names.items()}


def shorten_name(name: str, max_length: int = LONGEST_NAME) -> str:
    """Shorten one name, as in `shorten_names`."""
    return shorten_names({name: name}, max_length)[name]


def short_observer_names(table: pd.DataFrame, max_length: int = LONGEST_NAME + 5) -> dict[str, str]:
    """Return the names of `observer_names`, shortened for figures. A run keeps its regime; its model is shortened."""
    runs = table["regime"].fillna("") != ""
    longest = table.loc[runs, "regime"].map(len).max() if runs.any() else 0
    models = shorten_names({name: name for name in table.loc[runs, "model"]}, max(max_length - 3 - longest, 12))
    names = observer_names(table.assign(model=table["model"].mask(runs, table["model"].map(models))))
    return shorten_names(names, max_length)


def format_image_count(table: pd.DataFrame) -> str:
    """Format how many images an observer saw, as `160` or `80 to 160`.

    The row of all people together is ignored if possible, because it counts an image once per person.
    """
    is_pooled = table["observer"] == PEOPLE if "observer" in table else table["kind"] == PEOPLE
    return format_range(table.loc[~is_pooled, "images"] if not is_pooled.all() else table["images"])


def format_range(counts: pd.Series) -> str:
    """Format the smallest and the largest of some counts, as `160` or `80 to 160`."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def pick_from_each_group(members: Iterable[tuple[str, T]], limit: int) -> list[T]:
    """Pick at most `limit` of the members (group, member): the first of each group, then the second, and so on.

    The picked members keep their order.
    """
    members = list(members)
    group_sizes: dict[str, int] = {}
    turns = []
    for position, (group, _) in enumerate(members):
        turns.append((group_sizes.get(group, 0), position))
        group_sizes[group] = group_sizes.get(group, 0) + 1
    return [members[position][1] for position in sorted(position for _, position in sorted(turns)[:limit])]


def pool_bias(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per model × regime (× `by`). Hits are summed over seeds, which gives the bias of all decisions.

    The interval reaches from the lowest bound of the seeds to the highest, so it is never narrower than the interval of
    one seed. A single seed keeps its interval. Persons become one row `people`, unless the table already has that row.
    `conflict_images` is the number of different images that an observer saw.
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
    """Return one row per benchmark × unit × model × regime, with images and correct answers summed over seeds."""
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


def pool_means(
    table: pd.DataFrame, intervals: Mapping[str, tuple[str, str]], by: Sequence[str] = (), first: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row per `by` × model × regime, with means over seeds.

    intervals: value → the columns of its bounds. The interval spans the intervals of the seeds, as in `pool_bias`.
    first: columns that are equal for all seeds.
    Persons become one row `people` without an interval, unless the table already has that row.
    """
    aggregations = {value: (value, "mean") for value in intervals}
    aggregations |= {low: (low, "min") for low, _ in intervals.values()}
    aggregations |= {high: (high, "max") for _, high in intervals.values()}
    aggregations |= {name: (name, "first") for name in first}
    pooled = _groups(table, by).agg(kind=("kind", "first"), seeds=("seed", "nunique"), **aggregations).reset_index()
    return _without_interval_of_persons(pooled, [bound for pair in intervals.values() for bound in pair])


def describe_interval(pooled: pd.DataFrame) -> str:
    """Describe the intervals of pooled rows in words."""
    return "95 % interval over images" + (", spanning those of all seeds" if (pooled["seeds"] > 1).any() else "")


def pool_coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean coverage over seeds per model × regime: the share of conflict images answered with either cue."""
    return _groups(table).agg(coverage=("coverage", "mean")).reset_index()


def pool_melanoma(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per benchmark × model × regime. Measures are means over seeds, and counts are sums.

    An interval spans the intervals of the seeds, as in `pool_bias`.
    """
    sums = {name: (name, "sum") for name in MELANOMA_COUNTS}
    means = {
        name: (name, "mean") for name in [*MELANOMA_MEASURES, *(f"{name}_difference" for name in COMPARED_MEASURES)]
    }
    bound_functions = [("_low", "min"), ("_high", "max")]
    bounds = {f"{name}{end}": (f"{name}{end}", function) for name in means for end, function in bound_functions}
    groups = _groups(table, ["benchmark"])
    return groups.agg(kind=("kind", "first"), seeds=("seed", "nunique"), **sums, **means, **bounds).reset_index()


def _groups(table: pd.DataFrame, by: Sequence[str] = ()):
    table = table.assign(kind=observer_kinds(table), regime=table["regime"].fillna(""))
    if (table["kind"] == PEOPLE).any():
        table = table[table["kind"] != "person"]
    return table.groupby([*by, "model", "regime"], sort=False, dropna=False)


def _without_interval_of_persons(pooled: pd.DataFrame, bounds: Sequence[str] = ("ci_low", "ci_high")) -> pd.DataFrame:
    # One person's interval does not apply to all people together.
    pooled.loc[pooled["kind"] == "person", list(bounds)] = float("nan")
    pooled.loc[pooled["kind"] == "person", "kind"] = PEOPLE
    return pooled
