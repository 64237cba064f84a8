"""Run locks: only one process at a time trains a run, even if an earlier process was left behind.

A killed Snakemake leaves its jobs running, and a new Snakemake starts them again. A run lock is an flock on a file. The
kernel releases it when the process that holds it ends, however it ends. The file describes the process that holds the
lock. Without the lock the file has no meaning, so a file of a dead process never blocks a run.

The package filelock knows neither the holder, nor a holder whose node is lost, nor a file system without locks.

On NFS, GPFS, CephFS and Lustre (mounted with `flock`) locks work across nodes. On Lustre with `localflock` and on
BeeGFS in its default setup, they work only within one node. On a file system without locks, a warning is logged.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path

import torch

from shapebias.cluster.queue import queued_jobs
from shapebias.errors import UserError
from shapebias.files import make_folder
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.interruption import StoppedError

log = logging.getLogger(__name__)

WAIT_SECONDS = 120.0  # enough for a stopping job to write its checkpoint; longer waiting wastes GPU hours
RETRY_SECONDS = 1.0  # between two tries; a blocking flock would delay the reaction to a signal
NO_LOCK_ERRORS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def lock_run(
    path: Path,
    world: World = SINGLE_PROCESS,
    stop_requested: Callable[[], bool] = lambda: False,
    wait: float = WAIT_SECONDS,
) -> Generator[None]:
    """Hold the lock of a file while the body runs; the first rank holds it for all. The file is removed afterwards.

    stop_requested: whether to stop waiting. wait: seconds to wait for another process. Raises StoppedError on all ranks
    if another process still holds the lock. Nothing is wrong then, and a retry may succeed. Raises OSError at once,
    such as DeadLinkError, if the file's folder cannot be made.
    """
    failure: StoppedError | OSError | None = None
    with contextlib.ExitStack() as stack:
        if world.is_first:
            try:
                stack.enter_context(lock_file(path, stop_requested, wait))
            except (StoppedError, OSError) as error:
                failure = error
        if world.sum(torch.tensor([float(failure is not None)], device=world.device)).item():
            raise failure or StoppedError(f"{path}: the first rank could not lock it")
        yield


@contextlib.contextmanager
def lock_file(path: Path, stop_requested: Callable[[], bool], wait: float) -> Generator[None]:
    """Hold the lock of a file; raises StoppedError, and OSError if its folder cannot be made."""
    new_folders = [folder for folder in path.absolute().parents if not folder.exists()]  # innermost first
    deadline, descriptor, waiting = time.monotonic() + wait, None, False
    try:
        make_folder(path.parent)  # a folder that cannot be made is no reason to wait
        while (descriptor := try_lock(path)) is None:
            if stop_requested():
                raise StoppedError(f"{path}: stopped while waiting for {holder(path)}")
            if time.monotonic() >= deadline and holder_has_ended(path):
                log.info("%s: a lost node still holds the lock, but its job has ended; this job takes the lock", path)
                path.unlink(missing_ok=True)
            elif time.monotonic() >= deadline:
                raise StoppedError(
                    f"{path}: after {wait:.0f} s of waiting, the run is still being trained by {holder(path)}; end "
                    f"that process or its job, or remove this file if its node is lost, and run the same command again"
                )
            if not waiting:
                log.info("%s: waits up to %.0f s for %s", path, wait, holder(path))
                waiting = True
            time.sleep(min(RETRY_SECONDS, wait))
        yield
    finally:
        if descriptor is not None:
            if is_same_file(descriptor, path):  # unless another process has replaced it
                path.unlink(missing_ok=True)
            # Forked DataLoader workers share the descriptor, so closing it does not release the lock.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        for folder in new_folders:
            with contextlib.suppress(OSError):  # no longer empty
                folder.rmdir()


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a file, or None if another process holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:  # the last holder has just removed the folder
        return None
    except FileExistsError:  # the same, but during mkdir's own checks
        if path.parent.exists() and not path.parent.is_dir():
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_same_file(descriptor, path):  # the last holder removed the file after it was opened
            os.close(descriptor)
            return None
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in NO_LOCK_ERRORS:
            os.close(descriptor)
            raise
        log.warning("%s: this file system has no locks (%s); make sure that no other job trains the run", path, error)
    with contextlib.suppress(OSError):  # a full disk; the holder is then unknown
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, describe_process().encode(), 0)
        os.fsync(descriptor)  # so that other nodes see the text
    return descriptor


def is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def describe_process() -> str:
    """Return a description of this process for other processes."""
    job = os.environ.get("SLURM_JOB_ID")
    start = datetime.now().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()}{f' (Slurm job {job})' if job else ''}, since {start}"


def holder_has_ended(path: Path) -> bool:
    """Whether Slurm reports the holder's job as ended, because its node is lost or does not answer."""
    job = re.search(r"\(Slurm job (\d+)\)", holder(path))
    try:
        return bool(job and shutil.which("squeue") and not queued_jobs("--jobs", job[1]))
    except UserError:
        return False


def holder(path: Path) -> str:
    """Return a description of the process that holds the lock of a file."""
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
