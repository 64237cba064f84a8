#!/usr/bin/env python3
"""Write the report: one HTML file that holds its figures and opens anywhere, offline."""

import argparse
import io
from pathlib import Path

import PIL.Image

from shapebias.cli import Parser, run
from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.provenance import provenance
from shapebias.reading import read_json, read_people, read_records, read_table
from shapebias.report import render

TABLES = ("shape_bias", "cue_accuracy", "accuracy", "runs", "rejected")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--title", required=True, metavar="T", help="title of the report")
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument("--figures", type=Path, required=True, metavar="DIR", help="folder of the SVG figures")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="folder of <model>/<regime>/seed<n>")
    parser.add_argument("--config", type=Path, required=True, metavar="JSON", help="the whole configuration")
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument(
        "--contact-sheets", type=Path, nargs="*", default=[], metavar="PNG", help="sheets of sample images"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="HTML", help="the report")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    config = read_json(args.config)
    # What the config says and not what lies there: a table of an earlier config may.
    melanoma = any(entry["kind"] == "melanoma" for entry in config.get("benchmarks", {}).values())
    tables = {name: read_table(args.tables, name) for name in [*TABLES, *(["melanoma"] if melanoma else [])]}
    figures = {path.stem: path.read_bytes() for path in sorted(args.figures.glob("*.svg"))}
    if not figures:
        raise UserError(f"{args.figures}: no SVG figures; make them with scripts/figures.py")
    page = render(
        title=args.title,
        tables=tables,
        people=read_people(args.people) if args.people else None,
        figures=figures,
        contact_sheets={path.stem.removeprefix("contact_sheet."): small(path) for path in args.contact_sheets},
        config=config,
        records=read_records(args.runs, tables["runs"]),
        made_by=provenance("cpu"),
    )
    with replacing(args.out) as draft:
        draft.write_text(page, encoding="utf-8")


def small(sheet: Path) -> bytes:
    """A sheet of photographs as WebP: a tenth of its PNG, so that the report can be sent around."""
    buffer = io.BytesIO()
    try:
        with PIL.Image.open(sheet) as image:
            image.convert("RGB").save(buffer, "WEBP", quality=85)
    except (OSError, PIL.UnidentifiedImageError) as error:
        raise UserError(
            f"{sheet}: not a readable image ({error}); make it again with scripts/contact_sheet.py"
        ) from None
    return buffer.getvalue()


if __name__ == "__main__":
    run(main)
