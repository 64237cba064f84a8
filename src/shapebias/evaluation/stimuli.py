"""The images of a benchmark: in folders, in archives that stay packed, in shards of this project.

Layouts are those of the published sets. model-vs-human: `<set>/dnn/session-1/NNNN_<code>_<who>_<condition>_<category>_
<number>_<image>.png` and `<set>/<category>/image`; texture-vs-shape: `<shape>/<shape><i>-<texture><j>.png`.
Source: github.com/bethgelab/model-vs-human, github.com/rgeirhos/texture-vs-shape.
"""

import bisect
import dataclasses
import io
import itertools
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from shapebias.categories import CATEGORIES, ilsvrc_categories
from shapebias.errors import BadImageError, UserError
from shapebias.evaluation.benchmarks import ARCHIVES, KINDS, OWN, Kind
from shapebias.evaluation.stimulus_names import (
    cue_conflict_label,
    is_published,
    stem,
    stimulus_name,
    toolbox_name,
    trial_name,
)
from shapebias.images.codec import is_image_name, load_rgb
from shapebias.images.image_folder import image_files, unique_ids
from shapebias.images.pictures import ImageFile, Picture, folder_label
from shapebias.images.shards import Label, expand, label, open_shards

SESSION = re.compile(r"session[-_](\d+)")
WNID = re.compile(r"n\d{8}(?=_)")
ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
PIECE = 2**19  # bytes between places from which a gzip file can be unpacked: what reading one image wastes at most
NO_STIMULUS = {"condition": "", "session": 1, "imagename": None}  # what labels of benchmarks have and shards lack


def open_benchmark(paths: Sequence[Path], kind: str) -> Sequence[Picture]:
    """All images of a benchmark, ordered by id, each read when asked for.

    paths: folders, shards (`{0..3}.tar` is four) and archives (.zip, .tar, .tar.gz, .tgz), which are not unpacked to
    the disk. kind: a name of benchmark_kinds.KINDS. Labels are those of shards.label and say `condition` (one of the
    kind's, "" if it has none), `session` (1 if none is named) and `imagename` (the file's; None in a shard). They come
    from file names where these follow the toolbox's, else from the folder. Ids pair with recorded decisions by
    pictures.stimulus_name.
    Raises UserError for a missing path, no image, a name without a label, an unknown condition or category, an
    image that is there twice, an archive that is broken or has members outside its folder.
    """
    shards: list[Path] = []
    files: list[StimulusFile] = []
    for path in expand(paths):
        if path.is_dir():
            found = [StimulusFile(path, file, file) for file in image_files(path)]
        elif path.suffix.lower() == ".tar" and is_shard(path):
            shards.append(path)
            continue
        else:
            archive = open_archive(path)
            found = [StimulusFile(archive, file, short) for file, short in below_common(list(archive.members)).items()]
        if not found:
            raise UserError(f"{path}: no images in it, for a benchmark of kind {kind!r}")
        files += found
    own = [file.short for file in files if not (toolbox_name(file.short) or is_published(stem(file.short)))]
    numbered = iter(unique_ids(own))
    pictures: list[Picture] = []
    for file in files:
        known = stimulus_label(file, KINDS[kind])
        known["id"] = known["id"] or next(numbered)
        pictures.append(file.picture(known))
    for sample in open_shards(shards):
        pictures.append(dataclasses.replace(sample, label=NO_STIMULUS | sample.label))
    pictures.sort(key=lambda picture: picture.id)
    refuse_doubles(pictures)
    return pictures


def refuse_doubles(pictures: Sequence[Picture]) -> None:
    """Raise UserError if two images go by one name: an answer to it could belong to either."""
    seen: dict[str, Picture] = {}
    for picture in pictures:
        name = stimulus_name(picture.id)
        if name in seen:
            one, other = (f"{p.label['content']} in {p.origin}" for p in (seen[name], picture))
            raise UserError(f"image {name!r} is there twice: {one}, {other}; give each image once")
        seen[name] = picture


