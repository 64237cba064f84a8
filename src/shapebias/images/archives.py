"""Read images from archives without unpacking them to disk."""

import bisect
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import is_image_name, load_rgb
from shapebias.images.shards import Label

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")  # formats of an archived set
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:")
# Unpacked bytes between checkpoints of a gzip file: reading one image unpacks at most this many unneeded bytes.
CHECKPOINT_BYTES = 2**19


@dataclass(frozen=True)
class ArchivedImage:
    """An image in an archive."""

    archive: "Archive"
    file: str
    label: Label

    @property
    def id(self) -> str:
        return self.label["id"]

    @property
    def origin(self) -> Path:
        return self.archive.path

    def image(self) -> Image.Image:
        """Return the decoded RGB image; raises BadImageError."""
        try:
            data = self.archive.read(self.file)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError) as error:
            raise BadImageError(f"damaged in its archive: {error}") from None
        return load_rgb(data)


class Archive:
    """An archive with random access, safe for several threads; a pickled archive reopens its file.

    members: path of an image inside the archive → its location.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: tuple[int, Any] | None = None
        try:
            self.members = self.index()
        except FileNotFoundError:
            raise UserError(f"{path}: no such file or folder") from None
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UserError(f"{path}: not a complete archive of this format ({error}); download it again") from None

    def index(self) -> dict[str, Any]:
        """Return the archive's images and their locations."""
        raise NotImplementedError

    def read(self, file: str) -> bytes:
        """Return the bytes of one image file."""
        raise NotImplementedError

    def handle(self) -> Any:
        """Return this process's open file, opened on first use."""
        # A forked DataLoader worker must not share its parent's file descriptor.
        if self.file is None or self.file[0] != os.getpid():
            self.file = (os.getpid(), self.open())
        return self.file[1]

    def open(self) -> Any:
        return os.open(self.path, os.O_RDONLY)

    def read_raw(self, offset: int, size: int) -> bytes:
        """Return bytes of the archive file itself."""
        return os.pread(self.handle(), size, offset)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "file": None}


def open_archive(path: Path) -> Archive:
    """Open an archive; the ending of its name gives the format."""
    name = path.name.lower()
    if name.endswith(".zip"):
        return ZipArchive(path)
    if name.endswith(".tar"):
        return TarArchive(path)
    if name.endswith((".tar.gz", ".tgz")):
        return GzippedTarArchive(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    raise UserError(f"{path}: neither a folder nor a supported archive: {', '.join(ARCHIVE_SUFFIXES)}")


class TarArchive(Archive):
    """An uncompressed tar file."""

    def index(self) -> dict[str, tuple[int, int]]:
        with tarfile.open(self.path, "r:") as tar:
            members = index_tar_members(tar, self.path)
            if self.path.stat().st_size <= tar.offset:  # a complete tar file ends with zeros; tarfile ignores them
                raise EOFError("it ends too early")
            return members

    def read(self, file: str) -> bytes:
        offset, size = self.members[file]
        return self.read_raw(offset, size)


class ZipArchive(Archive):
    """A zip file."""

    def index(self) -> dict[str, str]:
        members: dict[str, str] = {}
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                name = member.filename.replace("\\", "/")  # some programs write Windows paths
                kind = stat.S_IFMT(member.external_attr >> 16)
                if is_image_member(self.path, name, member.is_dir(), kind in (0, stat.S_IFREG), members):
                    if member.flag_bits & 1:
                        raise UserError(f"{self.path}: member {name!r} is encrypted; give an archive without password")
                    members[str(PurePosixPath(name))] = member.filename
        return members

    def open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def read(self, file: str) -> bytes:
        return self.handle().read(self.members[file])


@dataclass(frozen=True)
class GzipCheckpoint:
    """A point at which unpacking a gzip file can start.

    position, offset: bytes before this point in the unpacked and the packed data.
    decompressor: its state at this point, to be copied.
    """

    position: int
    offset: int
    decompressor: Any


class GzippedTarArchive(Archive):
    """A gzipped tar file; images are unpacked in memory, starting at the last checkpoint before them.

    One pass finds the members and saves the decompressor's state every CHECKPOINT_BYTES bytes (some 40 KB per state).
    Reading an image in any order therefore unpacks at most CHECKPOINT_BYTES unneeded bytes.
    """

    checkpoints: list[GzipCheckpoint]

    def index(self) -> dict[str, tuple[int, int]]:
        stream = GzipStream(self)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            members = index_tar_members(tar, self.path)
        while stream.read(CHECKPOINT_BYTES):  # to the end, which holds the checksum
            pass
        self.checkpoints = stream.checkpoints
        return members

    def read(self, file: str) -> bytes:
        if not self.checkpoints:  # a pickled archive has lost its decompressors
            self.index()
        offset, size = self.members[file]
        index = bisect.bisect_right(self.checkpoints, offset, key=lambda checkpoint: checkpoint.position) - 1
        parts = []
        for checkpoint, data in self.unpack_from(self.checkpoints[index]):
            parts.append(data[max(offset - checkpoint.position, 0) : max(offset + size - checkpoint.position, 0)])
            if checkpoint.position + len(data) >= offset + size:
                break
        return b"".join(parts)

    def unpack_from(self, start: GzipCheckpoint) -> Iterator[tuple[GzipCheckpoint, bytes]]:
        """Unpack from a checkpoint onwards; yield chunks of at most CHECKPOINT_BYTES, each with its own checkpoint."""
        position, offset, decompressor = start.position, start.offset, start.decompressor.copy()
        while packed := self.read_raw(offset, CHECKPOINT_BYTES):
            if decompressor.eof:  # a gzip file may have several parts, and zeros after the last one
                decompressor = zlib.decompressobj(wbits=31)
                if not packed.strip(b"\0"):
                    return
            checkpoint = GzipCheckpoint(position, offset, decompressor.copy())
            data = decompressor.decompress(packed, CHECKPOINT_BYTES)
            offset += len(packed) - len(decompressor.unconsumed_tail) - len(decompressor.unused_data)
            position += len(data)
            yield checkpoint, data
        if not decompressor.eof:
            raise EOFError("it ends too early")

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "checkpoints": []}


