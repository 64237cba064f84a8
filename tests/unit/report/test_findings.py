"""Sentences claim no more than the tables hold."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.report.accuracy import condition_findings, cost_findings, cue_findings, melanoma_findings
from shapebias.report.answers import answer_findings, consistency_findings, likeness_findings
from shapebias.report.cues import able, read_out_findings, reliance_findings
from shapebias.report.headline import (
    category_findings,
    cautions,
    change_findings,
    changes,
    effects,
    headline,
    side_finding,
    verdicts,
)
from shapebias.tables.reading import FILE_COLUMNS

PEOPLE = pd.DataFrame({"category": ["cat"], "shape_hits": [96], "texture_hits": [4]})


def study(*rows: tuple[str, str | None, float], seeds: int = 1, half: float = 0.05) -> dict[str, pd.DataFrame]:
    """(model, regime, bias) → tables of 100 hits each; every difference has an interval of `half` to either side."""
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
    for one, two in itertools.combinations(table.to_dict("records"), 2):
        difference = one["shape_bias"] - two["shape_bias"]
        row = ("conflict", one["observer"], two["observer"], 100, one["shape_bias"], two["shape_bias"], difference)
        pairs.append((*row, difference - half, difference + half, ""))
    return {
        "shape_bias": table[FILE_COLUMNS["shape_bias"]],
        "shape_bias_pooled": pooled[FILE_COLUMNS["shape_bias_pooled"]],
        "shape_bias_differences": pd.DataFrame(pairs, columns=FILE_COLUMNS["shape_bias_differences"]),
        "shape_bias_differences_pooled": pd.DataFrame(columns=FILE_COLUMNS["shape_bias_differences_pooled"]),
        "cue_accuracy": pd.DataFrame(columns=FILE_COLUMNS["cue_accuracy"]),
    }


def rows_of(table: str, *rows: dict[str, Any], **shared: Any) -> pd.DataFrame:
    """Rows of one of the result tables; what is not given is missing."""
    made = pd.DataFrame([shared | row for row in rows]).reindex(columns=FILE_COLUMNS[table])
    return made.assign(reason="") if "reason" in made else made


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (0.60, "moved the shape bias of the one network towards shape (vit 0.30 → 0.60, +0.30 [+0.25, +0.35])"),
        (
            0.34,
            "did not measurably change the shape bias of the one network: no interval leaves out 0 "
            "(vit 0.30 → 0.34, +0.04 [−0.01, +0.09])",
        ),
        (0.10, "moved the shape bias of the one network towards texture (vit 0.30 → 0.10, −0.20 [−0.25, −0.15])"),
        (np.nan, "On “conflict”, undefined, as no answer named a cue: vit sin."),
    ],
)
def test_headline_claims_a_move_only_where_the_interval_of_the_difference_leaves_out_0(after, said):
    (statement,) = headline(study(("vit", "in", 0.30), ("vit", "sin", after)), PEOPLE)
    assert said in statement
    assert statement.endswith("People: 0.96, on the published stimuli.")


def test_headline_counts_networks_and_tells_the_range_of_other_regimes():
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
    moves = changes(tables["shape_bias"], tables["shape_bias_differences"])
    assert len(moves) == 2  # each seed beside the baseline of its own seed
    assert list(verdicts(moves, "sin")["direction"]) == ["up"]
    moves.loc[1, "ci_low"] = -0.01
    assert list(verdicts(moves, "sin")["direction"]) == ["unclear"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("half", "direction"), [(0.1, "up"), (0.4, "unclear")])
def test_the_pooled_difference_decides_where_there_is_one(turned, half, direction):
    """One seed a little, the other a lot: what is said is the interval over images and seeds."""
    tables = study(("vit", "in", 0.30), ("vit", "sin", 0.60), seeds=2)
    row = {"model_1": "vit", "regime_1": "sin", "model_2": "vit", "regime_2": "in", "seeds": 2, "difference": 0.3}
    row |= {"ci_low": 0.3 - half, "ci_high": 0.3 + half, "benchmark": "conflict", "interval": "images and seeds"}
    if turned:
        row |= {"regime_1": "in", "regime_2": "sin", "difference": -0.3, "ci_low": -0.3 - half, "ci_high": half - 0.3}
    (found,) = effects(
        tables | {"shape_bias_differences_pooled": rows_of("shape_bias_differences_pooled", row)}, "conflict", "sin"
    ).to_dict("records")
    assert found["direction"] == direction
    assert [found[name] for name in ("before", "after", "difference")] == pytest.approx([0.3, 0.6, 0.3])
    assert [found["ci_low"], found["ci_high"]] == pytest.approx([0.3 - half, 0.3 + half])


def test_what_is_undefined_is_neither_unchanged_nor_even():
    tables = study(("a", "in", 0.30), ("b", "in", 0.30), ("a", "sin", 0.60), ("b", "sin", np.nan))
    (statement,) = change_findings(tables, "conflict").values()
    assert "towards shape in 1, undefined in 1 of 2 networks" in statement and "measurable" not in statement
    told = side_finding(tables["shape_bias_pooled"], "conflict")
    assert "the bias of 1 is undefined" in told and "even" not in told


def test_of_many_networks_the_lowest_and_the_highest_are_named():
    (statement,) = headline(study(*[(f"net{i}", None, i / 20) for i in range(1, 13)]))
    assert "of 12 networks range from net1 0.05 [0.02, 0.08] to net12 0.60 [0.57, 0.63]." in statement
    before, after = (
        [(f"net{i}", regime, i / more) for i in range(1, 11)] for regime, more in (("in", 40), ("sin", 20))
    )
    (statement,) = headline(study(*before, *after))
    assert "net10 0.25 → 0.50" in statement and "net9" not in statement


def test_a_difference_is_after_minus_before_whichever_way_the_table_has_it():
    tables = study(("vit", "sin", 0.60), ("vit", "in", 0.30))
    turned = study(("vit", "in", 0.30), ("vit", "sin", 0.60))
    for given in (tables, turned):
        (move,) = changes(given["shape_bias"], given["shape_bias_differences"]).to_dict("records")
        assert (move["before"], move["after"], move["regime"]) == (0.30, 0.60, "sin")
        assert [move[key] for key in ("difference", "ci_low", "ci_high")] == pytest.approx([0.30, 0.25, 0.35])


def test_nothing_is_claimed_of_a_pair_that_was_not_compared():
    tables = study(("vit", "in", 0.30), ("vit", "sin", 0.60))
    none = tables["shape_bias_differences"].iloc[:0]
    (move,) = changes(tables["shape_bias"], none).to_dict("records")
    assert np.isnan(move["difference"]) and move["reason"] == "not compared"
    (statement,) = headline(tables | {"shape_bias_differences": none})
    assert statement == "On “conflict”, before and after are not compared for vit."


def test_headline_without_runs_or_without_anything():
    (statement,) = headline(study(("tf_net", None, 0.22)))
    assert statement == "On “conflict”, without training here, the shape bias of tf_net is 0.22 [0.19, 0.25]."
    (statement,) = headline(study(("vgg", None, 0.17), ("people", None, 0.96)))
    assert statement.endswith("People, who saw the same images: 0.96 [0.93, 0.99].")
    nothing = {name: pd.DataFrame(columns=FILE_COLUMNS[name]) for name in study(("a", None, 0.5))}
    assert headline(nothing) == ["No bias was measured: the tables hold no benchmark of cue conflict."]


def test_the_change_of_each_architecture_comes_with_its_interval():
    tables = study(("a", "in", 0.1), ("b", "in", 0.1), ("a", "sin", 0.5), ("b", "sin", 0.2))
    statements = change_findings(tables, "conflict")
    assert statements["sin"] == (
        "Training on stylized images: towards shape in 2 of 2 networks: from +0.10 [+0.05, +0.15] (b) to "
        "+0.40 [+0.35, +0.45] (a)."
    )


def test_a_side_is_taken_only_by_intervals_that_leave_out_one_half():
    pooled = study(("a", "in", 0.1), ("b", "in", 0.51), ("c", None, 0.9), ("people", None, 0.96))["shape_bias_pooled"]
    assert side_finding(pooled, "conflict") == (
        "Of 3 networks (each model in each regime), 1 goes by texture more often than by shape, 1 goes by shape more "
        "often than by texture, 1 cannot be told from even."
    )


def test_a_bias_that_rests_on_guesses_is_called_out():
    tables = study(("vit", "in", 0.7))
    told = tables["shape_bias"].reindex(columns=FILE_COLUMNS["cue_accuracy"])
    notes = cautions(tables | {"cue_accuracy": told.assign(coverage=0.14)})
    assert any("fewer than 1 answer in 4 names either cue (guessing: 12.5 %)" in note for note in notes)
    assert any("vit in (14 %)" in note for note in notes)
    assert not any("guessing" in note for note in cautions(tables | {"cue_accuracy": told.assign(coverage=0.6)}))


def test_one_seed_is_called_out_and_two_are_not():
    assert any("One seed a run" in note for note in cautions(study(("vit", "in", 0.7))))
    assert not any("One seed" in note for note in cautions(study(("vit", "in", 0.7), seeds=2)))


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
    told = category_findings(rows_of("shape_bias_by_category", *rows, **shared), "b")
    assert "above in 1, overlapping in 1, undefined in 1 of 3 comparisons (a run and a category each)" in told


def accuracies(*rows: tuple[str, str, float], benchmark: str = "in_test") -> pd.DataFrame:
    shared = {"benchmark": benchmark, "seed": 0, "unit": "category", "images": 100, "chance": 1 / 16}
    made = [
        {"observer": f"{model}_{regime}", "model": model, "regime": regime, "correct": round(100 * value)}
        | {"accuracy": value, "ci_low": value - 0.04, "ci_high": value + 0.04}
        for model, regime, value in rows
    ]
    return rows_of("accuracy", *made, **shared)


def test_a_cost_is_claimed_only_where_intervals_are_apart():
    table = accuracies(("a", "in", 0.9), ("a", "sin", 0.5), ("b", "in", 0.9), ("b", "sin", 0.88))
    assert cost_findings(table) == [
        "On “in_test”, after training on stylized images: less accurate in 1, intervals overlap in 1 of 2 networks "
        "(a 0.90 [0.86, 0.94] → 0.50 [0.46, 0.54]; b 0.90 [0.86, 0.94] → 0.88 [0.84, 0.92])."
    ]
    assert cost_findings(accuracies(("a", "in", 0.9))) == []


def test_guessing_before_and_after_is_no_sign_of_an_equal_ability():
    table = accuracies(("a", "in", 0.06), ("a", "sin", 0.08), ("b", "in", 0.5), ("b", "sin", 0.5))
    (told,) = cost_findings(table)
    assert "intervals overlap in 1, at chance before and after in 1 of 2 networks" in told


def test_many_benchmarks_are_not_all_told():
    parts = [accuracies(("a", "in", 0.9), ("a", "sin", 0.5), benchmark=f"b{i}") for i in range(9)]
    told = cost_findings(pd.concat(parts))
    assert len(told) == 5 and told[-1] == "The other 5 benchmarks are in the table below."


def test_comparisons_with_people_are_counted_by_their_intervals():
    ends = [(-0.3, -0.1), (-0.1, 0.1), (0.1, 0.3), (np.nan, np.nan)]
    rows = [
        {"model": "net", "condition": "c", "images": 50, "difference": (low + high) / 2}
        | {"difference_low": low, "difference_high": high}
        for low, high in ends
    ]
    person = {"model": "people", "difference_low": -0.3, "difference_high": -0.1}
    (told,) = condition_findings(rows_of("accuracy_by_condition", *rows, person, benchmark="b"))
    assert "less accurate in 1 of 3 comparisons" in told and "more accurate in 1;" in told
    assert "same 50 images" in told
    assert told.endswith("from −0.20 [−0.30, −0.10] (net, b c) to +0.20 [+0.10, +0.30] (net, b c).")


def test_consistency_with_people_is_claimed_where_its_interval_is_above_0():
    shared = {"benchmark": "b", "condition": "all", "images": 80}
    pairs = [("net", "people", 0.2, 0.1, 0.3), ("people", "other", 0.02, -0.1, 0.1), ("net", "other", 0.9, 0.8, 1.0)]
    pairs += [("p1", "people", 0.4, 0.3, 0.5), ("people", "people", 0.35, 0.3, 0.4)]
    rows = [
        {"observer_1": one, "observer_2": two, "kappa": kappa, "ci_low": low, "ci_high": high}
        for one, two, kappa, low, high in pairs
    ]
    told = consistency_findings(rows_of("error_consistency", *rows, **shared), ["p1", "people"], {"net": "net in"})["b"]
    assert told == (
        "On “b” (n = 80), 1 of 2 observers err on the same images as people more often than accuracies alone would "
        "make likely (κ from other 0.02 [−0.10, 0.10] to net in 0.20 [0.10, 0.30]). "
        "People among themselves: 0.35 [0.30, 0.40]."
    )


def test_without_people_every_pair_is_told_of():
    rows = [
        {"observer_1": one, "observer_2": other, "kappa": kappa, "ci_low": kappa - 0.1, "ci_high": kappa + 0.1}
        for one, other, kappa in [("a", "b", 0.4), ("a", "c", 0.05), ("b", "c", -0.3), ("c", "d", np.nan)]
    ]
    told = consistency_findings(rows_of("error_consistency", *rows, benchmark="b", condition="all", images=80))["b"]
    assert told == (
        "On “b”, κ lies above 0 in 1, below 0 in 1, its interval holds 0 in 1, it is undefined in 1 of 4 pairs "
        "(n = 80): from b with c −0.30 [−0.40, −0.20] to a with b 0.40 [0.30, 0.50]."
    )


def test_likeness_is_told_by_mean_rank():
    rows = [{"observer": name, "model": name, "mean_rank": rank} for name, rank in (("a", 2.0), ("b", 1.0))]
    rows.append({"observer": "people", "model": "people", "benchmark": "sketch"})
    (told,) = likeness_findings(rows_of("human_likeness", *[{"benchmark": "all"} | row for row in rows]))
    assert "Over 1 benchmark" in told and "b (1.0) comes nearest to people, a (2.0) least near" in told


def test_how_often_a_cue_is_named_comes_with_images_and_intervals():
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
    same = {"texture_accuracy": 0.5, "texture_low": 0.48, "texture_high": 0.52}
    same |= {"coverage": 0.6, "coverage_low": 0.58, "coverage_high": 0.62}
    (told,) = cue_findings(rows_of("cue_accuracy", *rows, benchmark="b", conflict_images=80, **same), "b")
    assert "(n = 80 conflict images): the shape from 0.10 [0.08, 0.12] (a) to 0.30 [0.28, 0.32] (b)" in told
    assert "People: the shape 0.90 [0.88, 0.92]" in told


def test_the_answer_given_most_often_is_told_with_its_interval():
    counts = [("cat", "dog", 60), ("cat", "cat", 20), ("dog", "dog", 20)]
    rows = [{"category": category, "answer": answer, "count": count} for category, answer, count in counts]
    shared = {"benchmark": "b", "observer": "a", "model": "a", "trials": "all", "cue": "shape"}
    (told,) = answer_findings(rows_of("confusion", *rows, **shared), "b")
    # Wilson's interval of 80 of 100, by hand: (80 + 1.92) / 103.84 ± 1.96 √(16 + 0.96) / 103.84.
    assert "(n = 100; 0.06 if" in told and "0.80 [0.71, 0.87] (“dog”, a)" in told


def read_out(*rows: tuple[str, str, float, float, float]) -> pd.DataFrame:
    """regime, stage, depth, accuracy of shape, of texture; intervals of 0.1 to either side."""
    made = [
        {"observer": regime, "model": "net", "regime": regime, "stage": stage, "depth": depth, "cue": cue}
        | {"accuracy": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
        for regime, stage, depth, *values in rows
        for cue, value in zip(("shape", "texture"), values, strict=True)
    ]
    return rows_of("read_out", *made, benchmark="b", images=80, seed=0)


def test_pixels_are_no_stage_and_texture_is_above_shape_where_intervals_are_apart():
    told = read_out_findings(
        read_out(("in", "pixels", 0.0, 0.1, 0.9), ("in", "s1", 0.4, 0.5, 0.6), ("in", "s2", 1.0, 0.2, 0.8))
    )["b"]
    assert "(intervals apart) in 1 of 1 network, first at a depth of 1.00 (0: the pixels, 1: the last stage)" in told
    assert "n = 80" in told and "best" not in told
    told = read_out_findings(read_out(("in", "pixels", 0.0, 0.1, 0.9), ("in", "s1", 1.0, 0.5, 0.6)))["b"]
    assert "texture reads out better than shape at no stage of 1 network" in told


def test_what_training_changed_at_the_last_stage_is_told_of_each_cue():
    told = read_out_findings(
        read_out(
            *[("in", "s1", 0.5, 0.1, 0.9), ("in", "s2", 1.0, 0.2, 0.8)],
            *[("sin", "s1", 0.5, 0.1, 0.9), ("sin", "s2", 1.0, 0.6, 0.7)],
        )
    )["b"]
    assert (
        "texture: intervals overlap in 1 of 1 network (most changed: net 0.80 [0.70, 0.90] → 0.70 [0.60, 0.80])" in told
    )
    assert "shape: better in 1 of 1 network (most changed: net 0.20 [0.10, 0.30] → 0.60 [0.50, 0.70])" in told


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


def test_reliance_is_told_of_networks_that_had_accuracy_to_lose_and_says_who_had_not():
    assert reliance_findings(suppressed())["x"] == (
        "On “x” (n = 80 photographs), 2 of 3 networks name at least half of the untouched photographs. Share of this "
        "accuracy that is left: without shape (patches shuffled, 4 a side), from 0.20 [0.15, 0.25] (a in) to 0.50 "
        "[0.45, 0.55] (b in); without colour (100 % grey), 0.90 [0.85, 0.95] (a in). The others are left out, as so "
        "little cannot fall much: guesses sin 0.06. No run of sin qualifies."
    )
    assert set(able(suppressed())["observer"]) == {"a", "b"}


def test_seeds_are_runs_and_not_networks():
    table = read_out(("in", "s1", 1.0, 0.2, 0.8))
    twice = pd.concat([table, table.assign(seed=1, observer="other")])
    assert "in 2 of 2 runs" in read_out_findings(twice)["b"]


def test_a_gain_on_melanoma_is_claimed_only_where_the_interval_leaves_out_0():
    ends = [(0.05, 0.01, 0.09), (0.05, -0.01, 0.11)]
    rows = [
        {"regime": "after_sin", "auc_difference": value, "auc_difference_low": low, "auc_difference_high": high}
        for value, low, high in ends
    ]
    (told,) = melanoma_findings(rows_of("melanoma", *rows, benchmark="b"))
    assert "higher in 1, not measurably different in 1 of 2 runs of after_sin" in told
    (told,) = melanoma_findings(rows_of("melanoma", {"regime": "baseline"}, benchmark="b"))
    assert "nothing says what its start was worth" in told
