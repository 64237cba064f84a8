"""Files appear complete or not at all, and a lack of disk space is reported early."""

import os
import shutil
from pathlib import Path

import pytest

from shapebias.errors import UserError
from shapebias.files import MAX_TEXT_BYTES, atomic_write, make_folder, open_regular_file, read_utf8, require_space


def test_after_a_failure_only_the_old_file_remains(tmp_path):
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "x.txt") as draft:
        draft.write_text("new")
        _ = 1 / 0
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.txt", "old")]


def test_a_device_and_a_folder_are_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name, kind in (("fifo", "a device or a pipe"), ("folder", "a folder")):
        with pytest.raises(UserError, match=rf"/{name} is {kind}, and no file"), atomic_write(tmp_path / name) as draft:
            draft.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "folder"]


def test_a_full_disk_is_reported_with_the_required_space(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    require_space(tmp_path / "not" / "yet", 5_000_000, "0.tar")
    with pytest.raises(UserError, match=rf"0\.tar needs about 60\.0 MB, but {tmp_path} has 5\.0 MB left; free some"):
        require_space(tmp_path / "not" / "yet", 60_000_000, "0.tar")


@pytest.mark.parametrize("folder", ["link", "link/run", "link/a/b"])
def test_a_folder_below_a_link_that_leads_nowhere_is_refused_by_the_link(tmp_path, folder):
    (tmp_path / "link").symlink_to("/nonexistent/scratch")
    for write in (make_folder, lambda path: atomic_write(path / "x.txt").__enter__()):
        with pytest.raises(UserError, match=rf"{tmp_path}/link leads to /nonexistent/scratch, which does not exist"):
            write(tmp_path / folder)


def test_a_folder_below_a_good_link_is_made(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    make_folder(tmp_path / "link" / "a" / "b")
    make_folder(tmp_path / "link" / "a" / "b")
    assert (tmp_path / "disk" / "a" / "b").is_dir()


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "x").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to("x")
    os.mkfifo(tmp_path / "fifo")
    for name in ("x", "link"):
        with open_regular_file(tmp_path / name) as file:
            assert file.read() == b"bytes"
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular_file(path)


def test_a_text_file_that_is_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "x.csv").open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(UserError, match=r"x\.csv: larger than \d+ MB; give a text file that people write"):
        read_utf8(tmp_path / "x.csv")
