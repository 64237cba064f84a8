"""When a run must leave before its end: a signal, or the end of its time."""

import logging
import os
import signal
import time
from types import FrameType, TracebackType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # SLURM's, Ctrl-C, submitit's
TRY_AGAIN = 75  # exit status EX_TEMPFAIL of sysexits.h: nothing is wrong, run it again
# Whoever sends these means to end the run, and may not want it again.
STATUSES = {name: 128 + getattr(signal, name) for name in ("SIGTERM", "SIGINT")}
MARGIN = 60.0  # seconds before the end of its time that a run leaves …
PART = 0.1  # … or this part of a time that is shorter


class StoppedError(Exception):
    """The run left before its end, with a checkpoint from which the same command goes on."""


class Stop:
    """Listens for what ends a run early; a second Ctrl-C ends it on the spot.

    Other signals may come twice, from a scheduler to all processes and from torchrun to its own.

    limit: minutes that the run may take from now on (0: as long as it needs). SLURM_JOB_END_TIME, where Slurm sets it,
    is another limit.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.reason = ""
        self.before: dict[int, signal._HANDLER] = {}
        now = time.time()
        ends = [now + 60 * limit] if limit else []
        if end := os.environ.get("SLURM_JOB_END_TIME"):
            ends.append(float(end))
        self.leave_at = min((end - min(MARGIN, PART * (end - now)) for end in ends), default=float("inf"))

    def __enter__(self) -> "Stop":
        for number in SIGNALS:
            self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number in list(self.before):
            self.restore(number)

    def note(self, number: int, _: FrameType | None = None) -> None:
        if not self.reason:
            self.reason = signal.Signals(number).name
            log.info("%s: leaves at the next step", self.reason)
        if number == signal.SIGINT:
            self.restore(number)

    def restore(self, number: int) -> None:
        signal.signal(number, self.before.pop(number))

    @property
    def status(self) -> int:
        """The exit status that says why the run left."""
        return STATUSES.get(self.reason, TRY_AGAIN)

    def requested(self) -> bool:
        """Whether to leave at the next step."""
        if not self.reason and time.time() >= self.leave_at:
            self.reason = "the end of its time"
        return bool(self.reason)
