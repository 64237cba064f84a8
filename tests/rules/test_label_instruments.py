"""Configural shape and REFINED-BIAS through the scripts: from images to tables and the report."""

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers import TINY_RESNET, picture, refused, run_script, succeeded, tiny_resnet
from safetensors.torch import save_file

from shapebias.evaluation.decisions import read_label_predictions
from shapebias.metrics.refined_bias import expected_reciprocal_rank


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Return a folder with a network of three classes, six anagrams, and images of a shape and of a texture."""
    folder = tmp_path_factory.mktemp("inputs")
    save_file(tiny_resnet(3).state_dict(), folder / "net.safetensors")
    (folder / "classes.csv").write_text("class,category\ntabby,cat\npug,dog\nbeagle,dog\n")
    (folder / "labels.csv").write_text("class,label\ntabby,feline\npug,canine\nbeagle,canine\n")
    (folder / "anagrams").mkdir()
    lines = ["filename,anagram_id,pair_id,variant,label,foil"]
    for number in range(12):
        picture(number, (40, 40)).save(folder / "anagrams" / f"{number:02d}.png")
        label, foil = ("feline", "canine") if number % 2 else ("canine", "feline")
        lines.append(f"{number:02d}.png,{number // 2:03d},0,{number // 2},{label},{foil}")
    (folder / "anagrams" / "anagrams.csv").write_text("\n".join(lines))
    for cue, label in (("shape", "feline"), ("texture", "canine")):
        (folder / "cues" / f"refined_bias_{cue}" / label).mkdir(parents=True)
        for number in range(3):
            picture(number, (40, 40)).save(folder / "cues" / f"refined_bias_{cue}" / label / f"{label}_{number}.png")
    return folder


def evaluate(inputs: Path, out: Path, labels: Path | str):
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--classes", inputs / "classes.csv"]
    flags = [*network, "--weights", inputs / "net.safetensors", "--device", "cpu", "--observer", "net"]
    for folder, kind in (("anagrams", "configural_shape"), ("cues", "refined_bias")):
        flags += ["--images", inputs / folder, "--benchmark", kind, "--out", out / folder / "net.parquet"]
        flags += ["--decisions", out / folder / "net.csv", "--labels", labels]
    return run_script("evaluate", *flags)


def test_answers_by_own_labels_reach_the_tables_and_the_report(inputs, tmp_path):
    done = succeeded(evaluate(inputs, tmp_path / "predictions", inputs / "labels.csv"))
    assert "configural shape score" in done.stdout and "mean reciprocal rank of the shape" in done.stdout
    answers, record = read_label_predictions(tmp_path / "predictions" / "anagrams" / "net.parquet")
    assert record["label_classes"] == {"feline": ["tabby"], "canine": ["pug", "beagle"]}
    assert (record["preparation"]["interpolation"], record["preparation"]["crop"]) == ("bilinear", 1)
    written = pd.read_csv(tmp_path / "predictions" / "anagrams" / "net.csv")
    assert written["category"].tolist() == answers["label"].tolist()
    assert written["object_response"].tolist() == answers["decision"].tolist()

    succeeded(run_script("tables", "--predictions", tmp_path / "predictions", "--out", tmp_path / "tables"))
    [shape] = pd.read_csv(tmp_path / "tables" / "configural_shape.csv").to_dict("records")
    right = (answers["decision"] == answers["label"]).groupby(answers["pair"]).all()
    assert (shape["observer"], shape["benchmark"], shape["pairs"], shape["labels"]) == ("net", "anagrams", 6, 2)
    assert shape["css"] == right.mean() and shape["css_chance"] == 1 / 4
    ranks = pd.read_csv(tmp_path / "tables" / "refined_bias.csv").set_index(["cue", "label"])
    assert list(ranks.index) == [("shape", "all"), ("shape", "feline"), ("texture", "all"), ("texture", "canine")]
    assert ranks["network_classes"].unique() == [3] and ranks["images"].unique() == [3]
    assert ranks.loc[("texture", "canine"), "chance"] == pytest.approx(expected_reciprocal_rank(2, 3)) == 5 / 6
    benchmarks = pd.read_csv(tmp_path / "tables" / "benchmarks.csv")
    assert benchmarks["images"].tolist() == [12, 6]

    succeeded(run_script("report", "--predictions", tmp_path / "predictions", "--out", tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    assert "Do networks see the arrangement of parts?" in text and "n = 6 pairs, 2 labels, chance 0.250" in text
    assert "the mean reciprocal rank among 3 classes is of the shape" in text


def test_labels_that_do_not_fit_the_network_are_refused(inputs, tmp_path):
    refused(evaluate(inputs, tmp_path, "published"), "anagram_labels.csv", "3 classes of the network", "`labels`")
    (tmp_path / "twice.csv").write_text("class,label\npug,dog\npug,cat\n")
    refused(evaluate(inputs, tmp_path, tmp_path / "twice.csv"), "twice.csv", "line 3", "'pug'")
    refused(evaluate(inputs, tmp_path, "categories"), "no class for label canine, feline")
    assert not list(tmp_path.glob("*/net.parquet"))
