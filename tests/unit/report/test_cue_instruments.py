"""Sentences on low-frequency bias, LAION-C and pairs of suppressed cues hold value, interval, n and chance."""

import math

import pandas as pd

from shapebias.report.cues import describe_cues
from shapebias.report.frequency_bias import frequency_findings
from shapebias.report.laion_c import laion_c_findings
from shapebias.report.reliance_pairs import format_pair_table, reliance_pair_findings


def network(name: str, value: float, column: str, **facts: object) -> dict[str, object]:
    bounds = {"ci_low": value - 0.05, "ci_high": value + 0.05}
    identity = {"benchmark": "b", "observer": name, "model": name, "regime": math.nan, "seed": math.nan}
    return identity | {column: value} | bounds | facts


def test_low_frequency_bias_is_never_called_shape_bias():
    rows = pd.DataFrame([network("net", 0.2, "low_frequency_bias"), network("wide", 0.48, "low_frequency_bias")])
    rows = rows.assign(conflict_images=640, low_band_accuracy=0.1, high_band_accuracy=0.4, chance=1 / 16)
    rows = rows.assign(low_band_lower=0.05, low_band_upper=0.15, high_band_lower=0.35, high_band_upper=0.45)
    [sentence] = frequency_findings("bands", rows)
    assert sentence.startswith(
        "On “bands” (n = 640 images whose bands show two categories), the low-frequency bias of 2 networks is from "
        "0.20 [0.15, 0.25] (net) to 0.48 [0.43, 0.53] (wide); guessing gives 0.5. By its interval, 0 of 2 favour the "
        "low band and 1 the high band. Accuracy: for the low band from 0.10 [0.05, 0.15]"
    )
    assert sentence.endswith("chance 0.062 each.") and "shape" not in sentence


def test_laion_c_is_described_over_all_conditions_and_by_distortion():
    parts = [("all", math.nan, 0.5), ("mosaic", math.nan, 0.6), ("stickers", math.nan, 0.4), ("mosaic", 1.0, 0.6)]
    rows = pd.DataFrame([network("net", value, "accuracy", distortion=d, severity=s) for d, s, value in parts])
    [sentence] = laion_c_findings("distorted", rows.assign(images=800, conditions=10, labels=16, chance=1 / 16))
    assert sentence == (
        "On “distorted” (n = 800 images, 10 conditions, 16 labels, chance 0.062), the mean accuracy of 1 network is "
        "0.50 [0.45, 0.55] (net). By distortion: mosaic 0.60 [0.55, 0.65] (net); stickers 0.40 [0.35, 0.45] (net)."
    )


def test_pairs_of_cues_are_described_at_their_strongest():
    cells = [("texture_and_shape", 1, 2, 0.9), ("texture_and_shape", 3, 16, 0.5), ("texture_and_shape", 3.5, 12, 0.4)]
    cells += [("shape_and_colour", 4, 1, 0.7)]
    rows = pd.DataFrame(
        [
            network("net", value, "accuracy", cues=cues, strength_1=first, strength_2=second)
            | {"relative": value, "relative_low": value - 0.1, "relative_high": value + 0.1}
            for cues, first, second, value in cells
        ]
    ).assign(images=160, chance=1 / 16, reason="")
    assert reliance_pair_findings(rows) == [
        "Share of accuracy that remains without two cues at once (n = 160; guessing has an accuracy of 0.062): "
        "smoothed, σ 3.5 px and patches shuffled 12 × 12 0.40 [0.30, 0.50] (net); patches shuffled 4 × 4 and "
        "grey 0.70 [0.60, 0.80] (net)."
    ]
    assert reliance_pair_findings(rows[:0]) == []
    table = format_pair_table(rows)
    headings = [heading for heading, _ in table.columns]
    assert table.rows[0][headings.index("first suppressed")] == "smoothed, σ 1 px"
    assert table.rows[0][headings.index("second suppressed")] == "patches shuffled 2 × 2"


def test_ways_to_suppress_a_cue_are_named_together():
    assert describe_cues(pd.Series(["shape", "texture", "colour"])) == (
        "shape by shuffling patches, texture by smoothing surfaces, colour by mixing with grey"
    )
    assert describe_cues(pd.Series(["rotation", "gaussian", "texture", "channels"])) == (
        "shape by rotating patches, texture by smoothing surfaces or by blurring, colour by shuffling channels"
    )
