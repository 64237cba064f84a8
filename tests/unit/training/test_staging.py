"""Staging: copied files, their place, and a clean disk afterwards."""

import collections
import errno
import fcntl
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
from shapebias.training.distributed import World
from shapebias.training.interruption import StoppedError
from shapebias.training.staging import file_system, stage_shards

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Path:
    """The node's own disk, in the environment variable."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("SLURM_TMPDIR", str(folder))
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(staging, "file_system", lambda folder: "ext4")  # pytest's folder may be in memory
    monkeypatch.setattr(staging, "SPARE_BYTES", 0)
    return folder


@pytest.fixture
def shards(tmp_path) -> list[Path]:
    paths = [tmp_path / "images" / split / "0.tar" for split in ("train", "val")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([number]) * 1000)
    return paths


def test_copies_have_the_same_bytes_and_their_folder_is_removed_after_the_body(disk, shards):
    with stage_shards(shards) as copies:
        assert list(copies) == shards
        assert all(copy.read_bytes() == original.read_bytes() for original, copy in copies.items())
        (folder,) = disk.iterdir()
        assert all(copy.is_relative_to(folder) for copy in copies.values())
        assert folder.stat().st_mode & 0o077 == 0  # other users see nothing
    assert not list(disk.iterdir())


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_nothing_is_left_after_an_error_or_a_signal(disk, shards, error):
    with pytest.raises(error), stage_shards(shards):
        raise error
    assert not list(disk.iterdir())


def test_error_messages_name_the_original_path(disk, shards):
    with pytest.raises(UserError) as error, stage_shards(shards) as copies:
        raise UserError(f"{copies[shards[0]]}: image cat-1 is broken")
    assert str(error.value) == f"{shards[0]}: image cat-1 is broken"


def test_only_files_are_copied(disk, shards, tmp_path):
    with stage_shards([tmp_path / "images", tmp_path / "missing.tar", shards[0]]) as copies:
        assert list(copies) == shards[:1]


def test_without_a_file_shards_are_read_in_place(disk, shards, caplog):
    assert in_place([path.parent for path in shards], disk, caplog).endswith("none of the shards is a file")


def test_copying_is_reported_once_per_tenth(disk, tmp_path, caplog):
    paths = [tmp_path / f"{number:02d}.tar" for number in range(20)]
    for path in paths:
        path.write_bytes(b"x" * 100_000)
    with caplog.at_level("INFO"), stage_shards(paths):
        lines = [message for message in caplog.messages if message.startswith("staged")]
    assert lines == [f"staged 0.{tenth} MB of 2.0 MB" for tenth in (2, 4, 6, 8)] + [
        f"staged 1.{tenth} MB of 2.0 MB" for tenth in (0, 2, 4, 6, 8)
    ] + ["staged 2.0 MB of 2.0 MB"]


def test_a_folder_that_another_job_removes_before_it_is_locked_is_made_again(disk, shards, monkeypatch):
    flock, calls = fcntl.flock, []

    def remove_first(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            [folder] = disk.iterdir()
            shutil.rmtree(folder)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with stage_shards(shards) as copies:
        assert [copy.read_bytes() for copy in copies.values()] == [path.read_bytes() for path in shards]
    assert len(calls) == 2 and not list(disk.iterdir())


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError), staging.locked_folder(tmp_path / "gone" / "folder"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_link_is_never_taken_for_the_folder_of_a_killed_job(disk, shards, tmp_path):
    target = tmp_path / "kept"
    target.mkdir()
    (target / staging.LOCK).touch()
    (disk / f"{staging.FOLDER_PREFIX}link").symlink_to(target)
    with stage_shards(shards) as copies:
        assert copies
    assert (target / staging.LOCK).exists()


def test_without_paths_nothing_is_copied(disk, caplog):
    with stage_shards([]) as copies:
        assert copies == {} and not list(disk.iterdir()) and not caplog.text


def test_two_jobs_on_one_node_have_separate_folders(disk, shards):
    with stage_shards(shards) as first:
        with stage_shards(shards) as second:
            assert not set(first.values()) & set(second.values())
        assert all(path.is_file() for path in first.values())


# Shards that are read in place


def in_place(shards: list[Path], disk: Path, caplog: Any) -> str:
    """Check that nothing is staged, left or raised; return the single warning."""
    with stage_shards(shards) as copies:
        assert copies == {}
        assert files_below(disk) == []
    (record,) = caplog.records
    assert record.levelname == "WARNING" and not list(disk.iterdir())
    return record.getMessage()


def test_slurm_s_folder_comes_before_tmpdir_and_without_both_shards_are_read_in_place(
    disk, shards, tmp_path, monkeypatch, caplog
):
    tmpdir = tmp_path / "other"
    tmpdir.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmpdir))
    with stage_shards(shards) as copies:
        assert copies[shards[0]].is_relative_to(disk)
    monkeypatch.setenv("SLURM_TMPDIR", str(tmp_path / "gone"))
    with stage_shards(shards) as copies:
        assert copies[shards[0]].is_relative_to(tmpdir)
    monkeypatch.delenv("SLURM_TMPDIR")
    monkeypatch.delenv("TMPDIR")
    assert "SLURM_TMPDIR, TMPDIR" in in_place(shards, disk, caplog)


@pytest.mark.parametrize(("kind", "reason"), [("tmpfs", "in memory"), ("nfs4", "shared by nodes")])
def test_memory_and_shared_disks_are_refused(disk, shards, monkeypatch, caplog, kind, reason):
    monkeypatch.setattr(staging, "file_system", lambda folder: kind)
    assert f"{disk} is {reason}" in in_place(shards, disk, caplog)


def test_file_system_returns_the_kernel_s_type():
    assert file_system(Path("/proc/self")) == "proc"


def test_a_disk_that_is_too_small_is_reported_with_its_sizes(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(staging, "SPARE_BYTES", 2**30)
    usage = collections.namedtuple("usage", "total used free")(5 * 10**9, 4 * 10**9, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = in_place(shards, disk, caplog)
    assert message.endswith(f"0.0 MB and 1,073.7 MB to spare are needed, {disk} has 1,000.0 MB left")


def test_a_disk_that_becomes_full_is_cleaned_up(disk, shards, monkeypatch, caplog):
    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        if source == shards[1]:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(shutil, "copyfile", full)
    assert "No space left on device" in in_place(shards, disk, caplog)


def test_an_incomplete_copy_is_not_used(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: target.write_bytes(b"short"))
    message = in_place(shards, disk, caplog)
    assert "5 of 1000 bytes were copied" in message and str(shards[0]) in message


def test_copying_stops_after_the_time_limit(disk, shards, monkeypatch, caplog):
    monkeypatch.setattr(staging, "MAX_COPY_SECONDS", -1)
    assert "0.0 MB of 0.0 MB were copied" in in_place(shards, disk, caplog)


def test_a_stop_request_ends_copying(disk, shards, monkeypatch):
    copied = []
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: copied.append(target.write_bytes(bytes(1000))))
    with pytest.raises(StoppedError), stage_shards(shards, stop_requested=lambda: bool(copied)):
        pytest.fail("training begins")
    assert len(copied) == 1 and not list(disk.iterdir())


# Several processes


def stay(shards: list[Path], staged: Any) -> None:
    with stage_shards(shards):
        staged.set()
        time.sleep(60)


def test_the_next_job_removes_a_killed_job_s_folder_but_not_a_living_job_s(disk, shards):
    events = [FORK.Event() for _ in range(2)]
    killed, living = (FORK.Process(target=stay, args=(shards, event)) for event in events)
    try:
        killed.start()
        assert events[0].wait(30)
        (abandoned,) = disk.iterdir()
        living.start()
        assert events[1].wait(30)
        assert abandoned.exists()  # its job is alive
        killed.kill()
        killed.join()
        assert abandoned.exists()
        with stage_shards(shards) as copies:
            assert copies and not abandoned.exists() and len(list(disk.iterdir())) == 2
        (remaining,) = disk.iterdir()
        assert len([path for path in remaining.rglob("*.tar") if path.is_file()]) == 2
    finally:
        for process in (killed, living):
            process.kill()
            process.join()


def in_rank(rank: int, local_rank: int, meeting: Path, shards: list[Path], results: Any) -> None:
    os.environ["LOCAL_RANK"] = str(local_rank)
    copied, copyfile = [], shutil.copyfile
    pytest.MonkeyPatch().setattr(shutil, "copyfile", lambda source, target: copied.append(copyfile(source, target)))
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    with stage_shards(shards, World(rank, 2)) as copies:
        same = [copy.read_bytes() == original.read_bytes() for original, copy in copies.items()]
        distributed.barrier()
    distributed.destroy_process_group()
    results.put((rank, len(copied), same))


@pytest.mark.parametrize(("local_ranks", "copies"), [((0, 1), [2, 0]), ((0, 0), [2, 2])], ids=["one-node", "two-nodes"])
def test_one_rank_of_a_node_copies_for_all(disk, shards, tmp_path, local_ranks, copies):
    results = FORK.Queue()
    arguments = [(rank, local_rank, tmp_path / "meet", shards, results) for rank, local_rank in enumerate(local_ranks)]
    processes = [FORK.Process(target=in_rank, args=each) for each in arguments]
    for process in processes:
        process.start()
    answers = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert answers == [(rank, count, [True, True]) for rank, count in enumerate(copies)]
    assert not list(disk.iterdir())
