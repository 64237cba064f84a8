"""Damaged results, as another program or a broken disk leaves them: the same command mends them or names the file."""

import os
import random
import re
import shutil
from pathlib import Path

import pytest
from campaign import Study, different_files, press_ctrl_c

from shapebias.training.checkpoints import Checkpoints

LONG = bool(os.environ.get("COUNT"))  # from `make faults`
RUN = "runs/resnet/in/seed0"
TRIES = 20  # to stop a training that takes less than a second
PREDICTIONS, READ_OUT = "predictions/conflict/resnet_in_seed0.parquet", "read_out/conflict/resnet_sin_seed0.csv"


def truncate(path: Path, data: bytes) -> None:
    path.write_bytes(data[: len(data) // 2])


def empty(path: Path, data: bytes) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path, data: bytes) -> None:
    place = random.Random(path.name).randrange(len(data))
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def cut_the_last_row(path: Path, data: bytes) -> None:
    """Leave a table that is complete but for a row."""
    path.write_bytes(b"".join(data.splitlines(keepends=True)[:-1]))


def take_another_observer(path: Path, data: bytes) -> None:
    """Leave a valid file of the other network."""
    name = path.name.replace("_in_", "_sin_") if "_in_" in path.name else path.name.replace("_sin_", "_in_")
    shutil.copyfile(path.with_name(name), path)


DAMAGES = {
    (truncate, empty, flip_a_bit): [
        "config.json",
        "images/in/listing.parquet",
        "images/in/train/0.tar",
        "images/in/test/0.tar",
        "images/in/train/sha256sums.txt",
        "images/paintings/all/0.tar",
        "images/conflict/test/0.tar",
        "images/sin/train/1.tar",
        "images/sin/rejected.csv",
        "style_vectors/ghiasi/in/test/0.safetensors",
        f"{RUN}/model.safetensors",
        "runs/resnet/sin/seed0/history.csv",
        "runs/resnet/sin/seed0/run.json",
        PREDICTIONS,
        READ_OUT,
        "tables/shape_bias.csv",
        "tables/runs.csv",
    ],
    (cut_the_last_row,): ["runs/resnet/sin/seed0/history.csv", READ_OUT, "tables/shape_bias.csv", "tables/runs.csv"],
    (take_another_observer,): [PREDICTIONS, READ_OUT],
}
CASES = [(name, damage) for damages, names in DAMAGES.items() for name in names for damage in damages]
if not LONG:
    CASES = random.Random(int(os.environ.get("SEED") or 0)).sample(CASES, 1)


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_the_same_command_mends_a_damaged_file_or_names_it(undisturbed, tmp_path, name, damage):
    expected, study = undisturbed.results(), Study(tmp_path / "study")
    shutil.copytree(undisturbed.folder, study.folder, symlinks=True)  # with its dates
    path = study.folder / "results" / name
    damage(path, path.read_bytes())
    done = study.run()
    if done.returncode:
        assert "Traceback" not in done.stdout, done.stdout
        errors = [line for line in done.stdout.splitlines() if re.search(rf"[Ee]rror: .*results/{name}\b", line)]
        assert errors and all("remove" in line.lower() for line in errors), done.stdout
        path.unlink()
        done = study.run()
    assert done.returncode == 0, done.stdout
    tables = [name for name in different_files(study, expected) if name.startswith("tables/")]
    assert not tables


@pytest.mark.parametrize("damage", ["truncated", "zeros", "another run"] if LONG else ["zeros"])
def test_a_run_never_resumes_from_a_damaged_checkpoint(undisturbed, tmp_path, damage):
    study, checkpoints = Study(tmp_path / "study"), tmp_path / "study/results/checkpoints/resnet/in/seed0"
    log = tmp_path / "study/logs/train/resnet/in/seed0.log"
    shutil.copytree(undisturbed.folder, study.folder, symlinks=True)
    targets = [f"results/{RUN}/{file}" for file in ("model.safetensors", "history.csv", "run.json")]
    latest = checkpoints / "latest.pt"
    for _ in range(TRIES):
        shutil.rmtree(study.folder / "results" / RUN, ignore_errors=True)
        log.unlink(missing_ok=True)
        study.start(*targets)
        try:
            study.wait_for("epoch 2  steps", log)
            press_ctrl_c(study, "train", random.Random())
        finally:
            study.kill_all()
        if latest.exists():
            break
    data = latest.read_bytes()
    if damage == "truncated":
        truncate(latest, data)
    elif damage == "zeros":
        latest.write_bytes(data[: len(data) // 3] + bytes(len(data) // 4) + data[len(data) // 3 + len(data) // 4 :])
    else:
        Checkpoints(checkpoints, {"seed": 1}).save({"step": 4}, wait=True)
    done = study.run(*targets)
    if damage == "another run":
        assert done.returncode == 1 and "Traceback" not in done.stdout, done.stdout
        assert f"remove {checkpoints.relative_to(study.folder)} to start again" in done.stdout
        shutil.rmtree(checkpoints)
        done = study.run(*targets)
    else:
        assert f"{latest.relative_to(study.folder)}: damaged" in log.read_text()
    assert done.returncode == 0, done.stdout
    assert not different_files(study, undisturbed.results())
