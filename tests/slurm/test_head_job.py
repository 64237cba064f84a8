"""Snakemake runs as a job itself, as on clusters that forbid long processes on login nodes."""

import re
import shlex

import pytest
import yaml
from helpers import ROOT
from workspaces import Workspace

SHARDS = 4


@pytest.fixture(scope="module")
def output(cluster, cluster_workspace):
    """The output of a Snakemake that ran as a job and packed shards while one of its jobs was cancelled."""
    place, config = cluster_workspace(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": SHARDS, "val": 1, "test": 1}, "shards": {"train": SHARDS}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    shards = [f"results/images/in/train/{shard}.tar" for shard in range(SHARDS)]
    snakemake = shlex.join(Workspace.command(place, tuple(shards), config, "slurm"))
    log = place.folder / "submitted.log"
    options = ["--parsable", "--chdir", place.folder, "--mem=1500", "--output", log]
    job = cluster.run("sbatch", *options, "--wrap", snakemake).strip()
    cluster.wait(lambda: log.exists() and "rule_pack" in log.read_text(), 120)
    number = re.findall(r"SLURM jobid (\d+) \(log: \S+rule_pack", log.read_text())[0]
    cluster.run("scancel", number)
    cluster.wait(lambda: cluster.run("squeue", "-h", "-j", job, check=False).strip() == "", 240)
    assert cluster.state(job) == "COMPLETED", log.read_text()
    return log.read_text()


def test_only_the_cancelled_job_is_retried(output):
    assert re.findall(r"Slurm job \d+ ended as (\w+)", output) == ["CANCELLED"]
    assert output.count("Trying to restart job") == 1


def test_snakemake_in_a_job_cancels_no_job(output):
    assert "SLURM job context" in output
    assert "left behind" not in output
