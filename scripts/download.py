#!/usr/bin/env python3
"""Download files and verify them: the same as `shapebias download`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("download")
