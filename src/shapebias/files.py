"""Files appear whole or not at all."""

import contextlib
import uuid
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def replacing(target: Path) -> Generator[Path]:
    """Yield a path beside `target` to write to; move it over `target` on success, remove it on any failure.

    Folders above the target are made. The temporary name keeps the suffix, since writers choose formats by it.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex[:8]}.{target.name}")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
