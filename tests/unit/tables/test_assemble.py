"""Tables count decisions correctly, hold the identity of each observer, and give reasons for undefined values."""

import math

import numpy as np
import pandas as pd
import pytest
from helpers import trials

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.decisions import PROBABILITIES
from shapebias.evaluation.stimulus_names import published_conflicts
from shapebias.metrics import bias_differences
from shapebias.tables.assemble import TableBuilder, format_lineage
from shapebias.tables.columns import TABLE_COLUMNS

RUN = {"observer": "net_in_seed0", "model": "net", "regime": "in", "seed": 0, "benchmark": "cue_conflict"}
CUES = [("cat", "dog", "cat"), ("cat", "dog", "dog"), ("cat", "dog", "car")]


def recorded_decisions(*rows: tuple, observer: str = "subject-01") -> pd.DataFrame:
    """Decisions in the form of `read_decisions`."""
    return trials(*rows, observer=observer).assign(answerable=True, condition="", session=1)


def predictions(*rows: tuple, observer: str = "net_in_seed0") -> pd.DataFrame:
    """A network's predictions with probability 1 for each decision; images name categories only."""
    table = recorded_decisions(*rows, observer=observer).assign(
        shape_class=None, texture_class=None, predicted_class="n01"
    )
    table = table.assign(shape_rank=1, texture_rank=2).astype({"shape_rank": "Int64", "texture_rank": "Int64"})
    table[PROBABILITIES] = [[float(name == decision) for name in CATEGORIES] for decision in table["decision"]]
    return table


def network(**facts) -> dict:
    """The metadata of a network's predictions."""
    return RUN | {"answers": list(CATEGORIES), "class_names": ["n01", "n02"]} | facts


def build_tables() -> dict[str, pd.DataFrame]:
    builder = TableBuilder()
    builder.add_network("conflict", predictions(*CUES), network())
    builder.add_decisions("conflict", recorded_decisions(*CUES), ["people=subject-*"], "cue_conflict")
    return builder.tables()


def tables_of_seeds(*answers: list[tuple]) -> dict[str, pd.DataFrame]:
    """Several seeds of one run."""
    builder = TableBuilder()
    for seed, rows in enumerate(answers):
        name = f"net_in_seed{seed}"
        builder.add_network("conflict", predictions(*rows, observer=name), network(observer=name, seed=seed))
    return builder.tables()


def test_every_table_has_its_columns_even_without_rows():
    for tables in (TableBuilder().tables(), build_tables()):
        assert {name: list(table.columns) for name, table in tables.items() if name in TABLE_COLUMNS} == TABLE_COLUMNS


def test_a_seed_stays_an_integer_beside_observers_without_a_seed(tmp_path):
    build_tables()["shape_bias"].to_csv(tmp_path / "x.csv", index=False)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == ",".join(TABLE_COLUMNS["shape_bias"])
    assert lines[1].startswith("conflict,net_in_seed0,net,in,0,3,1,1,0.5,")
    assert lines[2].startswith("conflict,subject-01,people,,,3,1,1,0.5,")
    assert lines[3].startswith("conflict,people,people,,,3,1,1,0.5,")


def test_categories_without_images_have_rows_with_an_undefined_bias_and_its_reason():
    tables = build_tables()
    table = tables["shape_bias_by_category"].query("observer == 'people'").set_index("category")
    assert len(table) == 16
    assert table.loc["cat", "shape_bias"] == 0.5
    assert table.loc["oven", "conflict_images"] == 0
    assert math.isnan(table.loc["oven", "shape_bias"])
    undefined = tables["undefined"].query("table == 'shape_bias_by_category' and observer == 'people'")
    assert set(undefined["what"]) == set(CATEGORIES) - {"cat"}
    assert undefined["reason"].str.startswith("no image whose shape and texture differ").all()


