#!/usr/bin/env python3
"""Encode styles once, for many images: the same as `shapebias encode-styles`."""

from shapebias.start import run_command

if __name__ == "__main__":
    run_command("encode_styles")
