"""The configural shape score equals its published formulas, and guessing gives the stated chance."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from shapebias.errors import UserError
from shapebias.metrics.configural_shape import CONFIGURAL_COLUMNS, describe_configural_shape, tabulate_configural_shape

LABELS = ["bear", "bunny", "cat", "elephant", "frog", "lizard", "tiger", "turtle", "wolf"]


def metadata(labels: list[str]) -> dict[str, Any]:
    return {"observer": "net", "label_classes": {name: [name] for name in labels}}


def random_answers(pairs: int, labels: list[str] = LABELS, help_label: float = 0.0) -> pd.DataFrame:
    """Return answers of random scores to pairs of random labels; help_label: what the right label's score gains."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(pairs):
        first, second = rng.choice(labels, 2, replace=False)
        for label, foil in ((first, second), (second, first)):
            scores = dict(zip(labels, rng.normal(size=len(labels)), strict=True))
            scores[label] += help_label
            row = {"image": f"{number}-{label}", "pair": f"{number:03d}", "label": label, "foil": foil}
            row["decision"] = max(scores, key=lambda name: scores[name])
            rows.append(row | {f"s_{name}": score for name, score in scores.items()})
    return pd.DataFrame(rows)


def measure(answers: pd.DataFrame, labels: list[str] = LABELS) -> dict[str, Any]:
    table = tabulate_configural_shape(answers, metadata(labels))
    assert list(table) == CONFIGURAL_COLUMNS
    [row] = table.to_dict("records")
    return row


def test_the_numbers_equal_the_published_formulas():
    answers = random_answers(60, help_label=1.5)
    row = measure(answers)
    right, foils, decision_margins, foil_margins = [], [], [], []
    for image in answers.to_dict("records"):
        own, other = image[f"s_{image['label']}"], image[f"s_{image['foil']}"]
        best_other = max(image[f"s_{name}"] for name in LABELS if name != image["label"])
        right.append(own > best_other)
        foils.append(other == max(image[f"s_{name}"] for name in LABELS))
        decision_margins.append((own - best_other) / math.sqrt(2))
        foil_margins.append((own - other) / math.sqrt(2))
    both = [a and b for a, b in zip(right[::2], right[1::2], strict=True)]
    pair_margins = [min(a, b) for a, b in zip(decision_margins[::2], decision_margins[1::2], strict=True)]
    expected = {
        "css": sum(both) / 60,
        "accuracy": sum(right) / 120,
        "foil_rate": sum(foils) / 120,
        "decision_margin": sum(decision_margins) / 120,
        "foil_margin": sum(foil_margins) / 120,
        "pair_margin": sum(pair_margins) / 60,
    }
    assert 0 < expected["css"] < 1 and expected["foil_rate"] > 0
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-9)
    assert (row["labels"], row["pairs"], row["images"], row["both_right"]) == (9, 60, 120, sum(both))
    assert row["chance"] == 1 / 9 and row["css_chance"] == pytest.approx(1 / 81)
    for name in ("decision_margin", "foil_margin", "pair_margin"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_a_guesser_scores_at_chance():
    row = measure(random_answers(400, LABELS[:3]), LABELS[:3])
    assert row["ci_low"] < 1 / 9 < row["ci_high"]
    assert row["accuracy_low"] < 1 / 3 < row["accuracy_high"] and row["foil_low"] < 1 / 3 < row["foil_high"]


@pytest.mark.parametrize("both_right", [0, 4, 36, 72])
def test_the_interval_of_the_score_is_that_of_a_share_of_pairs(both_right: int):
    answers = random_answers(72)
    place = pd.Series(range(144)) // 2
    answers["decision"] = answers["label"].where(place < both_right, answers["foil"])
    row = measure(answers)
    low, high = beta.ppf([0.025, 0.975], both_right + 0.5, 72 - both_right + 0.5)  # Jeffreys' interval
    assert row["css"] == both_right / 72
    assert row["ci_low"] == pytest.approx(low if both_right else 0, abs=0.01)
    assert row["ci_high"] == pytest.approx(high if both_right < 72 else 1, abs=0.01)


def test_a_pair_without_its_other_image_does_not_count(caplog):
    answers = random_answers(3).iloc[:-1]
    with caplog.at_level("WARNING"):
        row = measure(answers)
    assert (row["pairs"], row["images"]) == (2, 4) and "one of their images was rejected: 1" in caplog.text
    row = measure(random_answers(1).iloc[:1])
    assert math.isnan(row["css"]) and row["reason"] == "no pair whose two images were both shown"
    assert "no pair" in describe_configural_shape(random_answers(1).iloc[:1], metadata(LABELS))


def test_answers_that_are_none_of_anagrams_are_refused():
    answers = random_answers(2)
    for wrong, words in (
        (answers.drop(columns="foil"), "'foil' is missing"),
        (answers.drop(columns="s_cat"), "'s_cat' is missing"),
        (answers.assign(pair=None), "'pair' is missing or empty"),
        (answers.assign(foil="yak"), "no score"),
        (answers.assign(pair="1"), "pair '1' has 4 images"),
    ):
        with pytest.raises(UserError, match=words):
            tabulate_configural_shape(wrong, metadata(LABELS))
