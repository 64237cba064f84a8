"""Read-out of shape and texture from a network's stages during evaluation, through the script."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
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
    tiny_resnet,
)
from safetensors.torch import save_file

from shapebias.images.shards import write_shard

WHO = ["benchmark", "observer", "model", "regime", "seed"]
COLUMNS = [*WHO, "stage", "depth", "features", "cue", "images", "accuracy", "ci_low", "ci_high", "chance", "reason"]
STAGES = ["pixels", "act1", "layer1", "layer2", "layer3", "layer4", "penultimate"]
CLASSES = {"cat": "cat", "dog": "dog"}


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> list[object]:
    """Return flags for an untrained network with the metadata of a trained one."""
    metadata = {
        "kwargs": TINY_RESNET,
        "classes": CLASSES,
        "image_size": 32,
        "model": "resnet",
        "regime": "in",
        "seed": 3,
    }
    weights = tmp_path_factory.mktemp("network") / "model.safetensors"
    state = {name: value.contiguous() for name, value in tiny_resnet().state_dict().items()}
    save_file(state, weights, metadata={"shapebias": json.dumps(metadata)})
    return ["--timm", "resnet10t", "--weights", weights, "--observer", "resnet_in_seed3", "--device", "cpu"]


def read_out(network, images, out, name="conflict", *, run=run_script, more=()):
    """Evaluate a network on conflict images and read its stages out into a table."""
    flags = ["--images", images, "--benchmark", "cue_conflict", "--out", out.with_suffix(".parquet")]
    return run("evaluate", *network, *flags, "--read-out", f"{name}={out}", *more)


def conflict_shard(target: Path) -> Path:
    """Write conflicts: twelve photographs per category, each twice. Textures are colours; no pixel shows the shape."""
    samples = []
    for i in range(48):
        shape, texture = ("cat", "dog") if i % 2 else ("dog", "cat")
        sample_label, *image = colour_sample(f"conflict-{i}", shape, COLOURS[texture])
        cues = {"texture": texture, "texture_class": texture}
        samples.append((sample_label | cues | {"content": f"{shape}{i // 4}", "style": f"{texture}{i // 4}"}, *image))
    write_shard(target, samples)
    return target


def test_a_colour_is_read_out_as_texture_at_every_stage_with_reproducible_bytes(network, tmp_path):
    shard = conflict_shard(tmp_path / "conflict.tar")
    tables = []
    shared = ["--shared", tmp_path / "shared"]
    for name, run, more in (("one", run_script, []), ("other", run_process, shared), ("again", run_script, shared)):
        out = tmp_path / name / "x.csv"
        done = read_out(network, shard, out, "own", run=run, more=more)
        assert "7 stages on 48 images" in succeeded(done).stderr
        tables.append(out.read_bytes())
    assert tables[0] == tables[1] == tables[2]
    table = pd.read_csv(tmp_path / "one" / "x.csv", keep_default_na=False)
    assert list(table.columns) == COLUMNS
    assert table[WHO].drop_duplicates().values.tolist() == [["own", "resnet_in_seed3", "resnet", "in", 3]]
    assert table["stage"].tolist() == [stage for stage in STAGES for _ in range(2)]
    assert table["cue"].tolist() == ["shape", "texture"] * 7
    assert (table["images"] == 48).all() and (table["chance"] == 0.5).all() and (table["reason"] == "").all()
    assert (table.loc[table["cue"] == "texture", "accuracy"] == 1.0).all()
    # With two categories, the texture determines the shape: it is the other category.
    assert (table.loc[table["cue"] == "shape", "accuracy"] == 1.0).all()


def test_published_names_give_the_photographs_and_images_without_conflict_are_left_out(network, tmp_path):
    names = [
        f"{a}{i}-{b}{j}" for a, b in (("cat", "dog"), ("dog", "cat"), ("cat", "cat")) for i in (1, 2) for j in (1, 2)
    ]
    for k, name in enumerate(names):
        target = tmp_path / "stimuli" / name[:3] / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture(k, (32, 32)).save(target)
    out = tmp_path / "x.csv"
    succeeded(read_out(network, tmp_path / "stimuli", out))
    table = pd.read_csv(out, keep_default_na=False)
    assert set(table["images"]) == {8} and set(table["benchmark"]) == {"conflict"}
    assert (table["reason"] == "").all()
    assert np.isfinite(table["accuracy"].astype(float)).all()


def test_a_set_that_does_not_name_its_styles_gets_an_explicit_nan(network, tmp_path):
    samples = []
    for i in range(8):
        shape, texture = ("cat", "dog") if i % 2 else ("dog", "cat")
        sample_label, *image = colour_sample(f"conflict-{i}", shape, COLOURS[texture])
        samples.append((sample_label | {"texture": texture}, *image))
    write_shard(tmp_path / "x.tar", samples)
    succeeded(read_out(network, tmp_path / "x.tar", tmp_path / "x.csv"))
    lines = (tmp_path / "x.csv").read_text().splitlines()
    reason = "8 images do not say which photograph their texture comes from (style)"
    assert lines[2] == f"conflict,resnet_in_seed3,resnet,in,3,pixels,0.0,192,texture,8,NaN,NaN,NaN,0.5,{reason}"


def test_unusable_inputs_are_refused_in_one_line_and_no_file_is_written(network, tmp_path):
    out = tmp_path / "out" / "x.csv"
    agreeing = colour_shard(tmp_path / "in.tar", 4)
    refused(read_out(network, agreeing, out), "in.tar", "different categories")
    photographs = image_folder(tmp_path / "photographs", {"cat": 1})
    refused(read_out(network, photographs, out), "cat/0.png", "cat1-bird1.png")
    (tmp_path / "bad" / "cat").mkdir(parents=True)
    for k, data in enumerate(bad_images().values()):
        (tmp_path / "bad" / "cat" / f"cat{k + 1}-dog1.png").write_bytes(data)
    refused(read_out(network, tmp_path / "bad", out), "3 of 3 images", "cat1-dog1.png")
    assert files_below(tmp_path / "out") == []
