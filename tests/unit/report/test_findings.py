"""Sentences claim only what the tables support."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.config.regimes import Regimes, describe_regimes
from shapebias.report.accuracy import condition_findings, cost_findings, cue_findings, melanoma_findings
from shapebias.report.answers import answer_findings, consistency_findings, likeness_findings
from shapebias.report.critical_band import channel_findings
from shapebias.report.cues import read_out_findings, reliance_findings
from shapebias.report.effects import bias_changes, regime_effects
from shapebias.report.headline import (
    category_findings,
    cautions,
    effect_findings,
    headline,
    observer_findings,
    preferred_cue_finding,
    unreadable_cues,
)
from shapebias.report.wording import typeset_minus
from shapebias.tables.reading import FILE_COLUMNS
from shapebias.tables.summaries import drop_repeated_features

PEOPLE = pd.DataFrame({"category": ["cat"], "shape_hits": [96], "texture_hits": [4]})
CONFIG = {
    "sources": {"photos": {"kind": "imagefolder"}},
    "stylized": {"painted": {"content": "photos"}},
    "regimes": {
        "in": {"train_on": ["photos"], "init": "scratch", "trainable": "all"},
        "sin": {"train_on": ["painted"], "init": "in", "trainable": "all"},
        "combined": {"train_on": ["photos", "painted"], "init": "sin", "trainable": "all"},
        "frozen": {"train_on": ["painted"], "init": "in", "trainable": "head"},
    },
}
REGIMES = describe_regimes(CONFIG)


def study(
    *rows: tuple, seeds: int = 1, half: float = 0.05, coverage: float = 0.6, readable: str = "both"
) -> dict[str, pd.DataFrame]:
    """Return tables of 100 hits per observer for rows of (model, regime, bias).

    A row may add the shares of shape answers and of texture answers; by default, coverage times the bias and times the
    rest. Every difference has an interval of `half` on both sides, every share one of 0.03.
    """
    table = pd.DataFrame([(*row[:3], seed) for row in rows for seed in range(seeds)])
    table.columns = ["model", "regime", "shape_bias", "seed"]
    table["shape"] = [row[3] if len(row) > 3 else coverage * row[2] for row in rows for _ in range(seeds)]
    table["texture"] = [row[4] if len(row) > 3 else coverage * (1 - row[2]) for row in rows for _ in range(seeds)]
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
    answers = table.assign(
        chance=1 / 16, corrected_bias=table["shape_bias"], coverage=table["shape"] + table["texture"]
    )
    for name in ("shape", "texture", "coverage"):
        answers[f"{name}_accuracy"] = answers[name]
        answers[f"{name}_low"], answers[f"{name}_high"] = answers[name] - 0.03, answers[name] + 0.03
    answers["corrected_bias"] = answers["corrected_bias"].where(answers["coverage_low"] > 2 / 16)
    benchmark = {"benchmark": "conflict", "kind": "cue_conflict", "images": 100, "readable": readable, "chance": 1 / 16}
    benchmark |= {"shape_observer": "a", "shape_accuracy": 0.5, "texture_observer": "b", "texture_accuracy": 0.023}
    return {name: pd.DataFrame(columns=columns) for name, columns in FILE_COLUMNS.items()} | {
        "benchmarks": pd.DataFrame([benchmark]).reindex(columns=FILE_COLUMNS["benchmarks"]),
        "shape_bias": table[FILE_COLUMNS["shape_bias"]],
        "shape_bias_pooled": pooled[FILE_COLUMNS["shape_bias_pooled"]],
        "shape_bias_differences": pairs_of(table, half, ("observer",)).reindex(
            columns=FILE_COLUMNS["shape_bias_differences"]
        ),
        "shape_bias_differences_pooled": pairs_of(
            table.drop_duplicates(["model", "regime"]).dropna(subset=["regime"]), half, ("model", "regime")
        )
        .assign(seeds=seeds)
        .reindex(columns=FILE_COLUMNS["shape_bias_differences_pooled"]),
        "cue_accuracy": answers.reindex(columns=FILE_COLUMNS["cue_accuracy"]),
    }


def pairs_of(table: pd.DataFrame, half: float, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the differences of every two rows, each with an interval of `half` on both sides."""
    rows = []
    for first, second in itertools.combinations(table.to_dict("records"), 2):
        row = {"benchmark": "conflict", "conflict_images": 100, "reason": ""}
        row |= {f"{name}_{side}": part[name] for name in names for side, part in ((1, first), (2, second))}
        row |= {f"shape_bias_{side}": part["shape_bias"] for side, part in ((1, first), (2, second))}
        difference = first["shape_bias"] - second["shape_bias"]
        row |= {"difference": difference, "ci_low": difference - half, "ci_high": difference + half}
        for cue in ("shape", "texture"):
            change = first[cue] - second[cue]
            row |= {f"{cue}_difference": change, f"{cue}_difference_low": change - 0.02}
            row |= {f"{cue}_difference_high": change + 0.02}
        rows.append(row)
    return pd.DataFrame(rows)


