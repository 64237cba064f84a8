#!/usr/bin/env python3
"""Encode styles once, for many images: the same as `shapebias encode-styles`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("encode_styles")
