"""Whether a measurement would come out the same: a digest of its code, library versions, files, labels and settings."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shapebias.images.pictures import Picture
from shapebias.provenance import versions

PIECE = 2**20  # bytes read at a time
# Beside those of every record: what reads weights and tables, and fits read-outs.
PACKAGES = ("pandas", "safetensors", "scikit-learn", "scipy", "threadpoolctl")
LIBRARY = Path(__file__).parent


def fingerprint(settings: dict[str, Any], pictures: Sequence[Picture], files: Iterable[Path]) -> str:
    """Return the SHA-256 (hexadecimal) of what a measurement depends on.

    settings: what JSON can hold. pictures: the images that are shown, which count by id, label and the content of the
    files that they come from. files: others that count by their content, such as weights and the script. All code and
    data of this library count too: an edit anywhere in it makes every fingerprint another.
    """
    origins = dict.fromkeys(picture.origin for picture in pictures)
    parts = {
        "settings": settings,
        "pictures": [(picture.id, picture.label) for picture in pictures],
        "files": [digest_of_file(path) for path in (*origins, *files)],
        "code": [digest_of_file(path) for path in library_files()],
        "versions": versions() | {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def library_files() -> list[Path]:
    """Return the source and data files of this library, in a fixed order."""
    return sorted(path for path in LIBRARY.rglob("*") if path.is_file() and path.suffix != ".pyc")


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content. Raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
