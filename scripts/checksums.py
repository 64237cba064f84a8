#!/usr/bin/env python3
"""List checksums of files: the same as `shapebias checksums`."""

from shapebias.cli import run
from shapebias.commands.checksums import main

if __name__ == "__main__":
    run(main)
