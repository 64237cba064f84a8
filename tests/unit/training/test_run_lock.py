"""Run locks: only one of several processes trains a run."""

import errno
import fcntl
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import stand_in

from shapebias.training import run_lock
from shapebias.training.checkpoints import LATEST, lock_checkpoints
from shapebias.training.interruption import StoppedError
from shapebias.training.run_lock import lock_run

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def start_process():
    """Return a function that starts a process, which ends with the test."""
    processes = []

    def start(work: Callable, *arguments: Any) -> Any:
        process = FORK.Process(target=work, args=arguments)
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


def hold(path: Path, holds_lock: Any, seconds: float) -> None:
    with lock_run(path):
        holds_lock.set()
        time.sleep(seconds)


@pytest.fixture
def start_holder(start_process):
    """Return a function that starts a process that holds the lock, and waits until it does."""

    def start(path: Path, seconds: float = 60) -> Any:
        holds_lock = FORK.Event()
        process = start_process(hold, path, holds_lock, seconds)
        assert holds_lock.wait(30)
        return process

    return start


def test_a_refusal_names_the_holder_and_leaves_its_file_unchanged(start_holder, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    path = tmp_path / "claim"
    process = start_holder(path)
    before = path.read_bytes()
    with pytest.raises(StoppedError) as refusal, lock_run(path, wait=0.2):
        pytest.fail("two processes hold the lock")
    for text in (str(path), f"process {process.pid} on ", "Slurm job 4711", "run the same command again"):
        assert text in str(refusal.value)
    assert path.read_bytes() == before


def test_a_second_process_waits_for_the_lock(start_holder, tmp_path):
    path = tmp_path / "claim"
    start_holder(path, seconds=1)
    with lock_run(path, wait=30):
        assert f"process {os.getpid()} on " in path.read_text()
    assert not path.exists()


def test_the_lock_of_a_killed_process_is_free_at_once(start_holder, tmp_path):
    path = tmp_path / "claim"
    process = start_holder(path)
    process.kill()
    process.join()
    assert path.exists()
    with lock_run(path, wait=0):
        pass
    assert not path.exists()


def test_the_lock_of_an_ended_slurm_job_on_a_lost_node_is_taken(start_holder, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = tmp_path / "claim"
    start_holder(path)
    for waits in ("echo 4711", "echo 'Unable to contact slurm controller' >&2; exit 1"):
        stand_in(tmp_path, "squeue", waits)
        with pytest.raises(StoppedError, match="still being trained"), lock_run(path, wait=0.2):
            pytest.fail("two processes hold the lock")
    stand_in(tmp_path, "squeue", 'test "$*" = "--noheader --format=%A --jobs 4711"')  # prints nothing
    with lock_run(path, wait=0.2):
        assert f"process {os.getpid()} on " in path.read_text()
    assert not path.exists()


def test_a_signal_ends_the_waiting(start_holder, tmp_path):
    path = tmp_path / "claim"
    start_holder(path)
    signals: list[int] = []
    previous_handler = signal.signal(
        signal.SIGALRM, lambda number, _: signals.append(number)
    )  # records it, as `StopSignal` does
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        began = time.monotonic()
        with (
            pytest.raises(StoppedError, match="stopped while waiting"),
            lock_run(path, stop_requested=lambda: bool(signals)),
        ):
            pytest.fail("two processes hold the lock")
        assert time.monotonic() - began < 10
    finally:
        signal.signal(signal.SIGALRM, previous_handler)


def count_up(path: Path, counter: Path, times: int) -> None:
    run_lock.RETRY_SECONDS = 0.001
    for _ in range(times):
        with lock_run(path, wait=60):
            number = int(counter.read_text())
            time.sleep(0.0005)
            counter.write_text(str(number + 1))


def test_two_processes_never_hold_the_lock_together_while_its_folder_is_removed_and_created(start_process, tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [start_process(count_up, tmp_path / "a" / "b" / "claim", counter, 25) for _ in range(4)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert counter.read_text() == "100"


def test_a_folder_removed_during_its_creation_is_created_again(tmp_path, monkeypatch):
    mkdir, calls = Path.mkdir, []

    def fail_once(path: Path, **options: bool) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise FileExistsError(errno.EEXIST, "it existed, and is no longer a folder", str(path))
        mkdir(path, **options)

    monkeypatch.setattr(Path, "mkdir", fail_once)
    with lock_run(tmp_path / "a" / "claim"):
        assert (tmp_path / "a" / "claim").is_file()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(FileExistsError), lock_run(tmp_path / "a" / "claim"):
        pass


def test_forked_workers_do_not_keep_the_lock(start_process, tmp_path):
    path = tmp_path / "claim"
    with lock_run(path):
        start_process(time.sleep, 60)  # inherits the lock's descriptor, as DataLoader workers do
    with lock_run(path, wait=0):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_causes_a_warning(tmp_path, monkeypatch, caplog, number):
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock_run(tmp_path / "claim"):
        pass
    assert "no locks" in caplog.text and os.strerror(number) in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch):
    def flock(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"), lock_run(tmp_path / "claim"):
        pass


def test_the_file_of_a_process_that_has_replaced_the_lock_stays(tmp_path):
    path = tmp_path / "claim"
    with lock_run(path):
        path.unlink()
        path.write_text("another process")
    assert path.read_text() == "another process"
    with lock_run(path):
        path.unlink()
    assert not path.exists()


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_vanishes_while_it_is_locked_is_made_again(tmp_path, monkeypatch, error):
    """The last holder removes the folder between two calls of another process, so the system refuses the second."""
    path, openers = tmp_path / "run" / "claim", []
    real_open = os.open

    def open_file(name: Any, *options: Any, **more: Any) -> int:
        if name == path and not openers:
            openers.append(name)
            path.parent.rmdir()
            raise error(errno.ENOENT, "the folder has gone", str(path))
        return real_open(name, *options, **more)

    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(run_lock, "RETRY_SECONDS", 0)
    with lock_run(path):
        assert path.is_file()
    assert openers == [path] and not path.parent.exists()


def test_a_locked_folder_stays_if_it_contains_a_checkpoint(tmp_path):
    folder = tmp_path / "checkpoints"
    with lock_checkpoints(folder):
        (folder / LATEST).write_bytes(b"?")
    assert [path.name for path in folder.iterdir()] == [LATEST]
    with lock_checkpoints(folder):
        (folder / LATEST).unlink()
    assert not folder.exists()


def test_folders_created_for_the_lock_are_removed_with_it(tmp_path):
    with lock_run(tmp_path / "new" / "run" / "claim"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("link/run", "the link .*/link leads to /nonexistent/scratch"), ("/proc/shapebias", "No such")],
)
def test_a_folder_that_cannot_be_made_is_reported_at_once(tmp_path, folder, reason):
    (tmp_path / "link").symlink_to("/nonexistent/scratch")
    started = time.monotonic()
    with pytest.raises(OSError, match=reason), lock_run(tmp_path / folder / "lock"):
        pass
    assert time.monotonic() - started < 5
