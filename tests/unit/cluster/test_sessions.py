"""Sessions of Snakemake: which of them have ended. On a real cluster: tests/slurm."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial

import psutil
import pytest
from helpers import stand_in

from shapebias.cluster import sessions
from shapebias.errors import UserError


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """In a folder of its own, on a machine without Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sessions.atexit, "register", lambda function: None)


@pytest.fixture
def squeue(tmp_path):
    """A function that puts a stand-in for squeue in place."""
    return partial(stand_in, tmp_path, "squeue")


def test_a_record_says_what_a_later_session_needs():
    own = sessions.begin_session()
    assert (own.host, own.pid, own.jobs_name) == (socket.gethostname(), os.getpid(), None)
    replace(own, jobs_name="a-run").write()
    assert sessions.recorded_sessions() == [replace(own, jobs_name="a-run")]
    own.end()
    own.end()
    assert sessions.recorded_sessions() == []


def test_a_session_whose_jobs_are_still_queued_keeps_its_record(squeue):
    own = sessions.begin_session("a-run")
    for answer in ("echo 12", "echo timeout >&2; exit 1"):
        squeue(answer)
        own.end()
        assert sessions.recorded_sessions() == [own]
    squeue("true")
    own.end()
    assert sessions.recorded_sessions() == []


def test_a_record_that_vanishes_while_it_is_read_is_left_out(tmp_path):
    sessions.FOLDER.mkdir(parents=True)
    (sessions.FOLDER / "gone.json").symlink_to(tmp_path / "nothing")
    assert sessions.recorded_sessions() == []


def test_on_this_machine_the_process_decides():
    own = sessions.begin_session()
    assert not own.has_ended()
    assert replace(own, started=own.started - 3600).has_ended()  # another process of that number
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = replace(own, pid=process.pid, started=psutil.Process(process.pid).create_time())
    assert gone.has_ended()


def test_elsewhere_a_quarter_of_an_hour_of_silence_decides():
    elsewhere = replace(sessions.begin_session("a-run"), host="another")
    elsewhere.write()
    assert not elsewhere.has_ended()
    os.utime(elsewhere.path, (1000, 1000))
    assert elsewhere.has_ended()
    elsewhere.give_sign_of_life()
    assert not elsewhere.has_ended()
    # A session without jobs of a cluster gives no signs of life: nobody can tell.
    os.utime(elsewhere.path, (1000, 1000))
    assert not replace(elsewhere, jobs_name=None).has_ended()


def test_jobs_of_a_killed_session_are_cancelled_and_its_record_goes(tmp_path, squeue):
    killed = replace(sessions.begin_session("killed-run"), pid=1, started=0.0)
    killed.write()
    (tmp_path / "queue").write_text("7\n8\n")
    squeue("cat queue")
    stand_in(tmp_path, "scancel", 'echo "$*" > cancelled; : > queue')
    assert sessions.cancel_orphaned_jobs() == ["7", "8"]
    assert (tmp_path / "cancelled").read_text() == "--name killed-run\n"
    assert not killed.path.exists()


def test_beside_a_session_that_may_be_alive_elsewhere_nothing_starts():
    elsewhere = replace(sessions.begin_session("a-run"), host="another", pid=12)
    elsewhere.write()
    with pytest.raises(
        UserError, match=r"process 12 on another\) gave a sign of life 0 minutes ago.*touch -d yesterday"
    ):
        sessions.cancel_orphaned_jobs()
    assert elsewhere.path.exists()
