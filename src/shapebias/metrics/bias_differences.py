"""Differences in shape bias between two observers, on the images that count for both, with paired intervals.

A bias is a ratio, so it also changes if only one cue is named less often. The differences in the shares of shape
answers and of texture answers show which cue moved.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from shapebias.metrics.shape_bias import TAILS, CueCounts, ObserverGroups, group_equal_rows, ratio, ratio_with_prior

CUES = ("shape", "texture")
# Differences in the share of conflict images answered with a cue.
SHARE_COLUMNS = [f"{cue}_difference{bound}" for cue in CUES for bound in ("", "_low", "_high")]
ROWS_AT_ONCE = 256  # rows of resampled sums, each about 240 kB


def difference_rows(
    counts: CueCounts, groups: ObserverGroups, chosen: Sequence[tuple[str, str]] | None = None
) -> list[dict[str, Any]]:
    """Return one row per pair of observers: their biases on common images, the difference, its interval and p.

    The columns SHARE_COLUMNS are differences in the share of conflict images that are answered with a cue.
    groups: as in `count_cues`. chosen: the pairs to compare; all by default. A pool is not compared with its own
    members, nor with other pools of these members.

    The difference is first minus second. Intervals are paired: in a resample both observers see the same images, so
    difficulty that both share cancels out. Each observer has its own prior (see `bootstrap.jeffreys_prior`). If one of
    the two has no hit, the difference is undefined and `reason` says so.

    In simulations with at least 40 hits each, the intervals contain the true difference in 93 to 97 % of cases. With
    20 hits they contain it in 92 to 95 % of cases if the biases are .98 and .3, but in nearly all cases if both are .98
    or both .02. So few hits include hardly any of the rarer cue, and the half hit of each prior then weighs heavily.
    These intervals are too wide, not too narrow.

    p belongs to the hypothesis of equal biases: twice the share of resamples in which the difference is 0 or has the
    opposite sign. It is below 0.05 where the interval clearly excludes 0, and at least 2 / (resamples + 1).
    """
    members = [set(groups[name]) for name in counts.names]
    places_of_names = {name: place for place, name in enumerate(counts.names)}
    candidates = (
        combinations(range(len(counts.names)), 2)
        if chosen is None
        else ((places_of_names[first], places_of_names[second]) for first, second in chosen)
    )
    pairs = [(a, b) for a, b in candidates if not members[a] & members[b]]
    seen = counts.seen
    common = np.array([seen[first] & seen[second] for first, second in pairs]).reshape(len(pairs), seen.shape[1])
    rows: list[dict[str, Any]] = [{} for _ in pairs]
    for batch in _batches(group_equal_rows(common), pairs):
        batch_rows = [(group, observer) for group in batch for observer in _members(group, pairs)]
        batch_counts = restrict_to_images(
            counts, [observer for _, observer in batch_rows], common[[group[0] for group, _ in batch_rows]]
        )
        places = {(group[0], observer): place for place, (group, observer) in enumerate(batch_rows)}
        placed_pairs = [
            (pair, (places[group[0], pairs[pair][0]], places[group[0], pairs[pair][1]]))
            for group in batch
            for pair in group
        ]
        all_places = [places_of_pair for _, places_of_pair in placed_pairs]
        intervals, p_values = difference_statistics(batch_counts, all_places)
        shares = [share_differences(batch_counts, all_places, cue) for cue in CUES]
        for (pair, both), bounds, p, *share_rows in zip(placed_pairs, intervals, p_values, *shares, strict=True):
            rows[pair] = _row(batch_counts, *both, bounds, p) | share_rows[0] | share_rows[1]
    return rows


def difference_intervals(counts: CueCounts, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return float [pairs, 2]: intervals of the difference in bias, first minus second.

    pairs: pairs of rows that count the same images.
    """
    return difference_statistics(counts, pairs)[0]


