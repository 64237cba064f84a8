"""Sentences claim only what the tables support."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.report.accuracy import condition_findings, cost_findings, cue_findings, melanoma_findings
from shapebias.report.answers import answer_findings, consistency_findings, likeness_findings
from shapebias.report.cues import read_out_findings, reliance_findings, select_accurate_observers
from shapebias.report.headline import (
    bias_changes,
    category_findings,
    cautions,
    change_findings,
    headline,
    preferred_cue_finding,
    regime_effects,
    seed_directions,
)
from shapebias.tables.reading import FILE_COLUMNS

PEOPLE = pd.DataFrame({"category": ["cat"], "shape_hits": [96], "texture_hits": [4]})


def study(*rows: tuple[str, str | None, float], seeds: int = 1, half: float = 0.05) -> dict[str, pd.DataFrame]:
    """Return tables of 100 hits per observer for rows of (model, regime, bias).

    Every difference has an interval of `half` on both sides.
    """
    table = pd.DataFrame([(*row, seed) for row in rows for seed in range(seeds)])
    table.columns = ["model", "regime", "shape_bias", "seed"]
    table["benchmark"], table["conflict_images"] = "conflict", 100
    names = zip(table["model"], table["regime"], table["seed"], strict=True)
    table["observer"] = [f"{model}_{regime}_{seed}" if regime else model for model, regime, seed in names]
    table.loc[table["regime"].isna(), "seed"] = None
    defined = table["shape_bias"].notna()
    table["shape_hits"] = (100 * table["shape_bias"]).round().where(defined, 0)
    table["texture_hits"] = (100 - table["shape_hits"]).where(defined, 0)
    table["ci_low"], table["ci_high"] = table["shape_bias"] - 0.03, table["shape_bias"] + 0.03
    kinds = table["regime"].isna().map({True: "pretrained", False: "run"}).mask(table["model"] == "people", "people")
    pooled = table.assign(kind=kinds, seeds=seeds, interval="images").drop_duplicates(["model", "regime"])
    pairs = []
    for first, second in itertools.combinations(table.to_dict("records"), 2):
        difference = first["shape_bias"] - second["shape_bias"]
        row = (
            "conflict",
            first["observer"],
            second["observer"],
            100,
            first["shape_bias"],
            second["shape_bias"],
            difference,
        )
        pairs.append((*row, difference - half, difference + half, ""))
    return {
        "shape_bias": table[FILE_COLUMNS["shape_bias"]],
        "shape_bias_pooled": pooled[FILE_COLUMNS["shape_bias_pooled"]],
        "shape_bias_differences": pd.DataFrame(pairs, columns=FILE_COLUMNS["shape_bias_differences"]),
        "shape_bias_differences_pooled": pd.DataFrame(columns=FILE_COLUMNS["shape_bias_differences_pooled"]),
        "cue_accuracy": pd.DataFrame(columns=FILE_COLUMNS["cue_accuracy"]),
    }


def rows_of(table: str, *rows: dict[str, Any], **shared: Any) -> pd.DataFrame:
    """Return rows of a result table; columns without a value are missing."""
    rows_table = pd.DataFrame([shared | row for row in rows]).reindex(columns=FILE_COLUMNS[table])
    return rows_table.assign(reason="") if "reason" in rows_table else rows_table


@pytest.mark.parametrize(
    ("after", "claim"),
    [
        (0.60, "moved the shape bias of the one network towards shape (vit 0.30 → 0.60, +0.30 [+0.25, +0.35])"),
        (
            0.34,
            "did not measurably change the shape bias of the one network: every interval includes 0 "
            "(vit 0.30 → 0.34, +0.04 [−0.01, +0.09])",
        ),
        (0.10, "moved the shape bias of the one network towards texture (vit 0.30 → 0.10, −0.20 [−0.25, −0.15])"),
        (np.nan, "On “conflict”, the bias is undefined because no answer named a cue: vit sin."),
    ],
)
def test_headline_claims_a_change_only_if_the_interval_of_the_difference_excludes_0(after, claim):
    (statement,) = headline(study(("vit", "in", 0.30), ("vit", "sin", after)), PEOPLE)
    assert claim in statement
    assert statement.endswith("People: 0.96 on the published stimuli.")


def test_headline_counts_networks_and_gives_the_range_of_other_regimes():
    before = [(model, "in", 0.30) for model in ("a", "b", "c")]
    frozen = [("a", "frozen", 0.35), ("b", "frozen", 0.45)]
    (statement,) = headline(study(*before, ("a", "sin", 0.60), ("b", "sin", 0.31), ("c", "sin", 0.10), *frozen))
    assert "moved the shape bias of 1 of 3 networks towards shape, and moved that of 1 of 3 networks" in statement
    assert "and did not measurably change that of 1 (a 0.30 → 0.60, +0.30 [+0.25, +0.35]; b 0.30 → 0.31, " in statement
    assert "Other regimes: frozen 0.35 [0.32, 0.38] to 0.45 [0.42, 0.48]." in statement
    (statement,) = headline(study(*before, *[(model, "sin", 0.9) for model in ("a", "b", "c")]))
    assert "moved the shape bias of all 3 networks towards shape" in statement


def test_seeds_must_agree_on_the_direction():
    tables = study(("vit", "in", 0.30), ("vit", "sin", 0.60), seeds=2)
    moves = bias_changes(tables["shape_bias"], tables["shape_bias_differences"])
    assert len(moves) == 2  # each seed is paired with the baseline of the same seed
    assert list(seed_directions(moves, "sin")["direction"]) == ["up"]
    moves.loc[1, "ci_low"] = -0.01
    assert list(seed_directions(moves, "sin")["direction"]) == ["unclear"]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("half", "direction"), [(0.1, "up"), (0.4, "unclear")])
def test_the_pooled_difference_takes_precedence_over_single_seeds(swapped, half, direction):
    """One seed changes a little, the other a lot: the interval over images and seeds decides."""
    tables = study(("vit", "in", 0.30), ("vit", "sin", 0.60), seeds=2)
    row = {"model_1": "vit", "regime_1": "sin", "model_2": "vit", "regime_2": "in", "seeds": 2, "difference": 0.3}
    row |= {"ci_low": 0.3 - half, "ci_high": 0.3 + half, "benchmark": "conflict", "interval": "images and seeds"}
    if swapped:
        row |= {"regime_1": "in", "regime_2": "sin", "difference": -0.3, "ci_low": -0.3 - half, "ci_high": half - 0.3}
    (effect,) = regime_effects(
        tables | {"shape_bias_differences_pooled": rows_of("shape_bias_differences_pooled", row)}, "conflict", "sin"
    ).to_dict("records")
    assert effect["direction"] == direction
    assert [effect[name] for name in ("before", "after", "difference")] == pytest.approx([0.3, 0.6, 0.3])
    assert [effect["ci_low"], effect["ci_high"]] == pytest.approx([0.3 - half, 0.3 + half])


def test_an_undefined_bias_does_not_count_as_unchanged_or_without_preference():
    tables = study(("a", "in", 0.30), ("b", "in", 0.30), ("a", "sin", 0.60), ("b", "sin", np.nan))
    (statement,) = change_findings(tables, "conflict").values()
    assert "towards shape in 1, undefined in 1 of 2 networks" in statement and "measurable" not in statement
    sentence = preferred_cue_finding(tables["shape_bias_pooled"], "conflict")
    assert "the bias of 1 is undefined" in sentence and "preference" not in sentence


def test_sentences_on_many_networks_name_only_the_lowest_and_the_highest():
    (statement,) = headline(study(*[(f"net{i}", None, i / 20) for i in range(1, 13)]))
    assert "of 12 networks range from net1 0.05 [0.02, 0.08] to net12 0.60 [0.57, 0.63]." in statement
    before, after = (
        [(f"net{i}", regime, i / more) for i in range(1, 11)] for regime, more in (("in", 40), ("sin", 20))
    )
    (statement,) = headline(study(*before, *after))
    assert "net10 0.25 → 0.50" in statement and "net9" not in statement


def test_a_difference_is_after_minus_before_in_both_orders_of_the_pair():
    tables = study(("vit", "sin", 0.60), ("vit", "in", 0.30))
    swapped = study(("vit", "in", 0.30), ("vit", "sin", 0.60))
    for order in (tables, swapped):
        (move,) = bias_changes(order["shape_bias"], order["shape_bias_differences"]).to_dict("records")
        assert (move["before"], move["after"], move["regime"]) == (0.30, 0.60, "sin")
        assert [move[key] for key in ("difference", "ci_low", "ci_high")] == pytest.approx([0.30, 0.25, 0.35])


def test_a_pair_that_was_not_compared_leads_to_no_claim():
    tables = study(("vit", "in", 0.30), ("vit", "sin", 0.60))
    none = tables["shape_bias_differences"].iloc[:0]
    (move,) = bias_changes(tables["shape_bias"], none).to_dict("records")
    assert np.isnan(move["difference"]) and move["reason"] == "not compared"
    (statement,) = headline(tables | {"shape_bias_differences": none})
    assert statement == "On “conflict”, bias before and after was not compared for vit."


def test_headline_works_without_runs_and_without_observers():
    (statement,) = headline(study(("tf_net", None, 0.22)))
    assert statement == "On “conflict”, among networks not trained here, the shape bias of tf_net is 0.22 [0.19, 0.25]."
    (statement,) = headline(study(("vgg", None, 0.17), ("people", None, 0.96)))
    assert statement.endswith("People on the same images: 0.96 [0.93, 0.99].")
    empty_tables = {name: pd.DataFrame(columns=FILE_COLUMNS[name]) for name in study(("a", None, 0.5))}
    assert headline(empty_tables) == ["No bias was measured: the tables hold no cue-conflict benchmark."]


def test_changes_of_architectures_are_printed_with_intervals():
    tables = study(("a", "in", 0.1), ("b", "in", 0.1), ("a", "sin", 0.5), ("b", "sin", 0.2))
    statements = change_findings(tables, "conflict")
    assert statements["sin"] == (
        "Training on stylized images: towards shape in 2 of 2 networks: from +0.10 [+0.05, +0.15] (b) to "
        "+0.40 [+0.35, +0.45] (a)."
    )


def test_a_preference_needs_an_interval_that_excludes_one_half():
    pooled = study(("a", "in", 0.1), ("b", "in", 0.51), ("c", None, 0.9), ("people", None, 0.96))["shape_bias_pooled"]
    assert preferred_cue_finding(pooled, "conflict") == (
        "Of 3 networks (each model in each regime), 1 decides by texture more often than by shape, 1 decides by "
        "shape more often than by texture, 1 shows no measurable preference."
    )


def test_a_caution_names_biases_that_rest_on_guesses():
    tables = study(("vit", "in", 0.7))
    cue_accuracy = tables["shape_bias"].reindex(columns=FILE_COLUMNS["cue_accuracy"])
    notes = cautions(tables | {"cue_accuracy": cue_accuracy.assign(coverage=0.14)})
    assert any("fewer than 1 in 4 answers of some networks name either cue (chance: 12.5 %)" in note for note in notes)
    assert any("vit in (14 %)" in note for note in notes)
    assert not any("chance" in note for note in cautions(tables | {"cue_accuracy": cue_accuracy.assign(coverage=0.6)}))


def test_a_caution_names_single_seeds_but_not_two_seeds():
    assert any("trained only once" in note for note in cautions(study(("vit", "in", 0.7))))
    assert not any("trained only once" in note for note in cautions(study(("vit", "in", 0.7), seeds=2)))


def test_categories_are_compared_within_a_network():
    shared = {"benchmark": "b", "model": "vit", "seed": 0, "conflict_images": 80, "shape_hits": 1, "texture_hits": 1}
    rows = []
    for category, before, after in (
        ("cat", (0.1, 0.2), (0.3, 0.4)),
        ("dog", (0.1, 0.2), (0.15, 0.4)),
        ("bear", (0.1, 0.2), (np.nan, np.nan)),
    ):
        for regime, (low, high) in (("in", before), ("sin", after)):
            rows.append({"observer": regime, "regime": regime, "category": category, "ci_low": low, "ci_high": high})
    sentence = category_findings(rows_of("shape_bias_by_category", *rows, **shared), "b")
    assert "above in 1, overlapping in 1, undefined in 1 of 3 comparisons (each of one run in one category)" in sentence


def accuracies(*rows: tuple[str, str, float], benchmark: str = "in_test") -> pd.DataFrame:
    shared = {"benchmark": benchmark, "seed": 0, "unit": "category", "images": 100, "chance": 1 / 16}
    records = [
        {"observer": f"{model}_{regime}", "model": model, "regime": regime, "correct": round(100 * value)}
        | {"accuracy": value, "ci_low": value - 0.04, "ci_high": value + 0.04}
        for model, regime, value in rows
    ]
    return rows_of("accuracy", *records, **shared)


def test_a_lower_accuracy_is_claimed_only_if_intervals_do_not_overlap():
    table = accuracies(("a", "in", 0.9), ("a", "sin", 0.5), ("b", "in", 0.9), ("b", "sin", 0.88))
    assert cost_findings(table) == [
        "On “in_test”, accuracy after training on stylized images is lower in 1, not clearly different (intervals "
        "overlap) in 1 of 2 networks (a 0.90 [0.86, 0.94] → 0.50 [0.46, 0.54]; b 0.90 [0.86, 0.94] → 0.88 [0.84, "
        "0.92])."
    ]
    assert cost_findings(accuracies(("a", "in", 0.9))) == []


def test_networks_at_chance_before_and_after_are_counted_separately():
    table = accuracies(("a", "in", 0.06), ("a", "sin", 0.08), ("b", "in", 0.5), ("b", "sin", 0.5))
    (sentence,) = cost_findings(table)
    assert "not clearly different (intervals overlap) in 1, at chance before and after in 1 of 2 networks" in sentence


def test_a_long_list_of_benchmarks_is_cut():
    parts = [accuracies(("a", "in", 0.9), ("a", "sin", 0.5), benchmark=f"b{i}") for i in range(9)]
    sentences = cost_findings(pd.concat(parts))
    assert len(sentences) == 5 and sentences[-1] == "The table below lists the other 5 benchmarks."


def test_comparisons_with_people_are_counted_by_their_intervals():
    ends = [(-0.3, -0.1), (-0.1, 0.1), (0.1, 0.3), (np.nan, np.nan)]
    rows = [
        {"model": "net", "condition": "c", "images": 50, "difference": (low + high) / 2}
        | {"difference_low": low, "difference_high": high}
        for low, high in ends
    ]
    person = {"model": "people", "difference_low": -0.3, "difference_high": -0.1}
    (sentence,) = condition_findings(rows_of("accuracy_by_condition", *rows, person, benchmark="b"))
    assert "less accurate in 1 of 3 comparisons" in sentence and "more accurate in 1." in sentence
    assert "same 50 images" in sentence
    assert sentence.endswith("Differences: from −0.20 [−0.30, −0.10] (net, b c) to +0.20 [+0.10, +0.30] (net, b c).")


def test_consistency_with_people_is_claimed_if_its_interval_lies_above_0():
    shared = {"benchmark": "b", "condition": "all", "images": 80}
    pairs = [("net", "people", 0.2, 0.1, 0.3), ("people", "other", 0.02, -0.1, 0.1), ("net", "other", 0.9, 0.8, 1.0)]
    pairs += [("p1", "people", 0.4, 0.3, 0.5), ("people", "people", 0.35, 0.3, 0.4)]
    rows = [
        {"observer_1": first, "observer_2": second, "kappa": kappa, "ci_low": low, "ci_high": high}
        for first, second, kappa, low, high in pairs
    ]
    sentence = consistency_findings(rows_of("error_consistency", *rows, **shared), ["p1", "people"], {"net": "net in"})[
        "b"
    ]
    assert sentence == (
        "On “b” (n = 80), 1 of 2 observers err on the same images as people more often than the accuracies alone "
        "predict (κ from other 0.02 [−0.10, 0.10] to net in 0.20 [0.10, 0.30]). "
        "People among themselves: 0.35 [0.30, 0.40]."
    )


def test_without_people_the_sentence_covers_every_pair():
    rows = [
        {"observer_1": first, "observer_2": second, "kappa": kappa, "ci_low": kappa - 0.1, "ci_high": kappa + 0.1}
        for first, second, kappa in [("a", "b", 0.4), ("a", "c", 0.05), ("b", "c", -0.3), ("c", "d", np.nan)]
    ]
    sentence = consistency_findings(rows_of("error_consistency", *rows, benchmark="b", condition="all", images=80))["b"]
    assert sentence == (
        "On “b”, κ is above 0 for 1, below 0 for 1, not distinguishable from 0 for 1, undefined for 1 of 4 pairs "
        "(n = 80): from b with c −0.30 [−0.40, −0.20] to a with b 0.40 [0.30, 0.50]."
    )


def test_likeness_to_people_is_ranked_by_mean_rank():
    rows = [{"observer": name, "model": name, "mean_rank": rank} for name, rank in (("a", 2.0), ("b", 1.0))]
    rows.append({"observer": "people", "model": "people", "benchmark": "sketch"})
    (sentence,) = likeness_findings(rows_of("human_likeness", *[{"benchmark": "all"} | row for row in rows]))
    assert "Over 1 benchmark" in sentence and "b (1.0) is most like people, a (2.0) least" in sentence


def test_shares_of_cue_answers_are_printed_with_image_counts_and_intervals():
    rows = [
        {
            "observer": model,
            "model": model,
            "shape_accuracy": share,
            "shape_low": share - 0.02,
            "shape_high": share + 0.02,
        }
        for model, share in (("a", 0.1), ("b", 0.3), ("people", 0.9))
    ]
    shared = {"texture_accuracy": 0.5, "texture_low": 0.48, "texture_high": 0.52}
    shared |= {"coverage": 0.6, "coverage_low": 0.58, "coverage_high": 0.62}
    (sentence,) = cue_findings(rows_of("cue_accuracy", *rows, benchmark="b", conflict_images=80, **shared), "b")
    assert "(n = 80 conflict images): the shape from 0.10 [0.08, 0.12] (a) to 0.30 [0.28, 0.32] (b)" in sentence
    assert "People: the shape 0.90 [0.88, 0.92]" in sentence


def test_the_most_frequent_answer_is_printed_with_its_interval():
    counts = [("cat", "dog", 60), ("cat", "cat", 20), ("dog", "dog", 20)]
    rows = [{"category": category, "answer": answer, "count": count} for category, answer, count in counts]
    shared = {"benchmark": "b", "observer": "a", "model": "a", "trials": "all", "cue": "shape"}
    (sentence,) = answer_findings(rows_of("confusion", *rows, **shared), "b")
    # Wilson's interval of 80 of 100, by hand: (80 + 1.92) / 103.84 ± 1.96 √(16 + 0.96) / 103.84.
    assert "(n = 100; 0.06 if" in sentence and "0.80 [0.71, 0.87] (“dog”, a)" in sentence


def read_out(*rows: tuple[str, str, float, float, float]) -> pd.DataFrame:
    """Return read-outs for rows of (regime, stage, depth, accuracy of shape, accuracy of texture).

    Every interval reaches 0.1 to both sides.
    """
    records = [
        {"observer": regime, "model": "net", "regime": regime, "stage": stage, "depth": depth, "cue": cue}
        | {"accuracy": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
        for regime, stage, depth, *values in rows
        for cue, value in zip(("shape", "texture"), values, strict=True)
    ]
    return rows_of("read_out", *records, benchmark="b", images=80, seed=0)


def test_pixels_do_not_count_as_a_stage_and_texture_is_higher_only_if_intervals_do_not_overlap():
    sentence = read_out_findings(
        read_out(("in", "pixels", 0.0, 0.1, 0.9), ("in", "s1", 0.4, 0.5, 0.6), ("in", "s2", 1.0, 0.2, 0.8))
    )["b"]
    assert (
        "(intervals do not overlap) in 1 of 1 network, first at a depth of 1.00 (0: the pixels, 1: the last stage)"
        in sentence
    )
    assert "n = 80" in sentence and "best" not in sentence
    sentence = read_out_findings(read_out(("in", "pixels", 0.0, 0.1, 0.9), ("in", "s1", 1.0, 0.5, 0.6)))["b"]
    assert "texture reads out better than shape at no stage of 1 network" in sentence


def test_changes_at_the_last_stage_are_reported_for_each_cue():
    sentence = read_out_findings(
        read_out(
            *[("in", "s1", 0.5, 0.1, 0.9), ("in", "s2", 1.0, 0.2, 0.8)],
            *[("sin", "s1", 0.5, 0.1, 0.9), ("sin", "s2", 1.0, 0.6, 0.7)],
        )
    )["b"]
    assert (
        "texture: not clearly different (intervals overlap) in 1 of 1 network (largest change: "
        "net 0.80 [0.70, 0.90] → 0.70 [0.60, 0.80])" in sentence
    )
    assert "shape: better in 1 of 1 network (largest change: net 0.20 [0.10, 0.30] → 0.60 [0.50, 0.70])" in sentence


def suppressed() -> pd.DataFrame:
    rows = [
        {"cue": cue, "strength": strength, "relative": relative, "observer": name, "model": name, "accuracy": accuracy}
        | {"relative_low": relative - 0.05, "relative_high": relative + 0.05}
        for name, cue, strength, relative, accuracy in [
            *(("a", "shape", 1, 1.0, 0.9), ("a", "shape", 2, 0.7, 0.6), ("a", "shape", 4, 0.2, 0.2)),
            *(("b", "shape", 1, 1.0, 0.8), ("b", "shape", 4, 0.5, 0.4)),
            *(("guesses", "shape", 1, 1.0, 0.06), ("guesses", "shape", 4, 1.5, 0.09)),
            *(("a", "colour", 0, 1.0, 0.9), ("a", "colour", 1, 0.9, 0.8)),
        ]
    ]
    table = rows_of("reliance", *rows, benchmark="x", images=80)
    return table.assign(regime=table["observer"].map({"a": "in", "b": "in", "guesses": "sin"}))


def test_reliance_covers_accurate_networks_and_lists_the_others():
    assert reliance_findings(suppressed())["x"] == (
        "On “x” (n = 80 photographs), 2 of 3 networks name at least half of the unsuppressed photographs correctly. "
        "Share of this accuracy that remains: without shape (patches shuffled, 4 a side), from 0.20 [0.15, 0.25] (a "
        "in) to 0.50 [0.45, 0.55] (b in); without colour (100 % grey), 0.90 [0.85, 0.95] (a in). The others are left "
        "out, because such a low accuracy cannot fall much: guesses sin 0.06. No run of sin qualifies."
    )
    assert set(select_accurate_observers(suppressed())["observer"]) == {"a", "b"}


def test_several_seeds_are_counted_as_runs():
    table = read_out(("in", "s1", 1.0, 0.2, 0.8))
    twice = pd.concat([table, table.assign(seed=1, observer="other")])
    assert "in 2 of 2 runs" in read_out_findings(twice)["b"]


def test_a_gain_on_melanoma_is_claimed_only_if_the_interval_excludes_0():
    ends = [(0.05, 0.01, 0.09), (0.05, -0.01, 0.11)]
    rows = [
        {"regime": "after_sin", "auc_difference": value, "auc_difference_low": low, "auc_difference_high": high}
        for value, low, high in ends
    ]
    (sentence,) = melanoma_findings(rows_of("melanoma", *rows, benchmark="b"))
    assert "higher in 1, not measurably different in 1 of 2 runs of after_sin" in sentence
    (sentence,) = melanoma_findings(rows_of("melanoma", {"regime": "baseline"}, benchmark="b"))
    assert "the effect of the initialization is unknown" in sentence
