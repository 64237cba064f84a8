"""What a Snakemake that was killed has left on the cluster, and what that does to the files of the next start."""

import json

import pytest
import yaml
from helpers import ROOT

FIRST, SECOND = (f"results/images/in/train/{shard}.tar" for shard in range(2))


@pytest.fixture
def left_behind(cluster, on_cluster):
    """A folder whose shards are complete, and a job of a killed start, named as that named all of its own, which takes
    one of them away when it is ended: Snakemake does, in a job that has done its work but is not over yet.
    """
    place, config = on_cluster(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}, "shards": {"train": 2}}
    benchmarks = {"in_test": {"kind": "in_test", "images": "in"}}
    config |= {"image_size": 48, "sources": {"in": source}, "benchmarks": benchmarks}
    done = place.snakemake(FIRST, SECOND, config=config)
    assert done.returncode == 0, done.stdout
    record = {"host": "elsewhere", "pid": 1, "started": 0, "job": None, "run": "a-killed-start"}
    (place.folder / ".snakemake/starts").mkdir(parents=True, exist_ok=True)
    (place.folder / ".snakemake/starts/killed.json").write_text(json.dumps(record))
    leave = f"trap 'rm {SECOND}; exit 143' TERM; touch waits; while true; do sleep 0.2; done"
    options = ["--job-name=a-killed-start", "--mem=100", "--output=/dev/null", "--chdir", place.folder]
    job = cluster.run("sbatch", "--parsable", *options, "--wrap", leave).strip()
    cluster.wait((place.folder / "waits").exists)
    yield place
    cluster.run("scancel", job)


def test_a_dry_run_ends_no_job(left_behind, cluster):
    left_behind.plan(None, "results/images/in/train/sha256sums.txt", profile="slurm")
    assert cluster.run("squeue", "-h", "-n", "a-killed-start", "-o", "%T").split() == ["RUNNING"]


def test_what_a_job_takes_away_when_it_is_ended_is_made_again(left_behind):
    done = left_behind.snakemake("results/images/in/train/sha256sums.txt", "--latency-wait", "5", profile="slurm")
    assert "were left behind by an earlier start" in done.stdout
    assert done.returncode == 0, done.stdout
    listed = (left_behind.folder / "results/images/in/train/sha256sums.txt").read_text()
    assert [line.split()[1] for line in listed.splitlines()] == ["0.tar", "1.tar"]
    assert (left_behind.folder / SECOND).exists()
