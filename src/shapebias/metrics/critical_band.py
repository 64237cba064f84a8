"""The critical band: the spatial frequencies at which noise disturbs an observer's recognition of objects.

Photographs are shown with noise of one octave-wide band (`shapebias.evaluation.band_noise`). The model of an observer's
answers has five parameters:

- accuracy without noise;
- sensitivity to noise in a band, a Gaussian over octaves with a centre, a bandwidth (full width at half maximum) and a
  height; the threshold of a band is the inverse of the sensitivity;
- slope: accuracy falls from its value without noise to chance, as a logistic function of the logarithm of the noise's
  standard deviation, and is halfway at the threshold.

All trials are fitted at once by maximum likelihood. Intervals are 95 % profile-likelihood intervals, widened by the
dispersion of the data around the model (McCullagh and Nelder 1989). An observer is refused if the data do not exclude a
bandwidth as wide as all bands together.

Source of the measure: Subramanian, Sizikova, Majaj and Pelli, NeurIPS 2023 (arXiv 2309.13190), after Solomon and Pelli
1994. Their fit has no intervals and no such rule. `fit_threshold_steps` repeats it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit
from scipy.special import chdtri, expit, logit

from shapebias.errors import UserError
from shapebias.evaluation.band_noise import band_centre, noise_condition, parse_noise_condition
from shapebias.metrics.shape_bias import wilson_interval

FULL_WIDTH = 2 * math.sqrt(math.log(4))  # full width at half maximum of a Gaussian, in standard deviations
SENSITIVITY_UNIT = 0.01  # a threshold of this standard deviation is a sensitivity of 1, as in the published values
CUTOFF = float(chdtri(1, 0.05))  # 95 % quantile of chi-squared with one degree of freedom
PARAMETERS = ("accuracy", "slope", "threshold", "centre", "bandwidth")
REPORTED = ("bandwidth", "centre", "sensitivity")
FEWEST_BANDS, FEWEST_LEVELS = 3, 2  # bands that determine a Gaussian, and noise levels that determine a slope
NARROWEST = 0.5  # octaves; bands are one octave apart and cannot resolve less
STEPS, LARGEST_STEP, SMALLEST_GAIN = 100, 1.5, 1e-6  # of the maximization
BISECTIONS = 16
CRITICAL_BAND_COLUMNS = [
    *["observer", "images", "images_without_noise", "accuracy", "ci_low", "ci_high", "chance"],
    *[name + end for name in REPORTED for end in ("", "_low", "_high")],
    *["authors_bandwidth", "authors_centre", "authors_sensitivity", "reason"],
]


@dataclass(frozen=True)
class NoiseCounts:
    """Trials of several observers with noise of each standard deviation in each band.

    correct, shown: numbers of trials, [observers, levels, bands]. levels: standard deviations of the noise in units of
    the image's range, ascending, the first is 0. bands: numbers of bands, ascending; band k is centred on 1.75 · 2^k
    cycles per image.
    """

    observers: Sequence[str]
    correct: np.ndarray
    shown: np.ndarray
    levels: np.ndarray
    bands: np.ndarray

    def select(self, rows: np.ndarray) -> "NoiseCounts":
        """Return the counts of some observers; rows: positions or a mask."""
        names = [str(name) for name in np.array(self.observers, dtype=object)[rows]]
        return NoiseCounts(names, self.correct[rows], self.shown[rows], self.levels, self.bands)


@dataclass(frozen=True)
class ChannelFits:
    """Channels of several observers, [observers, 3] in the order of REPORTED; NaN where a reason says why.

    bandwidth: octaves. centre: cycles per image. sensitivity: SENSITIVITY_UNIT divided by the threshold at the centre.
    """

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reasons: list[str]


# Trials


def tabulate_critical_band(trials: pd.DataFrame, chance: Mapping[str, float]) -> pd.DataFrame:
    """Return one row per observer: its channel with 95 % intervals, or why the data do not identify it.

    trials: one row per image, with observer, image, shape, decision, condition (`noise0.04freq3`) and answerable;
    images of a category that the observer does not know do not count. chance: observer → accuracy of guessing.

    The columns are CRITICAL_BAND_COLUMNS. accuracy is the accuracy without noise, with its Wilson interval.
    `ChannelFits` describes bandwidth, centre and sensitivity; authors_… are those of the published fit.
    Raises UserError for a condition of another name, and for an image that an observer answers twice.
    """
    counts = count_trials(trials)
    guessing = np.array([chance[name] for name in counts.observers])
    fits = fit_channels(counts, guessing)
    rows: list[dict[str, Any]] = []
    for place, observer in enumerate(counts.observers):
        correct, shown = counts.correct[place], counts.shown[place]
        hits, clean = int(correct[0].sum()), int(shown[0].sum())
        row: dict[str, Any] = {"observer": observer, "images": int(shown.sum()), "images_without_noise": clean}
        row |= {"accuracy": hits / clean if clean else math.nan, "chance": guessing[place]}
        row["ci_low"], row["ci_high"] = wilson_interval(hits, clean)
        for k, name in enumerate(REPORTED):
            ends = (fits.values[place, k], fits.low[place, k], fits.high[place, k])
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
        published = fit_threshold_steps(correct, shown, counts.bands)
        row |= {f"authors_{name}": value for name, value in zip(REPORTED, published, strict=True)}
        rows.append(row | {"reason": fits.reasons[place]})
    return pd.DataFrame(rows, columns=CRITICAL_BAND_COLUMNS)


def count_trials(trials: pd.DataFrame) -> NoiseCounts:
    """Count correct and all trials of each observer in each condition; trials: as in `tabulate_critical_band`."""
    duplicates = trials[trials.duplicated(["observer", "image", "condition"])]
    if len(duplicates):
        first = duplicates.iloc[0]
        raise UserError(
            f"{first['observer']}: image {first['image']!r} is answered twice in condition {first['condition']!r}; "
            f"give each answer once"
        )
    masks = {name: parse_noise_condition(name) for name in trials["condition"].unique()}
    observers = list(dict.fromkeys(trials["observer"]))
    levels = sorted({0.0, *(sd for sd, _ in masks.values())})
    bands = sorted({band for _, band in masks.values()})
    correct, shown = (np.zeros((len(observers), len(levels), len(bands)), dtype=np.int64) for _ in range(2))
    counted = trials[trials["answerable"]]
    right = (counted["decision"] == counted["shape"]).to_numpy()
    places = (
        counted["observer"].map({name: i for i, name in enumerate(observers)}).to_numpy(),
        counted["condition"].map({name: levels.index(sd) for name, (sd, _) in masks.items()}).to_numpy(),
        counted["condition"].map({name: bands.index(band) for name, (_, band) in masks.items()}).to_numpy(),
    )
    np.add.at(shown, places, 1)
    np.add.at(correct, places, right)
    return NoiseCounts(observers, correct, shown, np.array(levels), np.array(bands))


def read_published_trials(paths: Mapping[str, Path]) -> NoiseCounts:
    """Read the trials that the authors published, one JSON file per observer: condition → list of 1 (right) and 0.

    paths: observer → file. All files must have the same conditions.
    Raises UserError, with the file, for another layout. Source: github.com/ajaysub110/critical-band-masking.
    """
    tables: list[dict[tuple[float, int], list[int]]] = []
    for path in paths.values():
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            tables.append({parse_noise_condition(name): trials for name, trials in table.items()})
            right = all(set(trials) <= {0, 1} for trials in tables[-1].values())
        except (OSError, ValueError, TypeError, AttributeError, UserError) as error:
            raise UserError(
                f"{path}: not a file of trials of critical-band masking; expected lists of 0 and 1 by condition, such "
                f"as {noise_condition(0.04, 3)} ({error})"
            ) from None
        if not right or set(tables[-1]) != set(tables[0]):
            problem = "conditions differ from those of the other files" if right else "trials must be 0 or 1"
            raise UserError(f"{path}: {problem}")
    levels = sorted({0.0, *(sd for sd, _ in tables[0])})
    bands = sorted({band for _, band in tables[0]})
    cells = [[[table.get((sd, band), []) for band in bands] for sd in levels] for table in tables]
    correct, shown = (
        np.array([[[size(cell) for cell in row] for row in rows] for rows in cells]) for size in (sum, len)
    )
    return NoiseCounts(list(paths), correct, shown, np.array(levels), np.array(bands))


# Maximum likelihood


def fit_channels(counts: NoiseCounts, chance: np.ndarray) -> ChannelFits:
    """Fit the channel of each observer, with 95 % profile-likelihood intervals.

    chance: accuracy of guessing, [observers].

    An observer is refused (NaN, with the reason) if its accuracy without noise is not above chance, if too few bands or
    levels were shown, or if an interval is not bounded. The bandwidth must be less than the range of all bands. The
    centre may lie outside the bands by this range, and the sensitivity may be as low as that to 32 times the strongest
    noise. A bandwidth that may be as narrow as NARROWEST has an interval from 0. Then the sensitivity at the centre of
    the channel often has no upper bound (infinity).
    """
    size = len(counts.observers)
    fits = ChannelFits(*(np.full((size, len(REPORTED)), np.nan) for _ in range(3)), [""] * size)
    for place in range(size):
        fits.reasons[place] = _unsuitable_reason(counts, place, chance[place])
    fitted = np.flatnonzero([not reason for reason in fits.reasons])
    if not len(fitted):
        return fits
    likelihood = ChannelLikelihood(counts, chance)
    best = likelihood.maximize_from(likelihood.starts(fitted), fitted)
    cutoff = CUTOFF * likelihood.dispersion(best, fitted)
    tested = [counts.bands[counts.shown[place, 1:].any(axis=0)] for place in fitted]  # bands of each observer's noise
    first, last = np.array([bands[0] for bands in tested]), np.array([bands[-1] for bands in tested])
    octaves = last - first + 1
    weakest, strongest = np.log2(counts.levels[[1, -1]])
    limits = {  # in the order of REPORTED: parameter → its lowest and highest value, [fitted] each
        "bandwidth": (np.full(len(fitted), math.log(NARROWEST)), np.log(octaves)),
        "centre": (first - octaves, last + octaves),
        "threshold": (np.full(len(fitted), weakest - 5), np.full(len(fitted), strongest + 5)),
    }
    reached = {  # the reason, where the interval reaches these values; "": this is no reason
        "bandwidth": ("", "the data do not exclude a bandwidth of {} octaves, the range of all bands"),
        "centre": ("the data give no lower bound of the centre", "the data give no upper bound of the centre"),
        "threshold": ("", "the data give no lower bound of the sensitivity"),
    }
    for column, parameter in enumerate(limits):
        part = np.flatnonzero([not fits.reasons[place] for place in fitted])
        rows, estimate = fitted[part], best[part, PARAMETERS.index(parameter)]
        lowest, highest = (limit[part] for limit in limits[parameter])
        ends = [likelihood.bound(best[part], rows, parameter, limit, cutoff[part]) for limit in (lowest, highest)]
        unbounded = (np.isnan(ends[0]) | (estimate <= lowest), np.isnan(ends[1]) | (estimate >= highest))
        for is_reached, reason in zip(unbounded, reached[parameter], strict=True):
            for k in np.flatnonzero(is_reached):
                fits.reasons[rows[k]] = fits.reasons[rows[k]] or reason.format(octaves[part[k]])
        ends[0] = np.where(unbounded[0], -np.inf, ends[0])
        values = np.stack([_in_units(parameter, value) for value in (estimate, *ends)])
        fits.values[rows, column] = values[0]
        fits.low[rows, column], fits.high[rows, column] = values.min(axis=0), values.max(axis=0)
    refused = [bool(reason) for reason in fits.reasons]
    for numbers in (fits.values, fits.low, fits.high):
        numbers[refused] = np.nan
    return fits


def _unsuitable_reason(counts: NoiseCounts, place: int, chance: float) -> str:
    """Return why no channel can be fitted to an observer's trials, or ""."""
    correct, shown = counts.correct[place], counts.shown[place]
    clean, noisy = int(shown[0].sum()), shown[1:]
    if not clean:
        return "no image of a known category without noise"
    bands, levels = int(noisy.any(axis=0).sum()), int(noisy.any(axis=1).sum())
    if bands < FEWEST_BANDS or levels < FEWEST_LEVELS:
        return (
            f"noise in {bands} bands and at {levels} levels; needs {FEWEST_BANDS} bands and {FEWEST_LEVELS} levels "
            f"at least"
        )
    hits = int(correct[0].sum())
    low, _ = wilson_interval(hits, clean)
    return "" if low > chance else f"accuracy without noise, {hits / clean:.2f} of {clean} images, is not above chance"


