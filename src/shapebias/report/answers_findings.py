"""What the tables say of single answers, and of people's, in sentences; see findings_words for what they may claim."""

from collections.abc import Iterable, Mapping

import pandas as pd

from shapebias.metrics.shape_bias import wilson
from shapebias.report import wording as words
from shapebias.tables.summaries import PEOPLE

ALL = "all"  # conditions, or benchmarks, together


def consistency_findings(
    consistency: pd.DataFrame, persons: Iterable[str] = (), names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Benchmark → do networks err on the images that people err on? Of κ with people, else of every pair.

    persons: observers that are people; names: observer → what to call it.
    """
    names = names or {}
    persons = set(persons) - {PEOPLE}
    statements = {}
    for benchmark, table in consistency[consistency["condition"] == ALL].groupby("benchmark", sort=False):
        told = _of_pairs(table, names)
        if told:
            statements[str(benchmark)] = f"On “{benchmark}”, {told}"
    pairs = with_people(consistency)
    both = (consistency["observer_1"] == PEOPLE) & (consistency["observer_2"] == PEOPLE)
    pairs_of_people = consistency[both & (consistency["condition"] == ALL)].dropna(subset=["kappa"])
    for benchmark, table in pairs[pairs["condition"] == ALL].groupby("benchmark", sort=False):
        human = pairs_of_people[pairs_of_people["benchmark"] == benchmark]
        everyone = table[~table["observer"].isin(persons)]
        networks = everyone.dropna(subset=["kappa"]).sort_values("kappa")
        if networks.empty:
            continue
        above = int((networks["ci_low"] > 0).sum())
        last, first = networks.iloc[0], networks.iloc[-1]
        told = f"{names.get(first['observer'], first['observer'])} {_kappa(first)}"
        if len(networks) > 1:
            told = f"from {names.get(last['observer'], last['observer'])} {_kappa(last)} to {told}"
        observers = "observer errs" if len(everyone) == 1 else "observers err"
        undefined = len(everyone) - len(networks)
        statement = (
            f"On “{benchmark}” (n = {words.count(everyone['images'])}), {above} of {len(everyone)} {observers} "
            f"on the same images as people more often than accuracies alone would make likely (κ {told})."
        )
        if undefined:
            statement += f" κ is undefined in {undefined}."
        if len(human):
            statement += f" People among themselves: {_kappa(human.iloc[0])}."
        statements[str(benchmark)] = statement
    return statements


def _of_pairs(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Which of all pairs err alike, and which the most and the least."""
    defined = table.dropna(subset=["kappa"]).sort_values("kappa")
    if defined.empty:
        return ""
    above, below = int((defined["ci_low"] > 0).sum()), int((defined["ci_high"] < 0).sum())
    told = words.counted(
        (above, "κ lies above 0 in"),
        (below, "below 0 in"),
        (len(defined) - above - below, "its interval holds 0 in"),
        (len(table) - len(defined), "it is undefined in"),
    )

    def pair(row: pd.Series) -> str:
        one, other = (names.get(row[f"observer_{side}"], row[f"observer_{side}"]) for side in (1, 2))
        return f"{one} with {other} {_kappa(row)}"

    ends = [pair(defined.iloc[place]) for place in ((0, -1) if len(defined) > 1 else (0,))]
    pairs = "pair" if len(table) == 1 else "pairs"
    span = f"from {ends[0]} to {ends[1]}" if len(ends) > 1 else ends[0]
    return f"{told} of {len(table):,} {pairs} (n = {words.count(table['images'])}): {span}."


def likeness_findings(likeness: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[str]:
    """Which networks rank first in likeness to people over all benchmarks."""
    names = names or {}
    ranked = likeness[(likeness["benchmark"] == ALL) & (likeness["model"] != PEOPLE)].dropna(subset=["mean_rank"])
    if ranked.empty:
        return []
    ranked = ranked.sort_values("mean_rank", kind="stable")
    benchmarks = likeness.loc[(likeness["observer"] == PEOPLE) & (likeness["benchmark"] != ALL), "benchmark"].nunique()
    told = [f"{names.get(row['observer'], row['observer'])} ({row['mean_rank']:.1f})" for row in words.records(ranked)]
    what = "one observer is" if len(told) == 1 else f"{len(told)} observers are"
    span = f"{told[0]} comes nearest to people" + (f", {told[-1]} least near" if len(told) > 1 else "")
    return [
        f"Over {words.plural(benchmarks, 'benchmark')} that people answered, {what} ranked: {span} (mean rank; ranks "
        f"have no interval, so neighbours may well change places)."
    ]


def with_people(consistency: pd.DataFrame) -> pd.DataFrame:
    """The pairs of an observer with `people`, the observer in a column of that name."""
    first, second = (consistency[f"observer_{i}"] == PEOPLE for i in (1, 2))
    turned = consistency[first & ~second]
    turned = turned.rename(
        columns={
            **{"observer_1": "observer_2", "observer_2": "observer_1"},
            **{"accuracy_1": "accuracy_2", "accuracy_2": "accuracy_1"},
        }
    )
    pairs = pd.concat([consistency[second & ~first], turned[consistency.columns]], ignore_index=True)
    return pairs.assign(observer=pairs["observer_1"])


def _kappa(row: pd.Series) -> str:
    return words.minus(f"{row['kappa']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]")


def answer_findings(confusion: pd.DataFrame, benchmark: str) -> list[str]:
    """How lopsided answers are: the category that each network answers most often, and how often."""
    rows = confusion[(confusion["benchmark"] == benchmark) & (confusion["trials"] == "all")]
    rows = rows[(rows["cue"] == "shape") & (rows["model"] != PEOPLE)]
    if rows.empty:
        return []
    who = ["observer", "model", "regime", "seed"]
    counts = rows.groupby([*who, "answer"], sort=False, dropna=False)["count"].sum().reset_index()
    counts["images"] = counts.groupby("observer")["count"].transform("sum")
    most = counts.loc[counts.groupby("observer", sort=False)["count"].idxmax()]
    most = most.assign(share=most["count"] / most["images"]).sort_values("share", kind="stable")
    bounds = [wilson(int(count), int(images)) for count, images in zip(most["count"], most["images"], strict=True)]
    most["ci_low"], most["ci_high"] = [low for low, _ in bounds], [high for _, high in bounds]
    ends = [most.iloc[place] for place in ((0, -1) if len(most) > 1 else (0,))]
    told = [f"{words.bounded(row, 'share')} (“{row['answer']}”, {words.called(row)})" for row in ends]
    span = f"from {told[0]} to {told[1]}" if len(told) > 1 else told[0]
    return [
        f"The answer that a network gives most often takes this share of all its answers "
        f"(n = {words.count(most['images'])}; {1 / 16:.2f} if answers were spread evenly): {span}."
    ]
