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
    conditions_of,
    eligible,
    prior,
    resampled_images,
)
from shapebias.metrics.panel import Panel
from shapebias.metrics.seed_pooling import IMAGES, IMAGES_AND_SEEDS
from shapebias.metrics.shape_bias import TAILS

ALL = "all"
PEOPLE = "people"
PAIRS_AT_ONCE = 128
COLUMNS = [
    *["condition", "conditions", "observer_1", "observer_2", "images", "accuracy_1", "accuracy_2"],
    *["observed", "expected", "kappa", "ci_low", "ci_high", "reason"],
]
POOLED_COLUMNS = ["model", "regime", "seeds", "images", "kappa", "ci_low", "ci_high", "interval", "reason"]


@dataclass(frozen=True)
class Answers:
    """What was answered in one condition; shape: int8 [images]; seen, right: bool [images, observers]."""

    condition: str
    shape: np.ndarray
    seen: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Group:
    """Pairs whose mean is one row: an observer with each person, or persons with each other."""

    observer_1: str
    pairs: np.ndarray  # positions among all pairs
    first: np.ndarray  # bool [pairs]: whether observer_1 is the first of a pair
    seen_by: np.ndarray  # bool [images]: what it rests on


@dataclass(frozen=True)
class Pairs:
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
    whole = (both + first) * (first + neither) + (both + second) * (second + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, 2 * (agreeing - differing) / whole, np.nan)


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
    conditions, here, answers = answers_of(panel)
    one, two = np.triu_indices(len(panel.observers), 1)
    pairs = counted(answers, one, two)
    groups = groups_of(panel, people, one, two)
    kappas = pairs.measures()["kappa"]
    distances, resampled = resample(answers, (one, two), kappas, groups)
    bounds, group_bounds = combined(kappas, distances), bounds_of(kappas, resampled, groups)

    names = np.array(panel.observers, dtype=object)
    measured = pairs.measures()
    defined = np.isfinite(measured["kappa"])
    table: dict[str, Any] = {"condition": ALL, "observer_1": names[one], "observer_2": names[two]}
    table |= {key: mean_over(values) for key, values in measured.items()}
    table |= {"conditions": defined.sum(axis=0), "images": pairs.shared.sum(axis=0)}
    table |= {"ci_low": bounds[0], "ci_high": bounds[1]}
    table["reason"] = np.where(defined.any(axis=0), "", reasons(pairs))
    rows = []
    for k, group in enumerate(groups):
        each = {key: mean_over(values.T) for key, values in orient(measured, group).items()}  # [conditions]
        found = np.isfinite(each["kappa"])
        who = {"observer_1": group.observer_1, "observer_2": PEOPLE}
        told = who | {key: float(mean_over(values)) for key, values in each.items()}
        told |= {"condition": ALL, "conditions": int(found.sum()), "images": int(group.seen_by.sum())}
        told |= {"reason": "" if found.any() else group_reason(reasons(pairs), group)}
        rows.append(told | dict(zip(("ci_low", "ci_high"), group_bounds[:, -1, k], strict=True)))
        for m, name in enumerate(conditions if len(conditions) > 1 else []):
            told = who | {key: float(values[m]) for key, values in each.items()}
            told |= {"condition": name, "conditions": int(found[m]), "images": int(group.seen_by[here[m]].sum())}
            told |= {"reason": "" if found[m] else group_reason(reasons(pairs, m), group)}
            rows.append(told | dict(zip(("ci_low", "ci_high"), group_bounds[:, m, k], strict=True)))
    frames = [pd.DataFrame(table, columns=COLUMNS), pd.DataFrame(rows, columns=COLUMNS)]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def pooled_table(panel: Panel, people: Sequence[str], groups: Mapping[tuple[str, str], Sequence[str]]) -> pd.DataFrame:
    """One row a model and regime: the mean kappa of its seeds with people; columns: POOLED_COLUMNS.

    people: names of persons; groups: (model, regime) → observers of the panel, its seeds; `people` may stand for the
    persons with each other. A seed's kappa is that of its row `all` with `people` in `consistency_table`, and the row
    of a single seed is that row. seeds: how many there are; images: different ones that any seed shared with a person.
    interval: `images and seeds` if kappa of at least two seeds is defined, else `images`; see `pooled_interval`.
    reason: why kappa is NaN, or of which seeds it is (they are left out).
    """
    _, _, answers = answers_of(panel)
    asked = {name for seeds in groups.values() for name in seeds}
    chosen = np.isin(panel.observers, list(asked - {PEOPLE}))
    person = np.isin(panel.observers, list(people))
    one, two = np.triu_indices(len(panel.observers), 1)
    needed = (chosen[one] & person[two]) | (person[one] & chosen[two]) | (person[one] & person[two] & (PEOPLE in asked))
    one, two = one[needed], two[needed]
    pairs = counted(answers, one, two)
    members = [group for group in groups_of(panel, people, one, two) if group.observer_1 in asked]
    place = {group.observer_1: k for k, group in enumerate(members)}
    kappas = pairs.measures()["kappa"]
    _, resampled = resample(answers, (one, two), kappas, members)
    bounds = bounds_of(kappas, resampled, members)[:, -1]
    each = np.stack([mean_over(kappas[:, group.pairs].T) for group in members], axis=1) if members else kappas[:, :0]
    values = mean_over(each)
    rows = []
    for (model, regime), names in groups.items():
        row: dict[str, Any] = {"model": model, "regime": regime, "seeds": len(names), "interval": IMAGES}
        places = [place[name] for name in names] if members else []
        why = {group_reason(reasons(pairs), members[k]) for k in places if math.isnan(values[k])}
        found = [k for k in places if math.isfinite(values[k])]
        row["reason"] = "; ".join(sorted(why)) if places else "no person to compare with"
        if why and found:
            row["reason"] = f"over {len(found)} of {len(names)} seeds: {row['reason']}"
        row["images"] = int(np.any([members[k].seen_by for k in places], axis=0).sum()) if places else 0
        row["kappa"] = float(values[found].mean()) if found else math.nan
        row["ci_low"], row["ci_high"] = bounds[:, found[0]] if found else (math.nan, math.nan)
        if len(found) > 1:
            row["ci_low"], row["ci_high"] = pooled_interval(each[:, found], resampled[:, found])
            row["interval"] = IMAGES_AND_SEEDS
        rows.append(row)
    return pd.DataFrame(rows, columns=POOLED_COLUMNS)


