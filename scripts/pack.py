#!/usr/bin/env python3
"""Pack one shard of a listing: draw or decode its images, resize them, write them with their labels into a tar.

A broken image is set aside with its reason and replaced by the next in the draw of its class.
"""

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from shapebias.archives import ImageStore
from shapebias.cli import Parser, fraction, progress, run, side, whole, write_rejections
from shapebias.draws import generator
from shapebias.files import require_space
from shapebias.images import ENCODINGS, MAX_MEGAPIXELS, encode, encoded_bytes
from shapebias.listings import Listed, read_listing, read_pool
from shapebias.packing import Encoded, FromFiles, packed
from shapebias.pictures import Rejections
from shapebias.shards import write_shard
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import APPEARANCES, draw

log = logging.getLogger(__name__)

# Kinds of sets, by where their images come from.
DRAWN = ("synthetic", "paintings")
FILES = ("imagefolder", "ilsvrc", "isic2017", "folder")


@dataclass(frozen=True)
class Drawn:
    """Draws a listed image by code: a photograph of its class, or a painting."""

    kind: str
    appearance: str
    size: int
    seed: int
    encoding: str

    def __call__(self, image: Listed) -> Encoded:
        if self.kind == "paintings":
            return encode(
                Image.fromarray(painting(generator(self.seed, "painting", image.id), self.size)), self.encoding
            )
        drawn = draw(image.class_name, image.id, size=self.size, seed=self.seed, appearance=self.appearance)
        return encode(drawn, self.encoding)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listing", type=Path, required=True, help="what scripts/scan.py wrote")
    parser.add_argument("--split", required=True, help="which split")
    parser.add_argument("--shard", type=int, required=True, help="which shard of it, from 0")
    parser.add_argument("--kind", required=True, choices=[*DRAWN, *FILES])
    parser.add_argument("--folder", type=Path, help="where the files are; of kind ilsvrc also its tar file")
    parser.add_argument(
        "--appearance", choices=APPEARANCES, default="photograph", help="what is drawn (kind synthetic)"
    )
    parser.add_argument("--size", type=side, required=True, help="the shorter side of a packed image, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of what is drawn (default: %(default)s)")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-megapixels", type=float, default=MAX_MEGAPIXELS, help="larger images are set aside")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    parser.add_argument(
        "--workers", type=whole, default=0, help="processes that decode and encode (default: in this one)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the shard; X.rejected.csv is written beside X.tar")
    args = parser.parse_args(argv)
    if args.folder is None and args.kind in FILES:
        parser.error(f"--kind {args.kind} needs --folder")
    return args


def maker(args: argparse.Namespace) -> Callable[[Listed], Encoded]:
    if args.folder is None:
        return Drawn(args.kind, args.appearance, args.size, args.seed, args.format)
    return FromFiles(ImageStore(args.folder), args.size, args.format, args.max_megapixels)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rows, rejections = read_listing(args.listing, args.split, args.shard), Rejections(args.max_rejected)
    require_space(args.out.parent, len(rows) * encoded_bytes(args.size, args.format), args.out.name)
    made = packed(rows, maker(args), partial(read_pool, args.listing), rejections, args.workers)
    count = write_shard(args.out, progress(made, total=len(rows), unit="image", what=args.out.name))
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))


if __name__ == "__main__":
    run(main)
