#!/usr/bin/env python3
"""Show the images that were set aside, with the reasons: what can be seen of each, or a grey square."""

import argparse
import io
from pathlib import Path

import pandas as pd
from PIL import Image, ImageFile

from shapebias.cli import Parser, positive_int, run
from shapebias.errors import BadImageError, UserError
from shapebias.files import atomic_write
from shapebias.images.codec import MAX_MEGAPIXELS, to_rgb
from shapebias.images.contact_sheets import Cell, contact_sheet
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import ListedImage, read_rows
from shapebias.seeding import draw_key

CELL = 160


def source(text: str) -> tuple[str, Path, Path | None]:
    """Parse `NAME=rejected.csv` or `NAME=rejected.csv=FOLDER` (an argparse type)."""
    name, _, rest = text.partition("=")
    table, _, folder = rest.partition("=")
    if not name or not table:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CSV or NAME=CSV=FOLDER")
    return name, Path(table), Path(folder) if folder else None


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--sets",
        type=source,
        nargs="+",
        required=True,
        metavar="NAME=CSV[=FOLDER]",
        help="a set's rejected.csv, and the folder that its files are in",
    )
    parser.add_argument("--count", type=positive_int, default=40, help="at most so many images (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="the sheet")
    return parser.parse_args(argv)


def located(table: Path, files: list[str]) -> dict[str, ListedImage]:
    """Where files are that the listing beside a rejected.csv knows, in archives too."""
    listing = table.with_name("listing.parquet")
    if not files or not listing.is_file():
        return {}
    return {row.file: row for row in read_rows(listing, [("file", "in", files)])}


def encoded(folder: Path | None, file: str, known: dict[str, ListedImage]) -> bytes:
    """The bytes of a file of a set; none if it is not to be had."""
    if folder is None:
        return b""
    try:
        return ImageStore(folder).read(known[file]) if file in known else (folder / file).read_bytes()
    except (OSError, UserError, BadImageError):
        return b""


def glimpse(data: bytes) -> Image.Image:
    """What Pillow can show of a file, small; a grey square if it can show nothing."""
    nothing = Image.new("RGB", (CELL, CELL), (225, 225, 225))
    # Half a photograph is worth seeing here, and nowhere else.
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # ty: ignore[invalid-assignment]
    try:
        image = Image.open(io.BytesIO(data))
        image.draft(None, (CELL, CELL))
        if image.width * image.height > 1e6 * MAX_MEGAPIXELS:
            return nothing
        image.load()
        image.thumbnail((CELL, CELL))
        return to_rgb(image)
    except Exception:  # whatever a damaged file does to a decoder, its reason is in the caption
        return nothing
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    tables = []
    for name, table, folder in args.sets:
        rows = pd.read_csv(table, dtype=str, keep_default_na=False).drop_duplicates(["file", "reason"])
        order = [draw_key(0, name, file) for file in rows["file"]]
        rows = rows.assign(set=name, folder=folder, table=table, order=order).sort_values("order")
        tables.append(rows.assign(turn=range(len(rows))))
    everything = pd.concat(tables)
    shown = everything.sort_values(["turn", "set"]).head(args.count).sort_values(["set", "file"])
    cells: list[Cell] = []
    for name, table, _ in args.sets:
        rows = shown[(shown["set"] == name) & (shown["table"] == table)]
        known = located(table, list(rows["file"]))
        for row in rows.to_dict("records"):
            image = glimpse(encoded(row["folder"], row["file"], known))
            cells.append((image, [f"{name}: {Path(row['file']).name}", row["reason"]]))
    of = f"{len(shown)} of {len(everything):,}" if len(shown) < len(everything) else f"{len(everything):,}"
    title = f"{of} images set aside" if len(everything) else f"No image of {len(tables)} sets was set aside"
    with atomic_write(args.out) as draft:
        contact_sheet(cells, title=title, columns=8, cell_size=CELL).save(draft, format="PNG")


if __name__ == "__main__":
    run(main)
