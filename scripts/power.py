#!/usr/bin/env python3
"""How many images, people and seeds an experiment needs: the same as `shapebias power`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("power")
