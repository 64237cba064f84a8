"""What a Snakemake that was killed has left on the cluster, and what that does to the files of the next start."""

import os

import pytest
import yaml
from helpers import ROOT

from shapebias.starts import Start

LISTED = "results/images/in/train/sha256sums.txt"
FIRST, SECOND = (f"results/images/in/train/{shard}.tar" for shard in range(2))


@pytest.fixture
def left_behind(cluster, on_cluster):
    """A folder whose shards are complete, and a job of a killed start, named as that named all of its own, which takes
    one of them away when it is ended: Snakemake did, in a job that had done its work but was not over yet.
    """
    place, config = on_cluster(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}, "shards": {"train": 2}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    done = place.snakemake(FIRST, SECOND, config=config)
    assert done.returncode == 0, done.stdout
    assert not list((place.folder / ".snakemake/starts").iterdir())  # that one has ended, and left nothing
    leave = f"trap 'rm {SECOND}; exit 143' TERM; touch waits; while true; do sleep 0.2; done"
    options = ["--job-name=a-killed-start", "--mem=100", "--output=/dev/null", "--chdir", place.folder]
    job = cluster.run("sbatch", "--parsable", *options, "--wrap", leave).strip()
    cluster.wait((place.folder / "waits").exists)
    yield place
    cluster.run("scancel", job)


def record(place, monkeypatch, host=None):
    """Write the record of the killed start."""
    monkeypatch.chdir(place.folder)
    killed = Start(host or os.uname().nodename, pid=1, started=0.0, job=None, run="a-killed-start")
    killed.write()
    return killed


def test_neither_a_dry_run_nor_one_beside_a_start_that_may_still_live_ends_a_job(left_behind, cluster, monkeypatch):
    elsewhere = record(left_behind, monkeypatch, host="elsewhere")
    left_behind.plan(None, LISTED, profile="slurm")
    done = left_behind.snakemake(LISTED, profile="slurm")
    assert done.returncode == 1
    assert "(process 1 on elsewhere) gave a sign of life 0 minutes ago" in done.stdout
    assert f"`touch -d yesterday {elsewhere.path}`" in done.stdout
    assert cluster.run("squeue", "-h", "-n", "a-killed-start", "-o", "%T").split() == ["RUNNING"]


def test_what_a_job_takes_away_when_it_is_ended_is_made_again(left_behind, monkeypatch):
    killed = record(left_behind, monkeypatch)
    done = left_behind.snakemake(LISTED, "--latency-wait", "5", profile="slurm")
    assert "were left behind by an earlier start" in done.stdout
    assert done.returncode == 0, done.stdout
    listed = (left_behind.folder / LISTED).read_text()
    assert [line.split()[1] for line in listed.splitlines()] == ["0.tar", "1.tar"]
    assert (left_behind.folder / SECOND).exists()
    assert not killed.path.exists()
