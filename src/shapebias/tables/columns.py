"""The columns of every table, in their order."""

from collections.abc import Iterable

from shapebias.metrics import (
    accuracy_by_condition,
    configural_shape,
    critical_band,
    cue_reliance,
    error_consistency,
    frequency_bias,
    human_likeness,
    laion_c,
    melanoma,
    protocol_range,
    refined_bias,
)
from shapebias.metrics.accuracy_differences import ACCURACY_DIFFERENCE_COLUMNS
from shapebias.metrics.bias_differences import SHARE_COLUMNS
from shapebias.metrics.classification import (
    CLASSIFICATION_COLUMNS,
    CONFUSION_COLUMNS,
    READ_OUT_COLUMNS,
    TOP_K_COLUMNS,
)
from shapebias.metrics.readable_cues import READABLE_COLUMNS

OBSERVER_COLUMNS = ["benchmark", "observer", "model", "regime", "seed"]


def prepend_observer_columns(columns: Iterable[str]) -> list[str]:
    """Return a table's columns with OBSERVER_COLUMNS first."""
    return [*OBSERVER_COLUMNS, *(name for name in columns if name not in OBSERVER_COLUMNS)]


BIAS_COLUMNS = ["conflict_images", "shape_hits", "texture_hits", "shape_bias", "ci_low", "ci_high"]
RECIPROCAL_RANK_COLUMNS = ["shape_reciprocal_rank", "texture_reciprocal_rank"]
RECIPROCAL_RANK_COLUMNS += [f"{name}_{bound}" for name in RECIPROCAL_RANK_COLUMNS for bound in ("low", "high")]
BENCHMARK_COLUMNS = ["benchmark", "kind", "images", "origin", *READABLE_COLUMNS]
TABLE_COLUMNS = {
    "benchmarks": BENCHMARK_COLUMNS,
    "shape_bias": [*OBSERVER_COLUMNS, *BIAS_COLUMNS],
    "shape_bias_by_category": [*OBSERVER_COLUMNS, "category", *BIAS_COLUMNS],
    "shape_bias_by_answer": [*OBSERVER_COLUMNS, "category", *BIAS_COLUMNS],
    "shape_bias_pooled": ["benchmark", "model", "regime", "kind", "seeds", *BIAS_COLUMNS, "interval"],
    "shape_bias_differences": [
        *["benchmark", "observer_1", "observer_2", "conflict_images", "shape_bias_1", "shape_bias_2"],
        *["difference", "ci_low", "ci_high", "p", "p_adjusted", *SHARE_COLUMNS, "reason"],
    ],
    "shape_bias_differences_pooled": [
        *["benchmark", "model_1", "regime_1", "model_2", "regime_2", "seeds"],
        *["difference", "ci_low", "ci_high", *SHARE_COLUMNS, "interval", "reason"],
    ],
    "cue_accuracy": [
        *[*OBSERVER_COLUMNS, "conflict_images", "shape_accuracy", "texture_accuracy", "coverage"],
        *["shape_low", "shape_high", "texture_low", "texture_high", "coverage_low", "coverage_high", "chance"],
        *["corrected_bias", "corrected_low", "corrected_high", "corrected_reason"],
        *[*RECIPROCAL_RANK_COLUMNS, "reason"],
    ],
    "top_k": prepend_observer_columns(TOP_K_COLUMNS),
    "confusion": prepend_observer_columns(CONFUSION_COLUMNS),
    "classification_report": prepend_observer_columns(CLASSIFICATION_COLUMNS),
    "accuracy": [*OBSERVER_COLUMNS, "unit", "images", "correct", "accuracy", "ci_low", "ci_high", "chance"],
    "accuracy_differences": ["benchmark", *ACCURACY_DIFFERENCE_COLUMNS],
    # Only human_likeness needs squared_difference.
    "accuracy_by_condition": prepend_observer_columns(
        name for name in accuracy_by_condition.CONDITION_COLUMNS if name != "squared_difference"
    ),
    "error_consistency": ["benchmark", *error_consistency.CONSISTENCY_COLUMNS, "caution"],
    "error_consistency_pooled": ["benchmark", *error_consistency.POOLED_CONSISTENCY_COLUMNS, "caution"],
    "human_likeness": human_likeness.LIKENESS_COLUMNS,
    "reliance": prepend_observer_columns(cue_reliance.RELIANCE_COLUMNS),
    "reliance_pairs": prepend_observer_columns(cue_reliance.RELIANCE_PAIR_COLUMNS),
    "configural_shape": prepend_observer_columns(configural_shape.CONFIGURAL_COLUMNS),
    "refined_bias": prepend_observer_columns(refined_bias.REFINED_BIAS_COLUMNS),
    "critical_band": prepend_observer_columns(critical_band.CRITICAL_BAND_COLUMNS),
    "frequency_bias": prepend_observer_columns(frequency_bias.FREQUENCY_BIAS_COLUMNS),
    "laion_c": prepend_observer_columns(laion_c.LAION_C_COLUMNS),
    "read_out": prepend_observer_columns(READ_OUT_COLUMNS),
    "protocols": prepend_observer_columns(protocol_range.PROTOCOL_COLUMNS),
    "protocol_pairs": ["benchmark", *protocol_range.PROTOCOL_PAIR_COLUMNS],
    "undefined": ["table", "benchmark", "observer", "what", "reason"],
}
# Only of studies with published observers.
ATLAS_COLUMNS = [
    *["group", "kind", "observer", "name", "model", "regime", "seed", "members", *BIAS_COLUMNS],
    *["coverage", "coverage_low", "coverage_high", "chance", "other_answers", "no_category"],
    *["rank", "rank_low", "rank_high", "source", "licence"],
]
ATLAS_DIFFERENCE_COLUMNS = [
    *["observer_1", "observer_2", "group_2", "conflict_images", "shape_bias_1", "shape_bias_2"],
    *["difference", "ci_low", "ci_high", "p", "p_adjusted", "reason"],
]
RUN_COLUMNS = [
    *["observer", "model", "regime", "seed", "timm", "parameters", "init", "train_on", "trainable"],
    *["epochs", "best_epoch", "steps", "images_seen", "val_accuracy", "lineage"],
]
REJECTED_COLUMNS = ["set", "split", "file", "reason"]
MELANOMA_TABLE_COLUMNS = [*OBSERVER_COLUMNS, *melanoma.MELANOMA_COLUMNS]
PEOPLE = "people"
IMAGE_COLUMNS = ["image", "shape", "texture"]
# Columns of text, in any table. All others hold numbers.
TEXT_COLUMNS = frozenset(
    [
        *["benchmark", "observer", "model", "regime", "category", "unit", "timm", "init", "train_on", "trainable"],
        *["set", "split", "file", "reason", "images_seen", "lineage", "baseline", "kind", "interval"],
        *[f"{name}_{side}" for name in ("observer", "model", "regime") for side in (1, 2)],
        *["cue", "of", "trials", "answer", "condition", "stage", "table", "what", "caution", "corrected_reason"],
        *["origin", "readable", "shape_observer", "texture_observer", "label", "distortion", "cues"],
        *["group", "group_2", "name", "source", "licence"],
        *["aggregation", "label_space", "crop", "interpolation", "antialias", "stimuli", "ties", "presets"],
    ]
)
