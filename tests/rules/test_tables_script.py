"""Tables through the script: from published decisions, from a folder of predictions, and from bad files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import files_below, refused, run_process, run_script, succeeded

from shapebias.categories import CATEGORIES
from shapebias.evaluation.decisions import CSV_COLUMNS, PROBABILITIES, read_raw_predictions, write_predictions
from shapebias.evaluation.stimulus_names import published_conflicts
from shapebias.tables.columns import TABLE_COLUMNS as TABLES
from shapebias.tables.reading import FILE_COLUMNS, read_table

ALWAYS = sorted([f"{name}.csv" for name in TABLES] + ["rejected.csv", "runs.csv", "contents.sha256"])


def csv_of(path: Path, *rows: tuple[str, str, str, str], columns: list[str] = CSV_COLUMNS) -> Path:
    """Write decisions in the toolbox's format; rows: observer, answer, category, image name."""
    table = pd.DataFrame(rows, columns=["subj", "object_response", "category", "imagename"])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.assign(session=1, trial=range(1, len(table) + 1), rt="NaN", condition=0)[columns].to_csv(path, index=False)
    return path


def parquet_of(path: Path, rows: list[tuple[str, ...]], **facts) -> None:
    """Write predictions of a network; rows: image, shape, texture, decision."""
    table = pd.DataFrame(rows, columns=["image", "shape", "texture", "decision"])
    table = table.assign(observer=path.stem, condition="", session=1, predicted_class="n01", imagename=None)
    table = table.assign(shape_class=None, texture_class=None, content=None, shape_rank=1, texture_rank=2)
    table[PROBABILITIES] = [[float(name == decision) for name in CATEGORIES] for decision in table["decision"]]
    metadata: dict[str, Any] = {
        "observer": path.stem,
        "model": path.stem,
        "regime": None,
        "seed": None,
        "benchmark": "cue_conflict",
    }
    metadata |= {"answers": list(CATEGORIES), "class_names": ["n01", "n02"], "rejected": []}
    write_predictions(path, table, metadata | facts)


def tables_of(folder: Path, out: Path, *flags: object, run=run_script) -> Path:
    succeeded(run("tables", "--predictions", folder, *flags, "--out", out))
    return out


CONFLICTS = [("cat1-dog1", "cat", "dog"), ("dog2-cat2", "dog", "cat"), ("car3-oven3", "car", "oven")]


@pytest.fixture(scope="module")
def published(shared_data, tmp_path_factory) -> Path:
    """Return the tables of the published decisions."""
    return tables_of(shared_data / "observers", tmp_path_factory.mktemp("published") / "tables")


def test_published_decisions_give_every_table_to_the_last_digit(published):
    assert files_below(published) == sorted([*ALWAYS, "answers.observers.csv"])
    bias = read_table(published, "shape_bias").set_index("observer")
    for name, shape, texture in (
        *(("alexnet", 283, 376), ("googlenet", 228, 503), ("vgg", 130, 625), ("resnet50", 162, 572)),
        ("people", 9236, 398),
    ):
        row = bias.loc[name]
        assert (row["shape_hits"], row["texture_hits"]) == (shape, texture)
        assert row["shape_bias"] == shape / (shape + texture)
        assert row["ci_low"] < row["shape_bias"] < row["ci_high"]
    assert len(bias) == 15 and (bias["model"] == "people").sum() == 11
    pooled = read_table(published, "shape_bias_pooled").set_index("model")
    assert pooled["kind"].to_dict() == dict.fromkeys(["alexnet", "googlenet", "resnet50", "vgg"], "decisions") | {
        "people": "people"
    }
    # All pairs except the pool with its ten members; and, pooled, all pairs of four networks and people.
    assert len(read_table(published, "shape_bias_differences")) == 15 * 14 / 2 - 10
    assert len(read_table(published, "shape_bias_differences_pooled")) == 5 * 4 / 2
    assert len(pd.read_csv(published / "answers.observers.csv")) == 1280


def test_tables_can_be_read_back_and_empty_ones_have_their_header(published):
    for name in [*TABLES, "runs", "rejected"]:
        assert list(read_table(published, name).columns) == FILE_COLUMNS[name]
    assert read_table(published, "reliance").empty


