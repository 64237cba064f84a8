"""Render tables, figures and records as one self-contained HTML page.

Every section is complete as text, figures and tables. If the browser runs the page's script, a reader can replace
figures by interactive charts and filter these. On paper, the page always shows the figures.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
import yaml

from shapebias.categories import CATEGORIES
from shapebias.config.queries import network_names
from shapebias.config.regimes import describe_regimes
from shapebias.figures.style import FigureStyle
from shapebias.report.accuracy import cost_section, melanoma_section
from shapebias.report.answers import answers_section, likeness_section, pairs_with_people
from shapebias.report.atlas import atlas_section
from shapebias.report.bias import architectures_section, bias_figure, bias_section
from shapebias.report.conflict_browser import THUMBNAIL_PIXELS, ConflictBrowser
from shapebias.report.critical_band import critical_band_section
from shapebias.report.cues import read_out_section, reliance_section
from shapebias.report.encoding import NOT_TRAINED, Encoding, make_encoding
from shapebias.report.frequency_bias import frequency_bias_section
from shapebias.report.headline import cautions, headline
from shapebias.report.html_tables import (
    csv_download,
    format_rejected_table,
    format_runs_table,
    format_undefined_table,
    software_versions,
)
from shapebias.report.label_instruments import configural_shape_section, refined_bias_section
from shapebias.report.laion_c import laion_c_section
from shapebias.report.methods import bibtex, hardware_names, methods_paragraph, training_dates, training_digests
from shapebias.report.page_data import page_data, script_json, vega_script
from shapebias.report.protocols import protocols_section
from shapebias.report.study import EmbeddedImage, FigureFiles, Section, StudyResults, all_observers, nonempty_tables
from shapebias.report.wording import join_names, join_units
from shapebias.tables.reading import FILE_COLUMNS

OBSERVER_TABLES = (
    *("shape_bias", "accuracy", "accuracy_by_condition", "reliance", "reliance_pairs", "critical_band", "read_out"),
    *("configural_shape", "refined_bias", "frequency_bias", "laion_c"),
)


def render_page(
    *,
    title: str,
    tables: Mapping[str, pd.DataFrame],
    people: pd.DataFrame | None = None,
    figures: Mapping[str, FigureFiles],
    contact_sheets: Mapping[str, bytes] | None = None,
    browsers: Sequence[ConflictBrowser] = (),
    config: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]] = (),
    writer_record: Mapping[str, Any] | None = None,
    tables_folder: str = "tables",
    figures_folder: str = "figures",
) -> str:
    """Return the page. It makes no request, runs only its own scripts, and escapes all text from the inputs.

    tables: the tables of scripts/tables.py by name; a missing table means that nothing was measured. people: hits on
    the published stimuli. figures: by the names from scripts/figures.py. contact_sheets: WebP files by name. browsers:
    conflict images to browse. config: the complete configuration. records: `run.json` of each run, with its model and
    regime. writer_record: commit and versions of the code that writes the page, for studies without runs.
    tables_folder, figures_folder: paths of the tables and figures relative to the page.
    """
    complete_tables = {name: pd.DataFrame(columns=columns) for name, columns in FILE_COLUMNS.items()} | dict(tables)
    palette = config.get("figures", {}).get("palette")
    style = FigureStyle(palette) if palette else None
    regimes = describe_regimes(config)
    encoding = make_encoding(
        [complete_tables[name] for name in OBSERVER_TABLES],
        style,
        people=people is not None,
        labels={name: regime.label for name, regime in regimes.by_name.items()},
    )
    study = StudyResults(complete_tables, people, figures, config, encoding, regimes)
    sections = make_sections(study)
    benchmarks = list(dict.fromkeys(complete_tables["shape_bias_pooled"]["benchmark"]))
    lead = bias_figure(study, str(benchmarks[0])) if benchmarks else None
    shown_figures = [
        lead,
        *(figure for section in sections for subsection in section.subsections for figure in subsection.figures),
    ]
    data = page_data([chart for figure in shown_figures if figure for chart in figure.charts], encoding)
    data |= {"categories": CATEGORIES, "browsers": {browser.benchmark: browser.data() for browser in browsers}}
    observer_names = study.observer_names()
    data["observers"] = _observer_identities(study, observer_names)
    scripts = [vega_script(), _read_resource("report.js")]
    software = software_versions(records or ([writer_record] if writer_record else []))
    return _template().render(
        title=title,
        headline=headline(complete_tables, regimes, people),
        lead=lead,
        cautions=[*missing_networks(study), *cautions(complete_tables, regimes)],
        sections=sections,
        browsers=browsers,
        observer_names=observer_names,
        side=THUMBNAIL_PIXELS,
        categories=CATEGORIES,
        nonempty_tables=nonempty_tables,
        models=encoding.models,
        regimes=[(regime, encoding.label(regime)) for regime in encoding.regimes] + _untrained_option(encoding),
        glossary=regimes.glossary(),
        missing_measurements=missing_measurements(study) if config.get("benchmarks") else [],
        sheets={
            name: EmbeddedImage(data, "webp", f"Sample images: {name}") for name, data in (contact_sheets or {}).items()
        },
        stylized=list(config.get("stylized", {})),
        training=study.figure(
            "training_curves", "Loss and accuracy in training and validation over epochs", numbers=False
        ),
        tables_folder=tables_folder,
        figures_folder=figures_folder,
        answered=list(dict.fromkeys(complete_tables["shape_bias"]["benchmark"])),
        rejected=format_rejected_table(complete_tables["rejected"]),
        rejected_csv=csv_download("rejected", complete_tables["rejected"]),
        undefined=format_undefined_table(complete_tables["undefined"]),
        undefined_csv=csv_download("undefined", complete_tables["undefined"]),
        runs=format_runs_table(records),
        runs_csv=csv_download("runs", complete_tables["runs"]),
        software=software,
        methods=methods_paragraph(study, records, software),
        bibtex=bibtex(study, software),
        # What was used beside software, for those who repeat the study.
        circumstances={
            name: text
            for name, text in (
                ("trained", training_dates(records)),
                ("hardware", join_names(hardware_names(records))),
                ("training images (SHA-256)", training_digests(records, regimes)),
            )
            if text
        },
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True) if config else "",
        data=script_json(data),
        scripts=scripts,
        hashes=[script_hash(script) for script in scripts],
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shapebias.report"),
        autoescape=True,  # a name from a config or a file is text, never markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["units"] = join_units
    return environment.get_template("report.html.j2")


def script_hash(script: str) -> str:
    """Return the hash by which a Content-Security-Policy allows an inline script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _read_resource(name: str) -> str:
    text = (resources.files("shapebias.report") / "templates" / name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


def _untrained_option(encoding: Encoding) -> list[tuple[str, str]]:
    """Return the check box for networks without a regime, or nothing if no network has a regime."""
    return [("", NOT_TRAINED)] if encoding.regimes and len(encoding.models) > 0 else []


def _observer_identities(study: StudyResults, names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return observer → model and regime, by which the check boxes select, and the name on the page."""
    identities: dict[str, dict[str, str]] = {}
    for name in OBSERVER_TABLES:
        table = study.tables[name]
        regimes = table["regime"].astype(object).fillna("").astype(str)
        for observer, model, regime in zip(table["observer"], table["model"], regimes, strict=True):
            name_on_page = names.get(str(observer), str(observer))
            identities.setdefault(str(observer), {"model": str(model), "regime": regime, "name": name_on_page})
    return identities


def make_sections(study: StudyResults) -> list[Section]:
    """Return all sections with content, in the order of the page."""
    candidates = [
        bias_section(study),
        protocols_section(study),
        cost_section(study),
        reliance_section(study),
        critical_band_section(study),
        configural_shape_section(study),
        refined_bias_section(study),
        frequency_bias_section(study),
        laion_c_section(study),
        architectures_section(study),
        likeness_section(study),
        atlas_section(study),
        read_out_section(study),
        melanoma_section(study),
        answers_section(study),
    ]
    return [section for section in candidates if section is not None]


def missing_networks(study: StudyResults) -> list[str]:
    """Return a note that names the networks of the config that the page leaves out, if there are any."""
    if "models" not in study.config:
        return []
    measured = {*all_observers(study)["observer"], *study.tables["melanoma"]["observer"]}
    networks = network_names(study.config)
    missing = [name for name in networks if name not in measured]
    if not missing:
        return []
    return [
        f"This report is incomplete. It leaves out {len(missing)} of {len(networks)} networks, whose results did not "
        f"exist when it was written: {join_names(missing)}."
    ]


def missing_measurements(study: StudyResults) -> list[str]:
    """Return what was not measured, each with the addition to the config that measures it."""
    tables, suggestions = study.tables, []
    if tables["shape_bias"].empty:
        suggestions.append("Shape bias: a benchmark of kind cue_conflict.")
    if tables["accuracy"].empty:
        suggestions.append(
            "Accuracy: a benchmark of kind in_test, silhouettes, edges or one of the model-vs-human sets."
        )
    if tables["error_consistency"].empty or pairs_with_people(tables["error_consistency"]).empty:
        suggestions.append(
            "Likeness to people: people's decisions on a benchmark, as observers pooled under the name people."
        )
    if tables["read_out"].empty:
        suggestions.append("Where the bias arises: read_out: true in a benchmark of kind cue_conflict.")
    if tables["protocols"].empty:
        suggestions.append("Protocols: protocols: true in a benchmark of kind cue_conflict.")
    if tables["reliance"].empty:
        suggestions.append("Reliance without conflict: a benchmark of kind suppressed.")
    if tables["melanoma"].empty:
        suggestions.append(
            "Transfer to melanoma: a benchmark of kind melanoma, and regimes that train on melanoma images."
        )
    return suggestions
