"""Measures of melanoma: counted by hand, undefined where a class is missing, compared image by image."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shapebias.errors import UserError
from shapebias.figures.melanoma import confusion_matrices, melanoma_overview
from shapebias.figures.style import NoDataError
from shapebias.metrics.melanoma import (
    MELANOMA_COUNTS,
    MELANOMA_MEASURES,
    auc,
    bootstrap_counts,
    exact_interval,
    measure_performance,
    percentiles,
    performance_row,
)
from shapebias.report.accuracy import melanoma_findings
from shapebias.tables.assemble import tabulate_melanoma
from shapebias.tables.columns import MELANOMA_TABLE_COLUMNS
from shapebias.tables.summaries import pool_melanoma

BASELINE = "mela_imagenet"


def answers(melanomas: list[float], others: list[float]) -> pd.DataFrame:
    """Return predictions with these probabilities for melanomas and for other lesions."""
    scores = [*melanomas, *others]
    return pd.DataFrame(
        {
            "image": [f"ISIC_{i:07d}" for i in range(len(scores))],
            "class": ["melanoma"] * len(melanomas) + ["other"] * len(others),
            "predicted_class": ["melanoma" if score > 0.5 else "other" for score in scores],
            "p_melanoma": scores,
        }
    )


def random_predictions(separation: float, seed: int, melanomas: int = 40, others: int = 160) -> pd.DataFrame:
    """Answers of an observer that gives melanomas higher scores by `separation` standard deviations."""
    rng = np.random.default_rng(seed)
    scores = [1 / (1 + np.exp(-rng.normal(shift, 1, count))) for shift, count in ((separation, melanomas), (0, others))]
    return answers(scores[0].tolist(), scores[1].tolist())


def with_metadata(
    model: str, regime: str, seed: int, predictions: pd.DataFrame
) -> tuple[str, pd.DataFrame, dict[str, Any]]:
    """A run's predictions and metadata, as scripts/tables.py reads them."""
    metadata = {"observer": f"{model}_{regime}_seed{seed}", "model": model, "regime": regime, "seed": seed}
    return "mela", predictions, metadata


def pairs(melanoma: np.ndarray, score: np.ndarray) -> float:
    """AUC by counting every pair."""
    won = [(a > b) + (a == b) / 2 for a, b in itertools.product(score[melanoma], score[~melanoma])]
    return float(np.mean(won))


def test_measures_can_be_counted_by_hand():
    row = performance_row(measure_performance(answers([0.9, 0.8, 0.3], [0.6, 0.4, 0.2, 0.1])), None)
    assert (row["images"], row["melanoma_images"]) == (7, 3)
    cells = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    assert [row[name] for name in cells] == [2, 1, 1, 3]
    assert row["accuracy"] == pytest.approx(5 / 7)
    assert (row["sensitivity"], row["specificity"]) == (pytest.approx(2 / 3), 3 / 4)
    assert row["balanced_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert row["auc"] == pytest.approx((4 + 4 + 2) / 12)  # 0.3 is above two of the four
    assert all(row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] for name in MELANOMA_MEASURES)


def test_auc_equals_counting_all_pairs_also_with_ties_and_in_resamples():
    rng = np.random.default_rng(0)
    for levels in (3, 10, 10_000):
        melanoma, score = rng.random(60) < 0.3, rng.integers(0, levels, 60) / levels
        assert auc(melanoma, score, np.ones(60, dtype=int)) == pytest.approx(pairs(melanoma, score))
        resample = bootstrap_counts(melanoma)[:5]
        for counts, value in zip(resample, auc(melanoma, score, resample), strict=True):
            assert value == pytest.approx(pairs(np.repeat(melanoma, counts), np.repeat(score, counts)))


def test_resamples_keep_the_number_of_melanomas():
    melanoma = np.array([True, False, False, True, False])
    counts = bootstrap_counts(melanoma)
    assert (counts[:, melanoma].sum(axis=1) == 2).all() and (counts[:, ~melanoma].sum(axis=1) == 3).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.03)