def pooled_interval(kappas: np.ndarray, resampled: np.ndarray) -> tuple[float, float]:
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
    found = np.isfinite(kappas)
    shares = np.where(found, 1 / found.sum(axis=0), 0)  # [conditions, k]: of each in the mean of its seed
    parts = np.where(found[:, :, None], resampled, 0) * shares[:, :, None]
    together = parts.mean(axis=1)  # [conditions, resamples]
    variance = together.var(axis=1).sum()
    shared = max((number * variance - parts.var(axis=2).sum(axis=0).mean()) / (number - 1), 0)
    centres = np.where(found, kappas, 0) * shares
    apart = np.sqrt((distance(together, centres.mean(axis=1)) ** 2).sum(axis=1) * min(shared / variance, 1))
    seeds = stdtrit(number - 1, TAILS[1]) * centres.sum(axis=0).std(ddof=1) / math.sqrt(number)
    low, high = np.hypot(apart, seeds)
    mean = centres.sum(axis=0).mean()
    return float(max(mean - low, -1)), float(min(mean + high, 1))


def answers_of(panel: Panel) -> tuple[list[str], list[np.ndarray], list[Answers]]:
    """The conditions, and of each the positions of its images that somebody saw, and what was answered."""
    conditions, counts = conditions_of(panel), eligible(panel)
    here = [np.flatnonzero((panel.condition == name) & counts.any(axis=1)) for name in conditions]
    right = panel.correct & counts
    answers = [
        Answers(name, panel.shape[rows], counts[rows], right[rows]) for name, rows in zip(conditions, here, strict=True)
    ]
    return conditions, here, answers


def counted(answers: Sequence[Answers], one: np.ndarray, two: np.ndarray) -> Pairs:
    """Counts of some pairs in each condition; one, two: the observers of each pair."""
    found = np.zeros((4, len(answers), len(one)), dtype=np.int64)
    for m, given in enumerate(answers):
        # Products of float64 are exact for counts, and many times faster than those of integers.
        seen, right = given.seen.astype(float), given.right.astype(float)
        shared, first, both = (
            np.rint(a.T @ b).astype(np.int64) for a, b in ((seen, seen), (right, seen), (right, right))
        )
        found[:, m] = shared[one, two], first[one, two], first[two, one], both[one, two]
    return Pairs(*found)


def groups_of(panel: Panel, people: Sequence[str], one: np.ndarray, two: np.ndarray) -> list[Group]:
    """Each observer with the persons but itself; last, the persons with each other. one, two: the pairs there are."""
    counts = eligible(panel)
    person = np.isin(panel.observers, list(people))
    groups = []
    if not person.any():
        return groups
    for k, name in enumerate(panel.observers):
        chosen = np.flatnonzero(((one == k) & person[two]) | ((two == k) & person[one]))
        others = person & (np.arange(len(person)) != k)
        seen_by = counts[:, k] & counts[:, others].any(axis=1)
        groups.append(Group(name, chosen, one[chosen] == k, seen_by))
    chosen = np.flatnonzero(person[one] & person[two])
    groups.append(Group(PEOPLE, chosen, np.ones(len(chosen), dtype=bool), counts[:, person].sum(axis=1) > 1))
    return groups