class GzipStream(io.RawIOBase):
    """The unpacked data of a gzip file as a one-pass stream; collects checkpoints on the way."""

    def __init__(self, archive: GzippedTarArchive) -> None:
        self.checkpoints: list[GzipCheckpoint] = []
        self.chunks = archive.unpack_from(GzipCheckpoint(0, 0, zlib.decompressobj(wbits=31)))
        self.buffer = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; none at the end."""
        while not (data := self.buffer.read(size)):
            checkpoint, chunk = next(self.chunks, (None, b""))
            if checkpoint is None:
                return b""
            self.checkpoints.append(checkpoint)
            self.buffer = io.BytesIO(chunk)
        return data


def index_tar_members(tar: tarfile.TarFile, path: Path) -> dict[str, tuple[int, int]]:
    """Return image → offset and size (bytes) in the unpacked tar file."""
    members: dict[str, tuple[int, int]] = {}
    for member in tar:
        plain = member.isreg() and not member.issparse()
        if is_image_member(path, member.name, member.isdir(), plain, members):
            members[str(PurePosixPath(member.name))] = (member.offset_data, member.size)
    return members


def is_image_member(path: Path, name: str, folder: bool, plain: bool, members: dict[str, Any]) -> bool:
    """Return whether a member of an archive is a visible image; hidden files and __MACOSX are skipped.

    members: the images so far. Raises UserError for a member outside the archive's folder, a link or device, an
    unprintable name, or a duplicate.
    """
    parts = re.split(r"[/\\]", name)
    if ABSOLUTE_PATH.match(name) or ".." in parts:
        raise UserError(f"{path}: member {name!r} lies outside the archive's folder; do not trust this archive")
    if not folder and not plain:
        raise UserError(f"{path}: member {name!r} is a link or device, not a file; pack the files themselves")
    hidden = any(part.startswith(("__MACOSX", ".")) and part != "." for part in parts)
    if folder or hidden or not is_image_name(name):
        return False
    if not name.isprintable():
        raise UserError(f"{path}: member {name!r} is not printable; rename the file")
    if str(PurePosixPath(name)) in members:
        raise UserError(f"{path}: member {name!r} appears twice; pack each file once")
    return True
