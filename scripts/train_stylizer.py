#!/usr/bin/env python3
"""Train the decoder of an AdaIN stylizer: the same as `shapebias train-stylizer`."""

from shapebias.start import run_script

if __name__ == "__main__":
    run_script("train_stylizer")