def test_equal_answers_in_any_order_of_rows_and_columns_give_equal_bytes(tmp_path):
    rows = [(observer, cue, shape, f"000{i}_x_{observer}_0_{shape}_00_{image}.png") for i, (image, shape, cue) in
            enumerate(CONFLICTS) for observer in ("subject-01", "net")]  # fmt: skip
    csv_of(tmp_path / "one" / "conflict" / "a.csv", *rows)
    csv_of(tmp_path / "two" / "conflict" / "b.csv", *rows[::-1], columns=sorted(CSV_COLUMNS))
    runs = {"one": run_script, "two": run_process}
    folders = [tables_of(tmp_path / name, tmp_path / "tables" / name, run=run) for name, run in runs.items()]
    for name in files_below(folders[0]):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_a_folder_of_networks_and_people_needs_no_further_options(tmp_path):
    folder = tmp_path / "predictions"
    answers = [(image, shape, texture, shape) for image, shape, texture in CONFLICTS]
    parquet_of(folder / "conflict" / "net.parquet", [(f"some/{image}", *rest) for image, *rest in answers])
    csv_of(
        folder / "conflict" / "net.csv", ("net", "cat", "cat", "0001_x_cat1-dog1.png")
    )  # an answer that the parquet file has too
    images = [f"0001_x_s01_0_{shape}_00_{image}.png" for image, shape, _ in CONFLICTS]
    csv_of(
        folder / "conflict" / "people.csv",
        *(("subject-01", "na", shape, image) for image, (_, shape, _) in zip(images, CONFLICTS, strict=True)),
        ("subject-01", "bear", "bear", "0004_x_s01_0_bear_00_bear1-bird1.png"),  # an image that the network did not see
    )
    csv_of(folder / "edges" / "people.csv", ("subject-01", "cat", "cat", "cat7.png"))
    out = tables_of(folder, tmp_path / "tables")
    bias = read_table(out, "shape_bias").set_index("observer")
    assert bias["conflict_images"].to_dict() == {"net": 3, "subject-01": 3, "people": 3}
    assert bias["shape_hits"].to_dict() == {"net": 3, "subject-01": 0, "people": 0}
    assert np.isnan(bias.loc["people", "shape_bias"])
    undefined = read_table(out, "undefined").query("table == 'shape_bias'")
    assert set(undefined["observer"]) == {"subject-01", "people"}
    accuracy = read_table(out, "accuracy")
    assert accuracy[["benchmark", "observer", "correct"]].to_numpy().tolist() == [
        ["edges", "subject-01", 1],
        ["edges", "people", 1],
    ]
    assert (out / "answers.conflict.csv").exists() and not (out / "answers.edges.csv").exists()


NOISE = [
    (observer, "cat", "cat", f"0001_noise_{observer}_0.1_cat_10_n0{i}.png")
    for i in (1, 2)
    for observer in ("a", "subject-1")
]


def noise_of(path: Path) -> Path:
    """Write decisions on photographs with uniform noise."""
    table = pd.read_csv(csv_of(path, *NOISE))
    table.assign(condition=0.1).to_csv(path, index=False)
    return path


def test_a_study_of_decisions_only_must_give_the_kind_of_its_benchmark(tmp_path):
    path = noise_of(tmp_path / "answers.csv")
    benchmark_flags = [
        "--benchmarks",
        "noise",
        "--kinds",
        "conflict=cue_conflict",
        "noise=uniform-noise",
        "--observers",
    ]
    flags = ["--decisions", f"noise={path}", "people=subject-*"]
    rows = read_table(tables_of(tmp_path, tmp_path / "tables", *benchmark_flags, *flags), "accuracy_by_condition")
    assert rows[["observer", "condition", "correct"]].to_numpy().tolist() == [
        ["a", "0.1", 2],
        ["subject-1", "0.1", 2],
    ]
    without = run_script("tables", "--predictions", tmp_path, *flags, "--out", tmp_path / "other")
    refused(without, "answers.csv", "'noise'", "unknown kind")
    wrong = run_script("tables", "--predictions", tmp_path, "--kinds", "noise=loud", *flags, "--out", tmp_path)
    refused(wrong, "'noise=loud'", "uniform-noise")


def test_a_given_kind_overrides_the_name_of_a_benchmark(tmp_path):
    path = noise_of(tmp_path / "answers.csv")
    flags = ["--decisions", f"edges={path}", "--kinds", "edges=uniform-noise"]
    out = tables_of(tmp_path, tmp_path / "tables", *flags)
    assert set(read_table(out, "accuracy_by_condition")["condition"]) == {"0.1"}


def test_decisions_on_kinds_that_they_cannot_measure_are_left_out_or_refused(tmp_path):
    folder, out = tmp_path / "p", tmp_path / "tables"
    for kind in ("suppressed", "melanoma"):
        csv_of(folder / kind / "x.csv", ("a", "cat", "cat", "cat7.png"))
    refused(run_script("tables", "--predictions", folder, "--out", out), str(folder), "nothing is measured")
    path = folder / "suppressed"
    refused(
        run_script("tables", "--predictions", folder, "--decisions", f"suppressed={path}", "--out", out),
        *("'suppressed'", "nothing can be measured"),
    )
    csv_of(folder / "edges" / "x.csv", ("a", "cat", "cat", "cat7.png"))
    log = succeeded(run_script("tables", "--predictions", folder, "--out", out)).stderr
    assert "suppressed/x.csv is left out" in log and "melanoma/x.csv is left out" in log
    assert set(read_table(out, "accuracy")["benchmark"]) == {"edges"}


