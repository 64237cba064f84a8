#!/usr/bin/env python3
"""Compute shape bias: predictions (parquet) or decisions (model-vs-human CSV) in, one row an observer out."""

import argparse
import fnmatch
import logging
from pathlib import Path

import pandas as pd

from shapebias.bias import bias
from shapebias.cli import Parser, run
from shapebias.decisions import read_observers
from shapebias.errors import UserError
from shapebias.files import replacing

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="predictions .parquet or decisions .csv")
    parser.add_argument(
        "--pool",
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="add a row for several observers taken together, e.g. people='subject-*' (repeatable)",
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    trials = read_observers(args.files)
    groups = dict(list(trials.groupby("observer", sort=True)))
    for pool in args.pool:
        name, _, pattern = pool.partition("=")
        members = [observer for observer in groups if fnmatch.fnmatch(str(observer), pattern)]
        if not members:
            raise UserError(f"--pool {pool}: no observer matches; there are {', '.join(map(str, groups))}")
        groups[name] = trials[trials["observer"].isin(members)]
    table = pd.DataFrame([{"observer": name, **bias(rows)} for name, rows in groups.items()])
    with replacing(args.out) as draft:
        table.to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")
    log.info("%s: %d observers", args.out, len(table))


if __name__ == "__main__":
    run(main)
