"""Error consistency agrees with counting by hand and with the formula, and its intervals have the right coverage."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shapebias.evaluation.decisions import read_observers
from shapebias.metrics.accuracy_by_condition import prior_images, resampled_image_weights
from shapebias.metrics.error_consistency import (
    POOLED_CONSISTENCY_COLUMNS,
    bound_distances,
    combine_conditions,
    pooled_kappa_interval,
    resampled_kappa,
    tabulate_consistency,
    tabulate_pooled_consistency,
)
from shapebias.metrics.kappa_statistics import kappa
from shapebias.metrics.panel import NO_ANSWER, Panel, pair_trials


def answers(**observers: str) -> pd.DataFrame:
    """Each observer's answers to cats: + right, - wrong, o no answer, blank not seen."""
    decision_of_mark = {"+": "cat", "-": "dog", "o": None}
    rows = [
        (observer, f"image{i:03}", "cat", None, decision_of_mark[mark])
        for observer, marks in observers.items()
        for i, mark in enumerate(marks)
        if mark != " "
    ]
    return pd.DataFrame(rows, columns=["observer", "image", "shape", "texture", "decision"])


def pair(table: pd.DataFrame, first: str, second: str, condition: str = "all") -> pd.Series:
    rows = table[(table["observer_1"] == first) & (table["observer_2"] == second) & (table["condition"] == condition)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_kappa_counted_by_hand():
    # Both are right 4 times, both are wrong twice, and each alone is right once: agreement 6/8, accuracy 5/8 each.
    row = pair(tabulate_consistency(pair_trials(answers(a="+++++---", b="++++-+-o")), []), "a", "b")
    assert (row["images"], row["accuracy_1"], row["accuracy_2"], row["observed"]) == (8, 5 / 8, 5 / 8, 6 / 8)
    assert row["expected"] == 25 / 64 + 9 / 64
    assert row["kappa"] == pytest.approx((6 / 8 - 34 / 64) / (1 - 34 / 64))
    assert row["ci_low"] < row["kappa"] < row["ci_high"]


@pytest.mark.parametrize(
    ("one", "two", "value"),
    [("++--", "++--", 1), ("++--", "--++", -1), ("+-+-", "++--", 0), ("++++", "+++-", 0), ("+", "-", 0)],
)
def test_kappa_is_1_for_equal_errors_minus_1_for_opposite_and_0_for_unrelated_errors(one, two, value):
    assert pair(tabulate_consistency(pair_trials(answers(a=one, b=two)), []), "a", "b")["kappa"] == value


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ("++++", "++++", "both are always right"),
        ("----", "o-o-", "both are never right"),
        ("++  ", "  ++", "no image that both saw and could name"),
    ],
)
def test_undefined_kappa_has_a_reason(one, two, reason):
    row = pair(tabulate_consistency(pair_trials(answers(a=one, b=two)), []), "a", "b")
    assert math.isnan(row["kappa"]) and math.isnan(row["ci_low"]) and math.isnan(row["ci_high"])
    assert (row["reason"], row["conditions"]) == (reason, 0)


def test_only_images_that_both_saw_count():
    table = tabulate_consistency(pair_trials(answers(a="++-+-", b="+-+--")), [])
    parts = tabulate_consistency(pair_trials(answers(a="++-+-++  ", b="+-+--  --")), [])
    for name in ("images", "accuracy_1", "accuracy_2", "observed", "kappa"):
        assert pair(table, "a", "b")[name] == pair(parts, "a", "b")[name]


def test_images_that_one_observer_could_not_name_do_not_count():
    trials = answers(a="++-+-++", b="+-+----")
    trials["answerable"] = ~((trials["observer"] == "b") & (trials["image"] >= "image005"))
    row = pair(tabulate_consistency(pair_trials(trials), []), "a", "b")
    assert (row["images"], row["accuracy_1"], row["accuracy_2"]) == (5, 3 / 5, 2 / 5)


