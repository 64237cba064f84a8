#!/usr/bin/env python3
"""List the images of a folder: the same as `shapebias scan`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("scan")
