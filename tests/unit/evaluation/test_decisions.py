"""Decisions are read from and written to parquet and the CSV of model-vs-human; invalid files are refused."""

from pathlib import Path

import pandas as pd
import pytest
from helpers import trials

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.decisions import (
    CSV_COLUMNS,
    read_decisions,
    read_label_predictions,
    read_observers,
    read_predictions,
    write_decisions,
    write_predictions,
)
from shapebias.metrics.panel import pair_trials

HEADER = "subj,session,trial,rt,object_response,category,condition,imagename"
ROW = "net,1,1,NaN,bird,cat,0,0001_s5n_dnn_0_cat_00_cat1-bird1.png"


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "decisions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def predictions(*rows: tuple) -> pd.DataFrame:
    """Rows as evaluate.py writes them, for conflict images whose names hold no cues."""
    table = trials(*rows, observer="net")
    return table.assign(
        image=[f"test/x/{i:05d}" for i in range(len(rows))], content=[f"{i:05d}.jpg" for i in range(len(rows))]
    )


def test_published_names_hold_both_cues(tmp_path):
    (row,) = read_decisions(csv(tmp_path, HEADER, ROW)).to_dict("records")
    metadata = {"observer": "net", "image": "cat1-bird1", "shape": "cat", "texture": "bird", "decision": "bird"}
    assert row == metadata | {"condition": "", "session": 1}


def test_order_of_columns_does_not_matter(tmp_path):
    table = pd.read_csv(csv(tmp_path, HEADER, ROW))
    backwards = tmp_path / "backwards.csv"
    table[table.columns[::-1]].to_csv(backwards, index=False)
    pd.testing.assert_frame_equal(read_decisions(backwards), read_decisions(tmp_path / "decisions.csv"))


@pytest.mark.parametrize("response", ["na", "NA", "NaN", ""])
def test_a_trial_without_a_response_keeps_its_row(tmp_path, response):
    table = read_decisions(csv(tmp_path, HEADER, ROW.replace("bird,cat", f"{response},cat")))
    assert table["decision"].isna().all()
    assert pair_trials(table).conflict.sum() == 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((HEADER, ROW.replace("net,1,", "net,one,")), ["session 'one'", "whole number"]),
        ((HEADER, ROW.replace(",cat,0,", ",dog,0,")), ["0001_s5n_dnn_0_cat_00", "category cat", "says dog"]),
        (
            (HEADER, ROW.replace(",cat,0,", ",dog,0,").replace("_cat_", "_dog_")),
            ["cat1-bird1.png has the shape cat", "dog"],
        ),
        ((HEADER, "net,1,1,NaN,bird,dog,0,cat1-bird1.png"), ["cat1-bird1.png has the shape cat", "category dog"]),
        ((HEADER, ROW, ROW.replace("net,", ",").replace("1.png", "2.png")), ["no subj", "cat1-bird2.png"]),
        ((HEADER, ROW.replace("NaN,bird", "NaN,brid")), ["object_response", "'brid'", "airplane, bear"]),
        ((HEADER, ROW.replace("bird,cat,", "bird,kat,")), ["category", "'kat'", "airplane, bear"]),
        ((HEADER, ROW.replace("cat1-bird1", "cat1-brid1")), ["imagename", "'brid'"]),
        ((HEADER, ROW.replace("cat1-bird1", "photo")), ["photo.png", "<shape><i>-<texture><j>.png"]),
        ((HEADER.replace("object_response", "response"), ROW), ["object_response", HEADER]),
        ((), ["decisions.csv", "the file is empty", HEADER]),
        ((HEADER,), ["decisions.csv", "no trials; expected a row for each image"]),
    ],
)
def test_an_invalid_csv_is_refused_by_name(tmp_path, lines, expected):
    with pytest.raises(UserError) as refusal:
        read_decisions(csv(tmp_path, *lines))
    assert all(text in str(refusal.value) for text in ["decisions.csv", *expected])