def _in_units(parameter: str, value: np.ndarray) -> np.ndarray:
    """Return a bandwidth in octaves, a centre in cycles per image, or the sensitivity that belongs to a threshold."""
    if parameter == "bandwidth":
        return np.exp(value)
    return band_centre(value) if parameter == "centre" else SENSITIVITY_UNIT * 2.0**-value


class ChannelLikelihood:
    """The binomial likelihood of the trials of several observers, each with parameters of its own.

    Parameters are arrays [observers, 5] in the order of PARAMETERS: logit of the accuracy without noise, as a fraction
    of the way from chance to 1; logarithm of the slope; log2 of the threshold at the centre; centre (number of a band);
    logarithm of the bandwidth (octaves). chance: [observers].
    """

    LOWEST = np.array([-8, -2, -16, -40, math.log(NARROWEST)])
    HIGHEST = np.array([8, 3.5, 12, 46, math.log(150)])

    def __init__(self, counts: NoiseCounts, chance: np.ndarray) -> None:
        self.counts = counts
        self.correct, self.shown = counts.correct.astype(float), counts.shown.astype(float)
        self.chance = chance[:, None, None]
        self.is_noise = (counts.levels > 0)[:, None]
        self.log2_level = np.log2(np.where(self.is_noise, counts.levels[:, None], 1.0))

    def predict(self, parameters: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of correct answers [B, levels, bands] and their derivatives [B, levels, bands, 5].

        rows: the observers of the parameters.
        """
        skill, slope, threshold, centre, width = (column[:, None, None] for column in parameters.T)
        slope, variance = np.exp(slope), (np.exp(width) / FULL_WIDTH) ** 2 * math.log(2)
        distance = self.counts.bands[None, None, :] - centre
        # The threshold rises by the square of the distance, because its inverse is a Gaussian.
        log2_threshold = threshold + distance**2 / (2 * variance)
        argument = np.where(self.is_noise, slope * (log2_threshold - self.log2_level), np.inf)
        remaining, fraction = expit(argument), expit(skill)
        above = 1 - self.chance[rows]
        probability = self.chance[rows] + above * fraction * remaining
        falling = above * fraction * remaining * (1 - remaining)
        derivatives = [
            above * fraction * (1 - fraction) * remaining,
            falling * np.where(self.is_noise, argument, 0.0),
            falling * slope,
            -falling * slope * distance / variance,
            -falling * slope * distance**2 / variance,
        ]
        return np.clip(probability, 1e-10, 1 - 1e-10), np.stack(derivatives, axis=-1)

    def log_likelihood(self, probability: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each observer, without the constant."""
        correct, wrong = self.correct[rows], self.shown[rows] - self.correct[rows]
        return (correct * np.log(probability) + wrong * np.log1p(-probability)).sum(axis=(1, 2))

    def starts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return several starting points of the maximization: narrow and wide channels at low and high centres."""
        first, last = self.counts.bands[[0, -1]]
        clean = (self.correct[rows, 0].sum(axis=1) + 0.5) / (self.shown[rows, 0].sum(axis=1) + 1)
        chance = self.chance[rows, 0, 0]
        skill = logit(np.clip((clean - chance) / (1 - chance), 0.02, 0.98))
        threshold = np.log2(np.median(self.counts.levels[1:]))
        points = []
        for position, width in ((0.3, 0.35), (0.6, 0.6), (0.8, 0.6), (0.5, 1.2), (1.0, 1.2), (0.0, 1.2)):
            start = np.empty((len(rows), len(PARAMETERS)))
            start[:, 0], start[:, 1], start[:, 2] = skill, 0.5, threshold
            start[:, 3], start[:, 4] = first + position * (last - first), math.log(width * (last - first))
            points.append(start)
        return points

    def maximize_from(self, starts: Sequence[np.ndarray], rows: np.ndarray, fixed: int | None = None) -> np.ndarray:
        """Return the parameters of the highest likelihood that is reached from the starts; fixed: one that stays."""
        reached = [self.maximize(start, rows, fixed) for start in starts]
        heights = np.stack([self.log_likelihood(self.predict(point, rows)[0], rows) for point in reached])
        return np.stack(reached)[heights.argmax(axis=0), np.arange(len(rows))]

    def maximize(self, start: np.ndarray, rows: np.ndarray, fixed: int | None = None) -> np.ndarray:
        """Climb from a start by Fisher scoring, damped as by Levenberg and Marquardt; fixed: a parameter that stays."""
        free = [k for k in range(len(PARAMETERS)) if k != fixed]
        point = np.clip(start, self.LOWEST, self.HIGHEST)
        damping = np.full(len(point), 0.01)
        probability, derivatives = self.predict(point, rows)
        height = self.log_likelihood(probability, rows)
        active = np.arange(len(point))
        for _ in range(STEPS):
            if not len(active):
                break
            p, slopes, shown = probability[active], derivatives[active][..., free], self.shown[rows[active]]
            weight = 1 / (p * (1 - p))
            residual = (self.correct[rows[active]] - shown * p) * weight
            gradient = (residual[..., None] * slopes).sum(axis=(1, 2))
            flat = slopes.reshape(len(active), -1, len(free))
            weighted = flat * (shown * weight).reshape(len(active), -1, 1)
            information = weighted.transpose(0, 2, 1) @ flat
            diagonal = np.einsum("bii->bi", information) + 1e-6
            damped = information + (damping[active, None] * diagonal)[:, :, None] * np.eye(len(free))
            step = np.linalg.solve(damped, gradient[..., None])[..., 0]
            candidate = point[active]
            candidate[:, free] += np.clip(step, -LARGEST_STEP, LARGEST_STEP)
            candidate = np.clip(candidate, self.LOWEST, self.HIGHEST)
            new_probability, new_derivatives = self.predict(candidate, rows[active])
            new_height = self.log_likelihood(new_probability, rows[active])
            gain = new_height - height[active]
            accepted = gain >= 0
            moved = active[accepted]
            point[moved], height[moved] = candidate[accepted], new_height[accepted]
            probability[moved], derivatives[moved] = new_probability[accepted], new_derivatives[accepted]
            damping[active] = np.where(accepted, np.maximum(damping[active] / 5, 1e-8), damping[active] * 6)
            done = (accepted & (gain < SMALLEST_GAIN) & (damping[active] < 10)) | (damping[active] > 1e8)
            active = active[~done]
        return point

    def dispersion(self, point: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return Pearson's statistic over its degrees of freedom, at least 1: by how much the data vary too much."""
        probability, _ = self.predict(point, rows)
        correct, shown = self.correct[rows], self.shown[rows]
        expected = shown * probability
        spread = np.where(shown > 0, expected * (1 - probability), 1.0)
        freedom = (shown > 0).sum(axis=(1, 2)) - len(PARAMETERS)
        return np.maximum(1.0, ((correct - expected) ** 2 / spread).sum(axis=(1, 2)) / np.maximum(freedom, 1))

    def bound(
        self, best: np.ndarray, rows: np.ndarray, parameter: str, limit: np.ndarray, cutoff: np.ndarray
    ) -> np.ndarray:
        """Return the end of each profile-likelihood interval between the estimate and a limit, by bisection.

        best: the estimates of the observers `rows`. limit: [rows]. cutoff: the deviance at the ends, [rows]. The end is
        NaN if the interval reaches the limit.
        """
        column = PARAMETERS.index(parameter)
        highest = self.log_likelihood(self.predict(best, rows)[0], rows)

        def profile(
            values: np.ndarray, starts: Sequence[np.ndarray], part: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray]:
            fixed = [np.array(start) for start in starts]
            for start in fixed:
                start[:, column] = values
            point = self.maximize_from(fixed, rows[part], fixed=column)
            return 2 * (highest[part] - self.log_likelihood(self.predict(point, rows[part])[0], rows[part])), point

        everyone, ends = np.arange(len(rows)), np.full(len(rows), np.nan)
        loss, point = profile(limit, [best, *self.starts(rows)], everyone)
        bounded = np.flatnonzero(loss > cutoff)
        inside, outside, point = best[bounded, column], limit[bounded], point[bounded]
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            loss, point = profile(middle, [best[bounded], point], bounded)
            beyond = loss > cutoff[bounded]
            outside, inside = np.where(beyond, middle, outside), np.where(beyond, inside, middle)
        ends[bounded] = (inside + outside) / 2
        return ends


# The published fit


def fit_threshold_steps(correct: np.ndarray, shown: np.ndarray, bands: np.ndarray) -> tuple[float, float, float]:
    """Return bandwidth (octaves), centre (cycles per image) and noise sensitivity by the published fit.

    correct, shown: [levels, bands] of one observer, with the levels ascending from 0. The threshold of a band is the
    number of steps from the strongest noise down to the first level with an accuracy above 50 %, and as many as there
    are noise levels if no accuracy is. A step halves the noise in the published stimuli. A Gaussian, at most as high as
    the number of noise levels, is fitted to the thresholds by least squares. NaN if a condition was not shown, or if
    the fit fails.

    The fit gives a number also where the data do not identify the bandwidth, then often of thousands of octaves.
    Source: Subramanian et al. 2023 (arXiv 2309.13190).
    """
    if not shown.size or not shown.all() or len(bands) < FEWEST_BANDS:
        return math.nan, math.nan, math.nan
    most = len(shown) - 1
    above = (correct / shown > 0.5)[::-1]
    steps = np.where(above.any(axis=0), above.argmax(axis=0), most)

    def gaussian(band: np.ndarray, height: float, centre: float, deviation: float) -> np.ndarray:
        return height * np.exp(-((band - centre) ** 2) / (2 * deviation**2))

    bounds = ([0, -np.inf, -np.inf], [most, np.inf, np.inf])
    try:
        (height, centre, deviation), _ = curve_fit(gaussian, bands, steps, bounds=bounds)
    except RuntimeError:
        return math.nan, math.nan, math.nan
    return FULL_WIDTH * abs(float(deviation)), float(band_centre(centre)), 2.0 ** (float(height) - most)
