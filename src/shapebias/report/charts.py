"""Charts to look closer at: rows of the result tables in, Vega-Lite specifications out.

One encoding with the figures: a marker is a regime, people are diamonds, networks not trained here are stars; colour
is the regime where observers are on the rows, and the model elsewhere. A specification holds no data: the page keeps
the rows apart, so that it can leave out models and regimes, and sort.
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
# Vega's shapes, or paths in a square from -1 to 1, in the order of figure_style.MARKERS.
CROSS = "M-1.1,-.7L-.7,-1.1L0,-.4L.7,-1.1L1.1,-.7L.4,0L1.1,.7L.7,1.1L0,.4L-.7,1.1L-1.1,.7L-.4,0Z"
PENTAGON = "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z"
HEXAGON = "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z"
STAR = "M0,-1.3L.29,-.4L1.24,-.4L.47,.15L.77,1.05L0,.5L-.77,1.05L-.47,.15L-1.24,-.4L-.29,-.4Z"
SHAPES = ("circle", CROSS, "square", "triangle-up", "triangle-down", "cross", PENTAGON, HEXAGON)
DASHES = ([1, 0], [5, 2], [1, 2], [5, 2, 1, 2], [8, 2, 1, 1], [3, 4])
FRACTION = alt.Scale(domain=[-0.02, 1.02], nice=False)  # markers at either end are not cut
TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
DARK_PAPER = "#16181b"  # of templates/report.css
ROW_HEIGHT = 22  # pixels
DOTS_STEP = 30  # pixels a line, of all observers together
MOST_CELLS = 20  # observers of a matrix whose squares still have room for a number


@dataclass(frozen=True)
class Control:
    """A choice beside a chart.

    role: `sort`, by the column that is chosen, or `pick`, the rows whose `column` has the value.
    """

    label: str
    role: str
    options: list[tuple[str, str]]  # value, what the reader sees
    column: str = ""


@dataclass(frozen=True)
class Chart:
    """One chart: a specification without data, its rows, and what can be chosen beside it."""

    name: str
    description: str
    spec: dict[str, Any]
    rows: pd.DataFrame
    controls: list[Control] = field(default_factory=list)
    heading: str = ""
    pairs: bool = False  # each row is about two observers, model_1 and model_2
    widest: int = 0  # pixels; 0: as wide as the page
    value: str = ""  # of pairs: the column that is coloured


@dataclass(frozen=True)
class Looks:
    """Colours and shapes of the observers of a report, the same in every chart."""

    models: list[str]  # people are the last of them, if there are any
    regimes: list[str]
    style: FigureStyle = field(default_factory=FigureStyle)

    @functools.cached_property
    def model_colors(self) -> dict[str, str]:
        named = [model for model in self.models if model != PEOPLE]
        colors = {model: to_hex(color) for model, color in self.style.distinct_colors(named).items()}
        return colors | ({PEOPLE: to_hex(PEOPLE_COLOR)} if PEOPLE in self.models else {})

    @functools.cached_property
    def look_colors(self) -> dict[str, str]:
        colors = {regime: to_hex(color) for regime, color in self.style.regime_colors(self.regimes).items()}
        return colors | {NOT_TRAINED: to_hex(PRETRAINED_COLOR), PEOPLE: to_hex(PEOPLE_COLOR)}

    @property
    def look_shapes(self) -> dict[str, str]:
        return assign_in_order(self.regimes, SHAPES) | {NOT_TRAINED: STAR, PEOPLE: "diamond"}

    @property
    def look_dashes(self) -> dict[str, list[int]]:
        return assign_in_order(self.regimes, DASHES) | {NOT_TRAINED: DASHES[0], PEOPLE: DASHES[0]}

    def dark(self) -> dict[str, str]:
        """Colour → the one that takes its place on dark paper."""
        colors = {*self.model_colors.values(), *self.look_colors.values()}
        return {color: "#ffffff" if color == "#000000" else lightened(color) for color in sorted(colors)}


def looks_of(tables: Iterable[pd.DataFrame], style: FigureStyle | None = None, *, people: bool = False) -> Looks:
    """Who answers in any of some tables, models in the order in which they appear, as in the figures; people last.

    people: whether to count on them also if they are in none of the tables.
    """
    found = [table[["observer", "model", "regime"]] for table in tables if len(table)]
    everyone = pd.concat(found) if found else pd.DataFrame(columns=["observer", "model", "regime"])
    models = list(dict.fromkeys(everyone["model"][everyone["model"] != PEOPLE]))
    people = people or bool((everyone["model"] == PEOPLE).any())
    regimes = order_regimes(everyone["regime"][observer_kinds(everyone) == "run"])
    return Looks([*models, *([PEOPLE] if people else [])], regimes, style or FigureStyle())


def observer_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The table, in the order of figures, with what charts tell observers apart by.

    That is `who` (a name to read) and `look` (the regime, or what it is). Missing regimes become "", as the page's
    check boxes know them.
    """
    table = sort_observers(table if "seed" in table else table.assign(seed=float("nan")))
    regime = table["regime"].fillna("").astype(str)
    look = regime.mask(regime == "", NOT_TRAINED).mask(table["model"] == PEOPLE, PEOPLE)
    who = (table["model"].astype(str) + " " + regime).str.strip()
    if table["seed"].notna().any():
        several = table.groupby([table["model"], regime])["seed"].transform("nunique") > 1
        who = who.mask(several, who + " seed " + table["seed"].map(lambda seed: f"{seed:g}", na_action="ignore"))
    return table.assign(regime=regime, look=look, who=who)


