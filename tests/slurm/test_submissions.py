"""Submissions to a real cluster: an answer of sbatch that is lost, and scripts/submit.py."""

import json
import re

import pytest
import yaml
from helpers import ROOT, TINY_RESNET, colour_shard, stand_in


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    shard = colour_shard(tmp_path_factory.mktemp("images") / "0.tar", 16)
    network = ["--timm", "resnet10t", "--kwargs", json.dumps(TINY_RESNET), "--image-size", "32"]
    recipe = ["--epochs", "60", "--batch-size", "8", "--lr", "0.01", "--schedule", "constant", "--patience", "0"]
    return ["--train", f"in={shard}", "--val", f"in={shard}", *network, *recipe, "--wandb-mode", "disabled"]


def test_a_job_over_two_nodes_that_is_preempted_goes_on_when_slurm_queues_it_again(cluster, arguments, tmp_path):
    whole, out, logs = tmp_path / "whole", tmp_path / "out", tmp_path / "logs"
    ranks = ["--ranks", "2", "--device", "cpu"]
    cluster.run("srun", "-N1", "-n2", "python", ROOT / "scripts/train.py", *arguments, *ranks, "--out", whole)
    command = ["python", ROOT / "scripts/submit.py", *arguments, *ranks, "--nodes", "2", "--memory", "2"]
    said = cluster.run(*command, "--logs", logs, "--out", out)
    [job] = re.findall(r"job (\d+)", said)
    cluster.wait(lambda: "epoch 3 " in "".join(path.read_text() for path in logs.glob("*.out")))
    cluster.run("scancel", "--signal=USR2", job)  # as when its time is nearly up
    cluster.wait(lambda: cluster.run("squeue", "-h", "-j", job, "-o", "%T").strip() == "PENDING")
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # not after the two minutes that Slurm leaves
    cluster.wait(lambda: (out / "run.json").exists(), 120)
    text = "".join(path.read_text() for path in logs.glob("*.out"))
    assert "SIGUSR2: stops at the next step" in text and "resumes from step" in text
    assert json.loads((out / "run.json").read_text())["ranks"] == 2
    for name in ("model.safetensors", "history.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_an_unknown_partition_is_refused_in_a_sentence(cluster, arguments, tmp_path):
    said = cluster.run(
        "python", ROOT / "scripts/submit.py", *arguments, "--out", tmp_path / "out", "--logs", tmp_path / "logs",
        "--partition", "nowhere", check=False,
    )  # fmt: skip
    assert "--cluster slurm refused the job" in said and "nowhere" in said and "Traceback" not in said


def test_a_job_whose_number_is_lost_on_the_way_runs_once(cluster, on_cluster):
    """sbatch takes the job, but its answer does not arrive: the job is found by its name and comment."""
    place, config = on_cluster(), yaml.safe_load((ROOT / "config.yaml").read_text())
    lossy = place.folder / "bin"
    lossy.mkdir()
    real = cluster.run("sh", "-c", "command -v sbatch").strip()
    lose = "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1"
    stand_in(lossy, "sbatch", f'case "$*" in *--test-only*) exec {real} "$@";; esac\n{real} "$@" > /dev/null; {lose}')
    snakemake = place.command(("results/images/paintings/all/0.tar",), config, "slurm")
    prefix = len(cluster.command(cwd=place.folder))
    done = cluster.run("env", f"PATH={lossy}:{cluster.environment()['PATH']}", *snakemake[prefix:], cwd=place.folder)
    [name] = re.findall(r"SLURM run ID: (\S+)", done)
    states = cluster.run("sacct", "-X", "-n", "--name", name, "--format=State").split()
    assert states == ["COMPLETED"], done
