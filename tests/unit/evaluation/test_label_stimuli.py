"""Anagrams and the images of REFINED-BIAS are found with their labels; unsuitable folders are refused."""

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import picture

from shapebias.errors import BadImageError, UserError
from shapebias.evaluation.stimuli import open_benchmark

NAMES = ["bear", "bunny", "cat"]
# filename, anagram, pair, variant, label, foil
ROWS = [
    ("000_bear_bunny_0.png", "000", 0, 0, "bear", "bunny"),
    ("000_bear_bunny_1.png", "000", 0, 0, "bunny", "bear"),
    ("001_cat_bear_0.png", "001", 1, 0, "cat", "bear"),
    ("001_cat_bear_1.png", "001", 1, 0, "bear", "cat"),
]


def anagram_folder(folder: Path, rows: list[tuple] = ROWS) -> Path:
    folder.mkdir()
    for place, row in enumerate(ROWS):
        picture(place, (32, 32)).save(folder / row[0])
    lines = ["filename,anagram_id,pair_id,variant,label,foil", *(",".join(map(str, row)) for row in rows)]
    (folder / "anagrams.csv").write_text("\n".join(lines) + "\n")
    return folder


def anagram_parquet(path: Path, **changed: list) -> Path:
    """Write the rows as the Parquet file of a data set of Hugging Face: labels are numbers, named by the schema.

    changed: columns with other values.
    """
    columns: dict[str, list] = {"image": []}
    for place, (filename, anagram, pair, variant, label, foil) in enumerate(ROWS):
        buffer = io.BytesIO()
        picture(place, (32, 32)).save(buffer, "PNG")
        columns["image"].append({"bytes": buffer.getvalue(), "path": filename})
        values = {"filename": filename, "anagram_id": anagram, "pair_id": pair, "variant": variant}
        for name, value in (values | {"label": NAMES.index(label), "foil": NAMES.index(foil)}).items():
            columns.setdefault(name, []).append(value)
    features = {name: {"names": NAMES, "_type": "ClassLabel"} for name in ("label", "foil")}
    table = pa.table(columns | changed).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, path, row_group_size=3)
    return path


def test_anagrams_are_read_from_a_folder_and_from_parquet_files_alike(tmp_path: Path):
    found = open_benchmark([anagram_folder(tmp_path / "folder")], "configural_shape")
    assert [(p.id, p.label["pair"], p.label["label"], p.label["foil"]) for p in found] == [
        (name.removesuffix(".png"), anagram, label, foil) for name, anagram, _, _, label, foil in ROWS
    ]
    (tmp_path / "parquet").mkdir()
    file = anagram_parquet(tmp_path / "parquet" / "test-00000-of-00001.parquet")
    for path in (file, file.parent):
        packed = open_benchmark([path], "configural_shape")
        assert [p.label for p in packed] == [p.label for p in found]
        assert [p.image().tobytes() for p in packed] == [p.image().tobytes() for p in found]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS[:3], ["line 4", "anagram '001' has 1 images"]),
        ([*ROWS, ROWS[3]], ["line 6", "'001_cat_bear_1.png'", "named twice"]),
        ([*ROWS[:3], (*ROWS[3][:4], "bear", "bunny")], ["line 5", "anagram '001'", "foils bear and bunny"]),
        ([*ROWS[:3], (*ROWS[3][:4], "bear", "")], ["line 5", "no anagram_id, label or foil"]),
        ([*ROWS[:3], ("../secret.png", *ROWS[3][1:])], ["line 5", "no image '../secret.png'"]),
    ],
)
def test_a_wrong_table_of_anagrams_is_refused(tmp_path: Path, rows: list[tuple], words: list[str]):
    with pytest.raises(UserError) as error:
        open_benchmark([anagram_folder(tmp_path / "folder", rows)], "configural_shape")
    assert all(word in str(error.value) for word in words)


def test_images_without_a_row_are_reported(tmp_path: Path, caplog):
    folder = anagram_folder(tmp_path / "folder", ROWS[:2])
    assert len(open_benchmark([folder], "configural_shape")) == 2
    assert "images without a row in anagrams.csv: 2 (the first: 001_cat_bear_0.png)" in caplog.text


def test_a_folder_without_anagrams_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"neither anagrams\.csv nor a Parquet file"):
        open_benchmark([tmp_path], "configural_shape")
    (tmp_path / "x.parquet").write_bytes(b"no Parquet")
    with pytest.raises(UserError, match=r"x\.parquet: not a Parquet file of anagrams"):
        open_benchmark([tmp_path], "configural_shape")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": [-1, 1, 2, 0]}, "row 0: 000_bear_bunny_0.png has no anagram_id, label or foil"),
        ({"label": [0, 1, 2, -2]}, "number -2 is the place of none of the names bear, bunny, cat"),
        ({"filename": ["", "1.png", "2.png", "3.png"]}, "row 0: '' is no name of a file"),
        ({"image": ["0.png", "1.png", "2.png", "3.png"]}, "the column image holds no encoded images"),
    ],
)
def test_a_wrong_parquet_file_of_anagrams_is_refused(tmp_path: Path, changed: dict[str, list], message: str):
    with pytest.raises(UserError, match=message):
        open_benchmark([anagram_parquet(tmp_path / "x.parquet", **changed)], "configural_shape")


def test_a_table_without_anagrams_and_a_row_without_an_image_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no anagrams in it"):
        open_benchmark([anagram_folder(tmp_path / "folder", [])], "configural_shape")
    image = [{"bytes": b"x", "path": None}, None, None, None]
    found = open_benchmark([anagram_parquet(tmp_path / "x.parquet", image=image)], "configural_shape")
    with pytest.raises(BadImageError, match="no image in this row"):
        found[1].image()


def test_drawn_images_that_are_no_anagrams_are_refused(colour_samples):
    shard = colour_samples()[0].origin
    with pytest.raises(UserError, match="belongs to no pair"):
        open_benchmark([shard], "configural_shape")


def test_refined_bias_takes_cue_and_label_from_folders(tmp_path: Path, caplog):
    for number, path in enumerate(
        ["refined_bias_shape/clock/clock_1.png", "refined_bias_texture/zebra/4x4_zebra_1.png", "logo/clock/x.png"]
    ):
        (tmp_path / "set" / "datasets" / path).parent.mkdir(parents=True)
        picture(number).save(tmp_path / "set" / "datasets" / path)
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set")
    for place in (tmp_path / "set", Path(archive)):
        found = open_benchmark([place], "refined_bias")
        assert [(p.id, p.label["cue"], p.label["label"]) for p in found] == [
            ("shape/clock/clock_1", "shape", "clock"),
            ("texture/zebra/4x4_zebra_1", "texture", "zebra"),
        ]
        assert found[0].image().size == (24, 24)
    assert "left out: 1 (the first: datasets/logo/clock/x.png)" in caplog.text
    with pytest.raises(UserError, match="no image as refined_bias_shape or refined_bias_texture/<label>/image"):
        open_benchmark([tmp_path / "set" / "datasets" / "logo"], "refined_bias")


def test_the_published_images_have_ten_labels_for_each_cue(shared_data: Path):
    found = open_benchmark([shared_data / "refined-bias"], "refined_bias")
    labels = {cue: {p.label["label"] for p in found if p.label["cue"] == cue} for cue in ("shape", "texture")}
    assert len(found) == 300 and {cue: len(names) for cue, names in labels.items()} == {"shape": 10, "texture": 10}
