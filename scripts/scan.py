#!/usr/bin/env python3
"""List the images of a source or of a set of styles: which there are, in which split and shard. Writes a CSV."""

import argparse
import logging
from pathlib import Path

from shapebias import sources
from shapebias.cli import count_map, run
from shapebias.errors import UserError
from shapebias.files import replacing

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", required=True, choices=["synthetic", "imagefolder", "paintings", "folder"])
    parser.add_argument("--folder", type=Path, help="where the files are (kinds imagefolder and folder)")
    parser.add_argument("--categories", type=Path, help="CSV class,category for classes that are not ILSVRC's")
    parser.add_argument("--per-class", type=count_map, metavar="SPLIT=N,…", help="images of each class, or `all`")
    parser.add_argument("--count", type=int, help="number of paintings to draw (kind paintings)")
    parser.add_argument("--shards", type=count_map, required=True, metavar="SPLIT=N,…", help="number of shards")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the listing: id,file,class,category,split,shard")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.kind in ("imagefolder", "folder") and args.folder is None:
        raise UserError(f"--kind {args.kind} needs --folder")
    if args.kind == "synthetic":
        from shapebias.synthetic.scene import CLASSES

        listing = sources.list_synthetic(CLASSES, args.per_class, args.shards, args.seed)
    elif args.kind == "imagefolder":
        own = sources.read_categories(args.categories) if args.categories else None
        listing = sources.list_imagefolder(args.folder, args.per_class, args.shards, args.seed, own)
    elif args.kind == "paintings":
        listing = sources.list_styles(args.count, args.shards[sources.ALL], args.seed)
    else:
        listing = sources.list_style_folder(args.folder, args.shards[sources.ALL], args.seed)
    with replacing(args.out) as draft:
        listing.to_csv(draft, index=False, lineterminator="\n")
    for split, rows in listing.groupby("split"):
        log.info(
            "%s: %d images of %d classes in %d shards",
            split,
            len(rows),
            rows["class"].nunique(),
            rows["shard"].nunique(),
        )


if __name__ == "__main__":
    run(main)
