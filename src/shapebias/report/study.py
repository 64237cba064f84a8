"""What a report is made from, and the parts that its sections are made of."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias.report import charts, html_tables
from shapebias.report.charts import Chart
from shapebias.report.html_tables import Grid
from shapebias.tables.summaries import PEOPLE, observer_kinds, observer_names

# Observers in a matrix of pairs: more would be too small to see, and too much to send around.
LARGEST_MATRIX = 60
NUMBERS = "The numbers are in the table below it."


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

    @property
    def widest(self) -> int | None:
        """Pixels of the page beyond which it would look coarse; None where the file does not say how wide it is."""
        found = (
            re.search(rb'<svg[^>]*?\swidth="([\d.]+)(pt|px)?"', self.data[:5000]) if self.kind == "svg+xml" else None
        )
        if found is None:
            return None
        return round(1.3 * float(found[1]) * (96 / 72 if found[2] == b"pt" else 1))


@dataclass(frozen=True)
class Figure:
    """A picture, the charts that take its place on a screen with JavaScript, and how to read both."""

    image: Image | None
    caption: str
    width: str = "wide"  # or medium, natural
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """What a section says about one benchmark."""

    heading: str = ""
    answers: list[str] = field(default_factory=list)
    warning: str = ""
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A question and its answers."""

    id: str
    title: str
    parts: list[Part]


@dataclass(frozen=True)
class Study:
    """All that a report is made from. tables: every one of the result tables, empty where nothing was measured."""

    tables: Mapping[str, pd.DataFrame]
    people: pd.DataFrame | None
    figures: Mapping[str, bytes]
    config: Mapping[str, Any]
    looks: charts.Looks

    def figure(self, name: str, alt: str, *, numbers: bool = True) -> Image | None:
        """The SVG of this name, if it was drawn; numbers: whether a table below has them."""
        told = f"{alt}. {NUMBERS}" if numbers else f"{alt}."
        return Image(self.figures[name], "svg+xml", told) if name in self.figures else None

    def kind(self, benchmark: str) -> str:
        """The kind of a benchmark, where a config says it."""
        return str(self.config.get("benchmarks", {}).get(benchmark, {}).get("kind", benchmark))

    def home_made(self, benchmark: str) -> bool:
        """Whether its images were stylized here."""
        images = self.config.get("benchmarks", {}).get(benchmark, {}).get("images")
        return isinstance(images, str) and images in self.config.get("stylized", {})

    def runs_of_several_regimes(self) -> bool:
        return len(self.looks.regimes) > 1


def everyone(study: Study) -> pd.DataFrame:
    """Who answered on any benchmark: rows with observer, model, regime and seed."""
    names = ("shape_bias", "accuracy", "accuracy_by_condition")
    return pd.concat([study.tables[name] for name in names], ignore_index=True)


def of_benchmark(table: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    return table[table["benchmark"] == benchmark]


def cells(values: pd.Series) -> list[str]:
    """Short enough to stand in a square of a matrix."""
    return ["" if pd.isna(value) else html_tables.minus(f"{value:.2f}") for value in values]


def single(table: pd.DataFrame) -> pd.DataFrame:
    """Without people together, who have as many trials on one image as there are persons."""
    return table[observer_kinds(table) != PEOPLE]


def has_people(table: pd.DataFrame) -> bool:
    return bool((table["model"] == PEOPLE).any())


def intervals(rows: pd.DataFrame, low: str, high: str) -> list[str]:
    return [html_tables.interval(*pair) for pair in zip(rows[low], rows[high], strict=True)]


def span(numbers: pd.Series) -> str:
    """`160` or `80 to 1,280`."""
    known = numbers.dropna()
    if known.empty:
        return "0"
    low, high = f"{int(known.min()):,}", f"{int(known.max()):,}"
    return low if low == high else f"{low} to {high}"


def by_mean(rows: pd.DataFrame, line: str, value: str) -> list[str]:
    """The lines by their mean value, highest first."""
    means: pd.Series = rows.groupby(line)[value].mean().dropna()
    return list(means.sort_values(ascending=False, kind="stable").index)


def grids_with_rows(grids: Sequence[Grid]) -> list[Grid]:
    """Tables that have rows, or at least a CSV to take."""
    return [grid for grid in grids if grid.table.rows or (grid.csv is not None and grid.csv.rows)]


def pair_rows(pairs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """benchmark, and for each side of a pair: who, model, regime, and the place among all observers."""
    found = everyone(study)
    named = observer_names(found)
    facts = found.drop_duplicates("observer").set_index("observer")
    places = {name: place for place, name in enumerate(named)}
    rows = pd.DataFrame({"benchmark": pairs["benchmark"]})
    for side in ("1", "2"):
        names = pairs[f"observer_{side}"]
        rows[f"who_{side}"] = [named.get(name, name) for name in names]
        rows[f"model_{side}"] = [str(facts["model"].get(name, name)) for name in names]
        rows[f"regime_{side}"] = ["" if pd.isna(regime) else regime for regime in names.map(facts["regime"])]
        rows[f"place_{side}"] = [places.get(name, len(places)) for name in names]
    return rows
