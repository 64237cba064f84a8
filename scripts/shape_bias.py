#!/usr/bin/env python3
"""Shape bias with its interval, from predictions or recorded decisions: the same as `shapebias bias`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("shape_bias")
