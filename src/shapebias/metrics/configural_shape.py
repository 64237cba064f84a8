"""The configural shape score: how often a network recognizes both images that are made of the same parts.

The two images of an anagram consist of the same parts in two arrangements, and each arrangement shows another object.
So parts alone, such as local textures, cannot tell the two images apart. Source: Doshi, Fel, Konkle and Alvarez,
NeurIPS 2025 (arXiv 2507.00493); the definitions of the margins are those of github.com/harvard-visionlab/eval-anagrams.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.decisions import SCORE
from shapebias.metrics.bootstrap import image_weights, resampled_sums
from shapebias.metrics.shape_bias import TAILS, fraction_intervals, ratio

log = logging.getLogger(__name__)

MARGINS = ("decision_margin", "foil_margin", "pair_margin")
CONFIGURAL_COLUMNS = [
    *["observer", "labels", "pairs", "both_right", "css", "ci_low", "ci_high", "css_chance"],
    *["images", "accuracy", "accuracy_low", "accuracy_high", "foil_rate", "foil_low", "foil_high", "chance"],
    *[f"{name}{suffix}" for name in MARGINS for suffix in ("", "_low", "_high")],
    "reason",
]


def tabulate_configural_shape(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row with the score of a network; columns: CONFIGURAL_COLUMNS.

    predictions, metadata: of one network on a benchmark of kind `configural_shape`, as
    `label_answers.tabulate_labels` and `observer.measure` return them.

    css: the share of pairs with both images named correctly; its chance is 1 / labels². accuracy: the share of
    images named correctly. foil_rate: the share of images named as the other image of the pair. Chance of both is
    1 / labels. The margins are means in the unit of the scores: decision_margin is (score of the label - largest other
    score) / √2, foil_margin is (score of the label - score of the foil) / √2, and pair_margin is the smaller decision
    margin of a pair's two images.
    Intervals come from a Bayesian bootstrap over pairs, for shares with Jeffreys' prior. The published evaluation
    resamples pairs 1,000 times without a prior, which leaves no interval if no pair is right.
    A pair with a rejected image does not count. reason: why the score is NaN.
    """
    labels = list(metadata["label_classes"])
    pairs = pair_outcomes(predictions, labels)
    count, both = len(pairs), int((pairs["right"] == 2).sum())
    chance = 1 / len(labels)
    row: dict[str, Any] = {"observer": metadata["observer"], "labels": len(labels), "pairs": count, "both_right": both}
    row |= {"css_chance": chance**2, "chance": chance, "images": 2 * count}
    if not count:
        return pd.DataFrame([row | {"reason": "no pair whose two images were both shown"}], columns=CONFIGURAL_COLUMNS)
    weights = image_weights(pairs.index.to_numpy(dtype=object))
    parts = np.stack([pairs["right"] == 2, pairs["right"], pairs["foil"]]).astype(np.int64)
    wholes = np.array([1, 2, 2])[:, None] * np.ones(count, dtype=np.int64)
    strata, mask = np.zeros(count, dtype=np.int64), np.ones((1, count), dtype=bool)
    sums = [resampled_sums(weights, strata, counts, mask) for counts in (parts, wholes)]
    totals = parts.sum(axis=1), wholes.sum(axis=1)
    bounds = fraction_intervals(*totals, *sums)
    for name, low, high, part, whole, interval in zip(
        ("css", "accuracy", "foil_rate"),
        ("ci_low", "accuracy_low", "foil_low"),
        ("ci_high", "accuracy_high", "foil_high"),
        *totals,
        bounds,
        strict=True,
    ):
        row |= {name: ratio(part, whole), low: float(interval[0]), high: float(interval[1])}
    for name in MARGINS:
        row |= resampled_mean(name, pairs[name].to_numpy(), weights)
    return pd.DataFrame([row | {"reason": ""}], columns=CONFIGURAL_COLUMNS)


def pair_outcomes(predictions: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Return one row per complete pair, indexed by its name: images named right, images named as the foil, margins.

    Columns: right and foil (0 to 2), and MARGINS. Raises UserError for answers that are not those of anagrams, for a
    missing score, and for a pair with more than two images.
    """
    needed = ["pair", "label", "foil", "decision", *(f"{SCORE}{name}" for name in labels)]
    missing = [name for name in needed if name not in predictions]
    if missing or predictions["pair"].isna().any():
        raise UserError(
            f"these are no answers to anagrams: the column {(missing or ['pair'])[0]!r} is missing or empty; evaluate "
            f"the network again on a benchmark of kind configural_shape"
        )
    scores = predictions[[f"{SCORE}{name}" for name in labels]].to_numpy(dtype=np.float64)
    rows = np.arange(len(scores))
    label, foil = (pd.Index(labels).get_indexer(predictions[name]) for name in ("label", "foil"))
    if min(label.min(initial=0), foil.min(initial=0)) < 0 or not np.isfinite(scores).all():
        raise UserError("an image's label has no score, or a score is not finite; evaluate the network again")
    others = scores.copy()
    others[rows, label] = -np.inf
    images = pd.DataFrame(
        {
            "pair": predictions["pair"].to_numpy(),
            "right": (predictions["decision"] == predictions["label"]).to_numpy(),
            "foil": (predictions["decision"] == predictions["foil"]).to_numpy(),
            "decision_margin": (scores[rows, label] - others.max(axis=1)) / math.sqrt(2),
            "foil_margin": (scores[rows, label] - scores[rows, foil]) / math.sqrt(2),
        }
    )
    groups = images.groupby("pair", sort=True)
    sizes = groups.size()
    if (sizes > 2).any():
        raise UserError(f"pair {sizes.idxmax()!r} has {sizes.max()} images; a pair has two, each answered once")
    incomplete = len(sizes[sizes == 1])
    if incomplete:
        log.warning("pairs that do not count, since one of their images was rejected: %d", incomplete)
    pairs = groups[["right", "foil"]].sum().join(groups[["decision_margin", "foil_margin"]].mean())
    pairs["pair_margin"] = groups["decision_margin"].min()
    return pairs[sizes == 2]


def resampled_mean(name: str, values: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Return the mean of some values under `name`, and its interval under `<name>_low` and `<name>_high`.

    weights: [values, resamples], of `bootstrap.image_weights`.
    """
    total, weighted = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for value, row in zip(values.tolist(), weights, strict=True):  # one order of addition, for the same bits everywhere
        total += row
        weighted += row * value
    low, high = np.quantile(weighted / total, TAILS)
    return {name: float(values.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}


def describe_configural_shape(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> str:
    """Return the score of a network in words; predictions, metadata: as in `tabulate_configural_shape`."""
    [row] = tabulate_configural_shape(predictions, metadata).to_dict("records")
    if math.isnan(row["css"]):
        return f"{row['observer']}: no configural shape score: {row['reason']}"
    interval = f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
    chance = f"chance {row['css_chance']:.4f}"
    return f"{row['observer']}: configural shape score {row['css']:.3f} {interval}, {row['pairs']:,} pairs, {chance}"
