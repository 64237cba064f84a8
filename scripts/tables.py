#!/usr/bin/env python3
"""Count all tables, from predictions and decisions: the same as `shapebias tables`."""

from shapebias.cli import run
from shapebias.commands.tables import main

if __name__ == "__main__":
    run(main)
