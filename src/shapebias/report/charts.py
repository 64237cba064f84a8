"""Interactive charts: Vega-Lite specifications from rows of the result tables.

Charts and figures share one encoding. The marker shows the regime; people are diamonds, and networks not trained here
are stars. The colour shows the regime if each observer has its own line, otherwise the model. A specification holds no
data: the page stores the rows separately, so that it can filter models and regimes, and sort.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd
import vl_convert
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
DASHES = ([1, 0], [5, 2], [1, 2], [5, 2, 1, 2], [8, 2, 1, 1], [3, 4])
FRACTION = alt.Scale(domain=[-0.02, 1.02], nice=False)  # the margin keeps markers at both ends complete
TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
DARK_PAPER = "#16181b"  # dark background in templates/report.css
ROW_HEIGHT = 22  # pixels
DOTS_STEP = 30  # pixels per line, shared by all observers
MAX_NUMBERED_OBSERVERS = 20  # a larger matrix has no room for numbers in its cells


@dataclass(frozen=True)
class Control:
    """A menu beside a chart.

    role: `sort` orders by the chosen column; `pick` shows only rows whose `column` equals the chosen value.
    """

    label: str
    role: str
    options: list[tuple[str, str]]  # (value, label)
    column: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart: a specification without data, its rows, and its menus."""

    name: str
    description: str
    spec: dict[str, Any]
    rows: pd.DataFrame
    controls: list[Control] = field(default_factory=list)
    heading: str = ""
    pairs: bool = False  # each row describes two observers, with columns model_1 and model_2
    max_width: int = 0  # pixels; 0: the width of the page
    value: str = ""  # for pairs: the column that sets the colour


