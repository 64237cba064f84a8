"""How wide an interval will be, and how often it will find a difference, before an experiment is run.

The predictions describe the intervals that this project computes: of a shape bias (`shape_bias`, `seed_pooling`), of a
paired difference of two biases (`bias_differences`, `seed_pooling`) and of Cohen's kappa (`error_consistency`). A
prediction averages over possible outcomes of the experiment. It replaces the resampled interval of an outcome by a
formula that needs only counts, so it takes milliseconds instead of minutes. `benchmarks/power.py` compares predictions
with simulations of the real functions.

Vocabulary:

- images: the images that count. For a bias these are conflict images.
- coverage: the share of conflict images that an observer answers with either cue, in (0, 1].
- seeds: networks of one run. Their interval covers images and seeds, so it also depends on `sd`, the standard deviation
  of the true values of seeds. people: persons that are pooled. Their interval covers images only.
- correlation: of the estimates of two networks or persons on the same images, in [0, 1). It is 0 if different images
  are hard for the two, and near 1 if they always give the same answers. `docs/planning.md` has typical values.
- width: the expected width of the 95 % interval. power: the probability that the interval excludes `versus`.

All categories are taken to be alike. If they differ, the real intervals are narrower, because images are resampled
within categories.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, gammaln, ndtri, stdtr, stdtrit, xlogy

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.metrics.bootstrap import JEFFREYS
from shapebias.metrics.kappa_statistics import kappa_bounds
from shapebias.metrics.shape_bias import SMALLEST_SHAPE_STRATUM, TAILS, bound_rare_hits
from shapebias.seeding import generator

OUTCOMES = 20_000  # simulated outcomes of an experiment: a power of one half has a standard error of 0.35 %
MOST_IMAGES = 1_000_000
FEWEST_IMAGES = 16
MOST_OBSERVERS = 1000  # seeds or people; every outcome of seeds holds one number for each
# Kappa is a ratio of two quadratic forms, xᵀ numerator x ÷ xᵀ denominator x, of the numbers x of images that both, only
# the first, only the second or neither got right.
KAPPA_NUMERATOR = np.array([[0, 0, 0, 2], [0, 0, -2, 0], [0, -2, 0, 0], [2, 0, 0, 0]])
KAPPA_DENOMINATOR = np.array([[0, 1, 1, 2], [1, 2, 0, 1], [1, 0, 2, 1], [2, 1, 1, 0]])
NODES = 15  # equally likely values of a quantity that is averaged over


class Prediction(NamedTuple):
    """width: the expected width of the 95 % interval. power: how often the interval excludes a value, in [0, 1]."""

    width: float
    power: float


def predict_bias(
    bias: float, coverage: float, images: float, *,
    versus: float = 0.5, seeds: int = 1, people: int = 1, sd: float = 0.0, correlation: float = 0.0,
) -> Prediction:  # fmt: skip
    """Predict the interval of a shape bias: of one network, of several seeds, or of people pooled.

    bias: expected, in (0, 1); versus: the bias that the interval should exclude, in [0, 1].
    Raises UserError for impossible values, and for several seeds together with several people.
    """
    check_range("the expected shape bias", bias, above=0, below=1)
    check_range("the coverage", coverage, above=0, at_most=1)
    check_range("the bias to compare with", versus, at_least=0, at_most=1)
    check_groups(images, seeds, people, sd, correlation)
    check_alone(seeds, people, correlation)
    check_spread("a shape bias", bias, sd)
    narrowing = stratification(images)
    if seeds == 1:
        # Several people see each image, so they count as more images, but as fewer than people × images.
        effective = effective_images(images, people, correlation)
        predictions = [
            exclude_value(true, coverage, effective, versus, narrowing)
            for true in likely_values(bias, sd / math.sqrt(people))
        ]
        return Prediction(*map(float, np.mean(predictions, axis=0)))
    rng = generator(0, "power of seeds")
    truth = sample_true_biases(bias, sd, seeds, rng)
    noise = correlated_noise(seeds, correlation, rng)
    estimates = np.clip(truth + noise * np.sqrt(truth * (1 - truth) / (images * coverage)), 0, 1)
    centre = estimates.mean(axis=1)
    shared = narrowing * np.sqrt(correlation * centre * (1 - centre) / (images * coverage))
    half = seed_distance(estimates, shared)
    return summarize(np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1), versus)


def predict_difference(
    biases: tuple[float, float], coverages: tuple[float, float], images: float, *,
    seeds: int = 1, sd: float = 0.0, correlation: float = 0.0,
) -> Prediction:  # fmt: skip
    """Predict the paired interval of the difference of two shape biases, each of one network or of several seeds.

    power: the probability that the interval excludes 0. seeds: of each side. correlation: of two networks of different
    sides; two seeds of one side are as much more alike as their equal biases and coverages allow.
    Raises UserError for impossible values, such as a correlation that the two biases and coverages do not allow.
    """
    for bias, coverage in zip(biases, coverages, strict=True):
        check_range("the expected shape bias", bias, above=0, below=1)
        check_range("the coverage", coverage, above=0, at_most=1)
        check_spread("a shape bias", bias, sd)
    check_groups(images, seeds, 1, sd, correlation)
    limit = largest_correlation(biases, coverages)
    if correlation > limit:
        raise UserError(
            f"the correlation {correlation:g} is impossible for biases of {biases[0]:g} and {biases[1]:g} with "
            f"coverages of {coverages[0]:g} and {coverages[1]:g}; it is {limit:.3f} at most"
        )
    narrowing = stratification(images)
    rng = generator(0, "power of differences")
    if seeds == 1:
        cells = rng.multinomial(round(images), answer_cells(biases, coverages, correlation / limit), OUTCOMES)
        return summarize(*difference_bounds(cells.reshape(OUTCOMES, 3, 3), narrowing), 0.0)
    alike = correlation / limit  # the correlation of two seeds of one side, which have one bias and one coverage
    common = rng.standard_normal((OUTCOMES, 1))
    estimates, variances = [], []
    for bias, coverage in zip(biases, coverages, strict=True):
        truth = sample_true_biases(bias, sd, seeds, rng)
        variance = truth * (1 - truth) / (images * coverage)
        of_side, own = rng.standard_normal((OUTCOMES, 1)), rng.standard_normal(truth.shape)
        errors = math.sqrt(correlation) * common + math.sqrt(max(alike - correlation, 0)) * of_side
        errors = errors + math.sqrt(1 - alike) * own
        estimates.append(np.clip(truth + np.sqrt(variance) * errors, 0, 1))
        variances.append(variance.mean(axis=1))
    differences = estimates[0] - estimates[1]
    shared = alike * (variances[0] + variances[1]) - 2 * correlation * np.sqrt(variances[0] * variances[1])
    half = seed_distance(differences, narrowing * np.sqrt(np.maximum(shared, 0)))
    centre = differences.mean(axis=1)
    return summarize(np.clip(centre - half, -1, 1), np.clip(centre + half, -1, 1), 0.0)


def predict_kappa(
    value: float, accuracies: tuple[float, float], images: float, *,
    versus: float = 0.0, seeds: int = 1, people: int = 1, sd: float = 0.0, correlation: float = 0.0,
) -> Prediction:  # fmt: skip
    """Predict the interval of Cohen's kappa of two observers, or its mean over several seeds or several people.

    value: expected kappa; accuracies: of the two observers, in (0, 1); versus: the kappa that the interval should
    exclude, in [-1, 1].
    Raises UserError for impossible values, such as a kappa outside the bounds that the accuracies allow, and for seeds
    together with people.
    """
    for accuracy in accuracies:
        check_range("an expected accuracy", accuracy, above=0, below=1)
    check_range("the kappa to compare with", versus, at_least=-1, at_most=1)
    check_groups(images, seeds, people, sd, correlation)
    check_alone(seeds, people, correlation)
    low, high = (float(bound) for bound in kappa_bounds(*map(np.array, accuracies)))
    if not low <= value <= high:
        raise UserError(
            f"κ {value:g} is impossible for accuracies of {accuracies[0]:g} and {accuracies[1]:g}; it is from "
            f"{low:.3f} to {high:.3f}"
        )
    check_spread("κ", value, sd, low, high)
    rng = generator(0, "power of kappa")
    effective = round(effective_images(images, people, correlation))
    if seeds == 1:
        true = np.clip(value + sd / math.sqrt(people) * rng.standard_normal(OUTCOMES), low, high)
        cells = rng.multinomial(effective, right_cells(true, accuracies).T).T
        return summarize(*kappa_interval(cells), versus)
    noise = correlated_noise(seeds, correlation, rng)
    _, spread = kappa_moments(right_cells(np.array([value]), accuracies) * effective)
    estimates = value + sd * rng.standard_normal(noise.shape) + spread * noise
    centre = estimates.mean(axis=1)
    student = stdtrit(seeds - 1, TAILS[1]) * estimates.std(axis=1, ddof=1) / math.sqrt(seeds)
    half = np.hypot(student, ndtri(TAILS[1]) * spread * math.sqrt(correlation))
    return summarize(np.maximum(centre - half, -1), np.minimum(centre + half, 1), versus)


def images_for(predict: Callable[[int], Prediction], *, width: float | None = None, power: float | None = None) -> int:
    """Return the smallest number of images with at most this width, or with at least this power, to within 0.5 %.

    predict: number of images → prediction. Give either a width, above 0, or a power, in (0, 1).
    Raises UserError if a million images do not suffice. Then the spread of the seeds decides, or there is no effect.
    """
    if width is not None:
        check_range("the width", width, above=0)
        wanted = f"a width of {width:g}"
    else:
        check_range("the power", power or 0.0, above=0, below=1)
        wanted = f"a power of {power:g}"

    def suffices(images: int) -> bool:
        prediction = predict(images)
        return prediction.width <= width if width is not None else prediction.power >= (power or 0.0)

    if not suffices(MOST_IMAGES):
        limit = predict(MOST_IMAGES)
        raise UserError(
            f"no number of images gives {wanted}: with {MOST_IMAGES:,} images the width is {limit.width:.3f} and the "
            f"power {limit.power:.3f}; take more seeds or a larger difference"
        )
    low, high = FEWEST_IMAGES, MOST_IMAGES
    if suffices(low):
        return low
    while high > low + max(1, low // 200):
        middle = round(math.sqrt(low * high))
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def check_range(
    name: str, value: float, *,
    above: float | None = None, below: float | None = None, at_least: float | None = None, at_most: float | None = None,
) -> None:  # fmt: skip
    """Raise UserError for a value outside its range, and for one that is no number."""
    limits = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    broken = (
        not math.isfinite(value)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    )
    if broken:
        allowed = " and ".join(f"{word} {limit:,}" for word, limit in limits.items() if limit is not None)
        raise UserError(f"{name} is {value:,}; it must be {allowed}")


def check_groups(images: float, seeds: int, people: int, sd: float, correlation: float) -> None:
    """Raise UserError for impossible numbers of images, seeds and people, standard deviations and correlations."""
    check_range("the number of images", images, at_least=FEWEST_IMAGES, at_most=MOST_IMAGES)
    check_range("the number of seeds", seeds, at_least=1, at_most=MOST_OBSERVERS)
    check_range("the number of people", people, at_least=1, at_most=MOST_OBSERVERS)
    check_range("the standard deviation", sd, at_least=0)
    check_range("the correlation", correlation, at_least=0, below=1)
    if seeds > 1 and people > 1:
        raise UserError(f"there are {seeds} seeds and {people} people; only one of the two numbers may be above 1")
    if sd and seeds == people == 1:
        raise UserError(f"a standard deviation of {sd:g} needs several seeds or people; give their number")


def check_alone(seeds: int, people: int, correlation: float) -> None:
    """Raise UserError for a correlation of a single observer."""
    if correlation and seeds == people == 1:
        raise UserError(f"a correlation of {correlation:g} needs several seeds or people; give their number")


def check_spread(name: str, mean: float, sd: float, low: float = 0.0, high: float = 1.0) -> None:
    """Raise UserError for a standard deviation that values between two bounds with this mean cannot have."""
    limit = math.sqrt(max((mean - low) * (high - mean), 0))
    if sd and sd >= limit:
        raise UserError(f"{name} with a mean of {mean:g} has a standard deviation below {limit:.3f}, not {sd:g}")


def effective_images(images: float, people: int, correlation: float) -> float:
    """Return the number of images on which one person is as precise as several people on these images."""
    return images / (1 / people + (1 - 1 / people) * correlation)


def stratification(images: float) -> float:
    """Return the width of a bias interval within categories, relative to one without.

    The Bayesian bootstrap of a stratum of m images understates the variance by (m - 1) / (m + 1). Smaller strata are
    merged into one, and one stratum does not understate it.
    """
    each = images / len(CATEGORIES)
    return math.sqrt((each - 1) / (each + 1)) if each >= SMALLEST_SHAPE_STRATUM else 1.0


def likely_values(bias: float, sd: float) -> np.ndarray:
    """Return equally likely true biases [NODES] with this mean and standard deviation."""
    if sd == 0:
        return np.array([bias])
    levels = (np.arange(NODES) + 0.5) / NODES
    return betaincinv(*beta_parameters(bias, sd), levels)


def beta_parameters(mean: float, sd: float) -> tuple[float, float]:
    """Return the parameters of the Beta distribution with this mean and standard deviation."""
    size = mean * (1 - mean) / sd**2 - 1
    return mean * size, (1 - mean) * size


def exclude_value(bias: float, coverage: float, images: float, versus: float, narrowing: float) -> tuple[float, float]:
    """Return the expected width of one network's interval and how often it excludes a value, by exact summation."""
    # The number of hits varies, too. Averaging over it matters only because an exact sum for one number is jagged.
    spread = math.sqrt(images * coverage * (1 - coverage))
    numbers = images * coverage + spread * ndtri((np.arange(NODES) + 0.5) / NODES)
    results = []
    for hits in np.unique(np.maximum(np.round(numbers), 1)):
        reach = 7 * math.sqrt(hits * bias * (1 - bias)) + 5  # the rest has a probability below 1e-9
        shape = np.arange(max(math.floor(hits * bias - reach), 0), min(math.ceil(hits * bias + reach), hits) + 1)
        texture = hits - shape
        log_weight = gammaln(hits + 1) - gammaln(shape + 1) - gammaln(texture + 1)
        weight = np.exp(log_weight + xlogy(shape, bias) + xlogy(texture, 1 - bias))
        bounds = bias_bounds(shape, texture, narrowing)
        bound_rare_hits(bounds, shape, texture, shape + texture)
        excluded = (bounds[:, 0] > versus) | (bounds[:, 1] < versus)
        results.append((weight @ (bounds[:, 1] - bounds[:, 0]), weight @ excluded))
    width, power = np.mean(results, axis=0)
    return float(width), float(power)