def test_bias_by_answer_counts_the_trials_with_that_answer():
    tables = build_tables()
    table = tables["shape_bias_by_answer"].query("observer == 'net_in_seed0'").set_index("category")
    counted = ["conflict_images", "shape_hits", "texture_hits"]
    assert table.loc[["cat", "dog", "car"], counted].to_numpy().tolist() == [[1, 1, 0], [1, 0, 1], [1, 0, 0]]
    assert (table.loc["cat", "shape_bias"], table.loc["dog", "shape_bias"]) == (1, 0)
    reasons = tables["undefined"].query("table == 'shape_bias_by_answer' and observer == 'net_in_seed0'")
    reason_of = dict(zip(reasons["what"], reasons["reason"], strict=True))
    assert reason_of["car"] == "none of 1 conflict images answered so names the shape or the texture"
    assert reason_of["oven"] == "no conflict image was answered so"


def test_only_the_pool_called_people_makes_people():
    builder = TableBuilder()
    builder.add_decisions("conflict", recorded_decisions(CUES[0], observer="net-1"), ["networks=net-*"], "cue_conflict")
    tables = builder.tables()
    assert list(tables["shape_bias"]["model"]) == ["net-1", "networks"]
    assert list(tables["shape_bias_pooled"]["kind"]) == ["decisions", "decisions"]


def test_duplicate_observers_and_two_kinds_on_one_benchmark_are_refused():
    builder = TableBuilder()
    builder.add_network("conflict", predictions(CUES[0]), network())
    with pytest.raises(UserError, match="net_in_seed0"):
        builder.add_decisions("conflict", recorded_decisions(CUES[0], observer="net_in_seed0"), [], "cue_conflict")
    with pytest.raises(UserError, match=r"kind edges.*kind cue_conflict"):
        builder.add_network("conflict", predictions(CUES[0]), network(observer="other", benchmark="edges"))


def test_seeds_of_a_run_are_pooled_and_the_interval_covers_seed_variation():
    pairs = [("cat", "dog"), ("dog", "cat")] * 50

    def answers(shapes: int) -> list[tuple]:
        return [(*pair, pair[0] if i < shapes else pair[1]) for i, pair in enumerate(pairs)]

    tables = tables_of_seeds(answers(20), answers(30), answers(40))
    (row,) = tables["shape_bias_pooled"].to_dict("records")
    assert (row["model"], row["regime"], row["kind"], row["seeds"]) == ("net", "in", "run", 3)
    assert (row["conflict_images"], row["shape_hits"], row["texture_hits"]) == (100, 90, 210)
    assert (row["shape_bias"], row["interval"]) == (0.3, "images and seeds")
    # Student's t with two degrees of freedom: 4.30 × 0.1 / √3 to either side, cut off at 0, and the part of the images.
    assert row["ci_low"] < 0.3 - 0.248 and 0.3 + 0.248 < row["ci_high"] < 0.3 + 0.35
    (single,) = tables_of_seeds(answers(20))["shape_bias_pooled"].to_dict("records")
    assert (single["seeds"], single["interval"]) == (1, "images")
    assert single["ci_low"] == tables_of_seeds(answers(20))["shape_bias"]["ci_low"].iloc[0]
    (equal,) = tables_of_seeds(answers(20), answers(20))["shape_bias_pooled"].to_dict("records")
    assert (equal["ci_low"], equal["ci_high"]) == pytest.approx((single["ci_low"], single["ci_high"]), abs=0.01)


def test_seeds_that_never_name_a_cue_have_an_interval_over_images():
    textures = [("cat", "dog", "dog")] * 30
    (row,) = tables_of_seeds(textures, textures)["shape_bias_pooled"].to_dict("records")
    # No hit on the 30 images that both seeds saw: 1 - 0.025 ** (1 / 30).
    assert (row["ci_low"], row["ci_high"]) == (0, pytest.approx(0.1157, abs=1e-4))
    (row,) = tables_of_seeds(textures, [("cat", "dog", "car")] * 30)["shape_bias_pooled"].to_dict("records")
    assert (row["shape_bias"], row["seeds"], row["interval"]) == (0, 2, "images")
    (row,) = tables_of_seeds([("cat", "dog", "car")])["shape_bias_pooled"].to_dict("records")
    assert math.isnan(row["shape_bias"]) and math.isnan(row["ci_low"])


