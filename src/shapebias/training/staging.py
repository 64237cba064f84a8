"""Staging: shards are copied to the node's own disk before they are read in random order, epoch after epoch.

Each node copies once. The first rank of the node copies, and the other ranks wait. Every job has its own folder, which
is removed at its end, and also after a signal or an error. After SIGKILL the folder stays: in $SLURM_TMPDIR the node's
epilog removes it, elsewhere the next job that stages there.

Staging does not change results. If it fails (no such disk, no room, a failing copy), one warning is logged, and shards
are read from their original place.
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path

import torch

from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.interruption import StoppedError

log = logging.getLogger(__name__)

VARIABLES = ("SLURM_TMPDIR", "TMPDIR")  # the first variable that names a folder is used
# The kernel's names of file systems that are not on the node's own disk.
NOT_LOCAL = {
    **dict.fromkeys(("tmpfs", "ramfs"), "in memory, which counts as the job's memory"),
    **dict.fromkeys(
        ("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "panfs", "cifs", "smb3", "afs"), "shared by nodes"
    ),
}
FOLDER_PREFIX = "shapebias-"
LOCK, COMPLETE = "lock", "complete"
SPARE_BYTES = 2**30  # space for the node's other programs
MAX_COPY_SECONDS = 1200.0  # other nodes wait, and ranks time out after half an hour


class InPlaceError(Exception):
    """The reason why shards are read from their original place."""


@contextlib.contextmanager
def stage_shards(
    paths: Iterable[Path], world: World = SINGLE_PROCESS, stop_requested: Callable[[], bool] = lambda: False
) -> Generator[dict[Path, Path]]:
    """Yield path → its copy on this node's disk. Read a path that is missing from it at its original place.

    paths: files, the same on all ranks; other paths, such as folders, are not copied. stop_requested: whether to stop
    copying; the function then raises StoppedError on all ranks. A UserError of the body names the original paths.
    """
    paths = list(paths)
    if not paths:
        yield {}
        return
    number = torch.tensor([secrets.randbits(48) if world.is_first else 0], device=world.device)
    disk = local_disk()
    # The same name on all nodes and ranks, and different for every job.
    folder = (disk or Path()) / f"{FOLDER_PREFIX}{int(world.sum(number).item()):012x}"
    # The original's full path, so that copies never collide and a message can name the original.
    copies = {path: folder.joinpath(*path.resolve().parts[1:]) for path in paths if path.is_file()}
    with contextlib.ExitStack() as stack:
        if int(os.environ.get("LOCAL_RANK", 0)) == 0:
            try:
                stack.enter_context(copy_to_disk(copies, disk, folder, stop_requested))
            except (InPlaceError, OSError) as reason:
                log.warning("shards are not staged but read from their original place: %s", reason)
        if world.sum(torch.tensor([float(stop_requested())], device=world.device)).item():
            raise StoppedError("stopped while shards were staged; the same command stages them again")
        is_staged = disk is not None and (folder / COMPLETE).is_file()
        try:
            yield copies if is_staged else {}
        except UserError as error:
            raise UserError(str(error).replace(str(folder), "")) from None


def local_disk() -> Path | None:
    """Return the folder on the node's disk that the environment gives to this job."""
    folders = (Path(os.environ[name]) for name in VARIABLES if os.environ.get(name))
    return next((folder.absolute() for folder in folders if folder.is_dir()), None)


@contextlib.contextmanager
def copy_to_disk(
    copies: Mapping[Path, Path], disk: Path | None, folder: Path, stop_requested: Callable[[], bool]
) -> Generator[None]:
    """Copy files into a folder that lasts as long as the body.

    Raises InPlaceError or OSError, and then leaves nothing behind.
    """
    if not copies:
        raise InPlaceError("none of the shards is a file")
    if disk is None:
        raise InPlaceError(f"none of {', '.join(VARIABLES)} names a folder; set TMPDIR to one on the node's own disk")
    if problem := NOT_LOCAL.get(file_system(disk)):
        raise InPlaceError(f"{disk} is {problem}; set TMPDIR to a folder on the node's own disk")
    remove_abandoned(disk)
    sizes = {original: original.stat().st_size for original in copies}
    total, free = sum(sizes.values()), shutil.disk_usage(disk).free
    if total + SPARE_BYTES > free:
        raise InPlaceError(
            f"{megabytes(total)} and {megabytes(SPARE_BYTES)} to spare are needed, {disk} has {megabytes(free)} left"
        )
    with locked_folder(folder):
        if copy_files(copies, sizes, total, stop_requested):
            (folder / COMPLETE).touch()
        yield


def copy_files(
    copies: Mapping[Path, Path], sizes: Mapping[Path, int], total: int, stop_requested: Callable[[], bool]
) -> bool:
    """Copy all files one after another. Return whether the copy is complete; it is not if the job must stop."""
    start, copied, reported_tenths = time.monotonic(), 0, 0
    for original, target in copies.items():
        seconds = time.monotonic() - start
        if stop_requested():
            return False
        if seconds > MAX_COPY_SECONDS:
            raise InPlaceError(f"after {seconds:.0f} s, {megabytes(copied)} of {megabytes(total)} were copied")
        with replacing(target) as draft:
            shutil.copyfile(original, draft)
            if (size := draft.stat().st_size) != sizes[original]:
                raise OSError(errno.EIO, f"{size} of {sizes[original]} bytes were copied", str(original))
        copied += sizes[original]
        if 10 * copied // max(total, 1) > reported_tenths:  # log once per tenth
            reported_tenths = 10 * copied // total
            log.info("staged %s of %s", megabytes(copied), megabytes(total))
    seconds = time.monotonic() - start
    log.info("%d shards were staged in %.1f s, %.0f MB/s", len(copies), seconds, total / 1e6 / max(seconds, 1e-3))
    return True


@contextlib.contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Create a folder with a lock that marks it as in use; remove it with its content after the body."""
    lock = None
    try:
        # Another job may remove the folder as abandoned before it is locked; then create it again.
        while lock is None or os.fstat(lock).st_nlink == 0:
            if lock is not None:
                os.close(lock)
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_abandoned(disk: Path) -> None:
    """Remove the folders of this user's killed jobs, whose locks are free."""
    for folder in disk.glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, another user's, or just removed
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                log.info("%s: removed, because its job was killed", folder)
            finally:
                os.close(lock)


def file_system(folder: Path) -> str:
    """Return the type of a folder's file system, such as ext4; empty if the kernel does not report it."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(FileNotFoundError), Path("/proc/self/mountinfo").open() as mounts:
        for mount in mounts:
            mounted, _, kind = mount.partition(" - ")
            if mounted.split()[2] == number:
                return kind.split()[0]
    return ""


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
