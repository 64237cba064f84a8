"""Submitting jobs to a busy cluster. Tests on a real cluster: tests/slurm."""

import threading
from functools import partial

import pytest
from helpers import stand_in

from shapebias.cluster.submission import submit
from shapebias.errors import UserError


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Return a folder for fake Slurm commands, first in PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def sbatch(folder, refusals, words):
    """Install a fake sbatch that refuses `refusals` times, then saves its script and prints a job id."""
    count = f"n=$(cat {folder}/count 2>/dev/null || echo 0); echo $((n + 1)) > {folder}/count"
    refuse = f"test $n -ge {refusals} || {{ echo '{words}' >&2; exit 1; }}"
    stand_in(folder, "sbatch", f'{count}; {refuse}; cat > {folder}/script; echo "$@" > {folder}/options; echo 12')


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def submit_now(warnings):
    """Return a function that submits a short script with a short pause."""
    names = {"name": "a-run", "comment": "rule_pack_1.1", "warn": warnings.append, "pause": 0.01}
    return partial(submit, ["sbatch", "--parsable", "-D", "my folder"], "true\n", leaving=threading.Event(), **names)


def test_a_script_is_submitted_unchanged(commands, submit_now):
    sbatch(commands, 0, "")
    assert submit_now() == "12"
    assert (commands / "script").read_text() == "true\n"
    assert (commands / "options").read_text() == "--parsable -D my folder\n"


@pytest.mark.parametrize(
    "words",
    [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: AssocMaxSubmitJobLimit",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit",
        "sbatch: error: AssocGrpSubmitJobsLimit",
    ],
)
def test_a_busy_cluster_is_retried_with_one_warning(commands, submit_now, warnings, words):
    sbatch(commands, 3, words)
    assert submit_now() == "12"
    [warning] = warnings
    assert words.removeprefix("sbatch: error: ") in warning and "retrying every" in warning


def test_a_permanent_refusal_is_an_error_at_once(commands, submit_now, warnings):
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Invalid qos specification")
    with pytest.raises(UserError, match="Invalid qos specification"):
        submit_now()
    assert warnings == []


def test_a_job_with_a_lost_reply_is_found_and_not_submitted_twice(commands, submit_now):
    stand_in(commands, "squeue", f"echo '11 rule_pack_0.1'; echo '14 rule_pack_1.1'; echo $* > {commands}/asked")
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    assert submit_now() == "14"
    assert (commands / "count").read_text() == "1\n"
    assert (commands / "asked").read_text() == "--noheader --format=%A %k --name a-run --states all\n"


def test_if_squeue_fails_too_both_commands_are_retried(commands, submit_now):
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    stand_in(commands, "squeue", f"test -e {commands}/once || {{ touch {commands}/once; echo timeout >&2; exit 1; }}")
    assert submit_now() == "12"
    assert (commands / "once").exists() and (commands / "count").read_text() == "2\n"


def test_an_ending_run_submits_nothing(commands, submit_now):
    leaving = threading.Event()
    leaving.set()
    sbatch(commands, 0, "")
    with pytest.raises(UserError, match="the run is ending"):
        submit_now(leaving=leaving)
    assert not (commands / "count").exists()


def test_the_job_id_is_found_among_other_lines(commands, submit_now):
    stand_in(commands, "sbatch", "echo Charging project 7; echo '12;north'")
    assert submit_now() == "12"
    stand_in(commands, "sbatch", "echo Submitted")
    stand_in(commands, "squeue", "echo '14 rule_pack_1.1'")
    assert submit_now() == "14"