def test_an_observer_called_na_keeps_that_name(tmp_path):
    table = read_decisions(csv(tmp_path, HEADER, ROW.replace("net,", " NA ,")))
    assert table["observer"].tolist() == ["NA"]


def test_a_row_with_a_value_too_many_is_refused_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"decisions\.csv, line 3: 9 values in this row, but the header has 8"):
        read_decisions(csv(tmp_path, HEADER, ROW, ROW.replace("NaN,", "0,51,")))


def test_a_duplicate_trial_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"'net' answers image 'cat1-bird1' twice"):
        pair_trials(read_observers([csv(tmp_path, HEADER, ROW, ROW)]))


def test_one_observer_in_both_parquet_and_csv_is_refused(tmp_path):
    frame = predictions(("cat", "dog", "dog")).assign(image="cat/cat1-dog2", content="cat/cat1-dog2.png")
    write_predictions(tmp_path / "x.parquet", frame, {"answers": list(CATEGORIES)})
    write_decisions(tmp_path / "x.csv", frame, "net")
    with pytest.raises(UserError, match="twice"):
        pair_trials(read_observers([tmp_path / "x.parquet", tmp_path / "x.csv"]))


def test_missing_and_unreadable_files_are_refused_by_name(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but no parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for name in ("x.parquet", "other.parquet", "missing.parquet", "missing.csv", "x.txt"):
        with pytest.raises(UserError, match=name):
            read_observers([tmp_path / name])


def test_predictions_without_rows_columns_or_metadata_are_refused_by_name(tmp_path):
    frame, valid_metadata = predictions(("cat", "dog", "dog")), {"answers": list(CATEGORIES)}
    for table, metadata, expected in (
        (frame.head(0), valid_metadata, "no predictions"),
        (frame.drop(columns="decision"), valid_metadata, "'decision'"),
        (frame, {}, "answers"),
    ):
        write_predictions(tmp_path / "x.parquet", table, metadata)
        with pytest.raises(UserError, match=rf"x\.parquet.*{expected}"):
            read_predictions(tmp_path / "x.parquet")


def test_an_image_that_is_answered_twice_in_labels_of_a_benchmark_is_refused_with_its_file(tmp_path):
    table = pd.DataFrame({"observer": "net", "image": ["x", "x"], "label": "ape", "decision": "bee"})
    table = table.assign(s_ape=0.5, s_bee=0.5)
    write_predictions(tmp_path / "x.parquet", table, {"label_classes": {"ape": [], "bee": []}, "class_names": []})
    with pytest.raises(UserError, match=r"'net' answers image 'x' twice, in .*x\.parquet"):
        read_label_predictions(tmp_path / "x.parquet")


def test_a_photograph_with_the_name_of_another_stimulus_gets_a_new_name(tmp_path):
    frame = predictions(("cat", "bird", "cat")).assign(content="cat/dog1-bear1.png")
    write_decisions(tmp_path / "x.csv", frame, "net")
    (row,) = read_decisions(tmp_path / "x.csv").to_dict("records")
    assert (row["image"], row["shape"], row["texture"]) == ("cat1-bird1", "cat", "bird")


def test_parquet_and_csv_of_the_same_answers_give_the_same_bias(tmp_path):
    rows = [("cat", "dog", "dog")] * 3 + [("cat", "dog", "cat")] * 2 + [("car", "dog", "oven"), ("cat", "cat", "cat")]
    frame = predictions(*rows)
    write_predictions(tmp_path / "x.parquet", frame, {"answers": list(CATEGORIES)})
    write_decisions(tmp_path / "x.csv", frame, "net")
    for name in ("x.parquet", "x.csv"):
        panel = pair_trials(read_observers([tmp_path / name]))
        assert (panel.conflict.sum(), panel.shape_hits.sum(), panel.texture_hits.sum()) == (6, 2, 3)
    assert list(pd.read_csv(tmp_path / "x.csv").columns) == CSV_COLUMNS


def test_published_stimuli_keep_their_names_in_the_csv(tmp_path):
    frame = predictions(("cat", "bird", "dog")).assign(content="cat/cat1-bird1.png")
    write_decisions(tmp_path / "x.csv", frame, "net")
    assert pd.read_csv(tmp_path / "x.csv")["imagename"].item() == "0001_sb_dnn_0_cat_00_cat1-bird1.png"


def test_predictions_mark_the_conflicts_that_their_network_can_answer(tmp_path):
    frame = predictions(("cat", "dog", "dog"), ("cat", "oven", "cat"))
    write_predictions(tmp_path / "x.parquet", frame, {"answers": ["cat", "dog"], "observer": "net"})
    table, metadata = read_predictions(tmp_path / "x.parquet")
    assert table["answerable"].tolist() == [True, False]
    assert metadata == {"answers": ["cat", "dog"], "observer": "net"}


# Benchmarks of other kinds

ROTATED = "net,2,1,NaN,bird,cat,90,0001_rot_dnn_90_cat_20_n02123045_7.png"


def test_without_cue_conflict_the_category_is_the_shape_and_texture_is_missing(tmp_path):
    (row,) = read_decisions(csv(tmp_path, HEADER, ROTATED), "rotation").to_dict("records")
    assert pd.isna(row.pop("texture"))
    assert row == {
        "observer": "net",
        "image": "90/n02123045_7",
        "shape": "cat",
        "decision": "bird",
        "condition": "90",
        "session": 2,
    }


def test_people_and_networks_pair_by_the_image_part_of_a_name(tmp_path):
    person = "subject-02,1,3,0.8,cat,cat,90,0003_rot_s02_90_cat_20_n02123045_7.png"
    table = read_observers([csv(tmp_path, HEADER, ROTATED, person)], "rotation")
    assert table["image"].unique().tolist() == ["90/n02123045_7"]
    assert table["observer"].tolist() == ["net", "subject-02"]


def test_one_photograph_in_two_conditions_is_not_a_duplicate_trial(tmp_path):
    other = ROTATED.replace(",90,", ",180,").replace("_90_", "_180_")
    table = read_observers([csv(tmp_path, HEADER, ROTATED, other)], "rotation")
    assert table["condition"].tolist() == ["90", "180"] and table["image"].nunique() == 2
    with pytest.raises(UserError, match=r"'net' answers image '90/n02123045_7' twice"):
        pair_trials(
            read_observers([csv(tmp_path, HEADER, ROTATED, other, ROTATED.replace("0001", "0099"))], "rotation")
        )


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("rotation", (HEADER, ROTATED.replace("90", "45")), ["'45'", "0001_rot", "rotation", "0, 90, 180, 270"]),
        ("rotation", (HEADER, ROTATED.replace(",90,", ",180,")), ["condition 90", "says cat, 180"]),
        ("rotation", (HEADER.replace("condition", "level"), ROTATED), ["column condition is missing", HEADER]),
        ("rotation", (HEADER, ROTATED.replace("cat", "kat")), ["category", "'kat'", "airplane, bear"]),
        ("cue_conflict", (HEADER, ROTATED), ["n02123045_7.png", "has no texture"]),
    ],
)
def test_invalid_decisions_on_other_sets_are_refused_by_name(tmp_path, kind, lines, expected):
    with pytest.raises(UserError) as refusal:
        read_decisions(csv(tmp_path, *lines), kind)
    assert all(text in str(refusal.value) for text in ["decisions.csv", *expected]), refusal.value