def test_differences_cover_the_images_that_both_saw():
    builder = TableBuilder()
    builder.add_decisions("c", recorded_decisions(*CUES, observer="a"), [], "cue_conflict")
    others = recorded_decisions(("cat", "dog", "dog"), ("dog", "cat", "dog"), observer="b").assign(
        image=["image1", "other"]
    )
    builder.add_decisions("c", others, [], "cue_conflict")
    builder.add_decisions("c", recorded_decisions(("cat", "dog", "car"), observer="c"), [], "cue_conflict")
    builder.add_decisions(
        "c", recorded_decisions(("car", "cat", "car"), observer="d").assign(image="new"), [], "cue_conflict"
    )
    rows = builder.tables()["shape_bias_differences"].set_index(["observer_1", "observer_2"])
    assert len(rows) == 6
    both = rows.loc[("a", "b")]
    assert (both["conflict_images"], both["shape_bias_1"], both["shape_bias_2"], both["difference"]) == (1, 0, 0, 0)
    assert both["ci_low"] < 0 < both["ci_high"] and both["reason"] == ""
    assert rows.loc[("a", "c"), "reason"] == "no hit of c on the 1 common conflict images"
    assert rows.loc[("a", "d"), "reason"] == "no conflict image that both saw and could answer"
    assert rows.loc[[("a", "c"), ("a", "d")], ["difference", "ci_low", "ci_high"]].isna().all(axis=None)


def test_differences_do_not_depend_on_the_size_of_a_batch(monkeypatch):
    def make_differences() -> pd.DataFrame:
        builder = TableBuilder()
        for name in "abc":
            builder.add_decisions("c", recorded_decisions(*CUES, observer=name), [], "cue_conflict")
        others = recorded_decisions(*CUES, observer="d").assign(image=lambda table: "new" + table["image"])
        builder.add_decisions("c", others, [], "cue_conflict")
        return builder.tables()["shape_bias_differences"]

    together = make_differences()
    monkeypatch.setattr(bias_differences, "ROWS_AT_ONCE", 1)
    pd.testing.assert_frame_equal(make_differences(), together)
    assert len(together) == 6


def test_an_observer_with_the_name_of_all_people_is_refused():
    with pytest.raises(UserError, match=r"benchmark 'c': an observer is called 'people'.*; rename the observer"):
        TableBuilder().add_decisions("c", recorded_decisions(*CUES, observer="people"), [], "cue_conflict")


def test_a_pool_is_not_compared_with_its_own_members():
    builder = TableBuilder()
    people = pd.concat([recorded_decisions(*CUES, observer=name) for name in ("subject-01", "subject-02", "net")])
    builder.add_decisions("c", people, ["people=subject-*", "first=subject-01"], "cue_conflict")
    rows = builder.tables()["shape_bias_differences"]
    pairs = set(zip(rows["observer_1"], rows["observer_2"], strict=True))
    members = {("net", "subject-01"), ("net", "subject-02"), ("subject-01", "subject-02")}
    assert pairs == members | {("net", "people"), ("net", "first"), ("subject-02", "first")}


PAIRS = [("cat", "dog"), ("dog", "cat")] * 50


def shapes(count: int) -> list[tuple]:
    """100 images with this number of shape answers; the remaining answers are the texture."""
    return [(*pair, pair[0] if i < count else pair[1]) for i, pair in enumerate(PAIRS)]


