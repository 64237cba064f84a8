"""The head of the report: one plain sentence, a few large numbers, and the cautions that belong to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.report import wording
from shapebias.report.effects import Effect, Tables, all_effects, mean_answers, regime_effects
from shapebias.tables.summaries import PEOPLE, observer_kinds, pool_accuracy

LARGEST_SMALL_NETWORK = 2_000_000  # weights; the smallest networks of the field have three times as many


@dataclass(frozen=True)
class KeyNumber:
    """A large number of the head, with what it is and a note on its range."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """The head of the report."""

    statement: str
    numbers: list[KeyNumber] = field(default_factory=list)


def headline(tables: Tables, regimes: Regimes, people: pd.DataFrame | None = None) -> Headline:
    """Return the head for the first cue-conflict benchmark. It claims an effect of training only if there was one."""
    benchmarks = list(dict.fromkeys(tables["shape_bias_pooled"]["benchmark"]))
    if not benchmarks:
        return Headline("No bias was measured: the tables hold no cue-conflict benchmark.")
    benchmark = str(benchmarks[0])
    if unreadable := unreadable_cues(tables, benchmark):
        return Headline(unreadable)
    treatment = regimes.treatment
    effects = regime_effects(tables, benchmark, treatment, str(regimes.baseline(treatment))) if treatment else []
    if treatment and effects:
        return Headline(
            wording.capitalize(effect_sentence(effects, f"after {regimes.describe_training(treatment)}, ")),
            effect_numbers(tables, benchmark, effects, treatment, regimes),
        )
    return Headline(
        " ".join(observer_findings(tables, benchmark, people)[:1]), observer_numbers(tables, benchmark, people)
    )


def unreadable_cues(tables: Tables, benchmark: str) -> str:
    """Return why the answers to a benchmark are no shape bias: nobody reads one of its cues. Return "" otherwise.

    People decide by shape, so people alone do not show whether the texture can be read.
    """
    pooled = tables["shape_bias_pooled"]
    if (pooled[pooled["benchmark"] == benchmark]["kind"] == PEOPLE).all():
        return ""
    rows = tables["benchmarks"][tables["benchmarks"]["benchmark"] == benchmark]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    if row["readable"] in ("both", "") or pd.isna(row["readable"]) or row["origin"] == "published":
        return ""
    missing = [cue for cue in ("texture", "shape") if row["readable"] not in ("both", cue)]
    best = [
        f"the most answers that name the {cue} are {_percent(row[f'{cue}_accuracy'])} ({row[f'{cue}_observer']})"
        for cue in missing
        if pd.notna(row[f"{cue}_accuracy"])
    ]
    cues = " or the ".join(missing)
    return (
        f"The answers to “{benchmark}” are no measure of shape bias: no observer here reads the {cues} of its images. "
        f"{wording.capitalize('; '.join(best))}; guessing gives {_chance(row['chance'])}. Use images that carry "
        "both cues, such as the published stimuli."
    )


# The effect of training on stylized images


def effect_sentence(effects: Sequence[Effect], opening: str = "") -> str:
    """Return one sentence that counts the directions of change."""
    total = len(effects)
    counts = {name: sum(effect.direction == name for effect in effects) for name in DIRECTIONS}
    clauses = [
        f"{_subject(count, total, first=not position)} {_verb(name, count)}"
        for position, (name, count) in enumerate((name, count) for name, count in counts.items() if count)
    ]
    return f"{opening}{'; '.join(clauses)}."


def _other_changes(cue: str, other_cue: str, change: str) -> dict[str, tuple[str, str]]:
    """Return the verbs for a bias that moves towards a cue whose answers do not rise beyond guessing, or do not rise.

    cue: the cue that the bias moves towards. other_cue: the other one. change: `higher` or `lower`.
    """
    verbs = {}
    for ending, limit in (("guessing", "than by guessing"), ("before", "than before")):
        verbs[f"less {other_cue} ({ending})"] = (
            f"names the {other_cue} less often, but the {cue} not more often {limit}",
            f"name the {other_cue} less often, but the {cue} not more often {limit}",
        )
        rest = (
            f"a {change} bias, but the {cue} is not named more often {limit}, nor the {other_cue} measurably less often"
        )
        verbs[f"{change} bias ({ending})"] = (f"has {rest}", f"have {rest}")
    return verbs


DIRECTIONS: Mapping[str, tuple[str, str]] = {
    "shape": ("turns towards shape", "turn towards shape"),
    **_other_changes("shape", "texture", "higher"),
    "texture": ("turns towards texture", "turn towards texture"),
    **_other_changes("texture", "shape", "lower"),
    "unclear": ("does not measurably change its bias", "do not measurably change their bias"),
    "undefined": ("cannot be compared", "cannot be compared"),
}


def _verb(direction: str, count: int) -> str:
    return DIRECTIONS[direction][count > 1]


def _subject(count: int, total: int, *, first: bool) -> str:
    if total == 1:
        return "the network"
    if not first:
        return str(count)
    if count == total:
        return "both networks" if total == 2 else f"all {total} networks"
    return f"{count} of {total} networks"


def describe_effect(effect: Effect) -> str:
    """Return what moved in one network, as in `vit: bias 0.30 → 0.60; shape answers 9 % → 31 %, texture …`.

    The interval stands without the estimate of the change, which need not be the difference of the rounded biases.
    """
    if effect.direction == "undefined":
        change = f"not compared: {effect.reason or 'the difference is undefined'}"
    else:
        change = wording.typeset_minus(f"change by {effect.low:+.2f} to {effect.high:+.2f}, 95 % interval")
    shape, texture = (f"{_percent(cue.before)} → {_percent(cue.after)}" for cue in (effect.shape, effect.texture))
    return (
        f"{effect.model}: bias {wording.format_bias(effect.before)} → {wording.format_bias(effect.after)} ({change}); "
        f"shape answers {shape}, texture answers {texture}"
    )


def effect_findings(tables: Tables, benchmark: str, regimes: Regimes) -> dict[str, list[str]]:
    """Return regime → a sentence that counts the directions of change, then a line for each network."""
    findings = {}
    for regime, effects in all_effects(tables, benchmark, regimes).items():
        baseline = regimes.label(str(regimes.baseline(regime)))
        opening = f"after {regimes.describe_training(regime)} (compared with {baseline}), "
        lines = [describe_effect(effect) for effect in effects[: wording.MAX_NAMES]]
        rest = len(effects) - len(lines)
        guessing = f"Guessing names each cue in {_chance(effects[0].chance)} of answers and has a bias of 0.5."
        findings[regime] = [
            wording.capitalize(effect_sentence(effects, opening)) + f" {guessing}",
            *lines,
            *([f"{rest} more networks are in the table."] if rest else []),
        ]
    return findings


def effect_numbers(
    tables: Tables, benchmark: str, effects: Sequence[Effect], treatment: str, regimes: Regimes
) -> list[KeyNumber]:
    """Return bias, shape answers, coverage and accuracy before and after training, as means over the networks."""
    defined = [effect for effect in effects if effect.direction != "undefined"]
    if not defined:
        return []
    baseline = str(regimes.baseline(treatment))
    names = f"{regimes.label(baseline)} → {regimes.label(treatment)}"
    networks = f"mean of {len(defined)} networks" if len(defined) > 1 else defined[0].model
    chance = defined[0].chance
    answers = mean_answers(tables["cue_accuracy"], benchmark)
    models = {effect.model for effect in defined}
    coverage = [_values(answers, regime, models, "coverage_accuracy") for regime in (baseline, treatment)]
    shape = [[getattr(effect.shape, end) for effect in defined] for end in ("before", "after")]
    bias = [[getattr(effect, end) for effect in defined] for end in ("before", "after")]
    numbers = [
        KeyNumber(
            _arrow(bias, wording.format_bias),
            f"shape bias, {networks}",
            f"{names}; {_spans(bias, wording.format_bias)}",
        ),
        KeyNumber(
            _arrow(shape, _percent),
            f"answers that name the shape (guessing: {_chance(chance)})",
            _spans(shape, _percent),
        ),
        KeyNumber(
            _arrow(coverage, _percent),
            f"answers that name shape or texture (guessing: {_chance(2 * chance)})",
            _spans(coverage, _percent),
        ),
    ]
    kinds = tables["benchmarks"].set_index("benchmark")["kind"].to_dict()
    accuracy = tables["accuracy"][tables["accuracy"]["unit"] == "category"]
    for name, rows in accuracy.groupby("benchmark", sort=False):
        if kinds.get(name) == "in_test":
            pooled = pool_accuracy(rows)
            values = [_values(pooled, regime, models, "accuracy") for regime in (baseline, treatment)]
            if all(values):
                label = f"accuracy on {regimes.noun} (chance: {_chance(float(pooled['chance'].iloc[0]))})"
                numbers.append(KeyNumber(_arrow(values, _percent), label, _spans(values, _percent)))
            break
    return numbers


def _values(table: pd.DataFrame, regime: str, models: set[str], column: str) -> list[float]:
    rows = table[(table["regime"] == regime) & table["model"].isin(models)]
    return [float(value) for value in rows[column].dropna()]


def _arrow(ends: Sequence[Sequence[float]], form: Any) -> str:
    return " → ".join(form(sum(values) / len(values)) for values in ends)


def _spans(ends: Sequence[Sequence[float]], form: Any) -> str:
    """Return the range of the networks before and after; "" for one network."""
    if len(ends[0]) < 2:
        return ""
    spans = [f"{form(min(values))} to {form(max(values))}" for values in ends]
    return f"networks: {spans[0]} → {spans[1]}"


def _percent(share: float) -> str:
    return "undefined" if pd.isna(share) else f"{100 * share:.0f} %"


def _chance(share: float) -> str:
    return f"{100 * share:.3g} %"


# Observers without a comparison of regimes


def observer_findings(tables: Tables, benchmark: str, people: pd.DataFrame | None = None) -> list[str]:
    """Return sentences on the preference and the biases of all observers of a benchmark, however they were trained."""
    pooled = tables["shape_bias_pooled"]
    pooled = pooled[pooled["benchmark"] == benchmark].assign(regime=lambda rows: rows["regime"].fillna(""))
    if (pooled["kind"] == PEOPLE).all() and len(pooled):
        bias = wording.format_estimate(pooled.iloc[0], "shape_bias")
        return [f"On “{benchmark}”, only people were measured: their shape bias is {bias}."]
    sentences = [preferred_cue_finding(tables["shape_bias_pooled"], benchmark)]
    names = pooled["model"] + pooled["regime"].map(lambda regime: f" {regime}" if regime else "")
    networks = pooled.assign(name=names)[pooled["kind"] != PEOPLE]
    sentences.append(wording.describe_biases(networks))
    sentences.append(_people_sentence(pooled[pooled["kind"] == PEOPLE], people))
    return [wording.capitalize(text) for text in sentences if text] or ["No observer was measured."]


def observer_numbers(tables: Tables, benchmark: str, people: pd.DataFrame | None = None) -> list[KeyNumber]:
    """Return the bias and the coverage of the networks, and the bias of people."""
    pooled = tables["shape_bias_pooled"]
    pooled = pooled[pooled["benchmark"] == benchmark]
    networks = pooled[pooled["kind"] != PEOPLE].dropna(subset=["shape_bias"])
    answers = mean_answers(tables["cue_accuracy"], benchmark)
    coverage = answers[answers["kind"] != PEOPLE]["coverage_accuracy"].dropna()
    numbers = []
    for values, label, form in (
        (networks["shape_bias"], "shape bias", wording.format_bias),
        (coverage, "answers that name shape or texture", _percent),
    ):
        if len(values):
            low, high = form(float(values.min())), form(float(values.max()))
            span = low if low == high else f"{low} to {high}"
            guessing = f" (guessing: {_chance(2 * float(answers['chance'].iloc[0]))})" if values is coverage else ""
            numbers.append(KeyNumber(span, f"{label}{guessing}, {wording.pluralize(len(values), 'observer')}"))
    measured = pooled[pooled["kind"] == PEOPLE].dropna(subset=["shape_bias"])
    if len(measured):
        numbers.append(
            KeyNumber(
                wording.format_bias(float(measured["shape_bias"].iloc[0])), "shape bias of people, on the same images"
            )
        )
    elif people is not None:
        numbers.append(
            KeyNumber(wording.format_bias(_published_bias(people)), "shape bias of people, on the published stimuli")
        )
    return numbers


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
    if len(networks) in (texture, shape):
        subject = {1: "the only observer decides", 2: "both observers decide"}.get(
            len(networks), f"all {len(networks)} observers decide"
        )
        return f"On “{benchmark}”, {subject} {parts[0 if texture else 1][1]}."
    if rest:
        clauses.append(f"{rest} {'shows' if rest == 1 else 'show'} no measurable preference")
    if undefined:
        clauses.append(f"the bias of {undefined} is undefined")
    return f"On “{benchmark}”, of {wording.pluralize(len(networks), 'observer')}, {wording.join_names(clauses)}."


def category_findings(by_category: pd.DataFrame, benchmark: str, regimes: Regimes) -> str:
    """Return a sentence that compares intervals after the treatment with the baseline, category by category.

    The sentence is empty unless both regimes have runs.
    """
    if regimes.treatment is None:
        return ""
    rows = by_category[by_category["benchmark"] == benchmark]
    rows = rows[observer_kinds(rows) == "run"]
    keys = ["model", "seed", "category"]
    before, after = (
        rows[rows["regime"] == regime] for regime in (regimes.baseline(regimes.treatment), regimes.treatment)
    )
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
        f"Category by category, the interval after {regimes.describe_training(regimes.treatment)}, compared with the "
        f"baseline interval, is {counts} of {len(pairs):,} comparisons (each of one run in one category)."
    )


def _people_sentence(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    if len(pooled):
        return f"people on the same images: {wording.format_estimate(pooled.iloc[0], 'shape_bias')}."
    if reference is None:
        return ""
    return f"people: {wording.format_bias(_published_bias(reference))} on the published stimuli."


def _published_bias(people: pd.DataFrame) -> float:
    shape, texture = people["shape_hits"].sum(), people["texture_hits"].sum()
    return float(shape / (shape + texture))


# Cautions


def cautions(tables: Tables, regimes: Regimes) -> list[str]:
    """Return the warnings that belong to the head: small networks, drawings, single seeds, answers by guessing."""
    notes = [_scale_note(tables["runs"], regimes)]
    shape_bias = tables["shape_bias"]
    seeds = shape_bias.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds) and seeds.min() == 1:
        subject, owner = ("Each network", "the") if seeds.max() == 1 else ("At least one network", "its")
        notes.append(
            f"{subject} was trained once, so {owner} intervals reflect the sample of test images, not run-to-run "
            "variation."
        )
    for benchmark in dict.fromkeys(tables["cue_accuracy"]["benchmark"]):
        answers = mean_answers(tables["cue_accuracy"], str(benchmark))
        guessers = answers[
            (answers["kind"] != PEOPLE) & answers["corrected_bias"].isna() & answers["coverage_accuracy"].notna()
        ]
        if len(guessers):
            names = [
                f"{row['model']} {regimes.label(row['regime'])}".strip() + f" ({_percent(row['coverage_accuracy'])})"
                for row in wording.records(guessers)
            ]
            guessing = _chance(2 * float(guessers["chance"].iloc[0]))
            notes.append(
                f"On “{benchmark}”, some networks do not name shape or texture more often than by guessing "
                f"({guessing}), so their biases mean nothing: {wording.join_names(names)}."
            )
    return [note for note in notes if note]


def _scale_note(runs: pd.DataFrame, regimes: Regimes) -> str:
    """Return a note on drawn images and small networks, from the config and the runs."""
    parts = []
    if regimes.noun != "photographs":
        parts.append(f"The images are {regimes.noun} made by code, not photographs.")
    sizes = runs["parameters"].dropna().astype(float) if "parameters" in runs else pd.Series(dtype=float)
    if len(sizes) and sizes.max() <= LARGEST_SMALL_NETWORK:
        low, high = (f"{size / 1e6:.2g}" for size in (sizes.min(), sizes.max()))
        span = low if low == high else f"{low} to {high}"
        parts.append(f"The networks trained here are small: {span} million weights; a ResNet-50 has 25.6 million.")
    if parts:
        others = "photographs" if regimes.noun != "photographs" else "networks of the usual size"
        parts.append(f"The study shows how the method works. It says nothing about {others}.")
    return " ".join(parts)
