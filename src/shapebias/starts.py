"""Starts of Snakemake in one folder: a record of each, by which a later one knows what a killed one has left behind.

A start writes its record before it takes the folder's lock, gives signs of life by the time of that file, and removes
it at its end. The folder may be shared by machines whose processes cannot be seen from here.
"""

import contextlib
import json
import os
import shutil
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.slurm_jobs import queued

FOLDER = Path(".snakemake/starts")
SILENCE = 900.0  # seconds; the executor gives a sign of life every three minutes at least


@dataclass(frozen=True)
class Start:
    """Where and since when (seconds since 1970) a process runs Snakemake, the job that it runs in, if any, and the name
    of the jobs that it submits, once it does.
    """

    host: str
    pid: int
    started: float
    job: str | None
    run: str | None = None

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.host}-{self.pid}-{self.started:.0f}.json"

    def write(self) -> None:
        with replacing(self.path) as draft:
            draft.write_text(json.dumps(asdict(self)))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def live(self) -> None:
        """Give a sign of life."""
        with contextlib.suppress(OSError):
            os.utime(self.path)

    @property
    def seen(self) -> float:
        """The time of the last sign of life, by the clock of the file system."""
        try:
            return self.path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def has_ended(self) -> bool | None:
        """None where that cannot be told from here: on another machine, outside of any job."""
        if self.host == socket.gethostname():
            try:
                # The clock may have been set since.
                return abs(psutil.Process(self.pid).create_time() - self.started) > 60
            except psutil.NoSuchProcess:
                return True
        if self.job and self.job == own_job():  # Slurm has queued it again, on this machine
            return True
        if self.job and shutil.which("squeue"):
            with contextlib.suppress(UserError):
                return not queued("--jobs", self.job)
        return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def own_job() -> str | None:
    """The job that this process runs in; a shell on a login node may know the number of one that it does not run in."""
    return os.environ.get("SLURM_JOB_ID") if "SLURMD_NODENAME" in os.environ else None


def own() -> Start:
    process = psutil.Process()
    return Start(socket.gethostname(), process.pid, process.create_time(), own_job())


def recorded() -> list[Start]:
    """All starts that have a record in this folder."""
    found = []
    for path in sorted(FOLDER.glob("[!.]*.json")):
        with contextlib.suppress(FileNotFoundError):  # that one has just ended
            found.append(Start(**json.loads(path.read_text())))
    return found
