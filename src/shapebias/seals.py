"""Checksums with which a reader notices a damaged file: one flipped bit changes a result without any other sign.

A sealed file holds its own checksum as a text in its metadata. Parquet, safetensors and JSON store this text as it is.
The checksum is that of all bytes of the file, with zeros in its own place. Tables have no metadata; a list beside them
holds their checksums, in the format of `sha256sum`.
"""

import mmap
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from shapebias.downloads import checksum
from shapebias.errors import UserError
from shapebias.files import atomic_write, open_regular_file

SEAL_KEY = "seal"
UNSEALED = "crc32:00000000"  # the value of SEAL_KEY in the metadata of a file that `seal` will seal
SEAL = re.compile(rb"crc32:([0-9a-f]{8})")
CHECKSUM_LIST = "contents.sha256"  # in the folder of the files
LISTED_FILE = re.compile(r"([0-9a-f]{64})  (.+)")


def seal(data: bytes) -> bytes:
    """Return the content of a file with its checksum in the place of UNSEALED, which its metadata must hold.

    Raises UserError if a name in the file looks like a seal: readers would take it for the seal.
    """
    if len(found := SEAL.findall(data)) > 1:
        other = next((text for text in found if text != UNSEALED[-8:].encode()), found[0])
        raise UserError(
            f"crc32:{other.decode()} is the form in which this tool writes checksums; give the observer or image of "
            f"this name another one"
        )
    return data.replace(UNSEALED.encode(), f"crc32:{zlib.crc32(data):08x}".encode(), 1)


def check_seal(path: Path) -> None:
    """Raise UserError if the content of a file does not fit its seal. Files without a seal pass, and empty files."""
    with open_regular_file(path) as file:
        if not file.seek(0, 2):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            match = SEAL.search(data)
            if match is None:
                return
            with memoryview(data) as view:
                before, after = view[: match.start()], view[match.end() :]
                actual = zlib.crc32(after, zlib.crc32(UNSEALED.encode(), zlib.crc32(before)))
                before.release()
                after.release()
            recorded = int(match[1], 16)
            del match  # it holds the map open
    if actual != recorded:
        raise UserError(
            f"{path}: damaged: its content does not fit its checksum; remove it to have it made again, or copy it again"
        )


def write_checksum_list(target: Path, paths: Iterable[Path]) -> None:
    """List the checksums of files in the folder of `target`; `sha256sum --check` verifies them there."""
    with atomic_write(target) as draft, draft.open("w", encoding="utf-8") as out:
        for path in paths:
            out.write(f"{checksum(path)}  {path.name}\n")


def check_against_list(path: Path) -> None:
    """Raise UserError if the list of checksums in a file's folder holds another checksum for it."""
    try:
        lines = (path.parent / CHECKSUM_LIST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except UnicodeDecodeError:
        lines = []
    recorded = {match[2]: match[1] for match in map(LISTED_FILE.fullmatch, lines) if match}
    if path.name in recorded and checksum(path) != recorded[path.name]:
        raise UserError(
            f"{path}: changed since it was written; remove it to have it made again, or remove "
            f"{path.parent / CHECKSUM_LIST} to use it as it is"
        )
