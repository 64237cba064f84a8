"""The columns of every table, in their order."""

from collections.abc import Iterable

from shapebias.metrics import accuracy_by_condition, cue_reliance, error_consistency, human_likeness, melanoma
from shapebias.metrics.classification import (
    CLASSIFICATION,
    CONFUSION,
    READ_OUT,
    TOP_K,
)

WHO = ["benchmark", "observer", "model", "regime", "seed"]


def by_observer(columns: Iterable[str]) -> list[str]:
    """A table's columns, of who answered first."""
    return [*WHO, *(name for name in columns if name not in WHO)]


BIAS = ["conflict_images", "shape_hits", "texture_hits", "shape_bias", "ci_low", "ci_high"]
RANKS = ["shape_reciprocal_rank", "texture_reciprocal_rank"]
RANKS += [f"{name}_{bound}" for name in RANKS for bound in ("low", "high")]
COLUMNS = {
    "shape_bias": [*WHO, *BIAS],
    "shape_bias_by_category": [*WHO, "category", *BIAS],
    "shape_bias_by_answer": [*WHO, "category", *BIAS],
    "shape_bias_pooled": ["benchmark", "model", "regime", "kind", "seeds", *BIAS, "interval"],
    "shape_bias_differences": [
        *["benchmark", "observer_1", "observer_2", "conflict_images", "shape_bias_1", "shape_bias_2"],
        *["difference", "ci_low", "ci_high", "reason"],
    ],
    "shape_bias_differences_pooled": [
        *["benchmark", "model_1", "regime_1", "model_2", "regime_2", "seeds"],
        *["difference", "ci_low", "ci_high", "interval", "reason"],
    ],
    "cue_accuracy": [
        *[*WHO, "conflict_images", "shape_accuracy", "texture_accuracy", "coverage"],
        *["shape_low", "shape_high", "texture_low", "texture_high", "coverage_low", "coverage_high"],
        *[*RANKS, "reason"],
    ],
    "top_k": by_observer(TOP_K),
    "confusion": by_observer(CONFUSION),
    "classification_report": by_observer(CLASSIFICATION),
    "accuracy": [*WHO, "unit", "images", "correct", "accuracy", "ci_low", "ci_high", "chance"],
    # squared_difference is for human_likeness alone.
    "accuracy_by_condition": by_observer(
        name for name in accuracy_by_condition.COLUMNS if name != "squared_difference"
    ),
    "error_consistency": ["benchmark", *error_consistency.COLUMNS],
    "error_consistency_pooled": ["benchmark", *error_consistency.POOLED_COLUMNS],
    "human_likeness": human_likeness.COLUMNS,
    "reliance": by_observer(cue_reliance.COLUMNS),
    "read_out": by_observer(READ_OUT),
    "undefined": ["table", "benchmark", "observer", "what", "reason"],
}
RUN_COLUMNS = [
    *["observer", "model", "regime", "seed", "timm", "parameters", "init", "train_on", "trainable"],
    *["epochs", "best_epoch", "steps", "images_seen", "val_accuracy", "lineage"],
]
REJECTED_COLUMNS = ["set", "split", "file", "reason"]
MELANOMA_COLUMNS = [*WHO, *melanoma.COLUMNS]
PEOPLE = "people"
IMAGE_COLUMNS = ["image", "shape", "texture"]
