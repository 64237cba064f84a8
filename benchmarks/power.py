#!/usr/bin/env python3
"""Predictions of `shapebias power` against simulations of the functions that compute the intervals.

Each case simulates many studies with known truth, decides image by image, and gives the answers to the real functions.
The result is the mean width of their intervals and the share of intervals that exclude a value. A row is a case.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shapebias.categories import CATEGORIES
from shapebias.metrics.accuracy_by_condition import prior_images, resampled_image_weights
from shapebias.metrics.bias_differences import difference_intervals
from shapebias.metrics.error_consistency import bound_distances, pooled_kappa_interval, resampled_kappa
from shapebias.metrics.kappa_statistics import kappa
from shapebias.metrics.panel import NO_ANSWER, Panel
from shapebias.metrics.power import (
    Prediction,
    beta_parameters,
    largest_correlation,
    predict_bias,
    predict_difference,
    predict_kappa,
    right_cells,
)
from shapebias.metrics.seed_pooling import pooled_difference, pooled_row
from shapebias.metrics.shape_bias import CueCounts, bias_intervals, bias_rows, count_cues
from shapebias.seeding import generator

RESAMPLES = 2_500  # a quarter of the number in tables; with fewer, quantiles lie too far inside
TOLERANCE = 0.02
STUDIES_AT_ONCE = 100  # studies with the same weights of images, which depend on the names of images


@dataclass(frozen=True)
class Case:
    """A design: the arguments of a prediction. kind: bias, difference or kappa."""

    kind: str
    images: int
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value}" for name, value in self.arguments.items())
        return f"{self.kind}: {self.images} images, {values}"


def bias(images: int, bias: float, coverage: float, versus: float, **groups: Any) -> Case:
    return Case("bias", images, {"bias": bias, "coverage": coverage, "versus": versus} | groups)


def difference(images: int, biases: tuple[float, float], coverage: float, correlation: float, **groups: Any) -> Case:
    more = {"biases": biases, "coverages": (coverage, coverage), "correlation": correlation}
    return Case("difference", images, more | groups)


def agreement(images: int, value: float, accuracies: tuple[float, float], **groups: Any) -> Case:
    return Case("kappa", images, {"value": value, "accuracies": accuracies} | groups)


CASES = [
    bias(1200, 0.22, 0.6, 0.25),
    bias(1200, 0.5, 0.6, 0.55),
    bias(1200, 0.8, 0.9, 0.77),
    bias(1200, 0.96, 0.8, 0.94),
    bias(1200, 0.98, 0.8, 0.99),
    bias(1200, 0.3, 0.05, 0.5),
    bias(160, 0.22, 0.6, 0.3),
    bias(160, 0.95, 0.8, 0.9),
    bias(480, 0.4, 0.3, 0.5),
    bias(2400, 0.22, 0.6, 0.25),
    bias(480, 0.22, 0.6, 0.3, seeds=3, sd=0.01, correlation=0.5),
    bias(480, 0.22, 0.6, 0.28, seeds=5, sd=0.02, correlation=0.5),
    bias(640, 0.5, 0.6, 0.6, seeds=3, sd=0.05, correlation=0.3),
    bias(320, 0.8, 0.8, 0.7, seeds=4, sd=0.03, correlation=0.6),
    bias(1200, 0.96, 0.8, 0.95, people=4, sd=0.01, correlation=0.2),
    bias(1200, 0.9, 0.7, 0.88, people=10, sd=0.02, correlation=0.3),
    difference(1200, (0.22, 0.25), 0.6, 0.5),
    difference(1200, (0.22, 0.3), 0.6, 0.3),
    difference(1200, (0.5, 0.55), 0.6, 0.0),
    difference(1200, (0.5, 0.55), 0.6, 0.7),
    difference(1200, (0.96, 0.94), 0.8, 0.2),
    difference(1200, (0.3, 0.5), 0.05, 0.2),
    difference(160, (0.22, 0.35), 0.6, 0.4),
    difference(2400, (0.22, 0.25), 0.6, 0.4),
    difference(480, (0.22, 0.32), 0.6, 0.4, seeds=3, sd=0.01),
    difference(480, (0.22, 0.3), 0.6, 0.4, seeds=5, sd=0.03),
    difference(640, (0.5, 0.7), 0.6, 0.3, seeds=3, sd=0.05),
    difference(320, (0.2, 0.4), 0.5, 0.3, seeds=4, sd=0.02),
    agreement(1280, 0.05, (0.3, 0.8)),
    agreement(1280, 0.05, (0.5, 0.5)),
    agreement(1280, 0.1, (0.9, 0.95)),
    agreement(1280, 0.1, (0.98, 0.98)),
    agreement(1280, 0.04, (0.2, 0.85)),
    agreement(160, 0.1, (0.95, 0.95)),
    agreement(160, 0.2, (0.7, 0.8)),
    agreement(160, 0.3, (0.5, 0.6)),
    agreement(80, 0.2, (0.6, 0.7)),
    agreement(1280, 0.3, (0.6, 0.7), versus=0.25),
    agreement(640, 0.06, (0.6, 0.7), people=4),
    agreement(320, 0.1, (0.5, 0.8), people=10),
    agreement(320, 0.1, (0.5, 0.8), people=4, sd=0.05, versus=0.05),
    agreement(640, 0.15, (0.6, 0.7), seeds=3, sd=0.02),
    agreement(320, 0.1, (0.5, 0.8), seeds=5, sd=0.05),
]


def shared_draws(images: int, studies: int, number: int, alike: float, rng: np.random.Generator) -> np.ndarray:
    """Sample uniform numbers for the answers of several observers, float32 [2, images, studies, number].

    Two observers of a study have the same numbers for the share `alike` of the images.
    """
    own = rng.random((2, images, studies, number), dtype=np.float32)
    common = rng.random((2, images, studies, 1), dtype=np.float32)
    return np.where(rng.random((images, studies, number)) < np.sqrt(alike), common, own)


def count_answers(shape_hits: np.ndarray, hits: np.ndarray, rng: np.random.Generator) -> CueCounts:
    """Count the answers of observers to conflict images of 16 categories; bool [images, observers].

    The images have new names in each call, so their resampled weights are new, too.
    """
    images = len(hits)
    shape = (np.arange(images) % 16).astype(np.int8)
    texture = ((shape + 1) % 16).astype(np.int8)
    decisions = np.where(hits, np.where(shape_hits, shape[:, None], texture[:, None]), NO_ANSWER).astype(np.int8)
    prefix = rng.integers(2**32)
    panel = Panel(
        images=np.array([f"{prefix}-{CATEGORIES[s]}{i}" for i, s in enumerate(shape)], dtype=object),
        shape=shape,
        texture=texture,
        condition=np.full(images, "", dtype=object),
        observers=[f"{k:05d}" for k in range(hits.shape[1])],
        decisions=decisions,
        answerable=np.ones(decisions.shape, dtype=bool),
    )
    return count_cues(panel, resamples=RESAMPLES)


def pool_each_study(counts: CueCounts, people: int) -> CueCounts:
    """Pool each study's people, who are neighbours in counts."""
    cells = {
        name: getattr(counts, name).reshape(-1, people, len(counts.images)).sum(axis=1)
        for name in ("trials", "shape_hits", "texture_hits")
    }
    return CueCounts(counts.names[::people], counts.images, counts.strata, draws=counts.draws, **cells)