# Labels


@dataclass(frozen=True)
class StimulusFile:
    """An image before its label is read. place: folder or archive; file: its path there; short: what labels see."""

    place: "Path | Archive"
    file: str
    short: str

    @property
    def origin(self) -> Path:
        return self.place if isinstance(self.place, Path) else self.place.path

    def picture(self, known: Label) -> Picture:
        if isinstance(self.place, Path):
            return ImageFile(self.place / self.file, known)
        return ArchivedImage(self.place, self.file, known)


def stimulus_label(stimulus: StimulusFile, kind: Kind) -> Label:
    """The label of an image from its name; its id is empty where the name is its owner's own (numbered later)."""
    file = stimulus.short
    sessions = SESSION.findall(file.rpartition("/")[0])
    more: dict[str, Any] = {"imagename": file.rpartition("/")[2], "session": int(sessions[-1]) if sessions else 1}
    where = f"{stimulus.origin}: {file}"
    named = toolbox_name(file)
    if named is None and kind.conditions:
        raise UserError(
            f"{where}: not named NNNN_<code>_<session>_<condition>_<category>_<number>_<image>, as the images of "
            f"model-vs-human's {kind.name} are"
        )
    if kind.name == "cue_conflict":
        try:
            known = cue_conflict_label("", file)
        except UserError as error:
            raise UserError(f"{stimulus.origin}: {error}") from None
        if named and named.category != known["shape"]:
            raise UserError(f"{where}: category {named.category!r}, but the image is of a {known['shape']}")
        return known | more | {"id": named.image if named else stem(file), "condition": ""}
    if named is None:
        known = folder_label("", file)
        if kind.name not in OWN:
            check_category(known["shape"], where, file.rpartition("/")[0])
        return known | more | {"id": stem(file) if is_published(stem(file)) else "", "condition": ""}
    check_category(named.category, where)
    condition = checked_condition(kind, named.condition, where)
    wnid = WNID.match(named.image)
    name = wnid[0] if wnid and ilsvrc_categories().get(wnid[0]) == named.category else None
    sample_id = trial_name(file, named.category, condition)
    return label(sample_id, class_name=name, shape=named.category, content=file, condition=condition, **more)


def check_category(category: str | None, where: str, written: str | None = None) -> None:
    """Raise UserError for a category that is none of the 16. written: what stands for it, where that is not itself."""
    if category not in CATEGORIES:
        raise UserError(
            f"{where}: {written if category is None else category!r} is none of the 16 categories: "
            f"{', '.join(CATEGORIES)}"
        )


def checked_condition(kind: Kind, text: str, where: str) -> str:
    """The condition of a kind that a file writes as `text`; raises UserError if it is none."""
    condition = kind.condition(text)
    if condition is None:
        raise UserError(f"{where}: {text!r} is no condition of {kind.name}; allowed: {', '.join(kind.conditions)}")
    return condition


