"""The partitions of a SLURM cluster, and why it refuses a job."""

import getpass
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shapebias.cluster.queue import ask
from shapebias.errors import UserError

SETTINGS = ("slurm_partition", "slurm_account", "qos", "constraint", "nodes", "tasks_per_node", "cpus_per_task")
SETTINGS += ("mem_mb", "gres", "runtime")
NODES = ("sinfo", "--format=%12P %11l %5D %4c %8m %24G %f")  # partition, time, nodes: CPUs, MB, GPUs, features


@dataclass(frozen=True)
class Partition:
    """minutes: the longest that a job may take, 0 is unlimited; memory: of its largest node, MB."""

    name: str
    default: bool
    minutes: float
    memory: int


def parse_limit(text: str) -> float:
    """Minutes of a time limit as sinfo prints it (`2-12:00:00`, `90:00`, `30`); 0 for `infinite`."""
    if text in ("infinite", "UNLIMITED"):
        return 0
    days, _, clock = text.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    # `days-hours[:minutes[:seconds]]` and `hours:minutes:seconds` begin with hours, others with minutes.
    unit = 60 if days or len(parts) == 3 else 1
    return float(days or 0) * 1440 + sum(part * unit / 60**place for place, part in enumerate(parts))


def parse_partitions(text: str) -> list[Partition]:
    """The partitions that `sinfo --noheader --format "%P|%l|%m"` prints, a line for each kind of nodes."""
    partitions: dict[str, Partition] = {}
    for name, limit, memory in (line.split("|") for line in text.splitlines() if line):
        largest = max(int(memory.rstrip("+")), partitions[name].memory if name in partitions else 0)
        partitions[name] = Partition(name.rstrip("*"), name.endswith("*"), parse_limit(limit), largest)
    return list(partitions.values())


def output_of(*command: str) -> str:
    """What a command of Slurm prints; nothing where it is missing or fails, as sacctmgr without accounting."""
    try:
        return ask(*command, pauses=[0])
    except UserError:
        return ""


def list_partitions() -> list[Partition]:
    """The partitions of this cluster; none where there is no sinfo."""
    return parse_partitions(output_of("sinfo", "--noheader", "--format=%P|%l|%m"))


def limit(resource: str, value: float, partition: str, partitions: list[Partition]) -> int:
    """So many minutes (`runtime`) or MB (`mem_mb`), or as many as a partition has; an empty name is the default one.

    Slurm lets a job wait for ever that asks for more time than its partition grants.
    """
    chosen = [p for p in partitions if p.name == partition or (p.default and not partition)]
    limits = [p.minutes if resource == "runtime" else p.memory for p in chosen]
    return int(min([value, *filter(None, limits)]))


def explain_refusal(rule: str, resources: Mapping[str, Any], message: str) -> str:
    """Say what a job asks for, what there is, and where to change it; message: sbatch's own words."""
    request = ", ".join(f"{name}={resources[name]}" for name in SETTINGS if resources.get(name))
    associations = ("sacctmgr", "show", "assoc", f"user={getpass.getuser()}", "format=account%20,partition%20,qos%40")
    available = output_of(*(associations if re.search("account|qos", message, re.IGNORECASE) else NODES)).rstrip()
    return (
        f"rule {rule} asks for {request or 'nothing'}: {' '.join(message.split())}\n"
        f"{textwrap.indent(available, '    ')}\n  Change that in the profile (default-resources for all rules, "
        f"set-resources for {rule}), or `gpus`, `ranks`, `nodes` in the config."
    )
