"""Shape bias: known observers, hand-counted cases, published numbers."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import trials
from scipy.stats import beta, binomtest

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.decisions import PROBABILITIES, read_observers
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.shape_bias import (
    accuracy_row,
    bias_rows,
    count_cues,
    cue_accuracy_rows,
    describe_bias,
    pooled_accuracy_row,
    reciprocal_ranks,
)


def bias(decisions: pd.DataFrame) -> dict:
    """Shape bias of one observer, or of several pooled observers."""
    panel = pair_trials(decisions)
    (row,) = bias_rows(count_cues(panel, {"": panel.observers}))
    return row


def cue_accuracy(decisions: pd.DataFrame) -> dict:
    (row,) = cue_accuracy_rows(count_cues(pair_trials(decisions)), [1 / 16])
    return row


@pytest.fixture(scope="module")
def published(shared_data: Path) -> pd.DataFrame:
    """The decisions of ten people and four networks on the 1,280 published stimuli."""
    return read_observers(sorted((shared_data / "observers").glob("*.csv")))


def conflicts(count: int) -> list[tuple[str, str]]:
    """(shape, texture) pairs, never equal, over all categories."""
    return [(CATEGORIES[i % 16], CATEGORIES[(i + 1 + i // 16 % 15) % 16]) for i in range(count)]


def test_an_observer_that_answers_the_shape_has_bias_one():
    result = bias(trials(*[(shape, texture, shape) for shape, texture in conflicts(100)]))
    assert (result["shape_bias"], result["shape_hits"], result["texture_hits"]) == (1.0, 100, 0)
    # Clopper and Pearson 1934, 100 successes in 100 trials: the lower bound is 0.025 ** (1 / 100).
    assert result["ci_low"] == pytest.approx(0.025 ** (1 / 100))
    assert result["ci_high"] == 1.0


def answered(shape: int, texture: int, others: int) -> pd.DataFrame:
    """Return that many answers that name the shape, the texture, and one of the 14 other categories."""
    kinds = ["shape"] * shape + ["texture"] * texture + ["other"] * others
    rows = []
    for kind, (s, t) in zip(kinds, conflicts(len(kinds)), strict=True):
        rest = next(name for name in CATEGORIES if name not in (s, t))
        rows.append((s, t, {"shape": s, "texture": t, "other": rest}[kind]))
    return trials(*rows)


def test_the_corrected_bias_removes_as_many_answers_from_each_cue_as_a_third_category_gets():
    row = cue_accuracy(answered(shape=40, texture=20, others=70))  # each of the 14 other categories gets 5
    assert row["corrected_bias"] == pytest.approx((40 - 5) / (60 - 10))
    assert row["corrected_low"] < 0.7 < row["corrected_high"]
    assert row["chance"] == 1 / 16 and row["corrected_reason"] == ""
    certain = cue_accuracy(answered(shape=40, texture=20, others=0))
    assert certain["corrected_bias"] == pytest.approx(2 / 3)
    interval = certain["corrected_low"], certain["corrected_high"]
    assert interval == pytest.approx(beta.ppf([0.025, 0.975], 40.5, 20.5), abs=0.005)  # nothing to correct: Jeffreys
    assert (
        cue_accuracy(answered(shape=90, texture=2, others=70))["corrected_bias"] == 1
    )  # texture: fewer than by guessing


def test_the_corrected_bias_of_an_observer_that_guesses_is_undefined():
    row = cue_accuracy(answered(shape=10, texture=10, others=140))
    assert math.isnan(row["corrected_bias"]) and math.isnan(row["corrected_low"])
    assert row["corrected_reason"] == "answers name the cues no more often than guessing would"
    (row,) = cue_accuracy_rows(count_cues(pair_trials(trials(("cat", "dog", "cat")))), [1 / 2])
    assert math.isnan(row["corrected_bias"]) and "each answer names a cue" in row["corrected_reason"]


def test_an_observer_that_answers_the_texture_has_bias_zero():
    result = bias(trials(*[(shape, texture, texture) for shape, texture in conflicts(100)]))
    assert (result["shape_bias"], result["shape_hits"], result["texture_hits"]) == (0.0, 0, 100)
    assert result["ci_low"] == 0.0
    assert result["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 100))


def test_an_observer_that_guesses_has_bias_one_half_within_its_interval():
    answers = np.random.default_rng(0).choice(CATEGORIES, 1280)
    result = bias(trials(*[(*pair, answer) for pair, answer in zip(conflicts(1280), answers, strict=True)]))
    assert result["ci_low"] < 0.5 < result["ci_high"]
    assert 0.1 < result["ci_high"] - result["ci_low"] < 0.2  # about 160 hits: ±0.08


@pytest.mark.parametrize("rows", [[], [("cat", "dog", "car")], [("cat", "dog", None)]])
def test_bias_without_a_hit_is_undefined(rows):
    result = bias(trials(*rows))
    assert (result["shape_hits"], result["texture_hits"]) == (0, 0)
    assert all(math.isnan(result[key]) for key in ("shape_bias", "ci_low", "ci_high"))


def test_counts_of_one_category_are_those_of_its_images_alone():
    decisions = pd.concat([hits(30, 20), hits(5, 9, (("dog", "cat"),)).assign(image=range(14))])
    (row,) = bias_rows(count_cues(pair_trials(decisions)).select_shape("dog"))
    assert (row["conflict_images"], row["shape_hits"], row["texture_hits"]) == (14, 5, 9)
    assert bounds(row) == pytest.approx(beta.ppf([0.025, 0.975], 5.5, 9.5))


def test_only_images_whose_cues_disagree_count():
    rows = [
        ("cat", "cat", "cat"),
        ("cat", "dog", "cat"),
        ("cat", "dog", "dog"),
        ("car", "dog", "car"),
        ("car", None, "car"),
    ]
    result = bias(trials(*rows))
    assert (result["conflict_images"], result["shape_hits"], result["texture_hits"]) == (3, 2, 1)
    assert result["shape_bias"] == 2 / 3


def test_conflicts_that_an_observer_cannot_answer_both_ways_do_not_count():
    decisions = trials(("cat", "oven", "cat"), ("cat", "dog", "dog"), ("dog", "cat", "dog"))
    assert bias(decisions)["shape_bias"] == 2 / 3
    knows_no_oven = decisions.assign(answerable=[False, True, True])
    assert (bias(knows_no_oven)["conflict_images"], bias(knows_no_oven)["shape_bias"]) == (2, 1 / 2)


def hits(shape: int, texture: int, pairs=(("cat", "dog"),)) -> pd.DataFrame:
    """Trials with these numbers of shape and texture answers, over some pairs of cues in turn."""
    rows = []
    for answer, count in ((0, shape), (1, texture)):
        rows += [(*pairs[i % len(pairs)], pairs[i % len(pairs)][answer]) for i in range(count)]
    return trials(*rows)


def bounds(measured: dict) -> tuple[float, float]:
    return measured["ci_low"], measured["ci_high"]


@pytest.mark.parametrize(("shape", "texture"), [(40, 60), (2, 18), (19, 2)])
def test_the_interval_is_jeffreys_if_each_image_of_one_category_is_a_hit(shape, texture):
    # Brown, Cai and DasGupta 2001, section 4.3: the middle 95 % of Beta(x + 1/2, n - x + 1/2).
    expected = beta.ppf([0.025, 0.975], shape + 0.5, texture + 0.5)
    assert bounds(bias(hits(shape, texture))) == pytest.approx(expected, rel=1e-9)


def test_the_interval_is_nearly_jeffreys_if_all_categories_have_the_same_bias():
    # Each of 16 strata of 75 images holds 30 shape hits and 45 texture hits.
    decisions = hits(480, 720, conflicts(16))
    expected = beta.ppf([0.025, 0.975], 480.5, 720.5)
    assert bounds(bias(decisions)) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("pairs", [(("cat", "dog"),), tuple(conflicts(16))], ids=["one category", "16 categories"])
def test_a_cue_with_at_most_one_hit_has_the_bounds_of_brown_cai_and_dasgupta(pairs):
    # Section 4.1.2. With no hit of 50, the interval ends at the exact bound, 1 - 0.025 ** (1 / 50). With one hit, it
    # starts at 0, because a single hit may be luck.
    assert bounds(bias(hits(0, 50, pairs))) == (0, pytest.approx(1 - 0.025 ** (1 / 50)))
    assert bounds(bias(hits(50, 0, pairs))) == (pytest.approx(0.025 ** (1 / 50)), 1)
    misses = trials(*[(*pair, None) for pair in conflicts(30)]).assign(image=[f"missed{i}" for i in range(30)])
    assert bounds(bias(pd.concat([hits(50, 0, pairs), misses])))[0] == pytest.approx(0.025 ** (1 / 50))
    assert bias(hits(1, 49, pairs))["ci_low"] == 0
    assert bias(hits(49, 1, pairs))["ci_high"] == 1


def test_strata_keep_their_number_of_images():
    # Cats are always named by shape and dogs always by texture, with 100 images of each. All resamples are equal.
    certain = pd.concat([hits(100, 0), hits(0, 100, (("dog", "cat"),)).assign(image=range(100))])
    low, high = bounds(bias(certain))
    assert (low, high) == pytest.approx((0.5, 0.5), abs=0.01)  # the prior's half hits of 200


@pytest.mark.parametrize(("images", "apart"), [(40, True), (39, False)])
def test_categories_of_at_least_40_images_have_their_own_stratum(images, apart):
    # Resamples of one stratum would vary: of 78 images named by either cue, ± 1.96 · √(0.25 / 79) = ± 0.11.
    certain = pd.concat([hits(images, 0), hits(0, images, (("dog", "cat"),)).assign(image=range(images))])
    low, high = bounds(bias(certain))
    assert (high - low < 0.06) is apart and (high - low > 0.2) is not apart


def test_the_interval_of_an_observer_does_not_depend_on_the_remaining_observers():
    rng = np.random.default_rng(0)
    rows = conflicts(800)  # 50 of each category
    several = pd.concat([trials(*[(*pair, rng.choice(pair)) for pair in rows], observer=name) for name in "abc"])
    several["answerable"] = (several["observer"] != "b") | (several["shape"] != "oven")  # different images count for b
    several = several[(several["observer"] != "c") | (several["image"] < "image3")]  # c saw fewer
    panel = pair_trials(several)
    for name, row in zip("abc", bias_rows(count_cues(panel)), strict=True):
        assert row == bias(several[several["observer"] == name])
    assert bias_rows(count_cues(panel))[1]["conflict_images"] == 750


def test_interval_does_not_depend_on_the_order_of_rows():
    rows = [("cat", "dog", "cat")] * 13 + [("cat", "dog", "dog")] * 29 + [("cat", "dog", "car")] * 7
    decisions = trials(*rows)
    shuffled = decisions.sample(frac=1, random_state=3)
    assert bias(decisions) == bias(shuffled)


def test_images_without_a_hit_do_not_widen_the_interval():
    # Misses add no information on the ratio, so both intervals are nearly the same.
    decisions = hits(300, 300, conflicts(16))
    misses = trials(*[(*pair, None) for pair in conflicts(600)]).assign(image=[f"missed{i}" for i in range(600)])
    assert bounds(bias(decisions)) == pytest.approx(bounds(bias(pd.concat([decisions, misses]))), abs=0.005)


@pytest.mark.parametrize("number", [2, 10])
def test_answers_of_several_people_to_one_image_are_resampled_together(number):
    # The people agree on each of 20 images. These are 20 independent observations, not 20 for each person.
    rows = [("cat", "dog", "cat" if image % 2 else "dog") for image in range(20)]
    people = pd.concat([trials(*rows, observer=f"subject-{k}") for k in range(number)], ignore_index=True)
    together = bias(people)
    independent = bias(people.assign(image=range(20 * number)))
    assert together["shape_bias"] == independent["shape_bias"] == 0.5

    def width(measured):
        return measured["ci_high"] - measured["ci_low"]

    assert width(together) / width(independent) == pytest.approx(math.sqrt(number), rel=0.15)


def test_coverage_counts_answers_that_name_either_cue():
    rows = [
        ("cat", "dog", "cat"),
        ("cat", "dog", "dog"),
        ("cat", "dog", "car"),
        ("cat", "dog", None),
        ("cat", "cat", "cat"),
    ]
    result = cue_accuracy(trials(*rows))
    assert result["conflict_images"] == 4
    fractions = [result[key] for key in ("shape_accuracy", "texture_accuracy", "coverage")]
    assert fractions == [1 / 4, 1 / 4, 2 / 4]


def test_the_interval_of_a_fraction_of_0_or_1_reaches_the_end_of_the_scale():
    result = cue_accuracy(hits(0, 40))
    assert (result["shape_accuracy"], result["shape_low"]) == (0, 0)
    assert (result["coverage"], result["coverage_high"]) == (1, 1)
    assert result["shape_high"] == pytest.approx(beta.ppf(0.975, 0.5, 40.5), abs=0.005)
    undefined = cue_accuracy(trials(("cat", "cat", "cat")))
    assert undefined["conflict_images"] == 0
    numbers = {key: value for key, value in undefined.items() if isinstance(value, float) and key != "chance"}
    assert all(map(math.isnan, numbers.values()))


def ranks_of(decisions: pd.DataFrame, known: list[str]) -> dict[str, float]:
    panel = pair_trials(decisions)
    return reciprocal_ranks(count_cues(panel), 0, panel, decisions.assign(condition=""), known)


def test_reciprocal_ranks_are_among_the_categories_that_an_observer_knows():
    decisions = trials(("cat", "dog", "cat"), ("cat", "dog", "car"), ("dog", "dog", "dog"))
    probabilities = pd.DataFrame(np.nan, index=range(3), columns=PROBABILITIES)
    # Image 0: cat, dog, car. Image 1: car, then cat and dog, of which cat comes first. Image 2 holds no conflict.
    probabilities[["p_cat", "p_dog", "p_car"]] = [[0.6, 0.3, 0.1], [0.25, 0.25, 0.5], [0, 1, 0]]
    table = pd.concat([decisions, probabilities], axis=1)
    ranks = ranks_of(table.sample(frac=1, random_state=0), ["cat", "dog", "car"])
    assert ranks["shape_reciprocal_rank"] == (1 / 1 + 1 / 2) / 2
    assert ranks["texture_reciprocal_rank"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert ranks["shape_reciprocal_rank_low"] < 0.75 < ranks["shape_reciprocal_rank_high"] < 1


def test_reciprocal_ranks_do_not_depend_on_images_that_only_other_observers_saw():
    decisions = hits(3, 2)
    decisions[PROBABILITIES] = np.nan
    decisions["p_cat"] = [0.9] * 3 + [0.1] * 2
    decisions["p_dog"] = 1 - decisions["p_cat"]
    others = trials(("cat", "dog", "dog"), observer="zoe").assign(image="unseen")
    panel = pair_trials(pd.concat([decisions, others]))
    ranks = reciprocal_ranks(count_cues(panel), 0, panel, decisions.assign(condition=""), ["cat", "dog"])
    assert ranks == ranks_of(decisions, ["cat", "dog"])
    assert ranks["shape_reciprocal_rank"] == (3 + 2 / 2) / 5


def test_extreme_reciprocal_ranks_have_the_intervals_of_fractions():
    # 30 shapes first and 10 last of two: the mean is (30 + 10 / 2) / 40, its deviation half of that of 30 of 40.
    decisions = hits(30, 10)
    decisions[PROBABILITIES] = np.nan
    decisions["p_cat"] = [0.9] * 30 + [0.1] * 10
    decisions["p_dog"] = 1 - decisions["p_cat"]
    ranks = ranks_of(decisions, ["cat", "dog"])
    low, high = beta.ppf([0.025, 0.975], 30.5, 10.5)
    assert ranks["shape_reciprocal_rank"] == 35 / 40
    width = ranks["shape_reciprocal_rank_high"] - ranks["shape_reciprocal_rank_low"]
    assert width == pytest.approx((high - low) / 2, rel=0.1)
    always = ranks_of(decisions.head(30), ["cat", "dog"])
    assert always["shape_reciprocal_rank_high"] == 1
    assert always["shape_reciprocal_rank_low"] == pytest.approx(beta.ppf(0.025, 30.5, 0.5), abs=0.005)


@pytest.mark.parametrize("category", ["cat", "car"])
def test_a_missing_probability_of_a_known_category_is_refused_by_name(category):
    decisions = trials(("cat", "dog", "cat"), ("cat", "dog", "car"))
    decisions[PROBABILITIES] = np.nan
    decisions[["p_cat", "p_dog", "p_car"]] = 1 / 3
    assert ranks_of(decisions, ["cat", "dog", "car"])["shape_reciprocal_rank"] == 1 / 2  # car is before cat
    decisions.loc[1, f"p_{category}"] = np.nan
    with pytest.raises(UserError, match=f"somebody: no probability of {category} for image 'image1'"):
        ranks_of(decisions, ["cat", "dog", "car"])


def test_unknown_categories_and_duplicate_trials_are_refused_by_name():
    with pytest.raises(UserError, match="'zebra' is not one of the 16"):
        bias(trials(("cat", "dog", "zebra")))
    repeated = trials(("cat", "dog", "cat"), ("cat", "dog", "dog")).assign(image="x")
    with pytest.raises(UserError, match="'somebody' answers image 'x' twice"):
        bias(repeated)


def test_the_pooled_accuracy_counts_each_answer_to_an_image_of_a_known_shape():
    first = trials(("cat", None, "cat"), ("airplane", "dog", "airplane"), (None, "dog", "dog"), observer="a")
    second = trials(("cat", None, "dog"), ("airplane", "dog", "airplane"), observer="b").assign(
        answerable=[True, False]
    )
    panel = pair_trials(pd.concat([first.assign(answerable=True), second]))
    row = pooled_accuracy_row(panel, ["a", "b"], 1 / 16)
    assert (row["images"], row["correct"], row["accuracy"], row["chance"]) == (3, 2, 2 / 3, 1 / 16)
    assert pooled_accuracy_row(panel, ["b"], 1 / 16)["correct"] == 0


def test_the_pooled_accuracy_of_people_that_agree_has_the_interval_of_one_person():
    rows = [("cat", None, "cat" if image < 60 else "dog") for image in range(100)]
    people = pd.concat([trials(*rows, observer=name) for name in "abcd"])
    low, high = bounds(pooled_accuracy_row(pair_trials(people), list("abcd"), 1 / 16))
    # Beta(60.5, 40.5) would be exact for one person. Half an answer of the prior weighs less among 400 answers.
    assert (low, high) == pytest.approx(beta.ppf([0.025, 0.975], 60.5, 40.5), abs=0.006)


def test_the_pooled_accuracy_has_strata_and_ignores_images_that_only_other_observers_saw():
    # Cats are always right and dogs never. All resamples are equal, and only the prior varies.
    rows = [("cat", None, "cat")] * 40 + [("dog", None, "cat")] * 40
    alone = trials(*rows, observer="a")
    low, high = bounds(pooled_accuracy_row(pair_trials(alone), ["a"], 1 / 16))
    assert 0.48 < low < 0.5 < high < 0.52
    others = trials(*rows, observer="b").assign(image=[f"other{i}" for i in range(80)])
    assert bounds(pooled_accuracy_row(pair_trials(pd.concat([alone, others])), ["a"], 1 / 16)) == (low, high)


def test_a_bias_in_words():
    assert describe_bias("net", bias(hits(1200, 300))) == (
        "net: shape bias 0.800 [0.779, 0.820], 1,200 shape and 300 texture hits on 1,500 conflict images"
    )
    nothing = bias(trials(("cat", "dog", "car")))
    assert describe_bias("net", nothing) == (
        "net: no shape bias, because neither cue was ever named on 1 conflict images"
    )


def test_accuracy_has_wilsons_interval():
    result = accuracy_row(pd.Series([True] * 8 + [False] * 2), chance=1 / 16)
    # Wilson 1927 for 8 of 10, z = 1.96: (0.8 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10)
    assert (result["ci_low"], result["ci_high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (result["images"], result["correct"], result["accuracy"]) == (10, 8, 0.8)
    for right in (0, 3, 10):
        result = accuracy_row(pd.Series([True] * right + [False] * (10 - right)), chance=1 / 16)
        published = binomtest(right, 10).proportion_ci(method="wilson")
        assert bounds(result) == pytest.approx((published.low, published.high), abs=1e-12)
    assert math.isnan(accuracy_row(pd.Series([], dtype=bool), chance=1 / 16)["accuracy"])


# Geirhos et al. 2019, recomputed in FACTS.md.
PUBLISHED = {
    "alexnet": (283, 376, "0.4294"),
    "googlenet": (228, 503, "0.3119"),
    "vgg": (130, 625, "0.1722"),
    "resnet50": (162, 572, "0.2207"),
}


@pytest.mark.parametrize(("observer", "shape", "texture", "printed"), [(k, *v) for k, v in PUBLISHED.items()])
def test_published_networks_have_their_published_bias(published, observer, shape, texture, printed):
    result = bias(published[published["observer"].str.startswith(observer)])
    assert (result["conflict_images"], result["shape_hits"], result["texture_hits"]) == (1200, shape, texture)
    assert result["shape_bias"] == float(Fraction(shape, shape + texture))
    assert f"{result['shape_bias']:.4f}" == printed
    assert result["ci_low"] < result["shape_bias"] < result["ci_high"]


def test_ten_pooled_people_have_their_published_bias(published):
    people = published[published["observer"].str.startswith("subject-")]
    result = bias(people)
    assert people["observer"].nunique() == 10
    assert (result["shape_hits"], result["texture_hits"]) == (9236, 398)
    assert result["shape_bias"] == float(Fraction(9236, 9236 + 398))
    assert f"{result['shape_bias']:.4f}" == "0.9587"


def test_the_pooled_interval_of_people_is_wider_than_for_independent_trials(published):
    low, high = bounds(bias(published[published["observer"].str.startswith("subject-")]))
    independent = beta.ppf([0.025, 0.975], 9236.5, 398.5)
    assert high - low > 1.1 * (independent[1] - independent[0])