@dataclass(frozen=True)
class Encoding:
    """Colours, shapes and dashes of the observers of a report, the same in every chart."""

    models: list[str]  # people come last, if there are any
    regimes: list[str]
    style: FigureStyle = field(default_factory=FigureStyle)
    labels: Mapping[str, str] = field(default_factory=dict)  # regime → its name on the page

    def label(self, regime: str) -> str:
        return self.labels.get(regime, regime)

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
    def group_dashes(self) -> dict[str, list[int]]:
        return assign_in_order(map(self.label, self.regimes), DASHES) | {NOT_TRAINED: DASHES[0], PEOPLE: DASHES[0]}

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
    """Return the table in the order of the figures, with two columns more.

    `observer_name` is a name to print. `group` is the regime's label, `people`, or NOT_TRAINED. A missing regime
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
    return table.assign(regime=regime, group=group, observer_name=observer_name)


# Charts


def forest_chart(
    name: str,
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    reference: float | None = None,
    domain: tuple[float, float] | None = None,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    heading: str = "",
) -> Chart:
    """Return a chart with one line per observer, showing its value and its interval.

    rows: result of `label_observers`. value: (column, title). tooltip: pairs of (column, title). reference: position of
    a dashed line. domain: limits of the axis, by default those of a fraction.
    """
    column, title = value
    rows = rows.assign(as_listed=range(len(rows)), by_value=(-rows[column]).rank(method="first", na_option="bottom"))
    rows["by_name"] = rows["observer_name"].rank(method="first")
    y = alt.Y(
        "observer_name:N",
        sort=alt.EncodingSortField("order", op="min"),
        title=None,
        axis=alt.Axis(grid=True, ticks=False),
    )
    scale = alt.Scale(domain=list(domain), nice=False) if domain else FRACTION
    x = alt.X(
        f"{column}:Q",
        title=title,
        scale=scale,
        axis=alt.Axis(tickCount=6) if domain else alt.Axis(values=TENTHS, tickCount=10),
    )
    shared = {"y": y, "color": _color("group", encoding.group_colors, rows["group"]), "tooltip": _tooltip(tooltip)}
    bar, point = make_mark("rule", strokeWidth=3, opacity=0.55), make_mark("point", filled=True, size=90, opacity=1)
    layers = [_line_at(reference, x)] if reference is not None else []
    layers.append(bar.encode(x=_with_column(x, bounds[0]), x2=f"{bounds[1]}:Q", **shared))
    layers.append(point.encode(x=x, shape=_shape(encoding.group_shapes, rows["group"]), **shared))
    sorts = [("as_listed", "as listed"), ("by_value", f"by {title.partition(' (')[0]}"), ("by_name", "by name")]
    return Chart(
        name,
        description,
        _spec(alt.layer(*layers), height=alt.Step(ROW_HEIGHT)),
        rows,
        [Control("Sort", "sort", sorts)],
        heading,
    )


def dot_chart(
    name: str,
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    row: str,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    reference: float | None = None,
    chance: str = "",
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    sorts: Mapping[str, Sequence[str]],
    picks: Sequence[Control] = (),
) -> Chart:
    """Return a chart with one line per category or benchmark, and one marker with interval per observer.

    row: column of the lines. chance: column of the chance level. sorts: label of the menu → lines from top to bottom.
    """
    column, title = value
    rows = rows.copy()
    for i, names in enumerate(sorts.values()):
        rows[f"sort{i}"] = rows[row].map({line: place for place, line in enumerate(names)})
    axis = alt.Axis(grid=True, ticks=False, tickBand="extent")
    y = alt.Y(f"{row}:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=axis)
    x = alt.X(f"{column}:Q", title=title, scale=FRACTION, axis=alt.Axis(values=TENTHS, tickCount=10))
    offset = alt.YOffset("observer_name:N", sort=None)
    point, bar = make_mark("point", filled=True, size=60, opacity=0.9), make_mark("rule", strokeWidth=1.4, opacity=0.4)
    color = _color("model", encoding.model_colors, rows["model"])
    layers = [_line_at(reference, x)] if reference is not None else []
    if chance:
        chance_tick = make_mark("tick", orient="vertical", size=DOTS_STEP, thickness=1, color="#808080", opacity=1)
        layers.append(chance_tick.encode(x=_with_column(x, chance), y=y))
    layers.append(bar.encode(x=_with_column(x, bounds[0]), x2=f"{bounds[1]}:Q", y=y, yOffset=offset, color=color))
    layers.append(
        point.encode(
            x=x,
            y=y,
            yOffset=offset,
            color=color,
            shape=_shape(encoding.group_shapes, rows["group"]),
            tooltip=_tooltip(tooltip),
        )
    )
    step = {"step": DOTS_STEP, "for": "position"}
    control = Control("Sort", "sort", [(f"sort{i}", label) for i, label in enumerate(sorts)])
    return Chart(name, description, _spec(alt.layer(*layers), height=step), rows, [control, *picks])


def cue_plane_chart(
    name: str,
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    description: str,
    tooltip: Sequence[tuple[str, str]],
    chance: float,
) -> Chart:
    """Return a chart of texture answers (x) and shape answers (y); on the diagonal, the bias is one half.

    chance: the share of each cue in the answers of an observer that guesses; a cross marks it.
    """
    highest = float(rows[["shape_accuracy", "texture_accuracy"]].max(axis=None))
    scale = alt.Scale(domain=[0, min(1.0, 1.08 * highest) if highest > 0 else 1.0], nice=False)
    axis = alt.Axis(tickCount=5)
    x = alt.X("texture_accuracy:Q", title="share of texture answers", scale=scale, axis=axis)
    y = alt.Y("shape_accuracy:Q", title="share of shape answers", scale=scale, axis=axis)
    color = _color("model", encoding.model_colors, rows["model"])
    ends = pd.DataFrame({"x": [0, 1], "y": [0, 1]}).to_dict("records")
    diagonal = make_mark("line", alt.Data(values=ends), strokeDash=[4, 3], strokeWidth=1, color="#808080", clip=True)
    bars, point = make_mark("rule", opacity=0.45), make_mark("point", filled=True, size=90, opacity=1)
    guess = pd.DataFrame({"x": [chance], "y": [chance], "text": ["guessing"]}).to_dict("records")
    guessing = make_mark("point", alt.Data(values=guess), shape="cross", size=120, color="#808080", filled=False)
    guessing_text = make_mark("text", alt.Data(values=guess), dx=9, dy=12, align="left", color="#808080", fontSize=11)
    layers = [
        diagonal.encode(x=_with_column(x, "x"), y=_with_column(y, "y")),
        guessing.encode(x=_with_column(x, "x"), y=_with_column(y, "y")),
        guessing_text.encode(x=_with_column(x, "x"), y=_with_column(y, "y"), text="text:N"),
        bars.encode(x=x, y="shape_low:Q", y2="shape_high:Q", color=color),
        bars.encode(x="texture_low:Q", x2="texture_high:Q", y=y, color=color),
        point.encode(
            x=x, y=y, color=color, shape=_shape(encoding.group_shapes, rows["group"]), tooltip=_tooltip(tooltip)
        ),
    ]
    return Chart(name, description, _spec(alt.layer(*layers), height=380), rows)


def line_chart(
    name: str,
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    x: tuple[str, str],
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    ordered: bool = False,
    highest: float = 1.0,
    picks: Sequence[Control] = (),
    heading: str = "",
    apart: float | None = None,
) -> Chart:
    """Return a chart with one curve per observer.

    x: (column, title). ordered: whether x holds names, in the order of a column `place`; otherwise x holds numbers.
    apart: a value of x whose points no line joins to the others.
    """
    column, title = value
    if ordered:
        across = alt.X(
            f"{x[0]}:N", title=x[1], sort=alt.EncodingSortField("place", op="min"), axis=alt.Axis(labelAngle=0)
        )
    else:
        scale = alt.Scale(nice=False, padding=8)
        across = alt.X(f"{x[0]}:Q", title=x[1], scale=scale, axis=alt.Axis(tickCount=5))
    scale = alt.Scale(domain=[0, highest], nice=False)
    up = alt.Y(f"{column}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))
    rows = rows.assign(joined=rows[x[0]] != apart)
    color, detail = _color("model", encoding.model_colors, rows["model"]), alt.Detail(["observer_name:N", "joined:N"])
    order = alt.Order("place:Q") if ordered else alt.Order(f"{x[0]}:Q")
    dash = alt.StrokeDash(
        "group:N", title=_group_title(rows["group"]), scale=_scale(encoding.group_dashes, rows["group"])
    )
    curve, bar = make_mark("line", strokeWidth=1.6, opacity=0.85), make_mark("rule", opacity=0.4)
    point = make_mark("point", filled=True, size=55, opacity=1)
    shape = _shape(encoding.group_shapes, rows["group"])
    layers = [
        curve.encode(x=across, y=up, color=color, strokeDash=dash, detail=detail, order=order),
        bar.encode(x=across, y=f"{bounds[0]}:Q", y2=f"{bounds[1]}:Q", color=color),
        point.encode(x=across, y=up, color=color, shape=shape, tooltip=_tooltip(tooltip)),
    ]
    return Chart(name, description, _spec(alt.layer(*layers), height=300), rows, list(picks), heading)


def matrix_chart(
    name: str,
    pairs: pd.DataFrame,
    *,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    picks: Sequence[Control] = (),
) -> Chart:
    """Return a matrix with one cell per ordered pair of observers.

    pairs: columns observer_name_1, model_1, regime_1, place_1, the same with _2, and `cell`, the number to print. The
    colour scale ends at the largest visible value: the page sets its parameter `end`.
    """
    column, title = value
    column_axis = alt.Axis(labelAngle=-90, labelLimit=140, labelOverlap="greedy", ticks=False, domain=False)
    end_parameter = alt.param(name="end", value=color_limit(pairs[column]))
    ends = [alt.ExprRef("-end"), alt.ExprRef("end")]
    x = alt.X("observer_name_2:N", title=None, sort=alt.EncodingSortField("place_2", op="min"), axis=column_axis)
    row_axis = alt.Axis(labelOverlap="greedy", ticks=False, domain=False)
    y = alt.Y("observer_name_1:N", title=None, sort=alt.EncodingSortField("place_1", op="min"), axis=row_axis)
    square = make_mark("rect", stroke=None).encode(
        x=x,
        y=y,
        # As in the figures: orange is negative, purple positive.
        color=alt.Color(
            f"{column}:Q",
            title=title,
            scale=alt.Scale(domain=ends, scheme="purpleorange", reverse=True),
            legend=alt.Legend(format=".1f"),
        ),
        tooltip=_tooltip(tooltip),
    )
    layers = [square]
    observers = pairs["observer_name_1"].nunique()
    if observers <= MAX_NUMBERED_OBSERVERS:
        # Hide numbers in cells too narrow for four characters. Print white on dark cells.
        size = alt.ExprRef(f"width / {observers} < 30 ? 0 : 10")
        number = make_mark("text", fontSize=size, baseline="middle")
        ink = alt.condition(f"abs(datum.{column}) > 0.6 * end", alt.value("#ffffff"), alt.value("#1c1e21"))
        layers.append(number.encode(x=x, y=y, text="cell:N", color=ink, tooltip=_tooltip(tooltip)))
    max_width = 220 + 44 * observers
    spec = _spec(alt.layer(*layers).add_params(end_parameter), height=alt.Step(22))
    return Chart(name, description, spec, pairs, list(picks), pairs=True, max_width=max_width, value=column)


def color_limit(values: pd.Series) -> float:
    """Return the end of the colour scale of a matrix; the scale is symmetric around 0."""
    return max(0.2, float(values.abs().max())) if values.notna().any() else 1.0


def swap_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with both observers swapped: columns ending in _1 end in _2, and vice versa."""
    ends = {"_1": "_2", "_2": "_1"}
    return pairs.rename(columns={name: f"{name[:-2]}{ends[name[-2:]]}" for name in pairs if name[-2:] in ends})