def rows_of(table: str, *rows: dict[str, Any], **shared: Any) -> pd.DataFrame:
    """Return rows of a result table; columns without a value are missing."""
    rows_table = pd.DataFrame([shared | row for row in rows]).reindex(columns=FILE_COLUMNS[table])
    return rows_table.assign(reason="") if "reason" in rows_table else rows_table


# Regimes


def test_a_regime_is_known_by_its_images_and_not_by_its_name():
    renamed = {
        "a": {"train_on": ["painted"], "init": "b", "trainable": "all"},
        "b": {"train_on": ["photos"], "init": "pretrained", "trainable": "all"},
        "sin": {"train_on": ["photos"], "init": "scratch", "trainable": "all"},
    }
    regimes = describe_regimes(CONFIG | {"regimes": renamed})
    assert (regimes.treatment, regimes.baseline("a"), regimes.baseline("b")) == ("a", "b", None)
    assert [regimes.label(name) for name in renamed] == ["stylized", "photographs", "photographs (sin)"]
    assert [REGIMES.label(name) for name in CONFIG["regimes"]] == [
        "photographs",
        "stylized",
        "both",
        "stylized, head only",
    ]
    assert REGIMES.baseline("combined") == "in"  # through sin
    assert REGIMES.describe_training("combined") == "training on photographs and stylized photographs"
    drawn = describe_regimes(CONFIG | {"sources": {"photos": {"kind": "synthetic"}}})
    assert drawn.describe_training("frozen") == "training the head alone on stylized drawings"


def test_a_regime_that_starts_from_published_weights_is_compared_with_the_first_regime_of_photographs():
    start = {"train_on": ["painted"], "init": "pretrained", "trainable": "all"}
    photographs = {"train_on": ["photos"], "init": "scratch", "trainable": "all"}
    regimes = describe_regimes(CONFIG | {"regimes": {"sin": start, "first": photographs, "second": photographs}})
    assert (regimes.treatment, regimes.baseline("sin")) == ("sin", "first")
    alone = describe_regimes(CONFIG | {"regimes": {"sin": start}})
    assert (alone.treatment, alone.baseline("sin")) == (None, None)


def test_regimes_of_melanoma_are_not_compared_with_those_of_photographs():
    sources = CONFIG["sources"] | {"isic": {"kind": "isic2017"}}
    melanoma = {"train_on": ["isic"], "init": "in", "trainable": "head"}
    regimes = describe_regimes(CONFIG | {"sources": sources, "regimes": CONFIG["regimes"] | {"melanoma": melanoma}})
    assert list(regimes.by_name) == ["in", "sin", "combined", "frozen"]


