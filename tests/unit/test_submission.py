"""Submitting to a cluster that is busy. Against a real cluster: tests/slurm."""

import threading

import pytest
from helpers import stand_in

from shapebias.submission import Submission

# As the executor writes it.
MARKED = "--parsable --job-name a-run --output logs/%j.log --export=ALL --comment rule_pack_wildcards_in_1 --mem 900"


@pytest.fixture
def commands(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(Submission, "made", set())
    return tmp_path


def sbatch(folder, refusals, words):
    """A stand-in for sbatch, which refuses so many times, and prints a number and its arguments then."""
    counting = f"n=$(cat {folder}/count 2>/dev/null || echo 0); echo $((n + 1)) > {folder}/count"
    stand_in(folder, "sbatch", f"{counting}; test $n -ge {refusals} || {{ echo '{words}' >&2; exit 1; }}; echo 12 $*")


def submit(words="sbatch --parsable"):
    call = Submission(words, shell=True, text=True, stdin=-1, stdout=-1, stderr=-1)
    return call, call.communicate(input=None)


@pytest.fixture
def impatient(monkeypatch):
    """What is told of refusals; the pause between two of them is short."""
    told = []
    monkeypatch.setattr(Submission, "PAUSE", 0.01)
    monkeypatch.setattr(Submission, "warn", staticmethod(told.append))
    return told


def test_a_cluster_that_does_not_answer_is_asked_again_and_that_is_told_once(commands, impatient):
    sbatch(
        commands, 3, "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
    )
    call, (out, err) = submit()
    assert (call.returncode, out, err) == (0, "12 --parsable\n", "")
    [told] = impatient
    assert "Unable to contact slurm controller" in told


@pytest.mark.parametrize("limit", ["AssocMaxSubmitJobLimit", "QOSMaxSubmitJobPerUserLimit", "AssocGrpSubmitJobsLimit"])
def test_a_user_with_as_many_jobs_as_allowed_waits_until_one_ends(commands, impatient, limit):
    stand_in(commands, "squeue", "echo 11")
    sbatch(commands, 1, f"sbatch: error: {limit}")
    call, (out, _) = submit()
    assert (call.returncode, out) == (0, "12 --parsable\n")


def test_a_limit_that_no_end_of_a_job_makes_room_in_is_told_with_the_setting(commands, impatient):
    stand_in(commands, "squeue", "true")
    sbatch(commands, 9, "sbatch: error: AssocMaxSubmitJobLimit")
    call, (_, err) = submit()
    assert call.returncode == 1
    assert "AssocMaxSubmitJobLimit" in err and "set `jobs` in the profile" in err


def test_what_will_not_change_is_not_asked_again(commands, impatient):
    words = "Batch job submission failed: Invalid qos specification"
    sbatch(commands, 1, f"sbatch: error: {words}")
    call, (_, err) = submit()
    assert call.returncode == 1 and words in err and impatient == []


def test_a_job_whose_number_was_lost_on_the_way_is_found_and_not_made_twice(commands, impatient):
    rows = "echo '11 rule_pack_wildcards_in_0'; echo '13 rule_pack_wildcards_in_1'; echo '14 rule_pack_wildcards_in_1'"
    stand_in(commands, "squeue", f"{rows}; echo $* > {commands}/asked")
    Submission.made.add("13")  # an earlier attempt
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    call, (out, err) = submit(f"sbatch {MARKED}")
    assert (call.returncode, out, err) == (0, "14\n", "")
    assert (commands / "count").read_text() == "1\n"
    assert (commands / "asked").read_text() == "--noheader --format=%F %k --name a-run --states all\n"
    # It is known now: the next one of these words is another job.
    (commands / "count").unlink()
    _, (out, _) = submit(f"sbatch {MARKED}")
    assert out.startswith("12 --parsable")


def test_where_squeue_does_not_answer_either_the_job_is_not_asked_for_again(commands, impatient):
    sbatch(commands, 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    later = f"test -e {commands}/once || {{ touch {commands}/once; echo timeout >&2; exit 1; }}"
    stand_in(commands, "squeue", later)
    call, (out, _) = submit(f"sbatch {MARKED}")
    assert (commands / "once").exists()
    assert call.returncode == 0 and out.startswith("12 --parsable")


def test_who_leaves_submits_nothing_any_more(commands, impatient, monkeypatch):
    monkeypatch.setattr(Submission, "leaving", threading.Event())
    Submission.leaving.set()
    sbatch(commands, 1, "sbatch: error: Unable to contact slurm controller")
    call, _ = submit()
    assert call.returncode == 1 and impatient == []
