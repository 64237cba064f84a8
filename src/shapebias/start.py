"""Start a command. It imports little, so that Ctrl-C ends a command with one word from its first moments on."""

import importlib
import os
import signal
import sys
from typing import NoReturn


def run_command(name: str) -> None:
    """Import a module of shapebias.commands and run its `main`, as `cli.run` does.

    The import of torch takes seconds, and Ctrl-C may come meanwhile.
    """
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if default:  # and not ignored, as in a background job of a shell
        signal.signal(signal.SIGINT, end_import)
    from shapebias import cli

    def main() -> None:
        command = importlib.import_module(f"shapebias.commands.{name}")
        if default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command.main()

    cli.run(main)


def end_import(*_: object) -> NoReturn:
    """End the process at once: compiled modules turn an exception during their import into another one."""
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(1)
