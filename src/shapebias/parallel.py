"""Parallel map over threads or processes, with results in the order of the inputs."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # items per worker, queued or finished: enough to keep it busy, few enough to bound memory


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    pool: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[R]:
    """Apply a function to items in parallel and yield results in order; with 0 workers this is plain `map`.

    Workers run ahead of the consumer. An exception is raised at the position of its item.
    """
    if workers == 0:
        yield from map(function, items)
        return
    items = iter(items)
    with pool(workers) as executor:
        pending: deque[Future[R]] = deque()
        try:
            pending.extend(executor.submit(function, item) for item in itertools.islice(items, AHEAD * workers))
            while pending:
                result = pending.popleft().result()
                pending.extend(executor.submit(function, item) for item in itertools.islice(items, 1))
                yield result
        finally:
            # After an error or Ctrl-C, wait only for the items in progress.
            executor.shutdown(cancel_futures=True)


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of processes that ignore signals and exit whenever their parent does."""
    return ProcessPoolExecutor(workers, initializer=prepare_worker)


def prepare_worker() -> None:
    """Ignore signals, which the parent handles, and watch the parent in a thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    """Wait for the parent process to end, then end this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
