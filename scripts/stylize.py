#!/usr/bin/env python3
"""Stylize images: content and styles in, one shard of stylized images with the labels of both cues out.

Which style goes with which image is a function of (seed, image id) alone. With --other-category a style is
a photograph of another category (a cue conflict), otherwise any of the styles (Stylized-ImageNet's way).
"""

import argparse
import logging
from pathlib import Path

from PIL import Image

from shapebias.cli import Parser, image_size, progress, proportion, run
from shapebias.files import require_space
from shapebias.images.codec import ENCODINGS, encode, expected_encoded_bytes
from shapebias.images.pictures import decode_pictures, open_pictures
from shapebias.images.rejections import Rejections, write_rejections
from shapebias.images.shards import Label, write_shard
from shapebias.parallel import ordered_map
from shapebias.stylize.pipeline import ContentGeometry, StylePictures, StyleSampler, StyleSet, stylize_images
from shapebias.stylize.style_vectors import StyleVectors
from shapebias.stylize.stylizers import Stylizer, add_stylizer_flags, stylizer_from_args

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    inputs = parser.add_argument_group("images")
    inputs.add_argument("--content", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="images to stylize")
    origin = inputs.add_mutually_exclusive_group(required=True)
    origin.add_argument("--styles", type=Path, nargs="+", metavar="DIR|TAR", help="images of the styles")
    origin.add_argument(
        "--style-vectors",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="instead, what scripts/encode_styles.py wrote of them",
    )
    inputs.add_argument("--other-category", action="store_true", help="draw the style from another category")
    sizes = parser.add_argument_group("sizes, in pixels")
    sizes.add_argument(
        "--content-size", "--size", type=image_size, required=True, help="the shorter side that a content is scaled to"
    )
    sizes.add_argument("--crop", type=image_size, help="then its central square of this side; all of it by default")
    sizes.add_argument("--style-size", type=image_size, help="the shorter side that a style is scaled to; as it is")
    add_stylizer_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw of styles (default: %(default)s)")
    parser.add_argument(
        "--strength", "--alpha", type=proportion, default=1.0, help="0 keeps the content's own style, 1 none of it"
    )
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of images set aside")
    parser.add_argument("--out", type=Path, required=True, help="the shard; X.rejected.csv is written beside X.tar")
    args = parser.parse_args(argv)
    if args.crop and args.crop > args.content_size:
        parser.error(f"--crop {args.crop}: larger than --content-size {args.content_size}")
    if args.style_vectors and args.style_size:
        parser.error("--style-size: the styles are encoded already; give it to scripts/encode_styles.py")
    return args


def open_styles(args: argparse.Namespace, stylizer: Stylizer, rejections: Rejections) -> StyleSet:
    if args.style_vectors:
        return StyleVectors(args.style_vectors, stylizer.fingerprint)
    return StylePictures(open_pictures(args.styles), stylizer, rejections, args.style_size)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    # Broken styles are replaced by the next one drawn, so any number of them may be.
    rejections, broken_styles = Rejections(args.max_rejected), Rejections(1.0)
    contents, stylizer = open_pictures(args.content), stylizer_from_args(args)
    draw = StyleSampler(open_styles(args, stylizer, broken_styles), args.seed, args.other_category)
    require_space(
        args.out.parent,
        len(contents) * expected_encoded_bytes(args.crop or args.content_size, args.format),
        args.out.name,
    )
    bar = progress(
        decode_pictures(contents, rejections, args.workers), total=len(contents), unit="image", label=args.out.name
    )
    made = stylize_images(bar, stylizer, draw, ContentGeometry(args.content_size, args.crop), strength=args.strength)

    def sample(item: tuple[Label, Image.Image]) -> tuple[Label, str, bytes]:
        return item[0], *encode(item[1], args.format)

    count = write_shard(args.out, ordered_map(sample, made, args.workers))
    rejections.rows += broken_styles.rows
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))


if __name__ == "__main__":
    run(main)
