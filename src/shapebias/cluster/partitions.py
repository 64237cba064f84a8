"""The partitions of a SLURM cluster, and what they grant."""

import math

from shapebias.cluster.queue import query_slurm
from shapebias.errors import UserError


def parse_minutes(text: str) -> float:
    """Minutes of a time limit as sinfo prints it: `2-12:00:00`, `12:00:00`, `30:00`, `infinite`."""
    if text in ("infinite", "UNLIMITED"):
        return math.inf
    days, _, clock = text.rpartition("-")
    *hours, minutes, _ = clock.split(":")
    return int(days or 0) * 1440 + sum(60 * int(hour) for hour in hours) + int(minutes)


def parse_limits(text: str) -> dict[str, dict[str, float]]:
    """As `list_limits`, from what `sinfo --noheader --format "%P|%l|%m"` prints, a line for each kind of nodes."""
    limits: dict[str, dict[str, float]] = {}
    for name, time, memory in (line.split("|") for line in text.splitlines() if line):
        granted = limits.setdefault(name.rstrip("*"), {"runtime": parse_minutes(time), "mem_mb": 0})
        granted["mem_mb"] = max(granted["mem_mb"], int(memory.rstrip("+")))
        if name.endswith("*"):
            limits[""] = granted
    return limits


def list_limits() -> dict[str, dict[str, float]]:
    """Partition → the most minutes (`runtime`) and MB (`mem_mb`, of its largest node) that a job may ask for; the
    default partition also under an empty name. Nothing where sinfo is missing or does not answer.
    """
    try:
        return parse_limits(query_slurm("sinfo", "--noheader", "--format=%P|%l|%m"))
    except UserError:
        return {}


def cap(value: float, resource: str, partition: str, limits: dict[str, dict[str, float]]) -> int:
    """Return so much of a resource, or as much as the partition grants: Slurm lets jobs wait for ever for more time."""
    return int(min(value, limits.get(partition, {}).get(resource, math.inf)))
