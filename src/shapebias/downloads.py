"""Download files: verify each by its checksum, and resume after an interruption.

A partial download lies beside the target under a hidden name. pooch and torch.hub verify checksums, but start again
after an interruption. Python's own HTTP client is enough here and keeps the jobs' environments small.
"""

import errno
import hashlib
import http.client
import logging
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from shapebias.errors import UserError
from shapebias.files import atomic_write, read_utf8, require_space
from shapebias.parallel import ordered_map

log = logging.getLogger(__name__)

TIMEOUT = 60  # seconds without a byte
PAUSES = (1, 5, 20)  # seconds before each further try
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
BLOCK = 1 << 16  # bytes; a killed download loses at most one block
CONNECTIONS = 8
CONNECT_TIMEOUT = 5  # seconds for a server to accept a connection
# The advice when the machine, not the server, is the reason of a failed download.
AIR_GAP = (
    "compute nodes usually have no internet: download on a machine that has it (the workflow's target `downloads`, on "
    "a login node), or give a local file"
)
CHECKSUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)", re.IGNORECASE)  # a line of sha256sum


def fetch(source: str, target: Path, sha256: str | None = None, pauses: Sequence[float] = PAUSES) -> None:
    """Download or copy a file to `target`; do nothing if the target already has the right checksum.

    source: http, https or file URL, or a path.
    sha256: hexadecimal, lower case, complete or only its first digits (torch.hub's file names end in these); None
    accepts any content.
    pauses: seconds before each further try.
    Raises UserError for an unreachable source, a wrong checksum or too little disk space, and OSError if the disk
    fills up during the download. The target then stays unchanged.
    """
    if sha256 is not None and has_checksum(target, sha256):
        log.debug("%s already exists", target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if (path := local_path(source)) is not None:
        copy_verified(path, target, sha256)
        return
    partial_file = target.with_name(f".{target.name}.partial")
    retry(partial(download, source, partial_file), source, pauses)
    actual = checksum(partial_file)
    if sha256 is not None and not actual.startswith(sha256):
        partial_file.unlink()  # resuming it would give the same wrong file
        raise UserError(checksum_error(source, sha256, actual))
    partial_file.replace(target)


def local_path(source: str) -> Path | None:
    """Return the local path of a path or file URL, None for http and https. Raises UserError for other schemes."""
    if "://" not in source:
        return Path(source)
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{source}: neither an http, https or file URL nor a path")
    return None


def copy_verified(source: Path, target: Path, sha256: str | None) -> None:
    """Copy a local file after checking its checksum."""
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    if sha256 is not None and not (actual := checksum(source)).startswith(sha256):
        raise UserError(checksum_error(str(source), sha256, actual))
    require_space(target.parent, source.stat().st_size, target.name)
    with atomic_write(target) as draft:
        shutil.copyfile(source, draft)


def checksum_error(source: str, expected: str, actual: str) -> str:
    return (
        f"{source}: its SHA-256 is {actual}, expected {expected}; it is a different file or was damaged in transfer: "
        f"run again, or give a path to the right file instead"
    )


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_checksum(path: Path, sha256: str) -> bool:
    return path.is_file() and checksum(path).startswith(sha256)


def retry(work: Callable[[], None], source: str, pauses: Sequence[float]) -> None:
    """Call `work` until it succeeds; raise UserError after the last try, or at once if another try cannot help.

    pauses: seconds before each further try.
    """
    for pause in (*pauses, None):
        try:
            return work()
        except urllib.error.HTTPError as error:
            reason = f"the server replied {error.code} {error.reason}"
            if error.code not in RETRY_STATUSES:
                raise UserError(f"{source}: {reason}; give a path to the file instead") from None
        except http.client.InvalidURL as error:
            raise UserError(f"{source}: {error}; correct the URL, or give a path to the file instead") from None
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as error:
            cause = getattr(error, "reason", error)
            reason = str(cause) or type(error).__name__
            if isinstance(cause, socket.gaierror) or getattr(cause, "errno", None) == errno.ENETUNREACH:
                raise UserError(f"{source}: {reason}; {AIR_GAP}") from None
        except ValueError as error:
            raise UserError(f"{source}: not a valid download address ({error})") from None
        if pause is None:
            raise UserError(
                f"{source}: {reason}, {len(pauses) + 1} times; run again to resume the download, "
                f"or give a path to the file instead"
            )
        log.warning("%s: %s; next try in %g s", source, reason, pause)
        time.sleep(pause)
    return None


def is_reachable(url: str) -> bool:
    """Return whether a server accepts a connection; True behind a proxy, where this cannot be tested."""
    parts = urlsplit(url)
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc):
        return True
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def download(source: str, target: Path) -> None:
    """Download a URL to `target`, resuming a partial file.

    The server sends the complete file again if it cannot resume or if the file has changed since.
    Raises the errors of urllib, and IncompleteRead if the connection ends early.
    """
    offset = target.stat().st_size if target.exists() else 0
    tag = target.with_name(f"{target.name}.etag")
    headers = {"User-Agent": "shapebias", "Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-"}
        if tag.exists():
            headers |= {"If-Range": tag.read_text()}
    try:
        response = urllib.request.urlopen(urllib.request.Request(source, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            tag.unlink(missing_ok=True)
            return
        raise
    with response:
        if response.status != 206:
            offset = 0
        expected = int(response.headers.get("Content-Length") or 0)
        require_space(target.parent, expected, target.name.strip(".").removesuffix(".partial"))
        received = 0
        try:
            with target.open("ab" if offset else "wb") as file:
                # Write the tag only after removing older content, which must not be resumed under the new tag.
                if response.headers.get("ETag") and not response.headers["ETag"].startswith("W/"):
                    tag.write_text(response.headers["ETag"])
                while block := response.read(BLOCK):
                    received += file.write(block)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                error.filename = str(target)  # the error message then names the full disk
            raise
    if received < expected:
        raise http.client.IncompleteRead(b"", expected - received)
    tag.unlink(missing_ok=True)


@dataclass(frozen=True)
class ListedFile:
    """One file of a checksum list: its checksum, its path below the source, and its path below the target."""

    sha256: str
    source: PurePosixPath
    target: PurePosixPath


def read_checksum_list(path: Path, folders: Mapping[str, str]) -> list[ListedFile]:
    """Return the files of a checksum list, as sha256sum writes it.

    folders: source folder → target folder; files outside these folders are left out. If empty, all files keep their
    paths. Raises UserError for a malformed line, a path outside the folder, or two files with the same target.
    """
    entries: dict[PurePosixPath, ListedFile] = {}
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        match = CHECKSUM_LINE.fullmatch(line)
        source = PurePosixPath(match[2] if match else "/")
        if match is None or source.is_absolute() or ".." in source.parts:
            raise UserError(f"{path}, line {number}: {line!r} is not a SHA-256 and a path below the folder")
        for folder, replacement in (folders or {".": "."}).items():
            if source.is_relative_to(folder):
                target = PurePosixPath(replacement) / source.relative_to(folder)
                if target in entries:
                    raise UserError(f"{path}, line {number}: {entries[target].source} would be {target} too")
                entries[target] = ListedFile(match[1].lower(), source, target)
    if not entries:
        raise UserError(f"{path}: it lists no file{' below ' if folders else ''}{', '.join(folders)}")
    return list(entries.values())


def fetch_all(
    source: str, files: Sequence[ListedFile], target: Path, pauses: Sequence[float] = PAUSES, show: Callable = iter
) -> None:
    """Download all files of a list into a folder, which appears when it is complete and holds nothing else.

    Finished files wait in a hidden folder beside the target, so the next try downloads only the rest. Files that an
    existing target folder already holds are copied from it. Several downloads run at a time.
    source: the URL or folder that the list's paths are relative to.
    show: wraps the stream of finished files, for a progress bar. Raises the errors of `fetch`.
    """
    partial_folder = target.with_name(f".{target.name}.partial")

    def fetch_file(item: ListedFile) -> ListedFile:
        existing = target / item.target
        name = quote(str(item.source)) if "://" in source else item.source
        origin = str(existing) if has_checksum(existing, item.sha256) else f"{source.rstrip('/')}/{name}"
        fetch(origin, partial_folder / item.target, item.sha256, pauses)
        return item

    for _ in show(ordered_map(fetch_file, files, CONNECTIONS)):
        pass
    expected = {partial_folder / item.target for item in files}
    for path in [path for path in partial_folder.rglob("*") if path.is_file() and path not in expected]:
        path.unlink()  # left by an interrupted try with another list
    if target.exists():
        shutil.rmtree(target)
    partial_folder.replace(target)
