"""Claims: of several processes that want to train one run, one does."""

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
from shapebias.training.checkpoints import LATEST, claimed_folder
from shapebias.training.interruption import StoppedError
from shapebias.training.run_lock import claimed

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def started():
    """Starts a function in a process of its own, which ends with the test."""
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


def hold(path: Path, begun: Any, seconds: float) -> None:
    with claimed(path):
        begun.set()
        time.sleep(seconds)


@pytest.fixture
def holding(started):
    """Starts a process that holds a claim for so long, and waits until it does."""

    def start(path: Path, seconds: float = 60) -> Any:
        begun = FORK.Event()
        process = started(hold, path, begun, seconds)
        assert begun.wait(30)
        return process

    return start


def test_who_holds_it_is_named_and_nothing_of_it_is_touched(holding, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    path = tmp_path / "claim"
    process = holding(path)
    before = path.read_bytes()
    with pytest.raises(StoppedError) as refusal, claimed(path, wait=0.2):
        pytest.fail("two processes hold it")
    for text in (str(path), f"process {process.pid} on ", "Slurm job 4711", "run the same command again"):
        assert text in str(refusal.value)
    assert path.read_bytes() == before


def test_it_is_waited_for(holding, tmp_path):
    path = tmp_path / "claim"
    holding(path, seconds=1)
    with claimed(path, wait=30):
        assert f"process {os.getpid()} on " in path.read_text()
    assert not path.exists()


def test_one_of_a_process_that_was_killed_is_free_at_once(holding, tmp_path):
    path = tmp_path / "claim"
    process = holding(path)
    process.kill()
    process.join()
    assert path.exists()
    with claimed(path, wait=0):
        pass
    assert not path.exists()


def test_one_of_a_job_that_slurm_has_ended_is_taken_though_a_lost_node_never_let_go_of_it(
    holding, tmp_path, monkeypatch
):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = tmp_path / "claim"
    holding(path)
    for waits in ("echo 4711", "echo 'Unable to contact slurm controller' >&2; exit 1"):
        stand_in(tmp_path, "squeue", waits)
        with pytest.raises(StoppedError, match="still trained"), claimed(path, wait=0.2):
            pytest.fail("two processes hold it")
    stand_in(tmp_path, "squeue", 'test "$*" = "--noheader --format=%A --jobs 4711"')  # and nothing is printed
    with claimed(path, wait=0.2):
        assert f"process {os.getpid()} on " in path.read_text()
    assert not path.exists()


def test_a_signal_ends_the_waiting(holding, tmp_path):
    path = tmp_path / "claim"
    holding(path)
    told: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: told.append(number))  # notes it, as `Stop` does
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        began = time.monotonic()
        with pytest.raises(StoppedError, match="stopped while waiting"), claimed(path, stopped=lambda: bool(told)):
            pytest.fail("two processes hold it")
        assert time.monotonic() - began < 10
    finally:
        signal.signal(signal.SIGALRM, before)


def count_up(path: Path, counter: Path, times: int) -> None:
    run_lock.BETWEEN = 0.001
    for _ in range(times):
        with claimed(path, wait=60):
            number = int(counter.read_text())
            time.sleep(0.0005)
            counter.write_text(str(number + 1))


def test_no_two_processes_ever_hold_it_at_once_though_its_file_and_folder_come_and_go(started, tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [started(count_up, tmp_path / "a" / "b" / "claim", counter, 25) for _ in range(4)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert counter.read_text() == "100"


def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    mkdir, seen = Path.mkdir, []

    def gone_in_between(path: Path, **how: bool) -> None:
        seen.append(path)
        if len(seen) == 1:
            raise FileExistsError(errno.EEXIST, "it was there, and is a folder no more", str(path))
        mkdir(path, **how)

    monkeypatch.setattr(Path, "mkdir", gone_in_between)
    with claimed(tmp_path / "a" / "claim"):
        assert (tmp_path / "a" / "claim").is_file()


def test_a_file_in_the_place_of_the_folder_is_no_such_case(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(FileExistsError), claimed(tmp_path / "a" / "claim"):
        pass


def test_forked_workers_do_not_keep_it(started, tmp_path):
    path = tmp_path / "claim"
    with claimed(path):
        started(time.sleep, 60)  # has the lock's descriptor, as a DataLoader worker has
    with claimed(path, wait=0):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog, number):
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with claimed(tmp_path / "claim"):
        pass
    assert "no locks" in caplog.text and os.strerror(number) in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_claimed_folder_stays_where_a_checkpoint_was_left_in_it(tmp_path):
    folder = tmp_path / "checkpoints"
    with claimed_folder(folder):
        (folder / LATEST).write_bytes(b"?")
    assert [path.name for path in folder.iterdir()] == [LATEST]
    with claimed_folder(folder):
        (folder / LATEST).unlink()
    assert not folder.exists()


def test_folders_that_were_made_for_it_alone_go_with_it(tmp_path):
    with claimed(tmp_path / "new" / "run" / "claim"):
        pass
    assert not list(tmp_path.iterdir())
