#!/usr/bin/env python3
"""Train one network on a SLURM cluster, without the workflow: the same as `shapebias submit`."""

from shapebias.cli import run
from shapebias.commands.submit import main

if __name__ == "__main__":
    run(main)
