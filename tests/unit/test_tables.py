"""Tables are counted from decisions; who answered is written as it is."""

import math

import pytest
from helpers import trials

from shapebias.errors import UserError
from shapebias.tables import COLUMNS, Measured, lineage

RUN = {"observer": "net_in_seed0", "model": "net", "regime": "in", "seed": 0, "benchmark": "cue_conflict"}


def measured():
    found = Measured()
    rows = trials(("cat", "dog", "cat"), ("cat", "dog", "dog"), ("cat", "dog", "car"))
    found.add_network("conflict", rows, RUN)
    found.add_decisions("conflict", rows.assign(observer="subject-01"), {"people": "subject-*"})
    return found.tables()


def test_a_seed_stays_a_whole_number_beside_observers_without_one(tmp_path):
    measured()["shape_bias"].to_csv(tmp_path / "x.csv", index=False)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS["shape_bias"])
    assert lines[1].startswith("conflict,net_in_seed0,net,in,0,3,1,1,0.5,")
    assert lines[2].startswith("conflict,subject-01,people,,,3,1,1,0.5,")
    assert lines[3].startswith("conflict,people,people,,,3,1,1,0.5,")


def test_categories_without_images_have_rows_with_an_undefined_bias():
    table = measured()["shape_bias_by_category"].query("observer == 'people'").set_index("category")
    assert len(table) == 16
    assert table.loc["cat", "shape_bias"] == 0.5
    assert table.loc["oven", "conflict_images"] == 0
    assert math.isnan(table.loc["oven", "shape_bias"])


def test_only_the_pool_called_people_makes_people():
    found = Measured()
    rows = trials(("cat", "dog", "cat"), observer="net-1")
    found.add_decisions("conflict", rows, {"networks": "net-*"})
    assert list(found.tables()["shape_bias"]["model"]) == ["net-1", "networks"]


def test_two_observers_of_one_name_on_one_benchmark_are_refused():
    found = Measured()
    found.add_network("conflict", trials(("cat", "dog", "cat")), RUN)
    with pytest.raises(UserError, match="net_in_seed0"):
        found.add_decisions("conflict", trials(("cat", "dog", "cat"), observer="net_in_seed0"), {})


def test_the_chain_of_trainings_is_told_in_one_line():
    links = [
        {"regime": "combined", "init": "scratch", "epochs": 45, "images_seen": {"in": 450, "sin": 900}},
        {"regime": "model_c", "init": "combined", "epochs": 60, "images_seen": {"in": 600}},
    ]
    expected = "scratch → combined (45 epochs of in: 450, sin: 900) → model_c (60 epochs of in: 600)"
    assert lineage(links) == expected
