"""Checkpoints of a training run: written completely or not at all, two generations, tied to one recipe."""

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
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.run_lock import lock_run

log = logging.getLogger(__name__)

LATEST, EARLIER, LOCK_FILE = "latest.pt", "earlier.pt", "claim"
DIGEST_BYTES = 32
MAX_TIME_SHARE = 0.02  # largest share of a run's time for checkpoints


@contextlib.contextmanager
def lock_checkpoints(
    folder: Path, world: World = SINGLE_PROCESS, stop_requested: Callable[[], bool] = lambda: False
) -> Generator[None]:
    """Lock a folder of checkpoints for this process while the body runs; remove the folder afterwards if it is empty.

    Raises StoppedError as `lock_run` does.
    """
    try:
        with lock_run(folder / LOCK_FILE, world, stop_requested):
            yield
    finally:
        if world.is_first:
            with contextlib.suppress(OSError):  # not there, or not empty
                folder.rmdir()


class Checkpoints:
    """The checkpoints of one run, in their own folder.

    identity: what defines the run (recipe, images, classes, …). minutes, epochs: time between checkpoints. Checkpoints
    become rarer if they would take more than MAX_TIME_SHARE of the time.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, minutes: float = 10.0, epochs: int = 1) -> None:
        self.folder, self.identity = folder, identity
        self.minutes, self.epochs = minutes, epochs
        self.written = time.monotonic()
        self.cost = 0.0  # seconds for writing the last checkpoint
        self.damaged = False  # whether the newest checkpoint is damaged
        self.writer: threading.Thread | None = None

    def newest(self) -> dict[str, Any] | None:
        """Return the newest readable checkpoint, or None. Raises UserError if it belongs to another run."""
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
            except OSError:  # its own message is clear
                raise
            except Exception as error:  # torch raises nearly any error on other files
                log.warning("%s: damaged (%s); the previous checkpoint is used", path, error)
                self.damaged |= name == LATEST
                continue
            self.check_identity(path, identity)
            epoch = f", epoch {content['epoch'] + 1}" if "epoch" in content else ""
            log.info("%s: resumes from step %d%s", path, content["step"], epoch)
            return content
        return None

    def check_identity(self, path: Path, identity: dict[str, Any]) -> None:
        names = sorted(identity.keys() | self.identity.keys())
        pairs = [(name, identity.get(name), self.identity.get(name)) for name in names]
        differences = [f"{name} {old!r} → {new!r}" for name, old, new in pairs if old != new]
        if differences:
            raise UserError(
                f"{path}: a checkpoint of another run: {', '.join(differences)}; remove {path.parent} to start "
                f"again, or restore these values to resume"
            )

    def due(self, epoch: int | None = None) -> bool:
        """Whether a checkpoint is due: in the middle of an epoch, or at the end of epoch `epoch` (counted from 1)."""
        elapsed = time.monotonic() - self.written
        interval_over = elapsed >= 60 * self.minutes if epoch is None else epoch % self.epochs == 0
        return interval_over and elapsed * MAX_TIME_SHARE >= self.cost

    def save(self, content: dict[str, Any], *, wait: bool = False) -> None:
        """Write a checkpoint in a thread.

        wait: return only when the checkpoint is on the disk; raises OSError if it cannot be written.
        """
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
            log.warning("checkpoint not written (%s); training continues, and the previous checkpoint stays", error)

    def write(self, content: dict[str, Any]) -> None:
        start = time.monotonic()
        latest, buffer = self.folder / LATEST, io.BytesIO()
        torch.save({"identity": self.identity, "content": content}, buffer)
        self.remove_drafts()
        with atomic_write(latest) as draft:
            with draft.open("wb") as file:
                # torch notices a truncated file, but not changed bytes.
                file.write(hashlib.sha256(buffer.getbuffer()).digest())
                file.write(buffer.getbuffer())
                os.fsync(file.fileno())
            if latest.is_file() and not self.damaged:
                latest.replace(self.folder / EARLIER)
        self.damaged = False
        self.cost = time.monotonic() - start

    def remove_drafts(self) -> None:
        """Remove unfinished files of a killed process."""
        for draft in self.folder.glob(f".*.{LATEST}"):
            draft.unlink(missing_ok=True)

    def finish(self) -> None:
        """Wait until the last checkpoint is written."""
        if self.writer:
            self.writer.join()
            self.writer = None

    def remove(self) -> None:
        """Remove all checkpoints, because the run is complete."""
        self.finish()
        for name in (LATEST, EARLIER):
            (self.folder / name).unlink(missing_ok=True)
        self.remove_drafts()


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return sixteen hexadecimal digits that identify the values of a state dict."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def images_digest(samples: Iterable[Sample]) -> str:
    """Return sixteen hexadecimal digits that identify images by id, class, size in bytes and order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.id}\t{sample.label['class']}\t{sample.size}\n".encode())
    return digest.hexdigest()[:16]
