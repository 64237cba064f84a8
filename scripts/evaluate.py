#!/usr/bin/env python3
"""Measure a network: show it stimuli and write its decisions: the same as `shapebias evaluate`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("evaluate")
