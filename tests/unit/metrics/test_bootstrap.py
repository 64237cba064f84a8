"""Resampling images: weights depend only on names, strata keep their size, and sums are exact."""

import numpy as np

from shapebias.metrics.bootstrap import UNIT, assign_strata, image_weights, jeffreys_prior, resampled_sums

NAMES = np.array([f"cat{i}-dog{i}" for i in range(40)], dtype=object)


def test_weights_of_an_image_depend_only_on_its_name():
    draws = image_weights(NAMES, 100)
    assert np.array_equal(image_weights(NAMES[[7, 3]], 100), draws[[7, 3]])
    assert not np.array_equal(draws[0], draws[1])


def test_weights_are_whole_numbers_with_the_moments_of_an_exponential_distribution():
    draws = image_weights(NAMES, 5_000)
    assert (draws == np.rint(draws)).all() and draws.min() >= 1
    assert abs(draws.mean() / UNIT - 1) < 0.01 and abs(draws.std() / UNIT - 1) < 0.01


def test_each_stratum_keeps_its_size_and_rows_their_own_images():
    strata = np.repeat([0, 1], [10, 30])
    mask = np.ones((2, 40), dtype=bool)
    mask[1, 5:20] = False
    sums = resampled_sums(image_weights(NAMES, 50), strata, mask.astype(int), mask)
    np.testing.assert_allclose(sums, np.array([[40], [25]]) * np.ones(50))
    mask[1, :10] = False  # no image of the first stratum, and twenty of the second
    np.testing.assert_allclose(resampled_sums(image_weights(NAMES, 50), strata, mask.astype(int), mask)[1], 20)
    smallest = np.ones((1, 1), dtype=np.float32)
    assert resampled_sums(smallest, np.zeros(1, int), np.ones((1, 1), int), np.ones((1, 1), bool)) == 1
    first = np.array([[1] * 10 + [0] * 30])
    np.testing.assert_allclose(resampled_sums(image_weights(NAMES, 50), strata, first, mask[:1]), 10)


def test_sums_have_the_same_bits_for_any_set_of_rows_and_any_order_of_images():
    rng = np.random.default_rng(0)
    counts, strata, draws = rng.integers(0, 11, (30, 40)), np.zeros(40, dtype=int), image_weights(NAMES, 200)
    mask = np.ones((1, 40), dtype=bool)
    together = resampled_sums(draws, strata, counts, mask)
    order = rng.permutation(40)
    assert np.array_equal(together[7:8], resampled_sums(draws, strata, counts[7:8], mask))
    assert np.array_equal(together, resampled_sums(draws[order], strata, counts[:, order], mask))


def test_sums_of_many_answers_are_exact():
    # The weighted sum of these answers to two images, 40,950,003, needs 26 bits. float32 has 24.
    weights, counts = np.array([[4095], [3]], dtype=np.float32), np.array([[10_000, 1]])
    sums = resampled_sums(weights, np.zeros(2, dtype=int), counts, np.ones((1, 2), dtype=bool))
    assert sums[0, 0] == 40_950_003 * (2 / 4098)


def test_the_mean_of_n_images_has_the_variance_of_the_bayesian_bootstrap():
    # Rubin 1981: p (1 - p) / (n + 1), here for 10 hits among 40.
    counts = np.array([[1] * 10 + [0] * 30])
    mask = np.ones((1, 40), dtype=bool)
    shares = resampled_sums(image_weights(NAMES), np.zeros(40, dtype=int), counts, mask)[0] / 40
    assert abs(shares.mean() - 1 / 4) < 0.003
    assert abs(shares.var() / (1 / 4 * 3 / 4 / 41) - 1) < 0.05


def test_labels_of_few_images_share_a_stratum():
    labels = np.repeat([3, 5, 9, 11], [4, 8, 2, 6])
    assert len(set(assign_strata(labels))) == 3  # 3 and 9 together
    assert len({assign_strata(labels)[0], assign_strata(labels)[12]}) == 1
    counted = np.arange(20) >= 8  # leaves four of the eight
    assert len(set(assign_strata(labels, counted))) == 2
    assert len(assign_strata(np.array([], dtype=int))) == 0
    five = np.repeat([1, 2, 3, 4], [5, 5, 4, 3])
    assert [len(set(assign_strata(five)[:10])), len(set(assign_strata(five)[10:]))] == [2, 1]


def test_the_prior_has_half_a_hit_for_either_cue_and_differs_between_two_compared_observers():
    first, second = jeffreys_prior(50_000), jeffreys_prior(50_000, side=1)
    for values in (*first, *second):
        assert abs(values.mean() - 0.5) < 0.02
    assert not np.array_equal(first[0], second[0])
    # Jeffreys' prior of a ratio is Beta(1/2, 1/2), with a mean of 1/2 and a variance of 1/8.
    share = first[0] / (first[0] + first[1])
    assert abs(share.mean() - 1 / 2) < 0.01 and abs(share.var() - 1 / 8) < 0.005