def test_a_set_without_conditions_needs_no_condition_column(tmp_path):
    path = csv(tmp_path, "subj,imagename,category,object_response", "net,oven8.png,oven,na", "net,oven9.png,oven,oven")
    table = read_decisions(path, "edges")
    assert table["image"].tolist() == ["oven8", "oven9"]
    assert table["condition"].tolist() == ["", ""] and table["session"].tolist() == [1, 1]


def test_an_unpublished_name_pairs_by_category_and_file(tmp_path):
    frame = predictions(("cat", None, "dog")).assign(
        image="cat/fluffy", imagename="fluffy.jpeg", condition="", session=1
    )
    write_predictions(tmp_path / "x.parquet", frame, {"answers": list(CATEGORIES)})
    write_decisions(tmp_path / "x.csv", frame.assign(observer="again"), "again")
    table = read_observers([tmp_path / "x.parquet", tmp_path / "x.csv"], "in_test")
    assert table["image"].tolist() == ["cat/fluffy"] * 2


def test_decisions_keep_name_condition_and_session_of_the_stimuli(tmp_path):
    name = "0021_hp_dnn_3_boat_10_n04612504_4773.png"
    frame = predictions(("boat", None, "clock")).assign(
        image="3.0/n04612504_4773", imagename=name, condition="3.0", session=2, texture=None
    )
    write_decisions(tmp_path / "x.csv", frame, "net")
    (row,) = pd.read_csv(tmp_path / "x.csv", dtype=str, keep_default_na=False).to_dict("records")
    assert list(row.values()) == ["net", "2", "1", "NaN", "clock", "boat", "3.0", name]
    (read,) = read_decisions(tmp_path / "x.csv", "high-pass").to_dict("records")
    assert (read["image"], read["condition"], read["session"]) == ("3.0/n04612504_4773", "3.0", 2)


