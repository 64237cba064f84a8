"""Start a command. It imports little, so that Ctrl-C ends a command with one word from its first moments on."""

import atexit
import gc
import importlib
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn


def run_script(name: str) -> None:
    """Call `run_command` in a process of its own, and let the process end quickly.

    Without this, Python takes all modules apart at the end and frees torch's million objects one by one: 1.6 s of
    processor time in each job. Everything else still happens: threads are waited for and exit handlers run.
    """
    successes: list[str] = []
    atexit.register(end_process, successes)  # the first handler to be registered is the last one to run
    run_command(name)
    successes.append(name)


def end_process(successes: list[str]) -> None:
    """End the process with status 0 if its command has succeeded. Another status is left to Python."""
    if successes:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it was closed
            stream.flush()
        os._exit(0)


def run_command(name: str) -> None:
    """Import a module of shapebias.commands and run its `main`, as `cli.run` does.

    The import of torch takes seconds, and Ctrl-C may come meanwhile.
    """
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if default:  # and not ignored, as in a background job of a shell
        signal.signal(signal.SIGINT, end_import)
    from shapebias import cli

    def main() -> None:
        with import_quickly():
            command = importlib.import_module(f"shapebias.commands.{name}")
        if default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command.main()

    cli.run(main)


@contextmanager
def import_quickly() -> Generator[None]:
    """Spare an import of torch and timm a quarter of its time.

    The garbage collector would look through all new objects again and again. timm would import W&B if it is installed,
    which only `tracking.process` uses, in a process of its own.
    """
    collects, hides = gc.isenabled(), "wandb" not in sys.modules
    gc.disable()
    if hides:
        sys.modules["wandb"] = None  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        if hides:
            del sys.modules["wandb"]
        if collects:
            gc.enable()


def end_import(*_: object) -> NoReturn:
    """End the process at once: compiled modules turn an exception during their import into another one."""
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(1)
