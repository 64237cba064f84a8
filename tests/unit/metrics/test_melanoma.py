"""Measures of melanoma: counted by hand, undefined where a class is missing, compared image by image."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.figures.melanoma import confusion_matrices, melanoma_overview
from shapebias.metrics.melanoma import COUNTS, MEASURES, auc, performance, resamples, row
from shapebias.report.accuracy import melanoma_findings
from shapebias.tables.assemble import melanoma_table
from shapebias.tables.columns import MELANOMA_COLUMNS
from shapebias.tables.summaries import pool_melanoma

BASELINE = "mela_imagenet"


def answers(melanomas: list[float], others: list[float]) -> pd.DataFrame:
    """The probabilities that were given to melanomas and to other lesions → predictions."""
    scores = [*melanomas, *others]
    return pd.DataFrame(
        {
            "image": [f"ISIC_{i:07d}" for i in range(len(scores))],
            "class": ["melanoma"] * len(melanomas) + ["other"] * len(others),
            "predicted_class": ["melanoma" if score > 0.5 else "other" for score in scores],
            "p_melanoma": scores,
        }
    )


def drawn(separation: float, seed: int, melanomas: int = 40, others: int = 160) -> pd.DataFrame:
    """Answers of an observer that gives melanomas higher scores by `separation` standard deviations."""
    rng = np.random.default_rng(seed)
    scores = [1 / (1 + np.exp(-rng.normal(shift, 1, count))) for shift, count in ((separation, melanomas), (0, others))]
    return answers(scores[0].tolist(), scores[1].tolist())


def answered(model: str, regime: str, seed: int, predictions: pd.DataFrame) -> tuple[str, pd.DataFrame, dict[str, Any]]:
    """What scripts/tables.py knows of a run's predictions."""
    who = {"observer": f"{model}_{regime}_seed{seed}", "model": model, "regime": regime, "seed": seed}
    return "mela", predictions, who


def pairs(melanoma: np.ndarray, score: np.ndarray) -> float:
    """AUC by counting every pair."""
    won = [(a > b) + (a == b) / 2 for a, b in itertools.product(score[melanoma], score[~melanoma])]
    return float(np.mean(won))


def test_measures_can_be_counted_by_hand():
    told = row(performance(answers([0.9, 0.8, 0.3], [0.6, 0.4, 0.2, 0.1])), None)
    assert (told["images"], told["melanoma_images"]) == (7, 3)
    cells = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    assert [told[name] for name in cells] == [2, 1, 1, 3]
    assert told["accuracy"] == pytest.approx(5 / 7)
    assert (told["sensitivity"], told["specificity"]) == (pytest.approx(2 / 3), 3 / 4)
    assert told["balanced_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert told["auc"] == pytest.approx((4 + 4 + 2) / 12)  # 0.3 is above two of the four
    assert all(told[f"{name}_low"] <= told[name] <= told[f"{name}_high"] for name in MEASURES)


def test_auc_is_that_of_all_pairs_also_with_ties_and_in_resamples():
    rng = np.random.default_rng(0)
    for levels in (3, 10, 10_000):
        melanoma, score = rng.random(60) < 0.3, rng.integers(0, levels, 60) / levels
        assert auc(melanoma, score, np.ones(60, dtype=int)) == pytest.approx(pairs(melanoma, score))
        resample = resamples(melanoma)[:5]
        for counts, value in zip(resample, auc(melanoma, score, resample), strict=True):
            assert value == pytest.approx(pairs(np.repeat(melanoma, counts), np.repeat(score, counts)))


def test_resamples_keep_the_number_of_melanomas():
    melanoma = np.array([True, False, False, True, False])
    counts = resamples(melanoma)
    assert (counts[:, melanoma].sum(axis=1) == 2).all() and (counts[:, ~melanoma].sum(axis=1) == 3).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.03)


def test_intervals_of_auc_are_those_of_the_formula_of_hanley_and_mcneil():
    told = row(performance(drawn(1.0, seed=3, melanomas=117, others=483)), None)
    a, m, n = told["auc"], 117, 483
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n))
    assert told["auc_high"] - told["auc_low"] == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_nothing_but_right_answers_have_the_exact_binomial_interval_and_an_auc_of_one_has_none():
    told = row(performance(answers([0.9, 0.8], [0.1, 0.2, 0.3])), None)
    assert (told["sensitivity"], told["sensitivity_high"]) == (1, 1)
    assert told["sensitivity_low"] == pytest.approx(0.025 ** (1 / 2))  # Clopper and Pearson: (α/2)^(1/n)
    assert told["specificity_low"] == pytest.approx(0.025 ** (1 / 3))
    assert told["accuracy_low"] == pytest.approx(0.025 ** (1 / 5))
    assert (told["auc"], told["balanced_accuracy"]) == (1, 1)
    assert np.isnan([told["auc_low"], told["auc_high"], told["balanced_accuracy_low"]]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("shown", "undefined"),
    [
        (([], [0.6, 0.2]), {"sensitivity", "balanced_accuracy", "auc"}),
        (([0.6, 0.2], []), {"specificity", "balanced_accuracy", "auc"}),
    ],
)
def test_what_a_missing_class_leaves_undefined_is_nan(shown, undefined):
    told = row(performance(answers(*shown)), None)
    assert {name for name in MEASURES if np.isnan(told[name])} == undefined
    assert told["accuracy"] == 0.5


