#!/usr/bin/env python3
"""Draw all figures from the tables: the same as `shapebias figures`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("figures")
