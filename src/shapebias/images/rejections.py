"""Rejected images: their files, the reasons, and the allowed fraction."""

import csv
import logging
from dataclasses import dataclass, field
from pathlib import Path

from shapebias.errors import BadImageError, UserError
from shapebias.files import atomic_write

log = logging.getLogger(__name__)


@dataclass
class Rejections:
    """The rejected images (file, reason) and the allowed fraction of rejections."""

    allowed: float
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, file: str, reason: BadImageError) -> None:
        """Reject an image."""
        log.warning("rejected: %s: %s", file, reason)
        self.rows.append((file, str(reason)))

    def check(self, total: int, replaced: int = 0) -> None:
        """Raise UserError if more than the allowed fraction of the images was rejected, or if none is left.

        replaced: number of rejected images with a replacement.
        """
        if self.rows and (len(self.rows) > self.allowed * total or len(self.rows) - replaced == total):
            examples = "; ".join(f"{file}: {reason}" for file, reason in self.rows[:3])
            raise UserError(
                f"{len(self.rows)} of {total} images cannot be used, more than the allowed fraction "
                f"{self.allowed:g} (max_rejected). The first: {examples}"
            )


def write_rejections(out: Path, rejections: Rejections) -> None:
    """Write `X.rejected.csv` (file,reason) beside `X.tar`, even without rejections."""
    with atomic_write(out.with_suffix(".rejected.csv")) as draft, draft.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows(sorted(rejections.rows))
