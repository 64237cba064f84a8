#!/usr/bin/env python3
"""Stylize images: content and styles in, one shard of stylized images with the labels of both cues out.

Which style goes with which image is a function of (seed, image id) alone. With --other-category a style is
a photograph of another category (a cue conflict), otherwise any of the styles (Stylized-ImageNet's way).
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from shapebias.cli import Parser, fraction, progress, run, side, write_rejections
from shapebias.errors import UserError
from shapebias.images import ENCODINGS, encode
from shapebias.pictures import Rejections, decoded, open_pictures
from shapebias.shards import write_shard
from shapebias.stylize import STYLIZERS, Styles, make_stylizer, stylized

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    inputs = parser.add_argument_group("images")
    inputs.add_argument("--content", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="images to stylize")
    inputs.add_argument("--styles", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="images of the styles")
    inputs.add_argument(
        "--style-vectors", type=Path, metavar="FILE", help="what scripts/encode_styles.py wrote of them"
    )
    inputs.add_argument("--other-category", action="store_true", help="draw the style from another category")
    parser.add_argument("--stylizer", choices=sorted(STYLIZERS), required=True, help="the style-transfer network")
    parser.add_argument("--size", type=side, required=True, help="the shorter side of content and result, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw of styles (default: %(default)s)")
    parser.add_argument("--strength", type=fraction, default=1.0, help="0 keeps the content's own style, 1 none of it")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    parser.add_argument("--out", type=Path, required=True, help="the shard; X.rejected.csv is written beside X.tar")
    return parser.parse_args(argv)


def read_vectors(path: Path | None) -> dict[str, np.ndarray]:
    try:
        return load_file(path) if path else {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: no file of style vectors ({error}); make it with scripts/encode_styles.py") from None


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    # Broken styles are replaced by the next one drawn, so any number of them may be.
    rejections, broken_styles = Rejections(args.max_rejected), Rejections(1.0)
    contents = open_pictures(args.content)
    styles = Styles(
        open_pictures(args.styles), make_stylizer(args.stylizer), broken_styles, read_vectors(args.style_vectors)
    )
    bar = progress(decoded(contents, rejections), total=len(contents), unit="image", what=args.out.name)
    made = stylized(
        bar, styles, size=args.size, seed=args.seed, strength=args.strength, other_category=args.other_category
    )
    count = write_shard(args.out, ((label, *encode(image, args.format)) for label, image in made))
    rejections.rows += broken_styles.rows
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))


if __name__ == "__main__":
    run(main)