def test_a_folder_of_predictions_has_no_treatment():
    regimes = describe_regimes({})
    assert regimes.treatment is None and regimes.label("sin") == "sin"
    statement = headline(study(("vit", "in", 0.30), ("vit", "sin", 0.60)), regimes).statement
    assert statement == (
        "On “conflict”, of 2 observers, 1 decides by texture more often than by shape, 1 decides by shape more often "
        "than by texture."
    )


# Effects


@pytest.mark.parametrize(
    ("after", "direction"),
    [
        (("sin", 0.60), "shape"),
        (("sin", 0.34), "unclear"),
        (("sin", 0.10), "texture"),
        (("sin", np.nan), "undefined"),
        (("sin", 0.50, 0.06, 0.06), "less texture (guessing)"),  # a network that has come to guess
        (("sin", 0.50, 0.15, 0.15), "less texture (before)"),  # as many shape answers as before, well above guessing
        (("sin", 0.50, 0.15, 0.34), "higher bias (before)"),  # the answers move less than their intervals of ± 0.02
        (("sin", 0.50, 0.06, 0.34), "higher bias (guessing)"),
        (("sin", 0.50, 0.20, 0.20), "shape"),
        (("sin", 0.10, 0.01, 0.10), "less shape (before)"),
        (("sin", 0.10, 0.01, 0.05), "less shape (guessing)"),
        (("sin", 0.10, 0.14, 0.35), "lower bias (before)"),
    ],
)
def test_a_turn_towards_shape_needs_more_shape_answers_than_before_and_than_by_guessing(after, direction):
    regime, bias, *shares = after
    tables = study(("vit", "in", 0.30, 0.15, 0.35), ("vit", regime, bias, *shares) if shares else ("vit", regime, bias))
    (effect,) = regime_effects(tables, "conflict", "sin", "in")
    assert effect.direction == direction


def test_a_sentence_claims_no_fall_of_answers_that_did_not_fall():
    tables = study(("a", "in", 0.30, 0.15, 0.35), ("a", "sin", 0.50, 0.06, 0.34))
    sentence, _ = effect_findings(tables, "conflict", REGIMES)["sin"]
    assert (
        "the network has a higher bias, but the shape is not named more often than by guessing, nor the texture "
        "measurably less often." in sentence
    )


def test_an_effect_is_after_minus_before_in_both_orders_of_the_pair():
    for rows in ((("vit", "in", 0.30), ("vit", "sin", 0.60)), (("vit", "sin", 0.60), ("vit", "in", 0.30))):
        tables = study(*rows)
        (effect,) = regime_effects(tables, "conflict", "sin", "in")
        assert (effect.before, effect.after, effect.difference) == pytest.approx((0.30, 0.60, 0.30))
        assert (effect.low, effect.high) == pytest.approx((0.25, 0.35))
        (move,) = bias_changes(tables["shape_bias"], tables["shape_bias_differences"], REGIMES).to_dict("records")
        assert (move["before"], move["after"], move["regime"], move["baseline"]) == (0.30, 0.60, "sin", "in")
        assert [move[key] for key in ("difference", "ci_low", "ci_high")] == pytest.approx([0.30, 0.25, 0.35])


def test_a_change_without_a_common_seed_says_so_instead_of_a_number():
    tables = study(("vit", "in", 0.30), ("vit", "sin", np.nan))
    pooled = tables["shape_bias_differences_pooled"]
    tables["shape_bias_differences_pooled"] = pooled.assign(reason="no seed that both have")
    sentence, line = effect_findings(tables, "conflict", REGIMES)["sin"]
    assert "cannot be compared" in sentence
    assert "(not compared: no seed that both have)" in line and "nan" not in line


