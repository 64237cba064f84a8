#!/usr/bin/env python3
"""Stylize images: the same as `shapebias stylize`."""

from shapebias.cli import run
from shapebias.commands.stylize import main

if __name__ == "__main__":
    run(main)
