"""The report: tables, figures and records in, one self-contained HTML page out.

Every section is complete as text, pictures and tables. Where a browser runs the page's own script, charts take the
place of some pictures on the screen; on paper it is always the pictures.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
import yaml

from shapebias.categories import CATEGORIES
from shapebias.figures.style import FigureStyle
from shapebias.report import charts
from shapebias.report.accuracy import cost, melanoma
from shapebias.report.answers import answers, likeness, with_people
from shapebias.report.bias import architectures, bias, bias_figure
from shapebias.report.conflict_browser import SIDE, Browser
from shapebias.report.cues import inside, reliance
from shapebias.report.headline import cautions, headline
from shapebias.report.html_tables import csv_of, rejected_table, runs_table, software, undefined_table
from shapebias.report.study import Image, Section, Study, grids_with_rows
from shapebias.tables.reading import FILE_COLUMNS

WITH_OBSERVERS = ("shape_bias", "accuracy", "accuracy_by_condition", "reliance", "read_out")


def render(
    *,
    title: str,
    tables: Mapping[str, pd.DataFrame],
    people: pd.DataFrame | None = None,
    figures: Mapping[str, bytes],
    contact_sheets: Mapping[str, bytes] | None = None,
    browsers: Sequence[Browser] = (),
    config: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]] = (),
    made_by: Mapping[str, Any] | None = None,
    tables_at: str = "tables",
) -> str:
    """Return the page. It makes no request, runs no script but its own, and escapes all text from the inputs.

    tables: those of scripts/tables.py by name, of which absent ones were not measured; people: hits on the published
    stimuli; figures: SVG files by the names that scripts/figures.py gives them; contact_sheets: WebP files by name;
    browsers: conflict images to browse; config: the whole configuration; records: `run.json` of each run with its
    model and regime; made_by: commit and versions of what writes the page, for studies without runs; tables_at: where
    the tables lie, seen from the page.
    """
    given = {name: pd.DataFrame(columns=columns) for name, columns in FILE_COLUMNS.items()} | dict(tables)
    palette = config.get("figures", {}).get("palette")
    style = FigureStyle(palette) if palette else None
    looks = charts.looks_of([given[name] for name in WITH_OBSERVERS], style, people=people is not None)
    study = Study(given, people, figures, config, looks)
    found = sections(study)
    benchmarks = list(dict.fromkeys(given["shape_bias_pooled"]["benchmark"]))
    lead = bias_figure(study, str(benchmarks[0])) if benchmarks else None
    drawn = [lead, *(figure for section in found for part in section.parts for figure in part.figures)]
    data = charts.page_data([chart for figure in drawn if figure for chart in figure.charts], looks)
    data |= {"categories": CATEGORIES, "browsers": {browser.benchmark: browser.data() for browser in browsers}}
    data["observers"] = _observers(study)
    scripts = [charts.library(), _resource("report.js")]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shapebias.report"),
        autoescape=True,  # a name from a config or a file is text, never markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        headline=headline(given, people),
        lead=lead,
        cautions=cautions(given),
        sections=found,
        browsers=browsers,
        side=SIDE,
        categories=CATEGORIES,
        grids_with_rows=grids_with_rows,
        models=looks.models,
        regimes=[(regime, regime) for regime in looks.regimes] + _others(looks),
        unmeasured=unmeasured(study) if config.get("benchmarks") else [],
        sheets={name: Image(data, "webp", f"Sample images: {name}") for name, data in (contact_sheets or {}).items()},
        stylized=list(config.get("stylized", {})),
        training=study.figure(
            "training_curves", "Loss and accuracy in training and validation over epochs", numbers=False
        ),
        tables_at=tables_at,
        answered=list(dict.fromkeys(given["shape_bias"]["benchmark"])),
        rejected=rejected_table(given["rejected"]),
        rejected_csv=csv_of("rejected", given["rejected"]),
        undefined=undefined_table(given["undefined"]),
        undefined_csv=csv_of("undefined", given["undefined"]),
        runs=runs_table(records),
        runs_csv=csv_of("runs", given["runs"]),
        software=software(records or ([made_by] if made_by else [])),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True) if config else "",
        data=charts.script_json(data),
        scripts=scripts,
        hashes=[script_hash(script) for script in scripts],
    )


def script_hash(script: str) -> str:
    """How a Content-Security-Policy names the one inline script that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _resource(name: str) -> str:
    text = (resources.files("shapebias.report") / "templates" / name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


def _others(looks: charts.Looks) -> list[tuple[str, str]]:
    """The check box of networks without a regime, if runs have one to choose against."""
    return [("", charts.NOT_TRAINED)] if looks.regimes and len(looks.models) > 0 else []


def _observers(study: Study) -> dict[str, dict[str, str]]:
    """Observer → the model and regime by which the reader chooses it."""
    found: dict[str, dict[str, str]] = {}
    for name in WITH_OBSERVERS:
        table = study.tables[name]
        regimes = table["regime"].fillna("").astype(str)
        for observer, model, regime in zip(table["observer"], table["model"], regimes, strict=True):
            found.setdefault(str(observer), {"model": str(model), "regime": regime})
    return found


def sections(study: Study) -> list[Section]:
    """All sections that have something to say, in the order of a reader's questions."""
    found = [bias(study), architectures(study), cost(study), likeness(study), inside(study), reliance(study)]
    found += [melanoma(study), answers(study)]
    return [section for section in found if section is not None]


def unmeasured(study: Study) -> list[str]:
    """What else can be measured, and what to add to the config for it."""
    tables, told = study.tables, []
    if tables["shape_bias"].empty:
        told.append("Shape bias: a benchmark of kind cue_conflict.")
    if tables["accuracy"].empty:
        told.append("Accuracy: a benchmark of kind in_test, silhouettes, edges or one of the model-vs-human sets.")
    if tables["error_consistency"].empty or with_people(tables["error_consistency"]).empty:
        told.append("Likeness to people: an observer with people's decisions on a benchmark, pooled as people.")
    if tables["read_out"].empty:
        told.append("Where the bias arises: read_out: true at a benchmark of kind cue_conflict.")
    if tables["reliance"].empty:
        told.append("Reliance without conflict: a benchmark of kind suppressed.")
    if tables["melanoma"].empty:
        told.append("Transfer to melanoma: a benchmark of kind melanoma, and regimes that train on it.")
    return told