def orient(measured: dict[str, np.ndarray], group: Group) -> dict[str, np.ndarray]:
    """Measures of a group's pairs, [conditions, pairs], its observer_1 being the first of each."""
    taken = {key: values[:, group.pairs] for key, values in measured.items()}
    one, two = taken["accuracy_1"], taken["accuracy_2"]
    if group.observer_1 == PEOPLE:  # neither person of a pair comes first
        return taken | {"accuracy_1": (one + two) / 2, "accuracy_2": (one + two) / 2}
    return taken | {"accuracy_1": np.where(group.first, one, two), "accuracy_2": np.where(group.first, two, one)}


def mean_over(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is not NaN; NaN where nothing is left."""
    found = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(found, values, 0).sum(axis=0) / found.sum(axis=0)


def reasons(pairs: Pairs, condition: int | None = None) -> np.ndarray:
    """Why kappa of each pair is undefined, str [pairs], over all conditions or in one."""
    chosen = slice(None) if condition is None else slice(condition, condition + 1)
    shared, both, neither = (values[chosen] for values in (pairs.shared, pairs.both, pairs.neither))
    told = np.full(shared.shape[1], "both are always right or both never, in each condition", dtype=object)
    told[(both == shared).all(axis=0)] = "both are always right"
    told[(neither == shared).all(axis=0)] = "both are never right"
    told[(shared == 0).all(axis=0)] = "no image that both saw and could name"
    return told


def group_reason(told: np.ndarray, group: Group) -> str:
    found = sorted(set(told[group.pairs]))
    return "; ".join(found) if found else "no other person to compare with"


def resample(
    answers: Sequence[Answers], members: tuple[np.ndarray, np.ndarray], kappas: np.ndarray, groups: Sequence[Group]
) -> tuple[np.ndarray, np.ndarray]:
    """Kappa over resampled images in each condition.

    answers: of each condition; members: both observers of each pair; kappas: [conditions, pairs].
    Returns how far each pair's bounds are from its kappa, [2, conditions, pairs], and the resampled means of groups,
    [conditions, groups, resamples]; NaN is undefined.
    """
    distances = np.full((2, *kappas.shape), np.nan)
    sums = np.zeros((len(answers), len(groups), CONDITION_RESAMPLES))
    belongs: dict[int, list[int]] = {}
    for k, group in enumerate(groups):
        for pair in group.pairs:
            belongs.setdefault(int(pair), []).append(k)
    for m, given in enumerate(answers):
        weights, unit = resampled_images(given.shape, given.condition)
        added = prior(4, given.condition) * unit
        for part in batches(np.flatnonzero(np.isfinite(kappas[m]))):
            one, two = members[0][part], members[1][part]
            values = resampled_kappa(given.seen, given.right, one, two, weights, added)
            distances[:, m, part] = distance(values, kappas[m, part])
            for k, pair in enumerate(part):
                for group in belongs.get(int(pair), ()):
                    sums[m, group] += values[k]
    for k, group in enumerate(groups):
        found = np.isfinite(kappas[:, group.pairs]).sum(axis=1)
        sums[:, k] /= np.where(found > 0, found, np.nan)[:, None]
    return distances, sums


def bounds_of(kappas: np.ndarray, resampled: np.ndarray, groups: Sequence[Group]) -> np.ndarray:
    """Bounds of groups' mean kappa, [2, conditions + 1, groups], last over all conditions; of what `resample` found."""
    bounds = np.full((2, len(kappas) + 1, len(groups)), np.nan)
    for k, group in enumerate(groups):
        centre = mean_over(kappas[:, group.pairs].T)
        found = np.isfinite(centre)
        apart = np.full((2, len(centre)), np.nan)
        apart[:, found] = distance(resampled[found, k], centre[found])
        bounds[:, :-1, k] = centre - apart[0], centre + apart[1]
        bounds[:, -1, k] = combined(centre, apart)
    return bounds


def distance(values: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """How far the bounds of resampled values [n, resamples] are from their estimates [n]: below and above, [2, n]."""
    low, high = np.quantile(values, TAILS, axis=1) if len(values) else np.zeros((2, 0))
    return np.maximum([estimates - low, high - estimates], 0)


def combined(estimates: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Bounds [2, …] of the mean over conditions.

    estimates: [conditions, …]; distances: of their bounds, [2, conditions, …]. Images of different conditions are
    independent, so distances add as squares (Zou and Donner 2008). Averaging resampled values instead would add up
    what the prior does to each condition, while the interval gets narrower.
    """
    centre, conditions = mean_over(estimates), np.isfinite(estimates).sum(axis=0)
    with np.errstate(invalid="ignore"):
        low, high = np.sqrt(np.nansum(distances**2, axis=1)) / conditions
    return np.stack([centre - low, centre + high])


def batches(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """A few pairs at a time: all pairs of many observers, resampled, would not fit into memory."""
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        yield pairs[start : start + PAIRS_AT_ONCE]


def resampled_kappa(
    seen: np.ndarray, right: np.ndarray, one: np.ndarray, two: np.ndarray, weights: np.ndarray, added: np.ndarray
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
    return kappa(*(cell + extra for cell, extra in zip(cells, added, strict=True)))