def difference_statistics(counts: CueCounts, pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the intervals of `difference_intervals`, float [pairs, 2], and p of equal biases, float [pairs]."""
    first, second = (ratio_with_prior(counts.resampled.shape, counts.resampled.hits, side=side) for side in (0, 1))
    intervals, p_values = np.empty((len(pairs), 2)), np.empty(len(pairs))
    for k, (row_1, row_2) in enumerate(pairs):
        differences = first[row_1] - second[row_2]
        intervals[k] = np.quantile(differences, TAILS)
        fewer = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
        p_values[k] = min(2 * (fewer + 1) / (len(differences) + 1), 1)
    return intervals, p_values


def share_differences(counts: CueCounts, pairs: Sequence[tuple[int, int]], cue: str) -> list[dict[str, float]]:
    """Return the difference in the share of answers that name a cue, first minus second, with its paired interval.

    pairs: pairs of rows that count the same images. cue: shape or texture. Columns: those of SHARE_COLUMNS for the cue.
    NaN without an image.
    """
    trials, cells, resampled = cue_answers(counts, cue)
    first, second = (ratio_with_prior(resampled, counts.resampled.trials, side=side) for side in (0, 1))
    rows = []
    for row_1, row_2 in pairs:
        low, high = np.quantile(first[row_1] - second[row_2], TAILS) if trials[row_1] else (np.nan, np.nan)
        difference = ratio(cells[row_1], trials[row_1]) - ratio(cells[row_2], trials[row_2])
        rows.append(name_share_columns(cue, difference, low, high))
    return rows


def cue_answers(
    counts: CueCounts, cue: str, rows: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the trials [K], the answers that name the cue [K], and these answers in each resample [K, R].

    rows: the rows of counts to return; all by default.
    """
    chosen = slice(None) if rows is None else list(rows)
    cells = (counts.shape_hits if cue == "shape" else counts.texture_hits)[chosen]
    resampled = counts.resampled.shape[chosen]
    if cue == "texture":
        resampled = counts.resampled.hits[chosen] - resampled
    return counts.trials[chosen].sum(axis=1), cells.sum(axis=1), resampled


def name_share_columns(cue: str, difference: float, low: float, high: float) -> dict[str, float]:
    """Return a difference with its interval under the names of SHARE_COLUMNS."""
    name = f"{cue}_difference"
    return {name: float(difference), f"{name}_low": float(low), f"{name}_high": float(high)}


def _members(group: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    return sorted({observer for pair in group for observer in pairs[pair]})


def _batches(groups: Sequence[list[int]], pairs: Sequence[tuple[int, int]]) -> Iterator[list[list[int]]]:
    """Yield batches of groups that fit into memory when resampled; the pairs of a group share their common images."""
    batch, rows = [], 0
    for group in groups:
        size = len(_members(group, pairs))
        if batch and rows + size > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(group)
        rows += size
    if batch:
        yield batch


def restrict_to_images(counts: CueCounts, observers: list[int], masks: np.ndarray) -> CueCounts:
    """Select observers and set their counts outside their masks to 0; masks: bool [observers, I]."""
    if observers == list(range(len(counts.names))) and (masks == counts.seen).all():
        return counts  # these counts may be resampled already
    selected = counts.select_rows(observers)
    return replace(
        selected,
        trials=selected.trials * masks,
        shape_hits=selected.shape_hits * masks,
        texture_hits=selected.texture_hits * masks,
    )


def _row(counts: CueCounts, first: int, second: int, interval: np.ndarray, p: float) -> dict[str, Any]:
    images = int(counts.seen[first].sum())
    shape, hits = (cell[[first, second]].sum(axis=1) for cell in (counts.shape_hits, counts.hits))
    names = counts.names[first], counts.names[second]
    biases = [ratio(numerator, denominator) for numerator, denominator in zip(shape, hits, strict=True)]
    reason = ""
    if not images:
        reason = "no conflict image that both saw and could answer"
    elif not hits.all():
        without = " and ".join(name for name, count in zip(names, hits, strict=True) if not count)
        reason = f"no hit of {without} on the {images} common conflict images"
    low, high = (np.nan, np.nan) if reason else interval
    return {
        "observer_1": names[0],
        "observer_2": names[1],
        "conflict_images": images,
        "shape_bias_1": biases[0],
        "shape_bias_2": biases[1],
        "difference": biases[0] - biases[1],
        "ci_low": float(low),
        "ci_high": float(high),
        "p": np.nan if reason else float(p),
        "reason": reason,
    }
