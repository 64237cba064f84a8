"""Fixtures of all tests: real data if it exists, and one thread.

This file imports no torch, because pytest-xdist reads it once more, in the process that only hands out the tests.
"""

import os

# Set these before numpy and torch are imported, for this process and its children. Tiny arrays gain nothing from more
# threads, the last bits of a result depend on their number, and waiting threads slow down tests that run in parallel.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path

import pytest

from shapebias.images.shards import Sample, open_shards

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real photographs, stimuli and decisions. Without it, tests are skipped, except on CI."""
    if not SHARED_DATA.is_dir():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{SHARED_DATA} is absent: no real data to test on")
    return SHARED_DATA


@pytest.fixture
def colour_samples(tmp_path: Path) -> Callable[..., list[Sample]]:
    """Return a function: number of images per class → samples of red cats and blue dogs."""
    from helpers import colour_shard

    return lambda each=8, **more: list(open_shards([colour_shard(tmp_path / f"{each}{len(more)}.tar", each, **more)]))
