"""Damaged results, as another program or a broken disk leaves them: the same command mends them or names the file."""

import os
import random
import re
import shutil

import pytest
from campaign import Study, different_files

DAMAGED = [
    "images/in/listing.parquet",
    "images/in/train/0.tar",
    "images/in/test/0.tar",
    "images/in/train/sha256sums.txt",
    "images/paintings/all/0.tar",
    "images/conflict/test/0.tar",
    "images/sin/train/1.tar",
    "images/sin/rejected.csv",
    "style_vectors/ghiasi/in/test/0.safetensors",
    "runs/resnet/in/seed0/model.safetensors",
    "runs/resnet/sin/seed0/history.csv",
    "runs/resnet/sin/seed0/run.json",
    "predictions/conflict/resnet_in_seed0.parquet",
    "read_out/conflict/resnet_sin_seed0.csv",
    "tables/shape_bias.csv",
    "tables/runs.csv",
]
CASES = [(name, damage) for name in DAMAGED for damage in ("truncated", "empty")]
if not os.environ.get("COUNT"):
    CASES = random.Random(int(os.environ.get("SEED") or 0)).sample(CASES, 1)


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_the_same_command_mends_a_damaged_file_or_names_it(undisturbed, tmp_path, name, damage):
    expected, study = undisturbed.results(), Study(tmp_path / "study")
    shutil.copytree(undisturbed.folder, study.folder, symlinks=True)  # with its dates
    path = study.folder / "results" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage == "truncated" else b"")
    done = study.run()
    if done.returncode:
        assert "Traceback" not in done.stdout, done.stdout
        errors = [line for line in done.stdout.splitlines() if re.search(rf"error: .*results/{name}\b", line)]
        assert errors and all("remove" in line.lower() for line in errors), done.stdout
        path.unlink()
        done = study.run()
    assert done.returncode == 0, done.stdout
    tables = [name for name in different_files(study, expected) if name.startswith("tables/")]
    assert not tables
