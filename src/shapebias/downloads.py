"""Files from elsewhere: verified before they appear, resumed after an interruption.

What has come so far stands beside the target under a hidden name. The standard library's client is enough here, and
keeps the environments of jobs small.
"""

import hashlib
import http.client
import logging
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from shapebias.errors import UserError
from shapebias.files import replacing, require_space
from shapebias.parallel import ordered_map

log = logging.getLogger(__name__)

TIMEOUT = 60  # seconds without a byte
PAUSES = (1, 5, 20)  # seconds before each further try
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
BLOCK = 1 << 20  # bytes
CONNECTIONS = 8


def fetch(source: str, target: Path, sha256: str | None = None, pauses: Sequence[float] = PAUSES) -> None:
    """Bring a file from a URL or a path to `target`; nothing is done if it is there with the right checksum.

    Raises UserError for a source that cannot be had, a wrong checksum or a full disk; the target then does not exist.
    """
    if target.is_file() and sha256 is not None and checksum(target) == sha256:
        log.info("%s is there already", target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if "://" not in source:
        copy(Path(source), target, sha256)
        return
    partial_file = target.with_name(f".{target.name}.partial")
    retried(partial(download, source, partial_file), source, pauses)
    found = checksum(partial_file)
    if sha256 is not None and found != sha256:
        partial_file.unlink()  # resuming it would end in the same
        raise UserError(wrong(source, sha256, found))
    partial_file.replace(target)


def copy(source: Path, target: Path, sha256: str | None) -> None:
    """Copy a file of this machine, verified."""
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    if sha256 is not None and (found := checksum(source)) != sha256:
        raise UserError(wrong(str(source), sha256, found))
    require_space(target.parent, source.stat().st_size, target.name)
    with replacing(target) as draft:
        shutil.copyfile(source, draft)


def wrong(source: str, expected: str, found: str) -> str:
    return (
        f"{source}: its SHA-256 is {found}, expected {expected}; the file is another one or was damaged on its way: "
        f"run again, or give a path to the right file instead"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retried(work: Callable[[], None], source: str, pauses: Sequence[float]) -> None:
    """Do it again after a pause where that can help; raises UserError once it has not."""
    for pause in (*pauses, None):
        try:
            return work()
        except urllib.error.HTTPError as error:
            reason = f"the server answered {error.code} {error.reason}"
            if error.code not in TRY_AGAIN:
                raise UserError(f"{source}: {reason}; give a path to the file instead") from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if pause is None:
            raise UserError(
                f"{source}: {reason}, {len(pauses) + 1} times; run again to go on from where it stopped, "
                f"or give a path to the file instead"
            )
        log.warning("%s: %s; again in %g s", source, reason, pause)
        time.sleep(pause)
    return None


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
        if answer.headers.get("ETag") and not answer.headers["ETag"].startswith("W/"):
            tag.write_text(answer.headers["ETag"])
        with target.open("ab" if have else "wb") as file:
            came = 0
            while block := answer.read(BLOCK):
                came += file.write(block)
    if came < expected:
        raise http.client.IncompleteRead(b"", expected - came)
    tag.unlink(missing_ok=True)


@dataclass(frozen=True)
class Wanted:
    """One file of a list: its checksum, where it is below the source, and where it goes below the target."""

    sha256: str
    source: PurePosixPath
    target: PurePosixPath


def read_list(path: Path, renamed: Mapping[str, str]) -> list[Wanted]:
    """The files of a list as sha256sum writes it.

    renamed: folders of the source → folders of the target; files of other folders are not wanted, and with no folder
    renamed all are, as they are. Raises UserError for a line that is none, or a path that leaves the folder.
    """
    wanted = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        digest, _, name = line.partition("  ")
        source = PurePosixPath(name)
        if len(digest) != 64 or not name or source.is_absolute() or ".." in source.parts:
            raise UserError(f"{path}, line {number}: {line!r} is not a SHA-256 and a path below the folder")
        for folder, replacement in (renamed or {".": "."}).items():
            if source.is_relative_to(folder):
                wanted.append(Wanted(digest, source, PurePosixPath(replacement) / source.relative_to(folder)))
    if not wanted:
        raise UserError(f"{path}: no file below {', '.join(renamed) or 'it'}")
    return wanted


def fetch_all(
    source: str, wanted: Sequence[Wanted], target: Path, pauses: Sequence[float] = PAUSES, show: Callable = iter
) -> None:
    """Bring all files of a list to a folder, which appears when it is whole.

    What has come is kept in a hidden folder beside it, so that another try fetches only the rest. Several come at a
    time. show: wraps the stream of finished files, for a progress bar. Raises UserError as `fetch` does.
    """
    collected = target.with_name(f".{target.name}.partial")

    def one(item: Wanted) -> Wanted:
        fetch(f"{source.rstrip('/')}/{item.source}", collected / item.target, item.sha256, pauses)
        return item

    for _ in show(ordered_map(one, wanted, CONNECTIONS)):
        pass
    if target.exists():
        shutil.rmtree(target)
    collected.replace(target)