def test_people_are_the_mean_over_persons_and_a_person_is_compared_with_the_rest():
    table = tabulate_consistency(
        pair_trials(answers(net="++--+-", p1="++-++-", p2="+---+-", p3="-+--++")), ["p1", "p2", "p3"]
    )
    kappas = [pair(table, "net", name)["kappa"] for name in ("p1", "p2", "p3")]
    assert pair(table, "net", "people")["kappa"] == pytest.approx(sum(kappas) / 3)
    assert pair(table, "net", "people")["accuracy_1"] == 3 / 6
    assert pair(table, "net", "people")["accuracy_2"] == pytest.approx((4 + 2 + 3) / 18)
    # p2 is second in its pair with p1 and first in its pair with p3. In both, its accuracy is accuracy_1.
    others = (pair(table, "p1", "p2")["kappa"] + pair(table, "p2", "p3")["kappa"]) / 2
    assert pair(table, "p2", "people")["kappa"] == pytest.approx(others)
    assert pair(table, "p2", "people")["accuracy_1"] == pytest.approx(2 / 6)
    persons = [pair(table, *names)["kappa"] for names in (("p1", "p2"), ("p1", "p3"), ("p2", "p3"))]
    together = pair(table, "people", "people")
    assert together["kappa"] == pytest.approx(sum(persons) / 3)
    assert [together["accuracy_1"], together["accuracy_2"]] == pytest.approx([(4 + 2 + 3) / 18] * 2)


def test_people_with_people_covers_the_images_that_two_persons_saw():
    table = tabulate_consistency(pair_trials(answers(p1="++-+   ", p2="  +-+  ", p3="    -++")), ["p1", "p2", "p3"])
    assert pair(table, "people", "people")["images"] == 3
    assert pair(table, "p1", "p3")["reason"] == "no image that both saw and could name"
    assert pair(table, "p1", "p2")["reason"] == ""
    assert pair(table, "p1", "people")["images"] == 2 and pair(table, "p3", "people")["images"] == 1


def test_equal_errors_still_have_an_interval():
    row = pair(tabulate_consistency(pair_trials(answers(a="+-" * 10, b="+-" * 10)), []), "a", "b")
    assert row["kappa"] == 1 and 0.6 < row["ci_low"] < 0.9 and row["ci_high"] == 1


def test_bounds_counted_by_hand():
    values = np.linspace(0, 1, 1001)[None]
    assert bound_distances(values, np.array([0.6])).tolist() == [[pytest.approx(0.575)], [pytest.approx(0.375)]]
    assert bound_distances(values, np.array([1.2])).tolist() == [[pytest.approx(1.175)], [0]]
    # Distances add as squares: √(0.03² + 0.04²) / 2. A condition without kappa does not count.
    estimates, distances = np.array([0.2, np.nan, 0.4]), np.array([[0.03, np.nan, 0.04], [0.06, np.nan, 0.08]])
    assert combine_conditions(estimates, distances) == pytest.approx([0.3 - 0.025, 0.3 + 0.05])


def test_a_single_person_has_no_kappa_with_people():
    row = pair(tabulate_consistency(pair_trials(answers(net="+-+-", p="++--")), ["p"]), "p", "people")
    assert math.isnan(row["kappa"]) and row["reason"] == "no other person to compare with"


def test_without_people_there_are_no_rows_with_them():
    assert "people" not in set(tabulate_consistency(pair_trials(answers(a="+-+-", b="++--")), [])["observer_2"])


def test_conditions_are_averaged_and_not_pooled():
    # In each condition errors are unrelated, so kappa is 0. Pooling the easy and the difficult condition gives 0.36.
    trials = answers(net="+++-+++-" * 2 + "---+---+" * 2, p="++++----" + "++++++++" + "----++++" + "--------")
    trials["condition"] = np.where(trials["image"] < "image016", "easy", "hard")
    table = tabulate_consistency(pair_trials(trials), ["p"])
    assert pair(table, "net", "p")["kappa"] == pytest.approx(0)
    assert pair(table, "net", "p")["conditions"] == 2
    assert pair(table, "net", "people", "easy")["accuracy_1"] == 3 / 4
    assert pair(table, "net", "people", "hard")["accuracy_1"] == 1 / 4
    pooled = tabulate_consistency(pair_trials(trials.drop(columns="condition")), ["p"])
    assert pair(pooled, "net", "p")["kappa"] > 0.2


