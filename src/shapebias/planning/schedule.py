"""Simulation of a plan on a number of CPU cores and GPUs: its wall time and its peak use of disks."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from shapebias.errors import UserError
from shapebias.planning.jobs import JobGroup


@dataclass(frozen=True)
class Schedule:
    """The result of a simulation.

    seconds: from the start of the first job to the end of the last. All other values are peaks, in bytes, summed over
    the jobs that run at the same time. checkpoints: of training. drafts: files that jobs are writing. staged: copies on
    the nodes' own disks.
    """

    seconds: float
    checkpoints: float
    drafts: float
    staged: float


def simulate_schedule(plan: Sequence[JobGroup], *, cpus: int, gpus: int, start: float = 0.0) -> Schedule:
    """Simulate a plan: each job starts once its inputs exist and cores and GPUs are free, in the plan's order.

    start: seconds that the scheduler takes to start a job. A job that asks for more cores than exist gets all of them,
    as in Snakemake. A job that asks for more GPUs than exist raises UserError.
    """
    for group in plan:
        if group.gpus > gpus:
            raise UserError(
                f"{gpus} GPUs: a job of {' '.join(group.key)} takes {group.gpus}; plan with at least as many"
            )
    cores = [min(group.cpus, cpus) for group in plan]
    index = {group.key: k for k, group in enumerate(plan)}
    # For each group: jobs still to start, jobs still to end, groups that it still waits for, groups that wait for it.
    to_start, to_end = ([group.count for group in plan] for _ in range(2))
    awaited = [{index[key] for key in group.after if key in index} for group in plan]
    waiting = [len(keys) for keys in awaited]
    followers: list[list[int]] = [[] for _ in plan]
    for k, keys in enumerate(awaited):
        for key in keys:
            followers[key].append(k)
    ready = [k for k, count in enumerate(waiting) if not count]
    running: list[tuple[float, int, int]] = []  # end, position in the order of starts, group
    start_order, now = itertools.count(), 0.0
    usage = {"checkpoints": 0.0, "drafts": 0.0, "staged": 0.0}
    peaks = dict(usage)
    while ready or running:
        for k in list(ready):
            group = plan[k]
            while to_start[k] and cores[k] <= cpus and group.gpus <= gpus:
                heapq.heappush(running, (now + start + group.seconds, next(start_order), k))
                cpus, gpus, to_start[k] = cpus - cores[k], gpus - group.gpus, to_start[k] - 1
                update_usage(usage, group, 1)
                peaks = {name: max(peaks[name], size) for name, size in usage.items()}
            if not to_start[k]:
                ready.remove(k)
        now, _, k = heapq.heappop(running)
        cpus, gpus, to_end[k] = cpus + cores[k], gpus + plan[k].gpus, to_end[k] - 1
        update_usage(usage, plan[k], -1)
        if not to_end[k]:
            for follower in followers[k]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
            ready.sort()
    return Schedule(now, **peaks)


def update_usage(usage: dict[str, float], group: JobGroup, sign: int) -> None:
    """Add the bytes of one job that starts (sign 1), or subtract those of one that ends (sign -1)."""
    sizes = {"checkpoints": group.scratch, "drafts": group.written, "staged": group.nodes * group.staged}
    for name, size in sizes.items():
        usage[name] += sign * size
