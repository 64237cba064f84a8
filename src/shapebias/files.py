"""Read text files that people write, and write files atomically: a file appears complete or not at all."""

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Generator
from io import BufferedReader
from pathlib import Path

from shapebias.errors import UserError

MAX_TEXT_BYTES = 256_000_000  # of a file that people write
MAKING_TRIES = 3


@contextlib.contextmanager
def atomic_write(target: Path) -> Generator[Path]:
    """Yield a path beside `target` to write to; move it over `target` on success, remove it on any failure.

    Missing parent folders are created, as by `make_folder`. The temporary name keeps the suffix, since writers choose
    formats by it. Raises UserError if `target` is a folder or a device, such as /dev/null, which would be replaced.
    """
    target = Path(target)
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "a device or a pipe"
        raise UserError(f"{target} is {kind}, and no file can take its place; give the path of a file")
    make_folder(target.parent)
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


class DeadLinkError(UserError, OSError):
    """A path cannot be made because a link on it leads nowhere."""


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; it may exist. Raises DeadLinkError, and OSError as `Path.mkdir` does."""
    check_folder(folder)
    for _ in range(MAKING_TRIES - 1):
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # another process has just removed a folder
            return folder.mkdir(parents=True, exist_ok=True)
    return folder.mkdir(parents=True, exist_ok=True)


def check_folder(folder: Path) -> None:
    """Raise DeadLinkError if a link on a folder's path leads nowhere, such as to a disk that is not mounted."""
    for path in (*reversed(folder.parents), folder):
        if path.is_symlink() and not path.exists():
            raise DeadLinkError(
                f"{folder} cannot be made: the link {path} leads to {path.readlink()}, which does not exist; mount "
                f"that disk, make that folder, or remove the link"
            )


def open_regular_file(path: Path) -> BufferedReader:
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


def read_utf8(path: Path) -> str:
    """Return the content of a text file in UTF-8, without a byte order mark and with its line ends as they are.

    Raises UserError for a missing file, for anything but a regular file, for another encoding (with the line), and for
    more than MAX_TEXT_BYTES.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():  # reading a pipe would wait for ever
        raise UserError(f"{path}: not a file; give a text file")
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise UserError(f"{path}: larger than {MAX_TEXT_BYTES / 1e6:.0f} MB; give a text file that people write")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror or error})") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise UserError(f"{path}: not text in UTF-8 (UTF-16, or no text at all); save it as text in UTF-8")
    try:
        return data.decode("utf-8-sig")  # spreadsheets begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: not text in UTF-8 (byte 0x{data[error.start]:02x}); save it as text in UTF-8"
        ) from None
