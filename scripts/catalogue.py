#!/usr/bin/env python3
"""List and show the images of a set: the same as `shapebias catalogue`."""

from shapebias.cli import run
from shapebias.commands.catalogue import main

if __name__ == "__main__":
    run(main)
