"""What the tables say, in sentences that claim no more than they hold.

A change, a cost or a likeness is claimed only where a 95 % interval holds it: one of the difference, image by image,
leaves out 0; of two values that are not compared image by image, the intervals lie apart. Where these overlap, no more
is said than that.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shapebias.bias import wilson
from shapebias.summaries import (
    BASELINE,
    PEOPLE,
    kind_of,
    pool_accuracy,
    pool_coverage,
    pool_means,
    regime_order,
    spanned,
)

TREATED = "sin"
# Guessing names one of the two cues in 2 of 16 answers. Below twice that, a bias rests mostly on guesses.
LOW_COVERAGE = 2 * 2 / 16
ABLE = 0.5  # accuracy below which what is left of it says little
MOST_NAMES = 8  # in a sentence
MOST_STATEMENTS = 4  # in a row, that a reader still reads
ALL = "all"  # conditions, or benchmarks, together
VERDICT_COLUMNS = ["model", "direction", "before", "after", "difference", "ci_low", "ci_high", "seeds"]
CHANGE_COLUMNS = [
    *["benchmark", "model", "seed", "baseline", "regime", "before", "after", "difference", "ci_low", "ci_high"],
    *["conflict_images", "reason"],
]

# What is suppressed, and what is left when its strength is so much.
SUPPRESSION = {
    "shape": lambda strength: f"patches shuffled, {strength:g} a side",
    "texture": lambda strength: f"smoothed at {strength:g} pixels",
    "colour": lambda strength: f"{100 * strength:.0f} % grey",
}

Tables = Mapping[str, pd.DataFrame]
Row = Mapping[Any, Any] | pd.Series


# Shape bias


def headline(tables: Tables, people: pd.DataFrame | None = None) -> list[str]:
    """One statement for each benchmark of cue conflict: did training move the bias, and where are people?"""
    statements = []
    for benchmark, pooled in tables["shape_bias_pooled"].groupby("benchmark", sort=False):
        pooled = pooled.assign(regime=pooled["regime"].fillna(""))
        runs = _of_runs(tables, str(benchmark), pooled[pooled["kind"] == "run"])
        found = [runs, _of_pretrained(pooled[pooled["kind"] == "pretrained"])]
        found += [_of_decisions(pooled[pooled["kind"] == "decisions"])]
        found.append(_of_people(pooled[pooled["kind"] == PEOPLE], people))
        first, *others = [text for text in found if text] or ["no observer was measured."]
        first = first[:1].lower() + first[1:]  # whatever was left out before it
        statements.append(" ".join([f"On “{benchmark}”, {first}", *map(_capital, others)]))
    return statements or ["No bias was measured: the tables hold no benchmark of cue conflict."]


def side_finding(pooled: pd.DataFrame, benchmark: str) -> str:
    """How many networks go by texture, how many by shape: their 95 % intervals lie on one side of one half."""
    networks = pooled[(pooled["benchmark"] == benchmark) & (pooled["kind"] != PEOPLE)]
    texture, shape = int((networks["ci_high"] < 0.5).sum()), int((networks["ci_low"] > 0.5).sum())
    if networks.empty:
        return ""
    parts = ((texture, "by texture more often than by shape"), (shape, "by shape more often than by texture"))
    told = [f"{count} {'goes' if count == 1 else 'go'} {what}" for count, what in parts if count]
    undefined = int(networks["ci_low"].isna().sum())
    rest = len(networks) - texture - shape - undefined
    if rest:
        told.append(f"{rest} cannot be told from even")
    if undefined:
        told.append(f"the bias of {undefined} is undefined")
    return f"Of {_networks(len(networks))} (each model in each regime), {_listed(told)}."


def changes(shape_bias: pd.DataFrame, differences: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """What each regime did to the bias of a model, paired by image: one row a run beside the baseline's of its seed.

    shape_bias, differences: the tables of these names. Returns CHANGE_COLUMNS, `difference` being after minus before;
    NaN where the table of differences has no such pair.
    """
    runs = shape_bias[kind_of(shape_bias) == "run"]
    known = {}
    for row in differences.to_dict("records"):
        one, other = row["observer_1"], row["observer_2"]
        low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
        known[row["benchmark"], one, other] = (difference, low, high, row["conflict_images"], row["reason"])
        known[row["benchmark"], other, one] = (-difference, -high, -low, row["conflict_images"], row["reason"])
    first = {(row["benchmark"], row["model"], row["seed"]): row for row in _records(runs[runs["regime"] == baseline])}
    rows = []
    for regime in regime_order(runs["regime"]):
        for row in _records(runs[runs["regime"] == regime]):
            before = first.get((row["benchmark"], row["model"], row["seed"]))
            if before is None or regime == baseline:
                continue
            unknown = (np.nan, np.nan, np.nan, np.nan, "not compared")
            measured = known.get((row["benchmark"], row["observer"], before["observer"]), unknown)
            who = (row["benchmark"], row["model"], row["seed"], baseline, regime)
            rows.append((*who, before["shape_bias"], row["shape_bias"], *measured))
    return pd.DataFrame(rows, columns=CHANGE_COLUMNS)


def verdicts(moves: pd.DataFrame, regime: str) -> pd.DataFrame:
    """One row a model: `up`, `down`, `unclear` or `undefined`, and the mean over seeds of before, after and difference.

    A direction takes an interval beyond 0 in every seed; ci_low and ci_high are the outermost of the seeds'.
    """
    rows = []
    for model, runs in moves[(moves["regime"] == regime)].groupby("model", sort=False):
        low, high = (runs[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
        means = runs[["before", "after", "difference"]].mean(skipna=False)
        rows.append((model, _direction(low.min(), high.max()), *means, low.min(), high.max(), len(runs)))
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def effects(tables: Tables, benchmark: str, regime: str, baseline: str = BASELINE) -> pd.DataFrame:
    """What a regime did to the bias of each model, all seeds together: rows of VERDICT_COLUMNS.

    The difference is that of `shape_bias_differences_pooled`, whose interval covers the choice of seeds as well; where
    that table lacks the pair, what the seeds say one by one (`verdicts`).
    """
    moves = changes(tables["shape_bias"], tables["shape_bias_differences"], baseline)
    found = verdicts(moves[moves["benchmark"] == benchmark], regime).set_index("model")
    pairs = tables["shape_bias_differences_pooled"]
    pooled = tables["shape_bias_pooled"]
    biases = pooled[pooled["benchmark"] == benchmark].set_index(["model", "regime"])["shape_bias"].to_dict()
    for row in _records(pairs[(pairs["benchmark"] == benchmark) & (pairs["model_1"] == pairs["model_2"])]):
        model, difference, low, high = (row[name] for name in ("model_1", "difference", "ci_low", "ci_high"))
        if (row["regime_1"], row["regime_2"]) == (baseline, regime):
            difference, low, high = -difference, -high, -low
        elif (row["regime_2"], row["regime_1"]) != (baseline, regime):
            continue
        before, after = (biases.get((model, name), np.nan) for name in (baseline, regime))
        found.loc[model] = (_direction(low, high), before, after, difference, low, high, row["seeds"])
    return found.rename_axis("model").reset_index()


def _direction(low: float, high: float) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "undefined"
    return "up" if low > 0 else "down" if high < 0 else "unclear"


def change_findings(tables: Tables, benchmark: str) -> dict[str, str]:
    """Regime → what became of the bias in each architecture: from where to where, and how sure that is."""
    moves = changes(tables["shape_bias"], tables["shape_bias_differences"])
    statements = {}
    for regime in regime_order(moves["regime"][moves["benchmark"] == benchmark]):
        found = effects(tables, benchmark, regime)
        counts = found["direction"].value_counts()
        told = _counted(
            (counts.get("up", 0), "towards shape in"),
            (counts.get("down", 0), "towards texture in"),
            (counts.get("unclear", 0), "without a measurable change in"),
            (counts.get("undefined", 0), "undefined in"),
        )
        defined = found[found["direction"] != "undefined"].sort_values("difference")
        span = ""
        if len(defined) == 1:
            span = f": {_change(defined.iloc[0])}"
        elif len(defined):
            span = f": from {_change(defined.iloc[0])} to {_change(defined.iloc[-1])}"
        statements[regime] = f"{_capital(_treatment(regime))}: {told} of {_networks(len(found))}{span}."
    return statements


def cautions(tables: Tables) -> list[str]:
    """What a reader must know before trusting the headline."""
    notes = []
    shape_bias = tables["shape_bias"]
    seeds = shape_bias.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds) and seeds.min() == 1:
        notes.append(
            "One seed a run: the intervals cover the choice of test images, not how training might have gone otherwise."
        )
    for benchmark, table in tables["cue_accuracy"].groupby("benchmark", sort=False):
        low = pool_coverage(table).query("coverage < @LOW_COVERAGE")
        named = zip(low["model"], low["regime"], low["coverage"], strict=True)
        names = [f"{f'{model} {regime}'.strip()} ({100 * coverage:.0f} %)" for model, regime, coverage in named]
        if names:
            notes.append(
                f"On “{benchmark}”, fewer than 1 answer in 4 names either cue (guessing: {100 * 2 / 16} %); these "
                f"biases say little: {_listed(names)}."
            )
    return notes


def category_findings(by_category: pd.DataFrame, benchmark: str) -> str:
    """In how many categories the intervals of the treated runs lie above those of the baseline; "" without both."""
    rows = by_category[by_category["benchmark"] == benchmark]
    rows = rows[kind_of(rows) == "run"]
    keys = ["model", "seed", "category"]
    before, after = (rows[rows["regime"] == regime] for regime in (BASELINE, TREATED))
    pairs = before.merge(after, on=keys, suffixes=("", "_after"))
    if pairs.empty:
        return ""
    above = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    below = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    undefined = int(pairs[["ci_low", "ci_low_after"]].isna().any(axis=1).sum())
    rest = len(pairs) - above - below - undefined
    told = _counted((above, "above in"), (below, "below in"), (rest, "overlapping in"), (undefined, "undefined in"))
    return (
        f"Category by category, the interval after {_treatment(TREATED)} against the one before: {told} of "
        f"{len(pairs):,} comparisons (a run and a category each)."
    )


def _of_runs(tables: Tables, benchmark: str, pooled: pd.DataFrame) -> str:
    regimes = regime_order(pooled["regime"])
    others = [regime for regime in regimes if regime != BASELINE]
    if BASELINE not in regimes or not others:
        return _each(pooled.assign(name=pooled["model"] + " (" + pooled["regime"] + ")"))
    treated = TREATED if TREATED in others else others[0]
    found = effects(tables, benchmark, treated).dropna(subset=["before", "after"])
    sentence = _effect(found[found["direction"] != "undefined"], treated)
    apart = list(found["model"][found["direction"] == "undefined"])
    rest = ", ".join(_range(pooled, regime) for regime in others if regime != treated)
    undefined = [f"{model} {regime}" for model, regime in _runs(pooled[pooled["shape_bias"].isna()])]
    if rest:
        sentence += f" Other regimes: {rest}."
    if apart:
        sentence += f" Before and after are not compared for {_listed(apart)}."
    if undefined:
        sentence += f" Undefined, as no answer named a cue: {_listed(undefined)}."
    return sentence.strip()


def _effect(found: pd.DataFrame, treated: str) -> str:
    if found.empty:
        return ""
    counts = found["direction"].value_counts()
    risen, fallen, unclear = (int(counts.get(direction, 0)) for direction in ("up", "down", "unclear"))
    ordered = found if len(found) <= MOST_NAMES else found.sort_values("difference").iloc[[0, -1]]
    moves = [
        f"{row['model']} {row['before']:.2f} → {row['after']:.2f}, {_bounded(row, 'difference', '+.2f')}"
        for row in _records(ordered)
    ]
    values = "; ".join(moves) if len(found) <= MOST_NAMES else f"from {moves[0]} to {moves[1]}"
    networks = "the one network" if len(found) == 1 else f"{len(found)} networks"
    what = _treatment(treated)
    if unclear == len(found):
        whose = networks if len(found) == 1 else f"any of {networks}"
        return f"{what} did not measurably change the shape bias of {whose}: no interval leaves out 0 ({values})."

    def moved(many: int) -> str:
        if len(found) == 1:
            return networks
        return f"all {networks}" if many == len(found) else f"{many} of {networks}"

    clauses = []
    if risen:
        clauses.append(f"moved the shape bias of {moved(risen)} towards shape")
    if fallen:
        whose = "that" if risen else "the shape bias"
        clauses.append(f"moved {whose} of {moved(fallen)} towards texture")
    if unclear:
        clauses.append(f"did not measurably change that of {unclear}")
    return f"{what} {', and '.join(clauses)} ({values})."


def _treatment(regime: str) -> str:
    return "training on stylized images" if regime == TREATED else f"the regime “{regime}”"


def _range(pooled: pd.DataFrame, regime: str) -> str:
    rows = pooled[pooled["regime"] == regime].dropna(subset=["shape_bias"]).sort_values("shape_bias")
    if rows.empty:
        return f"{regime} undefined"
    ends = [_bounded(rows.iloc[place], "shape_bias") for place in (0, -1)]
    return f"{regime} {ends[0]}" if len(rows) == 1 else f"{regime} {ends[0]} to {ends[1]}"


def _of_pretrained(pooled: pd.DataFrame) -> str:
    text = _each(pooled.assign(name=pooled["model"]))
    return f"without training here, {text}" if text else ""


def _of_decisions(pooled: pd.DataFrame) -> str:
    text = _each(pooled.assign(name=pooled["model"]))
    return f"from recorded decisions, {text}" if text else ""


def _of_people(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    if len(pooled):
        return f"people, who saw the same images: {_bounded(pooled.iloc[0], 'shape_bias')}."
    if reference is None:
        return ""
    shape, texture = reference["shape_hits"].sum(), reference["texture_hits"].sum()
    return f"people: {_number(shape / (shape + texture))}, on the published stimuli."


# Accuracy


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
        before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, TREATED))
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
        told = _counted(
            (worse, "less accurate in"),
            (better, "more accurate in"),
            (len(pairs) - worse - better - guessed, "intervals overlap in"),
            (guessed, "at chance before and after in"),
        )
        ordered = pairs.assign(moved=pairs["accuracy_after"] - pairs["accuracy"]).sort_values("moved")
        shown = pairs if len(pairs) <= MOST_NAMES else ordered.iloc[[0, -1]]
        values = [
            f"{row['model']} {_bounded(row, 'accuracy')} → {_bounded(row, 'accuracy', end='_after')}"
            for row in _records(shown)
        ]
        joined = "; ".join(values) if len(pairs) <= MOST_NAMES else f"from {values[0]} to {values[1]}"
        statements.append(
            f"On “{benchmark}”, after {_treatment(TREATED)}: {told} of {_networks(len(pairs))} ({joined})."
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
    told = [f"{what} {_ends(networks, f'{cue}_accuracy', f'{cue}_low', f'{cue}_high')}" for cue, what in cues.items()]
    images = table.loc[kind_of(table) != PEOPLE, "conflict_images"]
    statement = f"Share of answers that name a cue (n = {_count(images)} conflict images): {'; '.join(told)}."
    if networks.empty:
        statement = ""
    if len(people):
        shares = [
            f"{what} {_bounded(people.iloc[0], f'{cue}_accuracy', bounds=(f'{cue}_low', f'{cue}_high'))}"
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
        f"Against people on the same {_count(compared['images'])} images, networks are less accurate in {worse:,} of "
        f"{len(compared):,} comparisons (an observer in a condition each), more accurate in {better:,}; in the others "
        f"the 95 % interval of the difference holds 0. It reaches {_furthest(compared)}."
    ]


# Likeness to people


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
            f"On “{benchmark}” (n = {_count(everyone['images'])}), {above} of {len(everyone)} {observers} "
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
    told = _counted(
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
    return f"{told} of {len(table):,} {pairs} (n = {_count(table['images'])}): {span}."


def likeness_findings(likeness: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[str]:
    """Which networks rank first in likeness to people over all benchmarks."""
    names = names or {}
    ranked = likeness[(likeness["benchmark"] == ALL) & (likeness["model"] != PEOPLE)].dropna(subset=["mean_rank"])
    if ranked.empty:
        return []
    ranked = ranked.sort_values("mean_rank", kind="stable")
    benchmarks = likeness.loc[(likeness["observer"] == PEOPLE) & (likeness["benchmark"] != ALL), "benchmark"].nunique()
    told = [f"{names.get(row['observer'], row['observer'])} ({row['mean_rank']:.1f})" for row in _records(ranked)]
    what = "one observer is" if len(told) == 1 else f"{len(told)} observers are"
    span = f"{told[0]} comes nearest to people" + (f", {told[-1]} least near" if len(told) > 1 else "")
    return [
        f"Over {_plural(benchmarks, 'benchmark')} that people answered, {what} ranked: {span} (mean rank; ranks have "
        f"no interval, so neighbours may well change places)."
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
    return _minus(f"{row['kappa']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]")


# Inside the networks


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
        several = _several(pairs)
        if first.empty:
            told = f"texture reads out better than shape at no stage of {_networks(observers, several)}"
        else:
            low, high = f"{first.min():.2f}", f"{first.max():.2f}"
            told = (
                f"texture reads out better than shape (intervals apart) in {len(first)} of "
                f"{_networks(observers, several)}, first at a depth of {low if low == high else f'{low} to {high}'} "
                "(0: the pixels, 1: the last stage)"
            )
        last = stages[stages["depth"] == stages.groupby("observer")["depth"].transform("max")]
        statement = f"On “{benchmark}” (n = {_count(table['images'])}), {told}."
        changed = [_last_stage(last[last["cue"] == cue], cue) for cue in ("texture", "shape")]
        if all(changed):
            statement += f" What the last stage holds, after {_treatment(TREATED)}: {'; '.join(changed)}."
        statements[str(benchmark)] = statement
    return statements


def _last_stage(rows: pd.DataFrame, cue: str) -> str:
    """Where one cue reads out better or worse after the treatment, with the widest change; "" without both."""
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue"])
    before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, TREATED))
    pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
    if pairs.empty:
        return ""
    higher = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    lower = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    rest = len(pairs) - higher - lower
    told = _counted((higher, "better in"), (lower, "worse in"), (rest, "intervals overlap in"))
    most = pairs.loc[(pairs["accuracy_after"] - pairs["accuracy"]).abs().idxmax()]
    return (
        f"{cue}: {told} of {_networks(len(pairs))} (most changed: {most['model']} "
        f"{_bounded(most, 'accuracy')} → {_bounded(most, 'accuracy', end='_after')})"
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
        networks = _networks(total, _several(start))
        told = []
        for cue, rows in kept.groupby("cue", sort=False):
            strongest = rows[rows["strength"] == rows["strength"].max()].dropna(subset=["relative"])
            if len(strongest):
                how = SUPPRESSION.get(str(cue), lambda strength: f"strength {strength:g}")(rows["strength"].max())
                ends = _ends(strongest, "relative", "relative_low", "relative_high")
                told.append(f"without {cue} ({how}), {ends}")
        qualified = total - len(few)
        statement = (
            f"On “{benchmark}” (n = {_count(table['images'])} photographs), {qualified} of {networks} "
            f"{'names' if qualified == 1 else 'name'} at least half of the untouched photographs."
        )
        if told:
            statement += f" Share of this accuracy that is left: {'; '.join(told)}."
        if len(few):
            statement += f" The others are left out, as so little cannot fall much: {_ends_of(few)}."
            gone = [regime for regime in regime_order(few["regime"].dropna()) if regime not in set(kept["regime"])]
            if gone:
                statement += f" No run of {_listed(gone)} qualifies."
        statements[str(benchmark)] = statement
    return statements


def _ends_of(few: pd.DataFrame) -> str:
    """Who is left out, with accuracies."""
    ordered = few.sort_values("accuracy", kind="stable")
    names = [f"{_called(row)} {row['accuracy']:.2f}" for row in _records(ordered)]
    return _listed(names)


# Answers


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
    told = [f"{_bounded(row, 'share')} (“{row['answer']}”, {_called(row)})" for row in ends]
    span = f"from {told[0]} to {told[1]}" if len(told) > 1 else told[0]
    return [
        f"The answer that a network gives most often takes this share of all its answers "
        f"(n = {_count(most['images'])}; {1 / 16:.2f} if answers were spread evenly): {span}."
    ]


# Melanoma


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
            told = _listed([f"{what} in {count}" for count, what in parts if count])
            clauses.append(f"{told} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} of {regime}")
        if clauses:
            statements.append(f"On “{benchmark}”, against ImageNet weights alone, ROC AUC is {'; '.join(clauses)}.")
        else:
            statements.append(
                f"On “{benchmark}”, no run has one beside it that started from ImageNet weights alone, so nothing "
                f"says what its start was worth."
            )
    return statements


# Words


def _records(table: pd.DataFrame) -> list[dict]:
    return table.to_dict("records")


def _change(row: pd.Series) -> str:
    return f"{_bounded(row, 'difference', '+.2f')} ({row['model']})"


def _bounded(
    row: Row,
    value: str,
    digits: str = ".2f",
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    end: str = "",
) -> str:
    """`0.30 [0.25, 0.35]`, or the value alone where there is no interval. end: of the columns' names."""
    low, high = (row[f"{name}{end}"] for name in bounds)
    if pd.isna(row[f"{value}{end}"]):
        return "undefined"
    interval = f" [{low:{digits}}, {high:{digits}}]" if pd.notna(low) and pd.notna(high) else ""
    return _minus(f"{row[f'{value}{end}']:{digits}}{interval}")


