"""Images of LAION-C are found with distortion, severity and label; the published labels decide as its evaluation."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import picture

from shapebias.categories import ilsvrc_categories, ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.evaluation.label_maps import published_label_map
from shapebias.evaluation.stimuli import open_benchmark

FILES = [
    "glitched/intensity_level_2/dog/00001.png",
    "mosaic/intensity_level_1/ball/00001.png",
    "mosaic/intensity_level_1/car_truck/00001.png",
]


def save(folder: Path, files: list[str]) -> Path:
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        picture(number, (24, 24)).save(folder / file)
    return folder


def test_distortion_severity_and_label_come_from_the_folders(tmp_path: Path, caplog):
    folder = save(tmp_path / "LAION-C" / "datasets", [*FILES, "readme/x.png"])
    archive = Path(shutil.make_archive(str(tmp_path / "all"), "zip", folder))
    expected = [
        ("glitched-2/dog/00001", "glitched-2", "dog"),
        ("mosaic-1/ball/00001", "mosaic-1", "ball"),
        ("mosaic-1/car_truck/00001", "mosaic-1", "car_truck"),
    ]
    for place in (folder.parent, archive):
        found = open_benchmark([place], "laion_c")
        assert [(p.id, p.label["condition"], p.label["label"]) for p in found] == expected
    assert "left out: 1 (the first: datasets/readme/x.png)" in caplog.text
    # One distortion alone: its name is that of the folder or archive.
    alone = Path(shutil.make_archive(str(tmp_path / "mosaic"), "zip", folder / "mosaic"))
    for place in (folder / "mosaic", alone):
        assert [p.id for p in open_benchmark([place], "laion_c")] == [name for name, *_ in expected[1:]]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("mosaic/intensity_level_6/dog/x.png", "mosaic, severity 6, is no condition of LAION-C"),
        ("fog/intensity_level_1/dog/x.png", "fog, severity 1, is no condition of LAION-C"),
        ("mosaic/1/dog/x.png", "no image as <distortion>/intensity_level_<severity>/<label>/image"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, file: str, message: str):
    with pytest.raises(UserError, match=message):
        open_benchmark([save(tmp_path / "set", [file])], "laion_c")


def test_the_published_labels_are_285_classes_of_ilsvrc():
    label_map, wnids = published_label_map("laion_c_labels", "mean"), ilsvrc_wnids()
    assert len(label_map.labels) == 16 and sum(map(len, label_map.positions(wnids).values())) == 285
    categories = ilsvrc_categories()
    same = {"bird": 49, "bottle": 7, "cat": 6, "dog": 109}  # the same classes as in the 16 categories
    for name, count in same.items():
        assert sorted(label_map.classes[name]) == sorted(wnid for wnid in wnids if categories.get(wnid) == name)
        assert len(label_map.classes[name]) == count


def test_answers_follow_the_published_rule():
    label_map, wnids = published_label_map("laion_c_labels", "mean"), ilsvrc_wnids()
    logits = np.random.default_rng(0).normal(0, 3, (20, 1000))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label_of = {wnid: name for name, names in label_map.classes.items() for wnid in names}
    scores = label_map.score(torch.from_numpy(logits), wnids)
    for row, row_scores, answer in zip(probabilities, scores, label_map.decide(scores), strict=True):
        members: dict[str, list[float]] = {}
        for wnid, probability in zip(wnids, row, strict=True):
            if wnid in label_of:
                members.setdefault(label_of[wnid], []).append(float(probability))
        means = {name: sum(values) / len(values) for name, values in members.items()}
        np.testing.assert_allclose(row_scores, [means[name] for name in label_map.labels], rtol=0, atol=1e-9)
        assert answer == max(means, key=lambda name: means[name])
