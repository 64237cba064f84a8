"""Error consistency: whether two observers are wrong about the same images, beyond what their accuracies imply.

It is Cohen's kappa of right and wrong, image by image. On a benchmark of conflicting cues right means that the shape
was named, over all images of a known shape, also those whose cues agree, as the model-vs-human toolbox counts.
Source: Geirhos, Meding and Wichmann, NeurIPS 2020 (arXiv 2006.16736).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from shapebias.metrics.accuracy_by_condition import (
    CONDITION_RESAMPLES,
    eligible_images,
    panel_conditions,
    prior_images,
    resampled_image_weights,
)
from shapebias.metrics.panel import Panel
from shapebias.metrics.seed_pooling import IMAGES, IMAGES_AND_SEEDS
from shapebias.metrics.shape_bias import TAILS

ALL = "all"
PEOPLE = "people"
PAIRS_AT_ONCE = 128
CONSISTENCY_COLUMNS = [
    *["condition", "conditions", "observer_1", "observer_2", "images", "accuracy_1", "accuracy_2"],
    *["observed", "expected", "kappa", "ci_low", "ci_high", "reason"],
]
POOLED_CONSISTENCY_COLUMNS = ["model", "regime", "seeds", "images", "kappa", "ci_low", "ci_high", "interval", "reason"]


@dataclass(frozen=True)
class ConditionAnswers:
    """What was answered in one condition; shape: int8 [images]; seen, right: bool [images, observers]."""

    condition: str
    shape: np.ndarray
    seen: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class PairGroup:
    """Pairs whose mean is one row: an observer with each person, or persons with each other."""

    observer_1: str
    pairs: np.ndarray  # positions among all pairs
    first: np.ndarray  # bool [pairs]: whether observer_1 is the first of a pair
    seen_by: np.ndarray  # bool [images]: what it rests on


@dataclass(frozen=True)
class PairCounts:
    """Counts of images for each condition and pair of observers, int64 [conditions, pairs].

    shared: both saw; first, second: of these, the first or the second observer was right; both: both were.
    """

    shared: np.ndarray
    first: np.ndarray
    second: np.ndarray
    both: np.ndarray

    def measures(self) -> dict[str, np.ndarray]:
        """accuracy_1, accuracy_2, observed, expected and kappa of each pair in each condition; NaN is undefined."""
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
            one, two = self.first / self.shared, self.second / self.shared
            observed = (self.shared - self.first - self.second + 2 * self.both) / self.shared
            expected = one * two + (1 - one) * (1 - two)
        value = kappa(self.both, self.first - self.both, self.second - self.both, self.neither)
        return {"accuracy_1": one, "accuracy_2": two, "observed": observed, "expected": expected, "kappa": value}

    @property
    def neither(self) -> np.ndarray:
        return self.shared - self.first - self.second + self.both


def kappa(both: np.ndarray, first: np.ndarray, second: np.ndarray, neither: np.ndarray) -> np.ndarray:
    """Cohen's kappa from how many images both, only the first, only the second or neither observer got right.

    (observed - expected) / (1 - expected), multiplied out. NaN where expected is 1: of two observers that are always
    right, or never, nobody can say whether they would err alike (model-vs-human's code calls that 1).
    """
    agreeing, differing = both * neither, first * second
    denominator = (both + first) * (first + neither) + (both + second) * (second + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, 2 * (agreeing - differing) / denominator, np.nan)


def consistency_table(panel: Panel, people: Sequence[str]) -> pd.DataFrame:
    """One row a pair of observers, and one an observer and `people`; columns: COLUMNS.

    people: names of persons. Of a pair with `people` all is the mean over persons (the other ones, for a person); of
    `people` with `people`, over pairs of persons.
    condition `all` is the mean over conditions: pooled over them kappa would be too high, as two observers that err
    at random err more often where it is difficult. Single conditions are told for pairs with `people` only, and only
    where there are several. conditions: in how many of them kappa is defined, and therefore averaged; accuracies,
    observed and expected are means over all conditions in which both saw an image (of a known shape that both could
    name). reason: why kappa is NaN.

    Intervals are over images, stratified by shape within each condition; conditions and persons are taken as they are.
    Simulated ones hold the true kappa in 93 to 97 % of cases; in 92 to 99 % where hardly an image is expected that both
    get wrong (both nearly always right and their errors unrelated, or 20 images).
    """
    conditions, images_of, answers = split_by_condition(panel)
    one, two = np.triu_indices(len(panel.observers), 1)
    pairs = count_pairs(answers, one, two)
    groups = people_groups(panel, people, one, two)
    kappas = pairs.measures()["kappa"]
    distances, resampled = resample_kappas(answers, (one, two), kappas, groups)
    bounds, bounds_of_groups = combine_conditions(kappas, distances), bound_group_means(kappas, resampled, groups)

    names = np.array(panel.observers, dtype=object)
    measured = pairs.measures()
    defined = np.isfinite(measured["kappa"])
    table: dict[str, Any] = {"condition": ALL, "observer_1": names[one], "observer_2": names[two]}
    table |= {key: mean_of_defined(values) for key, values in measured.items()}
    table |= {"conditions": defined.sum(axis=0), "images": pairs.shared.sum(axis=0)}
    table |= {"ci_low": bounds[0], "ci_high": bounds[1]}
    table["reason"] = np.where(defined.any(axis=0), "", undefined_reasons(pairs))
    rows = []
    for k, group in enumerate(groups):
        group_measures = {
            key: mean_of_defined(values.T) for key, values in orient_measures(measured, group).items()
        }  # [conditions]
        is_defined = np.isfinite(group_measures["kappa"])
        pair_names = {"observer_1": group.observer_1, "observer_2": PEOPLE}
        row = pair_names | {key: float(mean_of_defined(values)) for key, values in group_measures.items()}
        row |= {"condition": ALL, "conditions": int(is_defined.sum()), "images": int(group.seen_by.sum())}
        row |= {"reason": "" if is_defined.any() else group_reason(undefined_reasons(pairs), group)}
        rows.append(row | dict(zip(("ci_low", "ci_high"), bounds_of_groups[:, -1, k], strict=True)))
        for m, name in enumerate(conditions if len(conditions) > 1 else []):
            row = pair_names | {key: float(values[m]) for key, values in group_measures.items()}
            row |= {
                "condition": name,
                "conditions": int(is_defined[m]),
                "images": int(group.seen_by[images_of[m]].sum()),
            }
            row |= {"reason": "" if is_defined[m] else group_reason(undefined_reasons(pairs, m), group)}
            rows.append(row | dict(zip(("ci_low", "ci_high"), bounds_of_groups[:, m, k], strict=True)))
    frames = [pd.DataFrame(table, columns=CONSISTENCY_COLUMNS), pd.DataFrame(rows, columns=CONSISTENCY_COLUMNS)]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def pooled_consistency_table(
    panel: Panel, people: Sequence[str], groups: Mapping[tuple[str, str], Sequence[str]]
) -> pd.DataFrame:
    """One row a model and regime: the mean kappa of its seeds with people; columns: POOLED_COLUMNS.

    people: names of persons; groups: (model, regime) → observers of the panel, its seeds; `people` may stand for the
    persons with each other. A seed's kappa is that of its row `all` with `people` in `consistency_table`, and the row
    of a single seed is that row. seeds: how many there are; images: different ones that any seed shared with a person.
    interval: `images and seeds` if kappa of at least two seeds is defined, else `images`; see `pooled_interval`.
    reason: why kappa is NaN, or of which seeds it is (they are left out).
    """
    _, _, answers = split_by_condition(panel)
    group_members = {name for seeds in groups.values() for name in seeds}
    chosen = np.isin(panel.observers, list(group_members - {PEOPLE}))
    person = np.isin(panel.observers, list(people))
    one, two = np.triu_indices(len(panel.observers), 1)
    needed = (
        (chosen[one] & person[two])
        | (person[one] & chosen[two])
        | (person[one] & person[two] & (PEOPLE in group_members))
    )
    one, two = one[needed], two[needed]
    pairs = count_pairs(answers, one, two)
    members = [group for group in people_groups(panel, people, one, two) if group.observer_1 in group_members]
    place = {group.observer_1: k for k, group in enumerate(members)}
    kappas = pairs.measures()["kappa"]
    _, resampled = resample_kappas(answers, (one, two), kappas, members)
    bounds = bound_group_means(kappas, resampled, members)[:, -1]
    seed_kappas = (
        np.stack([mean_of_defined(kappas[:, group.pairs].T) for group in members], axis=1) if members else kappas[:, :0]
    )
    values = mean_of_defined(seed_kappas)
    rows = []
    for (model, regime), names in groups.items():
        row: dict[str, Any] = {"model": model, "regime": regime, "seeds": len(names), "interval": IMAGES}
        places = [place[name] for name in names] if members else []
        reasons = {group_reason(undefined_reasons(pairs), members[k]) for k in places if math.isnan(values[k])}
        defined_places = [k for k in places if math.isfinite(values[k])]
        row["reason"] = "; ".join(sorted(reasons)) if places else "no person to compare with"
        if reasons and defined_places:
            row["reason"] = f"over {len(defined_places)} of {len(names)} seeds: {row['reason']}"
        row["images"] = int(np.any([members[k].seen_by for k in places], axis=0).sum()) if places else 0
        row["kappa"] = float(values[defined_places].mean()) if defined_places else math.nan
        row["ci_low"], row["ci_high"] = bounds[:, defined_places[0]] if defined_places else (math.nan, math.nan)
        if len(defined_places) > 1:
            row["ci_low"], row["ci_high"] = pooled_kappa_interval(
                seed_kappas[:, defined_places], resampled[:, defined_places]
            )
            row["interval"] = IMAGES_AND_SEEDS
        rows.append(row)
    return pd.DataFrame(rows, columns=POOLED_CONSISTENCY_COLUMNS)


def pooled_kappa_interval(kappas: np.ndarray, resampled: np.ndarray) -> tuple[float, float]:
    """The interval of the mean kappa of k seeds, over images and seeds.

    kappas: of each condition and seed, [conditions, k], NaN where undefined, each seed with at least one; resampled:
    the same, over resampled images, [conditions, k, resamples].

    As that of bias (`seeds.interval`): Student's t with k - 1 degrees of freedom, times the seeds' standard deviation
    over √k, which already holds what each seed makes of the images by itself; of the images only what all seeds share
    is added (the mean covariance of two). Both parts are independent and add as squares, as conditions do.

    Simulated (a mean kappa of 0.24 or 0.4 over seeds, with a standard deviation from 0 to 0.08; two or three persons;
    160 or 320 images, or three or four conditions of 80; seeds more or less alike; 1,000 repetitions each), it held
    that mean in 97 to 99 % of them for k = 2, in 95 to 98 % for k = 3, in 95 to 97 % for k = 5.
    """
    number = kappas.shape[1]
    is_defined = np.isfinite(kappas)
    shares = np.where(is_defined, 1 / is_defined.sum(axis=0), 0)  # [conditions, k]: of each in the mean of its seed
    parts = np.where(is_defined[:, :, None], resampled, 0) * shares[:, :, None]
    seed_means = parts.mean(axis=1)  # [conditions, resamples]
    variance = seed_means.var(axis=1).sum()
    shared = max((number * variance - parts.var(axis=2).sum(axis=0).mean()) / (number - 1), 0)
    centres = np.where(is_defined, kappas, 0) * shares
    image_distances = np.sqrt(
        (bound_distances(seed_means, centres.mean(axis=1)) ** 2).sum(axis=1) * min(shared / variance, 1)
    )
    seed_distance = stdtrit(number - 1, TAILS[1]) * centres.sum(axis=0).std(ddof=1) / math.sqrt(number)
    low, high = np.hypot(image_distances, seed_distance)
    mean = centres.sum(axis=0).mean()
    return float(max(mean - low, -1)), float(min(mean + high, 1))


def split_by_condition(panel: Panel) -> tuple[list[str], list[np.ndarray], list[ConditionAnswers]]:
    """The conditions, and of each the positions of its images that somebody saw, and what was answered."""
    conditions, counts = panel_conditions(panel), eligible_images(panel)
    images_of = [np.flatnonzero((panel.condition == name) & counts.any(axis=1)) for name in conditions]
    right = panel.correct & counts
    answers = [
        ConditionAnswers(name, panel.shape[rows], counts[rows], right[rows])
        for name, rows in zip(conditions, images_of, strict=True)
    ]
    return conditions, images_of, answers


def count_pairs(answers: Sequence[ConditionAnswers], one: np.ndarray, two: np.ndarray) -> PairCounts:
    """Counts of some pairs in each condition; one, two: the observers of each pair."""
    counts = np.zeros((4, len(answers), len(one)), dtype=np.int64)
    for m, answer in enumerate(answers):
        # Products of float64 are exact for counts, and many times faster than those of integers.
        seen, right = answer.seen.astype(float), answer.right.astype(float)
        shared, first, both = (
            np.rint(a.T @ b).astype(np.int64) for a, b in ((seen, seen), (right, seen), (right, right))
        )
        counts[:, m] = shared[one, two], first[one, two], first[two, one], both[one, two]
    return PairCounts(*counts)


def people_groups(panel: Panel, people: Sequence[str], one: np.ndarray, two: np.ndarray) -> list[PairGroup]:
    """Each observer with the persons but itself; last, the persons with each other. one, two: the pairs there are."""
    counts = eligible_images(panel)
    person = np.isin(panel.observers, list(people))
    groups = []
    if not person.any():
        return groups
    for k, name in enumerate(panel.observers):
        group_pairs = np.flatnonzero(((one == k) & person[two]) | ((two == k) & person[one]))
        others = person & (np.arange(len(person)) != k)
        seen_by = counts[:, k] & counts[:, others].any(axis=1)
        groups.append(PairGroup(name, group_pairs, one[group_pairs] == k, seen_by))
    group_pairs = np.flatnonzero(person[one] & person[two])
    groups.append(
        PairGroup(PEOPLE, group_pairs, np.ones(len(group_pairs), dtype=bool), counts[:, person].sum(axis=1) > 1)
    )
    return groups


def orient_measures(measured: dict[str, np.ndarray], group: PairGroup) -> dict[str, np.ndarray]:
    """Measures of a group's pairs, [conditions, pairs], its observer_1 being the first of each."""
    selected = {key: values[:, group.pairs] for key, values in measured.items()}
    one, two = selected["accuracy_1"], selected["accuracy_2"]
    if group.observer_1 == PEOPLE:  # neither person of a pair comes first
        return selected | {"accuracy_1": (one + two) / 2, "accuracy_2": (one + two) / 2}
    return selected | {"accuracy_1": np.where(group.first, one, two), "accuracy_2": np.where(group.first, two, one)}


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is not NaN; NaN where nothing is left."""
    is_defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(is_defined, values, 0).sum(axis=0) / is_defined.sum(axis=0)


def undefined_reasons(pairs: PairCounts, condition: int | None = None) -> np.ndarray:
    """Why kappa of each pair is undefined, str [pairs], over all conditions or in one."""
    chosen = slice(None) if condition is None else slice(condition, condition + 1)
    shared, both, neither = (values[chosen] for values in (pairs.shared, pairs.both, pairs.neither))
    reasons = np.full(shared.shape[1], "both are always right or both never, in each condition", dtype=object)
    reasons[(both == shared).all(axis=0)] = "both are always right"
    reasons[(neither == shared).all(axis=0)] = "both are never right"
    reasons[(shared == 0).all(axis=0)] = "no image that both saw and could name"
    return reasons


def group_reason(reasons: np.ndarray, group: PairGroup) -> str:
    unique = sorted(set(reasons[group.pairs]))
    return "; ".join(unique) if unique else "no other person to compare with"


def resample_kappas(
    answers: Sequence[ConditionAnswers],
    members: tuple[np.ndarray, np.ndarray],
    kappas: np.ndarray,
    groups: Sequence[PairGroup],
) -> tuple[np.ndarray, np.ndarray]:
    """Kappa over resampled images in each condition.

    answers: of each condition; members: both observers of each pair; kappas: [conditions, pairs].
    Returns how far each pair's bounds are from its kappa, [2, conditions, pairs], and the resampled means of groups,
    [conditions, groups, resamples]; NaN is undefined.
    """
    distances = np.full((2, *kappas.shape), np.nan)
    sums = np.zeros((len(answers), len(groups), CONDITION_RESAMPLES))
    groups_of_pair: dict[int, list[int]] = {}
    for k, group in enumerate(groups):
        for pair in group.pairs:
            groups_of_pair.setdefault(int(pair), []).append(k)
    for m, answer in enumerate(answers):
        weights, unit = resampled_image_weights(answer.shape, answer.condition)
        prior = prior_images(4, answer.condition) * unit
        for part in batch_pairs(np.flatnonzero(np.isfinite(kappas[m]))):
            one, two = members[0][part], members[1][part]
            values = resampled_kappa(answer.seen, answer.right, one, two, weights, prior)
            distances[:, m, part] = bound_distances(values, kappas[m, part])
            for k, pair in enumerate(part):
                for group in groups_of_pair.get(int(pair), ()):
                    sums[m, group] += values[k]
    for k, group in enumerate(groups):
        defined_pairs = np.isfinite(kappas[:, group.pairs]).sum(axis=1)
        sums[:, k] /= np.where(defined_pairs > 0, defined_pairs, np.nan)[:, None]
    return distances, sums


def bound_group_means(kappas: np.ndarray, resampled: np.ndarray, groups: Sequence[PairGroup]) -> np.ndarray:
    """Bounds of groups' mean kappa, [2, conditions + 1, groups], last over all conditions; of what `resample` found."""
    bounds = np.full((2, len(kappas) + 1, len(groups)), np.nan)
    for k, group in enumerate(groups):
        centre = mean_of_defined(kappas[:, group.pairs].T)
        is_defined = np.isfinite(centre)
        distances = np.full((2, len(centre)), np.nan)
        distances[:, is_defined] = bound_distances(resampled[is_defined, k], centre[is_defined])
        bounds[:, :-1, k] = centre - distances[0], centre + distances[1]
        bounds[:, -1, k] = combine_conditions(centre, distances)
    return bounds


def bound_distances(values: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """How far the bounds of resampled values [n, resamples] are from their estimates [n]: below and above, [2, n]."""
    low, high = np.quantile(values, TAILS, axis=1) if len(values) else np.zeros((2, 0))
    return np.maximum([estimates - low, high - estimates], 0)


def combine_conditions(estimates: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Bounds [2, …] of the mean over conditions.

    estimates: [conditions, …]; distances: of their bounds, [2, conditions, …]. Images of different conditions are
    independent, so distances add as squares (Zou and Donner 2008). Averaging resampled values instead would add up
    what the prior does to each condition, while the interval gets narrower.
    """
    centre, conditions = mean_of_defined(estimates), np.isfinite(estimates).sum(axis=0)
    with np.errstate(invalid="ignore"):
        low, high = np.sqrt(np.nansum(distances**2, axis=1)) / conditions
    return np.stack([centre - low, centre + high])


def batch_pairs(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """A few pairs at a time: all pairs of many observers, resampled, would not fit into memory."""
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        yield pairs[start : start + PAIRS_AT_ONCE]


def resampled_kappa(
    seen: np.ndarray, right: np.ndarray, one: np.ndarray, two: np.ndarray, weights: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Kappa of some pairs over resampled images of one condition, float64 [pairs, resamples].

    seen, right: bool [images, observers]; weights: [resamples, images]; added: the prior's images, [4, resamples].
    """

    def summed(images: np.ndarray) -> np.ndarray:  # bool [images, columns] -> [columns, resamples]
        return (images.astype(np.float32).T @ weights.T).astype(np.float64)

    if seen.all():
        alone = summed(right)
        first, second = alone[one], alone[two]
        shared = summed(seen[:, :1])
    else:
        first, second = summed(right[:, one] & seen[:, two]), summed(seen[:, one] & right[:, two])
        shared = summed(seen[:, one] & seen[:, two])
    both = summed(right[:, one] & right[:, two])
    cells = both, first - both, second - both, shared - first - second + both
    return kappa(*(cell + extra for cell, extra in zip(cells, prior, strict=True)))
