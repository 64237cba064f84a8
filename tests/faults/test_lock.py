"""Snakemake is killed just after it has locked the folder: the same command removes the lock of the dead."""

import time

from campaign import LONGEST_RUN, Study


def test_a_kill_right_after_the_lock_does_not_lock_the_folder_for_ever(tmp_path):
    study = Study(tmp_path / "study")
    study.folder.mkdir()
    study.make_photographs()
    study.start()
    try:
        deadline = time.monotonic() + LONGEST_RUN
        while not list((study.folder / ".snakemake/locks").glob("*.lock")):
            assert time.monotonic() < deadline and not study.has_ended(), study.log.read_text()
            time.sleep(0.001)
    finally:
        study.kill_all()
    study.end()
    assert list((study.folder / ".snakemake/locks").glob("*.lock"))
    again = study.run("results/config.json")
    assert again.returncode == 0, again.stdout
    assert "The lock is removed" in again.stdout