@pytest.mark.parametrize(
    ("facts", "rows", "named"),
    [
        ({"benchmark": "smell"}, 1, ("'smell'", "cue_conflict")),
        ({"lost": "class_names"}, 1, ("metadata", "class_names")),
        ({"lost": "regime"}, 1, ("metadata", "regime")),
        ({}, 0, ("no predictions",)),
    ],
    ids=["unknown kind", "no classes", "no regime", "no rows"],
)
def test_predictions_with_too_little_metadata_are_refused_by_name(tmp_path, facts, rows, named):
    path = tmp_path / "p" / "conflict" / "net.parquet"
    parquet_of(path, [("cat1-dog1", "cat", "dog", "cat")], **facts)
    table, metadata = read_raw_predictions(path)
    metadata.pop(facts.get("lost"), None)
    write_predictions(path, table.head(rows), metadata)
    refused(run_script("tables", "--predictions", tmp_path / "p", "--out", tmp_path / "t"), str(path), *named)


@pytest.mark.parametrize("column", ["shape_class", "texture_class", "predicted_class", "p_cat"])
def test_predictions_of_an_earlier_version_are_refused_by_name(tmp_path, column):
    path = tmp_path / "p" / "conflict" / "net.parquet"
    parquet_of(path, [("cat1-dog1", "cat", "dog", "cat")])
    table, metadata = read_raw_predictions(path)
    write_predictions(path, table.drop(columns=column), metadata)
    done = run_script("tables", "--predictions", tmp_path / "p", "--out", tmp_path / "t")
    refused(done, str(path), f"without the column '{column}'", "remove the file")


def test_runs_outside_the_study_are_left_out_with_a_warning(tmp_path):
    facts = {"model": "net", "regime": "in", "seed": 0}
    parquet_of(tmp_path / "p" / "conflict" / "net_in_seed0.parquet", [("a", "cat", "dog", "cat")], **facts)
    flags = ["--predictions", tmp_path / "p", "--runs", tmp_path / "runs", "--out", tmp_path / "tables"]
    assert "1 runs are left out" in succeeded(run_script("tables", *flags)).stderr
    assert read_table(tmp_path / "tables", "runs").empty


def test_read_outs_of_all_observers_become_one_table(tmp_path):
    csv_of(tmp_path / "p" / "conflict" / "x.csv", ("net", "cat", "cat", "0001_x_cat1-dog1.png"))
    header = ",".join(TABLES["read_out"])
    for name, seed in (("a", ""), ("b", "3")):
        row = f"conflict,{name},{name},,{seed},stem,0.0,8,shape,10,NaN,NaN,NaN,0.5,too few images"
        (tmp_path / f"{name}.csv").write_text(f"{header}\n{row}\n")
    out = tables_of(tmp_path / "p", tmp_path / "tables", "--read-out", tmp_path / "a.csv", tmp_path / "b.csv")
    lines = [line for name in "ab" for line in (tmp_path / f"{name}.csv").read_text().splitlines()[1:]]
    assert (out / "read_out.csv").read_text().splitlines() == [header, *lines]
    (tmp_path / "a.csv").write_text("stage\n")
    flags = ["--predictions", tmp_path / "p", "--read-out", tmp_path / "a.csv", "--out", tmp_path / "other"]
    refused(run_script("tables", *flags), "a.csv", "benchmark")


GOOD = ("net", "cat", "cat", "0001_x_cat1-dog1.png")


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([("net", "zebra", "cat", "0001_x_cat1-dog1.png")], ("x.csv", "zebra", "airplane")),
        ([("net", "cat", "zebra", "0001_x_cat1-dog1.png")], ("x.csv", "zebra", "airplane")),
        ([GOOD, GOOD], ("net", "cat1-dog1", "twice")),
        ([GOOD, ("net", "cat", "dog", "0001_x_cat1-bird1.png")], ("x.csv", "cat1-bird1", "category dog")),
        ([GOOD, ("", "cat", "cat", "0001_x_cat1-bird1.png")], ("x.csv", "no subj", "cat1-bird1")),
        ([("net", "cat", "cat", "0001_photo.png")], ("x.csv", "0001_photo.png", "cue_conflict")),
    ],
    ids=["unknown answer", "unknown category", "doubled trial", "other label", "nobody", "unknown kind"],
)
def test_bad_decisions_are_refused_by_name_and_no_table_is_written(tmp_path, rows, named):
    csv_of(tmp_path / "p" / "conflict" / "x.csv", *rows)
    refused(run_script("tables", "--predictions", tmp_path / "p", "--out", tmp_path / "tables"), *named)
    assert files_below(tmp_path) == ["p/conflict/x.csv"]