def test_a_condition_without_kappa_is_left_out_of_the_mean():
    trials = answers(net="+-+-++++", p="++--++++")
    trials["condition"] = np.where(trials["image"] < "image004", "noisy", "clear")
    table = tabulate_consistency(pair_trials(trials), ["p"])
    row = pair(table, "net", "people")
    assert (row["kappa"], row["conditions"], row["reason"], row["images"]) == (0, 1, "", 8)
    assert row["observed"] == (2 / 4 + 1) / 2  # observed is defined in both conditions
    assert pair(table, "net", "people", "clear")["reason"] == "both are always right"


def test_a_condition_without_common_images_does_not_hide_why_kappa_is_undefined():
    trials = answers(net="++++    ", p="++++++++")
    trials["condition"] = np.where(trials["image"] < "image004", "clear", "noisy")
    table = tabulate_consistency(pair_trials(trials), ["p"])
    assert pair(table, "net", "people")["reason"] == pair(table, "net", "p")["reason"] == "both are always right"
    assert pair(table, "net", "people", "noisy")["reason"] == "no image that both saw and could name"
    never = trials.assign(decision="dog")
    assert pair(tabulate_consistency(pair_trials(never), []), "net", "p")["reason"] == "both are never right"
    mixed = answers(net="++++----", p="++++----").assign(
        condition=["clear"] * 4 + ["noisy"] * 4 + ["clear"] * 4 + ["noisy"] * 4
    )
    reason = pair(tabulate_consistency(pair_trials(mixed), []), "net", "p")["reason"]
    assert reason == "both are always right or both never, in each condition"


def test_the_row_of_a_condition_with_people_equals_the_row_of_this_condition_alone():
    trials = answers(net="+-+--+++-+" * 4, p1="+++--++--+" * 4, p2="+-++-+-+-+" * 4)
    trials["condition"] = np.where(trials["image"] < "image020", "clear", "noisy")
    both = tabulate_consistency(pair_trials(trials), ["p1", "p2"])
    clear = tabulate_consistency(pair_trials(trials[trials["condition"] == "clear"]), ["p1", "p2"])
    row, alone = pair(both, "net", "people", "clear"), pair(clear, "net", "people")
    pd.testing.assert_series_equal(row.drop("condition"), alone.drop("condition"), check_names=False, check_index=False)
    assert row["ci_low"] < row["kappa"] < row["ci_high"]


def test_published_people_and_networks_agree_with_the_formula(shared_data: Path):
    files = sorted((shared_data / "observers").glob("*.csv"))
    trials = read_observers(files)
    people = sorted(name for name in trials["observer"].unique() if name.startswith("subject"))
    networks = sorted(set(trials["observer"]) - set(people))
    assert (len(people), len(networks)) == (10, 4)
    table = tabulate_consistency(pair_trials(trials), people)
    # The expected values come from the files and the formula, paired by the name of the stimulus.
    raw = pd.concat([pd.read_csv(path, dtype=str, keep_default_na=False) for path in files])
    raw["image"] = raw["imagename"].str.split("_").str[-1]
    raw["right"] = raw["object_response"] == raw["category"]
    for network in networks:
        kappas = []
        for person in people:
            both = raw[raw["subj"] == network].merge(raw[raw["subj"] == person], on="image")
            assert len(both) == 1280
            p1, p2 = both["right_x"].mean(), both["right_y"].mean()
            expected = p1 * p2 + (1 - p1) * (1 - p2)
            observed = (both["right_x"] == both["right_y"]).mean()
            kappas.append((observed - expected) / (1 - expected))
            row = pair(table, *sorted((network, person)))
            assert row["kappa"] == pytest.approx(kappas[-1], abs=1e-12)
            assert (row["observed"], row["expected"]) == pytest.approx((observed, expected), abs=1e-12)
        assert pair(table, network, "people")["kappa"] == pytest.approx(np.mean(kappas), abs=1e-12)


