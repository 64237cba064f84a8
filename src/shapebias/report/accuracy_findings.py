"""What the tables say of accuracy and of melanoma, in sentences; see findings_words for what they may claim."""

import pandas as pd

from shapebias.report import wording as words
from shapebias.tables.summaries import BASELINE, PEOPLE, kind_of, pool_accuracy, pool_means

MOST_STATEMENTS = 4  # in a row, that a reader still reads


def cost_findings(accuracy: pd.DataFrame) -> list[str]:
    """What the treatment costs or gains on each benchmark: claimed where 95 % intervals lie apart.

    Both regimes were measured on the same images, but the table counts them one by one: intervals that overlap do not
    say that there is no difference.
    """
    by_category = accuracy[accuracy["unit"] == "category"]
    if by_category.empty:
        return []
    statements = []
    for benchmark, table in by_category.groupby("benchmark", sort=False):
        pooled = pool_accuracy(table)
        before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, words.TREATED))
        pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
        if pairs.empty:
            continue
        worse = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
        better = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
        guessing = pd.Series(True, index=pairs.index)
        for end in ("", "_after"):
            guessing &= pairs[f"ci_low{end}"] <= pairs["chance"]
            guessing &= pairs[f"ci_high{end}"] >= pairs["chance"]
        guessed = int((guessing & ~_apart(pairs)).sum())
        told = words.counted(
            (worse, "less accurate in"),
            (better, "more accurate in"),
            (len(pairs) - worse - better - guessed, "intervals overlap in"),
            (guessed, "at chance before and after in"),
        )
        ordered = pairs.assign(moved=pairs["accuracy_after"] - pairs["accuracy"]).sort_values("moved")
        shown = pairs if len(pairs) <= words.MOST_NAMES else ordered.iloc[[0, -1]]
        values = [
            f"{row['model']} {words.bounded(row, 'accuracy')} → {words.bounded(row, 'accuracy', end='_after')}"
            for row in words.records(shown)
        ]
        joined = "; ".join(values) if len(pairs) <= words.MOST_NAMES else f"from {values[0]} to {values[1]}"
        statements.append(
            f"On “{benchmark}”, after {words.treatment(words.TREATED)}: {told} of {words.networks(len(pairs))} "
            f"({joined})."
        )
    if len(statements) > MOST_STATEMENTS:
        rest = len(statements) - MOST_STATEMENTS
        statements = [*statements[:MOST_STATEMENTS], f"The other {rest} benchmarks are in the table below."]
    return statements


def _apart(pairs: pd.DataFrame) -> pd.Series:
    """Whether the intervals of before and after have nothing in common."""
    return (pairs["ci_high_after"] < pairs["ci_low"]) | (pairs["ci_low_after"] > pairs["ci_high"])


def cue_findings(cue_accuracy: pd.DataFrame, benchmark: str) -> list[str]:
    """How often each cue, and either of them, is named: the lowest and the highest of networks, and people."""
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark].dropna(subset=["coverage"])
    table = table.rename(columns={"coverage": "coverage_accuracy"})
    if table.empty:
        return []
    cues = {"shape": "the shape", "texture": "the texture", "coverage": "either"}
    pooled = pool_means(table, {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in cues}, ["benchmark"])
    networks, people = pooled[pooled["kind"] != PEOPLE], pooled[pooled["kind"] == PEOPLE]
    told = [
        f"{what} {words.ends(networks, f'{cue}_accuracy', f'{cue}_low', f'{cue}_high')}" for cue, what in cues.items()
    ]
    images = table.loc[kind_of(table) != PEOPLE, "conflict_images"]
    statement = f"Share of answers that name a cue (n = {words.count(images)} conflict images): {'; '.join(told)}."
    if networks.empty:
        statement = ""
    if len(people):
        shares = [
            f"{what} {words.bounded(people.iloc[0], f'{cue}_accuracy', bounds=(f'{cue}_low', f'{cue}_high'))}"
            for cue, what in cues.items()
        ]
        statement += f" People: {'; '.join(shares)}."
    return [statement.strip()]


def condition_findings(by_condition: pd.DataFrame) -> list[str]:
    """Against people on the same images, over all distorted benchmarks."""
    compared = by_condition[by_condition["model"] != PEOPLE].dropna(subset=["difference_low", "difference_high"])
    if compared.empty:
        return []
    worse, better = int((compared["difference_high"] < 0).sum()), int((compared["difference_low"] > 0).sum())
    return [
        f"Against people on the same {words.count(compared['images'])} images, networks are less accurate in {worse:,} "
        f"of {len(compared):,} comparisons (an observer in a condition each), more accurate in {better:,}; in the "
        f"others the 95 % interval of the difference holds 0. It reaches {words.furthest(compared)}."
    ]


def melanoma_findings(melanoma: pd.DataFrame) -> list[str]:
    """One statement for each benchmark of melanoma: what was another start worth against ImageNet weights alone?

    A difference is claimed only where its 95 % interval leaves out 0.
    """
    statements = []
    for benchmark, table in melanoma.groupby("benchmark", sort=False):
        compared = table.dropna(subset=["auc_difference"])
        clauses = []
        for regime, runs in compared.groupby("regime", sort=False):
            higher, lower = int((runs["auc_difference_low"] > 0).sum()), int((runs["auc_difference_high"] < 0).sum())
            parts = ((higher, "higher"), (lower, "lower"), (len(runs) - higher - lower, "not measurably different"))
            told = words.listed([f"{what} in {count}" for count, what in parts if count])
            clauses.append(f"{told} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} of {regime}")
        if clauses:
            statements.append(f"On “{benchmark}”, against ImageNet weights alone, ROC AUC is {'; '.join(clauses)}.")
        else:
            statements.append(
                f"On “{benchmark}”, no run has one beside it that started from ImageNet weights alone, so nothing "
                f"says what its start was worth."
            )
    return statements
