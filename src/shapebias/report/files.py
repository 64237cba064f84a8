"""The report from result files: of a study, or of a folder of predictions alone."""

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
from shapebias.figures.draw import draw_figures
from shapebias.figures.style import FigureStyle
from shapebias.provenance import provenance
from shapebias.report.conflict_browser import Browser, browser
from shapebias.report.page import render
from shapebias.tables.collect import collect_tables, find_answers, write_tables
from shapebias.tables.reading import read_answers, read_people, read_records, read_tables

DPI = 50  # of the PNG files that nobody keeps; the page holds the SVG files


@dataclass(frozen=True)
class Extras:
    """What a report shows beside tables and figures.

    people: table of people's hits. contact_sheets: PNG files. conflict_images: benchmark of cue conflict → folders,
    shards or archives of its images, to browse.
    """

    people: Path | None = None
    contact_sheets: Sequence[Path] = ()
    conflict_images: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def report_of_study(
    title: str, tables: Path, figures: Path, runs: Path, config: Mapping[str, Any], extras: Extras
) -> str:
    """Return the HTML page of a study.

    tables, figures: folders of the CSV and SVG files. runs: holds <model>/<regime>/seed<n>.
    Raises UserError for files that are missing or broken.
    """
    melanoma = any(entry["kind"] == "melanoma" for entry in config.get("benchmarks", {}).values())
    contents = read_tables(tables, melanoma=melanoma)
    svgs = {path.stem: path.read_bytes() for path in sorted(figures.glob("*.svg"))}
    if not svgs:
        raise UserError(f"{figures}: no SVG figures; make them with scripts/figures.py")
    return render(
        title=title,
        tables=contents,
        people=read_people(extras.people) if extras.people else None,
        figures=svgs,
        contact_sheets={path.stem.removeprefix("contact_sheet."): as_webp(path) for path in extras.contact_sheets},
        browsers=browsers(tables, contents["shape_bias"], extras.conflict_images),
        config=config,
        records=read_records(runs, contents["runs"]),
        made_by=provenance("cpu"),
        tables_at=tables.name,
    )


def report_of_predictions(title: str, predictions: Path, tables: Path, extras: Extras) -> str:
    """Return the HTML page of the answers in a folder, as `find_answers` finds them.

    tables: folder that the tables are written to. Raises UserError as `collect_tables` does.
    """
    files, decisions = find_answers(predictions)
    with tempfile.TemporaryDirectory() as scratch:
        runs, figures = Path(scratch), Path(scratch) / "figures"
        contents = collect_tables(files, decisions, runs=runs, strict=False)
        write_tables(contents, tables)
        check_names(extras.conflict_images, contents["shape_bias"])
        lesions = list(dict.fromkeys(contents["melanoma"]["benchmark"])) if "melanoma" in contents else []
        draw_figures(
            tables,
            figures,
            FigureStyle(dpi=DPI),
            runs=runs,
            people=extras.people,
            images=extras.conflict_images,
            melanoma=lesions,
        )
        config = {"benchmarks": {name: {"kind": "melanoma"} for name in lesions}} if lesions else {}
        return report_of_study(title, tables, figures, runs, config, extras)


def check_names(images: Mapping[str, Sequence[Path]], shape_bias: pd.DataFrame) -> None:
    """Raise UserError for conflict images of a benchmark that was not measured."""
    names = list(dict.fromkeys(shape_bias["benchmark"]))
    for name in images:
        if name not in names:
            raise UserError(f"conflict images of {name!r}: no such benchmark; there are {', '.join(names) or 'none'}")


def browsers(tables: Path, shape_bias: pd.DataFrame, images: Mapping[str, Sequence[Path]]) -> list[Browser]:
    """The conflict images of each benchmark, to browse, with the answers of the observers."""
    check_names(images, shape_bias)
    return [
        browser(name, read_answers(tables, name), open_benchmark(paths, "cue_conflict"))
        for name, paths in images.items()
    ]


def as_webp(sheet: Path) -> bytes:
    """A sheet of photographs as WebP: a tenth of its PNG, so that the report can be sent around."""
    buffer = io.BytesIO()
    try:
        with PIL.Image.open(sheet) as image:
            image.convert("RGB").save(buffer, "WEBP", quality=85)
    except (OSError, PIL.UnidentifiedImageError) as error:
        raise UserError(f"{sheet}: not a readable image ({error}); make it again with scripts/catalogue.py") from None
    return buffer.getvalue()
