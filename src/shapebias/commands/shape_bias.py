"""Compute shape bias from predictions (parquet) or decisions (model-vs-human CSV): one row per observer."""

import argparse
from pathlib import Path

import pandas as pd

from shapebias.cli import Parser
from shapebias.evaluation.decisions import read_observers
from shapebias.files import atomic_write
from shapebias.metrics.panel import pair_trials, parse_pools
from shapebias.metrics.shape_bias import bias_rows, count_cues, describe_bias


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="predictions .parquet or decisions .csv")
    parser.add_argument(
        "--pool",
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="add a row for several observers pooled, e.g. people='subject-*' (repeatable)",
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    panel = pair_trials(read_observers(args.files))
    groups = {name: [name] for name in panel.observers} | parse_pools(args.pool, panel.observers)
    rows = bias_rows(count_cues(panel, groups))
    table = pd.DataFrame([{"observer": name} | row for name, row in zip(groups, rows, strict=True)])
    with atomic_write(args.out) as draft:
        table.to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")
    for row in table.to_dict("records"):
        print(describe_bias(row["observer"], row))
