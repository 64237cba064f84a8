#!/usr/bin/env python3
"""Say what a study takes, before anything runs (in a clone of the workflow): the same as `shapebias plan`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("plan")
