#!/usr/bin/env python3
"""Train the decoder of an AdaIN stylizer: the same as `shapebias train-stylizer`."""

from shapebias.cli import run
from shapebias.commands.train_stylizer import main

if __name__ == "__main__":
    run(main)
