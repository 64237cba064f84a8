"""Write files atomically: a file appears complete or not at all."""

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from shapebias.errors import UserError


@contextlib.contextmanager
def atomic_write(target: Path) -> Generator[Path]:
    """Yield a path beside `target` to write to; move it over `target` on success, remove it on any failure.

    Missing parent folders are created. The temporary name keeps the suffix, since writers choose formats by it.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex[:8]}.{target.name}")
    try:
        yield draft
        draft.replace(target)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # a full disk: the message should name its file
            error.filename = str(target)
        raise
    finally:
        draft.unlink(missing_ok=True)


def open_regular_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes; raises OSError for a FIFO, a socket, a device or a folder.

    Reading from these may wait for ever, or never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # otherwise opening a FIFO waits for a writer
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def require_space(folder: Path, needed: int, name: str) -> None:
    """Raise UserError unless the disk of `folder` has room for `needed` bytes; the folder need not exist yet.

    name: the file or folder that needs the space, for the message.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"{name} needs about {needed / 1e6:,.1f} MB, but {existing} has {free / 1e6:,.1f} MB left; "
            f"free some space, or write elsewhere"
        )