def test_images_without_a_name_get_a_unique_name_in_each_condition(tmp_path):
    frame = predictions(*[("cat", None, "cat")] * 4, ("dog", None, "cat")).assign(
        condition=["none", "shape-4", "none", "none", "none"],
        content=["in/a_1.jpg", "in/a_1.jpg", "more/b_1.jpg", "more/a.jpg", "a.jpg"],
    )
    write_decisions(tmp_path / "x.csv", frame, "net")
    names = pd.read_csv(tmp_path / "x.csv")["imagename"]
    assert names.tolist() == [
        "0001_sb_dnn_none_cat_00_1.png",
        "0002_sb_dnn_shape-4_cat_00_1.png",
        "0003_sb_dnn_none_cat_00_1-3.png",
        "0004_sb_dnn_none_cat_00_a.png",
        "0005_sb_dnn_none_dog_00_a-5.png",
    ]
    assert read_decisions(tmp_path / "x.csv", "suppressed")["image"].nunique() == 5


def test_images_of_classes_without_a_category_are_left_out_of_the_csv(tmp_path):
    write_decisions(tmp_path / "x.csv", predictions((None, None, "cat"), ("cat", None, "cat")), "net")
    assert pd.read_csv(tmp_path / "x.csv")[["trial", "category"]].values.tolist() == [[2, "cat"]]


def test_predictions_of_older_versions_can_still_be_read(tmp_path):
    """Predictions have no conditions but a texture for photographs; recorded decisions have no texture."""
    frame = predictions(("cat", "cat", "dog"), ("oven", "oven", "dog")).assign(image=["cat/cat1", "oven/oven1"])
    write_predictions(tmp_path / "x.parquet", frame, {"answers": ["cat", "dog"], "benchmark": "edges"})
    table = read_observers([tmp_path / "x.parquet"], "edges")
    assert table["texture"].isna().all() and table["answerable"].tolist() == [True, False]
    assert table["image"].tolist() == ["cat1", "oven1"]
    assert table["condition"].tolist() == ["", ""] and table["session"].tolist() == [1, 1]
    assert read_observers([tmp_path / "x.parquet"])["texture"].tolist() == ["cat", "oven"]


def test_conditions_in_predictions_are_kept(tmp_path):
    frame = predictions(*[("cat", "cat", "dog")] * 2).assign(
        image="test/x", condition=["none", "shape-4"], session=1, imagename=None
    )
    write_predictions(tmp_path / "x.parquet", frame, {"answers": ["cat", "dog"]})
    table = read_observers([tmp_path / "x.parquet"], "suppressed")
    assert table[["image", "condition"]].values.tolist() == [["test/x", "none"], ["test/x", "shape-4"]]
