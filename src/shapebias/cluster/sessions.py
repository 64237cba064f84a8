"""Snakemake sessions in one folder: each keeps a record, so that a later session can clean up after a killed one.

A session writes its record before it locks the folder, updates the file's time as a sign of life, and removes the
file at its end. Several machines may share the folder, and each sees only its own processes.
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
MAX_SILENCE = 900.0  # seconds; the executor gives a sign of life at least every three minutes


@dataclass(frozen=True)
class Session:
    """A process that runs Snakemake: its host, its start (seconds since 1970), and the name of its jobs, if any."""

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
        with contextlib.suppress(OSError):  # the folder was cleaned, or its disk is full
            os.utime(self.path)

    @property
    def silence(self) -> float:
        """Return the seconds since the last sign of life."""
        return time.time() - (self.path.stat().st_mtime if self.path.exists() else 0)

    def has_ended(self) -> bool:
        """Return whether the process is gone: absent from this machine, or silent for too long on another."""
        if self.host != socket.gethostname():
            return self.jobs_name is not None and self.silence > MAX_SILENCE
        try:  # the process id may have been reused, and the clock may have been set since
            process = psutil.Process(self.pid)
            # A killed process stays as a zombie where the first process of a container does not reap it.
            return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - self.started) > 60
        except psutil.NoSuchProcess:
            return True

    def end(self) -> None:
        """Remove the record, unless jobs are or may be in the queue: the next session then cancels them.

        A record that the executor has replaced by its own stays too.
        """
        with contextlib.suppress(UserError):
            if self in recorded_sessions() and not (self.jobs_name and queued_jobs("--name", self.jobs_name)):
                self.path.unlink(missing_ok=True)


def begin_session(jobs_name: str | None = None) -> Session:
    """Write the record of this process; it is removed at exit."""
    process = psutil.Process()
    session = Session(socket.gethostname(), process.pid, process.create_time(), jobs_name)
    session.write()
    atexit.register(session.end)
    return session


def recorded_sessions() -> list[Session]:
    """Return all sessions with a record in this folder."""
    sessions = []
    for path in sorted(FOLDER.glob("[!.]*.json")):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            sessions.append(Session(**json.loads(path.read_text())))
    return sessions


def cancel_orphaned_jobs() -> list[str]:
    """Cancel the jobs of killed sessions and return their ids; this session submits them again.

    Raises UserError if a session on another machine may still be alive, or if jobs do not end: two jobs would then
    write the same file.
    """
    cancelled = []
    for session in recorded_sessions():
        if session.has_ended():
            cancelled += cancel_jobs(session.jobs_name) if session.jobs_name else []
            session.path.unlink(missing_ok=True)
        elif session.jobs_name and session.host != socket.gethostname():
            raise UserError(
                f"Snakemake (process {session.pid} on {session.host}) gave a sign of life {session.silence / 60:.0f} "
                "minutes ago, and two runs at once would write the same files. If that run was killed, wait, or "
                f"confirm it with `touch -d yesterday {session.path}`, and start again"
            )
    return cancelled
