"""What the benchmarks share: alternating timings, peak memory of a job, a table of ratios."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternating(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each piece of work in each round; all take turns, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as fast: the median over rounds of the ratio within a round."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def peak_memory(script: str, *arguments: object) -> float:
    """Run `scripts/<script>.py` as a job; its peak resident memory, MiB."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(told)
    return usage.ru_maxrss / (1024 if platform.system() == "Linux" else 1024**2)


def table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a title and rows of a name and what was measured."""
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}", flush=True)
