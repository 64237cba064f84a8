"""The whole demo in small, through profiles/slurm, on a cluster where everything goes wrong that can."""

import os
import re
import shutil
import signal
import time

import pandas as pd
import pytest
import yaml
from helpers import ROOT
from workspaces import Workspace

WAIT = 300  # seconds for anything to happen
EPOCHS = 70
# Each is a regime, named for what befalls its job; they train alike.
FAULTS = ("cancelled", "preempted", "lost", "late")
TINY = {"timm": "resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}}


@pytest.fixture(scope="module")
def study():
    """Drawn photographs in three shards, one tiny network; jobs of seventy short epochs, and one of four ranks."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    alike = {name: {"train_on": ["in"]} for name in FAULTS}
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
        "regimes": {**alike, "spread": spread, "sin": sin},
        "training": {"epochs": EPOCHS, "batch_size": 32, "lr": 0.01, "schedule": "constant", "patience": 0},
        "benchmarks": {
            "conflict": {"kind": "cue_conflict", "images": "conflict"},
            "in_test": {"kind": "in_test", "images": "in"},
        },
    }


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    """The study on this machine alone, by profiles/local."""
    place = Workspace(tmp_path_factory.mktemp("undisturbed"))
    done = place.snakemake(config=study)
    assert done.returncode == 0, done.stdout
    return place


class Fate:
    """A study that runs on the cluster, and what becomes of its jobs."""

    def __init__(self, place, cluster, study):
        self.place, self.cluster, self.struck, self.left_behind, self.status = place, cluster, {}, [], 1
        # A first try of packing that has too little memory for Python; first tries of training that share no node.
        self.arguments = ["--set-resources", "pack:mem_mb=200*attempt**3", "train:mem_mb=9000//attempt"]
        self.started = place.start(*self.arguments, config=study, profile="slurm")
        self.log = place.folder / "started.log"

    def wait(self, done, what):
        end = time.monotonic() + WAIT
        while not done():
            assert self.started.poll() is None, f"Snakemake ended before {what}:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.log.read_text()}"
            time.sleep(0.1)

    def jobs(self, regime):
        """The numbers of the jobs of a regime's training so far."""
        said = "".join(path.read_text() for path in (self.log, self.place.folder / "again.log") if path.exists())
        return re.findall(rf"SLURM jobid (\d+) \(log: \S+/rule_train/resnet_{regime}_0/", said)

    def text(self, regime):
        path = self.place.folder / f"logs/train/resnet/{regime}/seed0.log"
        return path.read_text() if path.exists() else ""

    def under_way(self, regime, tries):
        """Whether the job of the given try has trained a few epochs."""
        said = self.text(regime)
        begun = len(self.jobs(regime)) == tries and (tries == 1 or "resumes from step" in said)
        return begun and len(re.findall(r" epoch \d+ ", said)) >= 3

    def befall(self, acts):
        """regime → what happens to its job as soon as that is under way, whichever is first."""
        for _ in FAULTS:
            self.wait(lambda: any(self.under_way(regime, 1) for regime in acts), f"one of {', '.join(acts)} to train")
            regime = next(regime for regime in acts if self.under_way(regime, 1))
            [self.struck[regime]] = self.jobs(regime)
            state = self.cluster.run("squeue", "-h", "-j", self.struck[regime], "-o", "%T").strip()
            assert state == "RUNNING", f"{regime} has ended before anything befell it: {state}"
            acts.pop(regime)(self.struck[regime])

    def node_of(self, job):
        return self.cluster.run("squeue", "-h", "-j", job, "-o", "%N").strip()

    def kill_snakemake(self):
        os.killpg(self.started.pid, signal.SIGKILL)
        self.started.wait()
        self.left_behind = self.cluster.run("squeue", "-h", "-o", "%A").split()
        # Another job of the same user in the same folder, which nobody may end.
        options = ["--parsable", "--mem=100", "--output=/dev/null", "--chdir", self.place.folder]
        self.bystander = self.cluster.run("sbatch", *options, "--wrap", "sleep 3600").strip()

    def start_again(self, study):
        self.started = self.place.start(*self.arguments, config=study, profile="slurm", log="again.log")
        self.status = self.started.wait(timeout=2 * WAIT)
        self.survived = self.cluster.run("squeue", "-h", "-j", self.bystander, "-o", "%T").strip()
        self.cluster.run("scancel", self.bystander)


@pytest.fixture(scope="module")
def disturbed(study, undisturbed, cluster, on_cluster):
    """The study on the cluster, by --configfile: jobs are cancelled, preempted, lost with their node, out of time, out
    of memory; then Snakemake is killed while their second tries run, and started again.
    """
    place = on_cluster()
    place.study = "my study.yaml"  # beside another one, of which the folder's config.yaml tells
    shutil.copy(ROOT / "config.yaml", place.folder)
    fate = Fate(place, cluster, study)
    try:
        lost = []
        fate.befall(
            {
                "lost": lambda job: (lost.append(fate.node_of(job)), cluster.break_node(lost[0])),
                "cancelled": lambda job: cluster.run("scancel", job),
                "preempted": lambda job: cluster.run(
                    *("sbatch", "-p", "urgent", "-w", fate.node_of(job), "--exclusive", "-o", "/dev/null"),
                    *("--wrap", "true"),
                ),
                "late": lambda job: cluster.run("scontrol", "update", f"JobId={job}", "EndTime=now+1"),
            }
        )
        fate.wait(lambda: "RUNNING" not in map(cluster.state, fate.struck.values()), "all of them to end")
        fate.wait(lambda: any(fate.under_way(regime, 2) for regime in FAULTS), "one of them to go on")
        fate.kill_snakemake()
        cluster.start_node(*lost)
        fate.start_again(study)
        return fate
    finally:
        if fate.started.poll() is None:
            os.killpg(fate.started.pid, signal.SIGKILL)
            fate.started.wait()


def test_each_fault_happened(disturbed):
    states = {regime: disturbed.cluster.state(job) for regime, job in disturbed.struck.items()}
    assert states == {"cancelled": "CANCELLED", "preempted": "PREEMPTED", "lost": "NODE_FAIL", "late": "TIMEOUT"}
    assert disturbed.left_behind
    assert "Exceeded job memory limit" in "".join(
        path.read_text() for path in (disturbed.place.folder / "logs/slurm/rule_pack").rglob("*.log")
    )


def test_the_study_ends_without_a_hand_and_its_tables_are_those_of_an_undisturbed_one_to_the_byte(
    disturbed, undisturbed
):
    again = (disturbed.place.folder / "again.log").read_text()
    assert disturbed.status == 0, again
    tables = sorted(path.name for path in (undisturbed.folder / "results/tables").iterdir())
    assert len(tables) > 15
    for name in tables:
        mine, other = (
            (place.folder / "results/tables" / name).read_bytes() for place in (disturbed.place, undisturbed)
        )
        assert mine == other, name
    for regime in FAULTS:
        run = f"results/runs/resnet/{regime}/seed0/model.safetensors"
        assert (disturbed.place.folder / run).read_bytes() == (undisturbed.folder / run).read_bytes(), regime


def test_a_killed_snakemake_is_started_again_with_no_more_than_the_same_command(disturbed):
    again = (disturbed.place.folder / "again.log").read_text()
    assert "was killed before it could unlock this folder" in again
    [cancelled] = re.findall(r"Jobs (.*) were left behind", again)
    assert set(cancelled.split(", ")) <= set(disturbed.left_behind)  # some may have ended before
    assert "sbatch takes all jobs" in again
    assert disturbed.survived == "RUNNING"


def test_training_on_two_nodes_has_the_loss_curve_of_one_process(disturbed):
    runs = disturbed.place.folder / "results/runs/resnet"
    spread, single = (pd.read_csv(runs / regime / "seed0/history.csv") for regime in ("spread", "late"))
    assert len(spread) == 4
    for column in ("train_loss", "val_loss"):
        # Four ranks add up in another order, and each step makes more of that.
        assert spread[column].tolist() == pytest.approx(single[column][:4].tolist(), rel=2e-3), column
        assert spread[column][0] == pytest.approx(single[column][0], rel=1e-4), column
    said = disturbed.text("spread")
    assert sorted(re.findall(r"rank (\d) of 4", said)) == ["0", "1", "2", "3"]
    job = disturbed.jobs("spread")[-1]
    assert disturbed.cluster.run("sacct", "-X", "-n", "-j", job, "--format=NNodes").split() == ["2"]


def test_nothing_is_left_on_the_cluster(disturbed, cluster):
    assert cluster.run("squeue", "-h").strip() == ""
