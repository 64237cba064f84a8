"""Predicted widths and powers agree with simulations of the real intervals and with sums that a reader can check."""

import importlib.util
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from helpers import ROOT, refused, run_script
from scipy.special import betaincinv
from scipy.stats import binom, norm

from shapebias.errors import UserError
from shapebias.evaluation.decisions import read_observers
from shapebias.metrics.bias_differences import difference_rows
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.power import (
    Prediction,
    answer_cells,
    images_for,
    largest_correlation,
    predict_bias,
    predict_difference,
    predict_kappa,
)
from shapebias.metrics.shape_bias import bias_rows, count_cues


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The program of the long table. It simulates studies and gives their answers to the real functions."""
    spec = importlib.util.spec_from_file_location("benchmark_of_power", ROOT / "benchmarks" / "power.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "design"),
    [
        ("bias", (160, 0.22, 0.6, 0.3)),
        ("difference", (160, (0.22, 0.35), 0.6, 0.4)),
        ("agreement", (80, 0.2, (0.6, 0.7))),
    ],
)
def test_a_small_study_is_predicted(benchmark, kind, design):
    """With 300 studies, four standard deviations of a power are at most 12 %. The benchmark has 4,000."""
    predicted, simulated = benchmark.compare(getattr(benchmark, kind)(*design), 300)
    assert predicted.width == pytest.approx(simulated.width, rel=0.03)
    assert predicted.power == pytest.approx(simulated.power, abs=0.12)


def test_a_small_study_of_seeds_is_predicted(benchmark):
    case = benchmark.bias(80, 0.5, 0.9, 0.7, seeds=3, sd=0.05, correlation=0.4)
    predicted, simulated = benchmark.compare(case, 200)
    assert predicted.width == pytest.approx(simulated.width, rel=0.1)  # with three seeds, widths vary by a half
    assert predicted.power == pytest.approx(simulated.power, abs=0.14)


def test_the_power_of_a_bias_is_a_sum_of_binomial_probabilities():
    # All 100 images have a hit. The interval of Jeffreys excludes 0.5 from 60 shape hits on, and up to 40.
    low = [betaincinv(k + 0.5, 100 - k + 0.5, 0.025) for k in (59, 60)]
    assert low[0] < 0.5 < low[1]
    power = binom.sf(59, 100, 0.6) + binom.cdf(40, 100, 0.6)
    assert predict_bias(0.6, 1, 100).power == pytest.approx(power, abs=1e-6)


def test_the_width_follows_the_standard_error():
    # 1,200 images in 16 categories: 1.96 standard errors to either side, less 1.3 % for the categories.
    width = 2 * 1.96 * (0.5 * 0.5 / 720) ** 0.5 * (74 / 76) ** 0.5
    assert predict_bias(0.5, 0.6, 1200).width == pytest.approx(width, rel=0.005)
    # With a correlation of a half, the variance of a difference is that of one bias.
    assert predict_difference((0.5, 0.5), (0.6, 0.6), 1200, correlation=0.5).width == pytest.approx(width, rel=0.01)
    # κ of two observers that are right on one half of the images has a standard error of √(1 - κ²) / √n.
    half = 1.96 * ((1 - 0.04) / 1280) ** 0.5
    assert predict_kappa(0.2, (0.5, 0.5), 1280).width == pytest.approx(2 * half, rel=0.01)


def test_two_seeds_have_the_quantile_of_student():
    # Without noise over images: t with one degree of freedom times the expected standard deviation over √2.
    width = 2 * 12.706 * 0.01 * (2 / 3.14159) ** 0.5 / 2**0.5
    assert predict_bias(0.5, 1, 1_000_000, seeds=2, sd=0.01).width == pytest.approx(width, rel=0.03)


def test_without_an_effect_the_power_is_5_percent():
    assert predict_difference((0.3, 0.3), (0.6, 0.6), 1200, correlation=0.4).power == pytest.approx(0.05, abs=0.01)
    assert predict_kappa(0, (0.3, 0.8), 1280).power == pytest.approx(0.05, abs=0.01)
    assert predict_bias(0.3, 0.6, 1200, versus=0.3).power == pytest.approx(0.05, abs=0.01)
    seeds = predict_difference((0.3, 0.3), (0.6, 0.6), 1200, correlation=0.4, seeds=5, sd=0.03)
    assert seeds.power == pytest.approx(0.05, abs=0.015)


def test_more_people_more_seeds_and_likeness_help():
    one, ten = (predict_bias(0.96, 0.8, 1200, people=k, correlation=0.14 * (k > 1)).width for k in (1, 10))
    assert ten < one * (1 / 10 + 0.9 * 0.14) ** 0.5 * 1.05
    powers = [predict_difference((0.22, 0.25), (0.6, 0.6), 1200, correlation=r).power for r in (0, 0.4, 0.8)]
    assert powers == sorted(powers)
    widths = [predict_kappa(0.1, (0.5, 0.6), 1280, seeds=k, sd=0.02, correlation=0.4).width for k in (2, 3, 5)]
    assert widths == sorted(widths, reverse=True)


def test_the_number_of_images_for_a_width_and_for_a_power():
    def predict(images):
        return predict_bias(0.22, 0.6, images, versus=0.25)

    images = images_for(predict, power=0.8)
    assert predict(images).power >= 0.8 > predict(round(0.97 * images)).power
    # The normal approximation: ((1.96 + 0.84) / 0.03)² × 0.22 × 0.78 images with a hit.
    assert images == pytest.approx(((1.96 + norm.ppf(0.8)) / 0.03) ** 2 * 0.22 * 0.78 / 0.6, rel=0.06)
    images = images_for(predict, width=0.05)
    assert predict(images).width <= 0.05 < predict(round(0.99 * images)).width


def test_seeds_that_differ_too_much_are_said_to_need_more_seeds():
    def predict(images) -> Prediction:
        return predict_difference((0.3, 0.35), (0.6, 0.6), images, seeds=3, sd=0.05, correlation=0.2)

    with pytest.raises(UserError, match=r"no number of images gives a width of 0.05: .* take more seeds"):
        images_for(predict, width=0.05)


def test_a_correlation_that_two_biases_cannot_have_is_refused():
    # Answers as alike as possible: all shape answers of the first network are shape answers of the second one.
    assert largest_correlation((0.2, 0.8), (0.5, 0.5)) == pytest.approx((0.2 - 0.16) / 0.16)
    with pytest.raises(UserError, match=r"correlation 0.5 is impossible .* 0.250 at most"):
        predict_difference((0.2, 0.8), (0.5, 0.5), 1200, correlation=0.5)


def test_the_answers_of_two_networks_have_the_biases_coverages_and_correlation_asked_for():
    biases, coverages, alike = (0.2, 0.3), (0.6, 0.8), 0.5
    cells = answer_cells(biases, coverages, alike).reshape(3, 3)  # shape, texture, neither
    shares = [
        [bias * coverage, (1 - bias) * coverage, 1 - coverage] for bias, coverage in zip(biases, coverages, strict=True)
    ]
    assert cells.sum(axis=1) == pytest.approx(shares[0]) and cells.sum(axis=0) == pytest.approx(shares[1])
    # The error of a bias is the mean over images of (1 - bias) for shape, -bias for texture and 0 for neither.
    one, two = ([1 - bias, -bias, 0] for bias in biases)
    variances = [bias * (1 - bias) * coverage for bias, coverage in zip(biases, coverages, strict=True)]
    correlation = (cells * np.outer(one, two)).sum() / math.sqrt(variances[0] * variances[1])
    assert correlation == pytest.approx(alike * largest_correlation(biases, coverages))


def test_the_typical_values_in_the_documentation_are_those_of_published_observers(shared_data):
    panel = pair_trials(read_observers(sorted((shared_data / "observers").glob("*.csv"))))
    groups = {name: [name] for name in panel.observers}
    counts = count_cues(panel, groups, resamples=1_000)
    rows = dict(zip(counts.names, bias_rows(counts), strict=True))
    width = {name: row["ci_high"] - row["ci_low"] for name, row in rows.items()}
    people = {name for name in rows if name.startswith("subject")}
    biases = [rows[name]["shape_bias"] for name in people]
    assert (round(np.mean(biases), 2), round(np.std(biases, ddof=1), 2)) == (0.96, 0.02)
    correlations = {True: [], False: []}
    for row in difference_rows(counts, groups):
        one, two = row["observer_1"], row["observer_2"]
        if (one in people) == (two in people):
            paired = row["ci_high"] - row["ci_low"]
            correlation = (width[one] ** 2 + width[two] ** 2 - paired**2) / (2 * width[one] * width[two])
            correlations[one in people].append(correlation)
    assert np.mean(correlations[True]) == pytest.approx(0.14, abs=0.03)
    assert 0.3 < min(correlations[False]) < max(correlations[False]) < 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predict_bias(1, 0.6, 1200), "the expected shape bias is 1; it must be above 0 and below 1"),
        (lambda: predict_bias(float("nan"), 0.6, 1200), "the expected shape bias is nan"),
        (lambda: predict_bias(0.3, 0, 1200), "the coverage is 0; it must be above 0 and at most 1"),
        (lambda: predict_bias(0.3, 0.6, 8), "the number of images is 8; it must be at least 16"),
        (lambda: predict_bias(0.3, 0.6, 1200, sd=0.1), "a standard deviation of 0.1 needs several seeds or people"),
        (lambda: predict_bias(0.3, 0.6, 1200, correlation=0.1), "a correlation of 0.1 needs several seeds or people"),
        (lambda: predict_bias(0.3, 0.6, 1200, seeds=3, sd=0.5), "has a standard deviation below 0.458, not 0.5"),
        (lambda: predict_kappa(0.1, (0.5, 0.5), 1280, seeds=3, sd=3), "κ with a mean of 0.1 has a standard deviation"),
        (lambda: predict_bias(0.3, 0.6, 2_000_000), "is 2,000,000; it must be at least 16 and at most 1,000,000"),
        (lambda: predict_bias(0.3, 0.6, 1200, people=10**9), "the number of people is 1,000,000,000; it must be at"),
        (lambda: predict_bias(0.3, 0.6, 1200, seeds=10**9), "it must be at least 1 and at most 1,000"),
        (lambda: predict_bias(0.3, 0.6, 1200, seeds=3, people=2), "there are 3 seeds and 2 people"),
        (lambda: predict_kappa(0.9, (0.2, 0.8), 1280), "κ 0.9 is impossible for accuracies of 0.2 and 0.8"),
        (lambda: predict_kappa(0.1, (0.2, 1), 1280), "an expected accuracy is 1; it must be above 0 and below 1"),
        (lambda: images_for(lambda n: Prediction(0.1, 0.5), power=1.2), "the power is 1.2; it must be above 0"),
    ],
)
def test_impossible_values_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_the_command_prints_a_table():
    done = run_script("power", "bias", "--bias", 0.22, "--coverage", 0.6, "--versus", 0.25)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "shape bias 0.22, coverage 0.6"
    assert "   1,200   0.060   0.48" in done.stdout
    assert lines[-1].endswith("how often the interval excludes 0.25")


def test_the_command_finds_the_number_of_images():
    done = run_script("power", "bias", "--bias", 0.2, "--coverage", 0.6, "--power", 0.9, "--versus", 0.25)
    assert done.stdout.splitlines()[1].endswith("images give a power of 0.9")
    done = run_script("power", "difference", "--bias", 0.2, 0.4, "--coverage", 0.6, 0.5, 0.4)
    refused(done, "--coverage has 3 values")