def test_intervals_of_auc_agree_with_the_formula_of_hanley_and_mcneil():
    row = performance_row(measure_performance(random_predictions(1.0, seed=3, melanomas=117, others=483)), None)
    a, m, n = row["auc"], 117, 483
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n))
    assert row["auc_high"] - row["auc_low"] == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_exact_intervals_of_none_and_all():
    # Clopper and Pearson 1934: the open bound is where ten equal outcomes have a probability of 0.025.
    assert exact_interval(0, 10) == (0, pytest.approx(1 - 0.025 ** (1 / 10)))
    assert exact_interval(10, 10) == (pytest.approx(0.025 ** (1 / 10)), 1)


def test_percentiles_are_the_bounds_of_the_middle_95_per_cent():
    assert percentiles(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def test_only_right_answers_give_exact_binomial_intervals_and_no_interval_of_auc():
    row = performance_row(measure_performance(answers([0.9, 0.8], [0.1, 0.2, 0.3])), None)
    assert (row["sensitivity"], row["sensitivity_high"]) == (1, 1)
    assert row["sensitivity_low"] == pytest.approx(0.025 ** (1 / 2))  # Clopper and Pearson: (α/2)^(1/n)
    assert row["specificity_low"] == pytest.approx(0.025 ** (1 / 3))
    assert row["accuracy_low"] == pytest.approx(0.025 ** (1 / 5))
    assert (row["auc"], row["balanced_accuracy"]) == (1, 1)
    assert np.isnan([row["auc_low"], row["auc_high"], row["balanced_accuracy_low"]]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("scores", "undefined"),
    [
        (([], [0.6, 0.2]), {"sensitivity", "balanced_accuracy", "auc"}),
        (([0.6, 0.2], []), {"specificity", "balanced_accuracy", "auc"}),
    ],
)
def test_measures_that_need_a_missing_class_are_nan(scores, undefined):
    row = performance_row(measure_performance(answers(*scores)), None)
    assert {name for name in MELANOMA_MEASURES if np.isnan(row[name])} == undefined
    assert row["accuracy"] == 0.5


def test_a_paired_difference_has_a_narrower_interval_than_its_two_parts():
    baseline = random_predictions(1.0, seed=5)
    better = baseline.assign(p_melanoma=baseline["p_melanoma"] + 0.05 * (baseline["class"] == "melanoma"))
    row = performance_row(measure_performance(better), measure_performance(baseline))
    first, second = (performance_row(measure_performance(table), None) for table in (baseline, better))
    assert row["auc_difference"] == pytest.approx(second["auc"] - first["auc"])
    assert 0 < row["auc_difference_low"] < row["auc_difference"] < row["auc_difference_high"]
    assert first["auc_high"] > second["auc_low"]  # their separate intervals overlap
    assert row["balanced_accuracy_difference"] == 0  # their decisions are the same


def test_one_answer_to_all_images_still_has_intervals():
    row = performance_row(measure_performance(answers([0.3, 0.1], [0.3, 0.2, 0.4])), None)
    assert (row["accuracy"], row["sensitivity"], row["specificity"]) == (0.6, 0, 1)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((0.147, 0.947), abs=1e-3)  # 3 of 5, exact
    assert np.isnan([row["balanced_accuracy_low"], row["balanced_accuracy_high"]]).all()


def test_equal_answers_have_no_difference_in_any_order_of_rows():
    table = random_predictions(1.0, seed=7)
    row = performance_row(measure_performance(table.sample(frac=1, random_state=0)), measure_performance(table))
    assert row["auc_difference"] == 0
    assert np.isnan(row["auc_difference_low"])  # all resamples are equal, so there is no interval


def test_observers_of_different_images_are_not_compared():
    table = random_predictions(1.0, seed=7)
    with pytest.raises(UserError, match="different images"):
        performance_row(measure_performance(table), measure_performance(table.assign(image="x" + table["image"])))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two networks: one is better with a different initialization, and the second has no baseline."""
    answers = [("vit", "mela_imagenet", 1.0), ("vit", "mela_sin", 1.5), ("resnet", "mela_sin", 1.0)]
    return tabulate_melanoma(
        [with_metadata(model, regime, 0, random_predictions(shift, seed=9)) for model, regime, shift in answers],
        BASELINE,
    )


def test_markers_are_at_the_values_of_the_table_and_undefined_differences_have_none(table):
    axes = {panel.get_title(loc="left"): panel for panel in melanoma_overview(table, benchmark="mela").axes}

    def markers(panel: str) -> list[float]:
        marked_lines = [line for line in axes[panel].lines if line.get_marker() in ("o", "X")]
        return [float(np.asarray(line.get_xdata()).item()) for line in marked_lines]

    assert markers("ROC AUC") == pytest.approx(table["auc"].tolist())
    assert markers("sensitivity") == pytest.approx(table["sensitivity"].tolist())
    assert markers("AUC difference") == pytest.approx([table["auc"][1] - table["auc"][0]])


def test_confusion_matrices_hold_the_counts(table):
    figure = confusion_matrices(table, benchmark="mela")
    (first, *_) = [axes for axes in figure.axes if axes.texts]
    row = table.iloc[0]
    assert [text.get_text().split("\n")[0] for text in first.texts] == [str(row[name]) for name in MELANOMA_COUNTS]
    assert first.texts[0].get_text().endswith(f"{100 * row['sensitivity']:.0f} %")


def test_without_observers_there_is_no_figure(table):
    for draw in (melanoma_overview, confusion_matrices):
        with pytest.raises(NoDataError, match="other: no observer to show"):
            draw(table, benchmark="other")


def test_an_initialization_helps_only_if_the_interval_excludes_zero(table):
    (row,) = melanoma_findings(table)
    assert row == "On “mela”, against ImageNet weights alone, ROC AUC is higher in 1 of 1 run of mela_sin."
    alike = table.assign(auc_difference_low=-0.1)
    assert "not measurably different in 1 of 1 run of mela_sin" in melanoma_findings(alike)[0]
    assert "the effect of the initialization is unknown" in melanoma_findings(table.assign(auc_difference=np.nan))[0]


def test_seeds_are_drawn_as_their_mean_with_the_widest_interval(table):
    seeds = pd.concat([table.iloc[:1], table.iloc[1:2].assign(regime="mela_imagenet", seed=1)])
    (pooled,) = pool_melanoma(seeds).to_dict("records")
    assert pooled["auc"] == pytest.approx(table["auc"][:2].mean())
    assert (pooled["auc_low"], pooled["auc_high"]) == (table["auc_low"][:2].min(), table["auc_high"][:2].max())
    assert pooled["true_positives"] == table["true_positives"][:2].sum()


def test_a_run_is_compared_with_the_baseline_of_its_model_and_seed():
    runs = [("vit", "mela_sin", 0), ("vit", BASELINE, 0), ("vit", "mela_sin", 1)]
    runs += [("resnet", BASELINE, 0), ("resnet", "mela_in", 0)]
    answers = [with_metadata(*run, random_predictions(1.0, seed)) for seed, run in enumerate(runs)]
    table = tabulate_melanoma(answers, BASELINE)
    assert list(table.columns) == MELANOMA_TABLE_COLUMNS
    assert list(table["baseline"]) == [BASELINE, "", "", "", BASELINE]
    assert list(table["auc_difference"].isna()) == [False, True, True, True, False]
    assert table["auc_difference"][0] == pytest.approx(table["auc"][0] - table["auc"][1])
    assert tabulate_melanoma(answers)["auc_difference"].isna().all()
