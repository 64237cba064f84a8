#!/usr/bin/env python3
"""Download the published weights of a network: the same as `shapebias download-pretrained`."""

from shapebias.cli import run
from shapebias.commands.download_pretrained import main

if __name__ == "__main__":
    run(main)
