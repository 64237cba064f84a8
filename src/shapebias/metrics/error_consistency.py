"""Error consistency: whether two observers err on the same images more often than their accuracies imply.

The measure is Cohen's kappa of right and wrong answers, image by image. On a benchmark of conflicting cues, an answer
is right if it names the shape. As in the model-vs-human toolbox, all images of a known shape count, including images
whose cues agree.
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
from shapebias.metrics.kappa_statistics import (
    copy_probability,
    expected_agreement,
    independence_p_values,
    kappa,
    kappa_bounds,
    unbiased_kappa,
)
from shapebias.metrics.panel import Panel
from shapebias.metrics.seed_pooling import IMAGES, IMAGES_AND_SEEDS
from shapebias.metrics.shape_bias import TAILS

ALL = "all"
PEOPLE = "people"
PAIRS_AT_ONCE = 128
MANY_IMAGES = 0.8  # fraction of images; selecting more of them would take longer than it saves
CONSISTENCY_COLUMNS = [
    *["condition", "conditions", "observer_1", "observer_2", "images", "accuracy_1", "accuracy_2"],
    *["observed", "expected", "kappa", "ci_low", "ci_high", "reason"],
    *["kappa_min", "kappa_max", "copy_probability", "unbiased_kappa", "p_value"],
]
POOLED_CONSISTENCY_COLUMNS = ["model", "regime", "seeds", "images", "kappa", "ci_low", "ci_high", "interval", "reason"]


@dataclass(frozen=True)
class ConditionAnswers:
    """The answers in one condition; shape: int8 [images]; seen, right: bool [images, observers]."""

    condition: str
    shape: np.ndarray
    seen: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class PairGroup:
    """Pairs that one row averages: an observer with each person, or persons with each other."""

    observer_1: str
    pairs: np.ndarray  # positions among all pairs
    first: np.ndarray  # bool [pairs]: whether observer_1 is the first of a pair
    seen_by: np.ndarray  # bool [images]: the images that the row covers


@dataclass(frozen=True)
class PairCounts:
    """Counts of images for each condition and pair of observers, int64 [conditions, pairs].

    shared: images that both saw; first, second, both: shared images on which the first observer, the second observer
    or both were right.
    """

    shared: np.ndarray
    first: np.ndarray
    second: np.ndarray
    both: np.ndarray

    def measures(self) -> dict[str, np.ndarray]:
        """Return the measures per condition and pair, float [conditions, pairs]; NaN means undefined.

        They are accuracy_1, accuracy_2, observed, expected, kappa, kappa_min, kappa_max, copy_probability and
        unbiased_kappa; see `kappa_statistics`.
        """
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
            accuracy_1, accuracy_2 = self.first / self.shared, self.second / self.shared
            observed = (self.shared - self.first - self.second + 2 * self.both) / self.shared
            expected = expected_agreement(accuracy_1, accuracy_2)
        lowest, highest = kappa_bounds(accuracy_1, accuracy_2)
        value = kappa(self.both, self.first - self.both, self.second - self.both, self.neither)
        return {
            "accuracy_1": accuracy_1,
            "accuracy_2": accuracy_2,
            "observed": observed,
            "expected": expected,
            "kappa": value,
            "kappa_min": lowest,
            "kappa_max": highest,
            "copy_probability": copy_probability(value, accuracy_1, accuracy_2),
            "unbiased_kappa": unbiased_kappa(value, self.shared),
        }

    @property
    def neither(self) -> np.ndarray:
        return self.shared - self.first - self.second + self.both


def tabulate_consistency(panel: Panel, people: Sequence[str]) -> pd.DataFrame:
    """Return one row per pair of observers and one per observer and `people`; columns: CONSISTENCY_COLUMNS.

    people: names of persons. A row with `people` is the mean over persons; for a person, over the remaining persons.
    The row of `people` with `people` is the mean over pairs of persons.

    The condition `all` is the mean over conditions. Pooling the images of all conditions would make kappa too high:
    two observers with random errors both err more often in difficult conditions. Single conditions have rows for pairs
    with `people` only, and only if there are several conditions.

    conditions: the number of conditions in which kappa is defined. The mean kappa covers these. accuracies, observed
    and expected are means over all conditions in which both observers saw an image of a known shape that both could
    name. reason: why kappa is NaN.

    kappa_min and kappa_max are the bounds of kappa given both accuracies. copy_probability is the share of images on
    which the worse observer copies the better one. These and unbiased_kappa are means like kappa. p_value tests
    independent errors; it is NaN for rows with `people`, because the pairs that such a row averages share an observer.
    See `kappa_statistics`.

    Intervals resample images, stratified by shape within each condition. Conditions and persons are not resampled. In
    simulations the intervals contain the true kappa in 93 to 97 % of cases. The range is 92 to 99 % if hardly any image
    is expected to be wrong for both (both observers nearly always right with unrelated errors, or 20 images).
    """
    conditions, images_of, answers = split_by_condition(panel)
    first, second = np.triu_indices(len(panel.observers), 1)
    pairs = count_pairs(answers, first, second)
    groups = people_groups(panel, people, first, second)
    kappas = pairs.measures()["kappa"]
    distances, resampled = resample_kappas(answers, (first, second), kappas, groups)
    bounds, bounds_of_groups = combine_conditions(kappas, distances), bound_group_means(kappas, resampled, groups)

    names = np.array(panel.observers, dtype=object)
    pair_measures = pairs.measures()
    defined = np.isfinite(pair_measures["kappa"])
    table: dict[str, Any] = {"condition": ALL, "observer_1": names[first], "observer_2": names[second]}
    table |= {key: mean_of_defined(values) for key, values in pair_measures.items()}
    table |= {"conditions": defined.sum(axis=0), "images": pairs.shared.sum(axis=0)}
    table |= {"ci_low": bounds[0], "ci_high": bounds[1]}
    table["reason"] = np.where(defined.any(axis=0), "", undefined_reasons(pairs))
    table["p_value"] = independence_p_values(pair_measures["kappa"], pairs.shared, pairs.first, pairs.second)
    rows = []
    for k, group in enumerate(groups):
        group_measures = {
            key: mean_of_defined(values.T) for key, values in orient_measures(pair_measures, group).items()
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


def tabulate_pooled_consistency(
    panel: Panel, people: Sequence[str], groups: Mapping[tuple[str, str], Sequence[str]]
) -> pd.DataFrame:
    """Return one row per model and regime: the mean kappa of its seeds with people.

    The columns are POOLED_CONSISTENCY_COLUMNS.
    people: names of persons.
    groups: (model, regime) → the observers of the panel that are its seeds. The name `people` means the persons with
    each other.

    A seed's kappa is the kappa of its row `all` with `people` in `tabulate_consistency`. With a single seed, the pooled
    row equals that row. seeds: the number of seeds; images: the number of different images that any seed shared with a
    person. interval: `images and seeds` if kappa is defined for at least two seeds, else `images`; see
    `pooled_kappa_interval`. reason: why kappa is NaN, or why seeds are left out.
    """
    _, _, answers = split_by_condition(panel)
    group_members = {name for seeds in groups.values() for name in seeds}
    is_seed = np.isin(panel.observers, list(group_members - {PEOPLE}))
    person = np.isin(panel.observers, list(people))
    first, second = np.triu_indices(len(panel.observers), 1)
    needed = (
        (is_seed[first] & person[second])
        | (person[first] & is_seed[second])
        | (person[first] & person[second] & (PEOPLE in group_members))
    )
    first, second = first[needed], second[needed]
    pairs = count_pairs(answers, first, second)
    members = [group for group in people_groups(panel, people, first, second) if group.observer_1 in group_members]
    place = {group.observer_1: k for k, group in enumerate(members)}
    kappas = pairs.measures()["kappa"]
    _, resampled = resample_kappas(answers, (first, second), kappas, members)
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
    """Return the interval of the mean kappa of k seeds, over images and seeds.

    kappas: [conditions, k], NaN where undefined; each seed has at least one defined kappa.
    resampled: kappas over resampled images, [conditions, k, resamples].

    As for the bias (`seed_pooling.seed_interval`), the part of the seeds is Student's t with k - 1 degrees of freedom,
    times the seeds' standard deviation over √k. This deviation already contains the image variance of each single seed.
    So the part of the images is only the variance that all seeds share, the mean covariance of two seeds. The two parts
    are independent and add as squares, as conditions do.

    Simulations had a mean kappa of 0.24 or 0.4 over seeds with a standard deviation from 0 to 0.08, two or three
    persons, 160 or 320 images or three or four conditions of 80, more or less similar seeds, and 1,000 repetitions per
    setting. The interval contained the mean in 97 to 99 % of repetitions for k = 2, in 95 to 98 % for k = 3, and in
    95 to 97 % for k = 5.
    """
    number = kappas.shape[1]
    is_defined = np.isfinite(kappas)
    # [conditions, k]: weight of each kappa in the mean of its seed
    shares = np.where(is_defined, 1 / is_defined.sum(axis=0), 0)
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
    """Return the conditions and, for each, the positions of the images that any observer saw, and the answers."""
    conditions, counts = panel_conditions(panel), eligible_images(panel)
    images_of = [np.flatnonzero((panel.condition == name) & counts.any(axis=1)) for name in conditions]
    right = panel.correct & counts
    answers = [
        ConditionAnswers(name, panel.shape[rows], counts[rows], right[rows])
        for name, rows in zip(conditions, images_of, strict=True)
    ]
    return conditions, images_of, answers


def count_pairs(
    answers: Sequence[ConditionAnswers], first_observers: np.ndarray, second_observers: np.ndarray
) -> PairCounts:
    """Count the images of some pairs in each condition; first_observers, second_observers: the two of each pair."""
    counts = np.zeros((4, len(answers), len(first_observers)), dtype=np.int64)
    for m, answer in enumerate(answers):
        # Products of float64 are exact for counts, and many times faster than products of integers.
        seen, right = answer.seen.astype(float), answer.right.astype(float)
        shared, first, both = (
            np.rint(a.T @ b).astype(np.int64) for a, b in ((seen, seen), (right, seen), (right, right))
        )
        counts[:, m] = (
            shared[first_observers, second_observers],
            first[first_observers, second_observers],
            first[second_observers, first_observers],
            both[first_observers, second_observers],
        )
    return PairCounts(*counts)


def people_groups(panel: Panel, people: Sequence[str], first: np.ndarray, second: np.ndarray) -> list[PairGroup]:
    """Group each observer with all persons but itself and, last, the persons with each other.

    first, second: the observers of each pair.
    """
    counts = eligible_images(panel)
    person = np.isin(panel.observers, list(people))
    groups = []
    if not person.any():
        return groups
    for k, name in enumerate(panel.observers):
        group_pairs = np.flatnonzero(((first == k) & person[second]) | ((second == k) & person[first]))
        other_persons = person & (np.arange(len(person)) != k)
        seen_by = counts[:, k] & counts[:, other_persons].any(axis=1)
        groups.append(PairGroup(name, group_pairs, first[group_pairs] == k, seen_by))
    group_pairs = np.flatnonzero(person[first] & person[second])
    groups.append(
        PairGroup(PEOPLE, group_pairs, np.ones(len(group_pairs), dtype=bool), counts[:, person].sum(axis=1) > 1)
    )
    return groups


def orient_measures(measures: dict[str, np.ndarray], group: PairGroup) -> dict[str, np.ndarray]:
    """Return the measures of a group's pairs, [conditions, pairs], with observer_1 as the first of each pair."""
    selected = {key: values[:, group.pairs] for key, values in measures.items()}
    accuracy_1, accuracy_2 = selected["accuracy_1"], selected["accuracy_2"]
    if group.observer_1 == PEOPLE:  # neither person of a pair comes first
        return selected | {"accuracy_1": (accuracy_1 + accuracy_2) / 2, "accuracy_2": (accuracy_1 + accuracy_2) / 2}
    return selected | {
        "accuracy_1": np.where(group.first, accuracy_1, accuracy_2),
        "accuracy_2": np.where(group.first, accuracy_2, accuracy_1),
    }


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis, ignoring NaN; NaN if all values are NaN."""
    is_defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(is_defined, values, 0).sum(axis=0) / is_defined.sum(axis=0)


def undefined_reasons(pairs: PairCounts, condition: int | None = None) -> np.ndarray:
    """Return why the kappa of each pair is undefined, str [pairs], over all conditions or in one condition."""
    conditions = slice(None) if condition is None else slice(condition, condition + 1)
    shared, both, neither = (values[conditions] for values in (pairs.shared, pairs.both, pairs.neither))
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
    """Compute kappa over resampled images in each condition.

    answers: of each condition; members: both observers of each pair; kappas: [conditions, pairs].
    Returns the distances of each pair's bounds from its kappa, [2, conditions, pairs], and the resampled means of
    groups, [conditions, groups, resamples]. NaN means undefined.
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
        for batch in batch_pairs(order_by_images(np.flatnonzero(np.isfinite(kappas[m])), members, answer.seen)):
            first, second = members[0][batch], members[1][batch]
            values = resampled_kappa(answer.seen, answer.right, first, second, weights, prior)
            distances[:, m, batch] = bound_distances(values, kappas[m, batch])
            for k, pair in enumerate(batch):
                for group in groups_of_pair.get(int(pair), ()):
                    sums[m, group] += values[k]
    for k, group in enumerate(groups):
        defined_pairs = np.isfinite(kappas[:, group.pairs]).sum(axis=1)
        sums[:, k] /= np.where(defined_pairs > 0, defined_pairs, np.nan)[:, None]
    return distances, sums


