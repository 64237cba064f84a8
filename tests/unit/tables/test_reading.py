"""Tables keep names such as NA when they are written and read back, and people's tables are checked."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers import trials

from shapebias.categories import CATEGORIES
from shapebias.downloads import checksum
from shapebias.errors import UserError
from shapebias.evaluation.decisions import PROBABILITIES, write_predictions
from shapebias.tables.collect import (
    DecisionFiles,
    PredictionFile,
    collect_tables,
    list_csvs,
    read_read_outs,
    write_tables,
)
from shapebias.tables.columns import TABLE_COLUMNS
from shapebias.tables.reading import RECORD_KEYS, read_answers, read_histories, read_people, read_table, read_tables
from shapebias.tables.summaries import observer_kinds, observer_names

SURPRISING_NAMES = ["NA", "NaN", "nan", "null", "NULL", "None", "n/a", "#N/A", "True", "1", "007", "1e5", "inf"]
CUES = [("cat", "dog", "cat"), ("cat", "dog", "dog"), ("car", "dog", "car"), ("dog", "cat", "dog")]


def prediction_file(
    folder: Path, *, observer: str, model: str, regime: str | None, seed: int | None, benchmark: str = "conflict"
) -> PredictionFile:
    """Write a network's predictions on four images."""
    table = trials(*CUES, observer=observer).assign(condition="", session=1, shape_class=None, texture_class=None)
    table = table.assign(predicted_class="n01", shape_rank=1, texture_rank=2).astype(
        {"shape_rank": "Int64", "texture_rank": "Int64"}
    )
    table[PROBABILITIES] = [[float(name == decision) for name in CATEGORIES] for decision in table["decision"]]
    metadata = {"observer": observer, "model": model, "regime": regime, "seed": seed, "benchmark": "cue_conflict"}
    path = folder / benchmark / f"{observer}.parquet"
    write_predictions(path, table, metadata | {"rejected": [], "answers": list(CATEGORIES), "class_names": ["n01"]})
    return PredictionFile(benchmark, path)


@pytest.mark.parametrize("name", SURPRISING_NAMES)
def test_a_model_regime_and_benchmark_keep_their_names(tmp_path, name):
    files = [
        prediction_file(tmp_path, observer="run", model=name, regime=name, seed=0, benchmark=name),
        prediction_file(tmp_path, observer="plain", model=name, regime=None, seed=None, benchmark=name),
    ]
    write_tables(collect_tables(files, [], runs=tmp_path), tmp_path / "t")
    table = read_table(tmp_path / "t", "shape_bias")
    assert table[["benchmark", "model"]].to_numpy().tolist() == [[name, name]] * 2
    assert observer_kinds(table).tolist() == ["run", "pretrained"]
    assert observer_names(table) == {"plain": name, "run": f"{name} {name}"}
    assert read_answers(tmp_path / "t", name).columns.tolist() == ["image", "shape", "texture", "run", "plain"]


@pytest.mark.parametrize("name", SURPRISING_NAMES)
def test_a_person_keeps_her_name(tmp_path, name):
    rows = "\n".join(f"{name},1,1,NaN,cat,cat,0,cat{i}-dog{i}.png" for i in range(3))
    (tmp_path / "d.csv").write_text(f"subj,session,trial,rt,object_response,category,condition,imagename\n{rows}\n")
    decisions = DecisionFiles("cue_conflict", [tmp_path / "d.csv"], [f"people={name}"])
    write_tables(collect_tables([], [decisions], runs=tmp_path), tmp_path / "t")
    table = read_table(tmp_path / "t", "shape_bias")
    assert table["observer"].tolist() == [name, "people"]
    assert observer_kinds(table).tolist() == ["person", "people"]
    assert read_answers(tmp_path / "t", "cue_conflict")[name].tolist() == ["cat"] * 3


def test_all_tables_are_read_as_they_were_made(tmp_path):
    files = [prediction_file(tmp_path, observer="NA", model="null", regime="NaN", seed=0)]
    made = collect_tables(files, [], runs=tmp_path)
    write_tables(made, tmp_path / "t")
    for name, table in read_tables(tmp_path / "t", melanoma=False).items():
        assert table.shape == made[name].shape
        for column in table:
            expected = ["" if value is None or value != value else value for value in made[name][column]]
            assert table[column].astype(object).fillna("").tolist() == expected, (name, column)


@pytest.mark.parametrize("facts", [{"observer": "people"}, {"model": "people"}, {"regime": "people"}, {"regime": ""}])
def test_a_network_with_the_name_of_people_or_none_is_refused(tmp_path, facts):
    file = prediction_file(tmp_path, **{"observer": "a", "model": "b", "regime": "in", "seed": 0} | facts)
    with pytest.raises(UserError, match=f"its {next(iter(facts))} is called {next(iter(facts.values()))!r}"):
        collect_tables([file], [], runs=tmp_path)


def test_regimes_without_a_common_seed_have_a_row_with_the_reason(tmp_path):
    files = [
        prediction_file(tmp_path, observer=f"net_{regime}", model="net", regime=regime, seed=seed)
        for regime, seed in (("in", 0), ("sin", 1))
    ]
    write_tables(collect_tables(files, [], runs=tmp_path), tmp_path / "t")
    (row,) = read_table(tmp_path / "t", "shape_bias_differences_pooled").to_dict("records")
    assert (row["regime_1"], row["regime_2"], row["seeds"], row["reason"]) == ("in", "sin", 0, "no seed that both have")
    assert row["difference"] != row["difference"]


