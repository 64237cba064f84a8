"""Cohen's kappa of right and wrong answers, and what its value means: bounds, copy probability, test of independence.

All functions are vectorized over pairs of observers. NaN means undefined.
Sources: Cohen 1960; Klein, Meyen, Brendel, Wichmann and Meding, NeurIPS 2025 (arXiv 2507.06645), with the formulas of
the package wichmann-lab/error_consistency at commit e5a777c; Alvarez and Konkle 2024 for margins.
"""

import numpy as np

from shapebias.seeding import generator

NULL_SAMPLES = 2_000
PAIRS_AT_ONCE = 2_048  # 33 MB of samples


def kappa(both: np.ndarray, first: np.ndarray, second: np.ndarray, neither: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa from the numbers of images that both, only the first, only the second or neither got right.

    The formula is (observed - expected) / (1 - expected), multiplied out. Kappa is NaN if expected is 1: if two
    observers are always right, or never, their errors cannot be compared. The code of model-vs-human returns 1 then.
    """
    agreeing, differing = both * neither, first * second
    denominator = (both + first) * (first + neither) + (both + second) * (second + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, 2 * (agreeing - differing) / denominator, np.nan)


def kappa_bounds(accuracy_1: np.ndarray, accuracy_2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest kappa that two observers with these accuracies, in [0, 1], can have.

    The highest is below 1 if the accuracies differ. NaN if kappa is undefined.
    """
    expected = expected_agreement(accuracy_1, accuracy_2)
    most = np.minimum(accuracy_1, accuracy_2) + np.minimum(1 - accuracy_1, 1 - accuracy_2)
    least = 1 - np.minimum(accuracy_1, 1 - accuracy_2) - np.minimum(1 - accuracy_1, accuracy_2)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = ((observed - expected) / (1 - expected) for observed in (least, most))
        return np.where(expected < 1, low, np.nan), np.where(expected < 1, high, np.nan)


def copy_probability(values: np.ndarray, accuracy_1: np.ndarray, accuracy_2: np.ndarray) -> np.ndarray:
    """Return the share of images on which the worse observer copies the better one, in [-1, 1], from their kappas.

    In the model of Klein et al. 2025, the worse observer copies the better one on this share of the images, and answers
    on its own elsewhere. A negative share means that it copies the opposite. The result is
    kappa (1 - e) / (1 - (a² + (1 - a)²)), where e is the expected agreement and a the accuracy of the better observer.
    NaN if the better observer is always or never right.
    """
    better = np.maximum(accuracy_1, accuracy_2)
    spread = 2 * better * (1 - better)  # 1 - (a² + (1 - a)²)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = values * (1 - expected_agreement(accuracy_1, accuracy_2)) / spread
        return np.where(spread > 0, share, np.nan)


def unbiased_kappa(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return n kappa / (n - 1 + kappa), whose mean over samples of n images is nearer to the true kappa."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return images * values / (images - 1 + values)


def expected_agreement(accuracy_1: np.ndarray, accuracy_2: np.ndarray) -> np.ndarray:
    """Return how often two observers with independent errors agree, both right or both wrong."""
    return accuracy_1 * accuracy_2 + (1 - accuracy_1) * (1 - accuracy_2)


def independence_p_values(
    values: np.ndarray, shared: np.ndarray, first: np.ndarray, second: np.ndarray, samples: int = NULL_SAMPLES
) -> np.ndarray:
    """Return the p-value of each pair's mean kappa against independent errors, float [pairs], in [0, 1].

    values: kappas [conditions, pairs], NaN where undefined; shared, first, second: int [conditions, pairs], the images
    that both saw, and those of them that either observer got right; samples: of the null hypothesis, for each pair.

    The test is that of Klein et al. 2025. Under the null hypothesis the numbers of right answers are binomial and
    independent, and each accuracy has the posterior distribution Beta(right, wrong). The p-value is two-sided: the
    share of samples whose mean kappa over the conditions is further from 0 than that of the pair. As in the package of
    the authors, equally extreme samples do not count, so the p-value is a little too small for few images.

    NaN if in each condition an observer is always or never right, because kappa is then 0 or undefined whatever the
    other observer does.
    """
    is_defined = np.isfinite(values)
    mixed = (first > 0) & (first < shared) & (second > 0) & (second < shared)
    is_tested = is_defined & mixed
    result = np.full(values.shape[1], np.nan)
    certain = is_far_from_independent(values, shared, first, second)
    result[certain] = 0
    pairs = np.flatnonzero(is_tested.any(axis=0) & ~certain)
    observed = np.abs(np.where(is_defined, values, 0).sum(axis=0))
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        batch = pairs[start : start + PAIRS_AT_ONCE]
        total = np.zeros((len(batch), samples))
        for condition in range(len(values)):
            rows = np.flatnonzero(is_tested[condition, batch])
            counts = np.stack([numbers[condition, batch[rows]] for numbers in (shared, first, second)])
            add_null_kappas(total, rows, counts, condition)
        # Rounding makes no sample more extreme.
        result[batch] = (np.abs(total) > observed[batch, None] + 1e-9).mean(axis=1)
    return result


def add_null_kappas(total: np.ndarray, rows: np.ndarray, counts: np.ndarray, condition: int) -> None:
    """Add kappas of independent errors in one condition to some rows of `total`, [pairs, samples].

    counts: int [3, rows], of images that both saw, and that either observer got right. Pairs with equal counts share
    their samples: that saves most of them, since a condition rarely has more than 160 images.
    """
    predictive: dict[tuple[int, int, int], np.ndarray] = {}  # side, images, right answers → samples
    rows_of_counts: dict[tuple[int, ...], list[int]] = {}
    for row, key in zip(rows, map(tuple, counts.T.tolist()), strict=True):
        rows_of_counts.setdefault(key, []).append(row)
    for (images, *right), equal_rows in rows_of_counts.items():
        for side in (0, 1):
            if (side, images, right[side]) not in predictive:
                samples = sample_right_answers(condition, side, images, right[side], total.shape[1])
                predictive[side, images, right[side]] = samples
        rng = generator(0, "independent errors", condition, images, *right)
        right_answers = [predictive[side, images, right[side]] for side in (0, 1)]
        total[equal_rows] += sample_null_kappas(images, *right_answers, rng)


def is_far_from_independent(
    values: np.ndarray, shared: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Return whether no sample of the null hypothesis will be as extreme as the mean kappa, bool [pairs].

    The arguments are those of `independence_p_values`. Many pairs of networks are of this kind; sampling takes time.
    The mean kappa is more than 8 standard deviations from 0, and at least ten images are expected in each of the four
    cells of each condition. A cell with so few images exceeds its expectation by 8 standard deviations once in 10⁹.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        right = first / shared, second / shared
        # Given the numbers of right answers, the variance of kappa is 1 / (n - 1), less if the accuracies differ.
        odds = right[0] * (1 - right[1]) / (right[1] * (1 - right[0]))
        variance = 4 / (shared - 1) / (odds + 1 / odds + 2)
        rarest = shared * np.minimum(right[0], 1 - right[0]) * np.minimum(right[1], 1 - right[1])
        far = np.abs(values.sum(axis=0)) > 8 * np.sqrt(variance.sum(axis=0))
    return far & (rarest >= 10).all(axis=0)


def sample_right_answers(condition: int, side: int, images: int, right: int, samples: int) -> np.ndarray:
    """Sample the number of right answers of an observer in a repetition of the experiment, int [samples].

    side: 0 or 1, so that two observers with equal accuracies have different samples.
    """
    rng = generator(0, "right answers", condition, side, images, right)
    return rng.binomial(images, rng.beta(right, images - right, samples))


def sample_null_kappas(images: int, right_1: np.ndarray, right_2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample kappas of observers with independent errors and these numbers of right answers; 0 where undefined."""
    both = rng.hypergeometric(right_1, images - right_1, right_2)
    # `kappa` in terms of the numbers of right answers. Where it is undefined, its numerator is 0 too.
    denominator = right_1 * (images - right_2) + right_2 * (images - right_1)
    return 2 * (both * images - right_1 * right_2) / np.maximum(denominator, 1)


def margin_consistency(margins: np.ndarray) -> np.ndarray:
    """Return the consistency of decision margins of each pair of observers, float [observers, observers].

    margins: float [images, observers], NaN where an observer did not see the image. A margin is the evidence for the
    right category minus the largest evidence for another one, on any scale of the observer.

    The consistency is Pearson's r over the images that both saw. Unlike kappa it also counts how clearly an answer is
    right or wrong. NaN if a pair shares fewer than two images, or if one of the two has no variation on them.
    Source: Alvarez and Konkle 2024.
    """
    result = np.full((margins.shape[1],) * 2, np.nan)
    seen = np.isfinite(margins)
    for first in range(margins.shape[1]):
        for second in range(first, margins.shape[1]):
            common = seen[:, first] & seen[:, second]
            if common.sum() < 2:
                continue
            x, y = (margins[common, column] - margins[common, column].mean() for column in (first, second))
            spread = np.sqrt((x**2).sum() * (y**2).sum())
            if spread > 0:
                result[first, second] = result[second, first] = (x * y).sum() / spread
    return result