# Archives


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
        return Zip(path)
    if name.endswith(".tar"):
        return Tar(path)
    if name.endswith((".tar.gz", ".tgz")):
        return GzippedTar(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    raise UserError(f"{path}: neither a folder nor an archive that is read here: {', '.join(ARCHIVES)}")


def is_shard(path: Path) -> bool:
    """Whether a tar file is one of this project's shards: its first image has its label beside it."""
    try:
        with tarfile.open(path, "r:") as tar:
            names = [member.name for _, member in zip(range(2), tar, strict=False)]
    except (tarfile.TarError, OSError):
        return False  # opening it as an archive says what is wrong
    keys = [name.rpartition("/")[0::2] for name in names]
    stems = {(folder, base.partition(".")[0]) for folder, base in keys}
    return len(names) == 2 and len(stems) == 1 and names[1].endswith(".json")


class Tar(Archive):
    """An uncompressed tar file."""

    def index(self) -> dict[str, tuple[int, int]]:
        with tarfile.open(self.path, "r:") as tar:
            members = tar_members(tar, self.path)
            if self.path.stat().st_size <= tar.offset:  # zeros end a tar file; tarfile does without them
                raise EOFError("it ends too early")
            return members

    def read(self, file: str) -> bytes:
        offset, size = self.members[file]
        return self.packed(offset, size)


class Zip(Archive):
    """A zip file."""

    def index(self) -> dict[str, str]:
        found: dict[str, str] = {}
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                name = member.filename.replace("\\", "/")  # some programs write Windows' paths
                kind = stat.S_IFMT(member.external_attr >> 16)
                if checked_member(self.path, name, member.is_dir(), kind in (0, stat.S_IFREG), found):
                    if member.flag_bits & 1:
                        raise UserError(f"{self.path}: member {name!r} is encrypted; give an archive without password")
                    found[str(PurePosixPath(name))] = member.filename
        return found

    def open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def read(self, file: str) -> bytes:
        return self.opened().read(self.members[file])


@dataclass(frozen=True)
class Place:
    """Where a gzip file can be unpacked from: bytes before it, unpacked and packed, and a decompressor to copy."""

    position: int
    offset: int
    decompressor: Any


class GzippedTar(Archive):
    """A gzipped tar file, unpacked in memory from the last of several places before what is asked for.

    One pass finds the members and keeps the decompressor's state every PIECE bytes (some 40 KB each), so that no image
    needs more than that unpacked before it, in any order.
    """

    places: list[Place]

    def index(self) -> dict[str, tuple[int, int]]:
        stream = Unpacked(self)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            members = tar_members(tar, self.path)
        while stream.read(PIECE):  # to the end, where its checksum is
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

    def pieces(self, start: Place) -> Iterator[tuple[Place, bytes]]:
        """What is unpacked from a place on, at most PIECE bytes at a time, each with its own place."""
        position, offset, decompressor = start.position, start.offset, start.decompressor.copy()
        while packed := self.packed(offset, PIECE):
            if decompressor.eof:  # a gzip file may have several parts, and zeros behind the last
                decompressor = zlib.decompressobj(wbits=31)
                if not packed.strip(b"\0"):
                    return
            here = Place(position, offset, decompressor.copy())
            data = decompressor.decompress(packed, PIECE)
            offset += len(packed) - len(decompressor.unconsumed_tail) - len(decompressor.unused_data)
            position += len(data)
            yield here, data
        if not decompressor.eof:
            raise EOFError("it ends too early")

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "places": []}


class Unpacked(io.RawIOBase):
    """What a gzip file holds, as a stream that is read once and notes the places it passes."""

    def __init__(self, archive: GzippedTar) -> None:
        self.places: list[Place] = []
        self.pieces = archive.pieces(Place(0, 0, zlib.decompressobj(wbits=31)))
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


def tar_members(tar: tarfile.TarFile, path: Path) -> dict[str, tuple[int, int]]:
    """Image → offset and size (bytes) in the unpacked tar file."""
    found: dict[str, tuple[int, int]] = {}
    for member in tar:
        plain = member.isreg() and not member.issparse()
        if checked_member(path, member.name, member.isdir(), plain, found):
            found[str(PurePosixPath(member.name))] = (member.offset_data, member.size)
    return found


def checked_member(path: Path, name: str, folder: bool, plain: bool, found: dict[str, Any]) -> bool:
    """Whether a member is an image to show; hidden ones, __MACOSX and other files are none.

    Raises UserError for one that is outside the archive's folder, a link or device, unreadably named or there twice.
    """
    parts = re.split(r"[/\\]", name)
    if ABSOLUTE.match(name) or ".." in parts:
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


def below_common(files: list[str]) -> dict[str, str]:
    """file → its path below the folders that all files share, but for the last of a file: `<category>/image` at least.

    A set is packed with its folder or without: its images are called the same.
    """
    parts = {file: file.split("/") for file in files}
    levels = zip(*(folders[:-2] for folders in parts.values()), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(folders[shared:]) for file, folders in parts.items()}