def test_predictions_of_another_network_or_kind_under_a_file_s_name_are_refused(tmp_path):
    """A file may be copied under another name. Its numbers would be given to the wrong network."""
    file = prediction_file(tmp_path, observer="a", model="net", regime="in", seed=0)
    with pytest.raises(UserError, match=r"a\.parquet: predictions of a, not of b; remove the file"):
        collect_tables([replace(file, observer="b")], [], runs=tmp_path)
    with pytest.raises(UserError, match=r"a\.parquet: predictions on images of kind cue_conflict, .* of kind in_test"):
        collect_tables([file], [], runs=tmp_path, kinds={"conflict": "in_test"})


def test_read_outs_are_those_that_the_predictions_record(tmp_path):
    header, row = ",".join(TABLE_COLUMNS["read_out"]), "conflict,{},net,in,0,stem,0.0,8,shape,10,NaN,NaN,NaN,0.5,few"
    paths = {name: tmp_path / f"{name}.csv" for name in "ab"}
    for name, path in paths.items():
        path.write_text("\n".join([header, row.format(name), row.format(name), ""]))
    checksums = {("conflict", name): checksum(path) for name, path in paths.items()}
    assert [len(table) for table in read_read_outs(paths.values(), checksums)] == [2, 2]
    paths["b"].write_text("\n".join([header, row.format("b"), ""]))  # cut between two rows
    with pytest.raises(UserError, match=r"b\.csv: not the table that was written .* remove it"):
        read_read_outs(paths.values(), checksums)
    assert len(read_read_outs([paths["b"]], {})) == 1  # predictions of an earlier version record no checksum
    paths["b"].write_text(f"{header}\n")
    with pytest.raises(UserError, match=r"b\.csv: no read-outs in this file; remove it"):
        read_read_outs([paths["b"]], checksums)
    paths["b"].write_bytes(paths["a"].read_bytes())
    with pytest.raises(UserError, match=r"b\.csv: read-outs of a on conflict, as in .*a\.csv; remove"):
        read_read_outs(paths.values(), checksums)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_history_is_the_one_that_its_run_records(tmp_path, recorded):
    folder = tmp_path / "net/in/seed0"
    folder.mkdir(parents=True)
    history = folder / "history.csv"
    history.write_text("epoch,train_accuracy,val_accuracy\n1,0.5,0.5\n2,0.75,0.5\n")
    record = dict.fromkeys(RECORD_KEYS, 1) | ({"history_sha256": checksum(history)} if recorded else {})
    (folder / "run.json").write_text(json.dumps(record))
    runs = pd.DataFrame([{"model": "net", "regime": "in", "seed": 0}])
    assert read_histories(tmp_path, runs)["train_accuracy"].tolist() == [0.5, 0.75]
    history.write_text("epoch,train_accuracy,val_accuracy\n1,0.5,0.5\n")
    if not recorded:  # by an earlier version
        assert len(read_histories(tmp_path, runs)) == 1
        return
    with pytest.raises(UserError, match=r"history\.csv: not the history that .*run\.json describes; remove both"):
        read_histories(tmp_path, runs)


@pytest.mark.parametrize("text", ["benchmark,kind\nx\n", "benchmark\n", "", "benchmark,benchmark\n", '"'])
def test_a_damaged_table_is_refused_by_name(tmp_path, text):
    (tmp_path / "benchmarks.csv").write_text(text)
    with pytest.raises(UserError, match=r"benchmarks\.csv"):
        read_table(tmp_path, "benchmarks")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cat,10,4,3\ncat,10,4,3\n", "line 3: category 'cat' is named twice"),
        ("kat,10,4,3\n", "line 2: 'kat' is not one of the 16"),
        ("cat,10,4.5,3\n", "line 2: shape_hits '4.5' is not a whole number"),
        ("cat,10,-4,3\n", "line 2: shape_hits '-4'"),
        ("cat,10,,3\n", "line 2: shape_hits ''"),
        ("cat,10,4,7\n", "line 2: shape_hits and texture_hits together exceed"),
        ("cat,1,0,4,3\n", "line 2: 5 values"),
    ],
)
def test_a_table_of_people_that_could_be_misread_is_refused_with_its_line(tmp_path, text, reason):
    (tmp_path / "people.csv").write_text(f"category,conflict_images,shape_hits,texture_hits\n{text}")
    with pytest.raises(UserError) as refusal:
        read_people(tmp_path / "people.csv")
    assert reason in str(refusal.value)


def test_a_table_of_answers_without_its_columns_is_refused(tmp_path):
    (tmp_path / "answers.conflict.csv").write_text("image,shape,net\na,cat,dog\n")
    with pytest.raises(
        UserError, match=r"answers\.conflict\.csv: column 'texture' is missing; expected image,shape,tex"
    ):
        read_answers(tmp_path, "conflict")


def test_a_folder_without_decisions_is_refused(tmp_path):
    (tmp_path / "b.csv").touch()
    (tmp_path / "a.csv").touch()
    assert list_csvs([tmp_path]) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no CSV of decisions in this folder"):
        list_csvs([tmp_path / "empty"])
