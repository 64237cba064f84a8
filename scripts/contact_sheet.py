#!/usr/bin/env python3
"""Show a sample of the images in some shards, spread evenly over classes, with what each one is."""

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shapebias.cli import Parser, run
from shapebias.contact_sheets import cell_size_for, contact_sheet
from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.shards import Sample, open_shards


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, metavar="TAR", help="shards of one set")
    parser.add_argument("--title", required=True, metavar="T", help="title of the sheet")
    parser.add_argument("--count", type=int, default=32, metavar="N", help="number of images (%(default)s)")
    parser.add_argument("--columns", type=int, default=8, metavar="C", help="images in a row (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which images (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="the sheet")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.count < 1 or args.columns < 1:
        raise UserError(f"--count {args.count}, --columns {args.columns}: both must be at least 1")
    samples = spread(open_shards(args.shards), args.count, args.seed)
    cells = [(sample.image(), caption(sample.label)) for sample in samples]
    side = max((max(image.size) for image, _ in cells), default=64)
    sheet = contact_sheet(cells, title=args.title, columns=args.columns, cell_size=cell_size_for(side))
    with replacing(args.out) as draft:
        sheet.save(draft, format="PNG")


def spread(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` samples, evenly over classes; where classes are too many, evenly over categories first.

    Which ones is a pure function of the seed and the ids. They come ordered by category, class and id.
    """

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed}:{name}".encode()).digest()

    classes: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: draw(sample.id)):
        classes[str(sample.label.get("shape")), str(sample.label.get("class"))].append(sample)
    turn: dict[tuple[str, str], int] = {}  # the first class of each category comes before the second of any
    seen: dict[str, int] = defaultdict(int)
    for key in sorted(classes, key=lambda key: draw(key[1])):
        turn[key] = seen[key[0]]
        seen[key[0]] += 1
    ranked = [(i, turn[key], key, sample) for key, members in classes.items() for i, sample in enumerate(members)]
    ranked.sort(key=lambda item: item[:3])
    chosen = [item[3] for item in ranked[:count]]
    return sorted(
        chosen, key=lambda sample: (str(sample.label.get("shape")), str(sample.label.get("class")), sample.id)
    )


def caption(label: dict[str, Any]) -> list[str]:
    """Class and category of a photograph; shape and texture, or the painting, of a stylized image."""
    category, name = label.get("shape"), label.get("class")
    if label.get("style") is None:
        return [str(text) for text in dict.fromkeys((category, name)) if text]
    if label.get("texture") is None:
        return [f"shape: {category}", f"style: {Path(label['style']).stem}"]
    return [f"shape: {category}", f"texture: {label['texture']}"]


if __name__ == "__main__":
    run(main)
