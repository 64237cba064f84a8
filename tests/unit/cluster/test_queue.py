"""The states of jobs, from what Slurm's commands print. On a real cluster: tests/slurm."""

import pytest
from helpers import stand_in

from shapebias.cluster import queue
from shapebias.errors import UserError


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """A folder of stand-ins for Slurm's commands, before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for command in ("squeue", "sacct"):
        stand_in(tmp_path, command, "true")
    return tmp_path


@pytest.fixture
def clock(monkeypatch):
    """A clock whose hand the test moves, seconds."""
    hand = [0.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: hand[0])
    return hand


def test_a_squeue_that_does_not_answer_is_not_an_empty_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    with pytest.raises(UserError, match=r"squeue does not answer \(.*Socket timed out\)"):
        queue.queued_jobs("--name", "run")
    with pytest.raises(UserError, match="squeue does not answer"):
        queue.JobStates("run").query(["7"])


def test_a_job_that_slurm_has_forgotten_is_not_in_the_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queue.queued_jobs("--jobs", "12") == []


def test_where_slurm_is_not_nothing_is_queued(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.queued_jobs("--name", "run") == []


def test_one_question_about_the_queue_is_about_all_jobs(commands):
    rows = "1 COMPLETED 0\n2 CANCELLED 15\n3 FAILED 19968\n4 PENDING 0\n"
    (commands / "rows").write_text(rows)
    stand_in(commands, "squeue", f'echo "$*" >> {commands}/questions; cat {commands}/rows')
    stand_in(commands, "sacct", f"echo sacct >> {commands}/questions")
    assert queue.JobStates("a-run").query(["1", "2", "3", "4"]) == {
        "1": ("COMPLETED", "0"),
        "2": ("CANCELLED", "15"),
        "3": ("FAILED", "19968"),
        "4": ("PENDING", "0"),
    }
    [question] = (commands / "questions").read_text().splitlines()
    assert question.endswith("--name a-run")


def test_accounting_is_asked_about_jobs_that_the_queue_has_forgotten(commands):
    stand_in(commands, "squeue", "echo '7 RUNNING 0'")
    rows = "5 CANCELLED by 1000 0:15\n6 FAILED 78:0\n"
    (commands / "rows").write_text(rows)
    stand_in(commands, "sacct", f'echo "$*" > {commands}/question; cat {commands}/rows')
    assert queue.JobStates("a-run").query(["5", "6", "7"]) == {
        "5": ("CANCELLED", "0:15"),
        "6": ("FAILED", "78:0"),
        "7": ("RUNNING", "0"),
    }
    assert (commands / "question").read_text().endswith("--jobs 5,6\n")


@pytest.mark.parametrize("accounting", ["true", "exit 1", "echo '7 RUNNING 0:0'"])
def test_a_job_that_the_queue_has_lost_and_accounting_does_not_see_ended_is_lost_after_two_minutes(
    commands, clock, accounting
):
    """Slurm 22.05 keeps no record of some jobs that are cancelled while they wait; a controller that broke down a
    moment after it had taken a job was seen to lose it.
    """
    stand_in(commands, "sacct", accounting)
    states = queue.JobStates("a-run")
    assert states.query(["7"]) == {}
    clock[0] = 119
    assert states.query(["7"]) == {}
    clock[0] = 120
    assert states.query(["7"]) == {"7": ("LOST", "")}


def test_a_job_that_is_in_the_queue_again_was_not_lost(commands, clock):
    states = queue.JobStates("a-run")
    assert states.query(["7"]) == {}
    clock[0] = 100
    stand_in(commands, "squeue", "echo '7 PENDING 0'")
    assert states.query(["7"]) == {"7": ("PENDING", "0")}
    clock[0] = 200
    stand_in(commands, "squeue", "true")
    assert states.query(["7"]) == {}


def test_all_jobs_of_a_name_are_cancelled_and_waited_for(commands):
    remaining = commands / "remaining"
    remaining.write_text("7\n9\n")
    stand_in(commands, "scancel", f'echo "$@" > {commands}/cancelled; : > {remaining}')
    stand_in(commands, "squeue", f"cat {remaining}")
    assert queue.cancel_jobs("a-run") == ["7", "9"]
    assert (commands / "cancelled").read_text().split() == ["--name", "a-run"]


def test_jobs_that_do_not_end_are_named(commands):
    stand_in(commands, "scancel", "true")
    stand_in(commands, "squeue", "echo 7")
    with pytest.raises(UserError, match=r"jobs 7 do not end; wait for an empty `squeue`"):
        queue.cancel_jobs("a-run", patience=0.1)
