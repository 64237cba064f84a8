"""Threads or processes that work ahead, results in order."""

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

AHEAD = 4  # items a worker has in hand or finished: enough to keep it busy, few enough for memory to stay flat


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    pool: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[R]:
    """`map`, by some workers that work ahead; 0 workers is plain `map`. An error comes where its item stands."""
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
            # Whoever stops early (an error, Ctrl-C) waits for the work in hand only.
            executor.shutdown(cancel_futures=True)


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Processes that end with the one that started them, however it ends, and leave signals to it."""
    return ProcessPoolExecutor(workers, initializer=prepare_worker)


def prepare_worker() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
