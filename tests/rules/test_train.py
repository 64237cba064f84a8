"""Training through the script: several ranks, signals, time limits, existing results and invalid options."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import (
    COLOURS,
    ENV,
    ROOT,
    TINY_RESNET,
    colour_shard,
    exit_code,
    pid_of,
    refused,
    run_process,
    run_ranks,
    run_script,
    start_script,
    succeeded,
    wait_for_log,
)
from safetensors.numpy import load_file

TINY_VIT = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 24, "num_heads": 3}
RECIPE = ["--epochs", "3", "--batch-size", "8", "--warmup-epochs", "1"]
RECIPE += ["--optimizer", "adamw", "--lr", "0.003", "--schedule", "cosine"]
NETWORK = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", "32"]
LONG = ["--epochs", 60, "--schedule", "constant"]  # long enough for an interruption
RESULTS = ("model.safetensors", "history.csv")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[str]:
    """Return the flags for 34 training images and 10 validation images."""
    folder = tmp_path_factory.mktemp("images")
    train, val = colour_shard(folder / "train.tar", 17), colour_shard(folder / "val.tar", 5)
    return ["--train", f"in={train}", "--val", f"in={val}"]


@pytest.fixture(scope="module")
def complete_run(images, tmp_path_factory) -> Path:
    """Return the folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    train(images, out)
    return out


@pytest.fixture(scope="module")
def long_run(images, tmp_path_factory) -> Path:
    """Return the folder of an uninterrupted run with the flags LONG."""
    out = tmp_path_factory.mktemp("long")
    train(images, out, *LONG)
    return out


def command(images: list[str], out: Path, *more: object) -> list[str]:
    return [*images, *NETWORK, *RECIPE, "--wandb-mode", "disabled", "--out", str(out), *map(str, more)]


def train(images: list[str], out: Path, *more: object) -> subprocess.CompletedProcess:
    return succeeded(run_script("train", *command(images, out, *more)))


def same_files(first: Path, second: Path) -> bool:
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in RESULTS)


# Ranks


@pytest.fixture
def started() -> Iterator[list[BaseProcess]]:
    """Yield a list of processes, which are killed after the test."""
    processes: list[BaseProcess] = []
    yield processes
    for process in processes:
        process.kill()
        process.join()


@pytest.mark.parametrize(
    ("network", "accumulate"),
    [(NETWORK, 1), (["--timm", "vit_tiny_patch16_224", "--kwargs", json.dumps(TINY_VIT), "--image-size", "32"], 2)],
)
def test_two_ranks_have_the_losses_of_one_rank(images, tmp_path, network, accumulate):
    one, two = tmp_path / "one", tmp_path / "two"
    train(images, one, *network)
    flags = command(images, two, *network, "--ranks", 2, "--accumulate", accumulate)
    assert "rank 1 of 2" in run_ranks(2, "train", *flags, logs=tmp_path)
    histories = [pd.read_csv(folder / "history.csv") for folder in (one, two)]
    np.testing.assert_allclose(histories[0], histories[1], rtol=2e-5)
    runs = [json.loads((folder / "run.json").read_text()) for folder in (one, two)]
    assert [run["ranks"] for run in runs] == [1, 2]
    assert [run["images_seen"] for run in runs] == [{"in": 102}] * 2
    # The losses show that ranks agree. Weights differ more: AdamW amplifies rounding in gradients near zero.
    weights = [load_file(folder / "model.safetensors") for folder in (one, two)]
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(tensor, weights[1][name], rtol=0.02, atol=2e-3, err_msg=name)


