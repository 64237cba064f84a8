"""Shape bias and accuracy, each with its 95 % interval.

A table of decisions has one row per trial: observer, image, shape, texture, decision (categories or missing).
Sources: Geirhos et al., ICLR 2019 (arXiv 1811.12231); the toolbox bethgelab/model-vs-human.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betaincinv, ndtri

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.decisions import PROBABILITIES
from shapebias.metrics.bootstrap import (
    JEFFREYS,
    LEVEL,
    RESAMPLES,
    assign_strata,
    image_weights,
    jeffreys_prior,
    resampled_sums,
)
from shapebias.metrics.panel import Panel

TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
# The Bayesian bootstrap understates the variance within a stratum of n images by (n - 1) / (n + 1), so strata with
# fewer images are merged. Intervals are then somewhat too wide if the merged categories differ, but not too narrow.
SMALLEST_SHAPE_STRATUM = 40
RANK_UNIT = 720_720  # least common multiple of 1 to 16, so that reciprocal ranks are whole numbers with exact sums


class ResampledSums(NamedTuple):
    """Sums over resampled images, float [K, R] each."""

    trials: np.ndarray
    shape: np.ndarray
    hits: np.ndarray


@dataclass(frozen=True)
class CueCounts:
    """Counts of answers to each conflict image. A row is an observer or a pool of observers.

    names: the names of the rows [K].
    images: positions in the panel [I].
    strata: int [I], the stratum of each image: the position of its shape in CATEGORIES.
    trials, shape_hits, texture_hits: int [K, I]; above 1 only if members of a pool share an image.
    draws: weights of images, float32 [I, R], see `image_weights`.
    """

    names: list[str]
    images: np.ndarray
    strata: np.ndarray
    trials: np.ndarray
    shape_hits: np.ndarray
    texture_hits: np.ndarray
    draws: np.ndarray

    @cached_property
    def hits(self) -> np.ndarray:
        """int [K, I]: answers that name either cue."""
        return self.shape_hits + self.texture_hits

    @cached_property
    def seen(self) -> np.ndarray:
        """bool [K, I]: the images that count for each row."""
        return self.trials > 0

    @cached_property
    def resampled(self) -> ResampledSums:
        """Resampled trials, shape hits and hits of each row. A row's images are resampled within their strata."""
        sums = np.empty((3, len(self.names), self.draws.shape[1]))
        seen = self.seen
        strata = np.empty(seen.shape, dtype=int)
        for rows in group_equal_rows(seen):
            strata[rows] = assign_strata(self.strata, seen[rows[0]], smallest=SMALLEST_SHAPE_STRATUM)
        for rows in group_equal_rows(strata):
            masks = seen[rows]
            stacked_counts = np.concatenate([self.trials[rows], self.shape_hits[rows], self.hits[rows]])
            mask = masks[:1] if (masks == masks[0]).all() else np.tile(masks, (3, 1))
            sums[:, rows] = resampled_sums(self.draws, strata[rows[0]], stacked_counts, mask).reshape(3, len(rows), -1)
        return ResampledSums(*sums)

    def select_shape(self, category: str) -> "CueCounts":
        """Return the counts for the images whose shape has this category."""
        has_shape = self.strata == CATEGORIES.index(category)
        return replace(
            self,
            images=self.images[has_shape],
            strata=self.strata[has_shape],
            trials=self.trials[:, has_shape],
            shape_hits=self.shape_hits[:, has_shape],
            texture_hits=self.texture_hits[:, has_shape],
            draws=self.draws[has_shape],
        )

    def select_rows(self, chosen: Sequence[int] | np.ndarray) -> "CueCounts":
        """Return the counts of some of the observers."""
        return replace(
            self,
            names=[self.names[row] for row in chosen],
            trials=self.trials[chosen],
            shape_hits=self.shape_hits[chosen],
            texture_hits=self.texture_hits[chosen],
        )


ObserverGroups = Mapping[str, Sequence[str]]  # name → the observers to pool


