"""One network or image set fails: the others still get tables and a report, which names what is missing."""

import re

import pandas as pd
import pytest
from helpers import bad_images

BROKEN_IMAGES = 6


@pytest.fixture(scope="module")
def config(demo_config):
    """One model that trains on drawings or on broken files, and an observer whose weights are a text."""
    demo = demo_config()
    drawings = {"kind": "synthetic", "per_class": {"train": 4, "val": 1, "test": 2}, "shards": {}}
    broken = {"kind": "imagefolder", "folder": "broken", "per_class": {"train": "all", "val": 1}, "shards": {}}
    return {
        "image_size": 32,
        "wandb": {"mode": "disabled"},
        "sources": {"in": drawings, "broken": broken},
        "models": {"resnet": {"timm": "resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}}},
        "regimes": {"in": {"train_on": ["in"]}, "broken": {"train_on": ["broken"]}},
        "training": demo["training"] | {"epochs": 1, "lr": 0.001},
        "benchmarks": {"in_test": {"kind": "in_test", "images": "in"}},
        "observers": {"published": {"timm": "resnet10t", "weights": "weights.safetensors"}},
    }


@pytest.fixture(scope="module")
def place(workspace):
    place = workspace()
    (place.folder / "weights.safetensors").write_text("These are no weights.\n")
    for name in ("cat", "dog"):
        (place.folder / "broken" / name).mkdir(parents=True)
        for i in range(BROKEN_IMAGES):
            for file, content in bad_images().items():
                (place.folder / "broken" / name / f"{i}-{file}").write_bytes(content)
    return place


def test_before_any_network_is_evaluated_there_is_nothing_to_report(config, place):
    planned = place.snakemake("-n", config=config | {"only_finished": True})
    refused = place.snakemake(config=config | {"only_finished": True})
    assert (planned.returncode, refused.returncode) == (0, 1) and "Traceback" not in refused.stdout
    assert "only_finished: results/ holds no evaluated network of this study" in refused.stdout


def test_the_finished_network_gets_a_report_that_names_the_others(config, place):
    failed = place.snakemake(config=config)
    assert failed.returncode == 1 and "Traceback" not in failed.stdout
    assert not (place.folder / "results/tables").exists()
    assert "1 of 3 networks are evaluated" in failed.stdout
    assert "repeat the command with only_finished=true behind --config" in failed.stdout

    done = place.snakemake("--config", "only_finished=true", config=config)
    assert done.returncode == 0, done.stdout
    accuracy = pd.read_csv(place.folder / "results/tables/accuracy.csv")
    assert set(accuracy["observer"]) == {"resnet_in_seed0"}
    page = (place.folder / "results/report.html").read_text()
    assert "leaves out 2 of 3 networks" in page
    assert re.search("resnet_broken_seed0.*published", page)


def test_the_complete_study_is_still_due(config, place):
    plan = place.snakemake("-n", config=config)
    for rule in ("evaluate", "tables", "report"):
        assert rule in plan.stdout.split("Reasons")[0], plan.stdout
