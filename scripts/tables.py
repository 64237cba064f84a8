#!/usr/bin/env python3
"""Count all tables, from predictions and decisions: the same as `shapebias tables`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("tables")
