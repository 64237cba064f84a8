"""Encode style images once: read images, write their style vectors with labels (safetensors)."""

import argparse
import logging
from pathlib import Path

from shapebias.cli import Parser, progress, proportion
from shapebias.commands.stylizer_options import (
    add_style_flags,
    add_stylizer_flags,
    style_view_from_args,
    stylizer_from_args,
)
from shapebias.errors import BadImageError
from shapebias.files import check_folder
from shapebias.images.pictures import decode_pictures, open_pictures
from shapebias.images.rejections import Rejections
from shapebias.stylize.pipeline import encode_style
from shapebias.stylize.style_vectors import write_style_vectors

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--styles", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="style images")
    add_style_flags(parser)
    add_stylizer_flags(parser)
    parser.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of rejected styles")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    check_folder(args.out.parent)
    view, stylizer, styles = style_view_from_args(args), stylizer_from_args(args), open_pictures(args.styles)
    rejections = Rejections(args.max_rejected)
    labels, vectors = [], []
    bar = progress(
        decode_pictures(styles, rejections, args.workers), total=len(styles), unit="styles", label=args.stylizer
    )
    for picture, image in bar:
        try:
            vectors.append(encode_style(stylizer, picture.id, image, view))
        except BadImageError as error:
            rejections.add(picture.label["content"], error)
            continue
        labels.append(picture.label)
    rejections.check(len(styles))
    write_style_vectors(args.out, stylizer.fingerprint, labels, vectors)
    log.info("%s: %d styles", args.out, len(vectors))
