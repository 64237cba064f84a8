"""LAION-C: accuracy under six synthetic distortions of five severities, among 16 superclasses of its own.

Source: Li et al., ICML 2025 (arXiv 2506.16950); github.com/FanfeiLi/LAION-C. A superclass's score is the mean
probability of its classes, and the best superclass is the answer (`label_maps`, rule mean).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, LAION_C_DISTORTIONS
from shapebias.metrics.accuracy_by_condition import TAILS, prior_images, resampled_image_weights
from shapebias.metrics.shape_bias import accuracy_row

ALL_DISTORTIONS = "all"
LAION_C_COLUMNS = [
    *["observer", "distortion", "severity", "conditions", "images", "accuracy", "ci_low", "ci_high", "chance"],
    "labels",
]


def tabulate_laion_c(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Return the accuracy of one network over all conditions, in each distortion, and in each condition.

    predictions, metadata: of one network on a benchmark of kind `laion_c`, as `label_answers.tabulate_labels` and
    `observer.measure` return them. Columns: LAION_C_COLUMNS.

    distortion: ALL_DISTORTIONS for the mean over all conditions. severity: 1 to 5, or NaN for a mean over severities.
    conditions: the conditions in a row. accuracy: the mean over conditions of the fraction of images that are answered
    with their label, as published. chance: 1 / labels.
    The interval of one condition is Wilson's. The interval of a mean comes from resampling images within each label.
    Images of one label with one file name are the same photograph, so all conditions resample them together.
    Raises UserError for answers without a label or with an unknown condition.
    """
    conditions = KINDS["laion_c"].conditions
    if "label" not in predictions or predictions["label"].isna().any():
        raise UserError(
            f"{metadata['observer']}: these are no answers to LAION-C: the column 'label' is missing or empty; "
            f"evaluate the network again on a benchmark of kind laion_c"
        )
    unknown = sorted(set(predictions["condition"]) - set(conditions))
    if unknown:
        raise UserError(
            f"{metadata['observer']}: condition {unknown[0]!r} is not one of LAION-C ({conditions[0]}, "
            f"{conditions[1]}, …); evaluate the network again on a benchmark of kind laion_c"
        )
    labels = len(metadata["label_classes"])
    right = predictions["decision"] == predictions["label"]
    names = [name for name in conditions if (predictions["condition"] == name).any()]
    means = [(ALL_DISTORTIONS, names)]
    rows = []
    for distortion in LAION_C_DISTORTIONS:
        if members := [name for name in names if name.startswith(f"{distortion}-")]:
            means.append((distortion, members))
    for distortion, members in means:
        shown = predictions["condition"].isin(members)
        row = {"distortion": distortion, "severity": math.nan, "conditions": len(members), "chance": 1 / labels}
        rows.append(row | mean_over_conditions(predictions[shown], right[shown]))
    for name in names:
        distortion, _, severity = name.partition("-")
        row = {"distortion": distortion, "severity": float(severity), "conditions": 1}
        rows.append(row | accuracy_row(right[predictions["condition"] == name], 1 / labels))
    table = pd.DataFrame(rows).assign(observer=metadata["observer"], labels=labels)
    return table[LAION_C_COLUMNS]


def mean_over_conditions(images: pd.DataFrame, right: pd.Series) -> dict[str, float]:
    """Return the mean over conditions of the accuracy, with its interval.

    images: label, condition and file of each image. right: whether the answer is the label, in the same order.
    """
    files = images["image"].str.rpartition("/")[2]
    table = images.assign(file=files, right=right.astype(float)).pivot(
        index=["label", "file"], columns="condition", values="right"
    )
    shown = table.notna().to_numpy()
    hits = table.fillna(0).to_numpy(dtype=np.float32)
    weights, unit = resampled_image_weights(table.index.get_level_values("label").to_numpy(), "laion_c")
    # The prior is one answer in each condition, half right and half wrong on average (Jeffreys).
    prior_right, prior_wrong = prior_images(2, "laion_c") * unit
    sums = [(weights @ cells.astype(np.float32)).astype(np.float64).T for cells in (hits, shown)]
    resampled = ((sums[0] + prior_right) / (sums[1] + prior_right + prior_wrong)).mean(axis=0)
    low, high = np.quantile(resampled, TAILS)
    accuracy = float((hits.sum(axis=0, dtype=np.float64) / shown.sum(axis=0)).mean())
    bounds = {"ci_low": 0.0 if accuracy == 0 else float(low), "ci_high": 1.0 if accuracy == 1 else float(high)}
    return {"images": int(shown.sum()), "accuracy": accuracy} | bounds


def describe_laion_c(predictions: pd.DataFrame, metadata: Mapping[str, Any]) -> str:
    """Return the mean accuracy of a network in words; the arguments are those of `tabulate_laion_c`."""
    row = tabulate_laion_c(predictions, metadata).iloc[0]
    return (
        f"{metadata['observer']}: accuracy {row['accuracy']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}] as the "
        f"mean over {row['conditions']} conditions of LAION-C (chance {row['chance']:.3f}, {row['images']:,} images)"
    )
