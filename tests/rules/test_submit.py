"""Submission of a training through submitit: on this machine, inline, and requeued after a signal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ENV, ROOT, TINY_RESNET, colour_shard, refused, run_script, succeeded

RESULTS = ("model.safetensors", "history.csv")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory) -> list[str]:
    """Return the flags of a training of sixty short epochs."""
    shard = colour_shard(tmp_path_factory.mktemp("images") / "0.tar", 16)
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", "32"]
    recipe = ["--epochs", "60", "--batch-size", "8", "--lr", "0.01", "--schedule", "constant", "--patience", "0"]
    return ["--train", f"in={shard}", "--val", f"in={shard}", *network, *recipe, "--wandb-mode", "disabled"]


def tasks_of(logs: Path) -> list[int]:
    """Return the process ids of a job that runs on this machine."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # the process has ended
            continue
        if b"submitit.core._submit" in words and str(logs).encode() in words:
            processes.append(int(folder.name))
    return processes


def test_a_preempted_job_is_requeued_and_gives_the_result_of_an_undisturbed_job(arguments, tmp_path):
    succeeded(run_script("submit", *arguments, "--cluster", "debug", "--logs", tmp_path, "--out", tmp_path / "whole"))
    logs, out = tmp_path / "logs", tmp_path / "preempted"
    command = [sys.executable, ROOT / "scripts" / "submit.py", *arguments, "--device", "cpu", "--ranks", "1"]
    command += ["--cluster", "local", "--logs", logs, "--out", out]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENV)
    try:
        deadline = time.monotonic() + 120
        while not (read := "".join(path.read_text() for path in logs.glob("*.out"))).count("epoch 2  steps"):
            assert process.poll() is None and time.monotonic() < deadline, read
            time.sleep(0.02)
        for task in tasks_of(logs):
            os.kill(task, signal.SIGUSR2)  # the signal that submitit requests from SLURM before preemption
        errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    text = "".join(path.read_text() for path in logs.glob("*.out"))
    assert "SIGUSR2 at step" in text and "resumes from step" in text
    assert re.search(r"this job is preempted|this job is timed-out", text)
    assert all((out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in RESULTS)


def test_two_ranks_on_this_machine_train_together(arguments, tmp_path):
    more = ["--epochs", 2, "--ranks", 2, "--device", "cpu", "--cluster", "local", "--logs", tmp_path / "logs"]
    succeeded(run_script("submit", *arguments, *more, "--out", tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ranks"] == 2


def test_a_failed_training_is_reported_with_its_log(arguments, tmp_path):
    more = ["--batch-size", 33, "--cluster", "local", "--logs", tmp_path, "--out", tmp_path / "run"]
    done = run_script("submit", *arguments, *more)
    refused(done, "the training failed", str(tmp_path))
    [log] = tmp_path.glob("*_log.out")
    assert "batch_size 33 is larger than the set of 32 training images" in log.read_text()


def test_without_slurm_the_message_suggests_another_command(arguments, tmp_path, monkeypatch):
    monkeypatch.setitem(ENV, "PATH", str(tmp_path))
    refused(run_script("submit", *arguments, "--logs", tmp_path, "--out", tmp_path), "srun", "--cluster local")


@pytest.mark.parametrize(
    ("more", "named"),
    [(["--ranks", 3, "--nodes", 2], "--ranks 3"), (["--epoch", 3, "--trainable", "x"], "--trainable")],
)
def test_invalid_submissions_are_refused(arguments, tmp_path, more, named):
    refused(run_script("submit", *arguments, *more, "--cluster", "local", "--out", tmp_path), named)


def test_help_shows_the_options_of_training_and_of_the_submission():
    text = succeeded(run_script("submit", "--help")).stdout
    assert "\noptimizer:" in text and "\nsubmission:" in text
