"""A SLURM cluster as its commands tell of it: partitions and nodes, and why it refuses a job."""

import re
import shutil
import subprocess
from dataclasses import dataclass

UNITS = {"UNLIMITED": 0, "infinite": 0}


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
    """The accounts, or qualities of service, that a user may charge, where there is accounting."""
    listed = told("sacctmgr", "-nP", "show", "assoc", f"user={user}", f"format={what}")
    return sorted(filter(None, set(re.split(r"[,\s]+", listed))))


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
    at = f"in the profile: in default-resources for all rules, in set-resources for {request.rule}"
    words = said.lower()
    if "partition name" in words or "invalid partition" in words:
        names = ", ".join(f"{p.name} (the default)" if p.default else p.name for p in here)
        return f"slurm_partition {request.partition!r}: no such partition here, but {names}; change it {at}"
    for what, value in (("account", request.account), ("qos", request.qos)):
        if f"invalid {what}" in words:
            key = {"account": "slurm_account"}.get(what, what)
            asked_for = f"{key} {value!r}" if value else f"{key} is not set"
            where = f" in partition {request.partition}" if request.partition else ""
            names = ", ".join(names_here(what, user)) or "none that are known"
            return f"{asked_for}: refused to you{where}; yours are {names}; change it {at}"
    if "feature" in words:
        return f"constraint {request.constraint!r}: no node has it (`sinfo -o '%N %f'` lists them); change it {at}"
    if "node configuration" in words or "node count" in words:
        look_at = chosen(request.partition, here) or here
        have = "; ".join(f"{p.name}: {', '.join(map(str, p.nodes))}" for p in look_at)
        return (
            f"no nodes have what rule {request.rule} asks for, {request.nodes} × ({asked(request)}); there are {have}; "
            "change `gpus`, `ranks`, `nodes`, `workers` in the config, slurm_partition or gpu_model in the profile's "
            f"default-resources, or mem_mb in its set-resources for {request.rule}"
        )
    return f"rule {request.rule}: {' '.join(said.split())}; its resources can be changed {at}"


def asked(request: Request) -> str:
    """Of each node, in words."""
    cpus = request.cpus * request.tasks_per_node
    parts = [f"{cpus} CPUs", f"{request.memory} MB" if request.memory else "", request.gres]
    return ", ".join(filter(None, parts))


def chosen(name: str, here: list[Partition]) -> list[Partition]:
    """The partition of a name, or the default one where that is empty; none where there is no such."""
    return [p for p in here if p.name == name or (not name and p.default)]


def granted(minutes: float, name: str, here: list[Partition]) -> float:
    """So many minutes, or as many as a partition grants: Slurm lets a job that asks for more wait for ever."""
    return min([minutes, *(p.minutes for p in chosen(name, here) if p.minutes)])


def largest(memory: int, name: str, here: list[Partition]) -> int:
    """So many MB, or as many as the largest node of a partition has."""
    return min([memory, *[max(node.memory for node in p.nodes) for p in chosen(name, here)]])


def too_long(request: Request, here: list[Partition]) -> str:
    """What is wrong with a time limit that a partition does not grant; nothing where it does."""
    grants = granted(request.minutes, request.partition, here)
    if grants == request.minutes:
        return ""
    [partition] = chosen(request.partition, here)
    return (
        f"rule {request.rule} asks for {request.minutes:g} minutes, partition {partition.name} grants {grants:g}: "
        f"set-resources: {request.rule}: runtime={grants:g} in the profile"
    )