def test_each_change_says_which_answers_moved():
    tables = study(("a", "in", 0.1), ("a", "sin", 0.5), ("b", "in", 0.1, 0.04, 0.54), ("b", "sin", 0.5, 0.06, 0.06))
    sentence, first, second = effect_findings(tables, "conflict", REGIMES)["sin"]
    assert sentence == (
        "After training on stylized photographs (compared with photographs), 1 of 2 networks turns towards shape; 1 "
        "names the texture less often, but the shape not more often than by guessing. Guessing names each cue in "
        "6.25 % of answers and has a bias of 0.5."
    )
    assert first == (
        "a: bias 0.10 → 0.50 (change by +0.35 to +0.45, 95 % interval); shape answers 6 % → 30 %, texture answers "
        "54 % → 30 %"
    )
    assert second.endswith("shape answers 4 % → 6 %, texture answers 54 % → 6 %")


# The head


def test_the_head_holds_bias_shape_answers_coverage_and_accuracy_together():
    rows = [(model, regime, bias) for model in ("a", "b") for regime, bias in (("in", 0.2), ("sin", 0.6))]
    accuracy = accuracies(("a", "in", 0.9), ("a", "sin", 0.5), ("b", "in", 0.8), ("b", "sin", 0.4))
    tables = study(*rows) | {"accuracy": accuracy}
    tables["benchmarks"] = pd.concat(
        [tables["benchmarks"], rows_of("benchmarks", {"benchmark": "in_test", "kind": "in_test"})]
    )
    head = headline(tables, REGIMES, PEOPLE)
    assert head.statement == "After training on stylized photographs, both networks turn towards shape."
    assert [number.value for number in head.numbers] == ["0.20 → 0.60", "12 % → 36 %", "60 % → 60 %", "85 % → 45 %"]
    labels = [number.label for number in head.numbers]
    assert labels[0] == "shape bias, mean of 2 networks" and "(guessing: 6.25 %)" in labels[1]
    assert "(guessing: 12.5 %)" in labels[2] and labels[3] == "accuracy on photographs (chance: 6.25 %)"
    assert head.numbers[3].note == "networks: 80 % to 90 % → 40 % to 50 %"


def test_the_head_leaves_out_the_accuracy_of_a_regime_without_one():
    rows = [("a", "in", 0.2), ("a", "sin", 0.6)]
    accuracy = [accuracies(("a", "in", 0.9), ("a", "sin", 0.5), benchmark="edges"), accuracies(("a", "in", 0.9))]
    tables = study(*rows) | {"accuracy": pd.concat(accuracy)}
    names = [{"benchmark": name, "kind": name} for name in ("edges", "in_test")]
    tables["benchmarks"] = pd.concat([tables["benchmarks"], rows_of("benchmarks", *names)])
    labels = [number.label for number in headline(tables, REGIMES, PEOPLE).numbers]
    assert labels == [
        "shape bias, a",
        "answers that name the shape (guessing: 6.25 %)",
        "answers that name shape or texture (guessing: 12.5 %)",
    ]


def test_the_head_gives_no_numbers_of_a_change_that_is_undefined():
    head = headline(study(("a", "in", 0.30), ("a", "sin", np.nan)), REGIMES, PEOPLE)
    assert "cannot be compared" in head.statement and head.numbers == []


def test_the_head_claims_no_shape_bias_if_nobody_reads_the_texture():
    tables = study(("lite0", None, 0.96), readable="shape")
    statement = headline(tables, REGIMES).statement
    assert statement == unreadable_cues(tables, "conflict")
    assert "no measure of shape bias: no observer here reads the texture" in statement
    assert "The most answers that name the texture are 2 % (b); guessing gives 6.25 %." in statement
    published = tables["benchmarks"].assign(origin="published")
    assert unreadable_cues(tables | {"benchmarks": published}, "conflict") == ""


def test_the_head_without_runs_speaks_of_observers():
    head = headline(study(("vgg", None, 0.17), ("people", None, 0.96)), Regimes(), PEOPLE)
    assert head.statement == "On “conflict”, the only observer decides by texture more often than by shape."
    assert [number.value for number in head.numbers] == ["0.17", "60 %", "0.96"]
    assert (
        headline(study(("vgg", None, 0.17)), Regimes(), PEOPLE).numbers[-1].label.endswith("on the published stimuli")
    )
    empty = {name: pd.DataFrame(columns=columns) for name, columns in FILE_COLUMNS.items()}
    assert headline(empty, REGIMES).statement == "No bias was measured: the tables hold no cue-conflict benchmark."


