"""The queue of a SLURM cluster: which jobs it holds, what became of them, and how they are cancelled."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence

from shapebias.errors import UserError

FAILED = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LOST", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")
FAILED += ("TIMEOUT",)
PAUSES = (0.0, 5.0, 20.0)  # seconds before each attempt to ask
LATE_RECORD = 600.0  # seconds until accounting knows a job that was submitted, at the very latest
MISSING_RECORD = 30.0  # seconds that a job which was known may be missing from the answers


def ask(*command: str, pauses: Sequence[float] = ()) -> str:
    """Return what a command of Slurm prints. Raises UserError where it is missing or, after some attempts, fails."""
    error = "no such command"
    for pause in pauses or PAUSES if shutil.which(command[0]) else ():
        time.sleep(pause)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 or "Invalid job id" in done.stderr:  # squeue's words for a job that it has forgotten
            return done.stdout
        error = " ".join(done.stderr.split())
    raise UserError(f"{command[0]} does not answer ({error})")


def squeue(layout: str, *options: str) -> list[str]:
    """Return the lines of `squeue --format=layout`, none where there is no squeue; raises as `ask` does."""
    if shutil.which("squeue") is None:
        return []
    return [line.strip() for line in ask("squeue", "--noheader", f"--format={layout}", *options).splitlines()]


def queued(*options: str) -> list[str]:
    """Return the numbers of the jobs that squeue lists for some of its options; raises as `squeue` does."""
    return sorted(set(squeue("%A", *options)))


def cancel(name: str, patience: float = 120) -> tuple[list[str], list[str]]:
    """Cancel all jobs of a name; return their numbers, and those that are still there after so many seconds."""
    jobs = remaining = queued("--name", name)
    end = time.monotonic() + patience
    if jobs:
        subprocess.run(["scancel", "--name", name], capture_output=True, check=False)
    while remaining and time.monotonic() < end:
        time.sleep(1)
        remaining = queued("--name", name)
    return jobs, remaining


def has_accounting() -> bool:
    """Whether sacct answers: it is often installed without a database."""
    try:
        ask("sacct", "-X", "--noheader")
    except UserError:
        return False
    return True


class JobStates:
    """The states of all jobs of one name, by one question each time.

    Accounting may lag behind, may never hear of a job that was cancelled while it waited, and squeue forgets jobs
    that ended minutes ago. A job that is missing from the answers for long, and from the queue, counts as LOST.
    """

    def __init__(self, name: str) -> None:
        self.command = ["squeue", "--noheader", "--states=all", "--format=%A|%T|", "--name", name]
        self.longest_pause = 100.0  # seconds: by default squeue forgets a job five minutes after its end
        if has_accounting():
            self.longest_pause = 180.0
            since = time.strftime("%Y-%m-%dT%H:%M", time.localtime(time.time() - 86400))
            self.command = ["sacct", "-X", "--noheader", "--parsable2", "--format=JobIDRaw,State,ExitCode"]
            self.command += ["--starttime", since, "--name", name]
        self.recorded: set[str] = set()
        self.missing: dict[str, float] = {}  # job → when it was first missing

    def ask(self, jobs: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return job → state, and exit status (`1:0`) where there is accounting. Raises UserError if Slurm fails."""
        rows = [line.split("|") for line in ask(*self.command).splitlines()]
        answers = {job: (state.split()[0], status) for job, state, status in rows if state}  # `CANCELLED by 1000`
        self.recorded.update(answers)
        now = time.monotonic()
        self.missing = {job: self.missing.get(job, now) for job in jobs if job not in answers}
        for job, since in self.missing.items():
            if now - since >= (MISSING_RECORD if job in self.recorded else LATE_RECORD):
                answers[job] = ((squeue("%T", "--states=all", "--jobs", job) or ["LOST"])[0], "")
        return answers