def tables_of_regimes(people: int, **counts: list[int]) -> dict[str, pd.DataFrame]:
    """Regimes of one network with the shape hits of each seed, and one person with her shape hits."""
    builder = TableBuilder()
    for regime, of_seeds in counts.items():
        for seed, count in enumerate(of_seeds):
            facts = {"observer": f"net_{regime}_seed{seed}", "regime": regime, "seed": seed}
            builder.add_network("c", predictions(*shapes(count), observer=facts["observer"]), network(**facts))
    builder.add_decisions("c", recorded_decisions(*shapes(people)), ["people=subject-*"], "cue_conflict")
    return builder.tables()


def test_differences_of_single_seeds_equal_those_of_observers():
    tables = tables_of_regimes(90, a=[60], b=[20])
    pooled = tables["shape_bias_differences_pooled"].set_index(["regime_1", "regime_2"])
    single = tables["shape_bias_differences"].set_index(["observer_1", "observer_2"])
    columns = ["difference", "ci_low", "ci_high", "reason"]
    for group, pair in (
        (("a", "b"), ("net_a_seed0", "net_b_seed0")),
        (("a", ""), ("net_a_seed0", "people")),
        (("b", ""), ("net_b_seed0", "people")),
    ):
        assert pooled.loc[group, columns].tolist() == single.loc[pair, columns].tolist()
        assert (pooled.loc[group, "seeds"], pooled.loc[group, "interval"]) == (1, "images")
    assert len(pooled) == 3 and pooled.loc[("a", ""), "model_2"] == "people"


def test_differences_over_seeds_are_paired_by_seed():
    # Seeds scatter by 0.1 but jointly: each seed differs by 0.4 from the same seed of the second regime.
    rows = tables_of_regimes(90, a=[50, 60, 70], b=[10, 20, 30])["shape_bias_differences_pooled"]
    rows = rows.set_index(["regime_1", "regime_2"])
    paired, apart = rows.loc[("a", "b")], rows.loc[("a", "")]
    assert (paired["difference"], paired["seeds"], paired["interval"]) == (pytest.approx(0.4), 3, "images and seeds")
    single = tables_of_regimes(90, a=[60], b=[20])["shape_bias_differences_pooled"].iloc[0]
    # Equal differences add no seed variance to the image variance, and three seeds reduce the image variance.
    assert single["ci_low"] < paired["ci_low"] < 0.4 < paired["ci_high"] < single["ci_high"]
    # Student's t with two degrees of freedom: 4.30 × 0.1 / √3 to either side, and the part of the images.
    assert apart["difference"] == pytest.approx(-0.3)
    assert apart["ci_low"] < -0.3 - 0.248 and apart["ci_high"] > -0.3 + 0.248


def test_differences_over_seeds_that_never_name_a_cue_combine_both_intervals():
    tables = tables_of_regimes(90, a=[50, 60, 70], b=[0, 0, 0])
    row = tables["shape_bias_differences_pooled"].iloc[0]
    a, b = tables["shape_bias_pooled"].to_dict("records")[:2]
    assert row["difference"] == pytest.approx(0.6)
    assert row["ci_low"] == pytest.approx(0.6 - math.hypot(0.6 - a["ci_low"], b["ci_high"]))
    assert row["ci_high"] == pytest.approx(0.6 + a["ci_high"] - 0.6)


def test_differences_cover_common_seeds_and_undefined_differences_have_a_reason():
    builder = TableBuilder()
    for regime, seed, rows in (("a", 0, shapes(60)), ("a", 1, shapes(50)), ("b", 1, shapes(20)), ("c", 2, shapes(20)),
                               ("d", 1, [(*pair, "car") for pair in PAIRS])):  # fmt: skip
        facts = {"observer": f"net_{regime}_seed{seed}", "regime": regime, "seed": seed}
        builder.add_network("c", predictions(*rows, observer=facts["observer"]), network(**facts))
    rows = builder.tables()["shape_bias_differences_pooled"].set_index(["regime_1", "regime_2"])
    assert (rows.loc[("a", "b"), "difference"], rows.loc[("a", "b"), "seeds"]) == (pytest.approx(0.3), 1)
    assert (rows.loc[("a", "c"), "reason"], rows.loc[("a", "c"), "seeds"]) == ("no seed that both have", 0)
    assert rows.loc[("a", "d"), "reason"] == "not both have a hit on the 100 common conflict images"
    assert rows.loc[[("a", "c"), ("a", "d")], ["difference", "ci_low", "ci_high"]].isna().all(axis=None)