def _ends(rows: pd.DataFrame, value: str, low: str, high: str) -> str:
    """The lowest and the highest of a column, each with its interval and whose it is."""
    ordered = rows.dropna(subset=[value]).sort_values(value, kind="stable")
    if ordered.empty:
        return "undefined"
    places = (0, -1) if len(ordered) > 1 else (0,)
    told = [
        f"{_bounded(ordered.iloc[place], value, bounds=(low, high))} ({_called(ordered.iloc[place])})"
        for place in places
    ]
    return f"from {told[0]} to {told[1]}" if len(told) > 1 else told[0]


def _furthest(compared: pd.DataFrame) -> str:
    rows = compared.dropna(subset=["difference"]).sort_values("difference", kind="stable")
    bounds = ("difference_low", "difference_high")
    told = [
        f"{_bounded(row, 'difference', '+.2f', bounds=bounds)} ({_called(row)}, {row['benchmark']} {row['condition']})"
        for row in (rows.iloc[0], rows.iloc[-1])
    ]
    return f"from {told[0]} to {told[1]}" if len(rows) > 1 else told[0]


def _called(row: Row) -> str:
    """`vit sin`."""
    regime = row["regime"]
    return f"{row['model']} {'' if pd.isna(regime) else regime}".strip()


def _networks(count: int, several: bool = False) -> str:
    """`1 network`; several: whether each seed of a network counts."""
    return _plural(count, "run" if several else "network")


