#!/usr/bin/env python3
"""Gather a set's shards into two tables: where each image is, and which were set aside and why."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from shapebias.cli import Parser, count_map, run
from shapebias.files import replacing
from shapebias.shards import Shard

log = logging.getLogger(__name__)

COLUMNS = [
    "split",
    "shard",
    "id",
    "class",
    "shape",
    "texture",
    "texture_class",
    "content",
    "replaces",
    "style",
    "style_id",
]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the set's folder, with <split>/<shard>.tar")
    parser.add_argument("--shards", type=count_map, required=True, metavar="SPLIT=N,…", help="number of shards")
    parser.add_argument("--out", type=Path, required=True, help="manifest.csv")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.csv")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rows, rejected = [], []
    for split, count in args.shards.items():
        for shard in range(int(count)):
            path = args.folder / split / f"{shard}.tar"
            rows += [{"split": split, "shard": shard, **sample.label} for sample in Shard(path)]
            rejected.append(pd.read_csv(path.with_suffix(".rejected.csv"), dtype=str).assign(split=split))
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values(["split", "id"])
    with replacing(args.out) as draft:
        table.to_csv(draft, index=False, lineterminator="\n")
    # A broken style, or a broken reserve, is met by every shard that draws it.
    reasons = pd.concat(rejected)[["split", "file", "reason"]].drop_duplicates().sort_values(["split", "file"])
    with replacing(args.rejected) as draft:
        reasons.to_csv(draft, index=False, lineterminator="\n")
    log.info("%s: %d images, %d rejected", args.folder, len(table), len(reasons))


if __name__ == "__main__":
    run(main)
