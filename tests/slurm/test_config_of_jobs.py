"""Jobs read the config of the start of their run; a job that cannot read it stops the run."""

import os
import re
import signal
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from shapebias.images.shards import open_shards

SHARD = "results/images/in/train/0.tar"


@pytest.fixture
def queued_run(cluster, cluster_workspace):
    """A run whose first job waits for a node, and a function that frees the nodes and returns the run's exit status."""
    place, config = cluster_workspace(), yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 1, "val": 1, "test": 1}}
    config |= {"image_size": 48, "sources": {"in": source}, "styles": {}, "stylized": {}}
    config |= {"benchmarks": {"in_test": {"kind": "in_test", "images": "in"}}, "regimes": {"in": {"train_on": ["in"]}}}
    config["training"]["batch_size"] = 8
    all_nodes = ["--parsable", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap", "sleep 600"]
    blocking_job = cluster.run("sbatch", *all_nodes).strip()
    cluster.wait(lambda: cluster.state(blocking_job) == "RUNNING")
    place.log = place.folder / "started.log"
    place.running = place.start(SHARD, config=config, profile="slurm")

    def begin() -> int:
        cluster.run("scancel", blocking_job)
        return place.running.wait(timeout=120)

    try:
        cluster.wait(lambda: "has been submitted" in place.log.read_text())
        yield place, begin
    finally:
        if place.running.poll() is None:
            os.killpg(place.running.pid, signal.SIGKILL)
            place.running.wait()
        cluster.run("scancel", blocking_job)


def test_an_edit_of_the_config_during_a_run_changes_no_job(queued_run):
    place, begin = queued_run
    study = yaml.safe_load((place.folder / "config.yaml").read_text())
    (place.folder / "config.yaml").write_text(yaml.safe_dump(study | {"image_size": 64}))
    assert begin() == 0, place.log.read_text()
    assert next(iter(open_shards([place.folder / SHARD]))).image().size == (48, 48)


def test_a_job_that_cannot_read_its_config_is_not_retried(queued_run):
    place, begin = queued_run
    [copy] = (place.folder / ".snakemake/studies").iterdir()
    copy.write_text(copy.read_text() + "epochs: 3\n")
    assert begin() == 1
    text = place.log.read_text()
    assert "Jobs cannot read this study's config" in text
    assert text.count("has been submitted") == 1 and "Trying to restart" not in text
    log = re.findall(r"the reason is in (\S+)", text)[0]
    assert "unknown key 'epochs'" in Path(log).read_text()
