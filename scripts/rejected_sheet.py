#!/usr/bin/env python3
"""Show the images that were rejected: the same as `shapebias rejected-sheet`."""

from shapebias.cli import run
from shapebias.commands.rejected_sheet import main

if __name__ == "__main__":
    run(main)