def count_cues(panel: Panel, groups: ObserverGroups | None = None, resamples: int = RESAMPLES) -> CueCounts:
    """Count the hits of each observer of a panel, or of each group, on the images that count for any observer."""
    images = np.flatnonzero(panel.conflict.any(axis=1))
    images = images[np.argsort(panel.shape[images], kind="stable")]  # a stratum's images are neighbours
    groups = groups or {name: [name] for name in panel.observers}
    return CueCounts(
        names=list(groups),
        images=images,
        strata=panel.shape[images],
        trials=sum_members(panel, groups, panel.conflict[images]),
        shape_hits=sum_members(panel, groups, panel.shape_hits[images]),
        texture_hits=sum_members(panel, groups, panel.texture_hits[images]),
        draws=image_weights(panel.images[images], resamples),
    )


def restrict_to_answer(counts: CueCounts, panel: Panel, groups: ObserverGroups, category: str) -> CueCounts:
    """Restrict the counts of `count_cues(panel, groups)` to the trials answered with a category, in one stratum.

    Strata by shape would leave no variation to resample. Among the images answered with a category, all images of that
    shape are shape hits, and no other image is.
    """
    has_answer = panel.conflict & (panel.decisions == CATEGORIES.index(category))
    return replace(
        counts,
        strata=np.zeros_like(counts.strata),
        trials=sum_members(panel, groups, has_answer[counts.images]),
        shape_hits=sum_members(panel, groups, (has_answer & panel.shape_hits)[counts.images]),
        texture_hits=sum_members(panel, groups, (has_answer & panel.texture_hits)[counts.images]),
    )


def sum_members(panel: Panel, groups: ObserverGroups, cells: np.ndarray) -> np.ndarray:
    """Return int32 [groups, I]: the number of members of each group with a true cell; cells: bool [I, O]."""
    positions = {name: column for column, name in enumerate(panel.observers)}
    columns = [[positions[name] for name in members] for members in groups.values()]
    totals = np.zeros((len(columns), len(cells)), dtype=np.int32)
    for row, members in zip(totals, columns, strict=True):
        cells[:, members].sum(axis=1, out=row)
    return totals


def bias_rows(counts: CueCounts) -> list[dict[str, Any]]:
    """Return the shape bias of each row of counts: hits, value and interval.

    The columns are conflict_images (trials that count), shape_hits, texture_hits, shape_bias (shape hits over all hits;
    NaN without a hit), ci_low and ci_high. A trial counts if both cues are known, have different categories, and are
    among the observer's answers. An observer that knows only one of the two categories would always favour that cue.

    Intervals come from the Bayesian bootstrap over images with Jeffreys' prior (see `bootstrap`). Images are stratified
    by the category of the shape, because an experiment fixes the number of images per category. All trials with one
    image are resampled together, because people share images. See `bias_intervals` for a cue with at most one hit.
    """
    shape, texture = counts.shape_hits.sum(axis=1), counts.texture_hits.sum(axis=1)
    return [
        {
            "conflict_images": int(trials),
            "shape_hits": int(shape_count),
            "texture_hits": int(texture_count),
            "shape_bias": ratio(shape_count, shape_count + texture_count),
            "ci_low": float(low),
            "ci_high": float(high),
        }
        for trials, shape_count, texture_count, (low, high) in zip(
            counts.trials.sum(axis=1), shape, texture, bias_intervals(counts), strict=True
        )
    ]


def bias_intervals(counts: CueCounts) -> np.ndarray:
    """Return float [K, 2]: the interval of each row's shape bias; NaN without a hit.

    Resampling cannot show hits that did not occur by chance. So the bounds for a cue with at most one hit follow Brown,
    Cai and DasGupta (2001, section 4.1.2). With at most one shape hit the lower bound is 0. With at most one texture
    hit the upper bound is 1. If a cue has no hit, the opposite bound is the exact one (Clopper and Pearson 1934).
    """
    shape, texture = counts.shape_hits.sum(axis=1), counts.texture_hits.sum(axis=1)
    bounds = np.full((len(shape), 2), math.nan)
    # With one stratum and one trial per image, the bootstrap distribution is known: it is a Beta distribution.
    simple = (counts.trials <= 1).all(axis=1) & (len(np.unique(counts.strata)) <= 1)
    for tail, level in enumerate(TAILS):
        bounds[simple, tail] = betaincinv(shape[simple] + JEFFREYS, texture[simple] + JEFFREYS, level)
    if not simple.all():
        resampled_rows = np.flatnonzero(~simple)
        resampled = (counts.select_rows(resampled_rows) if simple.any() else counts).resampled
        bounds[resampled_rows] = np.quantile(ratio_with_prior(resampled.shape, resampled.hits), TAILS, axis=1).T
    independent = (counts.hits > 0).sum(axis=1)  # trials that share an image count once
    bound_rare_hits(bounds, shape, texture, independent)
    bounds[shape + texture == 0] = math.nan
    return bounds


