"""Drawn lesions in the challenge's folders, from scan to the report, with the real scripts."""

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers import TINY_RESNET, files_below, refused, run_script, succeeded
from moles import challenge

from shapebias.images.shards import Shard

EACH = {"train": (12, 24), "val": (6, 10), "test": (6, 14)}
REGIMES = ["mela_imagenet", "mela_in"]


@pytest.fixture(scope="module")
def isic(tmp_path_factory) -> Path:
    folder = challenge(tmp_path_factory.mktemp("isic"), EACH)
    (folder / "ISIC-2017_Training_Data/ISIC_0000000.jpg").write_bytes(b"no photograph")
    return folder


@pytest.fixture(scope="module")
def images(isic, tmp_path_factory) -> Path:
    """Return the folder of the shards `<split>/0.tar` of all splits."""
    out = tmp_path_factory.mktemp("images") / "isic"
    kind = ["--kind", "isic2017", "--folder", isic]
    succeeded(run_script("scan", *kind, "--shards", "train=1,val=1,test=1", "--out", out / "listing.parquet"))
    for split in EACH:
        flags = ["--listing", out / "listing.parquet", "--split", split, "--shard", 0, "--size", 32]
        succeeded(run_script("pack", *kind, *flags, "--out", out / split / "0.tar"))
    manifest = ["--out", out / "manifest.csv", "--rejected", out / "rejected.csv"]
    sheet = ["--sample", out / "train/0.tar", "--title", "isic", "--sheet", out / "sheet.png"]
    succeeded(run_script("catalogue", "--folder", out, "--shards", "train=1,val=1,test=1", *manifest, *sheet))
    return out


@pytest.fixture(scope="module")
def runs(images, tmp_path_factory) -> Path:
    """Return the folder of two runs, `resnet/<regime>/seed0`: a trained and a hardly trained one."""
    folder = tmp_path_factory.mktemp("runs")
    sets = ["--train", f"isic={images}/train/0.tar", "--val", f"isic={images}/val/0.tar", "--image-size", 32]
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--device", "cpu", "--model", "resnet"]
    recipe = ["--batch-size", 8, "--optimizer", "adamw", "--schedule", "constant", "--class-weights", "balanced"]
    for regime, (epochs, lr) in zip(REGIMES, ((6, 0.01), (1, 1e-5)), strict=True):
        out = folder / "resnet" / regime / "seed0"
        learning = ["--epochs", epochs, "--lr", lr]
        succeeded(run_script("train", *sets, *network, *recipe, *learning, "--regime", regime, "--out", out))
    return folder


def evaluate(runs: Path, images: Path, regime: str, *more: object):
    weights = runs / "resnet" / regime / "seed0" / "model.safetensors"
    network = ["--timm", "resnet10t", "--weights", weights, "--observer", f"resnet_{regime}_seed0", "--device", "cpu"]
    return run_script("evaluate", *network, "--images", images / "test/0.tar", *more)


