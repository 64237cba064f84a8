#!/usr/bin/env python3
"""How often do intervals of the critical band contain the true value, and which published networks are refused?

Simulated observers have 30 trials in each of the 35 conditions, as the published networks have on average. Half of the
groups are no Gaussian channels: the log2 threshold of each band is off by a Gaussian with a standard deviation of 0.3.
Their true value is that of the fit to an infinite number of trials; the channel without the scatter is given as well.
With --trials, the published networks are fitted, and those that are refused are named.
"""

import argparse
import itertools
import math
import time
from pathlib import Path

import numpy as np
from measuring import table

from shapebias.metrics.critical_band import (
    FULL_WIDTH,
    REPORTED,
    ChannelLikelihood,
    NoiseCounts,
    fit_channels,
    fit_threshold_steps,
    read_published_trials,
)

LEVELS, BANDS, TRIALS = np.array([0, 0.02, 0.04, 0.08, 0.16]), np.arange(7), 30
ACCURACIES, SLOPES, THRESHOLDS, CENTRES = (0.5, 0.7, 0.9), (1.3, 2), (0.02, 0.035), (3.5, 4.5)
CHANCE = 1 / 16


def simulate(bandwidth: float, repeats: int, scatter: float) -> tuple[NoiseCounts, np.ndarray, np.ndarray]:
    """Return trials of observers with one bandwidth, and their true values with and without the scatter.

    The values are bandwidth, centre and sensitivity, [observers, 3].
    """
    rng = np.random.default_rng(round(1000 * bandwidth + scatter))
    observers = list(itertools.product(ACCURACIES, SLOPES, THRESHOLDS, CENTRES)) * repeats
    accuracy, slope, threshold, centre = (column[:, None, None] for column in np.array(observers).T)
    distance = (BANDS - centre) * FULL_WIDTH / bandwidth
    log2_threshold = np.log2(threshold) + distance**2 / (2 * math.log(2))
    log2_threshold = log2_threshold + scatter * rng.standard_normal(log2_threshold.shape)
    odds = (LEVELS[:, None] / 2**log2_threshold) ** (slope / math.log(2))
    shown = np.full(odds.shape, TRIALS)
    probability = CHANCE + (accuracy - CHANCE) / (1 + odds)
    names = [str(i) for i in range(len(odds))]
    expected = ChannelLikelihood(
        NoiseCounts(names, shown * probability, shown, LEVELS, BANDS), np.full(len(odds), CHANCE)
    )
    everyone = np.arange(len(odds))
    *_, log2_best, best_centre, log_width = expected.maximize_from(expected.starts(everyone), everyone).T
    nearest = np.stack([np.exp(log_width), 1.75 * 2**best_centre, 0.01 / 2**log2_best], axis=1)
    plain = np.stack([np.full(len(odds), bandwidth), 1.75 * 2 ** centre[:, 0, 0], 0.01 / threshold[:, 0, 0]], axis=1)
    return NoiseCounts(names, rng.binomial(shown, probability), shown, LEVELS, BANDS), nearest, plain


def measure_coverage(repeats: int) -> None:
    rows = []
    for scatter, bandwidth in itertools.product((0, 0.3), (1, 1.5, 2, 3, 4, 5)):
        counts, nearest, plain = simulate(bandwidth, repeats, scatter)
        fits = fit_channels(counts, np.full(len(nearest), CHANCE))
        fitted = np.array([not reason for reason in fits.reasons])
        shares = [f"refused {100 * (1 - fitted.mean()):4.1f} % of {len(nearest)}"]
        for truth in (nearest, plain) if scatter else (plain,):
            contained = 100 * ((fits.low <= truth) & (truth <= fits.high))[fitted].mean(axis=0)
            shares += [f"{name} {share:.1f} %" for name, share in zip(REPORTED, contained, strict=True)]
        rows.append((f"bandwidth {bandwidth:g}, scatter {scatter:g}", "  ".join(shares)))
    table("Intervals that contain the true value, of observers that are not refused", rows)


def fit_published(folder: Path) -> None:
    paths = {path.name.split("_accuracies_")[0].split("_", 1)[1]: path for path in sorted(folder.glob("solomon_*"))}
    counts = read_published_trials(paths)
    start = time.perf_counter()
    fits = fit_channels(counts, np.full(len(paths), CHANCE))
    seconds = time.perf_counter() - start
    rows = []
    for place, name in enumerate(paths):
        published = fit_threshold_steps(counts.correct[place], counts.shown[place], counts.bands)[0]
        value, low, high = (array[place, 0] for array in (fits.values, fits.low, fits.high))
        ours = fits.reasons[place] or f"{value:.2f} [{low:.2f}, {high:.2f}]"
        rows.append((name, f"{ours}; published fit {published:,.2f}"))
    table("Bandwidth of the published networks (octaves)", rows)
    print(f"{len(paths)} networks in {seconds:.1f} s; refused: {sum(map(bool, fits.reasons))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="observers of each kind (default: %(default)s)")
    parser.add_argument(
        "--trials", type=Path, metavar="FOLDER", help="network_data of ajaysub110/critical-band-masking"
    )
    args = parser.parse_args()
    measure_coverage(args.repeats)
    if args.trials:
        fit_published(args.trials)


if __name__ == "__main__":
    main()
