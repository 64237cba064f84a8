"""Submit jobs to a busy cluster: retry sbatch as often as necessary, and submit each job exactly once."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable

from shapebias.cluster.queue import query_slurm
from shapebias.errors import UserError

UNCERTAIN = re.compile(r"timed out|Zero Bytes")  # sbatch's reply was lost, but the job may exist
# The last pattern is a limit of the user, account or QOS: it has room again when jobs end.
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
    """Submit a script and return the id of its job.

    While the controller does not respond, or the user has reached the job limit, sbatch is called again every `pause`
    seconds until `leaving` is set. If sbatch's reply was lost, the queue is searched for the job first.

    call: sbatch and its options. name, comment: the job's name and comment, a unique pair.
    Raises UserError with sbatch's own message if the job is refused.
    """
    error, warned = "", False
    while not leaving.is_set():
        with contextlib.suppress(UserError):  # squeue fails too: the job's existence is unknown
            if UNCERTAIN.search(error) and (job := find_job(name, comment)):
                return job
            done = subprocess.run(call, input=script, text=True, capture_output=True, check=False)
            error = " ".join(done.stderr.split())
            if done.returncode == 0:
                # The id has a line of its own: `12`, or `12;cluster`. Some sites print other lines too.
                number = re.search(r"^(\d+)(?:;\S+)?$", done.stdout, re.MULTILINE)
                error = f"sbatch printed {done.stdout!r} instead of a job id"
                return number[1] if number else find_job(name, comment)
        if not RETRYABLE.search(error):
            raise UserError(error)
        if not warned:
            warn(f"sbatch: {error} - retrying every {pause:.0f} s until it accepts the job")
            warned = True
        leaving.wait(pause)
    raise UserError(error or "the run is ending")


def find_job(name: str, comment: str) -> str:
    """Return the id of the job with this name and comment, ended or not; empty if there is none."""
    output = query_slurm("squeue", "--noheader", "--format=%A %k", "--name", name, "--states", "all")
    rows = [row.partition(" ") for row in output.splitlines()]
    return next((job for job, _, job_comment in rows if job_comment == comment), "")
