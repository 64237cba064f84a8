"""p values adjusted for the number of tests, by hand."""

import math

import numpy as np

from shapebias.metrics.many_tests import adjust_for_discoveries, adjust_for_many_tests


def test_p_values_are_adjusted_by_holm_s_method():
    """Four tests: 4 x .01, 3 x .02, 2 x .03 = .06, 1 x .04 raised to .06."""
    adjusted = adjust_for_many_tests([0.02, 0.01, math.nan, 0.04, 0.03])
    np.testing.assert_allclose(adjusted, [0.06, 0.04, math.nan, 0.06, 0.06])


def test_p_values_are_adjusted_by_benjamini_and_hochberg_s_method():
    """Four tests, p × 4 / rank: .04, .04, .03 × 4 / 3 and .04; the next larger one is an upper limit."""
    adjusted = adjust_for_discoveries([0.02, 0.01, math.nan, 0.04, 0.03])
    np.testing.assert_allclose(adjusted, [0.04, 0.04, math.nan, 0.04, 0.04])
    np.testing.assert_allclose(adjust_for_discoveries([0.5, 0.001]), [0.5, 0.002])
    assert adjust_for_discoveries([]).size == 0
