"""Starts of Snakemake: which of them have ended. On a real cluster: tests/slurm."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial

import psutil
import pytest
from helpers import stand_in

from shapebias import starts


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """In a folder of its own, on a machine without Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("SLURM_JOB_ID", "SLURMD_NODENAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def squeue(tmp_path):
    """A function that puts a stand-in for squeue in place."""
    return partial(stand_in, tmp_path, "squeue")


def test_a_record_says_what_a_later_start_needs():
    own = starts.own()
    assert (own.host, own.pid, own.job, own.run) == (socket.gethostname(), os.getpid(), None, None)
    own.write()
    replace(own, run="name-of-jobs").write()
    assert starts.recorded() == [replace(own, run="name-of-jobs")]
    own.remove()
    own.remove()
    assert starts.recorded() == []


def test_a_start_that_ends_while_it_is_read_of_is_none(tmp_path):
    starts.FOLDER.mkdir(parents=True)
    (starts.FOLDER / "gone.json").symlink_to(tmp_path / "nothing")
    assert starts.recorded() == []


def test_signs_of_life_are_the_times_of_its_file():
    own = starts.own()
    assert own.seen == 0
    own.live()  # of a folder that somebody cleaned
    own.write()
    os.utime(own.path, (1000, 1000))
    assert own.seen == 1000
    own.live()
    assert own.seen > 10**9


def test_on_this_machine_the_process_decides_whatever_job_it_ran_in(monkeypatch, squeue):
    squeue("echo 4711")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    own = starts.own()
    assert own.job == "4711" and own.has_ended() is False
    squeue("exit 0")  # a number that was left over in a shell
    assert own.has_ended() is False
    assert replace(own, started=own.started - 3600).has_ended() is True  # another process of that number
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = replace(own, pid=process.pid, started=psutil.Process(process.pid).create_time())
    squeue("echo 4711")
    assert gone.has_ended() is True


def test_elsewhere_its_job_decides(monkeypatch, squeue):
    elsewhere = replace(starts.own(), host="another", job="4711")
    assert elsewhere.has_ended() is None  # nobody to ask
    squeue("echo 4711")
    assert elsewhere.has_ended() is False
    squeue("exit 0")
    assert elsewhere.has_ended() is True
    squeue("echo 'Socket timed out' >&2; exit 1")
    assert elsewhere.has_ended() is None
    assert replace(elsewhere, job=None).has_ended() is None


def test_a_job_that_slurm_has_queued_again_is_a_new_start(monkeypatch, squeue):
    squeue("echo 4711")
    first = replace(starts.own(), host="another", job="4711")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURMD_NODENAME", "n2")
    assert first.has_ended() is True


def test_a_shell_outside_of_a_job_is_in_none_though_it_knows_a_number(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert starts.own().job is None
