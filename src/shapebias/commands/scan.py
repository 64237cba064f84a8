"""List the images of a source or of a set of styles, with the split and shard of each. Writes Parquet."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from shapebias.cli import Parser, count_map
from shapebias.errors import UserError
from shapebias.images import image_folder
from shapebias.images.ilsvrc import CLASS_CHOICES as ILSVRC_CLASSES
from shapebias.images.ilsvrc import list_ilsvrc
from shapebias.images.isic2017 import CHALLENGE_PARTS, list_isic
from shapebias.images.listing import ALL, RESERVE, write_listing
from shapebias.synthetic.scene import CLASSES

log = logging.getLogger(__name__)

NEEDED = {
    "synthetic": ["per_class"],
    "imagefolder": ["folder", "per_class"],
    "ilsvrc": ["folder", "per_class"],
    "isic2017": ["folder"],
    "paintings": ["count"],
    "folder": ["folder"],
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--kind", required=True, choices=list(NEEDED))
    parser.add_argument("--folder", type=Path, help="folder of the files; for kind ilsvrc also its tar file")
    parser.add_argument("--categories", type=Path, help="CSV class,category for classes outside ILSVRC")
    parser.add_argument(
        "--classes",
        choices=ILSVRC_CLASSES,
        default="categories",
        help="for kind ilsvrc: the 207 classes of the 16 categories, only those present in the folder, or all 1,000 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--per-class", type=count_map, metavar="SPLIT=N,…", help="number of images of each class, or `all`"
    )
    parser.add_argument("--count", type=int, help="number of paintings to draw (kind paintings)")
    parser.add_argument("--shards", type=count_map, required=True, metavar="SPLIT=N,…", help="number of shards")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the listing, for scripts/pack.py")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> None:
    """Raise UserError if the kind's required options or a split's number of shards are missing."""
    for option in NEEDED[args.kind]:
        if getattr(args, option) is None:
            raise UserError(f"--kind {args.kind} needs --{option.replace('_', '-')}")
    for split in CHALLENGE_PARTS if args.kind == "isic2017" else args.per_class or [ALL]:
        if split not in args.shards:
            raise UserError(f"--shards names no number for split {split!r}")
    if args.kind == "synthetic" and ALL in args.per_class.values():
        raise UserError("--per-class: 'all' is not a number of images to draw")


def make_listing(args: argparse.Namespace) -> pd.DataFrame:
    if args.kind == "synthetic":
        return image_folder.list_synthetic(CLASSES, args.per_class, args.shards, args.seed)
    if args.kind == "imagefolder":
        categories = image_folder.read_categories(args.categories) if args.categories else None
        return image_folder.list_imagefolder(args.folder, args.per_class, args.shards, args.seed, categories)
    if args.kind == "ilsvrc":
        return list_ilsvrc(args.folder, args.classes, args.per_class, args.shards, args.seed)
    if args.kind == "isic2017":
        return list_isic(args.folder, args.shards, args.seed)
    if args.kind == "paintings":
        return image_folder.list_paintings(args.count, args.shards[ALL], args.seed)
    return image_folder.list_style_folder(args.folder, args.shards[ALL], args.seed)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    check(args)
    listing = make_listing(args)
    write_listing(args.out, listing)
    for split, rows in listing.groupby("split"):
        classes, shards = rows["class_name"].nunique(), rows["shard"].nunique()
        if split == RESERVE:
            log.info("%d reserve images of %d classes to replace broken ones", len(rows), classes)
        else:
            log.info("%s: %d images of %d classes in %d shards", split, len(rows), classes, shards)
