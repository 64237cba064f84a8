"""REFINED-BIAS: how highly a network ranks the class of a cue that stands alone in an image.

Images hold the shape of an object without its texture, or its texture without its shape, so cues do not compete.
Source: Kim et al. 2026 (arXiv 2603.10834). The ranks are among all classes of the network. They are not the reciprocal
ranks of `metrics.shape_bias`, which are among the 16 categories, on images of conflicting cues.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import ALL_LABELS
from shapebias.evaluation.decisions import SCORE
from shapebias.metrics.bootstrap import assign_strata, image_weights, resampled_sums
from shapebias.metrics.shape_bias import fraction_intervals

REFINED_BIAS_CUES = ("shape", "texture")
REFINED_BIAS_COLUMNS = [
    *["observer", "cue", "label", "images", "reciprocal_rank", "ci_low", "ci_high", "chance"],
    *["label_classes", "network_classes"],
]
RANK_UNIT = 2**20  # intervals use reciprocal ranks in whole units, whose sums are exact in any order


@cache
def expected_reciprocal_rank(label_classes: int, network_classes: int) -> float:
    """Return the mean of 1 / r under a random ranking, r: the rank of the first of m classes among K classes.

    The first of the m classes has rank r in C(K - r, m - 1) of the C(K, m) placements.
    """
    m, k = label_classes, network_classes
    placements = math.comb(k, m)
    return math.fsum(math.comb(k - r, m - 1) / placements / r for r in range(1, k - m + 2))


def tabulate_refined_bias(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per cue, and one per cue and label; columns: REFINED_BIAS_COLUMNS.

    predictions, metadata: of one network on a benchmark of kind `refined_bias`, as `label_answers.tabulate_labels` and
    `observer.measure` return them.

    label: ALL_LABELS for all images of a cue. reciprocal_rank: the mean over images of 1 / r, in (0, 1]; r is the rank
    of the first class of the image's label among all classes of the network. chance: its mean under random ranking.
    label_classes: classes of the label (NaN for ALL_LABELS). network_classes: classes of the network.
    Intervals come from a Bayesian bootstrap over images, stratified by label, with Jeffreys' prior.
    Raises UserError for answers without a cue or without the rank of a label.
    """
    classes, total = metadata["label_classes"], len(metadata["class_names"])
    missing = [name for name in ("cue", "label") if name not in predictions or predictions[name].isna().any()]
    missing += [f"{SCORE}{name}" for name in classes if f"{SCORE}{name}" not in predictions]
    if missing:
        raise UserError(
            f"{metadata['observer']}: these are no answers to REFINED-BIAS: the column {missing[0]!r} is missing or "
            f"empty; evaluate the network again on a benchmark of kind refined_bias"
        )
    rows = []
    for cue in REFINED_BIAS_CUES:
        shown = predictions[predictions["cue"] == cue]
        labels = [name for name in classes if (shown["label"] == name).any()]
        for label in [ALL_LABELS, *labels] if labels else []:
            images = shown if label == ALL_LABELS else shown[shown["label"] == label]
            row = {"observer": metadata["observer"], "cue": cue, "label": label, "network_classes": total}
            row["label_classes"] = math.nan if label == ALL_LABELS else len(classes[label])
            row["chance"] = float(
                np.mean([expected_reciprocal_rank(len(classes[name]), total) for name in images["label"]])
            )
            rows.append(row | measure_reciprocal_rank(images))
    return pd.DataFrame(rows, columns=REFINED_BIAS_COLUMNS)


def measure_reciprocal_rank(images: pd.DataFrame) -> dict[str, float]:
    """Return the mean reciprocal rank of some images with its interval; images: rows of predictions, at least one."""
    ranks = np.array([row[f"{SCORE}{row['label']}"] for row in images.to_dict("records")], dtype=np.float64)
    parts = np.rint(RANK_UNIT / ranks).astype(np.int64)[None]
    wholes = np.ones_like(parts)
    strata, mask = assign_strata(images["label"].to_numpy(dtype=str)), np.ones(parts.shape, dtype=bool)
    weights = image_weights(images["image"].to_numpy(dtype=object))
    sums = [resampled_sums(weights, strata, counts, mask) for counts in (parts, wholes)]
    totals = np.array([parts.sum()]), np.array([RANK_UNIT * len(ranks)])
    ((low, high),) = fraction_intervals(*totals, sums[0] / RANK_UNIT, sums[1])
    mean = math.fsum(1 / ranks) / len(ranks)
    return {"images": len(ranks), "reciprocal_rank": mean, "ci_low": float(low), "ci_high": float(high)}


def describe_refined_bias(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> str:
    """Return the mean reciprocal ranks of a network in words; the arguments are those of `tabulate_refined_bias`."""
    table = tabulate_refined_bias(predictions, metadata)
    parts = [
        f"{row['cue']} {row['reciprocal_rank']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}] (chance "
        f"{row['chance']:.4f}, {row['images']:,} images)"
        for row in table[table["label"] == ALL_LABELS].to_dict("records")
    ]
    return f"{metadata['observer']}: mean reciprocal rank of the {', of the '.join(parts)}"
