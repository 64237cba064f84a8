#!/usr/bin/env python3
"""Encode every style once: style images in, their style vectors out (safetensors, one tensor [D] a style id)."""

import argparse
import logging
from pathlib import Path

from safetensors.numpy import save

from shapebias.cli import Parser, fraction, progress, run
from shapebias.files import replacing
from shapebias.pictures import Rejections, decoded, open_pictures
from shapebias.stylize import STYLIZERS, make_stylizer

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--styles", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="style images")
    parser.add_argument("--stylizer", choices=sorted(STYLIZERS), required=True)
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of styles set aside")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    stylizer, styles, rejections = (
        make_stylizer(args.stylizer),
        open_pictures(args.styles),
        Rejections(args.max_rejected),
    )
    bar = progress(decoded(styles, rejections), total=len(styles), unit="style", what=args.stylizer)
    vectors = {picture.id: stylizer.encode(image) for picture, image in bar}
    with replacing(args.out) as draft:
        draft.write_bytes(save(vectors, metadata={"stylizer": args.stylizer}))
    log.info("%s: %d styles", args.out, len(vectors))


if __name__ == "__main__":
    run(main)
