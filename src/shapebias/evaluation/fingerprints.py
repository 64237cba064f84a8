"""Fingerprint a measurement: two measurements with the same fingerprint give the same result.

The fingerprint is a digest of code, library versions, files, labels and settings.
"""

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shapebias.files import open_regular_file
from shapebias.images.pictures import Picture
from shapebias.provenance import versions

# These packages read weights and tables and fit read-outs. `versions` covers the other packages.
FINGERPRINT_PACKAGES = ("pandas", "safetensors", "scikit-learn", "scipy", "threadpoolctl")
LIBRARY_FOLDER = Path(__file__).parents[1]


def fingerprint_measurement(settings: dict[str, Any], pictures: Sequence[Picture], files: Iterable[Path] = ()) -> str:
    """Return the fingerprint of a measurement, or of images that are prepared for one.

    settings: values that JSON can hold.
    pictures: the images that are shown. Their ids, their labels and the content of their files enter the digest.
    files: other files, such as weights and the script. Their content enters the digest.
    """
    origins = dict.fromkeys(picture.origin for picture in pictures)
    return fingerprint(
        {
            "settings": settings,
            "pictures": [(picture.id, picture.label) for picture in pictures],
            "files": [*map(digest_of_origin, origins), *map(digest_of_file, files)],
        }
    )


def fingerprint(facts: dict[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of facts, of the code and of library versions; facts: values that JSON can hold.

    All code and data of this library enter the digest, so any edit to the library changes every fingerprint.
    """
    return hashlib.sha256(json.dumps(facts | code_and_versions(), sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def code_and_versions() -> dict[str, Any]:
    """Return the digests of all files of this library, and the versions of the packages that results depend on."""
    return {
        "code": [digest_of_file(path) for path in library_files()],
        "versions": versions() | {name: importlib.metadata.version(name) for name in FINGERPRINT_PACKAGES},
    }


def library_files() -> list[Path]:
    """Return the source and data files of this library, in a fixed order."""
    return sorted(path for path in LIBRARY_FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc")


def digest_of_origin(path: Path) -> str:
    """Return the SHA-256 of the content of a picture's file, or why it cannot be read; the picture is then rejected."""
    try:
        return digest_of_file(path)
    except OSError as error:
        return f"unreadable: {error.strerror}"


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content. Raises OSError if the file cannot be read or is no regular file."""
    with open_regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
