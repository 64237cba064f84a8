"""A folder of arrays that several networks' jobs share, such as prepared images: one job computes, the next one reads.

A file is named after the fingerprint of everything that its arrays depend on. Files appear complete or not at all, so
jobs may write at once. Nobody needs these files: an unreadable file is made anew, and on a full disk none is written.
"""

import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from shapebias.files import atomic_write

log = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
CHECKSUM_KEY = "crc32"


@dataclass(frozen=True)
class SharedFolder:
    """The folder with the files; it need not exist yet."""

    folder: Path

    def path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint}.safetensors"

    def read(self, fingerprint: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a file, or None if there is no such file or if it is damaged."""
        path = self.path(fingerprint)
        try:
            with safe_open(path, framework="np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                metadata = file.metadata() or {}
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError) as error:
            log.warning("%s: cannot be read (%s); its content is computed again", path, error)
            return None
        if metadata.get(CHECKSUM_KEY) != checksum(arrays):
            log.warning("%s: damaged; its content is computed again", path)
            return None
        return arrays

    def write(self, fingerprint: str, arrays: Arrays) -> None:
        """Write arrays for other jobs. If that fails, log a warning."""
        path = self.path(fingerprint)
        try:
            with atomic_write(path) as draft:
                save_file(dict(arrays), draft, metadata={CHECKSUM_KEY: checksum(arrays)})
        except (OSError, SafetensorError) as error:
            log.warning("%s: not written (%s); other networks will compute its content again", path, error)


def checksum(arrays: Arrays) -> str:
    """Return the CRC-32 of all values."""
    result = 0
    for name in sorted(arrays):
        result = zlib.crc32(np.ascontiguousarray(arrays[name]).data.cast("B"), result)
    return str(result)
