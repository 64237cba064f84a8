"""Sentences on the shape bias for the head of the report; `wording` states which claims they make."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from shapebias.report import wording
from shapebias.tables.summaries import BASELINE, PEOPLE, observer_kinds, order_regimes, pool_coverage

# Guessing names one of the two cues in 2 of 16 answers. Below twice that share, a bias rests mostly on guesses.
LOW_COVERAGE = 2 * 2 / 16
EFFECT_COLUMNS = ["model", "direction", "before", "after", "difference", "ci_low", "ci_high", "seeds"]
CHANGE_COLUMNS = [
    *["benchmark", "model", "seed", "baseline", "regime", "before", "after", "difference", "ci_low", "ci_high"],
    *["conflict_images", "reason"],
]
Tables = Mapping[str, pd.DataFrame]


def headline(tables: Tables, people: pd.DataFrame | None = None) -> list[str]:
    """Return one statement for each cue-conflict benchmark: the change in bias, other observers, and people."""
    statements = []
    for benchmark, pooled in tables["shape_bias_pooled"].groupby("benchmark", sort=False):
        pooled = pooled.assign(regime=pooled["regime"].fillna(""))
        runs = _run_sentence(tables, str(benchmark), pooled[pooled["kind"] == "run"])
        sentences = [runs, _pretrained_sentence(pooled[pooled["kind"] == "pretrained"])]
        sentences += [_decisions_sentence(pooled[pooled["kind"] == "decisions"])]
        sentences.append(_people_sentence(pooled[pooled["kind"] == PEOPLE], people))
        first, *rest = [text for text in sentences if text] or ["no observer was measured."]
        first = first[:1].lower() + first[1:]  # any of the sentences can come first
        statements.append(" ".join([f"On “{benchmark}”, {first}", *map(wording.capitalize, rest)]))
    return statements or ["No bias was measured: the tables hold no cue-conflict benchmark."]


def preferred_cue_finding(pooled: pd.DataFrame, benchmark: str) -> str:
    """Return a sentence that counts the networks whose 95 % interval lies below or above one half."""
    networks = pooled[(pooled["benchmark"] == benchmark) & (pooled["kind"] != PEOPLE)]
    texture, shape = int((networks["ci_high"] < 0.5).sum()), int((networks["ci_low"] > 0.5).sum())
    if networks.empty:
        return ""
    parts = ((texture, "by texture more often than by shape"), (shape, "by shape more often than by texture"))
    clauses = [f"{count} {'decides' if count == 1 else 'decide'} {preference}" for count, preference in parts if count]
    undefined = int(networks["ci_low"].isna().sum())
    rest = len(networks) - texture - shape - undefined
    if rest:
        clauses.append(f"{rest} {'shows' if rest == 1 else 'show'} no measurable preference")
    if undefined:
        clauses.append(f"the bias of {undefined} is undefined")
    return f"Of {wording.count_networks(len(networks))} (each model in each regime), {wording.join_names(clauses)}."


def bias_changes(shape_bias: pd.DataFrame, differences: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """Return the change in bias from the baseline to each regime: one row per run, paired with its baseline by seed.

    shape_bias, differences: the tables `shape_bias` and `shape_bias_differences`. The result has CHANGE_COLUMNS.
    `difference` is after minus before, paired by image, or NaN if `differences` does not hold the pair.
    """
    runs = shape_bias[observer_kinds(shape_bias) == "run"]
    differences_by_pair = {}
    for row in differences.to_dict("records"):
        first, second = row["observer_1"], row["observer_2"]
        low, high, difference = row["ci_low"], row["ci_high"], row["difference"]
        shared = (row["conflict_images"], row["reason"])
        differences_by_pair[row["benchmark"], first, second] = (difference, low, high, *shared)
        differences_by_pair[row["benchmark"], second, first] = (-difference, -high, -low, *shared)
    baselines = {
        (row["benchmark"], row["model"], row["seed"]): row for row in wording.records(runs[runs["regime"] == baseline])
    }
    rows = []
    for regime in order_regimes(runs["regime"]):
        for row in wording.records(runs[runs["regime"] == regime]):
            before = baselines.get((row["benchmark"], row["model"], row["seed"]))
            if before is None or regime == baseline:
                continue
            not_compared = (np.nan, np.nan, np.nan, np.nan, "not compared")
            difference = differences_by_pair.get((row["benchmark"], row["observer"], before["observer"]), not_compared)
            keys = (row["benchmark"], row["model"], row["seed"], baseline, regime)
            rows.append((*keys, before["shape_bias"], row["shape_bias"], *difference))
    return pd.DataFrame(rows, columns=CHANGE_COLUMNS)


def seed_directions(model_changes: pd.DataFrame, regime: str) -> pd.DataFrame:
    """Return for each model the direction of the change, and the means over seeds of before, after and difference.

    The direction is `up`, `down`, `unclear` or `undefined`. `up` and `down` need an interval that excludes 0, on the
    same side, in every seed. ci_low and ci_high are the lowest and the highest bound of all seeds.
    """
    rows = []
    for model, runs in model_changes[(model_changes["regime"] == regime)].groupby("model", sort=False):
        low, high = (runs[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
        means = runs[["before", "after", "difference"]].mean(skipna=False)
        rows.append((model, _change_direction(low.min(), high.max()), *means, low.min(), high.max(), len(runs)))
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS)


def regime_effects(tables: Tables, benchmark: str, regime: str, baseline: str = BASELINE) -> pd.DataFrame:
    """Return the effect of a regime on the bias of each model over all seeds, as rows of EFFECT_COLUMNS.

    The difference comes from `shape_bias_differences_pooled`; its interval also reflects the sample of seeds. If that
    table lacks the pair, the result of `seed_directions` stands instead.
    """
    model_changes = bias_changes(tables["shape_bias"], tables["shape_bias_differences"], baseline)
    effects = seed_directions(model_changes[model_changes["benchmark"] == benchmark], regime).set_index("model")
    pairs = tables["shape_bias_differences_pooled"]
    pooled = tables["shape_bias_pooled"]
    biases = pooled[pooled["benchmark"] == benchmark].set_index(["model", "regime"])["shape_bias"].to_dict()
    for row in wording.records(pairs[(pairs["benchmark"] == benchmark) & (pairs["model_1"] == pairs["model_2"])]):
        model, difference, low, high = (row[name] for name in ("model_1", "difference", "ci_low", "ci_high"))
        if (row["regime_1"], row["regime_2"]) == (baseline, regime):
            difference, low, high = -difference, -high, -low
        elif (row["regime_2"], row["regime_1"]) != (baseline, regime):
            continue
        before, after = (biases.get((model, name), np.nan) for name in (baseline, regime))
        effects.loc[model] = (_change_direction(low, high), before, after, difference, low, high, row["seeds"])
    return effects.rename_axis("model").reset_index()


def _change_direction(low: float, high: float) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "undefined"
    return "up" if low > 0 else "down" if high < 0 else "unclear"


def change_findings(tables: Tables, benchmark: str) -> dict[str, str]:
    """Return regime → sentence that counts the directions of change and gives the range of differences."""
    model_changes = bias_changes(tables["shape_bias"], tables["shape_bias_differences"])
    statements = {}
    for regime in order_regimes(model_changes["regime"][model_changes["benchmark"] == benchmark]):
        effects = regime_effects(tables, benchmark, regime)
        direction_counts = effects["direction"].value_counts()
        counts = wording.list_counts(
            (direction_counts.get("up", 0), "towards shape in"),
            (direction_counts.get("down", 0), "towards texture in"),
            (direction_counts.get("unclear", 0), "without a measurable change in"),
            (direction_counts.get("undefined", 0), "undefined in"),
        )
        defined = effects[effects["direction"] != "undefined"].sort_values("difference")
        span = ""
        if len(defined) == 1:
            span = f": {wording.format_change(defined.iloc[0])}"
        elif len(defined):
            span = f": from {wording.format_change(defined.iloc[0])} to {wording.format_change(defined.iloc[-1])}"
        statements[regime] = (
            f"{wording.capitalize(wording.describe_regime(regime))}: {counts} of "
            f"{wording.count_networks(len(effects))}{span}."
        )
    return statements


def cautions(tables: Tables) -> list[str]:
    """Return the warnings that belong to the headline: single seeds, and biases that rest on few answers."""
    notes = []
    shape_bias = tables["shape_bias"]
    seeds = shape_bias.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds) and seeds.min() == 1:
        notes.append(
            "At least one network was trained only once, so its intervals reflect the sample of test images, not "
            "run-to-run variation."
        )
    for benchmark, table in tables["cue_accuracy"].groupby("benchmark", sort=False):
        low_coverage = pool_coverage(table).query("coverage < @LOW_COVERAGE")
        low_rows = zip(low_coverage["model"], low_coverage["regime"], low_coverage["coverage"], strict=True)
        names = [f"{f'{model} {regime}'.strip()} ({100 * coverage:.0f} %)" for model, regime, coverage in low_rows]
        if names:
            notes.append(
                f"On “{benchmark}”, fewer than 1 in 4 answers of some networks name either cue (chance: "
                f"{100 * 2 / 16} %). Their biases mean little: {wording.join_names(names)}."
            )
    return notes


def category_findings(by_category: pd.DataFrame, benchmark: str) -> str:
    """Return a sentence that compares intervals after stylized training with the baseline, category by category.

    The sentence is empty unless both regimes have runs.
    """
    rows = by_category[by_category["benchmark"] == benchmark]
    rows = rows[observer_kinds(rows) == "run"]
    keys = ["model", "seed", "category"]
    before, after = (rows[rows["regime"] == regime] for regime in (BASELINE, wording.TREATED))
    pairs = before.merge(after, on=keys, suffixes=("", "_after"))
    if pairs.empty:
        return ""
    above = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    below = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    undefined = int(pairs[["ci_low", "ci_low_after"]].isna().any(axis=1).sum())
    rest = len(pairs) - above - below - undefined
    counts = wording.list_counts(
        (above, "above in"), (below, "below in"), (rest, "overlapping in"), (undefined, "undefined in")
    )
    return (
        f"Category by category, the interval after {wording.describe_regime(wording.TREATED)}, compared with the "
        f"baseline interval, is {counts} of {len(pairs):,} comparisons (each of one run in one category)."
    )


def _run_sentence(tables: Tables, benchmark: str, pooled: pd.DataFrame) -> str:
    regimes = order_regimes(pooled["regime"])
    other_regimes = [regime for regime in regimes if regime != BASELINE]
    if BASELINE not in regimes or not other_regimes:
        return wording.describe_biases(pooled.assign(name=pooled["model"] + " (" + pooled["regime"] + ")"))
    treated = wording.TREATED if wording.TREATED in other_regimes else other_regimes[0]
    effects = regime_effects(tables, benchmark, treated).dropna(subset=["before", "after"])
    sentence = _effect_sentence(effects[effects["direction"] != "undefined"], treated)
    not_compared = list(effects["model"][effects["direction"] == "undefined"])
    other_ranges = ", ".join(_regime_range(pooled, regime) for regime in other_regimes if regime != treated)
    undefined = [
        f"{model} {regime}" for model, regime in wording.model_regime_pairs(pooled[pooled["shape_bias"].isna()])
    ]
    if other_ranges:
        sentence += f" Other regimes: {other_ranges}."
    if not_compared:
        sentence += f" Bias before and after was not compared for {wording.join_names(not_compared)}."
    if undefined:
        sentence += f" The bias is undefined because no answer named a cue: {wording.join_names(undefined)}."
    return sentence.strip()


def _effect_sentence(effects: pd.DataFrame, treated: str) -> str:
    if effects.empty:
        return ""
    counts = effects["direction"].value_counts()
    risen, fallen, unclear = (int(counts.get(direction, 0)) for direction in ("up", "down", "unclear"))
    ordered = effects if len(effects) <= wording.MAX_NAMES else effects.sort_values("difference").iloc[[0, -1]]
    changes = [
        f"{row['model']} {row['before']:.2f} → {row['after']:.2f}, {wording.format_estimate(row, 'difference', '+.2f')}"
        for row in wording.records(ordered)
    ]
    values = "; ".join(changes) if len(effects) <= wording.MAX_NAMES else f"from {changes[0]} to {changes[1]}"
    networks = "the one network" if len(effects) == 1 else f"{len(effects)} networks"
    treatment = wording.describe_regime(treated)
    if unclear == len(effects):
        target = networks if len(effects) == 1 else f"any of {networks}"
        return (
            f"{treatment} did not measurably change the shape bias of {target}: every interval includes 0 ({values})."
        )

    def count_phrase(moved_count: int) -> str:
        if len(effects) == 1:
            return networks
        return f"all {networks}" if moved_count == len(effects) else f"{moved_count} of {networks}"

    clauses = []
    if risen:
        clauses.append(f"moved the shape bias of {count_phrase(risen)} towards shape")
    if fallen:
        target = "that" if risen else "the shape bias"
        clauses.append(f"moved {target} of {count_phrase(fallen)} towards texture")
    if unclear:
        clauses.append(f"did not measurably change that of {unclear}")
    return f"{treatment} {', and '.join(clauses)} ({values})."


def _regime_range(pooled: pd.DataFrame, regime: str) -> str:
    rows = pooled[pooled["regime"] == regime].dropna(subset=["shape_bias"]).sort_values("shape_bias")
    if rows.empty:
        return f"{regime} undefined"
    ends = [wording.format_estimate(rows.iloc[place], "shape_bias") for place in (0, -1)]
    return f"{regime} {ends[0]}" if len(rows) == 1 else f"{regime} {ends[0]} to {ends[1]}"


def _pretrained_sentence(pooled: pd.DataFrame) -> str:
    text = wording.describe_biases(pooled.assign(name=pooled["model"]))
    return f"among networks not trained here, {text}" if text else ""


def _decisions_sentence(pooled: pd.DataFrame) -> str:
    text = wording.describe_biases(pooled.assign(name=pooled["model"]))
    return f"from recorded decisions, {text}" if text else ""


def _people_sentence(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    if len(pooled):
        return f"people on the same images: {wording.format_estimate(pooled.iloc[0], 'shape_bias')}."
    if reference is None:
        return ""
    shape, texture = reference["shape_hits"].sum(), reference["texture_hits"].sum()
    return f"people: {wording.format_bias(shape / (shape + texture))} on the published stimuli."
