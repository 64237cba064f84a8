"""Stylize images: read content and style images, write one shard of stylized images labelled with both cues.

The style of an image depends only on (seed, image id). With --other-category the style is a photograph of another
category (a cue conflict); otherwise it is any of the styles (as in Stylized-ImageNet).
"""

import argparse
import logging
from pathlib import Path

from PIL import Image

from shapebias.cli import Parser, image_size, progress, proportion
from shapebias.commands.stylizer_options import (
    add_style_flags,
    add_stylizer_flags,
    style_view_from_args,
    stylizer_from_args,
)
from shapebias.files import check_folder, require_space
from shapebias.images.codec import ENCODINGS, encode, expected_encoded_bytes
from shapebias.images.pictures import decode_pictures, open_pictures
from shapebias.images.rejections import Rejections, write_rejections
from shapebias.images.shards import Label, check_id, write_shard
from shapebias.parallel import ordered_map
from shapebias.stylize.pipeline import ContentGeometry, StylePictures, StyleSampler, StyleSet, stylize_images
from shapebias.stylize.style_vectors import StyleVectors
from shapebias.stylize.stylizers import Stylizer

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
        help="instead, style vectors from scripts/encode_styles.py",
    )
    inputs.add_argument("--other-category", action="store_true", help="choose the style from another category")
    sizes = parser.add_argument_group("sizes, in pixels")
    sizes.add_argument(
        "--content-size", "--size", type=image_size, required=True, help="scale contents to this shorter side"
    )
    sizes.add_argument("--crop", type=image_size, help="then crop the central square of this side (default: no crop)")
    add_style_flags(parser.add_argument_group("part of each style"))
    add_stylizer_flags(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed for choosing styles (default: %(default)s)")
    parser.add_argument(
        "--strength", "--alpha", type=proportion, default=1.0, help="0 keeps the content's style, 1 replaces it fully"
    )
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of rejected images")
    parser.add_argument(
        "--out", type=Path, required=True, help="the shard X.tar; rejected images are listed in X.rejected.csv"
    )
    args = parser.parse_args(argv)
    if args.crop and args.crop > args.content_size:
        parser.error(f"--crop {args.crop}: larger than --content-size {args.content_size}")
    for name in ("style_size", "style_crop", "style_masks"):
        if args.style_vectors and getattr(args, name) != parser.get_default(name):
            flag = name.replace("_", "-")
            parser.error(f"--{flag}: the styles are encoded already; give it to scripts/encode_styles.py")
    return args


def open_styles(args: argparse.Namespace, stylizer: Stylizer, rejections: Rejections) -> StyleSet:
    if args.style_vectors:
        return StyleVectors(args.style_vectors, stylizer.fingerprint)
    return StylePictures(open_pictures(args.styles), stylizer, rejections, style_view_from_args(args))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    check_folder(args.out.parent)
    # The next style replaces a broken one, so any number of styles may be broken.
    rejections, broken_styles = Rejections(args.max_rejected), Rejections(1.0)
    contents = open_pictures(args.content)
    for picture in contents:
        check_id(picture.id, picture.origin)  # before the first image is stylized
    stylizer = stylizer_from_args(args)
    sampler = StyleSampler(open_styles(args, stylizer, broken_styles), args.seed, args.other_category)
    require_space(
        args.out.parent,
        len(contents) * expected_encoded_bytes(args.crop or args.content_size, args.format),
        args.out.name,
    )
    bar = progress(
        decode_pictures(contents, rejections, args.workers), total=len(contents), unit="images", label=args.out.name
    )
    results = stylize_images(
        bar, stylizer, sampler, ContentGeometry(args.content_size, args.crop), strength=args.strength
    )

    def encode_sample(item: tuple[Label, Image.Image]) -> tuple[Label, str, bytes]:
        return item[0], *encode(item[1], args.format)

    count = write_shard(args.out, ordered_map(encode_sample, results, args.workers))
    rejections.rows += broken_styles.rows
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))
