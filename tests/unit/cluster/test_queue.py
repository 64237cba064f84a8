"""The states of jobs, from what Slurm's commands print. On a real cluster: tests/slurm."""

import pytest
from helpers import stand_in

from shapebias.cluster import queue
from shapebias.errors import UserError


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """A folder of stand-ins for Slurm's commands, before all others; squeue is asked twice."""
    monkeypatch.setattr(queue, "PAUSES", (0.0, 0.01))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
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
        queue.queued("--name", "run")


def test_a_squeue_that_is_busy_once_is_asked_again(commands):
    stand_in(commands, "squeue", f"test -e {commands}/once || {{ touch {commands}/once; exit 1; }}; echo 7")
    assert queue.queued("--name", "run") == ["7"]


def test_a_job_that_slurm_has_forgotten_is_not_in_the_queue(commands):
    stand_in(commands, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queue.queued("--jobs", "12") == []


def test_where_slurm_is_not_nothing_is_queued_and_there_is_no_accounting(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.queued("--name", "run") == []
    assert not queue.has_accounting()


def test_a_database_that_is_busy_once_is_asked_again(commands):
    stand_in(commands, "sacct", f"test -e {commands}/once || {{ touch {commands}/once; exit 1; }}")
    assert queue.has_accounting()
    stand_in(commands, "sacct", "exit 1")
    assert not queue.has_accounting()


def test_all_jobs_are_asked_about_at_once_and_a_cancelled_job_is_cancelled_whoever_did_it(commands):
    rows = "1|COMPLETED|0:0\n2|CANCELLED by 1000|0:15\n3|FAILED|78:0\n4|PENDING|0:0\n5||\n"
    (commands / "rows").write_text(rows)
    stand_in(commands, "sacct", f'echo "$*" >> {commands}/asked; cat {commands}/rows')
    answers = queue.JobStates("a-run").ask(["1", "2", "3", "4"])
    assert answers == {
        "1": ("COMPLETED", "0:0"),
        "2": ("CANCELLED", "0:15"),
        "3": ("FAILED", "78:0"),
        "4": ("PENDING", "0:0"),
    }
    _, question = (commands / "asked").read_text().splitlines()  # the first: whether it answers
    assert question.endswith("--name a-run")


def test_without_accounting_squeue_is_asked(commands):
    stand_in(commands, "squeue", "echo '7|RUNNING|'")
    assert queue.JobStates("a-run").ask(["7"]) == {"7": ("RUNNING", "")}


def test_a_question_that_fails_says_nothing_of_any_job(commands):
    stand_in(commands, "squeue", "echo 'Socket timed out' >&2; exit 1")
    with pytest.raises(UserError, match="squeue does not answer"):
        queue.JobStates("a-run").ask(["7"])


def test_a_known_job_that_leaves_all_records_is_lost_after_half_a_minute(commands, clock):
    """Slurm 22.05 keeps no record of some jobs that are cancelled while they wait."""
    stand_in(commands, "squeue", 'case "$*" in *--jobs*) ;; *) cat $(dirname $0)/rows;; esac')
    states, rows = queue.JobStates("a-run"), commands / "rows"
    rows.write_text("7|PENDING|\n")
    assert states.ask(["7"]) == {"7": ("PENDING", "")}
    rows.write_text("")
    assert states.ask(["7"]) == {}
    clock[0] = 29
    assert states.ask(["7"]) == {}
    clock[0] = 30
    assert states.ask(["7"]) == {"7": ("LOST", "")}


def test_a_job_that_no_record_ever_had_is_lost_after_ten_minutes(commands, clock):
    """A controller that broke down a moment after it had taken a job was seen to lose it."""
    stand_in(commands, "squeue", "true")
    states = queue.JobStates("a-run")
    assert states.ask(["8"]) == {}
    clock[0] = 599
    assert states.ask(["8"]) == {}
    clock[0] = 600
    assert states.ask(["8"]) == {"8": ("LOST", "")}


def test_a_job_that_is_in_the_queue_is_not_lost(commands, clock):
    stand_in(commands, "squeue", 'case "$*" in *--jobs*) echo PENDING;; esac')
    states = queue.JobStates("a-run")
    states.ask(["7"])
    clock[0] = 9999
    assert states.ask(["7"]) == {"7": ("PENDING", "")}


def test_a_job_that_ended_before_accounting_knew_of_it_is_not_lost(commands, clock):
    stand_in(commands, "sacct", "true")
    stand_in(commands, "squeue", 'case "$*" in *--states=all*--jobs*) echo COMPLETED;; esac')
    states = queue.JobStates("a-run")
    states.ask(["7"])
    clock[0] = 600
    assert states.ask(["7"]) == {"7": ("COMPLETED", "")}


def test_all_jobs_of_a_name_are_cancelled_and_waited_for(commands):
    remaining = commands / "remaining"
    remaining.write_text("7\n9\n")
    stand_in(commands, "scancel", f'echo "$@" > {commands}/cancelled; : > {remaining}')
    stand_in(commands, "squeue", f"cat {remaining}")
    assert queue.cancel("a-run") == (["7", "9"], [])
    assert (commands / "cancelled").read_text().split() == ["--name", "a-run"]


def test_jobs_that_do_not_end_are_named(commands):
    stand_in(commands, "scancel", "true")
    stand_in(commands, "squeue", "echo 7")
    assert queue.cancel("a-run", patience=0.1) == (["7"], ["7"])