@pytest.fixture(scope="module")
def predictions(runs, images, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    for regime in REGIMES:
        out = folder / "mela" / f"resnet_{regime}_seed0.parquet"
        succeeded(evaluate(runs, images, regime, "--benchmark", "melanoma", "--out", out))
    return folder


@pytest.fixture(scope="module")
def tables(predictions, runs, images, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tables")
    observers = ["--melanoma-observers", *(f"resnet_{regime}_seed0" for regime in REGIMES)]
    sets = ["--runs", runs, "--images", images.parent, "--sets", "isic"]
    benchmarks = ["--predictions", predictions, "--melanoma-benchmarks", "mela", "--melanoma-baseline", REGIMES[0]]
    succeeded(run_script("tables", *benchmarks, *observers, *sets, "--out", out))
    return out


def test_packed_lesions_have_a_class_but_no_category_and_broken_images_are_rejected(images):
    labels = [sample.label for split in EACH for sample in Shard(images / split / "0.tar")]
    assert len(labels) == sum(map(sum, EACH.values())) - 1
    assert {label["class"] for label in labels} == {"melanoma", "other"}
    assert {label["shape"] for label in labels} == {label["texture"] for label in labels} == {None}
    (rejected,) = pd.read_csv(images / "rejected.csv").to_dict("records")
    assert rejected["file"] == "ISIC-2017_Training_Data/ISIC_0000000.jpg"
    manifest = pd.read_csv(images / "manifest.csv")
    assert len(manifest) == len(labels) and manifest["shape"].isna().all()


def test_sheets_of_lesions_need_no_category(images, isic, tmp_path):
    assert (images / "sheet.png").stat().st_size > 1000
    sets = f"isic={images / 'rejected.csv'}={isic}"
    succeeded(run_script("rejected_sheet", "--sets", sets, "--out", tmp_path / "a"))
    assert files_below(tmp_path) == ["a/rejected.png"]


def test_predictions_hold_the_class_and_the_probability_of_a_melanoma(predictions):
    table = pd.read_parquet(predictions / "mela" / "resnet_mela_imagenet_seed0.parquet")
    assert list(table.columns) == ["observer", "image", "content", "class", "predicted_class", "p_melanoma"]
    assert table["class"].value_counts().to_dict() == {"other": 14, "melanoma": 6}
    assert ((table["p_melanoma"] > 0.5) == (table["predicted_class"] == "melanoma")).all()


def test_the_table_counts_predictions_and_compares_with_the_imagenet_baseline(tables, predictions):
    table = pd.read_csv(tables / "melanoma.csv").set_index("regime")
    for regime in REGIMES:
        answers = pd.read_parquet(predictions / "mela" / f"resnet_{regime}_seed0.parquet")
        cells = answers.groupby(["class", "predicted_class"]).size()
        assert table.loc[regime, "true_positives"] == cells.get(("melanoma", "melanoma"), 0)
        assert table.loc[regime, "false_positives"] == cells.get(("other", "melanoma"), 0)
        assert table.loc[regime, "images"] == 20
    assert table.loc["mela_imagenet", "auc"] > 0.9
    assert table["baseline"].fillna("").to_dict() == {"mela_imagenet": "", "mela_in": "mela_imagenet"}
    difference = table.loc["mela_in", "auc"] - table.loc["mela_imagenet", "auc"]
    assert table.loc["mela_in", "auc_difference"] == pytest.approx(difference)
    assert pd.read_csv(tables / "runs.csv")["regime"].tolist() == REGIMES
    assert pd.read_csv(tables / "accuracy.csv").empty


def test_inputs_without_melanoma_are_refused(runs, images, predictions, tmp_path):
    out = ["--out", tmp_path / "x.parquet"]
    refused(evaluate(runs, images, "mela_in", "--benchmark", "in_test", *out), "16 categories")
    decisions = ["--decisions", tmp_path / "x.csv"]
    refused(evaluate(runs, images, "mela_in", "--benchmark", "melanoma", *out, *decisions), "--decisions")
    (tmp_path / "classes.csv").write_text("class,category\ntabby,cat\ntruck,truck\n")
    others = ["--kwargs", json.dumps(TINY_RESNET), "--classes", tmp_path / "classes.csv"]
    refused(evaluate(runs, images, "mela_in", "--benchmark", "melanoma", *out, *others), "none of its 2 classes")
    table = predictions / "mela" / "resnet_mela_in_seed0.parquet"
    refused(run_script("shape_bias", table, "--out", tmp_path / "x.csv"), "predictions of melanoma")
    assert files_below(tmp_path) == ["classes.csv"]


def test_figures_and_report_show_melanoma(tables, runs, tmp_path):
    figures = tmp_path / "figures"
    flags = ["--melanoma", "mela", "--dpi", 60]
    succeeded(run_script("figures", "--tables", tables, "--runs", runs, *flags, "--out", figures))
    assert {"melanoma.mela.svg", "melanoma_confusion.mela.svg"} <= set(files_below(figures))
    (tmp_path / "config.json").write_text(json.dumps({"benchmarks": {"mela": {"kind": "melanoma", "images": "isic"}}}))
    inputs = ["--tables", tables, "--figures", figures, "--runs", runs, "--config", tmp_path / "config.json"]
    succeeded(run_script("report", "--title", "T", *inputs, "--out", tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert '<section id="melanoma"' in page and "<h3>mela</h3>" in page and "against ImageNet weights alone" in page
