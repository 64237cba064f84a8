"""The undisturbed study, a disk of its own for another one, and how large the campaign is."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaign import Study

# A shell starts its background jobs deaf to Ctrl-C, and their children inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def seed() -> int:
    return int(os.environ.get("SEED") or 0)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return the tiny study, run without faults."""
    study = Study(tmp_path_factory.mktemp("undisturbed"))
    study.make_photographs()
    done = study.run()
    assert done.returncode == 0, done.stdout
    return study


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that is a small disk of its own; skip the test where this process may not mount one."""
    folder = tmp_path / "study"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this process may not mount a disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