def test_a_paired_difference_is_surer_than_its_two_parts():
    baseline = drawn(1.0, seed=5)
    better = baseline.assign(p_melanoma=baseline["p_melanoma"] + 0.05 * (baseline["class"] == "melanoma"))
    told = row(performance(better), performance(baseline))
    first, second = (row(performance(table), None) for table in (baseline, better))
    assert told["auc_difference"] == pytest.approx(second["auc"] - first["auc"])
    assert 0 < told["auc_difference_low"] < told["auc_difference"] < told["auc_difference_high"]
    assert first["auc_high"] > second["auc_low"]  # apart they tell nothing
    assert told["balanced_accuracy_difference"] == 0  # their decisions are the same


def test_one_answer_to_all_is_no_certainty():
    told = row(performance(answers([0.3, 0.1], [0.3, 0.2, 0.4])), None)
    assert (told["accuracy"], told["sensitivity"], told["specificity"]) == (0.6, 0, 1)
    assert (told["accuracy_low"], told["accuracy_high"]) == pytest.approx((0.147, 0.947), abs=1e-3)  # 3 of 5, exact
    assert np.isnan([told["balanced_accuracy_low"], told["balanced_accuracy_high"]]).all()


def test_equal_answers_differ_by_nothing_and_rows_in_another_order_are_the_same():
    table = drawn(1.0, seed=7)
    told = row(performance(table.sample(frac=1, random_state=0)), performance(table))
    assert told["auc_difference"] == 0
    assert np.isnan(told["auc_difference_low"])  # no resample differs, which proves nothing


def test_observers_of_other_images_are_not_compared():
    table = drawn(1.0, seed=7)
    with pytest.raises(UserError, match="different images"):
        row(performance(table), performance(table.assign(image="x" + table["image"])))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two networks: one is better from another start, the other has no baseline."""
    answers = [("vit", "mela_imagenet", 1.0), ("vit", "mela_sin", 1.5), ("resnet", "mela_sin", 1.0)]
    return melanoma_table(
        [answered(model, regime, 0, drawn(shift, seed=9)) for model, regime, shift in answers], BASELINE
    )


def test_markers_stand_at_the_values_of_the_table_and_a_difference_only_where_there_is_one(table):
    axes = {panel.get_title(loc="left"): panel for panel in melanoma_overview(table, benchmark="mela").axes}

    def markers(panel: str) -> list[float]:
        shown = [line for line in axes[panel].lines if line.get_marker() in ("o", "X")]
        return [float(np.asarray(line.get_xdata()).item()) for line in shown]

    assert markers("ROC AUC") == pytest.approx(table["auc"].tolist())
    assert markers("sensitivity") == pytest.approx(table["sensitivity"].tolist())
    assert markers("AUC difference") == pytest.approx([table["auc"][1] - table["auc"][0]])


def test_confusion_matrices_hold_the_counts(table):
    figure = confusion_matrices(table, benchmark="mela")
    (first, *_) = [axes for axes in figure.axes if axes.texts]
    told = table.iloc[0]
    assert [text.get_text().split("\n")[0] for text in first.texts] == [str(told[name]) for name in COUNTS]
    assert first.texts[0].get_text().endswith(f"{100 * told['sensitivity']:.0f} %")


def test_no_observer_is_said_in_words(table):
    for figure in (melanoma_overview(table, benchmark="other"), confusion_matrices(table, benchmark="other")):
        assert "no observer" in figure.texts[0].get_text()


def test_a_start_is_said_to_help_only_where_the_interval_leaves_out_zero(table):
    (told,) = melanoma_findings(table)
    assert told == "On “mela”, against ImageNet weights alone, ROC AUC is higher in 1 of 1 run of mela_sin."
    alike = table.assign(auc_difference_low=-0.1)
    assert "not measurably different in 1 of 1 run of mela_sin" in melanoma_findings(alike)[0]
    assert "the effect of the initialization is unknown" in melanoma_findings(table.assign(auc_difference=np.nan))[0]


def test_seeds_are_shown_by_their_mean_and_widest_interval(table):
    seeds = pd.concat([table.iloc[:1], table.iloc[1:2].assign(regime="mela_imagenet", seed=1)])
    (pooled,) = pool_melanoma(seeds).to_dict("records")
    assert pooled["auc"] == pytest.approx(table["auc"][:2].mean())
    assert (pooled["auc_low"], pooled["auc_high"]) == (table["auc_low"][:2].min(), table["auc_high"][:2].max())
    assert pooled["true_positives"] == table["true_positives"][:2].sum()


def test_a_run_is_compared_with_the_baseline_of_its_model_and_seed():
    runs = [("vit", "mela_sin", 0), ("vit", BASELINE, 0), ("vit", "mela_sin", 1)]
    runs += [("resnet", BASELINE, 0), ("resnet", "mela_in", 0)]
    answers = [answered(*run, drawn(1.0, seed)) for seed, run in enumerate(runs)]
    table = melanoma_table(answers, BASELINE)
    assert list(table.columns) == MELANOMA_COLUMNS
    assert list(table["baseline"]) == [BASELINE, "", "", "", BASELINE]
    assert list(table["auc_difference"].isna()) == [False, True, True, True, False]
    assert table["auc_difference"][0] == pytest.approx(table["auc"][0] - table["auc"][1])
    assert melanoma_table(answers)["auc_difference"].isna().all()
