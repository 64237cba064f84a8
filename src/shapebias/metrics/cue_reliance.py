"""Reliance on cues: how much accuracy a network loses when cues are suppressed. Cues do not compete here.

`shapebias.evaluation.cue_suppression` suppresses the cues. Source: Burgert et al. 2025 (arXiv 2509.20234).
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.cue_suppression import PAIRS, UNTOUCHED
from shapebias.metrics.accuracy_by_condition import TAILS, prior_images, resampled_image_weights
from shapebias.metrics.shape_bias import accuracy_row

# Suppression of one cue → the strength that suppresses nothing: a grid of one patch, no smoothing, no grey.
WEAKEST = {
    **{"shape": 1.0, "texture": 0.0, "colour": 0.0},
    **{"rotation": 1.0, "gaussian": 0.0, "non_local_means": 0.0, "channels": 0.0},
}
RELIANCE_COLUMNS = [
    *["observer", "cue", "strength", "images", "accuracy", "ci_low", "ci_high"],
    *["relative", "relative_low", "relative_high", "chance", "reason"],
]
RELIANCE_PAIR_COLUMNS = [
    *["observer", "cues", "strength_1", "strength_2", "images", "accuracy", "ci_low", "ci_high"],
    *["relative", "relative_low", "relative_high", "chance", "reason"],
]


def tabulate_reliance(predictions: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
    """Return one row per cue and strength of suppression; columns: RELIANCE_COLUMNS.

    predictions, metadata: of one network on a benchmark of kind `suppressed`, one row per image and condition. A
    condition is `none` or `<cue>-<strength>`. Conditions of two cues belong to `tabulate_reliance_pairs`.

    The first row of each cue has the weakest strength, which suppresses nothing.
    accuracy: over images whose category the network knows, with its Wilson interval.
    relative: accuracy divided by the accuracy without suppression, both on the images that were shown in both ways.
    The interval of relative resamples these images together, stratified by category.
    reason: why relative is NaN.
    Raises UserError for another condition and for an image with two answers in one condition.
    """
    table, untouched, missing = tabulate_right(predictions, metadata)
    categories = len(metadata["answers"])
    names = [name for name in predictions["condition"].unique() if name != UNTOUCHED and not is_pair(name)]
    suppressions = sorted(parse_suppression(name) for name in names)
    rows = []
    for position, (cue, weakest) in enumerate(WEAKEST.items()):
        strengths = [(strength, name) for cue_position, strength, name in suppressions if cue_position == position]
        if strengths:
            rows.append({"cue": cue, "strength": weakest} | measure_reliance(untouched, untouched, categories))
        for strength, name in strengths:
            if strength > weakest:  # the weakest strength is the first row already
                rows.append(
                    {"cue": cue, "strength": strength}
                    | measure_reliance(table.get(name, missing), untouched, categories)
                )
    return pd.DataFrame([{"observer": metadata["observer"]} | row for row in rows], columns=RELIANCE_COLUMNS)


def tabulate_reliance_pairs(predictions: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
    """Return one row per two suppressed cues and their strengths; columns: RELIANCE_PAIR_COLUMNS.

    predictions, metadata: as in `tabulate_reliance`, which describes the columns too. cues: one of
    `cue_suppression.PAIRS`. strength_1, strength_2: of the first and of the second cue.
    Raises UserError for a condition without two strengths.
    """
    table, untouched, missing = tabulate_right(predictions, metadata)
    pairs = sorted(parse_pair(name) for name in predictions["condition"].unique() if is_pair(name))
    rows = [
        {"observer": metadata["observer"], "cues": list(PAIRS)[position], "strength_1": first, "strength_2": second}
        | measure_reliance(table.get(name, missing), untouched, len(metadata["answers"]))
        for position, first, second, name in pairs
    ]
    return pd.DataFrame(rows, columns=RELIANCE_PAIR_COLUMNS)


def tabulate_right(predictions: pd.DataFrame, metadata: dict[str, Any]) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return which answers are right, and two of its columns: without suppression, and for a condition not shown.

    The table has one row per image and shape and one column per condition: 1 (right), 0 or NaN (not shown). It holds
    images whose category the network knows. Raises UserError for an image with two answers in one condition.
    """
    answerable = predictions[predictions["shape"].isin(metadata["answers"])]
    duplicates = answerable[answerable.duplicated(["image", "condition"])]
    if len(duplicates):
        first = duplicates.iloc[0]
        raise UserError(
            f"{metadata['observer']}: image {first['image']!r} is answered twice in condition {first['condition']!r}; "
            f"give each answer once"
        )
    right = (answerable["decision"] == answerable["shape"]).astype(float)
    table = answerable.assign(right=right).pivot(index=["image", "shape"], columns="condition", values="right")
    missing = pd.Series(math.nan, index=table.index)
    return table, table.get(UNTOUCHED, missing), missing