def test_runs_of_different_networks_are_compared_only_with_observers_that_are_not_runs():
    builder = TableBuilder()
    for model in ("net", "other"):
        facts = {"observer": model, "model": model}
        builder.add_network("c", predictions(*shapes(50), observer=model), network(**facts))
    for name in ("first", "second"):  # two sets of published weights of one network
        facts = {"observer": name, "model": "timm", "regime": None, "seed": None}
        builder.add_network("c", predictions(*shapes(50), observer=name), network(**facts))
    rows = builder.tables()["shape_bias_differences_pooled"]
    assert list(zip(rows["model_1"], rows["model_2"], strict=True)) == [
        *[("net", "first"), ("net", "second"), ("other", "first"), ("other", "second"), ("first", "second")]
    ]
    assert rows["seeds"].tolist() == [1, 1, 1, 1, 0]


def test_consistency_over_seeds_has_a_row_for_each_regime():
    rows = tables_of_regimes(90, a=[50, 60], b=[10])["error_consistency_pooled"]
    assert rows[["model", "regime", "seeds"]].to_numpy().tolist() == [["net", "a", 2], ["net", "b", 1]]


def test_an_observer_without_a_hit_and_a_benchmark_without_conflict_have_nan_and_a_reason():
    builder = TableBuilder()
    builder.add_network("a", predictions(("cat", "dog", "car"), ("cat", "dog", None)), network())
    builder.add_network("b", predictions(("cat", "cat", "cat"), ("dog", "dog", "cat")), network())
    tables = builder.tables()
    assert tables["shape_bias"]["conflict_images"].tolist() == [2, 0]
    assert tables["shape_bias"][["shape_bias", "ci_low", "ci_high"]].isna().all(axis=None)
    pooled = tables["undefined"].query("table == 'shape_bias_pooled'").set_index("benchmark")
    assert pooled["what"].tolist() == ["net in", "net in"]
    assert pooled["reason"].tolist()[0] == "none of 2 conflict images' answers names the shape or the texture"
    reasons = tables["undefined"].query("table == 'shape_bias'").set_index("benchmark")["reason"]
    assert reasons["a"] == "none of 2 answers to conflict images names the shape or the texture"
    assert reasons["b"].startswith("no image whose shape and texture differ")
    cues = tables["cue_accuracy"].set_index("benchmark")
    assert (cues.loc["a", "coverage"], cues.loc["a", "reason"]) == (0, "")
    assert math.isnan(cues.loc["b", "coverage"]) and cues.loc["b", "reason"] == reasons["b"]


def test_undefined_accuracy_and_chance_have_a_reason():
    builder = TableBuilder()
    answers, metadata = predictions(("cat", None, "dog"), ("oven", None, "dog")), network(benchmark="edges")
    builder.add_network("few", answers.assign(answerable=False), metadata | {"answers": ["dog", "car"]})
    builder.add_network("strange", answers, metadata | {"class_categories": {"n01": "cat", "n02": "cat"}})
    tables = builder.tables()
    undefined = tables["undefined"].set_index(["table", "benchmark"])
    assert tables["accuracy"].query("benchmark == 'few'")["accuracy"].isna().all()
    assert undefined.loc[("accuracy", "few"), "reason"] == "no image of a category that the observer knows"
    chance = undefined.loc[("top_k", "strange")].to_dict()
    assert chance["reason"] == "how many classes a category has is not known of all"
    assert chance["what"] == "chance of best class of the category, shape, k = 1"
    assert list(undefined.index) == [("accuracy", "few"), ("top_k", "strange")]


