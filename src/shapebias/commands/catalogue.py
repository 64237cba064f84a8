"""Summarize a set of images: a table of all images, a table of rejected images, and a contact sheet.

--content and --styles are the shards that a stylized set was made from. With them, the sheet shows each image beside
its content and style.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from shapebias.cli import Parser, count_map, positive_int
from shapebias.csv_tables import read_result_table
from shapebias.files import atomic_write
from shapebias.images.sample_sheets import sample_sheet
from shapebias.images.shards import Shard
from shapebias.seals import CHECKSUM_LIST, write_checksum_list

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
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the set's folder, with <split>/<shard>.tar")
    parser.add_argument("--shards", type=count_map, required=True, metavar="SPLIT=N,…", help="number of shards")
    parser.add_argument("--out", type=Path, required=True, help="manifest.csv")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.csv")
    sheet = parser.add_argument_group("contact sheet")
    sheet.add_argument("--sheet", type=Path, required=True, metavar="PNG", help="the sheet")
    sheet.add_argument(
        "--sample", type=Path, nargs="+", required=True, metavar="TAR", help="shards to show on the sheet"
    )
    sheet.add_argument("--content", type=Path, nargs="+", metavar="TAR", help="shards of the stylized images' contents")
    sheet.add_argument("--styles", type=Path, nargs="+", metavar="TAR", help="shards of the stylized images' styles")
    sheet.add_argument("--title", required=True, metavar="T", help="title of the sheet")
    sheet.add_argument("--count", type=positive_int, default=32, metavar="N", help="number of images (%(default)s)")
    sheet.add_argument("--columns", type=positive_int, default=8, metavar="C", help="images in a row (%(default)s)")
    sheet.add_argument("--seed", type=int, default=0, metavar="S", help="seed for choosing images (%(default)s)")
    args = parser.parse_args(argv)
    if bool(args.content) != bool(args.styles):
        parser.error("--content and --styles: give both, or neither")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rows, rejected = [], []
    for split, count in args.shards.items():
        for shard in range(int(count)):
            path = args.folder / split / f"{shard}.tar"
            rows += [{"split": split, "shard": shard, **sample.label} for sample in Shard(path)]
            reasons = read_result_table(path.with_suffix(".rejected.csv"), ["file", "reason"])
            rejected.append(reasons.assign(split=split))
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values(["split", "id"])
    with atomic_write(args.out) as draft:
        table.to_csv(draft, index=False, lineterminator="\n")
    # Several shards may reject the same broken style or reserve.
    reasons = pd.concat(rejected)[["split", "file", "reason"]].drop_duplicates().sort_values(["split", "file"])
    with atomic_write(args.rejected) as draft:
        reasons.to_csv(draft, index=False, lineterminator="\n")
    write_checksum_list(args.rejected.parent / CHECKSUM_LIST, [args.rejected])
    sheet = sample_sheet(
        args.sample,
        title=args.title,
        count=args.count,
        columns=args.columns,
        seed=args.seed,
        content=args.content or (),
        styles=args.styles or (),
    )
    with atomic_write(args.sheet) as draft:
        sheet.save(draft, format="PNG")
    log.info("%s: %d images, %d rejected", args.folder, len(table), len(reasons))
