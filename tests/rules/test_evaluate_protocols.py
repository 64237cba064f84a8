"""Decisions under all protocols, from evaluation to tables, through the scripts."""

import json

import pandas as pd
import pytest
from helpers import TINY_RESNET, files_below, picture, refused, run_script, succeeded, tiny_resnet
from safetensors.torch import save_file

from shapebias.evaluation.decisions import read_raw_predictions

PAIRS = [("cat", "dog"), ("dog", "cat"), ("cat", "cat")]
CLASSES = "class,category\npug,dog\nbeagle,dog\ntabby,cat\npizza,\n"


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """Return a folder of stimuli with published names; a third have no conflict."""
    folder = tmp_path_factory.mktemp("stimuli")
    names = [f"{shape}{i}-{texture}{j}" for shape, texture in PAIRS for i in (1, 2, 3) for j in (1, 2)]
    for k, name in enumerate(names):
        target = folder / name[:3] / f"{name}.png"
        target.parent.mkdir(exist_ok=True)
        picture(k, (64, 64)).save(target)
    return folder


@pytest.fixture(scope="module")
def answered(stimuli, tmp_path_factory):
    """Return a folder with the answers of two untrained networks to the benchmark `published`."""
    root = tmp_path_factory.mktemp("networks")
    folder = root / "answers" / "published"
    (root / "classes.csv").write_text(CLASSES)
    for seed, name in enumerate(("first", "second")):
        save_file(dict(tiny_resnet(4, seed).state_dict()), root / f"{name}.safetensors")
        done = evaluate(root, folder, stimuli, name)
        assert f"{name}: shape bias 0." in succeeded(done).stdout and "protocols\n" in done.stdout
    return folder


def evaluate(root, folder, stimuli, name, protocols=None, benchmark="cue_conflict"):
    weights, classes = root / f"{name}.safetensors", root / "classes.csv"
    network = [
        "--timm",
        "resnet10t",
        "--kwargs",
        json.dumps(TINY_RESNET),
        "--weights",
        weights,
        "--classes",
        classes,
        "--device",
        "cpu",
    ]
    flags = ["--images", stimuli, "--benchmark", benchmark, "--out", folder / f"{name}.parquet"]
    flags += ["--protocols", protocols or folder / f"{name}.protocols.parquet"]
    return run_script("evaluate", *network, *flags, "--reuse", root / "reuse")


def test_tables_hold_each_distinct_protocol_of_each_network(answered, tmp_path):
    succeeded(run_script("tables", "--predictions", answered.parent, "--out", tmp_path))
    protocols, pairs = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("protocols", "protocol_pairs"))
    _, facts = read_raw_predictions(answered / "first.protocols.parquet")
    decisions = {row["column"] for row in facts["protocols"]}
    rows = protocols[protocols["observer"] == "first"]
    assert len(rows) == 2 * len(decisions) and set(rows["benchmark"]) == {"published"}
    assert list(rows["stimuli"].value_counts()) == [len(decisions)] * 2
    assert set(rows["images"]) == {12, 18}
    assert rows["combinations"].sum() == 2 * 8 * 11
    bias = pd.read_csv(tmp_path / "shape_bias.csv").set_index("observer")
    [reference] = rows[rows["presets"].fillna("").str.contains("geirhos2019")].to_dict("records")
    for column in ("shape_hits", "texture_hits", "shape_bias", "ci_low", "ci_high"):
        assert reference[column] == bias.loc["first", column]
    [pair] = pairs.to_dict("records")
    assert (pair["observer_1"], pair["observer_2"]) == ("first", "second")
    assert pair["higher"] + pair["lower"] + pair["unclear"] == pair["protocols"] >= len(rows)
    [difference] = pd.read_csv(tmp_path / "shape_bias_differences.csv").to_dict("records")
    assert [pair[key] for key in ("difference", "ci_low", "ci_high")] == [
        difference[key] for key in ("difference", "ci_low", "ci_high")
    ]


def test_files_given_by_name_give_the_same_tables(answered, tmp_path):
    succeeded(run_script("tables", "--predictions", answered.parent, "--out", tmp_path / "found"))
    flags = ["--benchmarks", "published", "--observers", "first", "second"]
    files = sorted(answered.glob("*.protocols.parquet"))
    flags += ["--protocols", *files, "--out", tmp_path / "named"]
    succeeded(run_script("tables", "--predictions", answered.parent, *flags))
    for name in ("protocols.csv", "protocol_pairs.csv"):
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "named" / name).read_bytes()


def test_an_earlier_measurement_is_reused(answered, stimuli, tmp_path):
    target = answered / "first.protocols.parquet"
    before = target.read_bytes()
    target.unlink()
    assert "reused" in succeeded(evaluate(answered.parent.parent, answered, stimuli, "first")).stderr
    assert target.read_bytes() == before


def test_unusable_flags_and_files_are_refused(answered, stimuli, tmp_path):
    folder = tmp_path / "out" / "published"
    given = answered.parent.parent, folder, stimuli, "first"
    refused(evaluate(*given, protocols=folder / "x.csv"), "--protocols", "protocols.parquet")
    refused(evaluate(*given, benchmark="silhouettes"), "--protocols once for each benchmark")
    broken = tmp_path / "published" / "x.protocols.parquet"
    broken.parent.mkdir()
    broken.write_bytes((answered / "first.parquet").read_bytes())
    flags = ["--predictions", answered.parent, "--protocols", broken, "--out", folder]
    refused(run_script("tables", *flags), "x.protocols.parquet", "protocols")
    assert not folder.exists() or files_below(folder) == []
