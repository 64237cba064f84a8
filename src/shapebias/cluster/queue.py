"""The queue of a SLURM cluster: list jobs, look up their states, cancel them."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable

from shapebias.errors import UserError

FAILED = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LOST", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
FAILED += ("TIMEOUT",)
MISSING = 120.0  # seconds until a job that is absent from both queue and accounting counts as lost


def query_slurm(*command: str) -> str:
    """Return the output of a Slurm command. Raises UserError if the command is missing or fails."""
    if shutil.which(command[0]) is None:
        raise UserError(f"{command[0]} does not answer (no such command)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:  # squeue's message for a job it no longer lists
        raise UserError(f"{command[0]} does not answer ({' '.join(done.stderr.split())})")
    return done.stdout


def queued_jobs(*options: str) -> list[str]:
    """Return the ids of the jobs that squeue lists; empty if squeue is not installed. Raises UserError if it fails."""
    return query_slurm("squeue", "--noheader", "--format=%A", *options).split() if shutil.which("squeue") else []


def cancel_jobs(name: str, patience: float = 120) -> list[str]:
    """Cancel all jobs with this name and return their ids.

    Raises UserError if some are still in the queue after `patience` seconds.
    """
    jobs = remaining = queued_jobs("--name", name)
    end = time.monotonic() + patience
    if jobs:
        subprocess.run(["scancel", "--name", name], capture_output=True, check=False)
    while remaining:
        if time.monotonic() > end:
            raise UserError(f"jobs {', '.join(remaining)} do not end; wait for an empty `squeue`, then start again")
        time.sleep(1)
        remaining = queued_jobs("--name", name)
    return jobs


def parse_states(rows: str) -> dict[str, tuple[str, str]]:
    """Return job → state and status from lines such as `12 CANCELLED by 1000 0:15`."""
    words = [row.split() for row in rows.splitlines()]
    return {row[0]: (row[1], row[-1]) for row in words if len(row) > 2}


class JobStates:
    """The states of all jobs with one name; each query makes a single call for all jobs.

    Slurm drops jobs from the queue some minutes after their end (MinJobAge, five by default). Their states then come
    from accounting (sacct).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing: dict[str, float] = {}  # job → when it was first missing from the queue

    def query(self, jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return job → state and status. Raises UserError if squeue fails.

        Depending on Slurm's version, the status is the process's status (19968) or exit code and signal (`78:0`).
        """
        layout = "--Format=JobID:20,State:20,exit_code:20"
        states = parse_states(query_slurm("squeue", "--noheader", "--states=all", layout, "--name", self.name))
        now = time.monotonic()
        self.missing = {job: self.missing.get(job, now) for job in jobs if job not in states}
        if self.missing:
            with contextlib.suppress(UserError):  # many sites have no accounting
                layout = "--format=JobIDRaw,State%20,ExitCode"
                accounted = parse_states(
                    query_slurm("sacct", "-X", "--noheader", layout, "--jobs", ",".join(self.missing))
                )
                states |= {job: state for job, state in accounted.items() if state[0] in ("COMPLETED", *FAILED)}
        for job, since in self.missing.items():
            if now - since >= MISSING:
                states.setdefault(job, ("LOST", ""))
        return states
