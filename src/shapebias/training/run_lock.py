"""Claims: one process at a time trains a run, also where an earlier one was left behind.

Snakemake that is killed leaves its jobs behind, and started again it starts them again. A claim is a lock (flock) on a
file, which the kernel gives up with the process that holds it, however that ends. The file says who holds it; without
the lock it means nothing, so none is ever in the way of a run whose process is gone.

On NFS, GPFS, CephFS and Lustre (mounted with `flock`) locks hold over all nodes; on Lustre with `localflock` and on
BeeGFS as it is set up by default, over the processes of one node alone; where there are none, a warning says so.
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
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.interruption import StoppedError

log = logging.getLogger(__name__)

WAIT = 120.0  # seconds: a job that was told to leave writes its checkpoint and is gone; a waiting one burns GPU hours
BETWEEN = 1.0  # seconds between two tries; a blocking flock would not hear a signal that only notes itself
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def claimed(
    path: Path, ranks: Ranks = ALONE, stopped: Callable[[], bool] = lambda: False, wait: float = WAIT
) -> Generator[None]:
    """Hold the lock of a file while the body runs, the first rank for all; afterwards the file is gone.

    stopped: whether to leave instead of waiting on. wait: seconds that another process is waited for. Raises
    StoppedError, on all ranks alike, where it holds the lock even then: nothing is wrong, and another try may do.
    """
    refusal: StoppedError | OSError | None = None
    with contextlib.ExitStack() as held:
        if ranks.first:
            try:
                held.enter_context(lock(path, stopped, wait))
            except (StoppedError, OSError) as error:
                refusal = error
        if ranks.sum(torch.tensor([float(refusal is not None)], device=ranks.device)).item():
            raise refusal or StoppedError(f"{path}: the first rank could not lock it")
        yield


@contextlib.contextmanager
def lock(path: Path, stopped: Callable[[], bool], wait: float) -> Generator[None]:
    """Hold the lock of a file; raises StoppedError."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]  # innermost first
    until, descriptor, waiting = time.monotonic() + wait, None, False
    try:
        while (descriptor := attempt(path)) is None:
            if stopped():
                raise StoppedError(f"{path}: stopped while waiting for {holder(path)}")
            if time.monotonic() >= until and is_over(path):
                log.info("%s: the lock of a job that has ended, on a node that has not let go of it: taken", path)
                path.unlink(missing_ok=True)
            elif time.monotonic() >= until:
                raise StoppedError(
                    f"{path}: the run is still trained by {holder(path)}, after {wait:.0f} s of waiting; end that "
                    f"process or its job, or remove this file if its node is lost, and run the same command again"
                )
            if not waiting:
                log.info("%s: waits up to %.0f s for %s", path, wait, holder(path))
                waiting = True
            time.sleep(min(BETWEEN, wait))
        yield
    finally:
        if descriptor is not None:
            if is_same_file(descriptor, path):  # and not taken by who thinks that this process is gone
                path.unlink(missing_ok=True)
            # Forked DataLoader workers share it: to close it is not enough.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        for folder in made:
            with contextlib.suppress(OSError):  # no longer empty
                folder.rmdir()


def attempt(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None where another process does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:  # who held it has just removed the folder
        return None
    except FileExistsError:  # the same, between mkdir's finding it there and looking at it
        if path.parent.exists() and not path.parent.is_dir():
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_same_file(descriptor, path):  # who held it has removed it since it was opened
            os.close(descriptor)
            return None
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            os.close(descriptor)
            raise
        log.warning("%s: this file system has no locks (%s); take care that no other job trains the run", path, error)
    with contextlib.suppress(OSError):  # a full disk: who holds it is then not known
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, own_name().encode(), 0)
        os.fsync(descriptor)  # other nodes see what is on the server
    return descriptor


def is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def own_name() -> str:
    """What others are told of this process."""
    job = os.environ.get("SLURM_JOB_ID")
    began = datetime.now().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()}{f' (Slurm job {job})' if job else ''}, since {began}"


def is_over(path: Path) -> bool:
    """Whether Slurm says that the job that holds the lock of a file has ended: its node is lost, or does not answer."""
    job = re.search(r"\(Slurm job (\d+)\)", holder(path))
    try:
        return bool(job and shutil.which("squeue") and not queued_jobs("--jobs", job[1]))
    except UserError:
        return False


def holder(path: Path) -> str:
    """Who holds the lock of a file, in words."""
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
