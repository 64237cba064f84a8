"""Render the report from the result files of a study, or from a folder of predictions."""

import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import PIL.Image

from shapebias.errors import UserError
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.figures.draw import TABLES as DRAWN_TABLES
from shapebias.figures.draw import draw_figures
from shapebias.figures.style import FigureStyle
from shapebias.provenance import provenance
from shapebias.report.conflict_browser import ConflictBrowser, make_browser
from shapebias.report.page import render_page
from shapebias.report.study import FigureFiles
from shapebias.tables.collect import collect_tables, find_answers, find_protocols, write_tables
from shapebias.tables.reading import read_answers, read_people, read_records, read_tables

SHEET_PIXELS = 1400  # largest width of embedded photographs
MAX_SVG_BYTES = 300_000  # a larger SVG file is embedded as an image of pixels


@dataclass(frozen=True)
class ReportExtras:
    """Optional inputs of a report beside tables and figures.

    people: table of people's hits on the published stimuli. contact_sheets: PNG files. conflict_images: cue-conflict
    benchmark → folders, shards or archives of its images, for browsing.
    """

    people: Path | None = None
    contact_sheets: Sequence[Path] = ()
    conflict_images: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def render_study(
    title: str, tables: Path, figures: Path, runs: Path, config: Mapping[str, Any], extras: ReportExtras
) -> str:
    """Return the HTML page of a study.

    tables, figures: folders of the CSV and SVG files. runs: folder that holds <model>/<regime>/seed<n>.
    Raises UserError for missing or broken files.
    """
    melanoma = any(entry["kind"] == "melanoma" for entry in config.get("benchmarks", {}).values())
    contents = read_tables(tables, melanoma=melanoma, atlas=bool(config.get("published")))
    drawn = {path.stem: read_figure(path) for path in sorted(figures.glob("*.svg"))}
    if not drawn and any(len(contents[name]) for name in DRAWN_TABLES):
        raise UserError(f"{figures}: no SVG figures; make them with scripts/figures.py")
    return render_page(
        title=title,
        tables=contents,
        people=read_people(extras.people) if extras.people else None,
        figures=drawn,
        contact_sheets={path.stem.removeprefix("contact_sheet."): encode_webp(path) for path in extras.contact_sheets},
        browsers=make_browsers(tables, contents["shape_bias"], extras.conflict_images),
        config=config,
        records=read_records(runs, contents["runs"]),
        writer_record=provenance("cpu"),
        tables_folder=tables.name,
        figures_folder=figures.name,
    )


def render_predictions(title: str, predictions: Path, tables: Path, figures: Path, extras: ReportExtras) -> str:
    """Return the HTML page of all answers in a folder; `find_answers` describes the layout.

    tables, figures: output folders. Raises UserError under the same conditions as `collect_tables`.
    """
    files, decisions = find_answers(predictions)
    protocols = find_protocols(predictions)
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch)
        contents = collect_tables(files, decisions, runs=runs, strict=False, protocols=protocols)
        write_tables(contents, tables)
        check_conflict_images(extras.conflict_images, contents["shape_bias"])
        lesions = list(dict.fromkeys(contents["melanoma"]["benchmark"])) if "melanoma" in contents else []
        del contents  # figures and page read the tables that they need; of 17 sets, all together take 230 MiB
        draw_figures(
            tables,
            figures,
            FigureStyle(),
            runs=runs,
            people=extras.people,
            images=extras.conflict_images,
            melanoma=lesions,
        )
        config = {"benchmarks": {name: {"kind": "melanoma"} for name in lesions}} if lesions else {}
        return render_study(title, tables, figures, runs, config, extras)


def folders_beside(report: Path) -> tuple[Path, Path]:
    """Return the folders of tables and of figures that a report of predictions has beside it."""
    return report.with_name(f"{report.stem}-tables"), report.with_name(f"{report.stem}-figures")


def check_conflict_images(images: Mapping[str, Sequence[Path]], shape_bias: pd.DataFrame) -> None:
    """Raise UserError if conflict images belong to a benchmark that was not measured."""
    benchmarks = list(dict.fromkeys(shape_bias["benchmark"]))
    for benchmark in images:
        if benchmark not in benchmarks:
            raise UserError(
                f"conflict images of {benchmark!r}: no such benchmark; there are {', '.join(benchmarks) or 'none'}"
            )


def make_browsers(
    tables: Path, shape_bias: pd.DataFrame, images: Mapping[str, Sequence[Path]]
) -> list[ConflictBrowser]:
    """Return a browser of the conflict images of each benchmark, with the observers' answers."""
    check_conflict_images(images, shape_bias)
    return [
        make_browser(name, read_answers(tables, name), open_benchmark(paths, "cue_conflict"))
        for name, paths in images.items()
    ]


def read_figure(svg: Path) -> FigureFiles:
    """Return the files of a figure, with an image of pixels if it shows photographs or has a large SVG file."""
    pdf, png = svg.with_suffix(".pdf"), svg.with_suffix(".png")
    photographs, data = svg.name.startswith("sample_predictions"), svg.read_bytes()
    is_large = png.exists() and len(data) > MAX_SVG_BYTES
    return FigureFiles(
        data,
        pdf.read_bytes() if pdf.exists() else b"",
        png=png.read_bytes() if is_large and not photographs else b"",
        webp=encode_webp(png) if png.exists() and photographs else b"",
        photographs=photographs,
    )


def encode_webp(sheet: Path) -> bytes:
    """Return photographs as WebP, at most SHEET_PIXELS wide, to keep the report small."""
    buffer = io.BytesIO()
    try:
        with PIL.Image.open(sheet) as image:
            small = image.convert("RGB")
            small.thumbnail((SHEET_PIXELS, image.height), PIL.Image.Resampling.LANCZOS)
            small.save(buffer, "WEBP", quality=75)
    except (OSError, PIL.UnidentifiedImageError) as error:
        raise UserError(f"{sheet}: not a readable image ({error}); make it again with scripts/catalogue.py") from None
    return buffer.getvalue()