def test_folders_without_answers_empty_pools_and_different_images_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    out = ["--out", tmp_path / "tables"]
    refused(run_script("tables", "--predictions", tmp_path / "empty", *out), "empty", ".parquet")
    refused(run_script("tables", "--predictions", tmp_path / "nowhere", *out), "nowhere")
    path = csv_of(tmp_path / "x.csv", GOOD)
    decisions = ["--predictions", tmp_path, "--decisions", f"conflict={path}"]
    refused(run_script("tables", *decisions, "people=subject-*", *out), "people=subject-*", "net")
    refused(run_script("tables", *decisions, "people", *out), "'people' is not NAME=VALUE")
    parquet_of(tmp_path / "conflict" / "other.parquet", [("dog1-cat1", "dog", "cat", "cat")])
    network = ["--benchmarks", "conflict", "--observers", "other"]
    refused(run_script("tables", *decisions, *network, *out), "x.csv", "no decision is about an image")


def test_predictions_and_decisions_of_a_network_in_one_folder_are_one_benchmark(tmp_path):
    """The files are those of `evaluate.py --out mine.parquet --decisions mine.csv` and a colleague's decisions."""
    folder = tmp_path / "conflicts"
    parquet_of(folder / "mine.parquet", [(image, shape, texture, shape) for image, shape, texture in CONFLICTS])
    csv_of(folder / "mine.csv", ("mine", "cat", "cat", "0001_x_cat1-dog1.png"))
    images = [f"0001_x_s01_0_{shape}_00_{image}.png" for image, shape, _ in CONFLICTS]
    rows = zip(images, CONFLICTS, strict=True)
    csv_of(folder / "theirs.csv", *(("theirs", texture, shape, image) for image, (_, shape, texture) in rows))
    bias = read_table(tables_of(folder, tmp_path / "tables"), "shape_bias")
    assert bias[["benchmark", "observer", "shape_bias"]].to_numpy().tolist() == [
        ["conflicts", "mine", 1.0],
        ["conflicts", "theirs", 0.0],
    ]


def test_predictions_on_several_kinds_of_images_in_one_folder_are_several_benchmarks(tmp_path):
    parquet_of(tmp_path / "p/a.parquet", [(image, shape, texture, shape) for image, shape, texture in CONFLICTS])
    parquet_of(tmp_path / "p/b.parquet", [("cat7", "cat", "cat", "cat")], benchmark="edges")
    tables = tables_of(tmp_path / "p", tmp_path / "tables")
    assert set(read_table(tables, "shape_bias")["benchmark"]) == {"cue_conflict"}
    assert set(read_table(tables, "accuracy")["benchmark"]) == {"edges"}


def test_a_network_stands_in_the_atlas_if_it_answered_the_published_stimuli(shared_data, tmp_path):
    names = sorted(published_conflicts())[:150]
    answers: list[tuple[str, ...]] = []
    for name in names:
        shape, texture = re.findall(r"[a-z]+", name)
        answers.append((f"some/{name}", shape, texture, shape))
    parquet_of(tmp_path / "p" / "stimuli" / "shapely.parquet", answers)
    sources = ["--published", f"geirhos2019={shared_data / 'observers'}"]
    folder = tables_of(tmp_path / "p", tmp_path / "tables", *sources)
    atlas = read_table(folder, "atlas")
    assert tuple(atlas.iloc[0][["group", "observer", "shape_bias"]]) == ("this study", "shapely", 1)
    assert len(read_table(folder, "atlas_differences")) == 15  # ten people, all of them together, four networks
    alone = tmp_path / "alone"
    succeeded(run_script("tables", *sources, "--out", alone))
    assert len(read_table(alone, "atlas")) == 15 and read_table(alone, "shape_bias").empty


def test_the_atlas_needs_a_source_given_once(tmp_path):
    refused(run_script("tables", "--out", tmp_path), "give --predictions, --published or both")
    twice = ["--published", f"a={tmp_path}", f"a={tmp_path}", "--out", tmp_path]
    refused(run_script("tables", *twice), "a: given twice")


def test_answers_of_somebody_else_are_an_image_and_a_label(tmp_path):
    file = tmp_path / "answers/cue_conflict/somebody.csv"
    file.parent.mkdir(parents=True)
    file.write_text("image,pred_label\ncat1-dog1.png,cat\ndog1-cat2.png,cat\ncat2-dog2.png,dog\ndog2-cat1.png,none\n")
    succeeded(run_script("tables", "--predictions", tmp_path / "answers", "--out", tmp_path / "tables"))
    [row] = pd.read_csv(tmp_path / "tables/shape_bias.csv").to_dict("records")
    assert (row["observer"], row["conflict_images"], row["shape_hits"], row["texture_hits"]) == ("somebody", 4, 1, 2)