def test_intervals_do_not_depend_on_the_remaining_observers():
    marks = {"a": "+-+--+++-+" * 4, "b": "++--+-+-++" * 4, "c": "-+-+ + +-+" * 4}
    alone = pair(tabulate_consistency(pair_trials(answers(a=marks["a"], b=marks["b"])), []), "a", "b")
    among = pair(tabulate_consistency(pair_trials(answers(**marks)), ["c"]), "a", "b")
    assert list(alone) == list(among)


def cells(p1: float, p2: float, value: float) -> np.ndarray:
    """Return the probabilities that both, only the first, only the second or neither is right."""
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    observed = expected + value * (1 - expected)
    both = (observed - 1 + p1 + p2) / 2
    return np.array([both, p1 - both, p2 - both, 1 - p1 - p2 + both])


@pytest.mark.parametrize(
    ("images", "strata", "conditions"),
    [
        (320, 16, [(0.75, 0.5, 0.3)]),
        (160, 16, [(0.95, 0.9, 0.3)]),
        (160, 16, [(0.97, 0.97, 0.4)]),  # hardly any image is wrong for both
        (80, 16, [(0.9, 0.7, 0.2)]),
        (20, 1, [(0.8, 0.6, 0.4)]),
        (160, 16, [(0.3, 0.2, 0.2), (0.5, 0.4, 0.2), (0.8, 0.6, 0.2), (0.95, 0.9, 0.2)]),
    ],
)
def test_intervals_contain_the_true_kappa(images: int, strata: int, conditions: list[tuple[float, float, float]]):
    # With 500 simulations, three standard deviations are 2.9 %.
    assert 0.92 <= coverage(images, strata, conditions) <= 0.98


def test_intervals_with_few_expected_common_errors_have_the_documented_coverage():
    # The docstring gives this range for a mean over such conditions and for few images.
    high = [(0.9, 0.9, 0.0), (0.95, 0.9, 0.0), (0.95, 0.95, 0.0), (0.9, 0.95, 0.0)]
    assert 0.92 <= coverage(80, 16, high) <= 0.99
    assert 0.92 <= coverage(20, 1, [(0.95, 0.9, 0.3)]) <= 0.99


def coverage(images: int, strata: int, conditions: list[tuple[float, float, float]]) -> float:
    """How often the interval contains kappa in 500 simulations; conditions: accuracies of both observers, kappa."""
    simulations = 500
    rng = np.random.default_rng(0)
    one, two = np.arange(0, 2 * simulations, 2), np.arange(1, 2 * simulations, 2)
    estimates = np.empty((len(conditions), simulations))
    distances = np.empty((2, len(conditions), simulations))
    for number, known in enumerate(conditions):
        drawn = rng.choice(4, size=(images, simulations), p=cells(*known))
        right = np.empty((images, 2 * simulations), dtype=bool)
        right[:, one], right[:, two] = drawn < 2, drawn % 2 == 0
        weights, unit = resampled_image_weights(np.arange(images) % strata, str(number))
        added = prior_images(4, str(number)) * unit
        values = resampled_kappa(np.ones_like(right), right, one, two, weights, added)
        estimates[number] = kappa(*((drawn == cell).sum(axis=0) for cell in range(4)))
        distances[:, number] = bound_distances(values, estimates[number])
    low, high = combine_conditions(estimates, distances)
    defined = np.isfinite(low)
    truth = np.mean([known[2] for known in conditions])
    return np.mean((low <= truth) & (truth <= high), where=defined)


# Several seeds of one run


