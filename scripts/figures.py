#!/usr/bin/env python3
"""Draw all figures from the tables: the same as `shapebias figures`."""

from shapebias.cli import run
from shapebias.commands.figures import main

if __name__ == "__main__":
    run(main)
