"""The partitions of a SLURM cluster and their limits."""

import math

from shapebias.cluster.queue import query_slurm
from shapebias.errors import UserError


def parse_minutes(text: str) -> float:
    """Return the minutes of a time limit as sinfo prints it: `2-12:00:00`, `12:00:00`, `30:00`, `infinite`."""
    if text in ("infinite", "UNLIMITED"):
        return math.inf
    days, _, clock = text.rpartition("-")
    *hours, minutes, _ = clock.split(":")
    return int(days or 0) * 1440 + sum(60 * int(hour) for hour in hours) + int(minutes)


def parse_limits(text: str) -> dict[str, dict[str, float]]:
    """Parse the output of `sinfo --noheader --format "%P|%l|%m"`, one line per kind of node, as `list_limits` does."""
    limits: dict[str, dict[str, float]] = {}
    for name, time, memory in (line.split("|") for line in text.splitlines() if line):
        partition_limits = limits.setdefault(name.rstrip("*"), {"runtime": parse_minutes(time), "mem_mb": 0})
        partition_limits["mem_mb"] = max(partition_limits["mem_mb"], int(memory.rstrip("+")))
        if name.endswith("*"):
            limits[""] = partition_limits
    return limits


def list_limits() -> dict[str, dict[str, float]]:
    """Return partition → the longest `runtime` (minutes) and the largest `mem_mb` (MB, of its largest node) for a job.

    The default partition also appears under an empty name. Empty if sinfo is missing or fails.
    """
    try:
        return parse_limits(query_slurm("sinfo", "--noheader", "--format=%P|%l|%m"))
    except UserError:
        return {}


def cap(value: float, resource: str, partition: str, limits: dict[str, dict[str, float]]) -> int:
    """Return the value, capped at the partition's limit: Slurm lets a job with a longer time limit wait forever."""
    return int(min(value, limits.get(partition, {}).get(resource, math.inf)))
