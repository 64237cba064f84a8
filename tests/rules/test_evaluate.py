"""Evaluation through the script: conditions, suppressed cues, several benchmarks in one job, and the cache."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import (
    TINY_RESNET,
    colour_shard,
    files_below,
    picture,
    run_process,
    run_script,
    script,
    succeeded,
    tiny_resnet,
)
from safetensors.torch import save_file

from shapebias.errors import UserError
from shapebias.evaluation.cue_suppression import DEFAULT_STRENGTHS, list_conditions
from shapebias.evaluation.decisions import read_raw_predictions
from shapebias.evaluation.observer import measure
from shapebias.images import shards

CONDITIONS = ["c100", "c30", "c01"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Return a folder with a two-class network, a shard of photographs, and stimuli in the toolbox's layout."""
    folder = tmp_path_factory.mktemp("inputs")
    save_file(tiny_resnet().state_dict(), folder / "net.safetensors")
    (folder / "classes.csv").write_text("class,category\ncat,cat\ndog,dog\n")
    colour_shard(folder / "photographs.tar", 4)
    session = folder / "contrast" / "dnn" / "session-2"
    session.mkdir(parents=True)
    for i in range(6):
        category, condition = ("cat", "dog")[i % 2], CONDITIONS[i // 2]
        picture(i, (64, 64)).save(session / f"{i + 1:04d}_cop_dnn_{condition}_{category}_10_n0{i}.png")
    return folder


def flags_of(inputs: Path) -> list[object]:
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--classes", inputs / "classes.csv"]
    return [*network, "--weights", inputs / "net.safetensors", "--device", "cpu"]


def benchmarks(inputs: Path, out: Path, *suppress: object) -> list[object]:
    """Return flags for three benchmarks. The second one suppresses cues in the photographs of the first."""
    shard = inputs / "photographs.tar"
    flags: list[object] = ["--images", shard, "--benchmark", "in_test", "--out", out / "in_test.parquet"]
    flags += ["--images", shard, "--benchmark", "suppressed", "--out", out / "suppressed.parquet", *suppress]
    return [*flags, "--images", inputs / "contrast", "--benchmark", "contrast", "--out", out / "contrast.parquet"]


@pytest.fixture(scope="module")
def predictions(inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made")
    words = ["--suppress", "shape=2,4", "texture=1", "colour=0.5,1"]
    flags = [*flags_of(inputs), *benchmarks(inputs, out, *words), "--workers", 0, "--batch-size", 5]
    for name in ("in_test", "suppressed", "contrast"):
        flags += ["--decisions", out / f"{name}.csv"]
    done = succeeded(run_script("evaluate", *flags))
    assert "suppressed.parquet: 8 images, 0 rejected" in done.stderr
    return out


def test_suppressed_photographs_have_every_condition(predictions):
    table, record = read_raw_predictions(predictions / "suppressed.parquet")
    names = ["none", "shape-2", "shape-4", "texture-1", "colour-0.5", "colour-1"]
    assert record["conditions"] == names
    assert table["condition"].tolist() == names * 8
    assert table["image"].nunique() == 8
    assert table["shape_rank"].isin([1, 2]).all()
    plain, _ = read_raw_predictions(predictions / "in_test.parquet")
    untouched = table[table["condition"] == "none"]
    assert untouched["image"].tolist() == plain["image"].tolist()
    np.testing.assert_allclose(untouched["p_cat"], plain["p_cat"], rtol=1e-5)


def test_conditions_sessions_and_names_of_published_stimuli_are_kept(predictions):
    table, record = read_raw_predictions(predictions / "contrast.parquet")
    assert (record["benchmark"], record["conditions"]) == ("contrast", CONDITIONS)
    assert record["shown"] == {"as they are": 0, "resized": 6}  # from 64 pixels to the network's 224
    assert sorted(table["condition"]) == sorted(CONDITIONS * 2)
    assert table["session"].tolist() == [2] * 6
    assert table["imagename"].str.match(r"000\d_cop_dnn_c\d+_(cat|dog)_10_n0\d\.png").all()
    assert (table["imagename"].str.split("_").str[4] == table["shape"]).all()
    written = pd.read_csv(predictions / "contrast.csv", dtype=str)
    columns = ["session", "condition", "category", "imagename", "object_response"]
    named = table.astype({"session": str})[["session", "condition", "shape", "imagename", "decision"]]
    assert written[columns].to_numpy().tolist() == named.to_numpy().tolist()


def test_suppression_as_json_and_decoding_threads_change_no_byte(inputs, predictions, tmp_path):
    strengths = json.dumps({"colour": [1, 0.5], "shape": [2, 4], "texture": [1]}, sort_keys=True)
    flags = [*flags_of(inputs), *benchmarks(inputs, tmp_path, "--suppress", strengths)]
    succeeded(run_process("evaluate", *flags, "--workers", 3, "--batch-size", 5))
    for name in ("in_test", "suppressed", "contrast"):
        assert (tmp_path / f"{name}.parquet").read_bytes() == (predictions / f"{name}.parquet").read_bytes()


def test_an_image_that_two_benchmarks_show_is_decoded_once(inputs, tmp_path, monkeypatch):
    decoded = []
    decode = shards.load_rgb
    monkeypatch.setattr(shards, "load_rgb", lambda data: decoded.append(data) or decode(data))
    script("evaluate").main([*map(str, flags_of(inputs)), *map(str, benchmarks(inputs, tmp_path))])
    assert len(decoded) == len(set(decoded)) == 8
    assert read_raw_predictions(tmp_path / "suppressed.parquet")[1]["conditions"] == list_conditions(
        DEFAULT_STRENGTHS
    )  # by default


@pytest.mark.parametrize(
    ("suppress", "named"),
    [
        (["--suppress", "shape=2", "--suppress", "shape=4"], "--suppress once"),
        (["--suppress", "shape=2", "color=1"], "'color'.*colour"),
        (["--suppress", '{"shape": [2.5]}'], "shape 2.5"),
        (["--benchmark", "contrasts"], "contrasts.*high-pass"),
        (["--benchmark", "edges"], "equally often"),
        (3 * ["--decisions", "x.csv"], r"x\.csv is named as the file of two results"),
    ],
)
def test_invalid_suppression_is_refused_before_any_file_is_written(inputs, tmp_path, suppress, named):
    flags = [*flags_of(inputs), *benchmarks(inputs, tmp_path / "out", *suppress)]
    with pytest.raises((UserError, SystemExit), match=named):
        script("evaluate").main(list(map(str, flags)))
    assert files_below(tmp_path) == []


def test_unchanged_measurements_come_from_the_cache(inputs, tmp_path, monkeypatch):
    """A new benchmark is measured alone; new weights, images or settings repeat the measurement."""
    evaluate = script("evaluate")
    for name in ("net.safetensors", "photographs.tar"):
        (tmp_path / name).write_bytes((inputs / name).read_bytes())
    network = [
        *flags_of(inputs),
        "--weights",
        tmp_path / "net.safetensors",
        "--reuse",
        tmp_path / "kept",
        "--observer",
        "mine",
    ]

    def run(*kinds, batch=4):
        flags = [*network, "--batch-size", batch]
        for kind in kinds:
            flags += [
                "--images",
                tmp_path / "photographs.tar",
                "--benchmark",
                kind,
                "--out",
                tmp_path / f"{kind}.parquet",
            ]
        kinds_shown = []
        monkeypatch.setattr(evaluate, "measure", lambda *a, **k: kinds_shown.append(a[2]) or measure(*a, **k))
        evaluate.main(list(map(str, flags)))
        return kinds_shown

    assert run("in_test") == ["in_test"]
    first = (tmp_path / "in_test.parquet").read_bytes()
    assert run("in_test") == []
    assert run("in_test", "sin_test") == ["sin_test"]
    assert (tmp_path / "in_test.parquet").read_bytes() == first
    assert run("in_test", "sin_test", batch=2) == ["in_test", "sin_test"]
    colour_shard(tmp_path / "photographs.tar", 3)
    assert run("in_test", batch=2) == ["in_test"]
    save_file(tiny_resnet(seed=1).state_dict(), tmp_path / "net.safetensors")
    assert run("in_test", batch=2) == ["in_test"]
    last = (tmp_path / "in_test.parquet").read_bytes()
    (tmp_path / "in_test.parquet").unlink()
    assert run("in_test", batch=2) == []
    assert (tmp_path / "in_test.parquet").read_bytes() == last != first
    [copy] = [path for path in (tmp_path / "kept").rglob("predictions.parquet") if path.read_bytes() == last]
    copy.write_bytes(last[:1000] + bytes(1000) + last[2000:])  # a damaged copy is no measurement
    assert run("in_test", batch=2) == ["in_test"]
    assert (tmp_path / "in_test.parquet").read_bytes() == copy.read_bytes() == last


def test_networks_share_prepared_images_and_each_has_its_own_answers(inputs, tmp_path, monkeypatch):
    """The first network writes the folder, and the second one decodes nothing. No byte of a result changes."""
    decoded = []
    decode = shards.load_rgb
    monkeypatch.setattr(shards, "load_rgb", lambda data: decoded.append(data) or decode(data))
    save_file(tiny_resnet(seed=1).state_dict(), tmp_path / "second.safetensors")
    shared, counts, answers = ["--shared", tmp_path / "shared"], [], []
    for weights in (inputs / "net.safetensors", tmp_path / "second.safetensors"):
        for name, flags in (("alone", []), ("shared", shared)):
            out = tmp_path / weights.stem / name
            words = [*flags_of(inputs), "--weights", weights, *benchmarks(inputs, out, "--suppress", "shape=2"), *flags]
            decoded.clear()
            script("evaluate").main(list(map(str, words)))
            counts.append(len(decoded))
            answers.append([(out / f"{kind}.parquet").read_bytes() for kind in ("in_test", "suppressed", "contrast")])
    assert counts == [8, 8, 8, 0]
    assert answers[0] == answers[1] != answers[2] == answers[3]


def test_a_stimulus_moved_to_another_category_is_measured_again_although_its_bytes_are_equal(inputs, tmp_path):
    picture(1, (32, 32)).save((tmp_path / "set/cat").mkdir(parents=True) or tmp_path / "set/cat/1.png")
    flags = [*flags_of(inputs), "--images", tmp_path / "set", "--benchmark", "silhouettes"]
    flags += ["--out", tmp_path / "x.parquet", "--reuse", tmp_path / "kept"]
    shapes = []
    for category in ("cat", "dog"):
        if category == "dog":
            (tmp_path / "set/cat").rename(tmp_path / "set/dog")
        script("evaluate").main(list(map(str, flags)))
        shapes += read_raw_predictions(tmp_path / "x.parquet")[0]["shape"].tolist()
    assert shapes == ["cat", "dog"]
