"""What every script shares: clean exits, logging, progress."""

import argparse
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NoReturn, TypeVar

from tqdm import tqdm

from shapebias.errors import BadImageError, UserError

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes end as all bad input does: one line, exit status 1."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"error: {message} ({self.prog} --help lists all options)")


def run(main: Callable[[], None]) -> None:
    """Run a script's `main`: bad input, a full disk or Ctrl-C end in one line on stderr, not in a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    # SIGTERM (scancel, Snakemake stopping its jobs) unwinds like Ctrl-C, so that half-written files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except (UserError, BadImageError) as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # whoever read the output has left
        os._exit(1)
    except OSError as error:
        sys.exit(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except (MemoryError, BrokenProcessPool):
        sys.exit("error: out of memory; give the job more, or fewer workers")
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):  # of which the kernel ended one
            sys.exit(f"error: a worker process ended early, out of memory as a rule; give the job more ({error})")
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not imported for it
            raise
        sys.exit("error: the GPU is out of memory; take smaller images or a larger GPU")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def progress(items: Iterable[T], *, total: int | None = None, unit: str, what: str) -> Iterable[T]:
    """A progress bar on a terminal; nothing where the output is a log file."""
    return tqdm(items, total=total, unit=unit, desc=what, disable=None, dynamic_ncols=True)


def count_map(text: str) -> dict[str, int | str]:
    """Parse `train=60,val=all` (an argparse type)."""
    counts: dict[str, int | str] = {}
    for pair in text.split(","):
        name, _, count = pair.partition("=")
        if not name or not (count.isdigit() or count == "all"):
            raise argparse.ArgumentTypeError(f"{pair!r} is not NAME=NUMBER or NAME=all")
        counts[name] = int(count) if count.isdigit() else count
    return counts


def positive(text: str) -> int:
    """Parse a whole number above 0 (an argparse type)."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def whole(text: str) -> int:
    """Parse a whole number of at least 0 (an argparse type)."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def at_least_zero(text: str) -> float:
    """Parse a number of at least 0 (an argparse type)."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def above_zero(text: str) -> float:
    """Parse a number above 0 (an argparse type)."""
    value = at_least_zero(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def side(text: str) -> int:
    """Parse the side of an image in pixels (an argparse type)."""
    value = int(text)
    if not 16 <= value <= 2048:
        raise argparse.ArgumentTypeError(f"{text} is not from 16 to 2048 pixels")
    return value


def fraction(text: str) -> float:
    """Parse a number from 0 to 1 (an argparse type)."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value


def named_path(text: str) -> tuple[str, Path]:
    """Parse `NAME=PATH` (an argparse type)."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)