# Charts


def forest(
    name: str,
    rows: pd.DataFrame,
    looks: Looks,
    *,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    reference: float | None = None,
    domain: tuple[float, float] | None = None,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    heading: str = "",
) -> Chart:
    """One line an observer: its value and its interval.

    rows: of `observer_rows`; value: column and title; tooltip: column and title each; reference: where a line stands;
    domain: of the axis, else that of a fraction.
    """
    column, title = value
    rows = rows.assign(given=range(len(rows)), by_value=(-rows[column]).rank(method="first", na_option="bottom"))
    rows["by_name"] = rows["who"].rank(method="first")
    y = alt.Y("who:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=alt.Axis(grid=True, ticks=False))
    scale = alt.Scale(domain=list(domain), nice=False) if domain else FRACTION
    x = alt.X(
        f"{column}:Q",
        title=title,
        scale=scale,
        axis=alt.Axis(tickCount=6) if domain else alt.Axis(values=TENTHS, tickCount=10),
    )
    shared = {"y": y, "color": _color("look", looks.look_colors, rows["look"]), "tooltip": _tooltip(tooltip)}
    bar, point = mark("rule", strokeWidth=3, opacity=0.55), mark("point", filled=True, size=90, opacity=1)
    layers = [_line_at(reference, x)] if reference is not None else []
    layers.append(bar.encode(x=_other(x, bounds[0]), x2=f"{bounds[1]}:Q", **shared))
    layers.append(point.encode(x=x, shape=_shape(looks.look_shapes, rows["look"]), **shared))
    sorts = [("given", "as listed"), ("by_value", f"by {title.partition(' (')[0]}"), ("by_name", "by name")]
    return Chart(
        name,
        description,
        _spec(alt.layer(*layers), height=alt.Step(ROW_HEIGHT)),
        rows,
        [Control("Sort", "sort", sorts)],
        heading,
    )


def dots(
    name: str,
    rows: pd.DataFrame,
    looks: Looks,
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
    """One line a category or a benchmark (`row`), a marker an observer, with its interval.

    chance: the column that says where guessing is. sorts: what the reader sees → the lines in that order, from the top.
    """
    column, title = value
    rows = rows.copy()
    for i, names in enumerate(sorts.values()):
        rows[f"sort{i}"] = rows[row].map({line: place for place, line in enumerate(names)})
    axis = alt.Axis(grid=True, ticks=False, tickBand="extent")
    y = alt.Y(f"{row}:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=axis)
    x = alt.X(f"{column}:Q", title=title, scale=FRACTION, axis=alt.Axis(values=TENTHS, tickCount=10))
    offset = alt.YOffset("who:N", sort=None)
    point, bar = mark("point", filled=True, size=60, opacity=0.9), mark("rule", strokeWidth=1.4, opacity=0.4)
    color = _color("model", looks.model_colors, rows["model"])
    layers = [_line_at(reference, x)] if reference is not None else []
    if chance:
        guessed = mark("tick", orient="vertical", size=DOTS_STEP, thickness=1, color="#808080", opacity=1)
        layers.append(guessed.encode(x=_other(x, chance), y=y))
    layers.append(bar.encode(x=_other(x, bounds[0]), x2=f"{bounds[1]}:Q", y=y, yOffset=offset, color=color))
    layers.append(
        point.encode(
            x=x,
            y=y,
            yOffset=offset,
            color=color,
            shape=_shape(looks.look_shapes, rows["look"]),
            tooltip=_tooltip(tooltip),
        )
    )
    step = {"step": DOTS_STEP, "for": "position"}
    control = Control("Sort", "sort", [(f"sort{i}", label) for i, label in enumerate(sorts)])
    return Chart(name, description, _spec(alt.layer(*layers), height=step), rows, [control, *picks])


def plane(
    name: str,
    rows: pd.DataFrame,
    looks: Looks,
    *,
    description: str,
    tooltip: Sequence[tuple[str, str]],
) -> Chart:
    """Texture answers (x) against shape answers (y), a marker an observer; on the diagonal, bias is one half."""
    highest = float(rows[["shape_accuracy", "texture_accuracy"]].max(axis=None))
    scale = alt.Scale(domain=[0, min(1.0, 1.08 * highest) if highest > 0 else 1.0], nice=False)
    few = alt.Axis(tickCount=5)
    x = alt.X("texture_accuracy:Q", title="share answered with the texture", scale=scale, axis=few)
    y = alt.Y("shape_accuracy:Q", title="share answered with the shape", scale=scale, axis=few)
    color = _color("model", looks.model_colors, rows["model"])
    ends = pd.DataFrame({"x": [0, 1], "y": [0, 1]}).to_dict("records")
    diagonal = mark("line", alt.Data(values=ends), strokeDash=[4, 3], strokeWidth=1, color="#808080", clip=True)
    bars, point = mark("rule", opacity=0.45), mark("point", filled=True, size=90, opacity=1)
    layers = [
        diagonal.encode(x=_other(x, "x"), y=_other(y, "y")),
        bars.encode(x=x, y="shape_low:Q", y2="shape_high:Q", color=color),
        bars.encode(x="texture_low:Q", x2="texture_high:Q", y=y, color=color),
        point.encode(x=x, y=y, color=color, shape=_shape(looks.look_shapes, rows["look"]), tooltip=_tooltip(tooltip)),
    ]
    return Chart(name, description, _spec(alt.layer(*layers), height=380), rows)


def lines(
    name: str,
    rows: pd.DataFrame,
    looks: Looks,
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
) -> Chart:
    """One curve an observer.

    x: column and title, numbers, or names (`ordered`) in the order of a column `place`.
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
    color, detail = _color("model", looks.model_colors, rows["model"]), alt.Detail("who:N")
    order = alt.Order("place:Q") if ordered else alt.Order(f"{x[0]}:Q")
    dash = alt.StrokeDash("look:N", title=_look_title(rows["look"]), scale=_scale(looks.look_dashes, rows["look"]))
    curve, bar = mark("line", strokeWidth=1.6, opacity=0.85), mark("rule", opacity=0.4)
    point = mark("point", filled=True, size=55, opacity=1)
    shape = _shape(looks.look_shapes, rows["look"])
    layers = [
        curve.encode(x=across, y=up, color=color, strokeDash=dash, detail=detail, order=order),
        bar.encode(x=across, y=f"{bounds[0]}:Q", y2=f"{bounds[1]}:Q", color=color),
        point.encode(x=across, y=up, color=color, shape=shape, tooltip=_tooltip(tooltip)),
    ]
    return Chart(name, description, _spec(alt.layer(*layers), height=300), rows, list(picks), heading)


def matrix(
    name: str,
    pairs: pd.DataFrame,
    *,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    picks: Sequence[Control] = (),
) -> Chart:
    """A square an ordered pair of observers; pairs: who_1, who_2, model_1, regime_1, …, and place_1, place_2.

    `cell` is the number to print in a square. Colours reach as far as the rows that are shown: the page sets `end`.
    """
    column, title = value
    labels = alt.Axis(labelAngle=-90, labelLimit=140, labelOverlap="greedy", ticks=False, domain=False)
    end = alt.param(name="end", value=end_of(pairs[column]))
    ends = [alt.ExprRef("-end"), alt.ExprRef("end")]
    x = alt.X("who_2:N", title=None, sort=alt.EncodingSortField("place_2", op="min"), axis=labels)
    beside = alt.Axis(labelOverlap="greedy", ticks=False, domain=False)
    y = alt.Y("who_1:N", title=None, sort=alt.EncodingSortField("place_1", op="min"), axis=beside)
    square = mark("rect", stroke=None).encode(
        x=x,
        y=y,
        # As in the figures: orange below 0, purple above.
        color=alt.Color(
            f"{column}:Q",
            title=title,
            scale=alt.Scale(domain=ends, scheme="purpleorange", reverse=True),
            legend=alt.Legend(format=".1f"),
        ),
        tooltip=_tooltip(tooltip),
    )
    layers = [square]
    observers = pairs["who_1"].nunique()
    if observers <= MOST_CELLS:
        # Nothing where squares are too narrow for four letters. White on what is dark.
        size = alt.ExprRef(f"width / {observers} < 30 ? 0 : 10")
        number = mark("text", fontSize=size, baseline="middle")
        ink = alt.condition(f"abs(datum.{column}) > 0.6 * end", alt.value("#ffffff"), alt.value("#1c1e21"))
        layers.append(number.encode(x=x, y=y, text="cell:N", color=ink, tooltip=_tooltip(tooltip)))
    widest = 220 + 44 * observers
    spec = _spec(alt.layer(*layers).add_params(end), height=alt.Step(22))
    return Chart(name, description, spec, pairs, list(picks), pairs=True, widest=widest, value=column)


def end_of(values: pd.Series) -> float:
    """How far the colours of a matrix reach to either side of 0."""
    return max(0.2, float(values.abs().max())) if values.notna().any() else 1.0


def turned(pairs: pd.DataFrame) -> pd.DataFrame:
    """The same pairs the other way round: what ends in _1 ends in _2."""
    ends = {"_1": "_2", "_2": "_1"}
    return pairs.rename(columns={name: f"{name[:-2]}{ends[name[-2:]]}" for name in pairs if name[-2:] in ends})


# Parts of a specification


def mark(kind: str, data: alt.Data | None = None, **look: Any) -> Any:
    """A chart of one kind of mark, to be encoded; without data it shows those of the page."""
    chart = alt.Chart() if data is None else alt.Chart(data)
    return getattr(chart, f"mark_{kind}")(**look)


def _spec(chart: Any, height: Any) -> dict[str, Any]:
    spec = chart.properties(width="container").to_dict(validate=True)
    # The page names the data of the whole chart. A layer keeps what it has of its own, but not "none", as Altair says.
    for layer in spec.get("layer", []):
        if "values" not in layer.get("data", {}):
            layer.pop("data", None)
    spec["data"], spec["height"] = {"name": "rows"}, height.to_dict() if isinstance(height, alt.Step) else height
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # as wide as the page allows
    for name in ("config", "datasets"):  # Altair's look, and the "none" from above
        spec.pop(name, None)
    return spec


def _line_at(value: float, x: alt.X) -> Any:
    data = alt.Data(values=[{"at": value}])
    return mark("rule", data, strokeDash=[4, 3], strokeWidth=1, color="#808080").encode(x=_other(x, "at"))


def _other(axis: Any, column: str) -> Any:
    """The same axis for another column: layers share it, and what the first of them leaves open would hold."""
    other = axis.copy()
    other.shorthand = f"{column}:Q"
    return other


def _tooltip(columns: Sequence[tuple[str, str]]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:N", title=title) for column, title in columns]


def _color(column: str, colors: Mapping[str, str], found: pd.Series) -> alt.Color:
    title = _look_title(found) if column == "look" else column
    return alt.Color(f"{column}:N", title=title, scale=_scale(colors, found))


def _shape(shapes: Mapping[str, str], found: pd.Series) -> alt.Shape:
    return alt.Shape("look:N", title=_look_title(found), scale=_scale(shapes, found))


def _look_title(found: pd.Series) -> str:
    """What a legend of looks is about: regimes, what else observers are, or both."""
    others = found.isin([NOT_TRAINED, PEOPLE])
    return "observer" if others.all() else "regime or observer" if others.any() else "regime"


def _scale(looks: Mapping[str, Any], found: pd.Series) -> alt.Scale:
    present = set(found)
    domain = [name for name in looks if name in present]
    return alt.Scale(domain=domain, range=[looks[name] for name in domain])


# What travels to the page


def columns_of(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """Column → values that JSON knows: numbers of four digits, None for NaN."""
    found = {}
    for name in rows:
        values = rows[name]
        if pd.api.types.is_float_dtype(values):
            values = values.round(4)
        found[str(name)] = [
            None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)
        ]
    return found


def page_data(charts: Iterable[Chart], looks: Looks) -> dict[str, Any]:
    """All that the page's script needs to draw."""
    return {
        "charts": {
            chart.name: {
                "spec": chart.spec,
                "description": chart.description,
                "rows": columns_of(chart.rows),
                "pairs": chart.pairs,
                "value": chart.value,
            }
            for chart in charts
        },
        "dark": looks.dark(),
    }


def script_json(value: Any) -> str:
    """JSON that may stand in a <script>: no text in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@functools.cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which sets `window.vegaEmbed`."""
    # "\/" is "/" in any string or pattern of a script, and "</script" nothing else.
    return (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        .replace("\r\n", "\n")
        .replace("</script", "<\\/script")
    )


def lightened(color: str, contrast: float = 4.5) -> str:
    """The colour mixed with as much white as it takes to stand out from dark paper."""
    red, green, blue = to_rgb(color)
    for step in range(21):
        white = step / 20
        mixed = to_hex((white + (1 - white) * red, white + (1 - white) * green, white + (1 - white) * blue))
        if contrast_of(mixed, DARK_PAPER) >= contrast:
            return mixed
    return "#ffffff"


def contrast_of(one: str, other: str) -> float:
    """From 1 to 21. Source: Web Content Accessibility Guidelines 2.1, contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
