"""Archives of images, read without being unpacked to the disk."""

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

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")  # what a set may be packed in
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:")
CHECKPOINT_BYTES = (
    2**19
)  # bytes between places from which a gzip file can be unpacked: what reading one image wastes at most


@dataclass(frozen=True)
class ArchivedImage:
    """A picture in an archive."""

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
        """The decoded image, RGB; raises BadImageError."""
        try:
            data = self.archive.read(self.file)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError) as error:
            raise BadImageError(f"damaged in its archive: {error}") from None
        return load_rgb(data)


class Archive:
    """A file of files, read at random and by several threads; a pickled one opens itself again.

    members: path of an image below the archive's folder → where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: tuple[int, Any] | None = None
        try:
            self.members = self.index()
        except FileNotFoundError:
            raise UserError(f"{path}: no such file or folder") from None
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UserError(f"{path}: not a whole archive of its kind ({error}); download it again") from None

    def index(self) -> dict[str, Any]:
        raise NotImplementedError

    def read(self, file: str) -> bytes:
        raise NotImplementedError

    def opened(self) -> Any:
        # One descriptor a process: a forked DataLoader worker must not share its parent's.
        if self.file is None or self.file[0] != os.getpid():
            self.file = (os.getpid(), self.open())
        return self.file[1]

    def open(self) -> Any:
        return os.open(self.path, os.O_RDONLY)

    def packed(self, offset: int, size: int) -> bytes:
        """Bytes of the file itself."""
        return os.pread(self.opened(), size, offset)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "file": None}


def open_archive(path: Path) -> Archive:
    """Open an archive by the ending of its name."""
    name = path.name.lower()
    if name.endswith(".zip"):
        return ZipArchive(path)
    if name.endswith(".tar"):
        return TarArchive(path)
    if name.endswith((".tar.gz", ".tgz")):
        return GzippedTarArchive(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    raise UserError(f"{path}: neither a folder nor an archive that is read here: {', '.join(ARCHIVE_SUFFIXES)}")


class TarArchive(Archive):
    """An uncompressed tar file."""

    def index(self) -> dict[str, tuple[int, int]]:
        with tarfile.open(self.path, "r:") as tar:
            members = index_tar_members(tar, self.path)
            if self.path.stat().st_size <= tar.offset:  # zeros end a tar file; tarfile does without them
                raise EOFError("it ends too early")
            return members

    def read(self, file: str) -> bytes:
        offset, size = self.members[file]
        return self.packed(offset, size)


class ZipArchive(Archive):
    """A zip file."""

    def index(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                name = member.filename.replace("\\", "/")  # some programs write Windows' paths
                kind = stat.S_IFMT(member.external_attr >> 16)
                if is_image_member(self.path, name, member.is_dir(), kind in (0, stat.S_IFREG), found):
                    if member.flag_bits & 1:
                        raise UserError(f"{self.path}: member {name!r} is encrypted; give an archive without password")
                    found[str(PurePosixPath(name))] = member.filename
        return found

    def open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def read(self, file: str) -> bytes:
        return self.opened().read(self.members[file])


@dataclass(frozen=True)
class GzipCheckpoint:
    """Where a gzip file can be unpacked from: bytes before it, unpacked and packed, and a decompressor to copy."""

    position: int
    offset: int
    decompressor: Any


class GzippedTarArchive(Archive):
    """A gzipped tar file, unpacked in memory from the last of several places before what is asked for.

    One pass finds the members and keeps the decompressor's state every PIECE bytes (some 40 KB each), so that no image
    needs more than that unpacked before it, in any order.
    """

    places: list[GzipCheckpoint]

    def index(self) -> dict[str, tuple[int, int]]:
        stream = GzipStream(self)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            members = index_tar_members(tar, self.path)
        while stream.read(CHECKPOINT_BYTES):  # to the end, where its checksum is
            pass
        self.places = stream.places
        return members

    def read(self, file: str) -> bytes:
        if not self.places:  # pickled: decompressors are not
            self.index()
        offset, size = self.members[file]
        place = self.places[bisect.bisect_right(self.places, offset, key=lambda place: place.position) - 1]
        parts = []
        for here, data in self.pieces(place):
            parts.append(data[max(offset - here.position, 0) : max(offset + size - here.position, 0)])
            if here.position + len(data) >= offset + size:
                break
        return b"".join(parts)

    def pieces(self, start: GzipCheckpoint) -> Iterator[tuple[GzipCheckpoint, bytes]]:
        """What is unpacked from a place on, at most PIECE bytes at a time, each with its own place."""
        position, offset, decompressor = start.position, start.offset, start.decompressor.copy()
        while packed := self.packed(offset, CHECKPOINT_BYTES):
            if decompressor.eof:  # a gzip file may have several parts, and zeros behind the last
                decompressor = zlib.decompressobj(wbits=31)
                if not packed.strip(b"\0"):
                    return
            here = GzipCheckpoint(position, offset, decompressor.copy())
            data = decompressor.decompress(packed, CHECKPOINT_BYTES)
            offset += len(packed) - len(decompressor.unconsumed_tail) - len(decompressor.unused_data)
            position += len(data)
            yield here, data
        if not decompressor.eof:
            raise EOFError("it ends too early")

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "places": []}


class GzipStream(io.RawIOBase):
    """What a gzip file holds, as a stream that is read once and notes the places it passes."""

    def __init__(self, archive: GzippedTarArchive) -> None:
        self.places: list[GzipCheckpoint] = []
        self.pieces = archive.pieces(GzipCheckpoint(0, 0, zlib.decompressobj(wbits=31)))
        self.piece = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end."""
        while not (data := self.piece.read(size)):
            place, piece = next(self.pieces, (None, b""))
            if place is None:
                return b""
            self.places.append(place)
            self.piece = io.BytesIO(piece)
        return data


def index_tar_members(tar: tarfile.TarFile, path: Path) -> dict[str, tuple[int, int]]:
    """Image → offset and size (bytes) in the unpacked tar file."""
    found: dict[str, tuple[int, int]] = {}
    for member in tar:
        plain = member.isreg() and not member.issparse()
        if is_image_member(path, member.name, member.isdir(), plain, found):
            found[str(PurePosixPath(member.name))] = (member.offset_data, member.size)
    return found


def is_image_member(path: Path, name: str, folder: bool, plain: bool, found: dict[str, Any]) -> bool:
    """Whether a member is an image to show; hidden ones, __MACOSX and other files are none.

    Raises UserError for one that is outside the archive's folder, a link or device, unreadably named or there twice.
    """
    parts = re.split(r"[/\\]", name)
    if ABSOLUTE_PATH.match(name) or ".." in parts:
        raise UserError(f"{path}: member {name!r} lies outside the archive's folder; do not trust this archive")
    if not folder and not plain:
        raise UserError(f"{path}: member {name!r} is a link or device, no file; pack the files themselves")
    hidden = any(part.startswith(("__MACOSX", ".")) and part != "." for part in parts)
    if folder or hidden or not is_image_name(name):
        return False
    if not name.isprintable():
        raise UserError(f"{path}: member {name!r} is not printable; rename the file")
    if str(PurePosixPath(name)) in found:
        raise UserError(f"{path}: member {name!r} is there twice; pack each file once")
    return True
