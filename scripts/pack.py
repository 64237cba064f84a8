#!/usr/bin/env python3
"""Pack images into a shard: the same as `shapebias pack`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("pack")
