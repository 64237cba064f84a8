"""Submitting to a cluster that is busy. On a real cluster: tests/slurm."""

import threading
from functools import partial

import pytest
from helpers import stand_in

from shapebias.cluster.submission import submit
from shapebias.errors import UserError


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """A folder of stand-ins for Slurm's commands, before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def sbatch(folder, refusals, words):
    """A stand-in for sbatch, which refuses so many times, and then keeps its script and prints a number."""
    count = f"n=$(cat {folder}/count 2>/dev/null || echo 0); echo $((n + 1)) > {folder}/count"
    refuse = f"test $n -ge {refusals} || {{ echo '{words}' >&2; exit 1; }}"
    stand_in(folder, "sbatch", f'{count}; {refuse}; cat > {folder}/script; echo "$@" > {folder}/options; echo 12')


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def submit_now(warnings):
    """`submit` of a short script, with a short pause."""
    names = {"name": "a-run", "comment": "rule_pack_1.1", "warn": warnings.append, "pause": 0.01}
    return partial(submit, ["sbatch", "--parsable", "-D", "my folder"], "true\n", leaving=threading.Event(), **names)


def test_a_script_is_submitted_as_it_is(commands, submit_now):
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
def test_a_cluster_that_takes_no_jobs_now_is_asked_again_with_one_warning(commands, submit_now, warnings, words):
    sbatch(commands, 3, words)
    assert submit_now() == "12"
    [warning] = warnings
    assert words.removeprefix("sbatch: error: ") in warning and "asked again" in warning


def test_a_refusal_that_will_not_change_is_an_error_at_once(commands, submit_now, warnings):
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Invalid qos specification")
    with pytest.raises(UserError, match="Invalid qos specification"):
        submit_now()
    assert warnings == []


def test_a_job_whose_number_was_lost_on_the_way_is_found_and_not_submitted_twice(commands, submit_now):
    stand_in(commands, "squeue", f"echo '11 rule_pack_0.1'; echo '14 rule_pack_1.1'; echo $* > {commands}/asked")
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    assert submit_now() == "14"
    assert (commands / "count").read_text() == "1\n"
    assert (commands / "asked").read_text() == "--noheader --format=%A %k --name a-run --states all\n"


def test_where_squeue_does_not_answer_either_both_are_asked_again(commands, submit_now):
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    stand_in(commands, "squeue", f"test -e {commands}/once || {{ touch {commands}/once; echo timeout >&2; exit 1; }}")
    assert submit_now() == "12"
    assert (commands / "once").exists() and (commands / "count").read_text() == "2\n"


def test_a_run_that_is_ending_submits_nothing(commands, submit_now):
    leaving = threading.Event()
    leaving.set()
    sbatch(commands, 0, "")
    with pytest.raises(UserError, match="the run is ending"):
        submit_now(leaving=leaving)
    assert not (commands / "count").exists()


def test_the_number_is_found_among_other_lines_that_a_site_prints(commands, submit_now):
    stand_in(commands, "sbatch", "echo Charging project 7; echo '12;north'")
    assert submit_now() == "12"
    stand_in(commands, "sbatch", "echo Submitted")
    stand_in(commands, "squeue", "echo '14 rule_pack_1.1'")
    assert submit_now() == "14"