def test_a_benchmark_with_the_name_all_is_refused():
    with pytest.raises(UserError, match=r"'all'.*rename it"):
        TableBuilder().add_network("all", predictions(CUES[0]), network())
    with pytest.raises(UserError, match=r"'all'.*rename it"):
        TableBuilder().add_decisions("all", recorded_decisions(CUES[0]), [], "cue_conflict")


def test_the_critical_band_is_measured_from_predictions_and_from_decisions():
    rows = [("cat", None, "cat"), ("cat", None, "dog"), ("oven", None, "cat")]
    builder, conditions = TableBuilder(), ["noise0freq0", "noise0.04freq3", "noise0.04freq3"]
    answers = predictions(*rows).assign(condition=conditions, answerable=[True, True, False])
    builder.add_network("bands", answers, network(benchmark="critical_band", answers=["cat", "dog"]))
    recorded = recorded_decisions(*rows).assign(condition=conditions)
    builder.add_decisions("bands", recorded, ["people=subject-*"], "critical_band")
    tables = builder.tables()
    table = tables["critical_band"].set_index("observer")
    assert table[["images", "images_without_noise", "accuracy", "chance"]].to_numpy().tolist() == [
        [2, 1, 1, 1 / 2],
        [3, 1, 1, 1 / 16],
    ]
    assert table["bandwidth"].isna().all() and table["reason"].str.contains("needs 3 bands").all()
    assert table["model"].to_dict() == {"net_in_seed0": "net", "subject-01": "people"}
    assert tables["accuracy"].empty and tables["benchmarks"].iloc[0]["kind"] == "critical_band"


@pytest.mark.parametrize("kind", ["suppressed", "melanoma"])
def test_decisions_on_kinds_that_they_cannot_measure_are_refused(kind):
    with pytest.raises(UserError, match=f"'dark': nothing can be measured from decisions on images of kind {kind}"):
        TableBuilder().add_decisions("dark", recorded_decisions(CUES[0]), [], kind)


def test_the_origin_of_images_travels_with_the_answers():
    builder = TableBuilder()
    home_made = predictions(*CUES).assign(style="painting.jpg")
    builder.add_network("stylized", home_made, network())
    builder.add_network("plain", predictions(*CUES), network())
    names = sorted(published_conflicts())[:120]
    published = pd.concat([recorded_decisions(*CUES)] * 40, ignore_index=True).assign(image=names)
    builder.add_decisions("original", published, [], "cue_conflict")
    origins = builder.tables()["benchmarks"].set_index("benchmark")["origin"]
    assert origins.to_dict() == {"stylized": "stylized here", "plain": "", "original": "published"}


def test_regimes_of_one_model_and_seed_are_compared_on_the_same_images():
    builder = TableBuilder()
    for regime, seed, answers in (("in", 0, "cat"), ("sin", 0, "dog"), ("sin", 1, "cat")):
        rows = [("cat", None, answers)] * 8
        name = f"net_{regime}_seed{seed}"
        table = predictions(*rows, observer=name).assign(image=[f"image{i}" for i in range(8)])
        builder.add_network("test", table, network(observer=name, regime=regime, seed=seed, benchmark="in_test"))
    (row,) = builder.tables()["accuracy_differences"].to_dict("records")
    assert (row["observer_1"], row["observer_2"], row["difference"]) == ("net_in_seed0", "net_sin_seed0", 1.0)
    assert row["p"] == row["p_adjusted"] == pytest.approx(2 / 2**8)


