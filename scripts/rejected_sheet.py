#!/usr/bin/env python3
"""Show the images that were rejected: the same as `shapebias rejected-sheet`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("rejected_sheet")
