"""Whether a measurement would come out the same: digests of its code, files and settings.

Two measurements with one fingerprint have the same code, library versions, weights, images and settings, so that the
first may stand for the second.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shapebias.provenance import versions
from shapebias.shards import expand

PIECE = 2**20  # bytes read at a time


def fingerprint(settings: dict[str, Any], files: Iterable[Path]) -> str:
    """Return the SHA-256 (hexadecimal) of settings, of the content of files, and of the code that is loaded.

    Files count by their order, name and content, wherever they lie.
    """
    whole = {"settings": settings, "files": list(map(digest_of_file, files)), "code": digest_of_code()}
    return hashlib.sha256(json.dumps(whole | {"versions": versions()}, sort_keys=True).encode()).hexdigest()


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files below folders and the files themselves (`{0..3}.tar` is four), in a fixed order."""
    files: list[Path] = []
    for path in expand(paths):
        files += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return files


def digest_of_file(path: Path) -> tuple[str, str]:
    """Return a file's name and the SHA-256 of its content. Raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return path.name, digest.hexdigest()


def digest_of_code() -> str:
    """Return the SHA-256 of the source of all modules of this library that are loaded."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name.partition(".")[0] == "shapebias" and source:
            digest.update(f"{name}\0".encode() + Path(source).read_bytes())
    return digest.hexdigest()
