"""Submitting to a busy cluster: a job is submitted once, however often sbatch has to be asked."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable

from shapebias.cluster.queue import query_slurm
from shapebias.errors import UserError

UNCERTAIN = re.compile(r"timed out|Zero Bytes")  # the answer was lost; the job may be there all the same
# The last is a limit of the user, the account or the QOS: there is room again when jobs end.
RETRYABLE = re.compile(rf"{UNCERTAIN.pattern}|Unable to contact|temporarily un|standby mode|(?:Max|Grp)Submit\w*Limit")


def submit(
    call: list[str],
    script: str,
    *,
    name: str,
    comment: str,
    leaving: threading.Event,
    warn: Callable[[str], object],
    pause: float = 60.0,
) -> str:
    """Submit a script and return the number of its job.

    While the controller does not answer, or the user has as many jobs as are allowed, sbatch is asked again every
    `pause` seconds until `leaving` is set. Where its answer was lost, the job is looked for first.

    call: sbatch and its options. name, comment: those of the job; no other job has both.
    Raises UserError with sbatch's own words where the job is refused.
    """
    error, warned = "", False
    while not leaving.is_set():
        with contextlib.suppress(UserError):  # squeue does not answer either: nobody knows whether there is a job
            if UNCERTAIN.search(error) and (job := find_job(name, comment)):
                return job
            done = subprocess.run(call, input=script, text=True, capture_output=True, check=False)
            error = " ".join(done.stderr.split())
            if done.returncode == 0:
                # A line of its own: `12`, or `12;cluster`. Some sites print more.
                number = re.search(r"^(\d+)(?:;\S+)?$", done.stdout, re.MULTILINE)
                error = f"sbatch printed no number, but {done.stdout!r}"
                return number[1] if number else find_job(name, comment)
        if not RETRYABLE.search(error):
            raise UserError(error)
        if not warned:
            warn(f"sbatch: {error} - asked again every {pause:.0f} s until it takes the job")
            warned = True
        leaving.wait(pause)
    raise UserError(error or "the run is ending")


def find_job(name: str, comment: str) -> str:
    """Return the number of the job of this name and comment, ended or not; empty where there is none."""
    answer = query_slurm("squeue", "--noheader", "--format=%A %k", "--name", name, "--states", "all")
    rows = [row.partition(" ") for row in answer.splitlines()]
    return next((job for job, _, its_comment in rows if its_comment == comment), "")
