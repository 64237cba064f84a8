"""Signals that arrive while a library runs that would swallow them."""

import contextlib
import signal
import threading
from collections.abc import Generator

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; scancel, or Snakemake stopping its jobs


@contextlib.contextmanager
def deferred_signals() -> Generator[None]:
    """Hold Ctrl-C and SIGTERM back until the end of the block, then deliver them.

    Compiled code that calls Python turns the exception of a signal into an error of its own, or loses it. Keep the
    block short: the program does not end before the block does.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    # A handler that was not installed from Python is None and cannot be restored.
    replaced = {number: handler for number, handler in handlers.items() if handler is not None}
    for number in replaced:
        signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)
