"""What a regime changes in each network: its shape bias, and the answers that the bias is made of.

A shape bias is a ratio of two kinds of answers, and a network that guesses has a bias of 0.5. So a bias that rises does
not show that a network turned to shape. It may only name the texture less often. An effect is called `towards shape`
only if the network names the shape more often than before, and more often than by guessing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.report.wording import records
from shapebias.tables.summaries import observer_kinds, order_regimes, pool_means

CHANGE_COLUMNS = [
    *["benchmark", "model", "seed", "baseline", "regime", "before", "after", "difference", "ci_low", "ci_high"],
    *["conflict_images", "reason"],
]
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Share:
    """The share of conflict images answered with a cue, before and after; rises, falls: by the paired interval."""

    before: float
    after: float
    beyond_guessing: bool  # whether the interval afterwards lies above guessing
    rises: bool
    falls: bool


@dataclass(frozen=True)
class Effect:
    """The change from the baseline to a regime in one network, over all of its seeds.

    before, after, difference: shape bias; low, high: the paired interval of the difference. chance: the share of each
    cue by guessing. seeds: the number of seeds that both regimes have. reason: why the difference is
    undefined, if it is.
    """

    model: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    shape: Share
    texture: Share
    chance: float
    seeds: int
    reason: str = ""

    @property
    def direction(self) -> str:
        """A key of `headline.DIRECTIONS`: which cue the network turns to, or what else moved its bias.

        `shape` needs a bias that rises and shape answers that rise above guessing. Any other rise is `less texture` if
        texture answers fall, and `higher bias` if they do not fall measurably. The ending says what shape answers do
        not exceed: ` (guessing)`, or ` (before)` if they exceed guessing. A bias that falls has the same names of the
        other cue.
        """
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            return "undefined"
        if self.low <= 0 <= self.high:
            return "unclear"
        names = ("shape", "less texture", "higher bias") if self.low > 0 else ("texture", "less shape", "lower bias")
        gained, lost = (self.shape, self.texture) if self.low > 0 else (self.texture, self.shape)
        if gained.rises and gained.beyond_guessing:
            return names[0]
        return f"{names[1] if lost.falls else names[2]} ({'before' if gained.beyond_guessing else 'guessing'})"


def regime_effects(tables: Tables, benchmark: str, regime: str, baseline: str) -> list[Effect]:
    """Return the effect of a regime on each model that was trained in it and in the baseline."""
    pairs = tables["shape_bias_differences_pooled"]
    pairs = pairs[(pairs["benchmark"] == benchmark) & (pairs["model_1"] == pairs["model_2"])]
    pooled = tables["shape_bias_pooled"]
    biases = pooled[pooled["benchmark"] == benchmark].set_index(["model", "regime"])["shape_bias"].to_dict()
    answers = mean_answers(tables["cue_accuracy"], benchmark).set_index(["model", "regime"])
    effects = []
    for row in records(pairs):
        model, names = row["model_1"], (row["regime_1"], row["regime_2"])
        if names == (regime, baseline):
            sign = 1
        elif names == (baseline, regime):
            sign = -1
        else:
            continue
        low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
        before, after = (answers.loc[(model, name)] for name in (baseline, regime))
        effects.append(
            Effect(
                model=model,
                before=biases.get((model, baseline), np.nan),
                after=biases.get((model, regime), np.nan),
                difference=sign * row["difference"],
                low=low,
                high=high,
                shape=_share("shape", row, sign, before, after),
                texture=_share("texture", row, sign, before, after),
                chance=after["chance"],
                seeds=int(row["seeds"]),
                reason="" if pd.isna(row["reason"]) else row["reason"],
            )
        )
    return effects


def _share(cue: str, row: Mapping, sign: int, before: pd.Series, after: pd.Series) -> Share:
    low, high = sorted((sign * row[f"{cue}_difference_low"], sign * row[f"{cue}_difference_high"]))
    return Share(
        before=before[f"{cue}_accuracy"],
        after=after[f"{cue}_accuracy"],
        beyond_guessing=bool(after[f"{cue}_low"] > after["chance"]),
        rises=bool(low > 0),
        falls=bool(high < 0),
    )


def mean_answers(cue_accuracy: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    """Return the shares of answers of each model and regime on a benchmark, as means over seeds."""
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark].rename(columns={"coverage": "coverage_accuracy"})
    bounds = {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in ("shape", "texture", "coverage")}
    bounds["corrected_bias"] = ("corrected_low", "corrected_high")
    return pool_means(table, bounds, first=["chance"])


def all_effects(tables: Tables, benchmark: str, regimes: Regimes) -> dict[str, list[Effect]]:
    """Return regime → its effects on a benchmark, for every regime with a baseline and at least one effect."""
    effects = {}
    for regime in regimes.by_name:
        baseline = regimes.baseline(regime)
        if baseline and (regime_rows := regime_effects(tables, benchmark, regime, baseline)):
            effects[regime] = regime_rows
    return effects


def bias_changes(shape_bias: pd.DataFrame, differences: pd.DataFrame, regimes: Regimes) -> pd.DataFrame:
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
    runs_by_key = {(row["benchmark"], row["model"], row["regime"], row["seed"]): row for row in records(runs)}
    rows = []
    for regime in order_regimes(runs["regime"]):
        baseline = regimes.baseline(regime)
        for row in records(runs[runs["regime"] == regime]):
            before = runs_by_key.get((row["benchmark"], row["model"], baseline, row["seed"]))
            if before is None:
                continue
            not_compared = (np.nan, np.nan, np.nan, np.nan, "not compared")
            difference = differences_by_pair.get((row["benchmark"], row["observer"], before["observer"]), not_compared)
            keys = (row["benchmark"], row["model"], row["seed"], baseline, regime)
            rows.append((*keys, before["shape_bias"], row["shape_bias"], *difference))
    return pd.DataFrame(rows, columns=CHANGE_COLUMNS)
