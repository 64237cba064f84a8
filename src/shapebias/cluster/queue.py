"""The queue of a SLURM cluster: which jobs it holds, what became of them, and how they are cancelled."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable

from shapebias.errors import UserError

FAILED = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LOST", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
FAILED += ("TIMEOUT",)
MISSING = 120.0  # seconds until a job that neither the queue nor accounting knows counts as lost


def query_slurm(*command: str) -> str:
    """Return what a command of Slurm prints. Raises UserError where it is missing or fails."""
    if shutil.which(command[0]) is None:
        raise UserError(f"{command[0]} does not answer (no such command)")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "Invalid job id" not in done.stderr:  # squeue's words for a job that it has forgotten
        raise UserError(f"{command[0]} does not answer ({' '.join(done.stderr.split())})")
    return done.stdout


def queued_jobs(*options: str) -> list[str]:
    """Return the numbers of the jobs that squeue lists, none where there is no squeue; raises as `ask` does."""
    return query_slurm("squeue", "--noheader", "--format=%A", *options).split() if shutil.which("squeue") else []


def cancel_jobs(name: str, patience: float = 120) -> list[str]:
    """Cancel all jobs of a name and return their numbers. Raises UserError if some are there after so many seconds."""
    jobs = remaining = queued_jobs("--name", name)
    end = time.monotonic() + patience
    if jobs:
        subprocess.run(["scancel", "--name", name], capture_output=True, check=False)
    while remaining:
        if time.monotonic() > end:
            raise UserError(f"jobs {', '.join(remaining)} do not end; wait for an empty `squeue` and start again")
        time.sleep(1)
        remaining = queued_jobs("--name", name)
    return jobs


def parse_states(rows: str) -> dict[str, tuple[str, str]]:
    """Return job → state and status from lines such as `12 CANCELLED by 1000 0:15`."""
    words = [row.split() for row in rows.splitlines()]
    return {row[0]: (row[1], row[-1]) for row in words if len(row) > 2}


class JobStates:
    """The states of all jobs of one name, by one question each time.

    The queue forgets jobs some minutes after their end (MinJobAge, by default five): accounting is asked about those.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing: dict[str, float] = {}  # job → when it was first missing from the queue

    def query(self, jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return job → state and status: that of its process (19968), or exit code and signal (`78:0`), by version.
        Raises UserError if the queue does not answer.
        """
        layout = "--Format=JobID:20,State:20,exit_code:20"
        answers = parse_states(query_slurm("squeue", "--noheader", "--states=all", layout, "--name", self.name))
        now = time.monotonic()
        self.missing = {job: self.missing.get(job, now) for job in jobs if job not in answers}
        if self.missing:
            with contextlib.suppress(UserError):  # many sites have no accounting
                layout = "--format=JobIDRaw,State%20,ExitCode"
                past = parse_states(query_slurm("sacct", "-X", "--noheader", layout, "--jobs", ",".join(self.missing)))
                answers |= {job: answer for job, answer in past.items() if answer[0] in ("COMPLETED", *FAILED)}
        for job, since in self.missing.items():
            if now - since >= MISSING:
                answers.setdefault(job, ("LOST", ""))
        return answers
