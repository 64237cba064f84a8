#!/usr/bin/env python3
"""Train one network: the same as `shapebias train`."""

from shapebias.cli import run
from shapebias.commands.train import main

if __name__ == "__main__":
    run(main)
