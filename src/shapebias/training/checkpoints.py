"""Checkpoints of a training run: whole or not at all, two generations, refused by another recipe."""

import contextlib
import hashlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.shards import Sample
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.run_lock import claimed

log = logging.getLogger(__name__)

LATEST, EARLIER, CLAIM = "latest.pt", "earlier.pt", "claim"
DIGEST_BYTES = 32
SHARE = 0.02  # of a run's time at most goes into checkpoints


@contextlib.contextmanager
def claimed_folder(folder: Path, ranks: Ranks = ALONE, stopped: Callable[[], bool] = lambda: False) -> Generator[None]:
    """Keep a folder of checkpoints from all other processes while the body runs; if it is empty then, it is removed.

    Raises StoppedError as `claimed` does.
    """
    try:
        with claimed(folder / CLAIM, ranks, stopped):
            yield
    finally:
        if ranks.first:
            with contextlib.suppress(OSError):  # not there, or not empty
                folder.rmdir()


class Checkpoints:
    """The checkpoints of one run in a folder of their own.

    identity: what makes the run what it is (recipe, images, classes, …). minutes, epochs: how often one is due; where
    they would take more than SHARE of the time, they are written less often.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, minutes: float = 10.0, epochs: int = 1) -> None:
        self.folder, self.identity = folder, identity
        self.minutes, self.epochs = minutes, epochs
        self.written = time.monotonic()
        self.cost = 0.0  # seconds that the last one took
        self.damaged = False  # whether the newest is
        self.writer: threading.Thread | None = None

    def newest(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or none. Raises UserError where it is another run's."""
        for name in (LATEST, EARLIER):
            path = self.folder / name
            if not path.is_file():
                continue
            try:
                data = memoryview(path.read_bytes())
                check, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
                if hashlib.sha256(payload).digest() != check:
                    raise ValueError("checksum")
                saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
                identity, content = saved["identity"], saved["content"]
            except OSError:  # says itself what is wrong
                raise
            except Exception as error:  # torch raises nearly anything on a file of another kind
                log.warning("%s: damaged (%s); the checkpoint before it is taken", path, error)
                self.damaged |= name == LATEST
                continue
            self.refuse_others(path, identity)
            log.info("%s: goes on from step %d, epoch %d", path, content["step"], content["epoch"] + 1)
            return content
        return None

    def refuse_others(self, path: Path, identity: dict[str, Any]) -> None:
        names = sorted(identity.keys() | self.identity.keys())
        pairs = [(name, identity.get(name), self.identity.get(name)) for name in names]
        differ = [f"{name} {was!r} → {now!r}" for name, was, now in pairs if was != now]
        if differ:
            raise UserError(
                f"{path}: a checkpoint of another run: {', '.join(differ)}; remove {path.parent} to begin anew, or "
                f"set these back to go on"
            )

    def due(self, epoch: int | None = None) -> bool:
        """Whether it is time for one: in the middle of an epoch, or at the end of that epoch (counted from 1)."""
        since = time.monotonic() - self.written
        wanted = since >= 60 * self.minutes if epoch is None else epoch % self.epochs == 0
        return wanted and since * SHARE >= self.cost

    def save(self, content: dict[str, Any], *, wait: bool = False) -> None:
        """Write one, in a thread of its own; wait: until it is on the disk, and OSError if it cannot be."""
        self.finish()
        self.written = time.monotonic()
        if wait:
            self.write(content)
        else:
            self.writer = threading.Thread(target=self.try_to_write, args=(content,))
            self.writer.start()

    def try_to_write(self, content: dict[str, Any]) -> None:
        try:
            self.write(content)
        except OSError as error:
            log.warning("checkpoint not written (%s); the one before it stays, training goes on", error)

    def write(self, content: dict[str, Any]) -> None:
        began = time.monotonic()
        latest, buffer = self.folder / LATEST, io.BytesIO()
        torch.save({"identity": self.identity, "content": content}, buffer)
        self.remove_drafts()
        with atomic_write(latest) as draft:
            with draft.open("wb") as file:
                # torch finds a file that was cut short, but reads one with changed bytes.
                file.write(hashlib.sha256(buffer.getbuffer()).digest())
                file.write(buffer.getbuffer())
                os.fsync(file.fileno())
            if latest.is_file() and not self.damaged:
                latest.replace(self.folder / EARLIER)
        self.damaged = False
        self.cost = time.monotonic() - began

    def remove_drafts(self) -> None:
        """Remove what a killed process was writing."""
        for draft in self.folder.glob(f".*.{LATEST}"):
            draft.unlink(missing_ok=True)

    def finish(self) -> None:
        """Wait until the last one is written."""
        if self.writer:
            self.writer.join()
            self.writer = None

    def remove(self) -> None:
        """Remove them all: the run is complete."""
        self.finish()
        for name in (LATEST, EARLIER):
            (self.folder / name).unlink(missing_ok=True)
        self.remove_drafts()


def digest(state: Mapping[str, torch.Tensor]) -> str:
    """Sixteen hexadecimal digits that stand for the values of a state dict."""
    found = hashlib.sha256()
    for name, tensor in state.items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def fingerprint(samples: Iterable[Sample]) -> str:
    """Sixteen hexadecimal digits that stand for some images: their ids, classes and sizes in bytes, in order."""
    found = hashlib.sha256()
    for sample in samples:
        found.update(f"{sample.id}\t{sample.label['class']}\t{sample.size}\n".encode())
    return found.hexdigest()[:16]
