#!/usr/bin/env python3
"""Stylize images: content and styles in, one shard of stylized images with the labels of both cues out.

Which style goes with which image is a function of (seed, image id) alone. With --other-category a style is
a photograph of another category (a cue conflict), otherwise any of the styles (Stylized-ImageNet's way).
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from shapebias.cli import progress, run, write_rejections
from shapebias.errors import UserError
from shapebias.images import ENCODINGS, encode, resize_shorter
from shapebias.pictures import Picture, Rejections, decoded, open_pictures
from shapebias.shards import Label, write_shard
from shapebias.stylize import STYLIZERS, Stylizer, draw_other_category, draw_styles, make_stylizer, stylize

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="images to stylize")
    parser.add_argument(
        "--styles", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="images to take styles from"
    )
    parser.add_argument("--stylizer", choices=sorted(STYLIZERS), required=True, help="the style-transfer network")
    parser.add_argument(
        "--style-vectors", type=Path, help="what scripts/encode_styles.py wrote; else styles are encoded here"
    )
    parser.add_argument("--size", type=int, required=True, help="the shorter side of content and result, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw of styles (default: %(default)s)")
    parser.add_argument(
        "--strength", type=float, default=1.0, help="0 keeps the content's own style, 1 is all the style's"
    )
    parser.add_argument("--other-category", action="store_true", help="draw the style from another category")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-rejected", type=float, default=0.25, help="allowed fraction of images set aside")
    parser.add_argument("--out", type=Path, required=True, help="the shard; X.rejected.csv is written beside X.tar")
    return parser.parse_args(argv)


class StyleBook:
    """Style vectors by id, each encoded once, and the draw of a style for an image."""

    def __init__(self, args: argparse.Namespace, stylizer: Stylizer, rejections: Rejections) -> None:
        self.args, self.stylizer, self.rejections = args, stylizer, rejections
        self.pictures = {picture.id: picture for picture in open_pictures(args.styles)}
        self.vectors: dict[str, np.ndarray | None] = {}
        if args.style_vectors:
            try:
                self.vectors.update(load_file(args.style_vectors))
            except (OSError, SafetensorError) as error:
                raise UserError(f"{args.style_vectors}: no file of style vectors: {error}") from None
        self.by_category: dict[str, list[str]] = {}
        for picture in self.pictures.values():
            if picture.label["texture"]:
                self.by_category.setdefault(picture.label["texture"], []).append(picture.id)

    def vector(self, style_id: str) -> np.ndarray | None:
        """The style's vector, or None if its image is broken."""
        if style_id not in self.vectors:
            usable = [self.stylizer.encode(image) for _, image in decoded([self.pictures[style_id]], self.rejections)]
            self.vectors[style_id] = usable[0] if usable else None
        return self.vectors[style_id]

    def draw(self, content: Picture) -> tuple[Picture, np.ndarray]:
        """The style for an image: the first drawn that is usable."""
        if self.args.other_category:
            if content.label["shape"] is None:
                raise UserError(f"image {content.id} has no category, so no other can be drawn (--other-category)")
            drawn = draw_other_category(self.args.seed, content.id, content.label["shape"], self.by_category)
        else:
            drawn = draw_styles(self.args.seed, content.id, sorted(self.pictures))
        for style_id in drawn:
            vector = self.vector(style_id)
            if vector is not None:
                return self.pictures[style_id], vector
        raise UserError(f"no usable style image in {', '.join(map(str, self.args.styles))}")


def samples(
    contents: Callable[[], Iterator], book: StyleBook, args: argparse.Namespace
) -> Iterator[tuple[Label, str, bytes]]:
    for content, image in contents():
        style, vector = book.draw(content)
        result = stylize(book.stylizer, resize_shorter(image, args.size), vector, args.strength)
        made = content.label | {
            "texture": style.label["texture"] if args.other_category else None,
            "texture_class": style.label["texture_class"] if args.other_category else None,
            "style": style.label["content"],
            "stylizer": book.stylizer.name,
            "strength": args.strength,
        }
        yield made, *encode(result, args.format)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not 0 <= args.strength <= 1:
        raise UserError(f"--strength {args.strength:g}: allowed are 0 to 1")
    rejections, broken_styles = Rejections(args.max_rejected), Rejections(args.max_rejected)
    pictures = open_pictures(args.content)
    book = StyleBook(args, make_stylizer(args.stylizer), broken_styles)

    def contents() -> Iterator:
        yield from progress(decoded(pictures, rejections), total=len(pictures), unit="image", what=args.out.name)
        # Inside the generator: a shard with too many rejections is never moved into place.
        rejections.check(len(pictures), ", ".join(map(str, args.content)))

    count = write_shard(args.out, samples(contents, book, args))
    rejections.rows += broken_styles.rows
    write_rejections(args.out, rejections)
    for file, reason in rejections.rows:
        log.warning("%s: %s", file, reason)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))


if __name__ == "__main__":
    run(main)