def test_people_alone_do_not_show_that_images_lack_a_cue():
    tables = study(("people", None, 0.96), readable="shape")
    assert unreadable_cues(tables, "conflict") == ""
    assert headline(tables, Regimes()).statement == (
        "On “conflict”, only people were measured: their shape bias is 0.96 [0.93, 0.99]."
    )


def test_sentences_on_many_observers_name_only_the_lowest_and_the_highest():
    tables = study(*[(f"net{i}", None, i / 20) for i in range(1, 13)])
    _, span = observer_findings(tables, "conflict")
    assert "of 12 networks range from net1 0.05 [0.02, 0.08] to net12 0.60 [0.57, 0.63]." in span


def test_the_biases_of_many_observers_may_all_be_undefined():
    _, span = observer_findings(study(*[(f"net{i}", None, np.nan) for i in range(12)]), "conflict")
    assert span.endswith("The shape biases of all 12 networks are undefined.")


def test_people_prefer_no_cue_as_a_network():
    pooled = study(("people", None, 0.96))["shape_bias_pooled"]
    assert preferred_cue_finding(pooled, "conflict") == ""


def test_an_undefined_bias_does_not_count_as_unchanged_or_without_preference():
    tables = study(("a", "in", 0.30), ("b", "in", 0.30), ("a", "sin", 0.60), ("b", "sin", np.nan))
    sentence, *_ = effect_findings(tables, "conflict", REGIMES)["sin"]
    assert "1 of 2 networks turns towards shape; 1 cannot be compared" in sentence
    sentence = preferred_cue_finding(tables["shape_bias_pooled"], "conflict")
    assert "the bias of 1 is undefined" in sentence and "preference" not in sentence


def test_a_preference_needs_an_interval_that_excludes_one_half():
    pooled = study(("a", "in", 0.1), ("b", "in", 0.51), ("c", None, 0.9), ("people", None, 0.96))["shape_bias_pooled"]
    assert preferred_cue_finding(pooled, "conflict") == (
        "On “conflict”, of 3 observers, 1 decides by texture more often than by shape, 1 decides by shape more often "
        "than by texture, 1 shows no measurable preference."
    )


# Cautions


def test_a_caution_names_networks_that_guess():
    guessing = study(("vit", "sin", 0.7, 0.08, 0.06), ("net", "sin", 0.7))
    (note,) = [text for text in cautions(guessing, REGIMES) if "guessing" in text]
    assert "more often than by guessing (12.5 %), so their biases mean nothing: vit stylized (14 %)." in note
    assert not any("guessing" in text for text in cautions(study(("vit", "sin", 0.7)), REGIMES))


def test_a_caution_names_single_seeds_but_not_two_seeds():
    assert any("Each network was trained once" in note for note in cautions(study(("vit", "in", 0.7)), REGIMES))
    assert not any("trained" in note for note in cautions(study(("vit", "in", 0.7), seeds=2), REGIMES))


def test_a_caution_names_drawings_and_small_networks():
    drawn = describe_regimes(CONFIG | {"sources": {"photos": {"kind": "synthetic"}}})
    runs = rows_of("runs", {"observer": "a", "parameters": 250_000}, {"observer": "b", "parameters": 720_000})
    note, *_ = cautions(study(("vit", "in", 0.7)) | {"runs": runs}, drawn)
    assert note.startswith(
        "The images are drawings made by code, not photographs. The networks trained here are small: 0.25 to 0.72"
    )
    large = rows_of("runs", {"observer": "a", "parameters": 25_600_000})
    assert not any("small" in text for text in cautions(study(("vit", "in", 0.7)) | {"runs": large}, REGIMES))


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
    sentence = category_findings(rows_of("shape_bias_by_category", *rows, **shared), "b", REGIMES)
    assert "above in 1, overlapping in 1, undefined in 1 of 3 comparisons (each of one run in one category)" in sentence


