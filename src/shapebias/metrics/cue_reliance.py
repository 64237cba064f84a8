"""How much accuracy a network loses when one cue is suppressed: reliance on cues, without setting one against another.

Source: Burgert et al. 2025 (arXiv 2509.20234). How cues are suppressed: `shapebias.evaluation.cue_suppression`.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.cue_suppression import UNTOUCHED
from shapebias.metrics.accuracy_by_condition import TAILS, prior, resampled_images
from shapebias.metrics.shape_bias import accuracy

# Cue → the strength that suppresses nothing: a grid of one patch, no smoothing, no grey.
WEAKEST = {"shape": 1.0, "texture": 0.0, "colour": 0.0}
COLUMNS = [
    *["observer", "cue", "strength", "images", "accuracy", "ci_low", "ci_high"],
    *["relative", "relative_low", "relative_high", "chance", "reason"],
]


def reliance_table(predictions: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
    """One row a cue and strength of its suppression; columns: COLUMNS.

    predictions, metadata: of one network on a benchmark of kind `suppressed`: a row an image and condition, which is
    `none` or `<cue>-<strength>`. Each cue starts with the accuracy without suppression, as the strength that suppresses
    nothing. accuracy: over images whose category the network knows, with its Wilson interval. relative: to accuracy
    without suppression, both on the images that were shown in both ways and are resampled together, stratified by
    category; so its interval is that of the ratio. reason: why relative is NaN.
    Raises UserError for another condition and for an image that was answered twice in one.
    """
    answers = metadata["answers"]
    known = predictions[predictions["shape"].isin(answers)]
    twice = known[known.duplicated(["image", "condition"])]
    if len(twice):
        first = twice.iloc[0]
        raise UserError(
            f"{metadata['observer']}: image {first['image']!r} is answered twice in condition {first['condition']!r}; "
            f"give each answer once"
        )
    right = (known["decision"] == known["shape"]).astype(float)
    table = known.assign(right=right).pivot(index=["image", "shape"], columns="condition", values="right")
    nothing = pd.Series(math.nan, index=table.index)
    plain = table.get(UNTOUCHED, nothing)
    swept = sorted(parsed(name) for name in predictions["condition"].unique() if name != UNTOUCHED)
    rows = []
    for position, (cue, weakest) in enumerate(WEAKEST.items()):
        strengths = [(strength, name) for found, strength, name in swept if found == position]
        if strengths:
            rows.append({"cue": cue, "strength": weakest} | measured(plain, plain, len(answers)))
        for strength, name in strengths:
            if strength > weakest:  # or it is the first row once more
                rows.append(
                    {"cue": cue, "strength": strength} | measured(table.get(name, nothing), plain, len(answers))
                )
    return pd.DataFrame([{"observer": metadata["observer"]} | row for row in rows], columns=COLUMNS)


def parsed(condition: str) -> tuple[int, float, str]:
    """`texture-1.5` → (position of the cue in WEAKEST, 1.5, the condition)."""
    cue, _, strength = condition.partition("-")
    try:
        return list(WEAKEST).index(cue), float(strength), condition
    except ValueError:
        expected = ", ".join(f"{name}-<strength>" for name in WEAKEST)
        raise UserError(
            f"condition {condition!r} of a suppressed benchmark; expected {UNTOUCHED}, {expected}; evaluate it again"
        ) from None


def measured(suppressed: pd.Series, plain: pd.Series, categories: int) -> dict[str, Any]:
    """Accuracy under suppression, and relative to that without it.

    suppressed, plain: 1 (right), 0 or NaN (not shown), indexed by image and shape, in the same order.
    """
    told = accuracy(suppressed.dropna() > 0, 1 / categories)
    shared = suppressed.notna() & plain.notna()
    after, before = (side[shared].to_numpy() > 0 for side in (suppressed, plain))
    undefined = {"relative": math.nan, "relative_low": math.nan, "relative_high": math.nan}
    if not told["images"]:
        return told | undefined | {"reason": "no image whose category the network knows"}
    if not shared.any():
        return told | undefined | {"reason": "no image was also shown without suppression"}
    if not before.any():
        return told | undefined | {"reason": "never right without suppression"}
    if suppressed is plain:
        return told | {"relative": 1.0, "relative_low": 1.0, "relative_high": 1.0, "reason": ""}
    weights, unit = resampled_images(shared[shared].index.get_level_values("shape").to_numpy(), "suppressed")
    both, only_after, only_before, _ = prior(4, "suppressed") * unit
    cells = after & before, after & ~before, before & ~after
    kept, gained, lost = ((weights @ cell.astype(np.float32)).astype(np.float64) for cell in cells)
    ratio = (kept + both + gained + only_after) / (kept + both + lost + only_before)
    low, high = np.quantile(ratio, TAILS)
    relative = after.sum() / before.sum()
    return told | {"relative": relative, "relative_low": float(low), "relative_high": float(high), "reason": ""}