def true_biases(mean: float, sd: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.beta(*beta_parameters(mean, sd), shape) if sd else np.full(shape, mean)


def simulate_bias(
    images: int, studies: int, rng: np.random.Generator, *,
    bias: float, coverage: float, versus: float, seeds: int = 1, people: int = 1, sd: float = 0, correlation: float = 0,
) -> np.ndarray:  # fmt: skip
    """Return the intervals of shape biases in simulated studies, [studies, 2]."""
    number = max(seeds, people)
    truth = true_biases(bias, sd, (studies, number), rng)
    # Observers with different true biases are less alike, so they share more numbers to have this correlation.
    low, high = np.sort(true_biases(bias, sd, (2, 10_000), rng), axis=0)
    limit = np.mean((low - low * high) / np.sqrt(low * (1 - low) * high * (1 - high)))
    hit, shape = shared_draws(images, studies, number, correlation / limit, rng)
    counts = count_answers((shape < truth).reshape(images, -1), (hit < coverage).reshape(images, -1), rng)
    if seeds == 1:
        return bias_intervals(pool_each_study(counts, people))
    rows = bias_rows(counts)
    pooled = [pooled_row(counts, rows, list(range(k, k + seeds))) for k in range(0, studies * seeds, seeds)]
    return np.array([(row["ci_low"], row["ci_high"]) for row in pooled])


def simulate_difference(
    images: int, studies: int, rng: np.random.Generator, *,
    biases: tuple[float, float], coverages: tuple[float, float], correlation: float, seeds: int = 1, sd: float = 0,
) -> np.ndarray:  # fmt: skip
    """Return the intervals of differences of shape biases in simulated studies, [studies, 2]."""
    alike = correlation / largest_correlation(biases, coverages)
    hit, shape = shared_draws(images, studies, 2 * seeds, alike, rng)
    truth = np.concatenate([true_biases(each, sd, (studies, seeds), rng) for each in biases], axis=1)
    covered = hit < np.repeat(coverages, seeds).astype(np.float32)
    counts = count_answers((shape < truth).reshape(images, -1), covered.reshape(images, -1), rng)
    starts = range(0, 2 * studies * seeds, 2 * seeds)
    if seeds == 1:
        return difference_intervals(counts, [(k, k + 1) for k in starts])
    rows = [pooled_difference(counts, [*range(k, k + seeds)], [*range(k + seeds, k + 2 * seeds)]) for k in starts]
    return np.array([(row["ci_low"], row["ci_high"]) for row in rows])


def simulate_kappa(
    images: int, studies: int, rng: np.random.Generator, *,
    value: float, accuracies: tuple[float, float], versus: float = 0, seeds: int = 1, people: int = 1, sd: float = 0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the intervals of kappa in simulated studies, [studies, 2], and their kappas, [studies, seeds or people].

    One observer is compared with several seeds or people. Half of the others' answers are alike beyond their answers
    being like those of the first observer.
    """
    del versus
    number = max(seeds, people)
    values = value + sd * rng.standard_normal((studies, number)) if sd else np.full((studies, number), value)
    cells = right_cells(values, accuracies)  # [4, studies, number]
    first = rng.random((images, studies)) < accuracies[0]
    _, draws = shared_draws(images, studies, number, 0.25 if number > 1 else 0, rng)
    chance = np.where(first[:, :, None], cells[0] / accuracies[0], cells[2] / (1 - accuracies[0]))
    second = draws < chance
    right = np.concatenate([first, second.reshape(images, -1)], axis=1)
    one = np.repeat(np.arange(studies), number)
    other = studies + np.arange(studies * number)
    key = f"power {rng.integers(2**32)}"
    weights, unit = resampled_image_weights(np.arange(images) % 16, key)
    added = prior_images(4, key) * unit
    both, ones, others = (right[:, one] & right[:, other]).sum(axis=0), *(right[:, k].sum(axis=0) for k in (one, other))
    kappas = kappa(both, ones - both, others - both, images - ones - others + both).reshape(studies, number)
    resampled = resampled_kappa(np.ones_like(right), right, one, other, weights, added)
    resampled = resampled.reshape(studies, number, -1)
    if seeds == 1:
        centre = kappas.mean(axis=1)
        low, high = bound_distances(resampled.mean(axis=1), centre)
        bounds = np.stack([centre - low, centre + high], axis=1)
    else:
        paired = zip(kappas, resampled, strict=True)
        bounds = np.array([pooled_kappa_interval(values[None], samples[None]) for values, samples in paired])
    return bounds, kappas


def correlation_of_errors(kappas: np.ndarray, sd: float) -> float:
    """Return the correlation over samples of images of two kappas of a study; kappas: [studies, number].

    sd: of the true kappas, which adds to the variance but not to the covariance.
    """
    covariance = np.cov(kappas.T)
    number = len(covariance)
    own = np.trace(covariance) / number
    between = (covariance.sum() - np.trace(covariance)) / (number * (number - 1))
    return float(np.clip(between / (own - sd**2), 0, 0.99))


def compare(case: Case, studies: int) -> tuple[Prediction, Prediction]:
    """Return the prediction of a case and the result of its simulation."""
    rng = generator(0, "power", case)
    simulate: Callable[..., np.ndarray] = simulate_bias if case.kind == "bias" else simulate_difference
    intervals, kappas = [], []
    for start in range(0, studies, STUDIES_AT_ONCE):
        number = min(STUDIES_AT_ONCE, studies - start)
        if case.kind == "kappa":
            bounds, values = simulate_kappa(case.images, number, rng, **case.arguments)
            kappas.append(values)
        else:
            bounds = simulate(case.images, number, rng, **case.arguments)
        intervals.append(bounds)
    low, high = np.concatenate(intervals).T
    versus = case.arguments.get("versus", 0.5 if case.kind == "bias" else 0.0)
    simulated = Prediction(float(np.mean(high - low)), float(np.mean((low > versus) | (high < versus))))
    predict = {"bias": predict_bias, "difference": predict_difference, "kappa": predict_kappa}[case.kind]
    arguments = dict(case.arguments)
    if case.kind == "kappa" and max(arguments.get("seeds", 1), arguments.get("people", 1)) > 1:
        arguments["correlation"] = correlation_of_errors(np.concatenate(kappas), arguments.get("sd", 0))
    return predict(images=case.images, **arguments), simulated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4_000, help="simulated studies a case (default 4000)")
    args = parser.parse_args()
    print("width and power: predicted, simulated; error in points of bias or κ, and in per cent")
    within = 0
    for case in CASES:
        start = time.perf_counter()
        predicted, simulated = compare(case, args.studies)
        errors = [abs(one - other) for one, other in zip(predicted, simulated, strict=True)]
        within += max(errors) <= TOLERANCE
        mark = "" if max(errors) <= TOLERANCE else "  outside"
        print(f"{case}")
        print(
            f"    width {predicted.width:.4f} {simulated.width:.4f} ({predicted.width / simulated.width - 1:+.1%}), "
            f"power {predicted.power:.3f} {simulated.power:.3f} ({predicted.power - simulated.power:+.3f}), "
            f"{time.perf_counter() - start:.0f} s{mark}",
            flush=True,
        )
    print(f"{within} of {len(CASES)} cases are within 2 points")


if __name__ == "__main__":
    main()
