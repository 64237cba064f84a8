"""Read images from archives, in any order and from several threads."""

import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from PIL import Image

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import is_image_name, load_rgb
from shapebias.images.shards import Label

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")  # formats of an archived set
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:")


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
        with self.path.open("rb") as file:
            return self.index_file(file)

    def index_file(self, file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Return the images of an uncompressed tar file, each with its offset and size in bytes."""
        with tarfile.open(fileobj=file, mode="r:") as tar:
            members = index_tar_members(tar, self.path)
            if (
                os.fstat(file.fileno()).st_size <= tar.offset
            ):  # a complete tar file ends with zeros; tarfile ignores them
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


class GzippedTarArchive(TarArchive):
    """A gzipped tar file, unpacked into a temporary file without a name, which vanishes with its last process."""

    def index(self) -> dict[str, tuple[int, int]]:
        with os.fdopen(os.dup(self.handle()), "rb") as unpacked:
            unpacked.seek(0)
            return self.index_file(unpacked)

    def handle(self) -> int:
        """Return the open temporary file. A forked process may share it, since pread has no position in the file."""
        if self.file is None:
            self.file = (os.getpid(), self.open())
        return self.file[1]

    def open(self) -> int:
        with tempfile.TemporaryFile() as unpacked, gzip.open(self.path) as packed:
            try:
                shutil.copyfileobj(packed, unpacked)
                unpacked.flush()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise UserError(
                    f"{self.path}: unpacked, it does not fit into {tempfile.gettempdir()}; free space there, or let "
                    f"TMPDIR name another folder"
                ) from None
            return os.dup(unpacked.fileno())


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
