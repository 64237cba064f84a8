"""Pack one shard of a set: draw or decode its images, resize them, write them with their labels to a tar file.

Images from files need a listing from scripts/scan.py. Images drawn by code need only the numbers of images and shards.
A broken image is rejected with the reason and replaced by the next reserve of its class.
"""

import argparse
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from shapebias.cli import Parser, count_map, image_size, non_negative_int, positive_int, progress, proportion
from shapebias.files import require_space
from shapebias.images.codec import ENCODINGS, MAX_MEGAPIXELS, encode, expected_encoded_bytes
from shapebias.images.image_folder import list_paintings, list_synthetic
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import ALL, ListedImage, read_listing, read_pool, rows_of_shard
from shapebias.images.packing import EncodedImage, FileEncoder, pack_images
from shapebias.images.rejections import Rejections, write_rejections
from shapebias.images.shards import write_shard
from shapebias.seeding import generator
from shapebias.synthetic.anagrams import ANAGRAM, ANAGRAM_CLASSES, anagram_facts, draw_anagram
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import APPEARANCES, CLASSES, draw_image

log = logging.getLogger(__name__)

# Kinds of sets: drawn by code, or read from files.
DRAWN = ("synthetic", "paintings")
FILES = ("imagefolder", "ilsvrc", "isic2017", "folder")


@dataclass(frozen=True)
class ImageDrawer:
    """Draws a listed image by code: a photograph of its class or a painting."""

    kind: str
    appearance: str
    size: int
    seed: int
    encoding: str

    def __call__(self, image: ListedImage) -> EncodedImage:
        if self.kind == "paintings":
            return encode(
                Image.fromarray(painting(generator(self.seed, "painting", image.id), self.size)), self.encoding
            )
        if self.appearance == ANAGRAM:
            anagram = draw_anagram(image.class_name, image.id, size=self.size, seed=self.seed)
            return encode(anagram, self.encoding)
        photograph = draw_image(image.class_name, image.id, size=self.size, seed=self.seed, appearance=self.appearance)
        return encode(photograph, self.encoding)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listing", type=Path, help="listing from scripts/scan.py (kinds of files)")
    parser.add_argument("--per-class", type=count_map, metavar="SPLIT=N,…", help="images of each class (synthetic)")
    parser.add_argument("--count", type=positive_int, help="number of paintings (paintings)")
    parser.add_argument("--shards", type=count_map, metavar="SPLIT=N,…", help="number of shards (drawn kinds)")
    parser.add_argument("--split", required=True, help="which split")
    parser.add_argument("--shard", type=int, required=True, help="which shard of it, from 0")
    parser.add_argument("--kind", required=True, choices=[*DRAWN, *FILES])
    parser.add_argument("--folder", type=Path, help="folder of the files; for kind ilsvrc also its tar file")
    parser.add_argument(
        "--appearance",
        choices=[*APPEARANCES, ANAGRAM],
        default="photograph",
        help="appearance of drawn images (kind synthetic)",
    )
    parser.add_argument("--size", type=image_size, required=True, help="the shorter side of a packed image, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of drawn images (default: %(default)s)")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="jpeg", help="default: %(default)s, quality 95")
    parser.add_argument("--max-megapixels", type=float, default=MAX_MEGAPIXELS, help="larger images are rejected")
    parser.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of rejected images")
    parser.add_argument(
        "--workers", type=non_negative_int, default=0, help="processes that decode and encode (default: in this one)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the shard X.tar; rejected images are listed in X.rejected.csv"
    )
    args = parser.parse_args(argv)
    needed = ["folder", "listing"] if args.kind in FILES else []
    if args.kind in DRAWN and not args.listing:
        needed = ["shards", "per_class" if args.kind == "synthetic" else "count"]
    for option in needed:
        if getattr(args, option) is None:
            parser.error(f"--kind {args.kind} needs --{option.replace('_', '-')}")
    return args


def image_encoder(args: argparse.Namespace) -> Callable[[ListedImage], EncodedImage]:
    if args.folder is None:
        return ImageDrawer(args.kind, args.appearance, args.size, args.seed, args.format)
    return FileEncoder(ImageStore(args.folder), args.size, args.format, args.max_megapixels)


def describer(args: argparse.Namespace) -> Callable[[ListedImage], Mapping[str, str]] | None:
    """Return the function that gives an image's label its pair and its foil, if the images are anagrams."""
    if args.appearance != ANAGRAM:
        return None
    return lambda image: anagram_facts(image.class_name, image.id)


def listed_rows(args: argparse.Namespace) -> list[ListedImage]:
    """Return the images of the shard, from the listing, or from the numbers of drawn images."""
    if args.listing:
        return read_listing(args.listing, args.split, args.shard)
    classes = ANAGRAM_CLASSES if args.appearance == ANAGRAM else CLASSES
    table = (
        list_synthetic(classes, args.per_class, args.shards, args.seed)
        if args.kind == "synthetic"
        else list_paintings(args.count, args.shards[ALL], args.seed)
    )
    return rows_of_shard(table, args.split, args.shard)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    rows, rejections = listed_rows(args), Rejections(args.max_rejected)
    require_space(args.out.parent, len(rows) * expected_encoded_bytes(args.size, args.format), args.out.name)
    read_replacements = partial(read_pool, args.listing)
    samples = pack_images(rows, image_encoder(args), read_replacements, rejections, args.workers, describer(args))
    count = write_shard(args.out, progress(samples, total=len(rows), unit="images", label=args.out.name))
    write_rejections(args.out, rejections)
    log.info("%s: %d images, %d rejected", args.out, count, len(rejections.rows))
