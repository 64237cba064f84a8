#!/usr/bin/env python3
"""Train a finished run again: the same as `shapebias reproduce`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("reproduce")
