#!/usr/bin/env python3
"""Write the report: one HTML file that holds its figures and opens anywhere, offline.

Either from the tables, figures and runs of a study, or from a folder of predictions alone (--predictions), such as
published decisions: then tables and figures are made on the way, as scripts/tables.py and scripts/figures.py make them,
and the tables stay beside the report, in <its name>-tables.
"""

import argparse
import io
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import figures
import pandas as pd
import PIL.Image
import tables

from shapebias.cli import Parser, run
from shapebias.errors import UserError
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.files import atomic_write
from shapebias.provenance import provenance
from shapebias.report.conflict_browser import Browser, browser
from shapebias.report.page import render
from shapebias.tables.reading import read_answers, read_json, read_people, read_records, read_tables


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", default="Shape or texture?", metavar="T", help="title of the report (%(default)s)")
    parser.add_argument("--predictions", type=Path, metavar="DIR", help="predictions or decisions, in place of a study")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="folder of the SVG figures")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder of <model>/<regime>/seed<n>")
    parser.add_argument("--config", type=Path, metavar="JSON", help="the whole configuration")
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument(
        "--contact-sheets", type=Path, nargs="*", default=[], metavar="PNG", help="sheets of sample images"
    )
    parser.add_argument(
        "--conflict-images",
        type=figures.named_path,
        nargs="+",
        action="extend",
        default=[],
        metavar="BENCHMARK=PATH",
        help="the images of a cue-conflict benchmark, to browse: a folder, shards or an archive",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="HTML", help="the report")
    args = parser.parse_args(argv)
    study = {name: getattr(args, name) for name in ("tables", "figures", "runs", "config")}
    if args.predictions and any(study.values()):
        parser.error("--predictions makes its own tables and figures; leave out --tables, --figures, --runs, --config")
    missing = [f"--{name}" for name, value in study.items() if value is None]
    if missing and not args.predictions:
        parser.error(f"{', '.join(missing)} missing; or give --predictions alone")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if not args.predictions:
        page = page_of(args, args.tables, args.figures, args.runs, read_json(args.config))
    else:
        folder = args.out.with_name(f"{args.out.stem}-tables")
        with tempfile.TemporaryDirectory() as made:
            drawn = Path(made) / "figures"
            tables.main(["--predictions", str(args.predictions), "--runs", made, "--out", str(folder)])
            lesions = benchmarks_of(folder / "melanoma.csv")
            by_benchmark(args.conflict_images, benchmarks_of(folder / "shape_bias.csv"))  # before figures are drawn
            images = [f"{name}={path}" for name, path in args.conflict_images]
            options = ["--people", str(args.people)] if args.people else []
            options += ["--melanoma", *lesions] if lesions else []
            options += ["--sample-images", *images] if images else []
            figures.main(["--tables", str(folder), "--runs", made, "--out", str(drawn), "--dpi", "50", *options])
            config = {"benchmarks": {name: {"kind": "melanoma"} for name in lesions}} if lesions else {}
            page = page_of(args, folder, drawn, Path(made), config)
    with atomic_write(args.out) as draft:
        draft.write_text(page, encoding="utf-8")


def page_of(args: argparse.Namespace, folder: Path, drawn: Path, runs: Path, config: Mapping[str, Any]) -> str:
    """The report of tables and figures in two folders."""
    melanoma = any(entry["kind"] == "melanoma" for entry in config.get("benchmarks", {}).values())
    found = read_tables(folder, melanoma=melanoma)
    svgs = {path.stem: path.read_bytes() for path in sorted(drawn.glob("*.svg"))}
    if not svgs:
        raise UserError(f"{drawn}: no SVG figures; make them with scripts/figures.py")
    return render(
        title=args.title,
        tables=found,
        people=read_people(args.people) if args.people else None,
        figures=svgs,
        contact_sheets={path.stem.removeprefix("contact_sheet."): small(path) for path in args.contact_sheets},
        browsers=browsers(folder, found["shape_bias"], args.conflict_images),
        config=config,
        records=read_records(runs, found["runs"]),
        made_by=provenance("cpu"),
        tables_at=folder.name,
    )


def browsers(folder: Path, shape_bias: pd.DataFrame, images: Sequence[tuple[str, Path]]) -> list[Browser]:
    """The conflict images of each benchmark whose images are given, with what was answered."""
    given = by_benchmark(images, list(dict.fromkeys(shape_bias["benchmark"])))
    return [
        browser(name, read_answers(folder, name), open_benchmark(paths, "cue_conflict"))
        for name, paths in given.items()
    ]


def by_benchmark(images: Sequence[tuple[str, Path]], known: Sequence[str]) -> dict[str, list[Path]]:
    """Benchmark → where its images are; raises UserError for one that was not measured."""
    paths: dict[str, list[Path]] = defaultdict(list)
    for name, path in images:
        if name not in known:
            raise UserError(f"--conflict-images {name}: no such benchmark; there are {', '.join(known) or 'none'}")
        paths[name].append(path)
    return paths


def benchmarks_of(table: Path) -> list[str]:
    """The benchmarks in a table; none if it was not made."""
    return list(dict.fromkeys(pd.read_csv(table, dtype=str)["benchmark"])) if table.exists() else []


def small(sheet: Path) -> bytes:
    """A sheet of photographs as WebP: a tenth of its PNG, so that the report can be sent around."""
    buffer = io.BytesIO()
    try:
        with PIL.Image.open(sheet) as image:
            image.convert("RGB").save(buffer, "WEBP", quality=85)
    except (OSError, PIL.UnidentifiedImageError) as error:
        raise UserError(f"{sheet}: not a readable image ({error}); make it again with scripts/catalogue.py") from None
    return buffer.getvalue()


if __name__ == "__main__":
    run(main)
