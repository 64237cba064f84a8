"""Runs of Snakemake in one folder: a record of each, by which a later one knows what a killed one left behind.

A session writes its record when it holds the folder's lock, gives signs of life by the time of that file, and removes
it at its end. The folder may be shared by machines whose processes cannot be seen from here.
"""

import atexit
import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from shapebias.cluster.queue import cancel_jobs, queued_jobs
from shapebias.errors import UserError
from shapebias.files import atomic_write

FOLDER = Path(".snakemake/sessions")
MAX_SILENCE = 900.0  # seconds; the executor gives a sign of life every three minutes at least


@dataclass(frozen=True)
class Session:
    """Where and since when (seconds since 1970) a process runs Snakemake; the name of its jobs, if it submits any."""

    host: str
    pid: int
    started: float
    jobs_name: str | None = None

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.host}-{self.pid}-{self.started:.0f}.json"

    def write(self) -> None:
        with atomic_write(self.path) as draft:
            draft.write_text(json.dumps(asdict(self)))

    def give_sign_of_life(self) -> None:
        with contextlib.suppress(OSError):  # someone cleaned the folder, or its disk is full
            os.utime(self.path)

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.time() - (self.path.stat().st_mtime if self.path.exists() else 0)

    def has_ended(self) -> bool:
        """Whether its process is gone from this machine, or so silent elsewhere that it must be."""
        if self.host != socket.gethostname():
            return self.jobs_name is not None and self.silence > MAX_SILENCE
        try:  # a process of the same number may be another; the clock may have been set since
            return abs(psutil.Process(self.pid).create_time() - self.started) > 60
        except psutil.NoSuchProcess:
            return True

    def end(self) -> None:
        """Remove the record, unless jobs are still in the queue, or may be: the next session cancels those."""
        with contextlib.suppress(UserError):
            if not (self.jobs_name and queued_jobs("--name", self.jobs_name)):
                self.path.unlink(missing_ok=True)


def begin_session(jobs_name: str | None = None) -> Session:
    """Write the record of this process, which it removes at its end."""
    process = psutil.Process()
    session = Session(socket.gethostname(), process.pid, process.create_time(), jobs_name)
    session.write()
    atexit.register(session.end)
    return session


def recorded_sessions() -> list[Session]:
    """All sessions with a record in this folder."""
    sessions = []
    for path in sorted(FOLDER.glob("[!.]*.json")):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            sessions.append(Session(**json.loads(path.read_text())))
    return sessions


def cancel_orphaned_jobs() -> list[str]:
    """Cancel the jobs of killed sessions, which this one submits again; return their numbers.

    Raises UserError where a session elsewhere may still be alive, or jobs do not end: two jobs would write one file.
    """
    cancelled = []
    for session in recorded_sessions():
        if session.has_ended():
            cancelled += cancel_jobs(session.jobs_name) if session.jobs_name else []
            session.path.unlink(missing_ok=True)
        elif session.jobs_name and session.host != socket.gethostname():
            raise UserError(
                f"Snakemake (process {session.pid} on {session.host}) gave a sign of life {session.silence / 60:.0f} "
                "minutes ago, and two at once would write the same files. If it was killed, wait, or say so by "
                f"`touch -d yesterday {session.path}`, and start again"
            )
    return cancelled
