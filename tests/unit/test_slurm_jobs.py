"""What becomes of jobs, as Slurm's commands tell it. Against a real cluster: tests/slurm."""

import json

import pytest
from helpers import stand_in

from shapebias import slurm_jobs
from shapebias.errors import UserError


@pytest.mark.parametrize(
    ("job", "ids"),
    [
        ("12", ["12"]),
        ("12_3", ["12_3"]),
        ("12_[3-5,9%2]", ["12_3", "12_4", "12_5", "12_9"]),
        ("12_[0-6:3]", ["12_0", "12_3", "12_6"]),
        ("12_[7]", ["12_7"]),
        ("12.batch", ["12.batch"]),
    ],
)
def test_tasks_that_wait_are_told_one_by_one(job, ids):
    """In the notation of `sbatch --array`."""
    assert slurm_jobs.task_ids(job) == ids


def test_each_task_of_an_array_has_its_own_state_and_a_cancelled_job_is_cancelled_whoever_did_it():
    told = {"7_1": "COMPLETED", "7_2": "FAILED", "7_[3-4]": "PENDING", "8": "CANCELLED by 1000", "9": ""}
    assert slurm_jobs.states(told) == {
        "7_1": "COMPLETED",
        "7_2": "FAILED",
        "7_3": "PENDING",
        "7_4": "PENDING",
        "8": "CANCELLED",
    }


def test_arrays_are_as_long_as_one_argument_allows():
    jobs = list(range(500))
    parts = slurm_jobs.arrays(jobs, [1800] * 500)
    assert [job for part in parts for job in part] == jobs
    assert max(map(len, parts)) == 55  # 55 × 1,800 = 99,000 bytes, of 100,000
    assert slurm_jobs.arrays(jobs[:3], [10, 10, 10**6]) == [[0], [1], [2]]


@pytest.fixture
def commands(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_squeue_that_does_not_answer_is_not_an_empty_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    with pytest.raises(UserError, match=r"squeue does not answer \(.*Socket timed out\)"):
        slurm_jobs.queued("--name", "run")


def test_a_job_that_slurm_has_forgotten_is_not_in_the_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert slurm_jobs.queued("--jobs", "12") == []


def test_where_slurm_is_not_nothing_is_queued_and_nothing_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_jobs.queued("--name", "run") == []
    assert not slurm_jobs.answers("sacct", "-X")


def test_a_task_that_is_in_no_record_any_more_was_cancelled_while_it_waited(commands):
    """Slurm 22.05 was seen to keep no record of such a task."""
    stand_in(commands, "squeue", "true")
    watch, active = slurm_jobs.Watch(), ["7_1", "7_2", "8"]
    assert watch.look({"7_[1-2]": "PENDING"}, active) == {"7_1": "PENDING", "7_2": "PENDING"}
    assert watch.look({"7_1": "RUNNING"}, active) == {"7_1": "RUNNING"}  # records may be late once
    assert watch.look({}, active) == {}  # a look that fails says nothing
    assert watch.look({"7_1": "RUNNING"}, active) == {"7_1": "RUNNING", "7_2": "CANCELLED"}
    assert watch.states["7_2"] == "CANCELLED" and "8" not in watch.states  # 8 has not reached the records yet


def test_a_job_that_never_was_in_any_record_is_given_up_when_records_cannot_be_late_any_more(commands, monkeypatch):
    """A controller that broke down a moment after it had taken a job was seen to have lost it."""
    stand_in(commands, "squeue", "true")
    watch, clock = slurm_jobs.Watch(), iter([0, 60, 599, 601])
    monkeypatch.setattr(slurm_jobs.time, "monotonic", lambda: next(clock))
    looks = [watch.look({"7": "RUNNING"}, ["7", "8"]) for _ in range(4)]
    assert looks == [{"7": "RUNNING"}] * 3 + [{"7": "RUNNING", "8": "CANCELLED"}]


def test_a_job_that_is_in_the_queue_is_not_given_up(commands):
    stand_in(commands, "squeue", "echo 7")
    watch = slurm_jobs.Watch()
    for _ in range(3):
        assert watch.look({"7_1": "RUNNING"}, ["7_1", "7_2"]) == {"7_1": "RUNNING"}


def test_jobs_are_cancelled_and_waited_for_and_an_array_is_one_job(commands):
    left = commands / "left"
    left.write_text("7\n7\n9\n")
    stand_in(commands, "scancel", f'echo "$@" > {commands}/cancelled; : > {left}')
    stand_in(commands, "squeue", f"cat {left}")
    jobs = slurm_jobs.queued("--name", "run")
    assert jobs == ["7", "9"] and slurm_jobs.cancel(jobs) == []
    assert (commands / "cancelled").read_text().split() == jobs


def test_jobs_that_do_not_end_are_named(commands):
    stand_in(commands, "scancel", "true")
    stand_in(commands, "squeue", f"printf '%s\\n' {json.dumps('7')}")
    assert slurm_jobs.cancel(["7", "9"], patience=0.1) == ["7"]


def test_a_command_that_fails_once_is_tried_again_where_that_is_wanted(commands):
    failing = f"test -e {commands}/once || {{ touch {commands}/once; exit 1; }}"
    stand_in(commands, "sacct", failing)
    assert not slurm_jobs.answers("sacct", "-X")
    (commands / "once").unlink()
    assert slurm_jobs.answers("sacct", "-X", tries=2, pause=0)
