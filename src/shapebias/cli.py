"""Command-line helpers shared by all scripts: argument types, clean exits, logging, progress."""

import argparse
import json
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

from shapebias.errors import BadImageError, UserError
from shapebias.extras import explain_missing_packages

log = logging.getLogger(__name__)

T = TypeVar("T")
LOG_SECONDS = 30.0


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line and exits with status 1, as for any bad input."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"error: {message} ({self.prog} --help lists all options)")


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`; bad input, a full disk or Ctrl-C print one line on stderr instead of a traceback.

    Standard output is complete when this returns.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    if sys.getfilesystemencoding() != "utf-8":  # names of files, and so ids of images, would have other letters
        sys.exit(
            f"error: the locale of this terminal writes file names as {sys.getfilesystemencoding()}, not as UTF-8; "
            f"set PYTHONUTF8=1 and repeat the command"
        )
    # SIGTERM (scancel, Snakemake stopping its jobs) unwinds like Ctrl-C, so that half-written files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with explain_missing_packages():
            main()
        flush_output()
    except (UserError, BadImageError) as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # the reader of the output has exited
        os._exit(1)
    except OSError as error:
        sys.exit(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except (MemoryError, BrokenProcessPool):
        sys.exit("error: out of memory; give the job more, or fewer workers")
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):  # the kernel killed a worker process
            sys.exit(f"error: a worker process was killed, usually for lack of memory; give the job more ({error})")
        if type(error).__name__ != "OutOfMemoryError":  # torch's class, compared by name to avoid importing torch
            raise
        sys.exit("error: the GPU is out of memory; lower the batch size, or take smaller images or a larger GPU")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def flush_output() -> None:
    """Write what standard output still holds, if it is open; raises OSError, for example for a full disk."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and end with status 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        error.filename = error.filename or "standard output"
        raise


def progress(items: Iterable[T], *, total: int | None = None, unit: str, label: str) -> Iterable[T]:
    """Wrap items in a progress bar on a terminal, and in a line every half minute where the output is a log file."""
    if sys.stderr and sys.stderr.isatty():
        return tqdm(items, total=total, unit=unit, desc=label, dynamic_ncols=True)
    return log_progress(items, f" of {total:,}" if total else "", unit, label)


def log_progress(items: Iterable[T], total: str, unit: str, label: str) -> Iterator[T]:
    """Yield items, and log their number every half minute; total: its end in words. unit: the items in the plural."""
    reported = time.monotonic()
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - reported >= LOG_SECONDS:
            log.info("%s: %s%s %s", label, f"{number:,}", total, unit)
            reported = time.monotonic()


def count_map(text: str) -> dict[str, int | str]:
    """Parse `train=60,val=all` (an argparse type)."""
    counts: dict[str, int | str] = {}
    for pair in text.split(","):
        name, _, count = pair.partition("=")
        if not name or not (count.isdigit() or count == "all"):
            raise argparse.ArgumentTypeError(f"{pair!r} is not NAME=NUMBER or NAME=all")
        counts[name] = int(count) if count.isdigit() else count
    return counts


def positive_int(text: str) -> int:
    """Parse an integer above 0 (an argparse type)."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def non_negative_int(text: str) -> int:
    """Parse an integer of at least 0 (an argparse type)."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def non_negative_float(text: str) -> float:
    """Parse a number of at least 0 (an argparse type)."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def positive_float(text: str) -> float:
    """Parse a number above 0 (an argparse type)."""
    value = non_negative_float(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def image_size(text: str) -> int:
    """Parse the side of an image in pixels (an argparse type)."""
    value = int(text)
    if not 16 <= value <= 2048:
        raise argparse.ArgumentTypeError(f"{text} is not from 16 to 2048 pixels")
    return value


def proportion(text: str) -> float:
    """Parse a number from 0 to 1 (an argparse type)."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def positive_proportion(text: str) -> float:
    """Parse a number above 0 and at most 1 (an argparse type)."""
    value = proportion(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def named_text(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE` (an argparse type)."""
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def named_path(text: str) -> tuple[str, Path]:
    """Parse `NAME=PATH` (an argparse type)."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object (an argparse type)."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value
