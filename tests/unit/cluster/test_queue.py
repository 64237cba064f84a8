"""Job states parsed from the output of Slurm's commands. Tests on a real cluster: tests/slurm."""

import pytest
from helpers import stand_in

from shapebias.cluster import queue
from shapebias.errors import UserError


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Return a folder for fake Slurm commands, first in PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for command in ("squeue", "sacct"):
        stand_in(tmp_path, command, "true")
    return tmp_path


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that the test sets, in seconds."""
    hand = [0.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: hand[0])
    return hand


def test_a_failing_squeue_is_not_an_empty_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Socket timed out' >&2; exit 1")
    with pytest.raises(UserError, match=r"squeue does not answer \(.*Socket timed out\)"):
        queue.queued_jobs("--name", "run")
    with pytest.raises(UserError, match="squeue does not answer"):
        queue.JobStates("run").query(["7"])


def test_a_job_unknown_to_slurm_is_not_in_the_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queue.queued_jobs("--jobs", "12") == []


def test_without_slurm_the_queue_is_empty(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.queued_jobs("--name", "run") == []


def test_one_squeue_call_queries_all_jobs(commands):
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


def test_states_of_jobs_missing_from_the_queue_come_from_accounting(commands):
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
def test_a_job_missing_from_queue_and_accounting_is_lost_after_two_minutes(commands, clock, accounting):
    """Slurm 22.05 keeps no record of some jobs that are cancelled while pending.

    A controller that crashed just after accepting a job has also lost it.
    """
    stand_in(commands, "sacct", accounting)
    states = queue.JobStates("a-run")
    assert states.query(["7"]) == {}
    clock[0] = 119
    assert states.query(["7"]) == {}
    clock[0] = 120
    assert states.query(["7"]) == {"7": ("LOST", "")}


def test_a_job_that_reappears_in_the_queue_is_not_lost(commands, clock):
    states = queue.JobStates("a-run")
    assert states.query(["7"]) == {}
    clock[0] = 100
    stand_in(commands, "squeue", "echo '7 PENDING 0'")
    assert states.query(["7"]) == {"7": ("PENDING", "0")}
    clock[0] = 200
    stand_in(commands, "squeue", "true")
    assert states.query(["7"]) == {}


def test_cancelling_a_name_waits_until_its_jobs_end(commands):
    remaining = commands / "remaining"
    remaining.write_text("7\n9\n")
    stand_in(commands, "scancel", f'echo "$@" > {commands}/cancelled; : > {remaining}')
    stand_in(commands, "squeue", f"cat {remaining}")
    assert queue.cancel_jobs("a-run") == ["7", "9"]
    assert (commands / "cancelled").read_text().split() == ["--name", "a-run"]


def test_jobs_that_do_not_end_are_reported(commands):
    stand_in(commands, "scancel", "true")
    stand_in(commands, "squeue", "echo 7")
    with pytest.raises(UserError, match=r"jobs 7 do not end; wait for an empty `squeue`"):
        queue.cancel_jobs("a-run", patience=0.1)
