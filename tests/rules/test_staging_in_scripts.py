"""Training as on a cluster: from the node's own disk, and beside an earlier job of the same run."""

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from helpers import (
    ENV,
    TINY_RESNET,
    colour_shard,
    exit_code,
    files_below,
    image_folder,
    pid_of,
    run_ranks,
    run_script,
    script,
    start_script,
    succeeded,
    wait_for_log,
)

from shapebias.training.staging import NOT_LOCAL, file_system

RECIPE = ["--epochs", "30", "--batch-size", "8", "--schedule", "constant", "--lr", "0.003", "--optimizer", "adamw"]
NETWORK = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", "32"]
DECODER = ["--encoder", "random", "--width", "2", "--steps", "2", "--batch-size", "2", "--resize", "20", "--size", "16"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> tuple[Path, Path]:
    """Return shards of 34 training images and 10 validation images."""
    folder = tmp_path_factory.mktemp("images")
    return colour_shard(folder / "train.tar", 17), colour_shard(folder / "val.tar", 5)


@pytest.fixture(scope="module")
def complete_run(shards, tmp_path_factory) -> Path:
    """Return the folder of an uninterrupted run without staging."""
    out = tmp_path_factory.mktemp("whole")
    succeeded(run_script("train", *training(shards, out)))
    return out


@pytest.fixture
def disk(tmp_path) -> Path:
    # Longer than the limit for a socket's path (107 bytes), as on some clusters.
    folder = tmp_path / f"job-{'0' * 107}"
    folder.mkdir()
    if kind := NOT_LOCAL.get(file_system(folder)):
        pytest.skip(f"{folder} is {kind}: nothing is staged there")
    return folder


@pytest.fixture
def started() -> Iterator[list[BaseProcess]]:
    """Yield a list of processes, which are killed after the test."""
    processes: list[BaseProcess] = []
    yield processes
    for process in processes:
        process.kill()
        process.join()


def training(shards: tuple[Path, Path], out: Path, *more: object) -> list[str]:
    images = ["--train", f"in={shards[0]}", "--val", f"in={shards[1]}"]
    return [*images, *NETWORK, *RECIPE, "--wandb-mode", "disabled", "--out", str(out), *map(str, more)]


def begin(arguments: list[str], log: Path, disk: Path) -> BaseProcess:
    return start_script("train", *arguments, log=log, env=ENV | {"TMPDIR": str(disk)})


def same_run(first: Path, second: Path) -> bool:
    return all(
        (first / name).read_bytes() == (second / name).read_bytes() for name in ("model.safetensors", "history.csv")
    )


def test_a_run_from_the_node_s_disk_is_the_same_even_if_resumed_without_it(
    shards, complete_run, disk, tmp_path, started
):
    out, log = tmp_path / "out", tmp_path / "log"
    process = begin(training(shards, out, "--stage", "--workers", 2), log, disk)
    started.append(process)
    wait_for_log("epoch 3  steps", log, process)
    assert len([path for path in disk.rglob("*.tar") if path.is_file()]) == 2
    os.killpg(pid_of(process), signal.SIGTERM)
    assert exit_code(process) == 128 + signal.SIGTERM, log.read_text()
    assert "2 shards were staged" in log.read_text()
    assert not list(disk.glob("shapebias-*"))
    assert files_below(out) == ["checkpoints/earlier.pt", "checkpoints/latest.pt"]
    done = succeeded(run_script("train", *training(shards, out)))  # the rest without staging
    assert "resumes from step" in done.stderr and "staged" not in done.stderr
    assert same_run(complete_run, out) and not (out / "checkpoints").exists()


def test_ranks_share_one_copy(shards, disk, tmp_path):
    runs = []
    for more in ([], ["--stage"]):
        out = tmp_path / f"out{len(more)}"
        flags = training(shards, out, *more, "--epochs", 3)
        output = run_ranks(2, "train", *flags, logs=tmp_path, env=ENV | {"TMPDIR": str(disk)})
        runs.append((out, output.count("2 shards were staged")))
    (apart, zero), (staged, one) = runs
    assert (zero, one) == (0, 1) and same_run(apart, staged)
    assert not list(disk.glob("shapebias-*"))


def test_a_decoder_trained_from_the_node_s_disk_is_the_same(shards, disk, tmp_path, monkeypatch):
    monkeypatch.setitem(ENV, "TMPDIR", str(disk))
    styles = image_folder(tmp_path / "styles", {"painter": 3})
    flags = ["--content", shards[0], "--styles", styles, *DECODER, "--checkpoints", tmp_path / "checkpoints"]
    results = []
    for more in ([], ["--stage"]):
        out = tmp_path / f"out{len(more)}"
        done = succeeded(run_script("train_stylizer", *flags, *more, "--out", out))
        assert done.stderr.count("1 shards were staged") == len(more)
        results.append([(out / name).read_bytes() for name in ("decoder.safetensors", "history.csv", "sheet.png")])
    assert results[0] == results[1]
    assert not list(disk.glob("shapebias-*")) and not list(tmp_path.glob("checkpoint*"))


def test_a_second_job_of_a_run_waits_for_the_first_to_stop_and_resumes(shards, complete_run, disk, tmp_path, started):
    out, logs = tmp_path / "out", [tmp_path / "first.log", tmp_path / "second.log"]
    first = begin(training(shards, out), logs[0], disk)
    started.append(first)
    wait_for_log("epoch 2  steps", logs[0], first)
    os.kill(pid_of(first), signal.SIGSTOP)  # it must not end before the second job starts
    second = begin(training(shards, out), logs[1], disk)
    started.append(second)
    wait_for_log(f"waits up to 120 s for process {first.pid} on ", logs[1], second)
    os.kill(pid_of(first), signal.SIGCONT)
    first.terminate()  # as scancel does
    assert exit_code(first) == 128 + signal.SIGTERM
    assert exit_code(second, 120) == 0, logs[1].read_text()
    assert "resumes from step" in logs[1].read_text()
    assert same_run(complete_run, out) and not (out / "checkpoints").exists()


@pytest.mark.parametrize("name", ["train", "train_stylizer"])
def test_a_run_that_another_process_holds_ends_with_the_retry_status(shards, tmp_path, monkeypatch, caplog, name):
    from shapebias.training import checkpoints, run_lock
    from shapebias.training.run_lock import lock_run

    module = script(name)
    short = partial(lock_run, wait=0.1)
    monkeypatch.setattr(checkpoints, "lock_run", short)
    monkeypatch.setattr(module, "lock_run", short, raising=False)
    monkeypatch.setattr(run_lock, "try_lock", lambda path: None)
    checkpoint, out = tmp_path / "checkpoints" / "x.pt", tmp_path / "out"
    arguments = {
        "train": [*training(shards, out), "--checkpoints", str(checkpoint.parent)],
        "train_stylizer": ["--content", str(shards[0]), "--styles", str(shards[0]), *DECODER]
        + ["--checkpoints", str(checkpoint.parent), "--out", str(out)],
    }
    with caplog.at_level("INFO"), pytest.raises(SystemExit) as left:
        module.main(arguments[name])
    assert left.value.code == 75
    assert "the run is still being trained by another process" in caplog.text
    assert not out.exists()
