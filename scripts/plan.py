#!/usr/bin/env python3
"""Say what a study takes, before anything runs (in a clone of the workflow): the same as `shapebias plan`."""

from shapebias.cli import run
from shapebias.commands.plan import main

if __name__ == "__main__":
    run(main)
