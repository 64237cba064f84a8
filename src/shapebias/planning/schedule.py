"""How long the jobs of a plan take on some processors and GPUs, and what they need while they run."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from shapebias.errors import UserError
from shapebias.planning.jobs import Jobs


@dataclass(frozen=True)
class Course:
    """seconds: from the first job to the end of the last. Peaks, bytes at one time over all jobs that run then:

    checkpoints; drafts, of what the jobs are writing; staged, copies on the nodes' own disks.
    """

    seconds: float
    checkpoints: float
    drafts: float
    staged: float


def course(plan: Sequence[Jobs], *, cpus: int, gpus: int, start: float = 0.0) -> Course:
    """Run a plan in thought: each job as soon as what it waits for is done and there is room, in the plan's order.

    start: seconds that the scheduler takes to start a job. A job that wants more processors than there are takes all,
    as Snakemake does; one that wants more GPUs raises UserError.
    """
    for jobs in plan:
        if jobs.gpus > gpus:
            raise UserError(f"{gpus} GPUs: a job of {' '.join(jobs.key)} takes {jobs.gpus}; plan with as many at least")
    wanted = [min(jobs.cpus, cpus) for jobs in plan]
    number = {jobs.key: k for k, jobs in enumerate(plan)}
    # Of each entry of the plan: jobs still to start, jobs still to end, entries still to wait for; who waits for it.
    to_start, to_end = ([jobs.count for jobs in plan] for _ in range(2))
    awaited = [{number[key] for key in jobs.after if key in number} for jobs in plan]
    waiting = [len(keys) for keys in awaited]
    followers: list[list[int]] = [[] for _ in plan]
    for k, keys in enumerate(awaited):
        for key in keys:
            followers[key].append(k)
    ready = [k for k, count in enumerate(waiting) if not count]
    running: list[tuple[float, int, int]] = []  # end, order of its start, entry
    order, now = itertools.count(), 0.0
    held = {"checkpoints": 0.0, "drafts": 0.0, "staged": 0.0}
    peaks = dict(held)
    while ready or running:
        for k in list(ready):
            jobs = plan[k]
            while to_start[k] and wanted[k] <= cpus and jobs.gpus <= gpus:
                heapq.heappush(running, (now + start + jobs.seconds, next(order), k))
                cpus, gpus, to_start[k] = cpus - wanted[k], gpus - jobs.gpus, to_start[k] - 1
                hold(held, jobs, 1)
                peaks = {name: max(peaks[name], size) for name, size in held.items()}
            if not to_start[k]:
                ready.remove(k)
        now, _, k = heapq.heappop(running)
        cpus, gpus, to_end[k] = cpus + wanted[k], gpus + plan[k].gpus, to_end[k] - 1
        hold(held, plan[k], -1)
        if not to_end[k]:
            for follower in followers[k]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
            ready.sort()
    return Course(now, **peaks)


def hold(held: dict[str, float], jobs: Jobs, sign: int) -> None:
    """Count what one more job holds, or one fewer."""
    for name, size in (("checkpoints", jobs.scratch), ("drafts", jobs.written), ("staged", jobs.nodes * jobs.staged)):
        held[name] += sign * size
