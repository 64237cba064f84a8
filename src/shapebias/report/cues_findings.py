"""What the tables say of cues, inside the networks and suppressed, in sentences; see findings_words for what they may
claim.
"""

import pandas as pd

from shapebias.report import wording as words
from shapebias.tables.summaries import BASELINE, pool_means, regime_order

ABLE = 0.5  # accuracy below which what is left of it says little
# What is suppressed, and what is left when its strength is so much.
SUPPRESSION = {
    "shape": lambda strength: f"patches shuffled, {strength:g} a side",
    "texture": lambda strength: f"smoothed at {strength:g} pixels",
    "colour": lambda strength: f"{100 * strength:.0f} % grey",
}


def read_out_findings(read_out: pd.DataFrame) -> dict[str, str]:
    """Benchmark → from where on networks hold more texture than shape, and what the treatment changed at the end.

    The pixels (a depth of 0) are no stage of a network: they keep a layout, over which stages are averaged.
    """
    statements = {}
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        stages = table[table["depth"] > 0].dropna(subset=["accuracy"])
        keys = ["observer", "model", "regime", "seed", "depth", "stage"]
        sides = [stages.loc[stages["cue"] == cue, [*keys, "ci_low", "ci_high"]] for cue in ("shape", "texture")]
        pairs = sides[0].merge(sides[1], on=keys, suffixes=("_shape", "_texture"))
        if pairs.empty:
            continue
        above = pairs[pairs["ci_low_texture"] > pairs["ci_high_shape"]]
        first = above.sort_values("depth").groupby("observer")["depth"].first()
        observers = pairs["observer"].nunique()
        several = words.several(pairs)
        if first.empty:
            told = f"texture reads out better than shape at no stage of {words.networks(observers, several)}"
        else:
            low, high = f"{first.min():.2f}", f"{first.max():.2f}"
            told = (
                f"texture reads out better than shape (intervals apart) in {len(first)} of "
                f"{words.networks(observers, several)}, first at a depth of "
                f"{low if low == high else f'{low} to {high}'} (0: the pixels, 1: the last stage)"
            )
        last = stages[stages["depth"] == stages.groupby("observer")["depth"].transform("max")]
        statement = f"On “{benchmark}” (n = {words.count(table['images'])}), {told}."
        changed = [_last_stage(last[last["cue"] == cue], cue) for cue in ("texture", "shape")]
        if all(changed):
            statement += f" What the last stage holds, after {words.treatment(words.TREATED)}: {'; '.join(changed)}."
        statements[str(benchmark)] = statement
    return statements


def _last_stage(rows: pd.DataFrame, cue: str) -> str:
    """Where one cue reads out better or worse after the treatment, with the widest change; "" without both."""
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue"])
    before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, words.TREATED))
    pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
    if pairs.empty:
        return ""
    higher = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    lower = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    rest = len(pairs) - higher - lower
    told = words.counted((higher, "better in"), (lower, "worse in"), (rest, "intervals overlap in"))
    most = pairs.loc[(pairs["accuracy_after"] - pairs["accuracy"]).abs().idxmax()]
    return (
        f"{cue}: {told} of {words.networks(len(pairs))} (most changed: {most['model']} "
        f"{words.bounded(most, 'accuracy')} → {words.bounded(most, 'accuracy', end='_after')})"
    )


def untouched(reliance: pd.DataFrame) -> pd.DataFrame:
    """The accuracy on photographs that nothing was done to: one row a benchmark and observer."""
    weakest = reliance["strength"] == reliance.groupby(["benchmark", "cue"])["strength"].transform("min")
    return reliance[weakest].drop_duplicates(["benchmark", "observer"])


def able(reliance: pd.DataFrame) -> pd.DataFrame:
    """Rows of observers that name at least half of the untouched photographs.

    Below, a share of it says nothing: what is near guessing cannot fall, and may rise by chance.
    """
    found = untouched(reliance)
    found = found[found["accuracy"] >= ABLE]
    known = set(zip(found["benchmark"], found["observer"], strict=True))
    keys = list(zip(reliance["benchmark"], reliance["observer"], strict=True))
    return reliance[[key in known for key in keys]]


def reliance_findings(reliance: pd.DataFrame) -> dict[str, str]:
    """Benchmark → what is left of accuracy where each cue is suppressed most, over networks that had it to lose."""
    statements = {}
    for benchmark, table in reliance.groupby("benchmark", sort=False):
        start, kept = untouched(table), able(table)
        total, few = start["observer"].nunique(), start[start["accuracy"] < ABLE]
        networks = words.networks(total, words.several(start))
        told = []
        for cue, rows in kept.groupby("cue", sort=False):
            strongest = rows[rows["strength"] == rows["strength"].max()].dropna(subset=["relative"])
            if len(strongest):
                how = SUPPRESSION.get(str(cue), lambda strength: f"strength {strength:g}")(rows["strength"].max())
                ends = words.ends(strongest, "relative", "relative_low", "relative_high")
                told.append(f"without {cue} ({how}), {ends}")
        qualified = total - len(few)
        statement = (
            f"On “{benchmark}” (n = {words.count(table['images'])} photographs), {qualified} of {networks} "
            f"{'names' if qualified == 1 else 'name'} at least half of the untouched photographs."
        )
        if told:
            statement += f" Share of this accuracy that is left: {'; '.join(told)}."
        if len(few):
            statement += f" The others are left out, as so little cannot fall much: {_ends_of(few)}."
            gone = [regime for regime in regime_order(few["regime"].dropna()) if regime not in set(kept["regime"])]
            if gone:
                statement += f" No run of {words.listed(gone)} qualifies."
        statements[str(benchmark)] = statement
    return statements


def _ends_of(few: pd.DataFrame) -> str:
    """Who is left out, with accuracies."""
    ordered = few.sort_values("accuracy", kind="stable")
    names = [f"{words.called(row)} {row['accuracy']:.2f}" for row in words.records(ordered)]
    return words.listed(names)
