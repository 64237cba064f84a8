"""Staging: shards are copied to the node's own disk before they are read at random, epoch after epoch.

Once a node, whatever the number of its ranks: the first of them copies, the others wait for it as ranks wait for each
other anyway. Every job has a folder of its own, removed at its end, after a signal and an error, too. SIGKILL leaves
it: in $SLURM_TMPDIR the node's epilog removes it, elsewhere the next job that stages there.

Results do not depend on it. Whatever stands in its way (no such disk, no room, a failing copy) is one warning, and
shards are read where they are.
"""

import argparse
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
from shapebias.files import atomic_write
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.interruption import StoppedError

log = logging.getLogger(__name__)

VARIABLES = ("SLURM_TMPDIR", "TMPDIR")  # the first that names a folder says where
# File systems, as the kernel names them, that are no disk of the node.
ELSEWHERE = {
    **dict.fromkeys(("tmpfs", "ramfs"), "in memory, which the job pays for"),
    **dict.fromkeys(
        ("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "panfs", "cifs", "smb3", "afs"), "shared by nodes"
    ),
}
PREFIX = "shapebias-"
LOCK, COMPLETE = "lock", "complete"
RESERVE = 2**30  # bytes that are left to the node's other programs
LONGEST = 1200.0  # seconds of copying: other nodes wait, and ranks give up on each other after half an hour


class InPlaceError(Exception):
    """Why shards are read where they are."""


@contextlib.contextmanager
def staged(
    paths: Iterable[Path], ranks: Ranks = ALONE, stopped: Callable[[], bool] = lambda: False
) -> Generator[dict[Path, Path]]:
    """Yield path → its copy on this node's disk; what is not there is to be read where it is.

    paths: files (others, such as folders, are left alone), the same on all ranks. stopped: whether to leave instead of
    copying on. Raises StoppedError then, on all ranks alike. A UserError of the body names the originals.
    """
    paths = list(paths)
    if not paths:
        yield {}
        return
    mark = torch.tensor([secrets.randbits(48) if ranks.first else 0], device=ranks.device)
    place = local_disk()
    # Of one name on all nodes and ranks, and of no other job.
    folder = (place or Path()) / f"{PREFIX}{int(ranks.sum(mark).item()):012x}"
    # The original's whole path, so that no two copies meet and a message can name the original.
    copies = {path: folder.joinpath(*path.resolve().parts[1:]) for path in paths if path.is_file()}
    with contextlib.ExitStack() as cleaning:
        if int(os.environ.get("LOCAL_RANK", 0)) == 0:
            try:
                cleaning.enter_context(copied(copies, place, folder, stopped))
            except (InPlaceError, OSError) as reason:
                log.warning("shards are not staged but read where they are: %s", reason)
        if ranks.sum(torch.tensor([float(stopped())], device=ranks.device)).item():
            raise StoppedError("stopped while shards were staged; the same command stages them anew")
        there = place is not None and (folder / COMPLETE).is_file()
        try:
            yield copies if there else {}
        except UserError as error:
            raise UserError(str(error).replace(str(folder), "")) from None


def add_staging_flag(parser: argparse._ArgumentGroup) -> None:
    """The flag that asks for it."""
    parser.add_argument(
        "--stage",
        action="store_true",
        help=f"copy the shards to the node's own disk first, where {' or '.join(f'${name}' for name in VARIABLES)} is",
    )


def local_disk() -> Path | None:
    """The folder that the environment names for a job's own files on its node."""
    named = (Path(os.environ[name]) for name in VARIABLES if os.environ.get(name))
    return next((folder.absolute() for folder in named if folder.is_dir()), None)


@contextlib.contextmanager
def copied(
    copies: Mapping[Path, Path], place: Path | None, folder: Path, stopped: Callable[[], bool]
) -> Generator[None]:
    """Copy files into a folder that lasts as long as the body; raises InPlaceError or OSError, leaving nothing."""
    if not copies:
        raise InPlaceError("none of them is a file")
    if place is None:
        raise InPlaceError(f"none of {', '.join(VARIABLES)} names a folder; set TMPDIR to one on the node's own disk")
    if problem := ELSEWHERE.get(file_system(place)):
        raise InPlaceError(f"{place} is {problem}; set TMPDIR to a folder on the node's own disk")
    remove_abandoned(place)
    sizes = {original: original.stat().st_size for original in copies}
    needed, free = sum(sizes.values()), shutil.disk_usage(place).free
    if needed + RESERVE > free:
        raise InPlaceError(
            f"{megabytes(needed)} and {megabytes(RESERVE)} to spare are needed, {place} has {megabytes(free)} left"
        )
    with own_folder(folder):
        if copy(copies, sizes, needed, stopped):
            (folder / COMPLETE).touch()
        yield


def copy(copies: Mapping[Path, Path], sizes: Mapping[Path, int], needed: int, stopped: Callable[[], bool]) -> bool:
    """Copy file after file; returns whether all were copied: not where the job is to leave."""
    began, done, told = time.monotonic(), 0, 0
    for original, target in copies.items():
        seconds = time.monotonic() - began
        if stopped():
            return False
        if seconds > LONGEST:
            raise InPlaceError(f"after {seconds:.0f} s, {megabytes(done)} of {megabytes(needed)} were copied")
        with atomic_write(target) as draft:
            shutil.copyfile(original, draft)
            if (size := draft.stat().st_size) != sizes[original]:
                raise OSError(errno.EIO, f"{size} of {sizes[original]} bytes were copied", str(original))
        done += sizes[original]
        if 10 * done // max(needed, 1) > told:  # a line for each tenth
            told = 10 * done // needed
            log.info("staged %s of %s", megabytes(done), megabytes(needed))
    seconds = time.monotonic() - began
    log.info("%d shards were staged in %.1f s, %.0f MB/s", len(copies), seconds, needed / 1e6 / max(seconds, 1e-3))
    return True


@contextlib.contextmanager
def own_folder(folder: Path) -> Generator[None]:
    """A folder with a lock that says that somebody uses it; removed with all that is in it."""
    lock = None
    try:
        # Another job that cleans up may take it for abandoned before it is locked; then it is made again.
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


def remove_abandoned(place: Path) -> None:
    """Remove the folders of our own jobs that were killed: nobody holds their locks."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, somebody else's, or going away
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                log.info("%s: removed, its job was killed", folder)
            finally:
                os.close(lock)


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, such as ext4; empty where the kernel does not tell."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(FileNotFoundError), Path("/proc/self/mountinfo").open() as mounts:
        for mount in mounts:
            place, _, kind = mount.partition(" - ")
            if place.split()[2] == number:
                return kind.split()[0]
    return ""


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
