"""Low-frequency bias is the share of the low band in the answers that name either band."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.categories import CATEGORIES
from shapebias.metrics.frequency_bias import (
    FREQUENCY_BIAS_COLUMNS,
    describe_frequency_bias,
    tabulate_frequency_bias,
)

METADATA: dict[str, Any] = {"observer": "net", "answers": list(CATEGORIES)}


def answers(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Return predictions from (low band, high band, decision)."""
    frame = pd.DataFrame(rows, columns=["shape", "texture", "decision"])
    frame["image"] = [f"{low}{k}-{high}{k}" for k, (low, high, _) in enumerate(rows)]
    return frame.assign(observer="net", answerable=True, condition="")


def test_hits_of_both_bands_give_the_bias():
    low, high, other = ("cat", "dog", "cat"), ("cat", "dog", "dog"), ("cat", "dog", "car")
    same = ("cat", "cat", "cat")  # no conflict
    table = tabulate_frequency_bias(answers(3 * [low] + 5 * [high] + 2 * [other] + 4 * [same]), METADATA)
    assert list(table) == FREQUENCY_BIAS_COLUMNS and not any("shape" in name for name in table)
    [row] = table.to_dict("records")
    assert (row["conflict_images"], row["low_hits"], row["high_hits"]) == (10, 3, 5)
    assert row["low_frequency_bias"] == 3 / 8 and row["bias_chance"] == 0.5
    assert (row["low_band_accuracy"], row["high_band_accuracy"], row["coverage"]) == (0.3, 0.5, 0.8)
    assert row["chance"] == 1 / 16 and row["reason"] == ""
    assert row["ci_low"] < 3 / 8 < row["ci_high"] and row["low_band_lower"] < 0.3 < row["low_band_upper"]
    words = describe_frequency_bias(answers(3 * [low] + 5 * [high]), METADATA)
    assert words.startswith("net: low-frequency bias 0.375 [") and "3 hits of the low and 5 of the high band" in words


def test_answers_that_depend_on_nothing_give_the_values_of_chance():
    rows = [
        (low, high, answer) for low in CATEGORIES[:2] for high in CATEGORIES if high != low for answer in CATEGORIES
    ]
    [row] = tabulate_frequency_bias(answers(rows), METADATA).to_dict("records")
    assert row["low_frequency_bias"] == row["bias_chance"] and row["conflict_images"] == 480
    assert row["low_band_accuracy"] == row["high_band_accuracy"] == row["chance"] == 30 / 480


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("cat", "cat", "cat")], "no image whose two bands differ"),
        ([("cat", "dog", "car")] * 2, "none of 2 answers"),
    ],
)
def test_an_undefined_bias_has_a_reason(rows, reason):
    [row] = tabulate_frequency_bias(answers(rows), METADATA).to_dict("records")
    assert np.isnan(row["low_frequency_bias"]) and reason in row["reason"]
    assert reason in describe_frequency_bias(answers(rows), METADATA)
