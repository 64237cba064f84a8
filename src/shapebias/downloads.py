"""Files from elsewhere: verified before they appear, resumed after an interruption.

What has come so far stands beside the target under a hidden name. The standard library's client is enough here, and
keeps the environments of jobs small.
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
from shapebias.files import atomic_write, require_space
from shapebias.parallel import ordered_map

log = logging.getLogger(__name__)

TIMEOUT = 60  # seconds without a byte
PAUSES = (1, 5, 20)  # seconds before each further try
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
BLOCK = 1 << 16  # bytes; what a killed download loses at most
CONNECTIONS = 8
CONNECT_TIMEOUT = 5  # seconds for a server to take a connection
# What every failed download ends in where the machine, not the server, is the reason.
AIR_GAP = (
    "compute nodes have no internet as a rule: fetch where there is (the workflow's target `downloads`, on a login "
    "node), or give a local file"
)
CHECKSUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)", re.IGNORECASE)  # a line of sha256sum


def fetch(source: str, target: Path, sha256: str | None = None, pauses: Sequence[float] = PAUSES) -> None:
    """Bring a file from a URL or a path to `target`; nothing is done if it is there with the right checksum.

    source: http, https or file URL, or a path. sha256: hexadecimal, lower case, all of it or its first digits (which
    file names of torch.hub end in); None takes what comes. pauses: seconds before each further try. Raises UserError
    for a source that cannot be had, a wrong checksum or too small a disk, and OSError where the disk fills up all the
    same; the target is then as it was.
    """
    if sha256 is not None and has_checksum(target, sha256):
        log.debug("%s is there already", target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if (path := local_path(source)) is not None:
        copy_verified(path, target, sha256)
        return
    partial_file = target.with_name(f".{target.name}.partial")
    retry(partial(download, source, partial_file), source, pauses)
    found = checksum(partial_file)
    if sha256 is not None and not found.startswith(sha256):
        partial_file.unlink()  # resuming it would end in the same
        raise UserError(checksum_error(source, sha256, found))
    partial_file.replace(target)


def local_path(source: str) -> Path | None:
    """Where a path or a file URL is on this machine; None for a URL of another. Raises UserError for other schemes."""
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
    """Copy a file of this machine, verified."""
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    if sha256 is not None and not (found := checksum(source)).startswith(sha256):
        raise UserError(checksum_error(str(source), sha256, found))
    require_space(target.parent, source.stat().st_size, target.name)
    with atomic_write(target) as draft:
        shutil.copyfile(source, draft)


def checksum_error(source: str, expected: str, found: str) -> str:
    return (
        f"{source}: its SHA-256 is {found}, expected {expected}; the file is another one or was damaged on its way: "
        f"run again, or give a path to the right file instead"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_checksum(path: Path, sha256: str) -> bool:
    return path.is_file() and checksum(path).startswith(sha256)


def retry(work: Callable[[], None], source: str, pauses: Sequence[float]) -> None:
    """Do it again after a pause where that can help; raises UserError once it has not."""
    for pause in (*pauses, None):
        try:
            return work()
        except urllib.error.HTTPError as error:
            reason = f"the server answered {error.code} {error.reason}"
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
            raise UserError(f"{source}: not an address to download from ({error})") from None
        if pause is None:
            raise UserError(
                f"{source}: {reason}, {len(pauses) + 1} times; run again to go on from where it stopped, "
                f"or give a path to the file instead"
            )
        log.warning("%s: %s; again in %g s", source, reason, pause)
        time.sleep(pause)
    return None


def is_reachable(url: str) -> bool:
    """Whether a server takes a connection; behind a proxy nobody can tell, so the answer is yes."""
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
    """Append to `target` what it lacks of a URL's content.

    A server that does not take up where it stopped, or whose file has changed since, sends all of it anew.
    Raises the errors of urllib, and IncompleteRead where the connection ends early.
    """
    have = target.stat().st_size if target.exists() else 0
    tag = target.with_name(f"{target.name}.etag")
    headers = {"User-Agent": "shapebias", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-"}
        if tag.exists():
            headers |= {"If-Range": tag.read_text()}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(source, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            tag.unlink(missing_ok=True)
            return
        raise
    with answer:
        if answer.status != 206:
            have = 0
        expected = int(answer.headers.get("Content-Length") or 0)
        require_space(target.parent, expected, target.name.strip(".").removesuffix(".partial"))
        came = 0
        try:
            with target.open("ab" if have else "wb") as file:
                # Only now that an older content is gone: its rest must not be asked for under the new tag.
                if answer.headers.get("ETag") and not answer.headers["ETag"].startswith("W/"):
                    tag.write_text(answer.headers["ETag"])
                while block := answer.read(BLOCK):
                    came += file.write(block)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                error.filename = str(target)  # a full disk: whoever reads of it wants to know which
            raise
    if came < expected:
        raise http.client.IncompleteRead(b"", expected - came)
    tag.unlink(missing_ok=True)


@dataclass(frozen=True)
class ListedFile:
    """One file of a list: its checksum, where it is below the source, and where it goes below the target."""

    sha256: str
    source: PurePosixPath
    target: PurePosixPath


def read_checksum_list(path: Path, renamed: Mapping[str, str]) -> list[ListedFile]:
    """The files of a list as sha256sum writes it.

    renamed: folders of the source → folders of the target; files of other folders are not wanted, and with no folder
    renamed all are, as they are. Raises UserError for a line that is none, a path that leaves the folder, or two files
    that would become one.
    """
    wanted: dict[PurePosixPath, ListedFile] = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        found = CHECKSUM_LINE.fullmatch(line)
        source = PurePosixPath(found[2] if found else "/")
        if found is None or source.is_absolute() or ".." in source.parts:
            raise UserError(f"{path}, line {number}: {line!r} is not a SHA-256 and a path below the folder")
        for folder, replacement in (renamed or {".": "."}).items():
            if source.is_relative_to(folder):
                target = PurePosixPath(replacement) / source.relative_to(folder)
                if target in wanted:
                    raise UserError(f"{path}, line {number}: {wanted[target].source} would be {target} too")
                wanted[target] = ListedFile(found[1].lower(), source, target)
    if not wanted:
        raise UserError(f"{path}: it lists no file{' below ' if renamed else ''}{', '.join(renamed)}")
    return list(wanted.values())


def fetch_all(
    source: str, wanted: Sequence[ListedFile], target: Path, pauses: Sequence[float] = PAUSES, show: Callable = iter
) -> None:
    """Bring all files of a list to a folder, which appears when it is whole and holds nothing else.

    What has come is kept in a hidden folder beside it, so that another try fetches only the rest; what an earlier
    folder holds already is taken from there. Several come at a time. source: the URL or folder that the list's paths
    are below. show: wraps the stream of finished files, for a progress bar. Raises the errors of `fetch`.
    """
    collected = target.with_name(f".{target.name}.partial")

    def one(item: ListedFile) -> ListedFile:
        there = target / item.target
        name = quote(str(item.source)) if "://" in source else item.source
        origin = str(there) if has_checksum(there, item.sha256) else f"{source.rstrip('/')}/{name}"
        fetch(origin, collected / item.target, item.sha256, pauses)
        return item

    for _ in show(ordered_map(one, wanted, CONNECTIONS)):
        pass
    listed = {collected / item.target for item in wanted}
    for path in [path for path in collected.rglob("*") if path.is_file() and path not in listed]:
        path.unlink()  # an interrupted try wanted other files
    if target.exists():
        shutil.rmtree(target)
    collected.replace(target)
