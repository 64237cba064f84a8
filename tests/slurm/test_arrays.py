"""Shards as an array of jobs, submitted by a Snakemake that is itself a job."""

import re
import shlex

import pytest
import yaml
from helpers import ROOT
from workspaces import Workspace

SHARDS = 6


@pytest.fixture(scope="module")
def packed(cluster, on_cluster):
    """The words of a Snakemake that ran as a job, while it packed shards of which one was cancelled."""
    place, config = on_cluster(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": SHARDS, "val": 1, "test": 1}, "shards": {"train": SHARDS}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    shards = [f"results/images/in/train/{shard}.tar" for shard in range(SHARDS)]
    often = "--slurm-init-seconds-before-status-checks=3"
    snakemake = shlex.join(Workspace.command(place, (*shards, often), config, "slurm"))
    log = place.folder / "submitted.log"
    options = ["--parsable", "--chdir", place.folder, "--mem=1500", "--output", log]
    job = cluster.run("sbatch", *options, "--wrap", snakemake).strip()
    cluster.wait(lambda: log.exists() and "Submitted array job" in log.read_text(), 120)
    [array] = re.findall(r"SLURM job ID (\d+)", log.read_text())
    cluster.run("scancel", f"{array}_{SHARDS}")
    cluster.wait(lambda: cluster.run("squeue", "-h", "-j", job, check=False).strip() == "", 240)
    said = log.read_text()
    assert cluster.state(job) == "COMPLETED", said
    return said


def test_of_an_array_only_the_task_that_failed_is_tried_again(packed):
    assert re.findall(r"SLURM status is: '(\w+)'", packed) == ["CANCELLED"]
    assert packed.count("Trying to restart job") == 1
    assert "No log of it came back" not in packed


def test_a_snakemake_that_is_a_job_ends_no_job_but_those_of_its_own_earlier_starts(packed):
    assert "inside of a job" in packed or "SLURM job context" in packed
    assert "left behind" not in packed
