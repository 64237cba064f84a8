#!/usr/bin/env python3
"""Show the images that were rejected: the same as `shapebias rejected-sheet`."""

from shapebias.start import run_command

if __name__ == "__main__":
    run_command("rejected_sheet")