def test_seeds_are_averaged_and_the_interval_covers_seed_variation():
    marks = {"s0": "+-+--+++-+" * 8, "s1": "+-+--+++-+" * 7 + "+++--+-+-+", "s2": "+-+--+++-+" * 7 + "-++--+++--"}
    panel = pair_trials(answers(p1="+++--++--+" * 8, p2="+-++-+-+-+" * 8, **marks))
    table = tabulate_pooled_consistency(panel, ["p1", "p2"], {("net", "in"): list(marks)})
    assert list(table.columns) == POOLED_CONSISTENCY_COLUMNS
    (row,) = table.to_dict("records")
    rows = tabulate_consistency(panel, ["p1", "p2"])
    kappas = [pair(rows, seed, "people")["kappa"] for seed in marks]
    assert (row["model"], row["regime"], row["seeds"], row["images"]) == ("net", "in", 3, 80)
    assert row["kappa"] == pytest.approx(np.mean(kappas))
    assert (row["interval"], row["reason"]) == ("images and seeds", "")
    # Student's t with two degrees of freedom: at least 4.303 × standard deviation / √3 to either side.
    seeds = 4.303 * np.std(kappas, ddof=1) / math.sqrt(3)
    assert row["ci_low"] < row["kappa"] - seeds and row["kappa"] + seeds < row["ci_high"] < 1


@pytest.mark.parametrize("observer", ["net", "p2", "people"])
def test_the_pooled_row_of_a_single_observer_equals_its_row_of_error_consistency(observer):
    trials = answers(net="+-+--+++-+" * 8, other="++++-+--+-" * 8, p1="+++--++--+" * 8, p2="+-++-+-+-+" * 8)
    trials["condition"] = np.where(trials["image"] < "image030", "noisy", "clear")
    panel = pair_trials(trials)
    (row,) = tabulate_pooled_consistency(panel, ["p1", "p2"], {("net", ""): [observer]}).to_dict("records")
    same = pair(tabulate_consistency(panel, ["p1", "p2"]), observer, "people")
    for name in ("images", "kappa", "ci_low", "ci_high", "reason"):
        assert row[name] == same[name]
    assert (row["seeds"], row["interval"]) == (1, "images")


def test_seeds_with_equal_answers_have_the_interval_of_one_seed():
    marks = "+-+--+++-+" * 8
    panel = pair_trials(answers(s0=marks, s1=marks, p="+++--++--+" * 8))
    table = tabulate_pooled_consistency(panel, ["p"], {("net", "two"): ["s0", "s1"], ("net", "one"): ["s0"]})
    two, one = table.to_dict("records")
    assert (two["interval"], one["interval"]) == ("images and seeds", "images")
    for name in ("kappa", "ci_low", "ci_high"):
        assert two[name] == pytest.approx(one[name], abs=1e-9)


LEVELS = np.linspace(-0.1, 0.1, 2001)  # the middle 95 % reach from -0.095 to 0.095
APART = np.array([[1, -1, 1, -1], [1, 1, -1, -1]]) * 0.1  # two seeds whose resamples have no covariance


def test_the_interval_over_seeds_counted_by_hand():
    # Equal seeds share all of their image variance, in one condition and in the mean of two.
    assert pooled_kappa_interval(np.full((1, 2), 0.5), np.array([[LEVELS, LEVELS]]) + 0.5) == pytest.approx(
        (0.405, 0.595)
    )
    two = pooled_kappa_interval(np.full((2, 3), 0.5), np.tile(LEVELS, (2, 3, 1)) + 0.5)
    assert two == pytest.approx((0.5 - 0.095 * math.sqrt(1 / 2), 0.5 + 0.095 * math.sqrt(1 / 2)))
    # One seed has kappa only in the first condition, which is half of the mean of the second seed. Their covariance is
    # half of the variance of a condition.
    half = pooled_kappa_interval(np.array([[0.5, 0.5], [0.5, np.nan]]), np.tile(LEVELS, (2, 2, 1)) + 0.5)
    assert half == pytest.approx(two)
    # Without covariance, Student's t with one degree of freedom is left: 12.706 × 0.002 / √2 / √2.
    kappas = np.array([[0.499, 0.501]])
    low, high = pooled_kappa_interval(kappas, kappas[:, :, None] + APART)
    assert (low, high) == pytest.approx((0.5 - 0.012706, 0.5 + 0.012706), abs=1e-5)
    assert pooled_kappa_interval(np.array([[-0.9, 0.9]]), APART[None]) == (-1, 1)


