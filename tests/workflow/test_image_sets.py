"""Packed, stylized and conflict sets of real photographs, through the rules."""

import shutil

import pandas as pd
import pytest

from shapebias.images.shards import Shard

EACH = 9
CONFLICT = {"content": "in", "styles": "in", "other_category": True}


@pytest.fixture(scope="module")
def data(shared_data, tmp_path_factory):
    """Return a folder with nine photographs of four classes in Tiny ImageNet's layout, and six paintings."""
    root = tmp_path_factory.mktemp("data")
    for folder in sorted((shared_data / "tiny-imagenet" / "train").iterdir())[::7][:4]:
        images = root / "tiny" / "train" / folder.name / "images"
        images.mkdir(parents=True)
        for file in sorted(folder.iterdir())[:EACH]:
            shutil.copy(file, images / file.name)
    (root / "paintings").mkdir()
    for file in sorted((shared_data / "paintings").iterdir())[:6]:
        shutil.copy(file, root / "paintings" / file.name)
    return root


@pytest.fixture(scope="module")
def config(data):
    return {
        "title": "images",
        "data_root": str(data),
        "image_size": 48,
        "max_rejected": 0.5,
        "sources": {
            "in": {
                "kind": "ilsvrc",
                "folder": "tiny",
                "classes": "present",
                "per_class": {"train": 4, "test": 3},
                "shards": {"train": 2, "test": 1},
            }
        },
        "styles": {"paintings": {"kind": "folder", "folder": "paintings", "size": 64, "shards": 2}},
        "stylizers": {
            "own": {
                "encoder": "random",
                "training": {
                    "content": "in",
                    "styles": "paintings",
                    **{"steps": 3, "batch_size": 2, "resize": 32, "size": 32, "width": 4},
                },
            }
        },
        "stylized": {
            "sin": {"content": "in", "styles": "paintings", "stylizer": "own", "crop": 40, "splits": ["train"]},
            "conflict": {
                "content": "in",
                "styles": "in",
                "other_category": True,
                "stylizer": "own",
                "splits": ["test"],
            },
        },
        "benchmarks": {"conflict": {"kind": "cue_conflict", "images": "conflict"}},
    }


@pytest.fixture(scope="module")
def image_study(data, config, workspace):
    """Return a workspace with all sets of images; one of the sampled photographs is broken."""
    place = workspace()
    done = place.snakemake("results/images/in/manifest.csv", config=config)
    assert done.returncode == 0, done.stdout
    drawn = pd.read_csv(place.folder / "results/images/in/manifest.csv")
    (data / "tiny" / drawn["content"][0]).write_bytes(b"no photograph")
    shutil.rmtree(place.folder / "results")
    done = place.snakemake("images", config=config)
    assert done.returncode == 0, done.stdout
    return place, drawn


def test_counts_are_exact_and_the_manifest_names_the_replacement_of_a_broken_image(image_study):
    place, drawn = image_study
    manifest = pd.read_csv(place.folder / "results/images/in/manifest.csv")
    assert manifest.groupby(["split", "class"]).size().tolist() == [3] * 4 + [4] * 4  # test, train
    gone = set(drawn["id"]) - set(manifest["id"])
    assert gone == {drawn["id"][0]}
    (new,) = manifest[manifest["replaces"].notna()].to_dict("records")
    assert (new["replaces"], new["class"], new["split"]) == tuple(drawn.loc[0, ["id", "class", "split"]])
    rejected = pd.read_csv(place.folder / "results/images/in/rejected.csv")
    assert rejected["file"].tolist() == [drawn["content"][0]]
    assert rejected["reason"].tolist() == ["not an image in a known format"]


def test_stylized_sets_name_content_style_and_stylizer(image_study):
    place, _ = image_study
    packed = pd.read_csv(place.folder / "results/images/in/manifest.csv")
    paintings = pd.read_csv(place.folder / "results/images/paintings/manifest.csv")
    sin = pd.read_csv(place.folder / "results/images/sin/manifest.csv")
    assert set(sin["id"]) == set(packed[packed["split"] == "train"]["id"])
    assert set(sin["style_id"]) <= set(paintings["id"]) and sin["texture"].isna().all()
    conflict = pd.read_csv(place.folder / "results/images/conflict/manifest.csv")
    assert len(conflict) == 12 and (conflict["shape"] != conflict["texture"]).all()
    shard = Shard(place.folder / "results/images/sin/train/1.tar")
    assert {sample.image().size for sample in shard} == {(40, 40)}
    assert {sample.label["stylizer"] for sample in shard} == {"adain"}


def test_a_shard_that_is_made_again_has_the_same_bytes(image_study, config):
    place, _ = image_study
    shard = place.folder / "results/images/sin/train/1.tar"
    before = shard.read_bytes()
    shard.unlink()
    done = place.snakemake("results/images/sin/train/1.tar", config=config)
    assert done.returncode == 0, done.stdout
    assert "1 of 1 steps" in done.stdout
    assert shard.read_bytes() == before


def test_each_set_and_the_rejected_images_have_a_contact_sheet(image_study):
    figures = image_study[0].folder / "results/figures"
    sheets = {str(path.relative_to(figures)) for path in figures.rglob("*.png")}
    assert sheets == {
        *(f"contact_sheet.{name}.png" for name in ("in", "paintings", "sin", "conflict")),
        "rejected/rejected.png",
    }
