#!/usr/bin/env python3
"""Stylize images: the same as `shapebias stylize`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("stylize")
