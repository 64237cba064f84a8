"""A SLURM cluster as its commands tell of it: partitions and nodes, and why it refuses a job."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

UNITS = {"UNLIMITED": 0, "infinite": 0}
SQUEUE = ("squeue", "--noheader")


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind: CPUs, memory (MB) and GPUs of each; gpus: model → how many, the model may be empty."""

    number: int
    cpus: int
    memory: int
    gpus: dict[str, int]

    def __str__(self) -> str:
        shown = [f"{self.cpus} CPUs", f"{self.memory} MB", *(f"{n} GPUs {m}".strip() for m, n in self.gpus.items())]
        return f"{self.number} with {', '.join(shown)}"


@dataclass(frozen=True)
class Partition:
    """minutes: the longest that a job may take there; 0 is unlimited."""

    name: str
    default: bool
    minutes: float
    nodes: tuple[Nodes, ...]


def limit(text: str) -> float:
    """Minutes of a time limit in Slurm's notation (`2-12:00:00`, `90:00`, `30`); 0 for none."""
    if text in UNITS:
        return 0
    days, _, clock = text.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    if days:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, [*parts, 0][:2]
    return float(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def gpus(gres: str) -> dict[str, int]:
    """model → GPUs of a node, of a list such as `gpu:a100:4(S:0-1),nvme:1`."""
    found = re.findall(r"(?:^|,)gpu(?::([^:(),]*[^:(),\d][^:(),]*))?(?::(\d+))?(?=[(,]|$)", gres)
    return {model: int(number or 1) for model, number in found}


def partitions(text: str) -> list[Partition]:
    """What `sinfo --noheader --format "%P|%l|%D|%c|%m|%G"` prints: a line for each kind of nodes of a partition."""
    kinds: dict[str, list[list[str]]] = {}
    for line in filter(None, text.splitlines()):
        name, *rest = line.split("|")
        kinds.setdefault(name, []).append(rest)
    return [
        Partition(
            name.rstrip("*"),
            name.endswith("*"),
            limit(rows[0][0]),
            tuple(
                Nodes(int(number), int(cpus.rstrip("+")), int(memory.rstrip("+")), gpus(gres))
                for _, number, cpus, memory, gres in rows
            ),
        )
        for name, rows in kinds.items()
    ]


def told(*command: str) -> str:
    """What a command of Slurm prints; nothing where it fails, as sacctmgr does without accounting."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def partitions_here() -> list[Partition]:
    return partitions(told("sinfo", "--noheader", "--format", "%P|%l|%D|%c|%m|%G"))


def names_here(what: str, user: str) -> list[str]:
    """The accounts that a user may charge, or all qualities of service, where there is accounting."""
    if what == "account":
        return sorted(set(told("sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account").split()))
    return sorted(set(told("sacctmgr", "-nP", "show", "qos", "format=name").split()))


@dataclass(frozen=True)
class Request:
    """What the jobs of a rule ask of a cluster; empty where it is left to the cluster. nodes, gres, cpus: of each job,
    node, task; memory: MB of a node; minutes: the time limit.
    """

    rule: str
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    gres: str = ""
    nodes: int = 1
    tasks_per_node: int = 1
    cpus: int = 1
    memory: int = 0
    minutes: float = 0


def refusal(request: Request, said: str, here: list[Partition], user: str) -> str:
    """Why a job of these resources is refused, and the setting to change; said: sbatch's own words."""
    at = f"in default-resources of the profile, or for rule {request.rule} in its set-resources"
    words = said.lower()
    if "partition name" in words or "invalid partition" in words:
        names = ", ".join(f"{p.name} (the default)" if p.default else p.name for p in here)
        return f"slurm_partition {request.partition!r}: no such partition here, but {names}; change it {at}"
    for what, value in (("account", request.account), ("qos", request.qos)):
        if f"invalid {what}" in words:
            key = {"account": "slurm_account"}.get(what, what)
            names = ", ".join(names_here(what, user)) or "none that are known"
            return f"{key} {value!r}: not one of yours ({names}); change it {at}"
    if "feature" in words:
        return f"constraint {request.constraint!r}: no node has it (`sinfo -o '%N %f'` lists them); change it {at}"
    if "node configuration" in words or "node count" in words:
        chosen = [p for p in here if p.name == request.partition or (not request.partition and p.default)]
        have = "; ".join(f"{p.name}: {', '.join(map(str, p.nodes))}" for p in chosen or here)
        return (
            f"no nodes have what rule {request.rule} asks for, {request.nodes} × ({asked(request)}); there are {have}; "
            f"change `gpus`, `ranks`, `nodes`, `workers` in the config, or gpu_model, slurm_partition, mem_mb {at}"
        )
    return f"rule {request.rule}: {' '.join(said.split())}; its resources can be changed {at}"


def asked(request: Request) -> str:
    """Of each node, in words."""
    cpus = request.cpus * request.tasks_per_node
    parts = [f"{cpus} CPUs", f"{request.memory} MB" if request.memory else "", request.gres]
    return ", ".join(filter(None, parts))


def too_long(request: Request, here: list[Partition]) -> str:
    """What is wrong with a time limit that a partition does not grant; Slurm lets such a job wait for ever."""
    for partition in here:
        chosen = partition.name == request.partition or (not request.partition and partition.default)
        if chosen and 0 < partition.minutes < request.minutes:
            return (
                f"rule {request.rule} asks for {request.minutes:g} minutes, partition {partition.name} grants "
                f"{partition.minutes:g}: set-resources: {request.rule}: runtime={partition.minutes:g} in the profile"
            )
    return ""


def jobs_in(folder: str, user: str) -> list[str]:
    """The jobs that a user has in the queue and that run, or will, in a folder."""
    lines = told(*SQUEUE, "--user", user, "--format", "%A|%Z").splitlines()
    return sorted({job for job, _, where in (line.partition("|") for line in lines) if where == folder})


def cancel(jobs: Iterable[str], patience: float = 120) -> list[str]:
    """Cancel jobs and wait for their end; those that are still there after so many seconds."""
    left = list(jobs)
    told("scancel", *left)
    end = time.monotonic() + patience
    while left and time.monotonic() < end:
        queued = told(*SQUEUE, "--format", "%A", "--jobs", ",".join(left)).split()
        left = [job for job in left if job in queued]
        if left:
            time.sleep(2)
    return left
