"""What the tables say, in sentences that claim no more than they hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shapebias.summaries import PEOPLE, pool_bias, pool_coverage, regime_order

BASELINE, TREATED = "in", "sin"
# Guessing names one of the two cues in 2 of 16 answers. Below twice that, a bias rests mostly on guesses.
LOW_COVERAGE = 2 * 2 / 16


def headline(shape_bias: pd.DataFrame, people: pd.DataFrame | None = None) -> list[str]:
    """One statement for each benchmark of cue conflict: did training move the bias, and where are people?

    A move is claimed only where the 95 % intervals of the two regimes do not overlap.
    """
    statements = []
    for benchmark, table in shape_bias.groupby("benchmark", sort=False):
        pooled = pool_bias(table)
        found = [_of_runs(pooled[pooled["kind"] == "run"]), _of_pretrained(pooled[pooled["kind"] == "pretrained"])]
        found.append(_of_people(pooled[pooled["kind"] == PEOPLE], people))
        first, *others = [text for text in found if text] or ["no observer was measured."]
        statements.append(" ".join([f"On “{benchmark}”, {first}", *map(_capital, others)]))
    return statements or ["No bias was measured: the tables hold no benchmark of cue conflict."]


def cautions(shape_bias: pd.DataFrame, cue_accuracy: pd.DataFrame) -> list[str]:
    """What a reader must know before trusting the headline."""
    notes = []
    seeds = shape_bias.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds) and seeds.min() == 1:
        notes.append(
            "One seed a run: the intervals cover the choice of test images, not how training might have gone otherwise."
        )
    for benchmark, table in cue_accuracy.groupby("benchmark", sort=False):
        low = pool_coverage(table).query("coverage < @LOW_COVERAGE")
        named = zip(low["model"], low["regime"], low["coverage"], strict=True)
        names = [f"{f'{model} {regime}'.strip()} ({100 * coverage:.0f} %)" for model, regime, coverage in named]
        if names:
            notes.append(
                f"On “{benchmark}”, few answers name either cue, hardly more than guessing would "
                f"({100 * 2 / 16} %); these biases say little: {_listed(names)}."
            )
    return notes


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


def _of_runs(pooled: pd.DataFrame) -> str:
    regimes = regime_order(pooled["regime"])
    others = [regime for regime in regimes if regime != BASELINE]
    if BASELINE not in regimes or not others:
        return _each([f"{model} ({regime})" for model, regime in _runs(pooled)], pooled["shape_bias"])
    treated = TREATED if TREATED in others else others[0]
    pairs = pooled[pooled["regime"] == BASELINE].merge(
        pooled[pooled["regime"] == treated], on="model", suffixes=("", "_after")
    )
    defined = pairs.dropna(subset=["shape_bias", "shape_bias_after"])
    sentence = _effect(defined, treated)
    rest = ", ".join(_range(pooled, regime) for regime in others if regime != treated)
    undefined = [f"{model} {regime}" for model, regime in _runs(pooled[pooled["shape_bias"].isna()])]
    if rest:
        sentence += f" Other regimes: {rest}."
    if undefined:
        sentence += f" Undefined, as no answer named a cue: {_listed(undefined)}."
    return sentence.strip()


def _effect(pairs: pd.DataFrame, treated: str) -> str:
    if pairs.empty:
        return ""
    risen = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    fallen = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    unclear = len(pairs) - risen - fallen
    training = (
        "training on stylized images" if treated == TREATED else f"the regime {treated}, compared with {BASELINE},"
    )
    moves = zip(pairs["model"], pairs["shape_bias"], pairs["shape_bias_after"], strict=True)
    values = ", ".join(f"{model} {before:.2f} → {after:.2f}" for model, before, after in moves)
    networks = "the one network" if len(pairs) == 1 else f"{len(pairs)} networks"
    if unclear == len(pairs):
        whose = networks if len(pairs) == 1 else f"any of {networks}"
        return f"{training} did not measurably change the shape bias of {whose}: 95 % intervals overlap ({values})."

    def moved(count: int) -> str:
        return networks if len(pairs) == 1 else f"{count} of {networks}"

    clauses = []
    if risen:
        clauses.append(f"moved the shape bias of {moved(risen)} towards shape")
    if fallen:
        clauses.append(f"moved that of {moved(fallen)} towards texture")
    if unclear:
        clauses.append(f"did not measurably change that of {unclear}, whose 95 % intervals overlap")
    clauses[0] = clauses[0].replace("that of", "the shape bias of")
    return f"{training} {', and '.join(clauses)} ({values})."


def _range(pooled: pd.DataFrame, regime: str) -> str:
    bias = pooled.loc[pooled["regime"] == regime, "shape_bias"].dropna()
    if bias.empty:
        return f"{regime} undefined"
    low, high = f"{bias.min():.2f}", f"{bias.max():.2f}"
    return f"{regime} {low}" if low == high else f"{regime} {low} to {high}"


def _of_pretrained(pooled: pd.DataFrame) -> str:
    text = _each(list(pooled["model"]), pooled["shape_bias"])
    return f"without training here, {text}" if text else ""


def _of_people(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    if len(pooled):
        return f"people, who saw the same images: {_number(pooled['shape_bias'].iloc[0])}."
    if reference is None:
        return ""
    shape, texture = reference["shape_hits"].sum(), reference["texture_hits"].sum()
    return f"people: {_number(shape / (shape + texture))}, on the published stimuli."


def _each(names: Sequence[str], biases: pd.Series) -> str:
    values = [f"{name} {_number(bias)}" for name, bias in zip(names, biases, strict=True)]
    if len(values) == 1:
        return f"the shape bias of {names[0]} is {_number(biases.iloc[0])}."
    return f"the shape biases are: {_listed(values)}." if values else ""


def _runs(pooled: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(pooled["model"], pooled["regime"], strict=True))


def _number(bias: float) -> str:
    return f"{bias:.2f}" if np.isfinite(bias) else "undefined"


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