def bound_rare_hits(bounds: np.ndarray, shape: np.ndarray, texture: np.ndarray, independent: np.ndarray) -> None:
    """Set the bounds [K, 2] where a cue has at most one hit, as in `bias_intervals`.

    independent: the number of images with a hit, [K].
    """
    exact = TAILS[0] ** (1 / np.maximum(independent, 1))
    bounds[shape == 0, 1] = (1 - exact)[shape == 0]
    bounds[texture == 0, 0] = exact[texture == 0]
    bounds[shape <= 1, 0] = 0
    bounds[texture <= 1, 1] = 1


def ratio_with_prior(numerator: np.ndarray, denominator: np.ndarray, *, side: int = 0) -> np.ndarray:
    """Return numerator / denominator, each [..., R], with Jeffreys' prior added; side: see `jeffreys_prior`."""
    prior, other_prior = jeffreys_prior(denominator.shape[-1], side=side)
    return (numerator + prior) / (denominator + prior + other_prior)


def group_equal_rows(cells: np.ndarray) -> list[list[int]]:
    """Group equal rows of an array [K, I]. Return the row numbers of each group."""
    groups: dict[bytes, list[int]] = {}
    for row, values in enumerate(np.ascontiguousarray(cells)):
        groups.setdefault(values.tobytes(), []).append(row)
    return list(groups.values())


def cue_accuracy_rows(counts: CueCounts, chance: Sequence[float]) -> list[dict[str, Any]]:
    """Return how often conflict images are answered with their shape, with their texture, and with either (coverage).

    chance: for each row of counts, the share of a cue in the answers of an observer that guesses, 1 / categories.
    A ratio of hits alone hides the number of hits. Fractions are NaN without a conflict image. Intervals use the same
    resamples and prior as those of the bias. Wilson's interval would be too wide if categories differ, because it has
    no strata, and too narrow if several people answer the same images. `corrected_biases` describes the columns
    corrected_….
    """
    trials = counts.trials.sum(axis=1)
    rows: list[dict[str, Any]] = [{"conflict_images": int(count)} for count in trials]
    resampled_trials, shape, hits = counts.resampled
    cells = {"shape": (counts.shape_hits, shape), "texture": (counts.texture_hits, hits - shape)}
    cells["coverage"] = (counts.hits, hits)
    for name, (cell, part) in cells.items():
        sums = cell.sum(axis=1)
        intervals = fraction_intervals(sums, trials, part, resampled_trials)
        for row, total, count, (low, high) in zip(rows, sums, trials, intervals, strict=True):
            row["coverage" if name == "coverage" else f"{name}_accuracy"] = ratio(total, count)
            row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return [row | corrected for row, corrected in zip(rows, corrected_biases(counts, chance), strict=True)]


