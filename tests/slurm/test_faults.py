"""A small version of the demo through profiles/slurm, on a cluster where jobs, nodes and Snakemake itself fail."""

import os
import re
import shutil
import signal
import time

import pandas as pd
import pytest
import yaml
from cluster import children, has_ended
from helpers import ROOT
from workspaces import Workspace

WAIT = 300  # seconds to wait for an event
EPOCHS = 70
# Each fault is also the name of a regime, whose training job it hits. All these regimes have the same recipe.
FAULTS = ("cancelled", "preempted", "lost", "late")
TINY = {"timm": "resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}}


@pytest.fixture(scope="module")
def study():
    """Drawn photographs in three shards and one tiny network; jobs of seventy short epochs, and one with four ranks."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    equal_regimes = {name: {"train_on": ["in"]} for name in FAULTS}
    spread = {"train_on": ["in"], "training": {"ranks": 4, "nodes": 2, "epochs": 4}}
    sin = {"train_on": ["sin"], "init": "late", "training": {"epochs": 1}}
    return config | {
        "image_size": 48,
        "input_size": 32,
        "sources": {
            "in": {"kind": "synthetic", "per_class": {"train": 4, "val": 1, "test": 2}, "shards": {"train": 3}}
        },
        "styles": {"paintings": {"kind": "synthetic", "count": 6, "size": 64}},
        "models": {"resnet": TINY},
        "regimes": {**equal_regimes, "spread": spread, "sin": sin},
        "training": {"epochs": EPOCHS, "batch_size": 32, "lr": 0.01, "schedule": "constant", "patience": 0},
        "benchmarks": {
            "conflict": {"kind": "cue_conflict", "images": "conflict"},
            "in_test": {"kind": "in_test", "images": "in"},
        },
    }


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    """The study on this machine without faults, through profiles/local."""
    place = Workspace(tmp_path_factory.mktemp("undisturbed"))
    done = place.snakemake(config=study)
    assert done.returncode == 0, done.stdout
    return place


class FaultyRun:
    """A study that runs on the cluster, and the faults that hit its jobs."""

    def __init__(self, place, cluster, study):
        self.place, self.cluster, self.hit_jobs, self.orphaned_jobs, self.status = place, cluster, {}, [], 1
        # The first attempt of packing has too little memory for Python. The first attempts of training share no node.
        self.arguments = ["--set-resources", "pack:mem_mb=200*attempt**3", "train:mem_mb=9000//attempt"]
        self.started = place.start(*self.arguments, config=study, profile="slurm")
        self.log = place.folder / "started.log"

    def wait(self, done, event):
        end = time.monotonic() + WAIT
        while not done():
            assert self.started.poll() is None, f"Snakemake ended before {event}:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"timed out while waiting for {event}:\n{self.log.read_text()}"
            time.sleep(0.1)

    def jobs(self, regime):
        """Return the numbers of the training jobs of a regime so far."""
        logs = "".join(path.read_text() for path in (self.log, self.place.folder / "again.log") if path.exists())
        return re.findall(rf"SLURM jobid (\d+) \(log: \S+/rule_train/resnet_{regime}_0/", logs)

    def text(self, regime):
        path = self.place.folder / f"logs/train/resnet/{regime}/seed0.log"
        return path.read_text() if path.exists() else ""

    def is_training(self, regime, attempt):
        """Return whether the given attempt of a regime's training has finished a few epochs, and still runs."""
        log, jobs = self.text(regime), self.jobs(regime)
        started = len(jobs) == attempt and (attempt == 1 or "resumes from step" in log)
        return started and len(re.findall(r" epoch \d+ ", log)) >= 3 and self.queue_state(jobs[-1]) == "RUNNING"

    def queue_state(self, job):
        """Return the state of a job in the queue, or an empty string once Slurm has forgotten it."""
        return self.cluster.run("squeue", "-h", "-j", job, "-o", "%T", check=False).strip()

    def cause_faults(self, faults):
        """Cause the fault of each regime once its job is training, in the order in which the jobs get there.

        faults: regime → function of the job's number.
        """
        for _ in FAULTS:
            self.wait(
                lambda: any(self.is_training(regime, 1) for regime in faults), f"one of {', '.join(faults)} to train"
            )
            regime = next(regime for regime in faults if self.is_training(regime, 1))
            [self.hit_jobs[regime]] = self.jobs(regime)
            state = self.cluster.run("squeue", "-h", "-j", self.hit_jobs[regime], "-o", "%T").strip()
            assert state == "RUNNING", f"{regime} has ended before its fault: {state}"
            faults.pop(regime)(self.hit_jobs[regime])

    def node_of(self, job):
        return self.cluster.run("squeue", "-h", "-j", job, "-o", "%N").strip()

    def kill_snakemake(self):
        [snakemake] = children(self.started.pid)  # of nsenter
        os.killpg(self.started.pid, signal.SIGKILL)
        self.started.wait()
        self.cluster.wait(lambda: has_ended(snakemake), WAIT)  # a process that writes to a slow disk ends later
        self.orphaned_jobs = self.cluster.run("squeue", "-h", "-o", "%A").split()
        # Another job of the same user in the same folder, which must survive.
        options = ["--parsable", "--mem=100", "--output=/dev/null", "--chdir", self.place.folder]
        self.bystander = self.cluster.run("sbatch", *options, "--wrap", "sleep 3600").strip()

    def start_again(self, study):
        self.started = self.place.start(*self.arguments, config=study, profile="slurm", log="again.log")
        self.status = self.started.wait(timeout=2 * WAIT)
        self.survived = self.cluster.run("squeue", "-h", "-j", self.bystander, "-o", "%T").strip()
        self.cluster.run("scancel", self.bystander)


@pytest.fixture(scope="module")
def disturbed(study, undisturbed, cluster, cluster_workspace):
    """The study on the cluster with faults: jobs are cancelled, preempted, lost with their node, out of time and out of
    memory. Snakemake is killed while the second attempts run, and then started again. It runs with --configfile.
    """
    place = cluster_workspace()
    place.study = "my study.yaml"  # the folder's config.yaml is that of another study
    shutil.copy(ROOT / "config.yaml", place.folder)
    run = FaultyRun(place, cluster, study)
    try:
        lost = []
        run.cause_faults(
            {
                "lost": lambda job: (lost.append(run.node_of(job)), cluster.break_node(lost[0])),
                "cancelled": lambda job: cluster.run("scancel", job),
                "preempted": lambda job: cluster.run(
                    *("sbatch", "-p", "urgent", "-w", run.node_of(job), "--exclusive", "-o", "/dev/null"),
                    *("--wrap", "true"),
                ),
                "late": lambda job: cluster.run("scontrol", "update", f"JobId={job}", "EndTime=now+1"),
            }
        )
        run.wait(lambda: "RUNNING" not in map(cluster.state, run.hit_jobs.values()), "all hit jobs to end")
        run.wait(lambda: any(run.is_training(regime, 2) for regime in FAULTS), "one of them to resume")
        run.kill_snakemake()
        cluster.start_node(*lost)
        run.start_again(study)
        return run
    finally:
        if run.started.poll() is None:
            os.killpg(run.started.pid, signal.SIGKILL)
            run.started.wait()


def test_each_fault_happened(disturbed):
    states = {regime: disturbed.cluster.state(job) for regime, job in disturbed.hit_jobs.items()}
    assert states == {"cancelled": "CANCELLED", "preempted": "PREEMPTED", "lost": "NODE_FAIL", "late": "TIMEOUT"}
    assert disturbed.orphaned_jobs
    assert "Exceeded job memory limit" in "".join(
        path.read_text() for path in (disturbed.place.folder / "logs/slurm/rule_pack").rglob("*.log")
    )


def test_the_study_recovers_by_itself_with_the_same_bytes_as_an_undisturbed_one(disturbed, undisturbed):
    again = (disturbed.place.folder / "again.log").read_text()
    assert disturbed.status == 0, again
    tables = sorted(path.name for path in (undisturbed.folder / "results/tables").iterdir())
    assert len(tables) > 15
    for name in tables:
        table, expected = (
            (place.folder / "results/tables" / name).read_bytes() for place in (disturbed.place, undisturbed)
        )
        assert table == expected, name
    for regime in FAULTS:
        run = f"results/runs/resnet/{regime}/seed0/model.safetensors"
        assert (disturbed.place.folder / run).read_bytes() == (undisturbed.folder / run).read_bytes(), regime


def test_after_a_kill_of_snakemake_the_same_command_resumes_the_run(disturbed):
    again = (disturbed.place.folder / "again.log").read_text()
    assert "was killed before it could unlock this folder" in again
    [cancelled] = re.findall(r"Cancelled jobs (.*), which an earlier run left behind", again)
    assert set(cancelled.split(", ")) <= set(disturbed.orphaned_jobs)  # some jobs may have ended before
    assert "sbatch accepts all jobs" in again
    assert disturbed.survived == "RUNNING"


def test_training_on_two_nodes_has_the_loss_curve_of_one_process(disturbed):
    runs = disturbed.place.folder / "results/runs/resnet"
    spread, single = (pd.read_csv(runs / regime / "seed0/history.csv") for regime in ("spread", "late"))
    assert len(spread) == 4
    for column in ("train_loss", "val_loss"):
        # Four ranks add numbers in another order, and the difference grows with each step.
        assert spread[column].tolist() == pytest.approx(single[column][:4].tolist(), rel=2e-3), column
        assert spread[column][0] == pytest.approx(single[column][0], rel=1e-4), column
    log = disturbed.text("spread")
    assert sorted(re.findall(r"rank (\d) of 4", log)) == ["0", "1", "2", "3"]
    job = disturbed.jobs("spread")[-1]
    assert disturbed.cluster.run("sacct", "-X", "-n", "-j", job, "--format=NNodes").split() == ["2"]


def test_nothing_is_left_on_the_cluster(disturbed, cluster):
    assert cluster.run("squeue", "-h").strip() == ""
