"""Jobs that a killed Snakemake left on the cluster, and their effect on the next run."""

import os

import pytest
import yaml
from helpers import ROOT

from shapebias.cluster.sessions import Session

LISTED = "results/images/in/train/sha256sums.txt"
FIRST, SECOND = (f"results/images/in/train/{shard}.tar" for shard in range(2))


@pytest.fixture
def orphaned_job(cluster, cluster_workspace):
    """A folder with its first shard, and a running job of a killed session, under the job name of that session."""
    place, config = cluster_workspace(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}, "shards": {"train": 2}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    done = place.snakemake(FIRST, config=config)
    assert done.returncode == 0, done.stdout
    assert not list((place.folder / ".snakemake/sessions").iterdir())  # the finished session removed its record
    options = ["--job-name=a-killed-session", "--mem=100", "--output=/dev/null", "--chdir", place.folder]
    job = cluster.run("sbatch", "--parsable", *options, "--wrap", "touch waits; sleep 600").strip()
    cluster.wait((place.folder / "waits").exists)
    yield place
    cluster.run("scancel", job)


def record(place, monkeypatch, host=None):
    """Write and return the record of the killed session."""
    monkeypatch.chdir(place.folder)
    killed = Session(host or os.uname().nodename, pid=1, started=0.0, jobs_name="a-killed-session")
    killed.write()
    return killed


def test_no_job_is_cancelled_by_a_dry_run_or_while_its_session_may_be_alive(orphaned_job, cluster, monkeypatch):
    elsewhere = record(orphaned_job, monkeypatch, host="elsewhere")
    orphaned_job.plan(None, LISTED, profile="slurm")
    done = orphaned_job.snakemake(LISTED, profile="slurm")
    assert done.returncode == 1
    assert "(process 1 on elsewhere) gave a sign of life 0 minutes ago" in done.stdout
    assert f"`touch -d yesterday {elsewhere.path}`" in done.stdout
    assert cluster.run("squeue", "-h", "-n", "a-killed-session", "-o", "%T").split() == ["RUNNING"]


def test_jobs_of_a_killed_session_are_cancelled_and_their_files_are_made_again(orphaned_job, cluster, monkeypatch):
    killed = record(orphaned_job, monkeypatch)
    done = orphaned_job.snakemake(LISTED, profile="slurm")
    assert "which an earlier run left behind" in done.stdout
    assert done.returncode == 0, done.stdout
    assert cluster.run("squeue", "-h", "-n", "a-killed-session").strip() == ""
    listed = (orphaned_job.folder / LISTED).read_text()
    assert [line.split()[1] for line in listed.splitlines()] == ["0.tar", "1.tar"]
    assert not killed.path.exists()