def corrected_biases(counts: CueCounts, chance: Sequence[float]) -> list[dict[str, Any]]:
    """Return for each row of counts the shape bias corrected for guessing, with its interval.

    chance: as in `cue_accuracy_rows`. An observer that guesses has a bias of 0.5, whatever it sees. So the bias of any
    network that gets worse moves towards 0.5. The correction subtracts the guesses from both cues (Abbott 1925). Among
    n categories, guesses fall on each of the n - 2 categories that the image does not show as often as on either cue.
    With o answers that name neither cue, guesses for each cue are therefore g = o / (n - 2), and the corrected bias is
    (shape - g) / (shape + texture - 2 g). A cue that is named less often than by guessing counts as never named. A
    trial without an answer counts among the o.

    Columns: chance, corrected_bias, corrected_low, corrected_high, corrected_reason (why it is NaN). The bias is NaN
    unless the interval of the coverage lies above guessing: then hardly any answer depends on the cues. It is NaN for
    two categories, because every answer then names a cue.
    """
    resampled_trials, shape, hits = counts.resampled
    prior, other_prior = jeffreys_prior(hits.shape[-1])
    trials, shape_hits, all_hits = (cell.sum(axis=1) for cell in (counts.trials, counts.shape_hits, counts.hits))
    coverage_low = fraction_intervals(all_hits, trials, hits, resampled_trials)[:, 0]
    rows = []
    for k, share in enumerate(chance):
        row = {"chance": share} | dict.fromkeys(("corrected_bias", "corrected_low", "corrected_high"), math.nan)
        others = round(1 / share) - 2  # categories that an image does not show
        if not trials[k]:
            reason = "no conflict image"
        elif others < 1:
            reason = "guessing cannot be told from answers: each answer names a cue"
        elif not coverage_low[k] > 2 * share:
            reason = "answers name the cues no more often than guessing would"
        else:
            reason = ""
            guesses = (trials[k] - all_hits[k]) / others
            row["corrected_bias"] = float(_ratio_beyond(shape_hits[k], all_hits[k], guesses))
            resampled_guesses = (resampled_trials[k] - hits[k]) / others
            biases = _ratio_beyond(shape[k] + prior, hits[k] + prior + other_prior, resampled_guesses)
            row["corrected_low"], row["corrected_high"] = map(float, np.nanquantile(biases, TAILS))
        rows.append(row | {"corrected_reason": reason})
    return rows


def _ratio_beyond(shape: Any, hits: Any, guesses: Any) -> Any:
    """Return the share of shape in the hits, after removing the guesses from both cues; NaN without further hits."""
    shape_beyond, texture_beyond = np.maximum(shape - guesses, 0), np.maximum(hits - shape - guesses, 0)
    with np.errstate(invalid="ignore"):
        return shape_beyond / (shape_beyond + texture_beyond)


def fraction_intervals(
    parts: np.ndarray, wholes: np.ndarray, resampled_parts: np.ndarray, resampled_wholes: np.ndarray
) -> np.ndarray:
    """Return float [K, 2]: intervals of parts / wholes [K], from the resampled values of both, [K, R].

    An interval is NaN if its whole is 0.
    """
    bounds = np.quantile(ratio_with_prior(resampled_parts, resampled_wholes), TAILS, axis=1).T
    bounds[parts == 0, 0] = 0
    bounds[parts == wholes, 1] = 1
    bounds[wholes == 0] = math.nan
    return bounds


def reciprocal_ranks(
    counts: CueCounts, row: int, panel: Panel, predictions: pd.DataFrame, categories: Sequence[str]
) -> dict[str, float]:
    """Return the mean reciprocal ranks of the shape's and of the texture's category on conflict images, in (0, 1].

    row: the network's row of counts.
    predictions: the network's predictions, with the image names of the panel and the probability of each category
    (p_<category>).
    categories: the categories that the network knows. Ranks are among these: 1 for the decision, 2 for the next most
    probable category, and so on.

    Equal probabilities rank in the order of CATEGORIES, as they do in decisions. The result is NaN without conflict
    images. Unlike hits, ranks show whether a cue came close to the decision. The intervals, _low and _high, are as in
    `cue_accuracy_rows`. Source of the measure: Voorhees 1999, TREC-8.
    Raises UserError for a missing probability of a known category, because it would rank first.
    """
    seen = counts.seen[[row]]
    images = counts.images[seen[0]]
    places = pd.MultiIndex.from_frame(predictions[["image", "condition"]])
    image_keys = pd.MultiIndex.from_arrays([panel.images[images], panel.condition[images]], names=places.names)
    probability = predictions[PROBABILITIES].to_numpy(dtype=np.float64)[places.get_indexer(image_keys)]
    missing = np.isnan(probability) & np.isin(CATEGORIES, list(categories))
    if missing.any():
        image, category = np.argwhere(missing)[0]
        raise UserError(
            f"{counts.names[row]}: no probability of {CATEGORIES[category]} for image {panel.images[images[image]]!r}, "
            f"though it knows that category; make its predictions again"
        )
    strata = assign_strata(counts.strata, seen[0], smallest=SMALLEST_SHAPE_STRATUM)
    values = {}
    for cue, position in (("shape", panel.shape[images]), ("texture", panel.texture[images])):
        position = position.astype(np.int64)[:, None]
        cue_probability = np.take_along_axis(probability, position, axis=1)
        ahead = (probability > cue_probability) | (
            (probability == cue_probability) & (np.arange(len(CATEGORIES)) < position)
        )
        parts = np.zeros(seen.shape, dtype=np.int64)
        parts[seen] = RANK_UNIT // (1 + ahead.sum(axis=1))
        total = np.array([parts.sum(), RANK_UNIT * len(images)])
        sums = resampled_sums(counts.draws, strata, np.concatenate([parts, seen]), seen)
        ((low, high),) = fraction_intervals(total[:1], total[1:], sums[:1] / RANK_UNIT, sums[1:])
        name = f"{cue}_reciprocal_rank"
        values |= {name: ratio(*total), f"{name}_low": float(low), f"{name}_high": float(high)}
    return values


