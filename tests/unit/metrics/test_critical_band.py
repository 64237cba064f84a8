"""The critical band: its model written out, another optimizer, coverage, refusals, and the published trials."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from shapebias.errors import UserError
from shapebias.metrics.critical_band import (
    CRITICAL_BAND_COLUMNS,
    PARAMETERS,
    ChannelLikelihood,
    NoiseCounts,
    fit_channels,
    fit_threshold_steps,
    read_published_trials,
    tabulate_critical_band,
)

LEVELS = np.array([0, 0.02, 0.04, 0.08, 0.16])
BANDS = np.arange(7)
CHANCE = 1 / 16


def accuracies(accuracy: float, slope: float, threshold: float, centre: float, bandwidth: float) -> np.ndarray:
    """The probability of a correct answer, [levels, bands], written out from the description of the model."""
    sensitivity = np.exp(-math.log(2) * ((BANDS - centre) / (bandwidth / 2)) ** 2) / threshold  # half at half the width
    odds = (LEVELS[:, None] * sensitivity) ** (slope / math.log(2))
    return CHANCE + (accuracy - CHANCE) / (1 + odds)


def simulate(*observers: tuple[float, ...], trials: int = 30, seed: int = 0) -> NoiseCounts:
    shown = np.full((len(observers), len(LEVELS), len(BANDS)), trials)
    correct = np.random.default_rng(seed).binomial(shown, [accuracies(*observer) for observer in observers])
    return NoiseCounts([f"o{i}" for i in range(len(observers))], correct, shown, LEVELS, BANDS)


def parameters_of(accuracy: float, slope: float, threshold: float, centre: float, bandwidth: float) -> list[float]:
    skill = (accuracy - CHANCE) / (1 - CHANCE)
    return [math.log(skill / (1 - skill)), math.log(slope), math.log2(threshold), centre, math.log(bandwidth)]


def test_noise_at_the_threshold_takes_half_of_the_accuracy_above_chance():
    # At the centre the threshold is 0.04. Half a bandwidth away it is twice as much.
    (values, _) = ChannelLikelihood(simulate((0.9, 2, 0.04, 3, 4)), np.array([CHANCE])).predict(
        np.array([parameters_of(0.9, 2, 0.04, 3, 4)]), np.array([0])
    )
    halfway = CHANCE + (0.9 - CHANCE) / 2
    assert values[0, 2, 3] == pytest.approx(halfway) and values[0, 3, [1, 5]] == pytest.approx(halfway)
    assert values[0, 0] == pytest.approx(0.9)
    assert values[0] == pytest.approx(accuracies(0.9, 2, 0.04, 3, 4))


def test_derivatives_are_those_of_the_probabilities():
    likelihood = ChannelLikelihood(simulate((0.8, 1.5, 0.03, 4.2, 3)), np.array([CHANCE]))
    point, rows = np.array([parameters_of(0.8, 1.5, 0.03, 4.2, 3)]), np.array([0])
    _, derivatives = likelihood.predict(point, rows)
    for k in range(len(PARAMETERS)):
        moved = [likelihood.predict(point + step * np.eye(5)[k], rows)[0] for step in (1e-6, -1e-6)]
        assert derivatives[..., k] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-7)


def deviance(counts: NoiseCounts, point: np.ndarray) -> float:
    """Minus twice the log-likelihood of one observer; point: accuracy, slope, threshold, centre, bandwidth."""
    probability = np.clip(accuracies(*point), 1e-9, 1 - 1e-9)
    correct, shown = counts.correct[0], counts.shown[0]
    return -2 * float((correct * np.log(probability) + (shown - correct) * np.log(1 - probability)).sum())


def test_estimates_and_intervals_are_those_of_another_optimizer():
    truth = np.array([0.85, 2, 0.03, 4, 3.5])
    counts = simulate(tuple(truth))
    scale = np.array([0.1, 1, 0.01, 1, 1])
    options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-6, "fatol": 1e-8}

    def minimum(bandwidth: float | None = None) -> tuple[float, np.ndarray]:
        free = slice(0, 4 if bandwidth else 5)

        def objective(x: np.ndarray) -> float:
            point = np.append(x * scale[free], bandwidth or [])
            allowed = CHANCE < point[0] < 1 and (point[[1, 2, 4]] > 0).all()
            return deviance(counts, point) if allowed else 1e9

        found = minimize(objective, (truth / scale)[free], method="Nelder-Mead", options=options)
        return found.fun, found.x * scale[free]

    lowest, best = minimum()
    fits = fit_channels(counts, np.array([CHANCE]))
    assert fits.reasons == [""]
    assert fits.values[0] == pytest.approx([best[4], 1.75 * 2 ** best[3], 0.01 / best[2]], rel=2e-3)
    expected = 30 * accuracies(*best)
    pearson = ((counts.correct[0] - expected) ** 2 / (expected * (1 - expected / 30))).sum()
    cutoff = chi2.ppf(0.95, 1) * max(1, pearson / (35 - 5))
    for end in (fits.low[0, 0], fits.high[0, 0]):
        assert minimum(end)[0] - lowest == pytest.approx(cutoff, rel=0.01)


def test_intervals_contain_the_truth_in_95_percent_of_simulations():
    # benchmarks/critical_band.py repeats this with more observers. A value is in its profile-likelihood interval where
    # its deviance is at most the cutoff.
    observers = [
        (accuracy, slope, threshold, centre, bandwidth)
        for accuracy in (0.6, 0.9)
        for slope, threshold in ((1.4, 0.02), (2, 0.035))
        for centre in (3.5, 4.3)
        for bandwidth in (1.5, 2.5, 4)
    ] * 25
    likelihood = ChannelLikelihood(simulate(*observers, seed=1), np.full(len(observers), CHANCE))
    rows = np.arange(len(observers))
    best = likelihood.maximize_from(likelihood.starts(rows), rows)
    truth = np.array([parameters_of(*observer) for observer in observers])
    cutoff = chi2.ppf(0.95, 1) * likelihood.dispersion(best, rows)
    height = likelihood.log_likelihood(likelihood.predict(best, rows)[0], rows)
    for name in ("bandwidth", "centre", "threshold"):
        column = PARAMETERS.index(name)
        restricted = best.copy()
        restricted[:, column] = truth[:, column]
        point = likelihood.maximize_from([restricted, truth], rows, fixed=column)
        loss = 2 * (height - likelihood.log_likelihood(likelihood.predict(point, rows)[0], rows))
        assert 0.93 <= (loss <= cutoff).mean() <= 0.97, name


def test_the_centre_and_the_height_are_found_with_many_trials():
    fits = fit_channels(simulate((0.9, 2, 0.03, 4, 2), (0.7, 1.5, 0.05, 3, 5), trials=5000), np.full(2, CHANCE))
    assert fits.values[0] == pytest.approx([2, 28, 1 / 3], rel=0.03)
    assert fits.values[1] == pytest.approx([5, 14, 0.2], rel=0.1)
    assert (fits.low < fits.values).all() and (fits.values < fits.high).all()


def test_observers_without_an_identified_channel_are_refused_with_the_reason():
    always_wrong, one_level = simulate((0.9, 2, 0.03, 4, 3)), simulate((0.9, 2, 0.03, 4, 3))
    always_wrong.correct[:] = always_wrong.shown // 16
    one_level.shown[:, 1:4] = 0
    no_clean = simulate((0.9, 2, 0.03, 4, 3))
    no_clean.shown[:, 0] = 0
    cases = {
        "exclude a bandwidth of 7 octaves, the range of all bands": simulate((0.8, 2, 0.03, 3, 30)),
        "0.03 of 210 images, is not above chance": always_wrong,
        "at 1 levels; needs 3 bands and 2 levels": one_level,
        "no image of a known category without noise": no_clean,
    }
    for reason, counts in cases.items():
        fits = fit_channels(counts, np.array([CHANCE]))
        assert reason in fits.reasons[0]
        assert np.isnan([fits.values, fits.low, fits.high]).all()


def test_the_range_of_bands_is_that_of_the_observer():
    # The second observer saw five of the seven bands, because its input is smaller.
    counts = simulate((0.85, 2, 0.03, 3, 30), (0.85, 2, 0.03, 3, 30))
    counts.shown[1, :, 5:] = counts.correct[1, :, 5:] = 0
    reasons = fit_channels(counts, np.full(2, CHANCE)).reasons
    assert "bandwidth of 7 octaves" in reasons[0] and "bandwidth of 5 octaves" in reasons[1]


def test_a_channel_that_bands_an_octave_apart_cannot_resolve_has_an_interval_from_0():
    # Noise of one band alone disturbs this observer. The channel may have any width below an octave or so.
    fits = fit_channels(simulate((0.8, 2, 0.01, 4, 0.4)), np.array([CHANCE]))
    assert fits.reasons == [""]
    assert fits.low[0, 0] == 0 and 0.4 < fits.high[0, 0] < 2
    assert fits.low[0, 1] < 28 < fits.high[0, 1]
    assert fits.low[0, 2] < 1 and fits.high[0, 2] == np.inf


def trials_of(counts: NoiseCounts) -> pd.DataFrame:
    """Return counts as a table of answers, with cats shown and a dog answered in place of each cat that is missed."""
    rows = [
        (name, f"{i}-{j}-{k}", "cat", "cat" if k < counts.correct[n, i, j] else "dog", f"noise{level:g}freq{band}")
        for n, name in enumerate(counts.observers)
        for i, level in enumerate(LEVELS)
        for j, band in enumerate(BANDS)
        for k in range(counts.shown[n, i, j])
    ]
    table = pd.DataFrame(rows, columns=["observer", "image", "shape", "decision", "condition"])
    return table.assign(answerable=True)


def test_the_table_has_a_row_for_each_observer():
    counts = simulate((0.85, 2, 0.03, 4, 3), (0.8, 2, 0.03, 3, 30))
    fits = fit_channels(counts, np.full(2, CHANCE))
    trials = trials_of(counts)
    other = trials[trials["observer"] == "o0"].assign(shape="dog", answerable=False, image=lambda t: "x" + t["image"])
    table = tabulate_critical_band(pd.concat([other, trials]), {"o0": CHANCE, "o1": CHANCE})
    assert list(table.columns) == CRITICAL_BAND_COLUMNS
    clean = counts.correct[0, 0].sum()
    row = table.iloc[0]
    assert (row["images"], row["images_without_noise"], row["accuracy"]) == (1050, 210, clean / 210)
    assert list(row[["bandwidth", "centre", "sensitivity"]]) == list(fits.values[0])
    assert list(row[["bandwidth_low", "bandwidth_high"]]) == [fits.low[0, 0], fits.high[0, 0]]
    assert row["authors_bandwidth"] == fit_threshold_steps(counts.correct[0], counts.shown[0], BANDS)[0]
    refused = table.iloc[1]
    assert math.isnan(refused["bandwidth"]) and refused["reason"] and refused["images"] == 1050


def test_few_images_are_refused_and_not_fitted():
    rows = [("net", "a", "cat", "cat", "noise0freq0", True), ("net", "b", "cat", "dog", "noise0.04freq3", True)]
    table = tabulate_critical_band(
        pd.DataFrame(rows, columns=["observer", "image", "shape", "decision", "condition", "answerable"]), {"net": 0.5}
    )
    row = table.iloc[0]
    assert "noise in 1 bands and at 1 levels" in row["reason"] and math.isnan(row["authors_bandwidth"])


def test_wrong_trials_are_refused():
    trials = trials_of(simulate((0.9, 2, 0.03, 4, 3), trials=2))
    with pytest.raises(UserError, match="o0: image '0-0-0' is answered twice in condition 'noise0freq0'"):
        tabulate_critical_band(pd.concat([trials, trials[:1]]), {"o0": CHANCE})
    with pytest.raises(UserError, match=r"condition 'blur-3'.*noise0\.04freq3"):
        tabulate_critical_band(trials.assign(condition="blur-3"), {"o0": CHANCE})


# The published fit and the published trials


def test_thresholds_of_the_published_fit_are_counted_from_the_strongest_noise():
    # Bands 0 and 6 survive all noise; band 3 survives none, and counts four steps.
    steps = np.array([0, 0, 2, 4, 2, 0, 0])
    shown = np.full((5, 7), 10)
    correct = np.where(np.arange(5)[:, None] <= 4 - steps, 6, 5)  # exactly half is not enough
    bandwidth, centre, sensitivity = fit_threshold_steps(correct, shown, BANDS)
    assert centre == pytest.approx(1.75 * 2**3)
    assert sensitivity == pytest.approx(1, abs=1e-3)  # the height is limited to four steps
    assert 1.5 < bandwidth < 2.5  # half of the four steps are left one band away from the centre
    correct[:, 3] = 0
    assert fit_threshold_steps(correct, shown, BANDS)[1] == pytest.approx(1.75 * 2**3)
    shown[2, 2] = 0
    assert np.isnan(fit_threshold_steps(correct, shown, BANDS)).all()


@pytest.fixture(scope="module")
def published(shared_data) -> NoiseCounts:
    folder = shared_data / "critical-band" / "network_data"
    paths = {path.name.split("_accuracies_")[0][len("solomon_") :]: path for path in sorted(folder.glob("solomon_*"))}
    return read_published_trials(paths)


def test_the_published_fit_is_repeated_on_the_published_trials(published):
    assert published.correct.shape == (85, 5, 7) and set(published.shown.sum(axis=(1, 2))) == {1050}
    expected = {  # octaves
        "resnet50": 3.99,
        "resnet50_trained_on_SIN": 3.70,
        "vit_base_patch16_224": 3.51,
        "bagnet33": 8.99,
    }
    for name, bandwidth in expected.items():
        place = list(published.observers).index(name)
        fitted = fit_threshold_steps(published.correct[place], published.shown[place], published.bands)
        assert round(fitted[0], 2) == bandwidth


def test_our_fit_of_published_networks_is_near_the_published_one_or_refused(published):
    names = ["resnet50", "resnet50_trained_on_SIN", "bagnet33", "selecsls84"]
    chosen = published.select(np.array([list(published.observers).index(name) for name in names]))
    fits = fit_channels(chosen, np.full(4, CHANCE))
    assert fits.low[0, 0] < 3.99 < fits.high[0, 0] and fits.low[1, 0] < 3.70 < fits.high[1, 0]
    assert [bool(reason) for reason in fits.reasons] == [False, False, True, True]


def test_other_files_than_published_trials_are_refused(tmp_path):
    good, other = {"noise0freq0": [0, 1], "noise0.04freq3": [1, 1]}, {"noise0freq0": [0, 1]}
    for content, problem in (
        ({"noise0freq0": [0, 2]}, "trials must be 0 or 1"),
        ({"alexnet": 0.5}, "noise0.04freq3"),
        ([1], "noise0.04freq3"),
        (other, "conditions differ"),
    ):
        paths = {"a": tmp_path / "a.json", "b": tmp_path / "b.json"}
        paths["a"].write_text(json.dumps(good))
        paths["b"].write_text(json.dumps(content))
        with pytest.raises(UserError, match=rf"b\.json.*{problem}"):
            read_published_trials(paths)
    with pytest.raises(UserError, match="nowhere"):
        read_published_trials({"a": Path("nowhere.json")})
