#!/usr/bin/env python3
"""Train one network on a SLURM cluster, without the workflow: the same as `shapebias submit`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("submit")
