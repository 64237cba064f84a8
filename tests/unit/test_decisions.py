"""Decisions in files: parquet, the CSV of model-vs-human, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest
from helpers import trials

from shapebias.bias import bias
from shapebias.categories import CATEGORIES
from shapebias.decisions import (
    CSV_COLUMNS,
    read_decisions,
    read_observers,
    read_predictions,
    write_decisions,
    write_predictions,
)
from shapebias.errors import UserError

HEADER = "subj,session,trial,rt,object_response,category,condition,imagename"
ROW = "net,1,1,NaN,bird,cat,0,0001_s5n_dnn_0_cat_00_cat1-bird1.png"


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "decisions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def predictions(*rows: tuple) -> pd.DataFrame:
    """Rows as evaluate.py writes them, of home-made conflicts (names that say nothing)."""
    table = trials(*rows, observer="net")
    return table.assign(
        image=[f"test/x/{i:05d}" for i in range(len(rows))], content=[f"{i:05d}.jpg" for i in range(len(rows))]
    )


def test_published_names_hold_both_cues(tmp_path):
    (row,) = read_decisions(csv(tmp_path, HEADER, ROW)).to_dict("records")
    assert row == {"observer": "net", "image": "cat1-bird1", "shape": "cat", "texture": "bird", "decision": "bird"}


def test_order_of_columns_does_not_matter(tmp_path):
    table = pd.read_csv(csv(tmp_path, HEADER, ROW))
    backwards = tmp_path / "backwards.csv"
    table[table.columns[::-1]].to_csv(backwards, index=False)
    pd.testing.assert_frame_equal(read_decisions(backwards), read_decisions(tmp_path / "decisions.csv"))


@pytest.mark.parametrize("response", ["na", "NA", "NaN", ""])
def test_a_trial_without_a_response_stays_a_trial(tmp_path, response):
    table = read_decisions(csv(tmp_path, HEADER, ROW.replace("bird,cat", f"{response},cat")))
    assert table["decision"].isna().all()
    assert bias(table)["conflict_images"] == 1


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((HEADER, ROW.replace("NaN,bird", "NaN,brid")), ["object_response", "'brid'", "airplane, bear"]),
        ((HEADER, ROW.replace("bird,cat,", "bird,kat,")), ["category", "'kat'", "airplane, bear"]),
        ((HEADER, ROW.replace("cat1-bird1", "cat1-brid1")), ["imagename", "'brid'"]),
        ((HEADER, ROW.replace("cat1-bird1", "photo")), ["photo.png", "<shape><i>-<texture><j>.png"]),
        ((HEADER.replace("object_response", "response"), ROW), ["object_response", HEADER]),
        ((), ["decisions.csv", "not a readable CSV"]),
    ],
)
def test_a_csv_that_cannot_be_right_is_refused_by_name(tmp_path, lines, named):
    with pytest.raises(UserError) as refusal:
        read_decisions(csv(tmp_path, *lines))
    assert all(text in str(refusal.value) for text in ["decisions.csv", *named])


def test_a_doubled_trial_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"'net' answers image 'cat1-bird1' twice"):
        read_observers([csv(tmp_path, HEADER, ROW, ROW)])


def test_one_observer_given_as_parquet_and_as_csv_is_refused(tmp_path):
    made = predictions(("cat", "dog", "dog")).assign(image="cat/cat1-dog2", content="cat/cat1-dog2.png")
    write_predictions(tmp_path / "x.parquet", made, {"answers": list(CATEGORIES)})
    write_decisions(tmp_path / "x.csv", made, "net")
    with pytest.raises(UserError, match="twice"):
        read_observers([tmp_path / "x.parquet", tmp_path / "x.csv"])


def test_missing_and_strange_files_are_refused_by_name(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but no parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for name in ("x.parquet", "other.parquet", "missing.parquet", "missing.csv", "x.txt"):
        with pytest.raises(UserError, match=name):
            read_observers([tmp_path / name])


def test_parquet_and_csv_of_the_same_answers_give_the_same_bias(tmp_path):
    rows = [("cat", "dog", "dog")] * 3 + [("cat", "dog", "cat")] * 2 + [("car", "dog", "oven"), ("cat", "cat", "cat")]
    made = predictions(*rows)
    write_predictions(tmp_path / "x.parquet", made, {"answers": list(CATEGORIES)})
    write_decisions(tmp_path / "x.csv", made, "net")
    from_parquet, from_csv = (bias(read_observers([tmp_path / name])) for name in ("x.parquet", "x.csv"))
    assert from_parquet == from_csv
    assert (from_csv["conflict_images"], from_csv["shape_hits"], from_csv["texture_hits"]) == (6, 2, 3)
    assert list(pd.read_csv(tmp_path / "x.csv").columns) == CSV_COLUMNS


def test_published_stimuli_keep_their_names_in_the_csv(tmp_path):
    made = predictions(("cat", "bird", "dog")).assign(content="cat/cat1-bird1.png")
    write_decisions(tmp_path / "x.csv", made, "net")
    assert pd.read_csv(tmp_path / "x.csv")["imagename"].item() == "0001_sb_dnn_0_cat_00_cat1-bird1.png"


def test_predictions_know_which_conflicts_their_network_can_answer(tmp_path):
    made = predictions(("cat", "dog", "dog"), ("cat", "oven", "cat"))
    write_predictions(tmp_path / "x.parquet", made, {"answers": ["cat", "dog"], "observer": "net"})
    table, metadata = read_predictions(tmp_path / "x.parquet")
    assert table["answerable"].tolist() == [True, False]
    assert metadata == {"answers": ["cat", "dog"], "observer": "net"}
