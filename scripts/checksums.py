#!/usr/bin/env python3
"""List checksums of files: the same as `shapebias checksums`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("checksums")