def accuracies(*rows: tuple[str, str, float], benchmark: str = "in_test") -> pd.DataFrame:
    shared = {"benchmark": benchmark, "seed": 0, "unit": "category", "images": 100, "chance": 1 / 16}
    records = [
        {"observer": f"{model}_{regime}", "model": model, "regime": regime, "correct": round(100 * value)}
        | {"accuracy": value, "ci_low": value - 0.04, "ci_high": value + 0.04}
        for model, regime, value in rows
    ]
    return rows_of("accuracy", *records, **shared)


def paired_tests(*rows: tuple[str, float, float], benchmark: str = "in_test") -> pd.DataFrame:
    """Return paired tests of `in` minus `sin` for rows of (model, difference, corrected p)."""
    records = [
        {"observer_1": f"{model}_in", "observer_2": f"{model}_sin", "difference": difference, "p_adjusted": p}
        for model, difference, p in rows
    ]
    return rows_of("accuracy_differences", *records, benchmark=benchmark)


def test_a_lower_accuracy_is_claimed_only_if_the_paired_test_shows_it():
    table = accuracies(("a", "in", 0.9), ("a", "sin", 0.86), ("b", "in", 0.9), ("b", "sin", 0.5))
    tests = paired_tests(("a", 0.04, 0.01), ("b", 0.4, 0.2))
    assert cost_findings(table, tests, REGIMES) == [
        "On “in_test” (n = 100, chance 0.06), accuracy after training on stylized photographs is lower in 1, not "
        "measurably different in 1 of 2 networks (a 0.90 [0.86, 0.94] → 0.86 [0.82, 0.90]; b 0.90 [0.86, 0.94] → 0.50 "
        "[0.46, 0.54])."
    ]
    assert cost_findings(accuracies(("a", "in", 0.9)), tests, REGIMES) == []
    assert cost_findings(table, tests, Regimes()) == []


def test_seeds_must_agree_on_a_change_of_accuracy():
    table = accuracies(("a", "in", 0.9), ("a", "sin", 0.5))
    tests = pd.concat([paired_tests(("a", 0.4, 0.01)), paired_tests(("a", 0.4, 0.3))])
    assert "not measurably different in 1" in cost_findings(table, tests, REGIMES)[0]


def test_tests_of_other_regimes_do_not_count():
    tests = paired_tests(("a", 0.4, 0.01)).assign(observer_2="a_combined")
    accuracy = accuracies(("a", "in", 0.9), ("a", "sin", 0.5), ("a", "combined", 0.5))
    sentence, *_ = cost_findings(accuracy, tests, REGIMES)
    assert "lower" not in sentence and "in 1 of 1 network" in sentence


def test_networks_below_chance_are_named():
    table = accuracies(("a", "in", 0.9), ("a", "sin", 0.01))
    (sentence,) = cost_findings(table, paired_tests(("a", 0.89, 0.001)), REGIMES)
    assert sentence.endswith("Below chance: a (stylized).")


def test_a_long_list_of_benchmarks_is_cut():
    parts = [accuracies(("a", "in", 0.9), ("a", "sin", 0.5), benchmark=f"b{i}") for i in range(9)]
    sentences = cost_findings(pd.concat(parts), paired_tests(("a", 0.4, 0.01)), REGIMES)
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


