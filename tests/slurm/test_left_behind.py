"""What a Snakemake that was killed has left on the cluster, and what that does to the files of the next start."""

import os

import pytest
import yaml
from helpers import ROOT

from shapebias.cluster.sessions import Session

LISTED = "results/images/in/train/sha256sums.txt"
FIRST, SECOND = (f"results/images/in/train/{shard}.tar" for shard in range(2))


@pytest.fixture
def left_behind(cluster, on_cluster):
    """A folder whose first shard is there, and a job of a killed session that still runs, under the name that all jobs
    of that session have.
    """
    place, config = on_cluster(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}, "shards": {"train": 2}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    done = place.snakemake(FIRST, config=config)
    assert done.returncode == 0, done.stdout
    assert not list((place.folder / ".snakemake/sessions").iterdir())  # that session has ended, and left nothing
    options = ["--job-name=a-killed-session", "--mem=100", "--output=/dev/null", "--chdir", place.folder]
    job = cluster.run("sbatch", "--parsable", *options, "--wrap", "touch waits; sleep 600").strip()
    cluster.wait((place.folder / "waits").exists)
    yield place
    cluster.run("scancel", job)


def record(place, monkeypatch, host=None):
    """Write the record of the killed session."""
    monkeypatch.chdir(place.folder)
    killed = Session(host or os.uname().nodename, pid=1, started=0.0, jobs_name="a-killed-session")
    killed.write()
    return killed


def test_neither_a_dry_run_nor_a_run_beside_a_session_that_may_be_alive_cancels_a_job(
    left_behind, cluster, monkeypatch
):
    elsewhere = record(left_behind, monkeypatch, host="elsewhere")
    left_behind.plan(None, LISTED, profile="slurm")
    done = left_behind.snakemake(LISTED, profile="slurm")
    assert done.returncode == 1
    assert "(process 1 on elsewhere) gave a sign of life 0 minutes ago" in done.stdout
    assert f"`touch -d yesterday {elsewhere.path}`" in done.stdout
    assert cluster.run("squeue", "-h", "-n", "a-killed-session", "-o", "%T").split() == ["RUNNING"]


def test_jobs_of_a_killed_session_are_cancelled_and_their_work_is_done_again(left_behind, cluster, monkeypatch):
    killed = record(left_behind, monkeypatch)
    done = left_behind.snakemake(LISTED, profile="slurm")
    assert "which an earlier run left behind" in done.stdout
    assert done.returncode == 0, done.stdout
    assert cluster.run("squeue", "-h", "-n", "a-killed-session").strip() == ""
    listed = (left_behind.folder / LISTED).read_text()
    assert [line.split()[1] for line in listed.splitlines()] == ["0.tar", "1.tar"]
    assert not killed.path.exists()
