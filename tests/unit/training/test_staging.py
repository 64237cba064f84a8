"""Staging: what is read, where, and what is left on the node's disk: nothing."""

import collections
import errno
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import files_below
from torch import distributed

from shapebias.errors import UserError
from shapebias.training import staging
from shapebias.training.distributed import Ranks
from shapebias.training.interruption import StoppedError
from shapebias.training.staging import file_system, staged

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Path:
    """The node's own disk, as the environment names it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("SLURM_TMPDIR", str(folder))
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(staging, "file_system", lambda folder: "ext4")  # pytest's folder may be in memory
    monkeypatch.setattr(staging, "RESERVE", 0)
    return folder


@pytest.fixture
def shards(tmp_path) -> list[Path]:
    paths = [tmp_path / "images" / split / "0.tar" for split in ("train", "val")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([number]) * 1000)
    return paths


def test_copies_are_the_same_bytes_in_a_folder_that_goes_with_the_body(disk, shards):
    with staged(shards) as copies:
        assert list(copies) == shards
        assert all(copy.read_bytes() == original.read_bytes() for original, copy in copies.items())
        (folder,) = disk.iterdir()
        assert all(copy.is_relative_to(folder) for copy in copies.values())
        assert folder.stat().st_mode & 0o077 == 0  # other users see nothing
    assert not list(disk.iterdir())


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_nothing_is_left_after_an_error_or_a_signal(disk, shards, error):
    with pytest.raises(error), staged(shards):
        raise error
    assert not list(disk.iterdir())


def test_a_message_names_the_original(disk, shards):
    with pytest.raises(UserError) as told, staged(shards) as copies:
        raise UserError(f"{copies[shards[0]]}: image cat-1 is broken")
    assert str(told.value) == f"{shards[0]}: image cat-1 is broken"


def test_what_is_no_file_is_left_alone(disk, shards, tmp_path):
    with staged([tmp_path / "images", tmp_path / "missing.tar", shards[0]]) as copies:
        assert list(copies) == shards[:1]


def test_nothing_asked_for_is_nothing_done(disk, caplog):
    with staged([]) as copies:
        assert copies == {} and not list(disk.iterdir()) and not caplog.text


def test_two_jobs_on_one_node_have_folders_of_their_own(disk, shards):
    with staged(shards) as kept:
        with staged(shards) as others:
            assert not set(kept.values()) & set(others.values())
        assert all(path.is_file() for path in kept.values())


# Where there is no place


def in_place(shards: list[Path], disk: Path, caplog: Any) -> str:
    """Nothing is staged, left or raised; returns the one warning."""
    with staged(shards) as copies:
        assert copies == {}
        assert files_below(disk) == []
    (record,) = caplog.records
    assert record.levelname == "WARNING" and not list(disk.iterdir())
    return record.getMessage()


def test_slurm_s_folder_is_taken_then_tmpdir_and_without_either_shards_are_read_in_place(
    disk, shards, tmp_path, monkeypatch, caplog
):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("TMPDIR", str(other))
    with staged(shards) as copies:
        assert copies[shards[0]].is_relative_to(disk)
    monkeypatch.setenv("SLURM_TMPDIR", str(tmp_path / "gone"))
    with staged(shards) as copies:
        assert copies[shards[0]].is_relative_to(other)
    monkeypatch.delenv("SLURM_TMPDIR")
    monkeypatch.delenv("TMPDIR")
    assert "SLURM_TMPDIR, TMPDIR" in in_place(shards, disk, caplog)


@pytest.mark.parametrize(("kind", "told"), [("tmpfs", "in memory"), ("nfs4", "shared by nodes")])
def test_memory_and_shared_disks_are_no_disk_of_the_node(disk, shards, monkeypatch, caplog, kind, told):
    monkeypatch.setattr(staging, "file_system", lambda folder: kind)
    assert f"{disk} is {told}" in in_place(shards, disk, caplog)


def test_file_systems_are_known_by_their_type():
    assert file_system(Path("/proc/self")) == "proc"


def test_too_small_a_disk_is_told_with_the_numbers(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(staging, "RESERVE", 2**30)
    usage = collections.namedtuple("usage", "total used free")(5 * 10**9, 4 * 10**9, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    told = in_place(shards, disk, caplog)
    assert told.endswith(f"0.0 MB and 1,073.7 MB to spare are needed, {disk} has 1,000.0 MB left")


def test_a_disk_that_fills_up_meanwhile_is_left_as_it_was(disk, shards, monkeypatch, caplog):
    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        if source == shards[1]:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full)
    assert "No space left on device" in in_place(shards, disk, caplog)


def test_a_copy_that_is_too_short_is_no_copy(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: target.write_bytes(b"short"))
    told = in_place(shards, disk, caplog)
    assert "5 of 1000 bytes were copied" in told and str(shards[0]) in told


def test_copying_that_takes_too_long_is_given_up(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(staging, "LONGEST", -1)
    assert "0.0 MB of 0.0 MB were copied" in in_place(shards, disk, caplog)


def test_a_run_that_is_to_leave_copies_no_more(disk, shards, monkeypatch):
    copied = []
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: copied.append(target.write_bytes(bytes(1000))))
    with pytest.raises(StoppedError), staged(shards, stopped=lambda: bool(copied)):
        pytest.fail("training begins")
    assert len(copied) == 1 and not list(disk.iterdir())


# Several processes


def stay(shards: list[Path], begun: Any) -> None:
    with staged(shards):
        begun.set()
        time.sleep(60)


def test_what_a_killed_job_left_is_removed_by_the_next_and_a_living_job_s_is_not(disk, shards):
    events = [FORK.Event() for _ in range(2)]
    killed, living = (FORK.Process(target=stay, args=(shards, event)) for event in events)
    try:
        killed.start()
        assert events[0].wait(30)
        (left,) = disk.iterdir()
        living.start()
        assert events[1].wait(30)
        assert left.exists()  # its job lives
        killed.kill()
        killed.join()
        assert left.exists()
        with staged(shards) as copies:
            assert copies and not left.exists() and len(list(disk.iterdir())) == 2
        (kept,) = disk.iterdir()
        assert len([path for path in kept.rglob("*.tar") if path.is_file()]) == 2
    finally:
        for process in (killed, living):
            process.kill()
            process.join()


def in_rank(rank: int, local_rank: int, meeting: Path, shards: list[Path], answers: Any) -> None:
    os.environ["LOCAL_RANK"] = str(local_rank)
    made, real = [], shutil.copyfile
    pytest.MonkeyPatch().setattr(shutil, "copyfile", lambda source, target: made.append(real(source, target)))
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    with staged(shards, Ranks(rank, 2)) as copies:
        same = [copy.read_bytes() == original.read_bytes() for original, copy in copies.items()]
        distributed.barrier()
    distributed.destroy_process_group()
    answers.put((rank, len(made), same))


@pytest.mark.parametrize(("local_ranks", "made"), [((0, 1), [2, 0]), ((0, 0), [2, 2])], ids=["one-node", "two-nodes"])
def test_one_rank_of_a_node_copies_for_all(disk, shards, tmp_path, local_ranks, made):
    answers = FORK.Queue()
    arguments = [(rank, local_rank, tmp_path / "meet", shards, answers) for rank, local_rank in enumerate(local_ranks)]
    processes = [FORK.Process(target=in_rank, args=each) for each in arguments]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert found == [(rank, count, [True, True]) for rank, count in enumerate(made)]
    assert not list(disk.iterdir())
