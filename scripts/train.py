#!/usr/bin/env python3
"""Train one network: the same as `shapebias train`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("train")
