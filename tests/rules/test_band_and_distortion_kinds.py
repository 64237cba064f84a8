"""Frequency conflicts and LAION-C through the scripts: from images to tables and the report."""

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers import TINY_RESNET, picture, run_script, succeeded, tiny_resnet
from safetensors.torch import save_file


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Return a folder with a network of three classes, frequency conflicts, and images of two distortions."""
    folder = tmp_path_factory.mktemp("inputs")
    save_file(tiny_resnet(3).state_dict(), folder / "net.safetensors")
    (folder / "classes.csv").write_text("class,category\ntabby,cat\npug,dog\nbeagle,dog\n")
    (folder / "labels.csv").write_text("class,label\ntabby,feline\npug,canine\nbeagle,canine\n")
    for number in range(4):
        for path in (
            f"bands/cat{number}-dog{number}.JPEG",
            f"bands/dog{number}-cat{number}.JPEG",
            f"distorted/mosaic/intensity_level_1/feline/{number}.png",
            f"distorted/mosaic/intensity_level_4/canine/{number}.png",
            f"distorted/glitched/intensity_level_4/canine/{number}.png",
        ):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            picture(number, (40, 40)).save(folder / path)
    return folder


def test_both_kinds_reach_the_tables_and_the_report(inputs, tmp_path):
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--classes", inputs / "classes.csv"]
    flags = [*network, "--weights", inputs / "net.safetensors", "--device", "cpu", "--observer", "net"]
    for folder, kind in (("bands", "frequency_conflict"), ("distorted", "laion_c")):
        flags += ["--images", inputs / folder, "--benchmark", kind]
        flags += ["--out", tmp_path / "predictions" / folder / "net.parquet"]
        flags += ["--decisions", tmp_path / "predictions" / folder / "net.csv"]
    done = succeeded(run_script("evaluate", *flags, "--labels", inputs / "labels.csv"))
    assert "mean over 3 conditions of LAION-C" in done.stdout and "low-frequency bias" in done.stdout
    bands = pd.read_csv(tmp_path / "predictions" / "bands" / "net.csv")
    distorted = pd.read_csv(tmp_path / "predictions" / "distorted" / "net.csv")
    assert sorted(distorted["condition"].unique()) == ["glitched-4", "mosaic-1", "mosaic-4"]

    succeeded(run_script("tables", "--predictions", tmp_path / "predictions", "--out", tmp_path / "tables"))
    [bias] = pd.read_csv(tmp_path / "tables" / "frequency_bias.csv").to_dict("records")
    low = int((bands["object_response"] == bands["category"]).sum())
    assert (bias["conflict_images"], bias["low_hits"], bias["high_hits"]) == (8, low, 8 - low)
    assert bias["low_frequency_bias"] == low / 8 and bias["chance"] == 1 / 2  # of the two categories it knows
    assert pd.read_csv(tmp_path / "tables" / "shape_bias.csv").empty
    rows = pd.read_csv(tmp_path / "tables" / "laion_c.csv").set_index(["distortion", "severity"])
    right = (distorted["object_response"] == distorted["category"]).groupby(distorted["condition"]).mean()
    assert rows["accuracy"].iloc[0] == pytest.approx(right.mean())
    assert rows.loc[("mosaic", 4), "accuracy"] == right["mosaic-4"] and (rows["chance"] == 1 / 2).all()

    succeeded(run_script("report", "--predictions", tmp_path / "predictions", "--out", tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    assert "Do networks follow low or high spatial frequencies?" in text and "guessing gives 0.5" in text
    assert "On “distorted” (n = 12 images, 3 conditions, 2 labels, chance 0.500)" in text
