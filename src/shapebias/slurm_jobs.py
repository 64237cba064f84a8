"""Jobs of a SLURM cluster: what became of them, how many fit into one array, and how those that are left behind end."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from shapebias.errors import UserError

T = TypeVar("T")

# Ends that Snakemake's executor would not take for one, or would exclude all nodes of a job for: a node that is lost is
# down until its administrators say otherwise, and gets no jobs from Slurm anyway.
ENDS = {"PREEMPTED": "CANCELLED", "NODE_FAIL": "FAILED"}
# Linux takes 131,072 bytes of one argument, and all tasks of an array are said in one; some room is left for the rest.
ARRAY_BYTES = 100_000
RECORDS_DELAY = 600.0  # seconds until a job that was submitted is in the records of accounting, at the very latest


def task_ids(job: str) -> list[str]:
    """The jobs behind a number in Slurm's notation: `12`, `12_3`, or the waiting tasks of an array, `12_[3-5,9%2]`."""
    found = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", job)
    if not found:
        return [job]
    array, listed = found.groups()
    numbers: list[int] = []
    for part in listed.split(","):
        ends, _, step = part.partition(":")
        first, _, last = ends.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1, int(step or 1)))
    return [f"{array}_{number}" for number in numbers]


def states(told: Mapping[str, str]) -> dict[str, str]:
    """job → its state in one word (`CANCELLED by 1000` is CANCELLED), each task of an array for itself."""
    return {job: state.split()[0] for listed, state in told.items() if state for job in task_ids(listed)}


def arrays(jobs: Sequence[T], lengths: Sequence[int], room: int = ARRAY_BYTES) -> list[list[T]]:
    """Jobs cut into arrays whose commands fit into the room, in order; lengths: bytes of each job's command."""
    each = max(1, room // max(lengths))
    return [list(jobs[start : start + each]) for start in range(0, len(jobs), each)]


class Watch:
    """What became of the jobs of a study, by one look at all of them after the other."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}  # job → the word that Slurm had for it last
        self.missing: dict[str, float] = {}  # active job → since when nothing is told of it

    def look(self, told: Mapping[str, str], active: Iterable[str]) -> dict[str, str]:
        """job → state, of what Slurm tells and of the active jobs that it tells nothing of, twice in a row, and that
        are not in the queue: accounting has no record of a task that was cancelled while it waited, nor squeue of jobs
        that ended minutes ago; a controller that breaks down may lose what it has just taken. Raises UserError where
        squeue does not answer.
        """
        seen, now = states(told), time.monotonic()
        self.states.update(seen)
        if not told:  # a look that failed
            return seen
        arrays_known = {job.partition("_")[0] for job in self.states}
        late = {
            job
            for job, since in self.missing.items()
            if job.partition("_")[0] in arrays_known or now - since >= RECORDS_DELAY
        }
        self.missing = {job: self.missing.get(job, now) for job in active if job not in seen}
        gone = {job: "CANCELLED" for job in self.missing if job in late and not queued("--jobs", job)}
        self.states.update(gone)
        return seen | gone


def answers(*command: str, tries: int = 1, pause: float = 5.0) -> bool:
    """Whether a command of Slurm is there and ends well, of several tries (seconds between two); sacct does not where
    there is no accounting.
    """
    if shutil.which(command[0]) is None:
        return False
    for left in reversed(range(tries)):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(pause if left else 0)
    return False


def queued(*which: str) -> list[str]:
    """The numbers of the jobs that squeue shows for some options, and none where there is no squeue. Raises UserError
    where it does not answer: jobs that are not seen would be started a second time.
    """
    return sorted(set(squeue("%A", *which)))


def squeue(layout: str, *which: str) -> list[str]:
    """The lines of squeue in a layout of its --format, for some options; raises as `queued` does."""
    if shutil.which("squeue") is None:
        return []
    done = subprocess.run(
        ["squeue", "--noheader", f"--format={layout}", *which], capture_output=True, text=True, check=False
    )
    if done.returncode and "Invalid job id" not in done.stderr:  # as it says of a job that it has forgotten
        raise UserError(f"squeue does not answer ({' '.join(done.stderr.split())})")
    return [line.strip() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def cancel(jobs: Iterable[str], patience: float = 120) -> list[str]:
    """Cancel jobs and wait for their end; those that are still there after so many seconds. Raises UserError where
    squeue does not answer.
    """
    left = list(jobs)
    subprocess.run(["scancel", *left], capture_output=True, check=False)
    end = time.monotonic() + patience
    while left and time.monotonic() < end:
        still = queued("--jobs", ",".join(left))
        left = [job for job in left if job in still]
        if left:
            time.sleep(2)
    return left
