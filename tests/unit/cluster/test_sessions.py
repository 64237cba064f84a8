"""Snakemake sessions and their end. Tests on a real cluster: tests/slurm."""

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
    """Run the test in an empty folder, on a machine without Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sessions.atexit, "register", lambda function: None)


@pytest.fixture
def squeue(tmp_path):
    """Return a function that installs a fake squeue."""
    return partial(stand_in, tmp_path, "squeue")


def test_a_record_holds_host_process_and_job_name():
    session = sessions.begin_session()
    assert (session.host, session.pid, session.jobs_name) == (socket.gethostname(), os.getpid(), None)
    session.end()
    session.end()
    assert sessions.recorded_sessions() == []


def test_the_record_of_the_executor_replaces_that_of_its_session_and_stays():
    session = sessions.begin_session()
    with_jobs = replace(session, jobs_name="a-run")
    with_jobs.write()
    session.end()
    assert sessions.recorded_sessions() == [with_jobs]


def test_a_session_with_queued_jobs_keeps_its_record(squeue):
    session = sessions.begin_session("a-run")
    for answer in ("echo 12", "echo timeout >&2; exit 1"):
        squeue(answer)
        session.end()
        assert sessions.recorded_sessions() == [session]
    squeue("true")
    session.end()
    assert sessions.recorded_sessions() == []


def test_a_killed_session_that_nobody_reaps_has_ended():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    session = sessions.Session(socket.gethostname(), process.pid, psutil.Process(process.pid).create_time())
    assert not session.has_ended()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is now a zombie, and stays one
    assert session.has_ended()
    process.communicate()


def test_a_record_that_vanishes_during_reading_is_skipped(tmp_path):
    sessions.FOLDER.mkdir(parents=True)
    (sessions.FOLDER / "gone.json").symlink_to(tmp_path / "nothing")
    assert sessions.recorded_sessions() == []


def test_on_this_machine_a_session_ends_with_its_process():
    session = sessions.begin_session()
    assert not session.has_ended()
    assert replace(session, started=session.started - 3600).has_ended()  # a different process with the same id
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = replace(session, pid=process.pid, started=psutil.Process(process.pid).create_time())
    assert gone.has_ended()


def test_on_another_machine_a_session_ends_after_15_silent_minutes():
    elsewhere = replace(sessions.begin_session("a-run"), host="another")
    elsewhere.write()
    assert not elsewhere.has_ended()
    os.utime(elsewhere.path, (1000, 1000))
    assert elsewhere.has_ended()
    elsewhere.give_sign_of_life()
    assert not elsewhere.has_ended()
    # A session without cluster jobs gives no signs of life, so its end cannot be detected.
    os.utime(elsewhere.path, (1000, 1000))
    assert not replace(elsewhere, jobs_name=None).has_ended()


def test_jobs_of_a_killed_session_are_cancelled_and_its_record_is_removed(tmp_path, squeue):
    killed = replace(sessions.begin_session("killed-run"), pid=1, started=0.0)
    killed.write()
    (tmp_path / "queue").write_text("7\n8\n")
    squeue("cat queue")
    stand_in(tmp_path, "scancel", 'echo "$*" > cancelled; : > queue')
    assert sessions.cancel_orphaned_jobs() == ["7", "8"]
    assert (tmp_path / "cancelled").read_text() == "--name killed-run\n"
    assert not killed.path.exists()


def test_a_possibly_live_session_on_another_machine_prevents_a_start():
    elsewhere = replace(sessions.begin_session("a-run"), host="another", pid=12)
    elsewhere.write()
    with pytest.raises(
        UserError, match=r"process 12 on another\) gave a sign of life 0 minutes ago.*touch -d yesterday"
    ):
        sessions.cancel_orphaned_jobs()
    assert elsewhere.path.exists()
