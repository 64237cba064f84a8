"""Low-frequency bias: which of two conflicting frequency bands of an image a network follows.

An image holds the low spatial frequencies of one photograph and the high spatial frequencies of another. The arithmetic
is that of shape bias, with the low band in place of the shape and the high band in place of the texture. But the
quantity is another one: a band holds both shape and texture.
Source: Gavrikov et al., ICLR 2025 (arXiv 2403.09193).
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from shapebias.metrics.panel import Panel, pair_trials
from shapebias.metrics.shape_bias import bias_rows, count_cues, cue_accuracy_rows

GUESSING = 0.5  # the low-frequency bias of an observer that guesses
# Column of shape bias → column of low-frequency bias.
FREQUENCY_NAMES = {
    "conflict_images": "conflict_images",
    "shape_hits": "low_hits",
    "texture_hits": "high_hits",
    "shape_bias": "low_frequency_bias",
    "ci_low": "ci_low",
    "ci_high": "ci_high",
    "shape_accuracy": "low_band_accuracy",
    "shape_low": "low_band_lower",
    "shape_high": "low_band_upper",
    "texture_accuracy": "high_band_accuracy",
    "texture_low": "high_band_lower",
    "texture_high": "high_band_upper",
    "coverage": "coverage",
    "coverage_low": "coverage_low",
    "coverage_high": "coverage_high",
    "chance": "chance",
}
FREQUENCY_BIAS_COLUMNS = ["observer", *FREQUENCY_NAMES.values(), "bias_chance", "reason"]


def tabulate_frequency_bias(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row: the low-frequency bias of a network, with hits, accuracies and chance.

    predictions, metadata: of one network on a benchmark of kind `frequency_conflict`, as `decisions.read_predictions`
    returns them; the columns shape and texture hold the categories of the low and of the high band.
    Columns: FREQUENCY_BIAS_COLUMNS.

    low_hits, high_hits: conflict images answered with the category of the low, or of the high band.
    low_frequency_bias: low_hits / (low_hits + high_hits), with its interval; GUESSING (bias_chance) by guessing.
    low_band_accuracy, high_band_accuracy: hits / conflict_images, with intervals (_lower, _upper). chance: either of
    them by guessing, 1 / number of categories.
    coverage: the fraction of answers that name either band. reason: why the bias is NaN.
    Images whose bands have one category carry no conflict. They do not count.
    Intervals are those of `shape_bias.bias_rows`, with the category of the low band as stratum.
    """
    counts = count_cues(frequency_panel(predictions))
    [bias] = bias_rows(counts)
    [accuracies] = cue_accuracy_rows(counts, [1 / len(metadata["answers"])])
    values = bias | accuracies
    row = {"observer": metadata["observer"], "bias_chance": GUESSING, "reason": explain_undefined_bias(bias)}
    row |= {name: values[key] for key, name in FREQUENCY_NAMES.items()}
    return pd.DataFrame([row], columns=FREQUENCY_BIAS_COLUMNS)


def frequency_panel(predictions: pd.DataFrame) -> Panel:
    """Return the answers of a network as a panel, whose shape is the low band and whose texture is the high band."""
    columns = ["observer", "image", "shape", "texture", "decision", "answerable"]
    return pair_trials(predictions[columns])


def explain_undefined_bias(row: Mapping[str, Any]) -> str:
    """Return why the low-frequency bias of a row is NaN, or ""."""
    if not math.isnan(row["shape_bias"]):
        return ""
    if not row["conflict_images"]:
        return "no image whose two bands differ in category and are both open to the observer"
    return f"none of {row['conflict_images']} answers to conflict images names the category of a band"


def describe_frequency_bias(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> str:
    """Return the low-frequency bias of a network in words; the arguments are those of `tabulate_frequency_bias`."""
    row = tabulate_frequency_bias(predictions, metadata).iloc[0]
    if row["reason"]:
        return f"{row['observer']}: no low-frequency bias: {row['reason']}"
    return (
        f"{row['observer']}: low-frequency bias {row['low_frequency_bias']:.3f} [{row['ci_low']:.3f}, "
        f"{row['ci_high']:.3f}] ({GUESSING} by guessing), {row['low_hits']:,} hits of the low and "
        f"{row['high_hits']:,} of the high band on {row['conflict_images']:,} conflict images"
    )