def describe_bias(observer: str, row: Mapping[str, Any]) -> str:
    """Return a row of `bias_rows` in words."""
    hits = f"{row['shape_hits']:,} shape and {row['texture_hits']:,} texture hits"
    images = f"on {row['conflict_images']:,} conflict images"
    if math.isnan(row["shape_bias"]):
        return f"{observer}: no shape bias, because neither cue was ever named {images}"
    interval = f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
    return f"{observer}: shape bias {row['shape_bias']:.3f} {interval}, {hits} {images}"


def accuracy_row(correct: pd.Series, chance: float) -> dict[str, float]:
    """Return the fraction correct with its Wilson 95 % interval (Wilson 1927), and chance; NaN without images."""
    hits, images = int(correct.sum()), len(correct)
    low, high = wilson_interval(hits, images)
    row = {"images": images, "correct": hits, "accuracy": ratio(hits, images)}
    return row | {"ci_low": low, "ci_high": high, "chance": chance}


def wilson_interval(hits: int, images: int) -> tuple[float, float]:
    """Return Wilson's interval of hits / images; NaN without images.

    scipy's binomtest has it too, to the last rounding, but takes 650 times as long, since it also computes a p-value.
    """
    if not images:
        return math.nan, math.nan
    z = float(ndtri(TAILS[1]))
    centre = hits + z**2 / 2
    spread = z * math.sqrt(hits * (images - hits) / images + z**2 / 4)
    denominator = images + z**2
    # Return the ends of the scale exactly; rounding would miss them.
    return (centre - spread) / denominator if hits else 0.0, (centre + spread) / denominator if hits < images else 1.0


def pooled_accuracy_row(panel: Panel, members: Sequence[str], chance: float) -> dict[str, float]:
    """Return the pooled accuracy of several observers. Trials with one image are resampled together."""
    counts = (panel.shape >= 0)[:, None] & panel.seen & panel.answerable
    images = np.flatnonzero(counts.any(axis=1))
    groups = {"": members}
    trials = sum_members(panel, groups, counts[images])
    correct = sum_members(panel, groups, (counts & panel.correct)[images])
    strata = assign_strata(panel.shape[images], trials[0] > 0, smallest=SMALLEST_SHAPE_STRATUM)
    sums = resampled_sums(image_weights(panel.images[images]), strata, np.concatenate([correct, trials]), trials > 0)
    hits, total = correct.sum(axis=1), trials.sum(axis=1)
    ((low, high),) = fraction_intervals(hits, total, *np.split(sums, 2))
    row = {"images": int(total[0]), "correct": int(hits[0]), "accuracy": ratio(hits[0], total[0])}
    return row | {"ci_low": float(low), "ci_high": float(high), "chance": chance}


def ratio(numerator: float, denominator: float) -> float:
    """Return numerator / denominator; NaN, not an error and never 0, if the denominator is 0."""
    return float(numerator) / float(denominator) if denominator else math.nan
