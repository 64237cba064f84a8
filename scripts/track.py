#!/usr/bin/env python3
"""Record tables and figures at Weights & Biases: the same as `shapebias track`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("track")