def _several(table: pd.DataFrame) -> bool:
    """Whether some network was trained with several seeds, each of which the table has rows of."""
    seeds = table.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    return bool((seeds > 1).any())


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _counted(*parts: tuple[int, str]) -> str:
    """What there is any of, each with its number after it."""
    return ", ".join(f"{what} {count:,}" for count, what in parts if count)


def _count(images: pd.Series) -> str:
    """`160`, or `80 to 160`."""
    return spanned(images.dropna()) if images.notna().any() else "0"


def _minus(numbers: str) -> str:
    return numbers.replace("-", "−")


def _each(pooled: pd.DataFrame) -> str:
    """Each bias with its interval; of many the lowest and the highest. pooled: with `name`, what to call each."""
    values = [f"{row['name']} {_bounded(row, 'shape_bias')}" for row in _records(pooled)]
    if len(values) == 1:
        return f"the shape bias of {pooled['name'].iloc[0]} is {_bounded(pooled.iloc[0], 'shape_bias')}."
    if len(values) <= MOST_NAMES:
        return f"the shape biases are: {', '.join(values)}." if values else ""
    order = pooled.assign(value=values).dropna(subset=["shape_bias"]).sort_values("shape_bias", kind="stable")["value"]
    if order.empty:
        return f"the shape biases of all {len(values)} networks are undefined."
    undefined = len(values) - len(order)
    rest = f"; {undefined} are undefined" if undefined else ""
    return f"the shape biases of {len(values)} networks range from {order.iloc[0]} to {order.iloc[-1]}{rest}."


def _runs(pooled: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(pooled["model"], pooled["regime"], strict=True))


def _number(bias: float) -> str:
    return f"{bias:.2f}" if np.isfinite(bias) else "undefined"


def _listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
