"""Files appear whole or not at all."""

import contextlib
import shutil
import uuid
from collections.abc import Generator
from pathlib import Path

from shapebias.errors import UserError


@contextlib.contextmanager
def atomic_write(target: Path) -> Generator[Path]:
    """Yield a path beside `target` to write to; move it over `target` on success, remove it on any failure.

    Folders above the target are made. The temporary name keeps the suffix, since writers choose formats by it.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex[:8]}.{target.name}")
    try:
        yield draft
        draft.replace(target)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # a full disk: whoever reads of it wants to know which
            error.filename = str(target)
        raise
    finally:
        draft.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise UserError unless the disk of `folder` (which need not exist yet) has room for `needed` bytes."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise UserError(
            f"{what} needs about {needed / 1e6:,.1f} MB, but {there} has {free / 1e6:,.1f} MB left; "
            f"free some, or write elsewhere"
        )
