"""LAION-C: the mean over conditions of the share of right answers, as published, with intervals and chance."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.metrics.laion_c import LAION_C_COLUMNS, describe_laion_c, mean_over_conditions, tabulate_laion_c
from shapebias.metrics.shape_bias import wilson_interval

LABELS = ["ball", "bird", "cat", "dog"]
METADATA: dict[str, Any] = {"observer": "net", "label_classes": {name: [name] for name in LABELS}}


def answers(hits: dict[str, int], each: int = 10) -> pd.DataFrame:
    """Return answers to `each` images of every label in every condition; hits: condition → right answers per label."""
    return pd.DataFrame(
        [
            {
                "image": f"{condition}/{label}/{k}",
                "label": label,
                "condition": condition,
                "decision": label if k < count else LABELS[LABELS.index(label) - 1],
            }
            for condition, count in hits.items()
            for label in LABELS
            for k in range(each)
        ]
    )


def test_accuracies_are_means_over_conditions():
    hits = {"mosaic-1": 8, "mosaic-5": 2, "glitched-3": 5}
    table = tabulate_laion_c(answers(hits), METADATA)
    assert list(table) == LAION_C_COLUMNS
    rows = table[["distortion", "severity", "conditions", "images"]].fillna(0).to_numpy().tolist()
    assert rows == [
        ["all", 0, 3, 120],
        ["glitched", 0, 1, 40],
        ["mosaic", 0, 2, 80],
        ["glitched", 3, 1, 40],
        ["mosaic", 1, 1, 40],
        ["mosaic", 5, 1, 40],
    ]
    np.testing.assert_allclose(table["accuracy"], [0.5, 0.5, 0.5, 0.5, 0.8, 0.2], rtol=0, atol=1e-9)
    assert (table["chance"] == 1 / 4).all() and (table["labels"] == 4).all()
    assert tuple(table.iloc[4][["ci_low", "ci_high"]]) == wilson_interval(32, 40)
    assert (table["ci_low"] < table["accuracy"]).all() and (table["accuracy"] < table["ci_high"]).all()
    assert describe_laion_c(answers(hits), METADATA).startswith("net: accuracy 0.500 [")


def test_conditions_of_unequal_size_weigh_the_same():
    frame = pd.concat([answers({"mosaic-1": 10}, 10), answers({"mosaic-2": 0}, 30)])
    row = tabulate_laion_c(frame, METADATA).iloc[0]
    assert row["accuracy"] == 0.5 and row["images"] == 160


def test_the_interval_of_a_mean_covers_the_truth():
    rng, inside = np.random.default_rng(0), 0
    frame = answers({"mosaic-1": 10, "mosaic-2": 10})
    skill = frame["condition"].map({"mosaic-1": 0.9, "mosaic-2": 0.4}).to_numpy()
    for _ in range(40):
        row = mean_over_conditions(frame, pd.Series(rng.random(len(frame)) < skill))
        inside += row["ci_low"] < 0.65 < row["ci_high"]
    assert inside >= 34  # 38 expected; 34 is 2.9 standard deviations below


@pytest.mark.parametrize(("count", "bounds"), [(0, (0, 0.1)), (10, (0.9, 1))])
def test_intervals_reach_the_ends_of_the_scale(count, bounds):
    row = tabulate_laion_c(answers({"mosaic-1": count}), METADATA).iloc[0]
    assert bounds[0] <= row["ci_low"] < row["ci_high"] <= bounds[1]


def test_other_answers_are_refused():
    with pytest.raises(UserError, match=r"condition 'mosaic-9' is not one of LAION-C \(glitched-1, glitched-2, …\)"):
        tabulate_laion_c(answers({"mosaic-9": 1}), METADATA)
    with pytest.raises(UserError, match="'label' is missing"):
        tabulate_laion_c(answers({"mosaic-1": 1}).drop(columns="label"), METADATA)
