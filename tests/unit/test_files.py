"""Files appear complete or not at all, and a lack of disk space is reported early."""

import shutil

import pytest

from shapebias.errors import UserError
from shapebias.files import atomic_write, require_space


def test_after_a_failure_only_the_old_file_remains(tmp_path):
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "x.txt") as draft:
        draft.write_text("new")
        _ = 1 / 0
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.txt", "old")]


def test_a_full_disk_is_reported_with_the_required_space(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    require_space(tmp_path / "not" / "yet", 5_000_000, "0.tar")
    with pytest.raises(UserError, match=rf"0\.tar needs about 60\.0 MB, but {tmp_path} has 5\.0 MB left; free some"):
        require_space(tmp_path / "not" / "yet", 60_000_000, "0.tar")
