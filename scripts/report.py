#!/usr/bin/env python3
"""Write the report, from a study or from a folder of predictions: the same as `shapebias report`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("report")
