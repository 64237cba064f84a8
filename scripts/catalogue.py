#!/usr/bin/env python3
"""List and show the images of a set: the same as `shapebias catalogue`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("catalogue")