def bound_group_means(kappas: np.ndarray, resampled: np.ndarray, groups: Sequence[PairGroup]) -> np.ndarray:
    """Return the bounds of the groups' mean kappas, [2, conditions + 1, groups]. The last row is over all conditions.

    resampled: the group means of `resample_kappas`.
    """
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
    """Return the distances of the bounds of resampled values [n, resamples] from their estimates [n].

    The result is [2, n]: the distance below, then above.
    """
    low, high = np.quantile(values, TAILS, axis=1) if len(values) else np.zeros((2, 0))
    return np.maximum([estimates - low, high - estimates], 0)


def combine_conditions(estimates: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the bounds [2, …] of the mean over conditions.

    estimates: [conditions, …]; distances: of their bounds, [2, conditions, …]. Images of different conditions are
    independent, so distances add as squares (Zou and Donner 2008). Averaging resampled values instead would accumulate
    the effect of the prior over conditions, while the interval becomes narrower.
    """
    centre, conditions = mean_of_defined(estimates), np.isfinite(estimates).sum(axis=0)
    with np.errstate(invalid="ignore"):
        low, high = np.sqrt(np.nansum(distances**2, axis=1)) / conditions
    return np.stack([centre - low, centre + high])


def order_by_images(pairs: np.ndarray, members: tuple[np.ndarray, np.ndarray], seen: np.ndarray) -> np.ndarray:
    """Order pairs so that those limited by one observer's few images are neighbours, which share a small computation.

    members: both observers of each pair; seen: bool [images, observers].
    """
    images = seen.sum(axis=0)
    first, second = members[0][pairs], members[1][pairs]
    fewer = np.where(images[first] <= images[second], first, second)
    return pairs[np.lexsort((pairs, fewer, images[fewer]))]


def batch_pairs(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a few pairs at a time, because all resampled pairs of many observers would not fit into memory."""
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        yield pairs[start : start + PAIRS_AT_ONCE]


def resampled_kappa(
    seen: np.ndarray,
    right: np.ndarray,
    first_observers: np.ndarray,
    second_observers: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray,
) -> np.ndarray:
    """Return the kappa of some pairs over resampled images of one condition, float64 [pairs, resamples].

    seen, right: bool [images, observers]; weights: [resamples, images]; prior: images of the prior, [4, resamples].
    """

    def summed(images: np.ndarray) -> np.ndarray:  # bool [images, columns] -> [columns, resamples]
        return (images.astype(np.float32).T @ weights.T).astype(np.float64)

    both_saw = seen[:, first_observers] & seen[:, second_observers]
    if (seen_by_any := both_saw.any(axis=1)).mean() < MANY_IMAGES:
        seen, right, weights = seen[seen_by_any], right[seen_by_any], weights[:, seen_by_any]
        both_saw = both_saw[seen_by_any]
    if both_saw.all():
        observers, places = np.unique([first_observers, second_observers], return_inverse=True)
        right_sums = summed(right[:, observers])
        first, second = right_sums[places.reshape(2, -1)]
        shared = summed(seen[:, first_observers[:1]])
    else:
        first, second = (
            summed(right[:, first_observers] & seen[:, second_observers]),
            summed(seen[:, first_observers] & right[:, second_observers]),
        )
        shared = summed(both_saw)
    both = summed(right[:, first_observers] & right[:, second_observers])
    cells = both, first - both, second - both, shared - first - second + both
    return kappa(*(cell + extra for cell, extra in zip(cells, prior, strict=True)))
