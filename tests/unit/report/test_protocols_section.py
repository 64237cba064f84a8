"""The section on protocols says how far a bias ranges, and claims only comparisons that hold."""

from typing import Any

import pandas as pd

from shapebias.metrics.protocol_range import PROTOCOL_PAIR_COLUMNS
from shapebias.report.protocols import (
    describe_protocol,
    order_by_stability,
    pair_statement,
    range_statement,
    summarize_ranges,
)


def protocol(observer: str, bias: float, presets: str = "", **more: Any) -> dict[str, Any]:
    row = {"observer": observer, "model": observer, "regime": None, "seed": None, "presets": presets, "images": 200}
    row |= {"aggregation": "mean probability", "label_space": "all classes|category classes", "crop": "1.0"}
    row |= {"interpolation": "bilinear|bicubic", "antialias": "yes|no", "stimuli": "conflicts"}
    return row | {"shape_bias": bias, "ci_low": bias - 0.05, "ci_high": bias + 0.05} | more


def pair(first: str, second: str, counts: tuple[int, int, int], difference: float, half: float) -> dict[str, Any]:
    """A pair with the protocols in which the first network is higher, lower, and neither."""
    row = dict.fromkeys(PROTOCOL_PAIR_COLUMNS, 0.0) | {"observer_1": first, "observer_2": second, "reason": ""}
    row |= dict(zip(("higher", "lower", "unclear"), counts, strict=True)) | {"protocols": sum(counts)}
    row |= {"difference_low": difference - 2 * half, "difference_high": difference + 2 * half}
    return row | {"difference": difference, "ci_low": difference - half, "ci_high": difference + half}


def test_each_network_has_its_interval_and_its_range():
    table = pd.DataFrame(
        [
            protocol("a", 0.30, "geirhos2019|model-vs-human"),
            protocol("a", 0.45, "alvarez2024", aggregation="mean logit"),
            protocol("a", 0.25, crop="0.875", interpolation="bicubic", antialias="no"),
            protocol("b", 0.60, "geirhos2019"),
            protocol("b", 0.62, stimuli="all"),
            protocol("b", float("nan"), label_space="first of all classes"),
        ]
    )
    ranges = summarize_ranges(table)
    assert list(ranges["lowest_under"]) == [
        "mean probability, crop 0.875, bicubic, not antialiased",
        "mean probability, whole image",
    ]
    assert list(ranges["highest_under"]) == [
        "mean logit, whole image",
        "mean probability, whole image, images without conflict count",
    ]
    assert ranges["published"][0] == "geirhos2019 0.30, alvarez2024 0.45, model-vs-human 0.30"
    assert list(ranges["protocols"]) == [3, 3] and list(ranges["undefined"]) == [0, 1]
    text = range_statement(ranges, "published", {"b": "B"})
    assert "a 0.30 [0.25, 0.35], 0.25 to 0.45; B 0.60 [0.55, 0.65], 0.60 to 0.62" in text
    assert text.endswith("The range is wider than the interval for 1 of 2 networks.")


def test_many_networks_fit_on_a_screen():
    rows = [protocol(f"net{i:03}", 0.3, "geirhos2019") for i in range(200)]
    rows += [protocol(f"net{i:03}", 0.3 + i / 1000) for i in range(200)]
    text = range_statement(summarize_ranges(pd.DataFrame(rows)), "published", {})
    assert "the widest ranges are net199 0.30 [0.25, 0.35], 0.30 to 0.50; net198" in text and len(text) < 1000
    pairs = pd.DataFrame([pair("a", f"b{i}", (50, 0, 0), 0.3, 0.1) for i in range(500)])
    assert "500 of 500 pairs differ" in pair_statement(pairs, {}) and len(pair_statement(pairs, {})) < 800


def test_a_comparison_is_claimed_with_the_number_of_protocols():
    pairs = pd.DataFrame(
        [
            pair("a", "b", (50, 0, 0), 0.3, 0.1),  # in all protocols
            pair("a", "c", (0, 30, 20), -0.3, 0.1),  # in some
            pair("b", "c", (30, 5, 15), 0.3, 0.1),  # reversed in others
            pair("a", "d", (5, 0, 45), 0.05, 0.1),  # unclear by the reference
            pair("b", "d", (0, 0, 50), 0.0, 0.1),
        ]
    )
    assert pair_statement(pairs, {"a": "A"}).split(". ")[1:] == [
        "3 of 5 pairs differ under the protocol of Geirhos et al",
        "2019: 1 in all protocols (A above b), 2 only in some (A below c in 30 of 50, b above c in 30 of 50)",
        "Pairs that differ the other way in another protocol: 1 (b below c in 5 of 50)",
        "Of the other 2 pairs, 1 differ in some protocol",
        "The difference has the same sign in all protocols, clear or not, for 3 of 5 pairs.",
    ]
    assert list(order_by_stability(pairs)["observer_2"])[:2] == ["c", "c"]


def test_one_network_has_no_comparison():
    assert pair_statement(pd.DataFrame(columns=PROTOCOL_PAIR_COLUMNS), {}) == ""


def test_axes_that_do_not_matter_are_left_out():
    first = protocol("a", 0.3, label_space="first of all classes", crop="0.882|0.875", aggregation="max probability")
    assert describe_protocol(first) == "first of all classes"