# Parts of a specification


def make_mark(kind: str, data: alt.Data | None = None, **style: Any) -> Any:
    """Return a chart with one kind of mark and no encoding; without `data`, the chart shows the rows of the page."""
    chart = alt.Chart() if data is None else alt.Chart(data)
    return getattr(chart, f"mark_{kind}")(**style)


def _spec(chart: Any, height: Any) -> dict[str, Any]:
    spec = chart.properties(width="container").to_dict(validate=True)
    # The page supplies the rows. Layers keep only data of their own, not the empty data that Altair adds.
    for layer in spec.get("layer", []):
        if "values" not in layer.get("data", {}):
            layer.pop("data", None)
    spec["data"], spec["height"] = {"name": "rows"}, height.to_dict() if isinstance(height, alt.Step) else height
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # fill the width of the page
    for name in ("config", "datasets"):  # the theme of Altair, and the empty data
        spec.pop(name, None)
    return spec


def _line_at(value: float, x: alt.X) -> Any:
    data = alt.Data(values=[{"at": value}])
    return make_mark("rule", data, strokeDash=[4, 3], strokeWidth=1, color="#808080").encode(x=_with_column(x, "at"))


def _with_column(axis: Any, column: str) -> Any:
    """Return a copy of the axis for another column. Layers share an axis, so all of them must set the same options."""
    copy = axis.copy()
    copy.shorthand = f"{column}:Q"
    return copy


