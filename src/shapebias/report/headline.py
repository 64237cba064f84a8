"""What the tables say of the shape bias, in sentences; see findings_words for what they may claim."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from shapebias.report import wording as words
from shapebias.tables.summaries import BASELINE, PEOPLE, observer_kinds, order_regimes, pool_coverage

# Guessing names one of the two cues in 2 of 16 answers. Below twice that, a bias rests mostly on guesses.
LOW_COVERAGE = 2 * 2 / 16
VERDICT_COLUMNS = ["model", "direction", "before", "after", "difference", "ci_low", "ci_high", "seeds"]
CHANGE_COLUMNS = [
    *["benchmark", "model", "seed", "baseline", "regime", "before", "after", "difference", "ci_low", "ci_high"],
    *["conflict_images", "reason"],
]
Tables = Mapping[str, pd.DataFrame]


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
        statements.append(" ".join([f"On “{benchmark}”, {first}", *map(words.capital, others)]))
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
    return f"Of {words.networks(len(networks))} (each model in each regime), {words.listed(told)}."


def changes(shape_bias: pd.DataFrame, differences: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """What each regime did to the bias of a model, paired by image: one row a run beside the baseline's of its seed.

    shape_bias, differences: the tables of these names. Returns CHANGE_COLUMNS, `difference` being after minus before;
    NaN where the table of differences has no such pair.
    """
    runs = shape_bias[observer_kinds(shape_bias) == "run"]
    known = {}
    for row in differences.to_dict("records"):
        one, other = row["observer_1"], row["observer_2"]
        low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
        known[row["benchmark"], one, other] = (difference, low, high, row["conflict_images"], row["reason"])
        known[row["benchmark"], other, one] = (-difference, -high, -low, row["conflict_images"], row["reason"])
    first = {
        (row["benchmark"], row["model"], row["seed"]): row for row in words.records(runs[runs["regime"] == baseline])
    }
    rows = []
    for regime in order_regimes(runs["regime"]):
        for row in words.records(runs[runs["regime"] == regime]):
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
    for row in words.records(pairs[(pairs["benchmark"] == benchmark) & (pairs["model_1"] == pairs["model_2"])]):
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
    for regime in order_regimes(moves["regime"][moves["benchmark"] == benchmark]):
        found = effects(tables, benchmark, regime)
        counts = found["direction"].value_counts()
        told = words.counted(
            (counts.get("up", 0), "towards shape in"),
            (counts.get("down", 0), "towards texture in"),
            (counts.get("unclear", 0), "without a measurable change in"),
            (counts.get("undefined", 0), "undefined in"),
        )
        defined = found[found["direction"] != "undefined"].sort_values("difference")
        span = ""
        if len(defined) == 1:
            span = f": {words.change(defined.iloc[0])}"
        elif len(defined):
            span = f": from {words.change(defined.iloc[0])} to {words.change(defined.iloc[-1])}"
        statements[regime] = f"{words.capital(words.treatment(regime))}: {told} of {words.networks(len(found))}{span}."
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
                f"biases say little: {words.listed(names)}."
            )
    return notes


def category_findings(by_category: pd.DataFrame, benchmark: str) -> str:
    """In how many categories the intervals of the treated runs lie above those of the baseline; "" without both."""
    rows = by_category[by_category["benchmark"] == benchmark]
    rows = rows[observer_kinds(rows) == "run"]
    keys = ["model", "seed", "category"]
    before, after = (rows[rows["regime"] == regime] for regime in (BASELINE, words.TREATED))
    pairs = before.merge(after, on=keys, suffixes=("", "_after"))
    if pairs.empty:
        return ""
    above = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    below = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    undefined = int(pairs[["ci_low", "ci_low_after"]].isna().any(axis=1).sum())
    rest = len(pairs) - above - below - undefined
    told = words.counted(
        (above, "above in"), (below, "below in"), (rest, "overlapping in"), (undefined, "undefined in")
    )
    return (
        f"Category by category, the interval after {words.treatment(words.TREATED)} against the one before: {told} of "
        f"{len(pairs):,} comparisons (a run and a category each)."
    )


def _of_runs(tables: Tables, benchmark: str, pooled: pd.DataFrame) -> str:
    regimes = order_regimes(pooled["regime"])
    others = [regime for regime in regimes if regime != BASELINE]
    if BASELINE not in regimes or not others:
        return words.each(pooled.assign(name=pooled["model"] + " (" + pooled["regime"] + ")"))
    treated = words.TREATED if words.TREATED in others else others[0]
    found = effects(tables, benchmark, treated).dropna(subset=["before", "after"])
    sentence = _effect(found[found["direction"] != "undefined"], treated)
    apart = list(found["model"][found["direction"] == "undefined"])
    rest = ", ".join(_range(pooled, regime) for regime in others if regime != treated)
    undefined = [f"{model} {regime}" for model, regime in words.runs(pooled[pooled["shape_bias"].isna()])]
    if rest:
        sentence += f" Other regimes: {rest}."
    if apart:
        sentence += f" Before and after are not compared for {words.listed(apart)}."
    if undefined:
        sentence += f" Undefined, as no answer named a cue: {words.listed(undefined)}."
    return sentence.strip()


def _effect(found: pd.DataFrame, treated: str) -> str:
    if found.empty:
        return ""
    counts = found["direction"].value_counts()
    risen, fallen, unclear = (int(counts.get(direction, 0)) for direction in ("up", "down", "unclear"))
    ordered = found if len(found) <= words.MOST_NAMES else found.sort_values("difference").iloc[[0, -1]]
    moves = [
        f"{row['model']} {row['before']:.2f} → {row['after']:.2f}, {words.bounded(row, 'difference', '+.2f')}"
        for row in words.records(ordered)
    ]
    values = "; ".join(moves) if len(found) <= words.MOST_NAMES else f"from {moves[0]} to {moves[1]}"
    networks = "the one network" if len(found) == 1 else f"{len(found)} networks"
    what = words.treatment(treated)
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


def _range(pooled: pd.DataFrame, regime: str) -> str:
    rows = pooled[pooled["regime"] == regime].dropna(subset=["shape_bias"]).sort_values("shape_bias")
    if rows.empty:
        return f"{regime} undefined"
    ends = [words.bounded(rows.iloc[place], "shape_bias") for place in (0, -1)]
    return f"{regime} {ends[0]}" if len(rows) == 1 else f"{regime} {ends[0]} to {ends[1]}"


def _of_pretrained(pooled: pd.DataFrame) -> str:
    text = words.each(pooled.assign(name=pooled["model"]))
    return f"without training here, {text}" if text else ""


def _of_decisions(pooled: pd.DataFrame) -> str:
    text = words.each(pooled.assign(name=pooled["model"]))
    return f"from recorded decisions, {text}" if text else ""


def _of_people(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    if len(pooled):
        return f"people, who saw the same images: {words.bounded(pooled.iloc[0], 'shape_bias')}."
    if reference is None:
        return ""
    shape, texture = reference["shape_hits"].sum(), reference["texture_hits"].sum()
    return f"people: {words.number(shape / (shape + texture))}, on the published stimuli."
