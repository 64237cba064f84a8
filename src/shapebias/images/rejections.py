"""Images that cannot be used: which, why, and how many are allowed."""

import csv
import logging
from dataclasses import dataclass, field
from pathlib import Path

from shapebias.errors import BadImageError, UserError
from shapebias.files import atomic_write

log = logging.getLogger(__name__)


@dataclass
class Rejections:
    """The images that were set aside, and how many are allowed to be."""

    allowed: float
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, file: str, reason: BadImageError) -> None:
        """Set an image aside."""
        log.warning("set aside: %s: %s", file, reason)
        self.rows.append((file, str(reason)))

    def check(self, total: int, replaced: int = 0) -> None:
        """Raise UserError if more than the allowed fraction of the images was set aside, or if none is left.

        replaced: how many of those set aside have another in their place.
        """
        if self.rows and (len(self.rows) > self.allowed * total or len(self.rows) - replaced == total):
            named = "; ".join(f"{file}: {reason}" for file, reason in self.rows[:3])
            raise UserError(
                f"{len(self.rows)} of {total} images cannot be used, more than the allowed fraction "
                f"{self.allowed:g} (max_rejected). The first: {named}"
            )


def write_rejections(out: Path, rejections: Rejections) -> None:
    """Write `X.rejected.csv` (file,reason) beside `X.tar`, also when it is empty: its absence would say nothing."""
    with atomic_write(out.with_suffix(".rejected.csv")) as draft, draft.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows(sorted(rejections.rows))
