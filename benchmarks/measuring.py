"""What the benchmarks share: alternating timings, peak memory of a job, a table of ratios."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternating(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each piece of work in each round; all take turns, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as fast: the median over rounds of the ratio within a round."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


# A process counts the memory of the one that forked it as its own peak, so a small one stands between.
LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.stderr if done.returncode else 0)
"""


def peak_memory(script: str, *arguments: object) -> float:
    """Run `scripts/<script>.py` as a job; its peak resident memory, MiB."""
    job = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", LAUNCHER, *job]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout) / (1024 if platform.system() == "Linux" else 1024**2)


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a title and rows of a name and what was measured."""
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", flush=True)
