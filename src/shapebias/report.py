"""The report: tables, figures and records in, one self-contained HTML page out."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
import pandas as pd
import yaml

from shapebias.findings import cautions, headline, melanoma_findings
from shapebias.melanoma import MEASURES
from shapebias.summaries import PEOPLE, in_order, kind_of

MISSING = "–"


@dataclass(frozen=True)
class Image:
    """A picture that travels inside the page."""

    data: bytes
    kind: str  # svg+xml or webp
    alt: str = ""

    @property
    def uri(self) -> str:
        # As an image and not inline, so that the ids of several SVG files cannot clash and no script in one runs.
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Table:
    """Cells as text, ready to print."""

    columns: list[tuple[str, bool]]  # heading; whether its cells are numbers
    rows: list[list[str]] = field(default_factory=list)

    def without_empty_columns(self) -> "Table":
        """Leave out what no row has, such as training where nothing was trained."""
        kept = [i for i in range(len(self.columns)) if any(row[i] != MISSING for row in self.rows)]
        return Table([self.columns[i] for i in kept], [[row[i] for i in kept] for row in self.rows])


def render(
    *,
    title: str,
    tables: Mapping[str, pd.DataFrame],
    people: pd.DataFrame | None = None,
    figures: Mapping[str, bytes],
    contact_sheets: Mapping[str, bytes] | None = None,
    config: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]] = (),
    made_by: Mapping[str, Any] | None = None,
) -> str:
    """Return the page. It makes no request and needs no script; all text from the inputs is escaped.

    tables: shape_bias, cue_accuracy, accuracy, runs and rejected, also melanoma where it was measured;
    people: hits on the published stimuli; figures: SVG files by the names that scripts/figures.py gives them;
    contact_sheets: WebP files by name; config: the whole configuration; records: `run.json` of each run with its
    model and regime; made_by: commit and versions of what writes the page, for studies without runs.
    """
    bias = tables["shape_bias"]
    benchmarks = [
        {
            "name": name,
            "home_made": _home_made(str(name), config),
            "seen_by_people": bool((part["model"] == PEOPLE).any()),
            "by_category": _figure(figures, f"shape_bias_by_category.{name}", f"Shape bias by category on {name}"),
            "overview": _figure(figures, f"shape_bias.{name}", f"Shape bias of every observer on {name}"),
            "table": bias_table(part, tables["cue_accuracy"], tables["runs"]),
        }
        for name, part in bias.groupby("benchmark", sort=False)
    ]
    lesions = [
        {
            "name": name,
            "overview": _figure(figures, f"melanoma.{name}", f"How well each run tells melanomas on {name}"),
            "confusion": _figure(figures, f"melanoma_confusion.{name}", f"Confusion matrix of each run on {name}"),
            "findings": melanoma_findings(part),
            "table": melanoma_table(part, tables["runs"]),
        }
        for name, part in (tables["melanoma"].groupby("benchmark", sort=False) if "melanoma" in tables else ())
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shapebias"),
        autoescape=True,  # a name from a config or a file is text, never markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        headline=headline(bias, people),
        cautions=cautions(bias, tables["cue_accuracy"]),
        benchmarks=benchmarks,
        people=people is not None,
        accuracy_figure=_figure(figures, "accuracy", "Accuracy of every observer on each benchmark"),
        accuracy=accuracy_table(tables["accuracy"]),
        lesions=lesions,
        sheets={name: Image(data, "webp", f"Sample images: {name}") for name, data in (contact_sheets or {}).items()},
        stylized=list(config.get("stylized", {})),
        training_figure=_figure(figures, "training_curves", "Training and validation accuracy over epochs"),
        rejected=rejected_table(tables["rejected"]),
        runs=runs_table(records),
        software=software(records or ([made_by] if made_by else [])),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
    )


def bias_table(shape_bias: pd.DataFrame, cue_accuracy: pd.DataFrame, runs: pd.DataFrame) -> Table:
    """Bias, interval, hits and coverage of every observer, beside how it was trained."""
    coverage = cue_accuracy[["benchmark", "observer", "coverage"]]
    training = runs[["observer", "init", "train_on", "trainable", "epochs", "images_seen"]]
    joined = shape_bias.merge(coverage, on=["benchmark", "observer"], how="left").merge(
        training, on="observer", how="left"
    )
    joined["kind"] = kind_of(joined)
    table = Table(
        [
            *(("model", False), ("regime", False), ("seed", True), ("bias", True), ("95 % interval", True)),
            *(("shape hits", True), ("texture hits", True), ("coverage", True)),
            *(("starts from", False), ("trained on", False), ("trainable", False)),
            *(("epochs", True), ("images seen", True)),
        ]
    )
    for row in in_order(joined).to_dict("records"):
        name = row["observer"] if row["kind"] in (PEOPLE, "person") else row["model"]
        start = "not trained here" if row["kind"] == "pretrained" else row["init"]
        interval = f"{_fraction(row['ci_low'])} to {_fraction(row['ci_high'])}" if pd.notna(row["ci_low"]) else MISSING
        table.rows.append(
            [
                *(_text(name), _text(row["regime"]), _count(row["seed"])),
                *(_fraction(row["shape_bias"], "undefined"), interval),
                *(_count(row["shape_hits"]), _count(row["texture_hits"]), _fraction(row["coverage"])),
                *(_text(start), _text(row["train_on"]), _text(row["trainable"])),
                *(_count(row["epochs"]), _text(row["images_seen"])),
            ]
        )
    return table.without_empty_columns()


def accuracy_table(accuracy: pd.DataFrame) -> Table:
    """Accuracy and its interval for every observer on every benchmark."""
    table = Table(
        [
            *(("benchmark", False), ("by", False), ("model", False), ("regime", False), ("seed", True)),
            *(("images", True), ("correct", True), ("accuracy", True), ("95 % interval", True), ("chance", True)),
        ]
    )
    for row in in_order(accuracy, first=["benchmark", "unit"]).to_dict("records"):
        name = row["observer"] if row["model"] == PEOPLE else row["model"]
        interval = f"{_fraction(row['ci_low'])} to {_fraction(row['ci_high'])}" if pd.notna(row["ci_low"]) else MISSING
        table.rows.append(
            [
                *(_text(row["benchmark"]), _text(row["unit"]), _text(name), _text(row["regime"]), _count(row["seed"])),
                *(_count(row["images"]), _count(row["correct"]), _fraction(row["accuracy"], "undefined")),
                *(interval, _fraction(row["chance"])),
            ]
        )
    return table.without_empty_columns()


def melanoma_table(melanoma: pd.DataFrame, runs: pd.DataFrame) -> Table:
    """Every measure with its interval for every observer, beside what it started from and is compared with."""
    joined = melanoma.merge(runs[["observer", "init"]], on="observer", how="left")
    shown = ["auc", *(name for name in MEASURES if name != "auc"), "auc_difference", "balanced_accuracy_difference"]
    headings = [name.replace("_", " ").replace("auc", "AUC") for name in shown]
    table = Table(
        [
            *(("model", False), ("regime", False), ("seed", True), ("starts from", False)),
            *((heading, True) for name in headings for heading in (name, "95 % interval")),
            *(("compared with", False), ("images", True), ("melanomas", True)),
        ]
    )
    for row in in_order(joined).to_dict("records"):
        cells = []
        for name in shown:
            low, high = (_fraction(row[f"{name}{end}"]) for end in ("_low", "_high"))
            cells += [_fraction(row[name]), MISSING if MISSING in (low, high) else f"{low} to {high}"]
        table.rows.append(
            [
                *(_text(row["model"]), _text(row["regime"]), _count(row["seed"]), _text(row["init"]), *cells),
                *(_text(row["baseline"]), _count(row["images"]), _count(row["melanoma_images"])),
            ]
        )
    return table.without_empty_columns()


def rejected_table(rejected: pd.DataFrame) -> Table:
    """Images that were set aside, with the reason."""
    names = ["set", "split", "file", "reason"]
    rows = [[_text(value) for value in row] for row in rejected[names].itertuples(index=False)]
    return Table([(name, False) for name in names], rows)


def runs_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """When, where and how long each run was trained."""
    stages = list(dict.fromkeys(stage for record in records for stage in record.get("seconds", {})))
    table = Table(
        [
            *(("model", False), ("regime", False), ("seed", True), ("timm", False), ("started", False)),
            *(("device", False), ("threads", True), ("steps", True), ("kept epoch", True)),
            *((f"{stage}, s", True) for stage in stages),
        ]
    )
    keys = ["model", "regime", "seed"]
    order = in_order(pd.DataFrame([[record[key] for key in keys] for record in records], columns=keys)).index
    for record in (records[i] for i in order):
        seconds = record.get("seconds", {})
        table.rows.append(
            [
                *(_text(record["model"]), _text(record["regime"]), _count(record.get("seed"))),
                *(_text(record.get("timm")), _text(record.get("started"))[:16].replace("T", " ")),
                *(_text(record.get("device")), _count(record.get("threads")), _count(record.get("steps"))),
                _count(record.get("best_epoch")),
                *(f"{seconds[stage]:,.1f}" if stage in seconds else MISSING for stage in stages),
            ]
        )
    return table


def software(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Commit and versions; several where the runs differ."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in {"commit": record.get("commit"), **record.get("versions", {})}.items():
            found.setdefault(name, {})[_text(version)] = None
    return {name: ", ".join(versions) for name, versions in found.items()}


def _home_made(benchmark: str, config: Mapping[str, Any]) -> bool:
    images = config.get("benchmarks", {}).get(benchmark, {}).get("images")
    return isinstance(images, str) and images in config.get("stylized", {})


def _figure(figures: Mapping[str, bytes], name: str, alt: str) -> Image | None:
    return Image(figures[name], "svg+xml", f"{alt}; the numbers are in the table below.") if name in figures else None


def _fraction(value: Any, missing: str = MISSING) -> str:
    return missing if pd.isna(value) else f"{value:.3f}"


def _count(value: Any) -> str:
    return MISSING if value is None or pd.isna(value) else f"{int(value):,}"


def _text(value: Any) -> str:
    return MISSING if value is None or (isinstance(value, float) and pd.isna(value)) else str(value)
