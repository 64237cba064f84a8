"""Show rejected images with the reasons: the decodable part of each image, or a grey square.

The sheet is rejected.png in the output folder, which stays empty if no image was rejected.
"""

import argparse
from pathlib import Path

import pandas as pd
from PIL import Image, ImageFile

from shapebias.cli import Parser, positive_int
from shapebias.csv_tables import read_result_table
from shapebias.errors import BadImageError, UserError
from shapebias.files import atomic_write
from shapebias.images.codec import open_image, read_image_file, to_rgb
from shapebias.images.contact_sheets import Cell, contact_sheet
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import ListedImage, read_rows
from shapebias.seeding import draw_key

CELL = 160


def set_spec(text: str) -> tuple[str, Path, Path | None]:
    """Parse `NAME=rejected.csv` or `NAME=rejected.csv=FOLDER` (an argparse type)."""
    name, _, rest = text.partition("=")
    table, _, folder = rest.partition("=")
    if not name or not table:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=CSV or NAME=CSV=FOLDER")
    return name, Path(table), Path(folder) if folder else None


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sets",
        type=set_spec,
        nargs="+",
        required=True,
        metavar="NAME=CSV[=FOLDER]",
        help="a set's rejected.csv, and the folder of its files",
    )
    parser.add_argument("--count", type=positive_int, default=40, help="largest number of images (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder of the sheet")
    return parser.parse_args(argv)


def locate(table: Path, files: list[str]) -> dict[str, ListedImage]:
    """Return file → its listing row, from the listing beside rejected.csv; it also locates files in archives."""
    listing = table.with_name("listing.parquet")
    if not files or not listing.is_file():
        return {}
    return {row.file: row for row in read_rows(listing, [("file", "in", files)])}


def read_bytes(folder: Path | None, file: str, located: dict[str, ListedImage]) -> bytes:
    """Return the bytes of a file of a set, or b"" if it cannot be read."""
    if folder is None:
        return b""
    try:
        return ImageStore(folder).read(located[file]) if file in located else read_image_file(folder / file)
    except (OSError, UserError, BadImageError):
        return b""


def decode_partially(data: bytes) -> Image.Image:
    """Return a thumbnail of the part of a file that Pillow can decode, or a grey square."""
    grey_square = Image.new("RGB", (CELL, CELL), (225, 225, 225))
    # A truncated photograph is useful only on this sheet.
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # ty: ignore[invalid-assignment]
    try:
        image = open_image(data, shorter=CELL)
        image.load()
        image.thumbnail((CELL, CELL))
        return to_rgb(image)
    except Exception:  # the caption already gives the reason
        return grey_square
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    tables = []
    for name, table, folder in args.sets:
        rows = read_result_table(table, ["file", "reason"]).drop_duplicates(["file", "reason"])
        order = [draw_key(0, name, file) for file in rows["file"]]
        rows = rows.assign(set=name, folder=folder, table=table, order=order).sort_values("order")
        tables.append(rows.assign(turn=range(len(rows))))
    rejected = pd.concat(tables)
    args.out.mkdir(parents=True, exist_ok=True)
    if rejected.empty:
        return
    selected = rejected.sort_values(["turn", "set"]).head(args.count).sort_values(["set", "file"])
    cells: list[Cell] = []
    for name, table, _ in args.sets:
        rows = selected[(selected["set"] == name) & (selected["table"] == table)]
        located = locate(table, list(rows["file"]))
        for row in rows.to_dict("records"):
            image = decode_partially(read_bytes(row["folder"], row["file"], located))
            cells.append((image, [f"{name}: {Path(row['file']).name}", row["reason"]]))
    count = f"{len(selected)} of {len(rejected):,}" if len(selected) < len(rejected) else f"{len(rejected):,}"
    with atomic_write(args.out / "rejected.png") as draft:
        sheet = contact_sheet(cells, title=f"{count} images set aside", columns=8, cell_size=CELL)
        sheet.save(draft, format="PNG")