def test_pairs_with_an_observer_that_guesses_have_a_caution():
    rows = [(category, None, "clock") for category in CATEGORIES]
    builder = TableBuilder()
    builder.add_network("test", predictions(*rows), network(benchmark="in_test"))
    other = [(category, None, category) for category in CATEGORIES]
    builder.add_network("test", predictions(*other, observer="other"), network(observer="other", benchmark="in_test"))
    (pair,) = builder.tables()["error_consistency"].to_dict("records")
    assert pair["caution"] == "net_in_seed0 answers clock to 16 of 16 images"


def test_only_networks_have_reciprocal_ranks():
    rows = build_tables()["cue_accuracy"].set_index("observer")
    # Only cat, dog and car are probable. The shape ranks first once; the categories after the decision are in order.
    assert rows.loc["net_in_seed0", "shape_reciprocal_rank"] > rows.loc["net_in_seed0", "texture_reciprocal_rank"]
    low, high = rows.loc["net_in_seed0", ["shape_reciprocal_rank_low", "shape_reciprocal_rank_high"]]
    assert low < rows.loc["net_in_seed0", "shape_reciprocal_rank"] < high
    assert rows.loc["people", [name for name in rows if "reciprocal" in name]].isna().all()
    assert "no probabilities" in rows.loc["people", "reason"]


def test_answers_hold_every_decision_and_separate_no_answer_from_not_shown():
    builder = TableBuilder()
    builder.add_decisions("c", recorded_decisions(*CUES, observer="a"), ["all=*"], "cue_conflict")
    builder.add_decisions("c", recorded_decisions(("cat", "dog", None), observer="b"), [], "cue_conflict")
    table = builder.tables()["answers.c"]
    assert list(table.columns) == ["image", "shape", "texture", "a", "b"]
    assert table.to_numpy().tolist()[:2] == [
        ["image0", "cat", "dog", "cat", "none"],
        ["image1", "cat", "dog", "dog", ""],
    ]
    builder = TableBuilder()
    builder.add_decisions("c", recorded_decisions(CUES[0], observer="shape"), [], "cue_conflict")
    with pytest.raises(UserError, match="'shape'"):
        builder.tables()


def test_accuracy_of_people_counts_the_images_that_they_answered():
    builder = TableBuilder()
    trials = [("cat", None, "cat"), ("cat", None, "dog"), ("dog", None, "dog"), ("dog", None, None)]
    builder.add_network("edges", predictions(*trials[:3]), network(benchmark="edges", answers=["cat", "dog"]))
    people = pd.concat(
        [recorded_decisions(*trials, observer="subject-01"), recorded_decisions(*trials[:2], observer="subject-02")]
    )
    builder.add_decisions("edges", people, ["people=subject-*"], "edges")
    tables = builder.tables()
    rows = tables["accuracy"].set_index("observer")
    assert list(rows.index) == ["net_in_seed0", "subject-01", "subject-02", "people"]
    assert rows["correct"].tolist() == [2, 2, 1, 3] and rows["images"].tolist() == [3, 4, 2, 6]
    assert rows["chance"].tolist() == [1 / 2, 1 / 16, 1 / 16, 1 / 16]
    assert rows.loc["people", "ci_low"] < 0.5 < rows.loc["people", "ci_high"]
    assert "answers.edges" not in tables and tables["shape_bias"].empty
    compared = tables["accuracy_by_condition"].set_index("observer")
    # On the images that people also saw, each person counts: people were right in three of five trials.
    assert compared.loc["net_in_seed0", "people_accuracy"] == 3 / 5
    assert not np.isnan(tables["human_likeness"].set_index("observer")["accuracy_difference"]["net_in_seed0"]).any()


def test_the_history_of_trainings_is_one_line():
    links = [
        {"regime": "combined", "init": "scratch", "epochs": 45, "images_seen": {"in": 450, "sin": 900}},
        {"regime": "model_c", "init": "combined", "epochs": 60, "images_seen": {"in": 600}},
    ]
    expected = "scratch → combined (45 epochs of in: 450, sin: 900) → model_c (60 epochs of in: 600)"
    assert format_lineage(links) == expected