def bias_bounds(shape: np.ndarray, texture: np.ndarray, narrowing: float) -> np.ndarray:
    """Return float [n, 2]: Jeffreys intervals of shape hits over hits, narrowed around the estimates."""
    estimate = (shape / np.maximum(shape + texture, 1))[:, None]
    bounds = betaincinv((shape + JEFFREYS)[:, None], (texture + JEFFREYS)[:, None], np.array(TAILS))
    return estimate + narrowing * (bounds - estimate)


def largest_correlation(biases: tuple[float, float], coverages: tuple[float, float]) -> float:
    """Return the correlation of the biases of two networks that are as alike as possible."""
    covariance = min(coverages) * (min(biases) - biases[0] * biases[1]) / (coverages[0] * coverages[1])
    variances = [bias * (1 - bias) / coverage for bias, coverage in zip(biases, coverages, strict=True)]
    return min(covariance / math.sqrt(variances[0] * variances[1]), 1.0)


def answer_cells(biases: tuple[float, float], coverages: tuple[float, float], alike: float) -> np.ndarray:
    """Return float [9]: how often the first and the second network answer shape, texture or neither, in this order.

    alike: the share of images on which the two are as alike as their biases and coverages allow. On the rest, their
    answers are independent.
    """
    apart = [
        np.array([bias * coverage, (1 - bias) * coverage, 1 - coverage])
        for bias, coverage in zip(biases, coverages, strict=True)
    ]
    together = np.zeros((3, 3))
    both = min(coverages)
    together[0, 0], together[1, 1] = both * min(biases), both * (1 - max(biases))
    together[0, 1] = both * max(biases[0] - biases[1], 0)
    together[1, 0] = both * max(biases[1] - biases[0], 0)
    together[:2, 2] = max(coverages[0] - coverages[1], 0) * np.array([biases[0], 1 - biases[0]])
    together[2, :2] = max(coverages[1] - coverages[0], 0) * np.array([biases[1], 1 - biases[1]])
    together[2, 2] = 1 - max(coverages)
    return (alike * together + (1 - alike) * np.outer(*apart)).ravel()


