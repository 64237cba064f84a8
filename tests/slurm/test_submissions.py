"""Submissions to a real cluster: a lost answer of sbatch, and scripts/submit.py."""

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


def test_a_preempted_job_on_two_nodes_resumes_when_slurm_requeues_it(cluster, arguments, tmp_path):
    expected, out, logs = tmp_path / "expected", tmp_path / "out", tmp_path / "logs"
    ranks = ["--ranks", "2", "--device", "cpu"]
    cluster.run("srun", "-N1", "-n2", "python", ROOT / "scripts/train.py", *arguments, *ranks, "--out", expected)
    command = ["python", ROOT / "scripts/submit.py", *arguments, *ranks, "--nodes", "2", "--memory", "2"]
    output = cluster.run(*command, "--logs", logs, "--out", out)
    [job] = re.findall(r"job (\d+)", output)
    cluster.wait(lambda: "epoch 3 " in "".join(path.read_text() for path in logs.glob("*.out")))
    cluster.run("scancel", "--signal=USR2", job)  # as when its time is nearly up
    cluster.wait(lambda: cluster.run("squeue", "-h", "-j", job, "-o", "%T").strip() == "PENDING")
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # without the two minutes that Slurm waits
    cluster.wait(lambda: (out / "run.json").exists(), 120)
    text = "".join(path.read_text() for path in logs.glob("*.out"))
    assert "SIGUSR2: stops at the next step" in text and "resumes from step" in text
    assert json.loads((out / "run.json").read_text())["ranks"] == 2
    for name in ("model.safetensors", "history.csv"):
        assert (out / name).read_bytes() == (expected / name).read_bytes()


def test_an_unknown_partition_is_refused_in_one_sentence(cluster, arguments, tmp_path):
    output = cluster.run(
        "python", ROOT / "scripts/submit.py", *arguments, "--out", tmp_path / "out", "--logs", tmp_path / "logs",
        "--partition", "nowhere", check=False,
    )  # fmt: skip
    assert "--cluster slurm refused the job" in output and "nowhere" in output and "Traceback" not in output


def test_a_job_runs_once_if_the_answer_of_sbatch_is_lost(cluster, cluster_workspace):
    """sbatch accepts the job, but its answer does not arrive. The job is found by its name and comment."""
    place, config = cluster_workspace(), yaml.safe_load((ROOT / "config.yaml").read_text())
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