def test_seeds_without_kappa_are_left_out_and_named():
    panel = pair_trials(answers(s0="++--+-  ", s1="      ++", p="+++--+++"))
    groups = {("net", "some"): ["s0", "s1"], ("net", "none"): ["s1"], ("net", "first"): ["s0"]}
    some, none, first = tabulate_pooled_consistency(panel, ["p"], groups).to_dict("records")
    assert some["reason"] == "over 1 of 2 seeds: both are always right"
    assert (some["seeds"], some["images"], some["interval"]) == (2, 8, "images")
    assert [some[name] for name in ("kappa", "ci_low", "ci_high")] == [
        first[name] for name in ("kappa", "ci_low", "ci_high")
    ]
    assert math.isnan(none["kappa"]) and math.isnan(none["ci_low"]) and none["reason"] == "both are always right"


def test_without_people_a_pooled_kappa_is_undefined():
    (row,) = tabulate_pooled_consistency(
        pair_trials(answers(s0="+-+-", s1="++--")), [], {("net", "in"): ["s0", "s1"]}
    ).to_dict("records")
    assert math.isnan(row["kappa"]) and math.isnan(row["ci_low"])
    assert (row["seeds"], row["images"], row["reason"]) == (2, 0, "no person to compare with")


def test_the_interval_over_seeds_contains_the_mean_of_all_seeds_there_could_be():
    # All observers are right on 70 % of images. On some images they copy a common latent observer: persons on 80 %,
    # seeds on 50 % with a standard deviation of 10 % (a Beta). Kappa is the product of the two fractions.
    rng, images, number, studies = np.random.default_rng(0), 200, 3, 150
    contained = {"seeds": 0, "seed": 0}
    for _ in range(studies):
        latent = rng.random((images, 1)) < 0.7
        # The same images are hard for all seeds: on half of the images, seeds share their random numbers.
        alike = rng.random((images, 1)) < 0.5
        follows, guess = (np.where(alike, rng.random((images, 1)), rng.random((images, number))) for _ in range(2))
        seeds = np.where(follows < rng.beta(12, 12, number), latent, guess < 0.7)
        people = np.where(rng.random((images, 2)) < 0.8, latent, rng.random((images, 2)) < 0.7)
        panel = right_and_wrong(np.concatenate([people, seeds], axis=1), ["p1", "p2", "s0", "s1", "s2"])
        table = tabulate_pooled_consistency(
            panel, ["p1", "p2"], {("net", "seeds"): ["s0", "s1", "s2"], ("net", "seed"): ["s0"]}
        )
        for row in table.to_dict("records"):
            contained[row["regime"]] += row["ci_low"] <= 0.4 <= row["ci_high"]
    # With 150 studies, three standard deviations are 5 %.
    assert 0.9 <= contained["seeds"] / studies < 1
    assert contained["seed"] / studies < 0.85  # the interval of a single seed does not cover other seeds


def right_and_wrong(right: np.ndarray, observers: list[str]) -> Panel:
    """Images of four categories in turn, with the right answer or none; right: bool [images, observers]."""
    shape = (np.arange(len(right)) % 4).astype(np.int8)
    return Panel(
        images=np.array([f"image{i:03}" for i in range(len(right))], dtype=object),
        shape=shape,
        texture=np.full(len(right), -1, dtype=np.int8),
        condition=np.full(len(right), "", dtype=object),
        observers=observers,
        decisions=np.where(right, shape[:, None], NO_ANSWER).astype(np.int8),
        answerable=np.ones(right.shape, dtype=bool),
    )


def test_kappa_equals_its_textbook_formula():
    both, first, second, neither = 30, 12, 7, 11
    p1, p2 = (both + first) / 60, (both + second) / 60
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    value = ((both + neither) / 60 - expected) / (1 - expected)
    assert kappa(*map(np.array, (both, first, second, neither))) == pytest.approx(value)
