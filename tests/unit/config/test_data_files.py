"""The files and folders of a config: a plan needs none, a run needs all."""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT, image_folder

from shapebias.config.data_files import data_problems, future_problem
from shapebias.config.validation import check_config

DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture
def config(tmp_path) -> dict[str, Any]:
    """Return the demo's config with an empty data folder."""
    return copy.deepcopy(DEMO) | {"data_root": str(tmp_path)}


def folder_source(folder: str, **more: str) -> dict[str, Any]:
    return {"kind": "imagefolder", "folder": folder, "per_class": {"test": 1}} | more


def test_the_demo_has_all_its_files(config):
    assert data_problems(check_config(config)) == []


def test_all_missing_files_are_reported_at_once(config, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    config["sources"] |= {"photos": folder_source("gone", categories="no.csv"), "none": folder_source("empty")}
    config["styles"] |= {"prints": {"kind": "folder", "folder": "gone"}, "file": {"kind": "folder", "folder": "file"}}
    config["stylizers"] = {"x": {"encoder": "e.pth", "decoder": "empty"}}
    config["models"]["resnet"]["weights"] = "w.pth"
    config["benchmarks"]["x"] = {"kind": "edges", "folder": "no.zip"}
    config["observers"] = {
        "people": {"decisions": "gone", "benchmark": "edges"},
        "net": {"timm": "resnet18", "weights": "w.pth", "classes": "c.csv"},
    }
    where = f"(data_root is {tmp_path})"
    assert sorted(data_problems(check_config(config))) == sorted(
        f"config: {key}: {tmp_path}/{problem} {where}"
        for key, problem in {
            "sources.photos.folder": "gone does not exist",
            "sources.photos.categories": "no.csv does not exist",
            "sources.none.folder": "empty is an empty folder",
            "styles.prints.folder": "gone does not exist",
            "styles.file.folder": "file is a file, not a folder",
            "stylizers.x.encoder": "e.pth does not exist",
            "stylizers.x.decoder": "empty is a folder, not a file",
            "models.resnet.weights": "w.pth does not exist",
            "benchmarks.x.folder": "no.zip does not exist",
            "observers.people.decisions": "gone does not exist",
            "observers.net.weights": "w.pth does not exist",
            "observers.net.classes": "c.csv does not exist",
        }.items()
    )


def test_downloads_and_files_of_packages_are_not_missing(config):
    config["stylizers"] = {
        "x": {"encoder": "random", "training": {"content": "in", "styles": "in", "resize": 64, "size": 64}}
    }
    config["benchmarks"]["x"] = {"kind": "edges", "folder": "download:stimuli/edges"}
    config["models"]["resnet"]["weights"] = "package:timm/x.pth"
    assert data_problems(check_config(config)) == []


@pytest.mark.parametrize("layout", ["{}", "train/{}"])
def test_class_folders_without_a_category_are_named(config, tmp_path, layout):
    for name in ("cat", "n02123045", "tulip", "rose"):
        image_folder(tmp_path / "photos" / layout.format(""), {name: 1})
    config["sources"]["photos"] = folder_source("photos")
    (line,) = data_problems(check_config(config))
    assert line.startswith(f"config: sources.photos.folder: {tmp_path}/photos: no category for class rose, tulip: ")
    Path(tmp_path / "own.csv").write_text("class,category\nrose,chair\ntulip,clock\n")
    config["sources"]["photos"]["categories"] = "own.csv"
    assert data_problems(check_config(config)) == []


def test_a_missing_table_of_categories_causes_no_other_message(config, tmp_path):
    image_folder(tmp_path / "photos", {"tulip": 1})
    config["sources"]["photos"] = folder_source("photos", categories="gone.csv")
    (line,) = data_problems(check_config(config))
    assert line.startswith(f"config: sources.photos.categories: {tmp_path}/gone.csv does not exist")


def test_images_of_a_class_are_counted_once_and_without_hidden_files(config, tmp_path):
    folder = image_folder(tmp_path / "photos", {"cat": 1})
    (folder / "cat" / "again").symlink_to(folder / "cat")  # leads into itself
    (folder / "cat" / ".hidden.png").write_bytes(b"?")
    (folder / ".cache").mkdir()
    (folder / "notes.txt").write_text("not a class")
    config["sources"]["photos"] = folder_source("photos") | {"per_class": {"test": 2}}
    (line,) = data_problems(check_config(config))
    assert "class 'cat' in" in line and "has 1 images, 2 are wanted for all splits" in line


def test_inputs_from_the_future_are_named_with_what_to_do(tmp_path):
    now = 1_800_000_000.0
    for name, seconds in {"old.csv": -60, "same.csv": 0, "skewed.csv": 0.5}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now + seconds, now + seconds))
    paths = [tmp_path / name for name in ("old.csv", "same.csv", "skewed.csv", "gone.csv")]
    assert future_problem(paths, now) is None
    (tmp_path / "new file.csv").touch()
    os.utime(tmp_path / "new file.csv", (now + 3 * 3600, now + 3 * 3600))
    problem = future_problem([*paths, tmp_path / "new file.csv"], now)
    assert problem and "\n" not in problem
    assert problem.startswith(f"{tmp_path}/new file.csv: dated 2027-01-15 ")
    assert "3.0 hours in the future" in problem and problem.endswith(f"touch '{tmp_path}/new file.csv'")
    (tmp_path / "link.csv").symlink_to("new file.csv")
    problem = future_problem([tmp_path / "link.csv", tmp_path / "new file.csv"], now)
    assert "link.csv and 1 other input: dated" in str(problem)


def test_many_inputs_from_the_future_make_one_short_line(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:02d}.csv").touch()
    problem = future_problem(sorted(tmp_path.iterdir()), 0.0)
    assert problem and "and 39 other inputs" in problem and problem.endswith("04.csv …")


def test_labels_that_cannot_be_read_or_name_other_classes_are_reported(config, tmp_path):
    config |= {"models": {}, "regimes": {}, "observers": {"lite": {"timm": "tf_efficientnet_lite0"}}}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").touch()
    for name, text in (("twice", "pug,dog\npug,cat\n"), ("own", "pug,dog\ntabby,cat\n")):
        (tmp_path / f"{name}.csv").write_text(f"class,label\n{text}")
        config["benchmarks"][name] = {"kind": "refined_bias", "folder": "images", "labels": f"{name}.csv"}
    config["benchmarks"]["gone"] = {"kind": "refined_bias", "folder": "images", "labels": "gone.csv"}
    config["observers"]["two"] = {"timm": "resnet18", "weights": "two.pth", "classes": "two.csv"}
    (tmp_path / "two.pth").touch()
    (tmp_path / "two.csv").write_text("class,category\npug,dog\ntabby,cat\n")
    config["benchmarks"]["published"] = {"kind": "laion_c", "folder": "images"}
    gone, twice, own, published = data_problems(check_config(config))
    assert "benchmarks.published.labels, for observers.two: the published labels laion_c_labels.csv" in published
    assert "benchmarks.gone.labels" in gone and "gone.csv does not exist" in gone
    assert "benchmarks.twice.labels" in twice and "line 3: class 'pug' is named twice" in twice
    assert "benchmarks.own.labels" in own and "class pug, tabby: not among the 1,000 classes" in own