def is_pair(condition: str) -> bool:
    """Return whether two cues are suppressed in a condition."""
    return condition.partition("-")[0] in PAIRS


def parse_pair(condition: str) -> tuple[int, float, float, str]:
    """`texture_and_shape-1.5+4` → (position of the pair in PAIRS, 1.5, 4, the condition)."""
    cues, _, strengths = condition.partition("-")
    try:
        first, second = map(float, strengths.split("+"))
    except ValueError:
        raise UserError(
            f"condition {condition!r} of a suppressed benchmark; expected {cues}-<strength>+<strength>; evaluate it "
            f"again"
        ) from None
    return list(PAIRS).index(cues), first, second, condition


def parse_suppression(condition: str) -> tuple[int, float, str]:
    """`texture-1.5` → (position of the cue in WEAKEST, 1.5, the condition)."""
    cue, _, strength = condition.partition("-")
    try:
        return list(WEAKEST).index(cue), float(strength), condition
    except ValueError:
        expected = ", ".join(f"{name}-<strength>" for name in WEAKEST)
        raise UserError(
            f"condition {condition!r} of a suppressed benchmark; expected {UNTOUCHED}, {expected}; evaluate it again"
        ) from None


def measure_reliance(suppressed: pd.Series, untouched: pd.Series, categories: int) -> dict[str, Any]:
    """Return the accuracy under suppression, absolute and relative to the accuracy without suppression.

    suppressed, untouched: 1 (right), 0 or NaN (not shown), indexed by image and shape, in the same order.
    """
    row = accuracy_row(suppressed.dropna() > 0, 1 / categories)
    shared = suppressed.notna() & untouched.notna()
    after, before = (side[shared].to_numpy() > 0 for side in (suppressed, untouched))
    undefined = {"relative": math.nan, "relative_low": math.nan, "relative_high": math.nan}
    if not row["images"]:
        return row | undefined | {"reason": "no image whose category the network knows"}
    if not shared.any():
        return row | undefined | {"reason": "no image was also shown without suppression"}
    if not before.any():
        return row | undefined | {"reason": "never right without suppression"}
    if suppressed is untouched:
        return row | {"relative": 1.0, "relative_low": 1.0, "relative_high": 1.0, "reason": ""}
    weights, unit = resampled_image_weights(shared[shared].index.get_level_values("shape").to_numpy(), "suppressed")
    both, only_after, only_before, _ = prior_images(4, "suppressed") * unit
    cells = after & before, after & ~before, before & ~after
    still_right, gained, lost = ((weights @ cell.astype(np.float32)).astype(np.float64) for cell in cells)
    ratio = (still_right + both + gained + only_after) / (still_right + both + lost + only_before)
    low, high = np.quantile(ratio, TAILS)
    relative = after.sum() / before.sum()
    return row | {"relative": relative, "relative_low": float(low), "relative_high": float(high), "reason": ""}
