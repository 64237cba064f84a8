"""REFINED-BIAS equals its published formula, and its chance is that of a random ranking."""

from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.metrics.refined_bias import (
    REFINED_BIAS_COLUMNS,
    describe_refined_bias,
    expected_reciprocal_rank,
    tabulate_refined_bias,
)

LABELS = {"clock": ["a", "b", "c"], "mouse": ["d"], "zebra": ["e"]}
METADATA: dict[str, Any] = {"observer": "net", "label_classes": LABELS, "class_names": [str(k) for k in range(1000)]}


def random_ranks(images: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"image": [f"image-{k}" for k in range(images)], "cue": ["shape", "shape", "texture"] * (images // 3)}
    )
    frame["label"] = ["clock", "mouse", "zebra"] * (images // 3)
    frame["decision"] = frame["label"]
    return frame.assign(**{f"s_{name}": rng.integers(1, 1001, images).astype(float) for name in LABELS})


def test_the_score_is_the_mean_reciprocal_rank_over_images():
    answers = random_ranks(90)
    table = tabulate_refined_bias(answers, METADATA)
    assert list(table) == REFINED_BIAS_COLUMNS
    assert table[["cue", "label"]].to_numpy().tolist() == [
        ["shape", "all"],
        ["shape", "clock"],
        ["shape", "mouse"],
        ["texture", "all"],
        ["texture", "zebra"],
    ]
    ranks = {name: answers.loc[answers["label"] == name, f"s_{name}"].tolist() for name in LABELS}
    expected = [
        sum(1 / r for r in ranks["clock"] + ranks["mouse"]) / 60,
        *(sum(1 / r for r in ranks[name]) / 30 for name in ("clock", "mouse", "zebra", "zebra")),
    ]
    np.testing.assert_allclose(table["reciprocal_rank"], expected, rtol=0, atol=1e-9)
    assert table["images"].tolist() == [60, 30, 30, 30, 30]
    assert (table["ci_low"] < table["reciprocal_rank"]).all() and (table["reciprocal_rank"] < table["ci_high"]).all()
    chance = [expected_reciprocal_rank(m, 1000) for m in (3, 1)]
    np.testing.assert_allclose(table["chance"], [sum(chance) / 2, *chance, chance[1], chance[1]], rtol=1e-12)
    assert "shape 0.0" in describe_refined_bias(answers, METADATA)


def test_chance_is_the_mean_over_all_placements_of_a_label_s_classes():
    for label_classes, network_classes in ((1, 6), (2, 6), (3, 7), (6, 6)):
        placements = list(combinations(range(1, network_classes + 1), label_classes))
        mean = sum(Fraction(1, min(placement)) for placement in placements) / len(placements)
        assert expected_reciprocal_rank(label_classes, network_classes) == pytest.approx(float(mean), abs=1e-12)
    assert expected_reciprocal_rank(1, 1000) == pytest.approx(sum(1 / r for r in range(1, 1001)) / 1000)


def test_a_perfect_network_scores_one():
    answers = random_ranks(30)
    row = tabulate_refined_bias(answers.assign(s_clock=1.0, s_mouse=1.0), METADATA).iloc[0]
    assert (row["reciprocal_rank"], row["ci_high"]) == (1, 1) and 0.8 < row["ci_low"] < 1


def test_answers_without_cues_or_ranks_are_refused():
    for missing in ("cue", "s_zebra"):
        with pytest.raises(UserError, match=f"'{missing}' is missing"):
            tabulate_refined_bias(random_ranks(3).drop(columns=missing), METADATA)
