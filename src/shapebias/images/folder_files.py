"""Walk folders of images: each real folder and each real file once, whatever links lead to them."""

import logging
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from shapebias.errors import UserError
from shapebias.images.codec import is_image_name

log = logging.getLogger(__name__)

ENDINGS_SHOWN = 5


def image_files(folder: Path) -> list[str]:
    """Return the sorted relative paths of all images below a folder; hidden files and folders are skipped.

    Links to folders are followed, but a folder is listed once: a link to a folder above, or to one that is listed
    already, is skipped with a warning. Raises UserError if one file bears names in two folders, since it could then be
    in two classes or splits.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    names, files, passed_over = NamesOfFiles(folder), [], []
    for parent, entries in walk_folders(folder):
        device = parent.stat().st_dev
        # A file comes before links to it, so that the link is the one that is left out.
        for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name)):
            name = (parent / entry.name).relative_to(folder).as_posix()
            if not is_image_name(entry.name):
                passed_over.append(name)
            elif names.add(entry, name, device):
                files.append(name)
    for file in files:
        if not file.isprintable():
            raise UserError(f"{folder}: file name {file!r} is not printable UTF-8; rename the file")
    log_passed_over(folder, passed_over)
    return sorted(files)


def walk_folders(folder: Path) -> Iterator[tuple[Path, list[os.DirEntry]]]:
    """Yield each visible folder below a folder, itself included, with its visible files; each real folder once.

    Real folders come before linked ones, so a folder inside keeps its own path, and a link to it is skipped.
    """
    above = {identity(parent) for parent in folder.resolve().parents}
    listed: set[tuple[int, int]] = set()
    real, links = deque([folder]), deque[Path]()
    while real or links:
        parent, is_link = (real.popleft(), False) if real else (links.popleft(), True)
        number = identity(parent)
        if number in listed or number in above:
            state = "which contains this folder" if number in above else "which is listed already"
            log.warning("%s: this link is skipped; it leads to %s, %s", parent, parent.resolve(), state)
            continue
        listed.add(number)
        files = []
        with os.scandir(parent) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_hidden(entry.name):
                    continue
                if not is_folder(entry):
                    files.append(entry)
                elif entry.is_symlink() or is_link:
                    links.append(parent / entry.name)
                else:
                    real.append(parent / entry.name)
        yield parent, files


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether an entry is a folder or a link to one; a link that leads nowhere or to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that macOS adds to archives."""
    return name.startswith((".", "__MACOSX"))


def identity(path: Path) -> tuple[int, int]:
    """Return the device and the inode of what a path leads to."""
    status = path.stat()
    return status.st_dev, status.st_ino


class NamesOfFiles:
    """The names of the files of a folder, to find files that bear two names (by hard or symbolic links)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[tuple[int, int], str] = {}

    def add(self, entry: os.DirEntry, name: str, device: int) -> bool:
        """Return whether a file is new. A second name beside the first one is left out.

        name: the file's path below the folder. device: that of the entry's folder.
        Raises UserError for a second name in another folder.
        """
        try:
            # The inode of an ordinary entry is known without another call.
            key = identity(Path(entry.path)) if entry.is_symlink() else (device, entry.inode())
        except OSError:
            return True  # a link that leads nowhere is rejected when it is read
        first = self.names.setdefault(key, name)
        # Some file systems give two files one number in their directories.
        if first == name or not (self.folder / first).samefile(self.folder / name):
            return True
        if PurePosixPath(first).parent != PurePosixPath(name).parent:
            raise UserError(f"{self.folder}: {first} and {name} are the same file; remove one of them")
        log.warning("%s: %s and %s are the same file, which is listed once", self.folder, first, name)
        return False


def log_passed_over(place: Path, files: Iterable[str]) -> None:
    """Log how many files of which endings are no images that can be read."""
    endings = Counter(PurePosixPath(file).suffix.lower() or "no ending" for file in files)
    if endings:
        shown = ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(ENDINGS_SHOWN))
        more = " …" if len(endings) > ENDINGS_SHOWN else ""
        count = endings.total()
        counted = f"{count} file{'s' if count > 1 else ''} of other endings {'were' if count > 1 else 'was'}"
        log.info("%s: %s passed over: %s%s", place, counted, shown, more)