def test_a_network_without_kappa_is_counted_but_quoted_nowhere():
    shared = {"benchmark": "b", "condition": "all", "images": 80}
    rows = [
        {"observer_1": "net", "observer_2": "people", "kappa": 0.2, "ci_low": 0.1, "ci_high": 0.3},
        {"observer_1": "other", "observer_2": "people"},
    ]
    assert consistency_findings(rows_of("error_consistency", *rows, **shared))["b"] == (
        "On “b” (n = 80), 1 of 2 observers err on the same images as people more often than the accuracies alone "
        "predict (κ net 0.20 [0.10, 0.30]). κ is undefined for 1."
    )
    assert consistency_findings(rows_of("error_consistency", rows[1], **shared)) == {}


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


def test_kappa_of_collapsed_networks_is_never_quoted():
    shared = {"benchmark": "b", "condition": "all", "images": 160, "ci_low": 0.84, "ci_high": 1.0}
    caution = "a answers clock to 149 of 160 images"
    rows = [{"observer_1": "a", "observer_2": "b", "kappa": 1.0, "caution": caution}]
    rows.append({"observer_1": "b", "observer_2": "c", "kappa": 0.9, "caution": ""})
    sentence = consistency_findings(rows_of("error_consistency", *rows, **shared))["b"]
    assert "a with b" not in sentence and "b with c 0.90" in sentence
    assert "For 1 pair on “b” κ says nothing about likeness" in sentence and sentence.endswith(f": {caution}.")


def test_likeness_to_people_is_ranked_by_mean_rank():
    rows = [{"observer": name, "model": name, "mean_rank": rank} for name, rank in (("a", 2.0), ("b", 1.0))]
    rows.append({"observer": "people", "model": "people", "benchmark": "sketch"})
    (sentence,) = likeness_findings(rows_of("human_likeness", *[{"benchmark": "all"} | row for row in rows]))
    assert "Over 1 benchmark" in sentence and "b (1.0) is most like people, a (2.0) least" in sentence


def test_networks_without_a_rank_are_not_ranked():
    rows = [{"observer": "a", "model": "a", "benchmark": "all"}]
    assert likeness_findings(rows_of("human_likeness", *rows)) == []


def test_shares_of_an_unmeasured_benchmark_are_not_described():
    tables = study(("a", "in", 0.2))
    assert cue_findings(tables["cue_accuracy"], "other") == []


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
    return rows_of("read_out", *records, benchmark="b", images=80, seed=0, chance=1 / 16)


def test_the_pixels_are_described_and_the_last_stage_needs_intervals_apart():
    rows = [("in", "pixels", 0.0, 0.2, 0.3), ("in", "s1", 0.4, 0.5, 0.9), ("in", "s2", 1.0, 0.2, 0.8)]
    rows += [("sin", "pixels", 0.0, 0.2, 0.3), ("sin", "s2", 1.0, 0.6, 0.7)]
    sentence = read_out_findings(read_out(*rows), REGIMES)["b"]
    assert sentence.startswith(
        "On “b” (n = 80; chance 0.06), the pixels themselves give the shape with an accuracy of 0.20 [0.10, 0.30] and "
        "the texture with 0.30 [0.20, 0.40]; the last stage after training on photographs gives the texture more "
        "accurately in 1 of 1 network; the last stage after training on stylized photographs gives both about equally "
        "(intervals overlap) in 1 of 1 network."
    )
    assert "texture: not clearly different (intervals overlap) in 1 of 1 network (largest change: net 0.80" in sentence
    assert "shape: better in 1 of 1 network (largest change: net 0.20 [0.10, 0.30] → 0.60 [0.50, 0.70])" in sentence


def test_without_a_treatment_the_last_stage_is_that_of_all_networks():
    sentence = read_out_findings(read_out(("in", "s1", 1.0, 0.2, 0.8)), Regimes())["b"]
    assert "the texture more accurately in 1 of 1 network" in sentence and "change" not in sentence


def test_one_cue_alone_cannot_read_out_better():
    table = read_out(("in", "s1", 1.0, 0.2, 0.8))
    assert read_out_findings(table[table["cue"] == "shape"], REGIMES) == {}