def difference_bounds(cells: np.ndarray, narrowing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the difference of two biases, [n] each; cells: as in `answer_cells`, counts [n, 3, 3].

    The distances of the two intervals add as correlated squares (Zou and Donner 2008).
    """
    shape = np.stack([cells[:, 0].sum(axis=1), cells[:, :, 0].sum(axis=1)])
    texture = np.stack([cells[:, 1].sum(axis=1), cells[:, :, 1].sum(axis=1)])
    hits = np.maximum(shape + texture, 1)
    bias = shape / hits
    bounds = np.stack([bias_bounds(s, t, narrowing) for s, t in zip(shape, texture, strict=True)])
    below, above = bias - bounds[:, :, 0], bounds[:, :, 1] - bias
    deviations = [np.stack([1 - b, -b], axis=1) for b in bias]
    covariance = np.einsum("nij,ni,nj->n", cells[:, :2, :2], *deviations)
    variance = np.sqrt((shape * texture / hits).prod(axis=0))
    correlation = np.divide(covariance, variance, out=np.zeros(len(cells)), where=variance > 0)
    low, high = (
        np.sqrt(np.maximum(one**2 + other**2 - 2 * correlation * one * other, 0))
        for one, other in ((below[0], above[1]), (above[0], below[1]))
    )
    return bias[0] - bias[1] - low, bias[0] - bias[1] + high


def sample_true_biases(bias: float, sd: float, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Sample the true biases of seeds, float [OUTCOMES, seeds], from a Beta distribution."""
    if sd == 0:
        return np.full((OUTCOMES, seeds), bias)
    return rng.beta(*beta_parameters(bias, sd), (OUTCOMES, seeds))


def correlated_noise(number: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Sample standard normal errors, float [OUTCOMES, number]; any two in a row have this correlation."""
    shared, own = rng.standard_normal((OUTCOMES, 1)), rng.standard_normal((OUTCOMES, number))
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


def seed_distance(estimates: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return the distance of both bounds from the mean of k seeds, as in `seed_pooling.seed_interval`, float [n].

    estimates: [n, k]; shared: the standard deviation over images that all seeds share [n]. The distance is a quantile
    of a normal variable plus Student's t, times the standard deviation of the seeds over √k.
    """
    freedom = estimates.shape[1] - 1
    scale = estimates.std(axis=1, ddof=1) / math.sqrt(estimates.shape[1])
    normal = ndtri((np.arange(200) + 0.5) / 200)
    ratios = np.geomspace(0.01, 100, 60)  # scale of Student's t relative to the standard deviation over images
    low, high = np.zeros(len(ratios)), 2 + 2 * stdtrit(freedom, TAILS[1]) * (1 + ratios)
    for _ in range(50):
        middle = (low + high) / 2
        level = stdtr(freedom, (middle[:, None] - normal) / ratios[:, None]).mean(axis=1)
        low, high = np.where(level < TAILS[1], middle, low), np.where(level < TAILS[1], high, middle)
    # Without noise over images, only Student's t is left.
    student = stdtrit(freedom, TAILS[1]) * scale
    ratio = np.divide(scale, shared, out=np.full(len(scale), np.inf), where=shared > 0)
    quantile = np.exp(np.interp(np.log(np.clip(ratio, ratios[0], ratios[-1])), np.log(ratios), np.log(high)))
    return np.where(ratio > ratios[-1], student, shared * quantile)


def right_cells(values: np.ndarray, accuracies: tuple[float, float]) -> np.ndarray:
    """Return how often both, only the first, only the second or neither of two observers are right, float [4, n].

    values: kappas [n], within the bounds that the accuracies allow.
    """
    first, second = accuracies
    both = first * second + values * (first * (1 - second) + second * (1 - first)) / 2
    cells = np.maximum([both, first - both, second - both, 1 - first - second + both], 0)  # at a bound: rounding
    return cells / cells.sum(axis=0)


def kappa_interval(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of kappa, [n] each; cells: numbers of images as in `right_cells`, [4, n].

    Jeffreys' prior adds half an image to each cell, as in `error_consistency`. Resampled kappas are nearly a Beta
    variable on the scale from the lowest kappa that the accuracies allow to 1.
    """
    with_prior = cells + JEFFREYS
    images = with_prior.sum(axis=0)
    lowest, _ = kappa_bounds((with_prior[0] + with_prior[1]) / images, (with_prior[0] + with_prior[2]) / images)
    centre, spread = kappa_moments(with_prior)
    share = np.clip((centre - lowest) / (1 - lowest), 1e-6, 1 - 1e-6)
    size = share * (1 - share) * ((1 - lowest) / spread) ** 2
    low, high = (lowest + (1 - lowest) * betaincinv(share * size, (1 - share) * size, level) for level in TAILS)
    return low, high


def kappa_moments(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of kappa over resampled images, [n] each.

    cells: the weights of the four kinds of images [4, n], in resamples independent Gamma variables with these means.
    The mean comes from Taylor's series of the second order, the standard deviation from that of the first order.
    """
    images = cells.T[:, :, None]
    numerator_slope, denominator_slope = KAPPA_NUMERATOR @ images, KAPPA_DENOMINATOR @ images
    denominator = (images * denominator_slope).sum(axis=1, keepdims=True) / 2
    value = (images * numerator_slope).sum(axis=1, keepdims=True) / 2 / denominator
    slope = (numerator_slope - value * denominator_slope) / denominator
    curvature = -(value * np.diagonal(KAPPA_DENOMINATOR)[:, None] + 2 * slope * denominator_slope) / denominator
    shift, variance = (images * curvature).sum(axis=(1, 2)) / 2, (images * slope**2).sum(axis=(1, 2))
    return value[:, 0, 0] + shift, np.sqrt(variance)


def summarize(low: np.ndarray, high: np.ndarray, versus: float) -> Prediction:
    """Return the mean width of intervals and the share of them that exclude a value."""
    return Prediction(float(np.mean(high - low)), float(np.mean((low > versus) | (high < versus))))
