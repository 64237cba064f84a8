"""Statistics of kappa agree with the published formulas, with exact probabilities and with the authors' own tests.

The values of the authors are those of the tests of wichmann-lab/error_consistency at commit e5a777c. The package itself
cannot be installed, so the 200 random tables are compared with its formulas, written anew.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln, gammaln

from shapebias.metrics.error_consistency import tabulate_consistency
from shapebias.metrics.kappa_statistics import (
    copy_probability,
    independence_p_values,
    kappa,
    kappa_bounds,
    margin_consistency,
    unbiased_kappa,
)
from shapebias.metrics.panel import pair_trials


def random_tables(number: int = 200, images: tuple[int, int] = (10, 31)) -> np.ndarray:
    """Counts of images that both, only the first, only the second or neither got right: int [number, 4].

    Each observer is right and wrong at least once.
    """
    rng = np.random.default_rng(0)
    tables = []
    while len(tables) < number:
        table = rng.multinomial(rng.integers(*images), rng.dirichlet(np.ones(4)))
        if 0 < table[:2].sum() < table.sum() and 0 < table[::2].sum() < table.sum():
            tables.append(table)
    return np.array(tables)


def accuracies(table: np.ndarray) -> tuple[float, float]:
    both, first, second, _ = table
    return (both + first) / table.sum(), (both + second) / table.sum()


def p_values(tables: np.ndarray, samples: int) -> np.ndarray:
    both, first, second, _ = tables.T[:, None]
    return independence_p_values(kappa(*tables.T)[None], tables.sum(axis=1)[None], both + first, both + second, samples)


def exact_p_value(table: np.ndarray) -> float:
    """The probability that independent observers have a kappa further from 0, summed over all possible tables."""
    n, (both, first, second, _) = int(table.sum()), table
    log_factorial = gammaln(np.arange(n + 1) + 1)

    def predictive(right: int) -> np.ndarray:  # Beta-binomial: of a repetition with an unknown accuracy
        k = np.arange(n + 1)
        chosen = log_factorial[n] - log_factorial - log_factorial[::-1]
        return np.exp(chosen + betaln(k + right, 2 * n - right - k) - betaln(right, n - right))

    one, two, common = np.meshgrid(*[np.arange(n + 1)] * 3, indexing="ij", sparse=True)
    cells = np.broadcast_arrays(common, one - common, two - common, n - one - two + common)
    possible = np.all([cell >= 0 for cell in cells], axis=0)
    counts = [np.where(possible, cell, 0) for cell in cells]
    margins = log_factorial[one] + log_factorial[n - one] + log_factorial[two] + log_factorial[n - two]
    given_margins = np.exp(margins - log_factorial[n] - sum(log_factorial[cell] for cell in counts)) * possible
    weights = given_margins * predictive(both + first)[one] * predictive(both + second)[two]
    assert weights.sum() == pytest.approx(1)
    extreme = np.abs(np.nan_to_num(kappa(*counts))) > abs(kappa(*table)) + 1e-9
    return float(weights[extreme].sum())


def test_bounds_copy_probability_and_unbiased_kappa_follow_the_formulas_on_200_random_tables():
    for table in random_tables(images=(10, 2000)):
        (a, b), n = accuracies(table), table.sum()
        expected = a * b + (1 - a) * (1 - b)
        value = ((table[0] + table[3]) / n - expected) / (1 - expected)
        assert kappa(*table) == pytest.approx(value, abs=1e-9)
        low, high = kappa_bounds(*map(np.array, (a, b)))
        assert high == pytest.approx((min(a, b) + min(1 - a, 1 - b) - expected) / (1 - expected), abs=1e-9)
        assert low == pytest.approx((1 - min(a, 1 - b) - min(1 - a, b) - expected) / (1 - expected), abs=1e-9)
        assert low - 1e-9 <= value <= high + 1e-9
        better = max(a, b)
        copied = value * (1 - expected) / (1 - (better**2 + (1 - better) ** 2))
        assert copy_probability(*map(np.array, (value, a, b))) == pytest.approx(copied, abs=1e-9)
        assert unbiased_kappa(*map(np.array, (value, n))) == pytest.approx(n * value / (n - 1 + value), abs=1e-9)


def test_p_values_agree_with_exact_probabilities_on_200_random_tables():
    tables = random_tables()
    errors = p_values(tables, samples=10_000) - [exact_p_value(table) for table in tables]
    # Four standard deviations of a share of 10,000 samples, which is what the authors' package takes.
    assert np.abs(errors).max() < 4 * math.sqrt(0.25 / 10_000)
    assert abs(errors.mean()) < 0.001


def test_the_values_in_the_tests_of_the_authors():
    assert kappa_bounds(np.array(0.8), np.array(0.6))[1] == pytest.approx(0.54545454545454)
    one, two = (np.array([mark == "1" for mark in marks]) for marks in ("0101111", "0110000"))
    table = [np.sum(cell) for cell in (one & two, one & ~two, ~one & two, ~one & ~two)]
    assert unbiased_kappa(kappa(*table), np.array(7)) == pytest.approx(-0.25)
    for value, right, low, high in ((0.5, 50, 0, 1e-5), (0.001, 70, 0.95, 1)):
        images, correct = np.array([[100]]), np.array([[right]])
        assert low <= independence_p_values(np.array([[value]]), images, correct, correct) <= high
    assert kappa(*np.array([2, 1, 0, 3])) == pytest.approx(0.6666666)
    assert p_values(np.array([[2, 1, 0, 3]]), 1000) < 0.05


def test_copying_is_found_again():
    # The worse observer copies 40 of 100 answers and is right in 30 of the 60 others, unrelated to the better one.
    better = np.array([1] * 32 + [0] * 8 + [1] * 48 + [0] * 12, dtype=bool)
    worse = np.array([1] * 32 + [0] * 8 + [1] * 24 + [0] * 24 + [1] * 6 + [0] * 6, dtype=bool)
    table = [np.sum(cell) for cell in (better & worse, better & ~worse, ~better & worse, ~better & ~worse)]
    assert copy_probability(kappa(*table), np.array(0.8), np.array(0.62)) == pytest.approx(0.4)
    assert copy_probability(kappa(*table), np.array(0.62), np.array(0.8)) == pytest.approx(0.4)


def test_an_observer_that_is_always_right_has_no_p_value_and_no_copy_probability():
    decisions = {"a": ["cat"] * 8, "b": ["cat", "dog"] * 4, "c": ["dog", "cat"] * 4}
    trials = pd.DataFrame(
        [(name, f"{i}", "cat", None, answer) for name, row in decisions.items() for i, answer in enumerate(row)],
        columns=["observer", "image", "shape", "texture", "decision"],
    )
    table = tabulate_consistency(pair_trials(trials), []).set_index(["observer_1", "observer_2"])
    assert table.loc[("a", "b"), ["kappa", "kappa_min", "kappa_max"]].tolist() == [0, 0, 0]
    assert table.loc[("a", "b"), ["p_value", "copy_probability"]].isna().all()
    assert table.loc[("b", "c"), ["kappa", "kappa_min", "kappa_max", "copy_probability"]].tolist() == [-1, -1, 1, -1]


def test_the_p_value_of_a_mean_over_conditions_is_smaller_than_that_of_one_condition():
    # In each condition kappa is 0.2 on 40 images. Independent errors rarely give that four times.
    shared, right = np.full((4, 1), 40), np.full((4, 1), 20)
    four = independence_p_values(np.full((4, 1), 0.2), shared, right, right)
    assert p_values(np.array([[12, 8, 8, 12]]), 2_000) > 0.15 and four < 0.03


def test_the_p_value_is_below_5_percent_for_5_percent_of_independent_pairs():
    rng = np.random.default_rng(1)
    right = rng.random((2, 400, 300)) < np.array([0.7, 0.85])[:, None, None]
    tables = np.array([(one & two, one & ~two, ~one & two, ~one & ~two) for one, two in [right]])[0].sum(axis=2).T
    assert 0.02 <= np.mean(p_values(tables, 1_000) < 0.05) <= 0.085  # three standard deviations


def test_margin_consistency_is_the_correlation_on_common_images():
    margins = np.array([[1.0, 2, np.nan], [2, 1, 5], [3, 4, 6], [4, 3, np.nan], [np.nan, 9, np.nan]])
    result = margin_consistency(margins)
    assert result[0, 1] == result[1, 0] == pytest.approx(np.corrcoef([1, 2, 3, 4], [2, 1, 4, 3])[0, 1])
    assert result[1, 2] == pytest.approx(1) and result[0, 0] == pytest.approx(1)
    assert math.isnan(margin_consistency(np.array([[1.0, 2], [1, 3]]))[0, 1])  # the first observer does not vary


def test_two_published_networks_have_more_consistent_margins_than_chance(shared_data):
    folder = shared_data / "published/alvarez2024/cue-conflict"
    tables = [
        pd.read_csv(folder / f"cue-conflict_{name}_session-1.csv").set_index("imagename")["decision_margin"]
        for name in ("resnet50", "vit-b-16")
    ]
    margins = pd.concat(tables, axis=1, join="inner").to_numpy()
    assert len(margins) == 1280
    assert margin_consistency(margins)[0, 1] == pytest.approx(np.corrcoef(margins.T)[0, 1])
