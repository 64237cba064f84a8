#!/usr/bin/env python3
"""Encode styles once, for many images: the same as `shapebias encode-styles`."""

from shapebias.cli import run
from shapebias.commands.encode_styles import main

if __name__ == "__main__":
    run(main)
