#!/usr/bin/env python3
"""Pack one shard of a listing: draw or decode its images, resize them, write them with their labels into a tar."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

from shapebias.cli import Parser, fraction, progress, run, side, write_rejections
from shapebias.draws import generator
from shapebias.errors import BadImageError, UserError
from shapebias.images import ENCODINGS, MAX_MEGAPIXELS, encode, load_rgb, resize_shorter
from shapebias.pictures import Rejections
from shapebias.shards import Label, label, write_shard
from shapebias.sources import read_listing
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import APPEARANCES, draw

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--listing", type=Path, required=True, help="what scripts/scan.py wrote")
    parser.add_argument("--split", required=True, help="which split")
    parser.add_argument("--shard", type=int, required=True, help="which shard of it, from 0")
    parser.add_argument("--kind", required=True, choices=["synthetic", "imagefolder", "paintings", "folder"])
    parser.add_argument("--folder", type=Path, help="where the files are (kinds imagefolder and folder)")
    parser.add_argument(
        "--appearance", choices=APPEARANCES, default="photograph", help="what is drawn (kind synthetic)"
    )
    parser.add_argument("--size", type=side, required=True, help="the shorter side of a packed image, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn (default: %(default)s)")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-megapixels", type=float, default=MAX_MEGAPIXELS, help="larger images are set aside")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    parser.add_argument("--out", type=Path, required=True, help="the shard; X.rejected.csv is written beside X.tar")
    return parser.parse_args(argv)


def make_image(row: pd.Series, args: argparse.Namespace) -> Image.Image:
    if args.kind == "synthetic":
        return draw(row["class"], row["id"], size=args.size, seed=args.seed, appearance=args.appearance)
    if args.kind == "paintings":
        return Image.fromarray(painting(generator(args.seed, "painting", row["id"]), args.size))
    try:
        image = load_rgb(args.folder / row["file"], args.max_megapixels)
    except FileNotFoundError:
        raise UserError(
            f"{args.folder / row['file']}: gone since {args.listing} was made; remove that and run again"
        ) from None
    return resize_shorter(image, args.size)


def make_label(row: pd.Series) -> Label:
    name, category = row["class"] or None, row["category"] or None
    return label(
        row["id"],
        class_name=name,
        shape=category,
        texture=category,
        texture_class=name,
        content=row["file"] or row["id"],
    )


def samples(rows: pd.DataFrame, args: argparse.Namespace, rejections: Rejections) -> Iterator[tuple[Label, str, bytes]]:
    for _, row in progress(rows.iterrows(), total=len(rows), unit="image", what=args.out.name):
        try:
            image = make_image(row, args)
        except BadImageError as error:
            rejections.add(row["file"], error)
            continue
        yield make_label(row), *encode(image, args.format)
    # Inside the generator: a shard with too many rejections is never moved into place.
    rejections.check(len(rows))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rejections = Rejections(args.max_rejected)
    count = write_shard(args.out, samples(read_listing(args.listing, args.split, args.shard), args, rejections))
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))


if __name__ == "__main__":
    run(main)