def test_ranks_under_srun_find_each_other(images, tmp_path, started):
    # The variables that srun sets in each task. tests/slurm has tests with a real srun.
    step = {"SLURM_JOB_ID": "7", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "1"}
    step |= {"SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "localhost"}
    logs = [tmp_path / f"{rank}.log" for rank in (0, 1)]
    for rank, log in enumerate(logs):
        task = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        flags = command(images, tmp_path / "out", "--ranks", 2)
        started.append(start_script("train", *flags, log=log, env=ENV | step | task))
    assert [exit_code(process, 120) for process in started] == [0, 0], [log.read_text() for log in logs]
    errors = [log.read_text() for log in logs]
    assert "rank 0 of 2" in errors[0] and "rank 1 of 2" in errors[1]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["ranks"] == 2


def test_missing_ranks_are_reported_at_once(images, tmp_path):
    refused(
        run_script("train", *command(images, tmp_path, "--ranks", 2)), "1 process started", "ranks is 2", "torchrun"
    )


def test_more_cpus_than_a_job_may_use_are_refused(images, tmp_path):
    refused(run_script("train", *command(images, tmp_path, "--cpus", 4096)), "4096 CPUs were requested")


def test_a_missing_gpu_is_refused(images, tmp_path):
    refused(run_script("train", *command(images, tmp_path, "--device", "cuda")), "device 'cuda'", "use cpu or auto")


# Signals and time


def test_a_run_that_receives_sigterm_writes_a_checkpoint_and_resumes(images, long_run, tmp_path, started):
    stopped, log = tmp_path / "stopped", tmp_path / "log"
    process = start_script("train", *command(images, stopped, *LONG, "--workers", 2), log=log)
    started.append(process)
    wait_for_log("epoch 2  steps", log, process)
    os.killpg(pid_of(process), signal.SIGTERM)  # as a scheduler does; the workers receive it too
    assert exit_code(process) == 128 + signal.SIGTERM, log.read_text()
    assert "SIGTERM at step" in log.read_text() and "the same command resumes" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert (stopped / "checkpoints" / "latest.pt").is_file() and not (stopped / "run.json").exists()
    done = train(images, stopped, *LONG, "--workers", 2)
    assert "resumes from step" in done.stderr
    assert same_files(long_run, stopped)
    assert not (stopped / "checkpoints").exists()


def test_ranks_under_torchrun_stop_together_and_resume_together(images, tmp_path):
    long = ["--epochs", 30, "--schedule", "constant"]
    run_ranks(2, "train", *command(images, tmp_path / "whole", *long), logs=tmp_path)
    stopped, log = tmp_path / "stopped", tmp_path / "log"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = [*launch, str(ROOT / "scripts" / "train.py"), *command(images, stopped, *long)]
    process = subprocess.Popen(script, stderr=log.open("w"), cwd=ROOT, env=ENV, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while "epoch 2  steps" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)  # torchrun forwards it to its ranks
        assert process.wait(60) != 0
    finally:
        process.kill()
        process.wait()
    assert "rank 1 of 2" in log.read_text()
    assert (stopped / "checkpoints" / "latest.pt").is_file() and not list((stopped / "checkpoints").glob(".*"))
    assert "resumes from step" in run_ranks(2, "train", *command(images, stopped, *long), logs=tmp_path)
    assert same_files(tmp_path / "whole", stopped)


def test_a_killed_run_resumes_from_its_last_epoch(images, long_run, tmp_path, started):
    killed, log = tmp_path / "killed", tmp_path / "log"
    process = start_script("train", *command(images, killed, *LONG), log=log)
    started.append(process)
    wait_for_log("epoch 3  steps", log, process)
    process.kill()
    process.join()
    assert "resumes from step" in train(images, killed, *LONG).stderr
    assert same_files(long_run, killed)


def test_a_run_at_its_time_limit_ends_with_the_retry_status(images, complete_run, tmp_path):
    done = run_process("train", *command(images, tmp_path, "--time-limit", 1e-6))
    assert done.returncode == 75, done.stderr
    assert "the time limit at step 1, epoch 1" in done.stderr
    train(images, tmp_path)
    assert same_files(complete_run, tmp_path)


# Existing results


def test_a_repeated_run_gives_the_same_files(images, complete_run, tmp_path):
    for name in (*RESULTS, "run.json"):
        (tmp_path / name).write_bytes((complete_run / name).read_bytes())
    succeeded(run_process("train", *command(images, tmp_path)))  # with another hash seed
    assert same_files(complete_run, tmp_path)


def test_a_folder_of_another_run_is_not_overwritten(images, complete_run):
    before = (complete_run / "model.safetensors").read_bytes()
    refused(
        run_script("train", *command(images, complete_run, "--lr", 0.1)), "holds another run: lr 0.003 → 0.1", "--out"
    )
    assert (complete_run / "model.safetensors").read_bytes() == before


def test_a_checkpoint_of_another_recipe_is_refused(images, tmp_path):
    assert run_script("train", *command(images, tmp_path, "--time-limit", 1e-6)).returncode == 75
    refused(run_script("train", *command(images, tmp_path, "--epochs", 4)), "epochs 3 → 4", "remove")


# Chains


def test_a_chain_of_regimes_records_all_links(images, complete_run, tmp_path):
    start = complete_run / "model.safetensors"
    train(images, tmp_path / "head", "--init", start, "--trainable", "head", "--regime", "frozen", "--feature-views", 2)
    train(images, tmp_path / "last", "--init", tmp_path / "head" / "model.safetensors", "--trainable", 1)
    run = json.loads((tmp_path / "last" / "run.json").read_text())
    assert [link["trainable"] for link in run["lineage"]] == ["all", "head", 1]
    assert [link["init"] for link in run["lineage"]] == ["scratch", "model.safetensors", "frozen"]
    assert run["init"] == "frozen" and run["head"] == "kept"
    assert [link["images_seen"] for link in run["lineage"]] == [{"in": 102}] * 3
    before, after = (load_file(folder / "model.safetensors") for folder in (complete_run, tmp_path / "head"))
    assert {name for name in before if (before[name] != after[name]).any()} == {"fc.weight", "fc.bias"}


def test_weights_of_other_classes_get_a_new_head(complete_run, tmp_path):
    colours = {"melanoma": COLOURS["cat"], "other": COLOURS["dog"]}
    moles = colour_shard(tmp_path / "moles.tar", 8, colours=colours)
    images = ["--train", f"isic={moles}", "--val", f"isic={moles}"]
    done = train(images, tmp_path / "run", "--init", complete_run / "model.safetensors", "--class-weights", "balanced")
    assert "a new classifier with 2 outputs is initialized" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["head"] == "new"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--batch-size", 35], ["batch_size 35 is larger than the set of 34 training images"]),
        (["--feature-views", 2], ["feature_views 2 needs trainable: head"]),
        (["--timm", "resnet11t"], ["resnet11t"]),
        (["--trainable", "fc"], ["--trainable"]),
        (["--precision", "fp8"], ["--precision", "fp16"]),
        (["--max-norm", -1], ["max_norm -1"]),
        (["--layer-decay", 0.5, "--trainable", "head", "--feature-views", 1], ["layer_decay 0.5"]),
    ],
)
def test_invalid_trainings_are_refused_by_name(images, tmp_path, more, named):
    refused(run_script("train", *command(images, tmp_path, *more)), *named)
    assert not list(tmp_path.iterdir())


def test_a_set_that_is_named_twice_is_refused(images, tmp_path):
    done = run_script("train", *command(images, tmp_path, "--train", images[1], images[1]))
    refused(done, "training set 'in' is given twice")


def test_help_shows_options_in_groups():
    text = succeeded(run_script("train", "--help")).stdout
    for group in ("images:", "network:", "the run:", "optimizer:", "augmentation:", "the job:", "Weights & Biases:"):
        assert f"\n{group}" in text
