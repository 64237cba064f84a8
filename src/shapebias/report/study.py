"""The inputs of a report, the parts of its sections, and helpers that the sections share."""

import base64
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.report import html_tables
from shapebias.report.charts import Chart
from shapebias.report.encoding import Encoding
from shapebias.report.html_tables import ReportTable
from shapebias.report.wording import typeset_minus
from shapebias.tables.summaries import PEOPLE, observer_kinds, observer_names

# A matrix of more observers would be too small to read and too large to send by mail.
MAX_MATRIX_OBSERVERS = 150  # the cells of more would be a few pixels wide
NUMBERS = "The numbers are in the table below it."
MAX_PDF_BYTES = 200_000  # a larger file stays outside the page, which must remain small enough to send by mail


@dataclass(frozen=True)
class FigureFiles:
    """The files of a figure.

    png, webp: the figure as an image of pixels; one of them stands on the page in place of a large SVG file.
    photographs: whether the figure shows photographs, whose colours a dark page must keep.
    """

    svg: bytes
    pdf: bytes = b""
    png: bytes = b""
    webp: bytes = b""
    photographs: bool = False


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture embedded in the page.

    name, pdf: file name without its ending and PDF file, if it is a figure. is_chart: whether a dark page may invert
    its lightness.
    """

    data: bytes
    kind: str  # svg+xml, png or webp
    alt: str = ""
    name: str = ""
    pdf: bytes = b""
    is_chart: bool = False

    @property
    def uri(self) -> str:
        # An image element, not inline SVG: ids of several SVG files cannot clash, and scripts in a file do not run.
        if self.kind == "svg+xml":
            return f"data:image/svg+xml,{urllib.parse.quote(round_coordinates(self.data.decode()), safe=PLAIN)}"
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def pdf_uri(self) -> str | None:
        """The PDF file, or None if it is missing or has more than MAX_PDF_BYTES."""
        if not 0 < len(self.pdf) <= MAX_PDF_BYTES:
            return None
        return f"data:application/pdf;base64,{base64.b64encode(self.pdf).decode()}"

    @property
    def max_width(self) -> int | None:
        """The largest sensible width in CSS pixels, or None if the file does not state its width."""
        match = (
            re.search(rb'<svg[^>]*?\swidth="([\d.]+)(pt|px)?"', self.data[:5000]) if self.kind == "svg+xml" else None
        )
        if match is None:
            return None
        return round(1.5 * float(match[1]) * (96 / 72 if match[2] == b"pt" else 1))


@dataclass(frozen=True)
class ReportFigure:
    """A picture, the charts that replace it on a screen with JavaScript, and the caption of both."""

    image: EmbeddedImage | None
    caption: str
    width: str = "wide"  # or medium, natural
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class Subsection:
    """The statements, figures and tables of one benchmark in a section."""

    heading: str = ""
    statements: list[str] = field(default_factory=list)
    warning: str = ""
    figures: list[ReportFigure] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A question of the report and the subsections that answer it."""

    id: str
    title: str
    subsections: list[Subsection]


