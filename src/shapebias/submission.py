"""Submitting to a cluster that is busy: a job is made once, however often it has to be asked for."""

import getpass
import logging
import re
import shlex
import subprocess
import threading
from typing import Any, ClassVar

from shapebias.errors import UserError
from shapebias.slurm_jobs import queued, squeue

log = logging.getLogger(__name__)

# Of the user, the account or the QOS: there will be room when jobs end.
TOO_MANY = re.compile(r"(?:Max|Grp)Submit\w*Limit")
# The answer was lost, and maybe not the job.
UNSURE = re.compile(r"timed out|Zero Bytes")
LATER = re.compile(rf"Unable to contact|temporarily un|standby mode|{TOO_MANY.pattern}|{UNSURE.pattern}")
MARKS = re.compile(r"--job-name (?P<name>\S+) .*?--comment (?P<comment>'[^']*'|\S+)")


class Submission:
    """A call of sbatch as subprocess.Popen makes it, asked again for as long as the cluster cannot take jobs now: its
    controller does not answer, or the user has as many jobs there as are allowed. Each refusal would cost the job one
    of its attempts. Where nobody knows whether there is a job, it is looked for by its name and comment first.
    """

    PAUSE = 60.0  # seconds
    leaving = threading.Event()  # set when whoever submits is to leave
    warn = staticmethod(log.warning)
    made: ClassVar[set[str]] = set()  # all jobs so far

    def __init__(self, *command: Any, **options: Any) -> None:
        self.command, self.options = command, options
        self.returncode: int | None = None

    def communicate(self, input: str | None = None) -> tuple[str, str]:
        """What sbatch printed, to stdout and stderr."""
        told, out, err = False, "", ""
        while True:
            there = self.there() if UNSURE.search(err) else ""
            if there:
                self.returncode, out, err = 0, f"{there}\n", ""
            elif there is not None:
                # Started here and not before: both are one step for whoever reads the answer.
                with subprocess.Popen(*self.command, **self.options) as process:
                    out, err = process.communicate(input)
                self.returncode = process.returncode
            if self.returncode == 0:
                self.made.update(re.findall(r"\d+", out)[:1])
                return out, err
            if not LATER.search(err) or self.leaving.is_set():
                return out, err
            if TOO_MANY.search(err) and not self.others():
                return out, f"{err.strip()} - set `jobs` in the profile to no more than that limit"
            if not told:
                words = " ".join(err.split())
                self.warn(f"sbatch: {words} - asked again every {self.PAUSE:.0f} s until it takes the job")
                told = True
            if self.leaving.wait(self.PAUSE):
                return out, err

    def there(self) -> str | None:
        """The number of the job, where it was made all the same; empty where it was not, None where nobody answers."""
        marks = MARKS.search(str(self.command[0]))
        if not marks:
            return ""
        name, comment = (shlex.split(mark)[0] for mark in marks.group("name", "comment"))
        try:
            # Also what has ended since; an array is known by the number of its first job.
            rows = [row.partition(" ") for row in squeue("%F %k", "--name", name, "--states", "all")]
        except UserError:
            return None
        return next((number for number, _, said in rows if said == comment and number not in self.made), "")

    def others(self) -> bool:
        """Whether the user has jobs whose end may make room."""
        try:
            return bool(queued("--user", getpass.getuser()))
        except UserError:
            return True
