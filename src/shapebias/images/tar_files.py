"""Read the members of tar files that may be cut short, doubled or made to do harm."""

import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

MAX_HEADER_BYTES = 2**20  # of a long name; tarfile would read any number of bytes into memory
CHUNK = 2**20


def tar_members(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[tarfile.TarInfo]:
    """Yield the members of the uncompressed tar file at the bytes from `start` to `end` of a file, in order.

    Only the headers are read. Raises tarfile.TarError for anything but a tar file, and EOFError after the last member
    if the end mark is missing (a copy that broke off) or is followed by something else (a second tar file, a damaged
    header). tarfile itself takes both for the end.
    """
    end = file.seek(0, io.SEEK_END) if end is None else end
    file.seek(start)
    with tarfile.open(fileobj=HeaderReader(file), mode="r:") as tar:  # ty: ignore[no-matching-overload]
        position = start
        for member in tar:
            if tar.offset <= position:  # a negative size; Python 3.11 reads the same header for ever
                raise tarfile.ReadError("its members overlap")
            position = tar.offset
            if position > end:
                break
            yield member
            # A million members would otherwise stay in memory.
            tar.members = []
        check_tar_end(file, tar.offset, end)


def check_tar_end(file: BinaryIO, position: int, end: int) -> None:
    """Raise EOFError unless the bytes from `position` to `end` are zeros, and at least one."""
    if position >= end:
        raise EOFError("it ends too early")
    file.seek(position)
    while position < end:
        chunk = file.read(min(CHUNK, end - position))
        if not chunk:
            break
        if chunk.strip(b"\0"):
            raise EOFError("a damaged or a second archive follows in the same file")
        position += len(chunk)


class HeaderReader:
    """A file from which tarfile reads headers only, as in `tar_members`."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(size)
