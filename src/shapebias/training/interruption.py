"""Early end of a run: after a signal, or before its time limit."""

import logging
import os
import signal
import time
from types import FrameType, TracebackType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # from SLURM, from Ctrl-C, from submitit
RETRY_STATUS = 75  # exit status EX_TEMPFAIL of sysexits.h: nothing failed, run the same command again
# These signals end the run; their sender may not want it to be retried.
STATUSES = {name: 128 + getattr(signal, name) for name in ("SIGTERM", "SIGINT")}
STOP_MARGIN = 60.0  # seconds between a run's stop and its time limit, at most
STOP_MARGIN_SHARE = 0.1  # share of a shorter time limit, used instead


class StoppedError(Exception):
    """The run stopped before its end. The same command resumes it from its checkpoint."""


class StopSignal:
    """Listens for events that end a run early; a second Ctrl-C ends the run at once.

    Other signals may arrive twice: a scheduler signals all processes, and torchrun signals its own.

    limit: minutes that the run may take from now on (0: no limit). If Slurm sets SLURM_JOB_END_TIME, that time is
    another limit.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.reason = ""
        self.previous_handlers: dict[int, signal._HANDLER] = {}
        now = time.time()
        ends = [now + 60 * limit] if limit else []
        if end := os.environ.get("SLURM_JOB_END_TIME"):
            ends.append(float(end))
        self.stop_at = min(
            (end - min(STOP_MARGIN, STOP_MARGIN_SHARE * (end - now)) for end in ends), default=float("inf")
        )

    def __enter__(self) -> "StopSignal":
        for number in SIGNALS:
            self.previous_handlers[number] = signal.signal(number, self.record)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number in list(self.previous_handlers):
            self.restore(number)

    def record(self, number: int, _: FrameType | None = None) -> None:
        if not self.reason:
            self.reason = signal.Signals(number).name
            log.info("%s: stops at the next step", self.reason)
        if number == signal.SIGINT:
            self.restore(number)

    def restore(self, number: int) -> None:
        signal.signal(number, self.previous_handlers.pop(number))

    @property
    def status(self) -> int:
        """The exit status for the reason of the stop."""
        return STATUSES.get(self.reason, RETRY_STATUS)

    def requested(self) -> bool:
        """Whether the run must stop at the next step."""
        if not self.reason and time.time() >= self.stop_at:
            self.reason = "the time limit"
        return bool(self.reason)
