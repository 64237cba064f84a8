"""Run work in a process of its own, so that a crash, a full memory or a hang there ends in one row of a table."""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from shapebias.errors import UserError

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Row:
    """One line of the table. limit: the tolerance in words, "" for a measurement that has none."""

    name: str
    value: str
    limit: str = ""
    ok: bool = True


def bounded(name: str, value: float, limit: float, form: str = "{:.2g}") -> Row:
    """Return the row of a number that may be at most `limit`; NaN is above every limit."""
    return Row(name, form.format(value), f"at most {form.format(limit)}", value <= limit)


def run_isolated(name: str, work: Callable[[], Iterator[Row]], limit: float) -> Iterator[Row]:
    """Yield the rows of `work`, which runs in a forked process; after `limit` seconds it is killed.

    The calling process must not have used a GPU: CUDA does not work in a fork of such a process. A row named `name`
    says how the process failed, and the last one how long it took.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_rows, args=(name, work, sender))
    start = time.monotonic()
    process.start()
    sender.close()
    try:
        yield from received_rows(name, process, receiver, start + limit)
    finally:  # also after Ctrl-C
        if process.is_alive() and process.pid:
            # Workers and ranks are in the group of the process.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.join()
    seconds = time.monotonic() - start
    yield Row("time", f"{seconds:.0f} s of {limit:.0f} s")


def received_rows(
    name: str, process: multiprocessing.context.ForkProcess, receiver: Connection, end: float
) -> Iterator[Row]:
    """Yield the rows that a process sends until it is done, dies or runs out of time."""
    while time.monotonic() < end:
        # Not the end of the pipe: a worker of a dead process may hold it open.
        alive = process.is_alive()
        if receiver.poll(POLL_SECONDS if alive else 0):
            try:
                row = receiver.recv()
            except EOFError:  # it died; rows that it sent before have been read
                alive = False
            else:
                if row is None:
                    process.join(max(0.0, end - time.monotonic()))
                    return
                yield row
                continue
        if not alive:
            process.join(max(0.0, end - time.monotonic()))
            yield Row(name, f"failed: its process ended with status {process.exitcode}", ok=False)
            return
    yield Row(name, "failed: not done in time", ok=False)


def send_rows(name: str, work: Callable[[], Iterator[Row]], sender: Connection) -> None:
    """Send the rows of `work`, then None. An exception becomes a row; that of a bug also leaves its traceback."""
    os.setsid()
    try:
        for row in work():
            sender.send(row)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        lines = str(error).strip().splitlines()
        sender.send(Row(name, f"failed: {lines[0] if lines else type(error).__name__}", ok=False))
    sender.send(None)
