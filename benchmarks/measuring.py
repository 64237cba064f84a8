"""Functions of all benchmarks: timings in turn, peak memory of a job, a table of results."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternating(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each work in each round; they take turns, so that other load slows all of them equally."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return the speed-up: the median over rounds of the ratio within a round."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


# The peak memory of a process includes that of the process that forked it, so a small process starts the job.
LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(done.stderr if done.returncode else 0)
"""


@dataclass(frozen=True)
class JobCost:
    """What a job took: seconds of processor time, of all its threads, and MiB of peak resident memory."""

    seconds: float
    memory: float


def job_cost(script: str, *arguments: object) -> JobCost:
    """Run `scripts/<script>.py` as a job and return its cost."""
    job = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", LAUNCHER, *job]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    used_seconds, peak = done.stdout.split()[-2:]
    return JobCost(float(used_seconds), int(peak) / (1024 if platform.system() == "Linux" else 1024**2))


def peak_memory(script: str, *arguments: object) -> float:
    """Run `scripts/<script>.py` as a job and return its peak resident memory in MiB."""
    return job_cost(script, *arguments).memory


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a title and rows of a name and a result."""
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", flush=True)