def _tooltip(columns: Sequence[tuple[str, str]]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:N", title=title) for column, title in columns]


def _color(column: str, colors: Mapping[str, str], values: pd.Series) -> alt.Color:
    title = _group_title(values) if column == "group" else column
    return alt.Color(f"{column}:N", title=title, scale=_scale(colors, values))


def _shape(shapes: Mapping[str, str], values: pd.Series) -> alt.Shape:
    return alt.Shape("group:N", title=_group_title(values), scale=_scale(shapes, values))


def _group_title(values: pd.Series) -> str:
    """Return the title of a legend of groups: `regime`, `observer`, or both if regimes and other groups mix."""
    is_other = values.isin([NOT_TRAINED, PEOPLE])
    return "observer" if is_other.all() else "regime or observer" if is_other.any() else "regime"


def _scale(encodings: Mapping[str, Any], values: pd.Series) -> alt.Scale:
    present = set(values)
    domain = [name for name in encodings if name in present]
    return alt.Scale(domain=domain, range=[encodings[name] for name in domain])


# Data for the page


def json_columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """Return column → values for JSON: numbers rounded to four digits, None for NaN."""
    columns = {}
    for name in rows:
        values = rows[name]
        if pd.api.types.is_float_dtype(values):
            values = values.round(4)
        columns[str(name)] = [
            None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)
        ]
    return columns


def page_data(charts: Iterable[Chart], encoding: Encoding) -> dict[str, Any]:
    """Return the data from which the page's script draws the charts."""
    return {
        "charts": {
            chart.name: {
                "spec": chart.spec,
                "description": chart.description,
                "rows": json_columns(chart.rows),
                "pairs": chart.pairs,
                "value": chart.value,
            }
            for chart in charts
        },
        "dark": encoding.dark_colors(),
    }


def script_json(value: Any) -> str:
    """Return JSON that is safe inside <script>: no text can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@functools.cache
def vega_script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets `window.vegaEmbed`."""
    # In a string or a pattern of a script, "\/" means "/"; "</script" appears nowhere else.
    return (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        .replace("\r\n", "\n")
        .replace("</script", "<\\/script")
    )


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
