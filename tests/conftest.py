"""Fixtures of all tests: real data where it is there, and one thread."""

import os

# Before numpy and torch are imported, for this process and all that it starts: tiny arrays gain nothing from more
# threads, and the last bits of a result depend on their number. Threads that wait for each other cost most of the time
# where as many tests as processors run side by side.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import ROOT, colour_shard

from shapebias.images.shards import Sample, open_shards

SHARED_DATA = ROOT.parent / "shared" / "data"

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photographs, stimuli and decisions. A user's machine has none of them; CI must."""
    if not SHARED_DATA.is_dir():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{SHARED_DATA} is absent: no real data to test on")
    return SHARED_DATA


@pytest.fixture
def colour_samples(tmp_path: Path) -> Callable[..., list[Sample]]:
    """each → that many red cats and blue dogs, opened."""
    return lambda each=8, **more: list(open_shards([colour_shard(tmp_path / f"{each}{len(more)}.tar", each, **more)]))
