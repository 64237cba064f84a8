"""Read images from archives, in any order and from several threads."""

import errno
import gzip
import io
import os
import re
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from PIL import Image

from shapebias.errors import BadImageError, UserError
from shapebias.files import open_regular_file
from shapebias.images.codec import MAX_FILE_BYTES, check_file_size, is_image_name, load_rgb
from shapebias.images.folder_files import is_hidden, log_passed_over
from shapebias.images.shards import Label
from shapebias.images.tar_files import tar_members

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")  # formats of an archived set
UNPACKED_AT_ONCE = 2**20  # bytes
MAX_UNPACKING = 100  # times that a gzipped archive may grow
END_OF_ZIP = b"PK\x05\x06"  # begins the last 22 bytes of a zip archive, before its comment (APPNOTE.TXT, 4.3.16)
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
        except BadImageError:
            raise
        except Exception as error:  # the modules of the formats raise nearly any error on damaged bytes
            raise BadImageError(f"damaged in its archive: {error}") from None
        return load_rgb(data)


class Archive:
    """An archive with random access, safe for several threads; a pickled archive reopens its file.

    members: path of an image inside the archive → its location.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: tuple[int, Any] | None = None
        self.passed_over: list[str] = []  # visible files that are no images
        try:
            self.members = self.index()
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(f"{path}: no such file or folder") from None
        except Exception as error:  # the modules of the formats raise nearly any error on damaged bytes
            raise UserError(f"{path}: not a complete archive of this format ({error}); download it again") from None
        log_passed_over(path, self.passed_over)

    def index(self) -> dict[str, Any]:
        """Return the archive's images and their locations."""
        raise NotImplementedError

    def read(self, file: str) -> bytes:
        """Return the bytes of one image file; raises BadImageError if it has too many."""
        raise NotImplementedError

    def handle(self) -> Any:
        """Return this process's open file, opened on first use."""
        # A forked DataLoader worker must not share its parent's file descriptor.
        if self.file is None or self.file[0] != os.getpid():
            self.file = (os.getpid(), self.open())
        return self.file[1]

    def open(self) -> Any:
        with open_regular_file(self.path) as file:
            return os.dup(file.fileno())

    def read_raw(self, offset: int, size: int) -> bytes:
        """Return bytes of the archive file itself; raises BadImageError for more than an image may have."""
        check_file_size(size)
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
        with open_regular_file(self.path) as file:
            return self.index_file(file)

    def index_file(self, file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Return the images of an uncompressed tar file, each with its offset and size in bytes."""
        members: dict[str, tuple[int, int]] = {}
        for member in tar_members(file):
            plain = member.isreg() and not member.issparse()
            if is_image_member(self.path, member.name, member.isdir(), plain, members):
                members[str(PurePosixPath(member.name))] = (member.offset_data, member.size)
            elif plain and not is_hidden_member(member.name):
                self.passed_over.append(member.name)
        return members

    def read(self, file: str) -> bytes:
        offset, size = self.members[file]
        return self.read_raw(offset, size)


class ZipArchive(Archive):
    """A zip file."""

    def index(self) -> dict[str, str]:
        members: dict[str, str] = {}
        with open_regular_file(self.path) as file, zipfile.ZipFile(file) as archive:
            check_single_zip(file, archive)
            for member in archive.infolist():
                name = member.filename.replace("\\", "/")  # some programs write Windows paths
                kind = stat.S_IFMT(member.external_attr >> 16)
                if is_image_member(self.path, name, member.is_dir(), kind in (0, stat.S_IFREG), members):
                    if member.flag_bits & 1:
                        raise UserError(f"{self.path}: member {name!r} is encrypted; give an archive without password")
                    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                        raise UserError(
                            f"{self.path}: member {name!r} is compressed by method {member.compress_type}, which may "
                            f"unpack to any size at once; pack it again in the usual way (stored or deflated)"
                        )
                    members[str(PurePosixPath(name))] = member.filename
                elif not member.is_dir() and not is_hidden_member(name):
                    self.passed_over.append(name)
        return members

    def open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(open_regular_file(self.path))

    def read(self, file: str) -> bytes:
        archive = self.handle()
        check_file_size(archive.getinfo(self.members[file]).file_size)
        # In parts, since zipfile unpacks a whole member before it compares its size with the announced one.
        with archive.open(self.members[file]) as member:
            return b"".join(iter(lambda: member.read(UNPACKED_AT_ONCE), b""))


def check_single_zip(file: BinaryIO, archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile if a file holds more than one zip archive; zipfile would read the last one only."""
    size, end = file.seek(0, io.SEEK_END), len(END_OF_ZIP) + 18 + len(archive.comment)
    file.seek(max(0, size - end))
    if file.read(len(END_OF_ZIP)) != END_OF_ZIP:
        raise zipfile.BadZipFile("something follows the archive in the same file")
    file.seek(0)
    first = min((member.header_offset for member in archive.infolist()), default=archive.start_dir)
    if first > 0 and file.read(2) == END_OF_ZIP[:2]:
        raise zipfile.BadZipFile("two archives in one file")


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
        with (
            tempfile.TemporaryFile() as unpacked,
            open_regular_file(self.path) as file,
            gzip.open(file) as packed,
        ):
            largest = MAX_UNPACKING * os.fstat(file.fileno()).st_size + MAX_FILE_BYTES
            try:
                while chunk := packed.read(UNPACKED_AT_ONCE):
                    unpacked.write(chunk)
                    if unpacked.tell() > largest:
                        raise UserError(
                            f"{self.path}: unpacks to more than {MAX_UNPACKING} times its size, as images never do; do "
                            f"not trust this archive"
                        )
                unpacked.flush()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise UserError(
                    f"{self.path}: unpacked, it does not fit into {tempfile.gettempdir()}; free space there, or let "
                    f"TMPDIR name another folder"
                ) from None
            return os.dup(unpacked.fileno())


def is_hidden_member(name: str) -> bool:
    """Return whether a member of an archive, or a folder on its path, is hidden."""
    return any(is_hidden(part) and part != "." for part in re.split(r"[/\\]", name))


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
    if folder or is_hidden_member(name) or not is_image_name(name):
        return False
    if not name.isprintable():
        raise UserError(f"{path}: member {name!r} is not printable; rename the file")
    if str(PurePosixPath(name)) in members:
        raise UserError(f"{path}: member {name!r} appears twice; pack each file once")
    return True