def test_features_that_repeat_those_of_another_run_are_dropped():
    rows = [
        (regime, stage, depth, 0.2, 0.8) for regime in ("in", "frozen") for stage, depth in (("s1", 0.5), ("s2", 1.0))
    ]
    table = read_out(*rows, ("sin", "s1", 0.5, 0.2, 0.8), ("sin", "s2", 1.0, 0.3, 0.8))
    assert set(drop_repeated_features(table)["observer"]) == {"in", "sin"}
    assert set(drop_repeated_features(table.assign(seed=np.nan))["observer"]) == {"in", "sin"}


def suppressed() -> pd.DataFrame:
    rows = [
        {"cue": cue, "strength": strength, "observer": name, "model": name, "accuracy": accuracy}
        | {"ci_low": accuracy - 0.05, "ci_high": accuracy + 0.05}
        for name, cue, strength, accuracy in [
            *(("a", "shape", 1, 0.9), ("a", "shape", 4, 0.6), ("a", "shape", 8, 0.2)),
            *(("b", "shape", 1, 0.8), ("b", "shape", 8, 0.4)),
            *(("turned", "shape", 1, 0.5), ("turned", "shape", 8, 0.47)),
            *(("a", "texture", 0, 0.9), ("a", "texture", 2, 0.7), ("a", "colour", 0, 0.9), ("a", "colour", 1, 0.8)),
        ]
    ]
    table = rows_of("reliance", *rows, benchmark="x", images=80, chance=1 / 16)
    return table.assign(regime=table["observer"].map({"a": "in", "b": "in", "turned": "sin"}))


def test_reliance_covers_all_networks_and_names_what_is_done_to_the_images():
    first, second = reliance_findings(suppressed(), REGIMES)
    assert first == (
        "n = 80 photographs, chance 0.06. After training on photographs, accuracies of 2 networks: untouched 0.80 to "
        "0.90; patches shuffled 8 × 8 0.20 to 0.40; smoothed, σ 2 px 0.70; grey 0.80."
    )
    assert second == (
        "After training on stylized photographs, accuracies of 1 network: untouched 0.50; patches shuffled 8 × 8 0.47."
    )


def test_bandwidths_have_intervals_and_observers_without_one_are_named_with_the_reason():
    rows = [
        {"observer": name, "model": name, "bandwidth": value, "bandwidth_low": value - 1, "bandwidth_high": value + 1}
        for name, value in (("wide", 4.5), ("narrow", 2.04), ("refused", np.nan))
    ]
    table = rows_of("critical_band", *rows, benchmark="x", images=1050, chance=1 / 16)
    table["reason"] = ["", "", "too wide"]
    first, second, third = channel_findings(table)
    assert first == (
        "n = 1,050 photographs with noise of one octave, chance 0.06. Bandwidth in octaves: narrow 2.0 [1.0, 3.0], "
        "wide 4.5 [3.5, 5.5]."
    )
    assert second == "Not identified, so without a number: refused (too wide)."
    assert "bandwidth 1.0 octave" in third and "Subramanian et al. 2023" in third
    many = pd.concat([table.head(1).assign(observer=f"o{i}", model=f"o{i}", bandwidth=i + 1.0) for i in range(9)])
    assert channel_findings(many)[0].endswith("9 observers: from o0 1.0 [3.5, 5.5] to o8 9.0 [3.5, 5.5].")


def test_several_seeds_are_counted_as_runs():
    table = read_out(("in", "s1", 1.0, 0.2, 0.8))
    twice = pd.concat([table, table.assign(seed=1, observer="other")])
    assert "in 2 of 2 runs" in read_out_findings(twice, REGIMES)["b"]


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


def test_numbers_have_minus_signs_and_zeros_have_none():
    assert typeset_minus("+0.01 [-0.00, +0.03], -0.001, 0.00, -0.000") == "+0.01 [0.00, +0.03], −0.001, 0.00, 0.000"
