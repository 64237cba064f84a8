#!/usr/bin/env python3
"""Download the published weights of a network: the same as `shapebias download-pretrained`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("download_pretrained")
