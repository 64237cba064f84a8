"""The encoding of observers, the same in every chart of a report: colours, shapes, names and panels."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from shapebias.figures.style import PEOPLE_COLOR, PRETRAINED_COLOR, FigureStyle, assign_in_order
from shapebias.tables.summaries import PEOPLE, observer_kinds, order_regimes, sort_observers

NOT_TRAINED = "not trained here"
# Names of Vega shapes, or SVG paths in a square from -1 to 1, in the order of figures.style.MARKERS.
CROSS = "M-1.1,-.7L-.7,-1.1L0,-.4L.7,-1.1L1.1,-.7L.4,0L1.1,.7L.7,1.1L0,.4L-.7,1.1L-1.1,.7L-.4,0Z"
PENTAGON = "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z"
HEXAGON = "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z"
STAR = "M0,-1.3L.29,-.4L1.24,-.4L.47,.15L.77,1.05L0,.5L-.77,1.05L-.47,.15L-1.24,-.4L-.29,-.4Z"
SHAPES = ("circle", CROSS, "square", "triangle-up", "triangle-down", "cross", PENTAGON, HEXAGON)
# Columns of a chart's rows that identify the observer and set its place and look.
IDENTITY = ("observer_name", "model", "regime", "group", "series", "panel")
DARK_PAPER = "#16181b"  # dark background in templates/report.css


@dataclass(frozen=True)
class Encoding:
    """Colours and shapes of the observers of a report, the same in every chart.

    If the report has regimes, the colour and the shape show the regime, and panels tell models apart. Otherwise the
    colour shows the model.
    """

    models: list[str]  # people come last, if there are any
    regimes: list[str]
    style: FigureStyle = field(default_factory=FigureStyle)
    labels: Mapping[str, str] = field(default_factory=dict)  # regime → its name on the page

    def label(self, regime: str) -> str:
        label = self.labels.get(regime, regime)
        return f"regime {label}" if label in (PEOPLE, NOT_TRAINED) else label

    @functools.cached_property
    def model_colors(self) -> dict[str, str]:
        networks = [model for model in self.models if model != PEOPLE]
        colors = {model: to_hex(color) for model, color in self.style.distinct_colors(networks).items()}
        return colors | ({PEOPLE: to_hex(PEOPLE_COLOR)} if PEOPLE in self.models else {})

    @functools.cached_property
    def group_colors(self) -> dict[str, str]:
        colors = {self.label(regime): to_hex(c) for regime, c in self.style.regime_colors(self.regimes).items()}
        return colors | {NOT_TRAINED: to_hex(PRETRAINED_COLOR), PEOPLE: to_hex(PEOPLE_COLOR)}

    @property
    def group_shapes(self) -> dict[str, str]:
        return assign_in_order(map(self.label, self.regimes), SHAPES) | {NOT_TRAINED: STAR, PEOPLE: "diamond"}

    @property
    def series_colors(self) -> dict[str, str]:
        return self.group_colors if self.regimes else self.model_colors

    def dark_colors(self) -> dict[str, str]:
        """Return colour → its replacement on a dark background."""
        colors = {*self.model_colors.values(), *self.group_colors.values()}
        return {color: "#ffffff" if color == "#000000" else lighten(color) for color in sorted(colors)}


def make_encoding(
    tables: Iterable[pd.DataFrame],
    style: FigureStyle | None = None,
    *,
    people: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Encoding:
    """Return the encoding for all observers of some tables.

    Models keep their order in the tables, as in the figures; people come last. people: whether to include people even
    if no table holds them. labels: regime → its name on the page.
    """
    nonempty = [table[["observer", "model", "regime"]] for table in tables if len(table)]
    observers = pd.concat(nonempty) if nonempty else pd.DataFrame(columns=["observer", "model", "regime"])
    models = list(dict.fromkeys(observers["model"][observers["model"] != PEOPLE]))
    people = people or bool((observers["model"] == PEOPLE).any())
    regimes = order_regimes(observers["regime"][observer_kinds(observers) == "run"])
    return Encoding([*models, *([PEOPLE] if people else [])], regimes, style or FigureStyle(), labels or {})


def label_observers(table: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Return the table in the order of the figures, with the columns IDENTITY.

    `observer_name` is a name to print. `group` is the regime's label, `people`, or NOT_TRAINED. `series` is the group,
    or the model in a report without regimes; it sets the colour. `panel` is the panel of a chart that has one for each
    model: the model if it was trained here, otherwise the group; empty in a report without regimes. A missing regime
    becomes "", the value of its check box on the page.
    """
    table = sort_observers(table if "seed" in table else table.assign(seed=float("nan")))
    regime = table["regime"].fillna("").astype(str)
    label = regime.map(encoding.label)
    group = label.mask(regime == "", NOT_TRAINED).mask(table["model"] == PEOPLE, PEOPLE)
    observer_name = (table["model"].astype(str) + " " + label).str.strip()
    if table["seed"].notna().any():
        several = table.groupby([table["model"], regime])["seed"].transform("nunique") > 1
        observer_name = observer_name.mask(
            several, observer_name + " seed " + table["seed"].map(lambda seed: f"{seed:g}", na_action="ignore")
        )
    table = table.assign(regime=regime, group=group, observer_name=observer_name)
    if not encoding.regimes:
        return table.assign(series=table["model"], panel="")
    return table.assign(series=group, panel=table["model"].where(regime != "", group))


def lighten(color: str, contrast: float = 4.5) -> str:
    """Return the colour, mixed with just enough white to reach the contrast on a dark background."""
    red, green, blue = to_rgb(color)
    for step in range(21):
        white = step / 20
        mixed = to_hex((white + (1 - white) * red, white + (1 - white) * green, white + (1 - white) * blue))
        if contrast_ratio(mixed, DARK_PAPER) >= contrast:
            return mixed
    return "#ffffff"


def contrast_ratio(first: str, second: str) -> float:
    """Return the contrast ratio, from 1 to 21. Source: Web Content Accessibility Guidelines 2.1."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    """Return the relative luminance, from 0 to 1. Source: Web Content Accessibility Guidelines 2.1."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