@dataclass(frozen=True)
class StudyResults:
    """The inputs of a report.

    tables: all result tables by name, empty if nothing was measured. people: people's hits on the published stimuli.
    """

    tables: Mapping[str, pd.DataFrame]
    people: pd.DataFrame | None
    figures: Mapping[str, FigureFiles]
    config: Mapping[str, Any]
    encoding: Encoding
    regimes: Regimes = field(default_factory=Regimes)

    def figure(self, name: str, alt: str, *, numbers: bool = True) -> EmbeddedImage | None:
        """Return the figure of this name, or None if it was not drawn.

        numbers: whether a table below the figure holds its numbers.
        """
        if name not in self.figures:
            return None
        text = f"{alt}. {NUMBERS}" if numbers else f"{alt}."
        files = self.figures[name]
        kinds = {"webp": files.webp, "png": files.png, "svg+xml": files.svg}
        kind, data = next((kind, data) for kind, data in kinds.items() if data)
        return EmbeddedImage(data, kind, text, name, files.pdf, not files.photographs)

    def observer_names(self) -> dict[str, str]:
        """Return observer → its name on the page, in the order of the figures."""
        observers = all_observers(self)
        regimes = observers["regime"].astype(object).fillna("").astype(str)
        return observer_names(observers.assign(regime=regimes.map(self.encoding.label)))

    def label_regimes(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the labels of its regimes in place of their names, for sentences."""
        return table.assign(regime=table["regime"].map(self.regimes.label, na_action="ignore"))

    def kind(self, benchmark: str) -> str:
        """Return the kind of a benchmark."""
        kinds = self.tables["benchmarks"].set_index("benchmark")["kind"]
        return str(kinds.get(benchmark, benchmark))

    def origin(self, benchmark: str) -> str:
        """Return who made the images of a benchmark: `stylized here`, `published` or "" (unknown)."""
        origins = self.tables["benchmarks"].set_index("benchmark")["origin"].fillna("")
        return str(origins.get(benchmark, ""))


PLAIN = " \n:/?;,=()[]{}@!$*+-._~'<>&"  # characters that a data URI in quotes may hold as they are


def round_coordinates(svg: str) -> str:
    """Return an SVG file with numbers above 1 rounded to a hundredth of a point, without the space between elements."""
    return re.sub(r">\s+<", "><", re.sub(r"(?<![\w.])(-?[1-9]\d*\.\d{2})\d+", r"\1", svg))


def all_observers(study: StudyResults) -> pd.DataFrame:
    """Return the observers of all benchmarks: rows with observer, model, regime and seed, with repeats."""
    names = ("shape_bias", "accuracy", "accuracy_by_condition", "configural_shape", "refined_bias")
    names += ("frequency_bias", "laion_c")
    return pd.concat([study.tables[name] for name in names], ignore_index=True)


def select_benchmark(table: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    """Return the rows of one benchmark."""
    return table[table["benchmark"] == benchmark]


def format_cells(values: pd.Series) -> list[str]:
    """Return the values with two digits, short enough for the cells of a matrix."""
    return ["" if pd.isna(value) else typeset_minus(f"{value:.2f}") for value in values]


def drop_pooled_people(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without pooled people, whose number of trials per image is the number of persons."""
    return table[observer_kinds(table) != PEOPLE]


def has_people(table: pd.DataFrame) -> bool:
    """Return whether the table holds answers of people."""
    return bool((table["model"] == PEOPLE).any())


def format_intervals(rows: pd.DataFrame, low: str, high: str) -> list[str]:
    """Return the interval of each row as text; low, high: names of the columns."""
    return [html_tables.format_interval(*pair) for pair in zip(rows[low], rows[high], strict=True)]


def format_span(numbers: pd.Series) -> str:
    """Return the range of some counts, as in `160` or `80 to 1,280`."""
    defined = numbers.dropna()
    if defined.empty:
        return "0"
    low, high = f"{int(defined.min()):,}", f"{int(defined.max()):,}"
    return low if low == high else f"{low} to {high}"


def order_by_mean(rows: pd.DataFrame, line: str, value: str) -> list[str]:
    """Return the values of column `line`, ordered by the mean of column `value`, highest first."""
    means: pd.Series = rows.groupby(line)[value].mean().dropna()
    return list(means.sort_values(ascending=False, kind="stable").index)


def nonempty_tables(tables: Sequence[ReportTable]) -> list[ReportTable]:
    """Return the tables that have rows, or a CSV with rows."""
    return [table for table in tables if table.table.rows or (table.csv is not None and table.csv.rows)]


def label_pairs(pairs: pd.DataFrame, study: StudyResults) -> pd.DataFrame:
    """Return the benchmark of each pair and, for both observers, name, model, regime and position in the order."""
    observers = all_observers(study)
    display_names = study.observer_names()
    identities = observers.drop_duplicates("observer").set_index("observer")
    places = {name: place for place, name in enumerate(display_names)}
    rows = pd.DataFrame({"benchmark": pairs["benchmark"]})
    for side in ("1", "2"):
        observer_ids = pairs[f"observer_{side}"]
        rows[f"observer_name_{side}"] = [display_names.get(name, name) for name in observer_ids]
        rows[f"model_{side}"] = [str(identities["model"].get(name, name)) for name in observer_ids]
        rows[f"regime_{side}"] = [
            "" if pd.isna(regime) else regime for regime in observer_ids.map(identities["regime"])
        ]
        rows[f"place_{side}"] = [places.get(name, len(places)) for name in observer_ids]
    return rows
