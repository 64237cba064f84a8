"""Interactive charts: Vega-Lite specifications from rows of the result tables.

Charts and figures share one encoding (report/encoding.py). A specification holds no data: the page stores the rows
separately, so that it can filter models and regimes, and sort.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

from shapebias.report.encoding import NOT_TRAINED, Encoding
from shapebias.tables.summaries import PEOPLE

FRACTION = alt.Scale(domain=[-0.02, 1.02], nice=False)  # the margin keeps markers at both ends complete
TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
ISO_BIASES = (0.25, 0.5, 0.75)  # shape biases of the lines in the plane of cues
ROW_HEIGHT = 22  # pixels
LANE_HEIGHT = 7  # pixels: one of several observers on the same line
MAX_NUMBERED_OBSERVERS = 20  # a larger matrix has no room for numbers in its cells
MAX_DOTS = 400  # dots of one chart; more are shown as a matrix


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
    mirrored: bool = False  # for pairs: the page draws each row once more, with its observers swapped
    max_width: int = 0  # pixels; 0: the width of the page
    value: str = ""  # for pairs: the column that sets the colour


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
    # Every observer has a line of its own, so the colour shows the regime also in a report without regimes.
    color = alt.Color("group:N", title=_group_title(rows["group"]), scale=_scale(encoding.group_colors, rows["group"]))
    shared = {"y": y, "color": color, "tooltip": _tooltip(tooltip)}
    bar, point = (
        make_mark("rule", strokeWidth=3, opacity=0.55, aria=False),
        make_mark("point", filled=True, size=90, opacity=1, description=_spoken(tooltip)),
    )
    layers = [_line_at(reference, x)] if reference is not None else []
    layers.append(bar.encode(x=_with_column(x, bounds[0]), x2=f"{bounds[1]}:Q", **shared))
    shape = alt.Shape("group:N", title=_group_title(rows["group"]), scale=_scale(encoding.group_shapes, rows["group"]))
    layers.append(point.encode(x=x, shape=shape, **shared))
    sorts = [("as_listed", "as listed"), ("by_value", f"by {title.partition(' (')[0]}"), ("by_name", "by name")]
    spec = _spec(alt.layer(*layers), alt.Step(ROW_HEIGHT))
    return Chart(name, description, spec, rows, [Control("Sort", "sort", sorts)], heading)


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

    With more than MAX_DOTS markers, the chart is a matrix of observers and lines, whose colour is the value.
    row: column of the lines. chance: column of the chance level. sorts: label of the menu → lines from top to bottom.
    """
    column, title = value
    rows = rows.copy()
    for i, names in enumerate(sorts.values()):
        rows[f"sort{i}"] = rows[row].map({line: place for place, line in enumerate(names)})
    controls = [Control("Sort", "sort", [(f"sort{i}", label) for i, label in enumerate(sorts)]), *picks]
    if rows["observer_name"].nunique() * rows[row].nunique() > MAX_DOTS:
        spec = _value_matrix(row, value, tooltip, diverging=reference is not None)
        return Chart(name, description, spec, rows, controls)
    rows = _people_in_every_panel(rows)
    rows["lane"] = _lanes(rows)
    axis = alt.Axis(grid=True, ticks=False, tickBand="extent")
    y = alt.Y(f"{row}:N", sort=alt.EncodingSortField("order", op="min"), title=None, axis=axis)
    x = alt.X(f"{column}:Q", title=title, scale=FRACTION, axis=alt.Axis(values=TENTHS, tickCount=10))
    offset = alt.YOffset("lane:O")
    point, bar = (
        make_mark("point", filled=True, size=50, opacity=0.9, description=_spoken(tooltip)),
        make_mark("rule", strokeWidth=1.4, opacity=0.5, aria=False),
    )
    color = _color(encoding, rows)
    step = LANE_HEIGHT * (rows["lane"].max() + 2)
    layers = [_line_at(reference, x)] if reference is not None else []
    if chance:
        chance_tick = make_mark(
            "tick", aria=False, orient="vertical", size=step, thickness=1, color="#808080", opacity=1
        )
        layers.append(chance_tick.encode(x=_with_column(x, chance), y=y))
    layers.append(bar.encode(x=_with_column(x, bounds[0]), x2=f"{bounds[1]}:Q", y=y, yOffset=offset, color=color))
    shape = _shape(encoding, rows)
    layers.append(point.encode(x=x, y=y, yOffset=offset, color=color, shape=shape, tooltip=_tooltip(tooltip)))
    height = {"step": max(ROW_HEIGHT, int(step)), "for": "position"}
    return Chart(name, description, _panels(_spec(alt.layer(*layers), height), rows), rows, controls)


def cue_plane_chart(
    name: str,
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    description: str,
    tooltip: Sequence[tuple[str, str]],
    chance: float,
) -> Chart:
    """Return a chart of texture answers (x) and shape answers (y), with lines of equal shape bias.

    chance: the share of each cue in the answers of an observer that guesses; a cross marks it.
    """
    highest = float(rows[["shape_high", "texture_high"]].max(axis=None))
    limit = min(1.0, 1.05 * highest) if highest > 0 else 1.0
    scale = alt.Scale(domain=[0, limit], nice=False)
    axis = alt.Axis(tickCount=5)
    x = alt.X("texture_accuracy:Q", title="share of texture answers", scale=scale, axis=axis)
    y = alt.Y("shape_accuracy:Q", title="share of shape answers", scale=scale, axis=axis)
    color = _color(encoding, rows)
    line_data, label_data = _iso_lines(limit)
    line = make_mark("line", line_data, aria=False, strokeDash=[4, 3], strokeWidth=1, color="#808080", clip=True)
    # Labels lie in one corner of their line, inside the plot.
    label = make_mark(
        "text", label_data, aria=False, color="#808080", fontSize=11, align="right", baseline="top", dx=-2, dy=3
    )
    bars, point = (
        make_mark("rule", opacity=0.5, aria=False),
        make_mark("point", filled=True, size=90, opacity=1, description=_spoken(tooltip)),
    )
    guess = alt.Data(values=[{"x": chance, "y": chance, "text": "guessing"}])
    guessing = make_mark("point", guess, aria=False, shape="cross", size=120, color="#808080", filled=False)
    guessing_text = make_mark("text", guess, aria=False, dx=9, dy=12, align="left", color="#808080", fontSize=11)
    positions = {"x": _with_column(x, "x"), "y": _with_column(y, "y")}
    layers = [
        line.encode(**positions, detail="bias:N"),
        label.encode(**positions, text="text:N"),
        guessing.encode(**positions),
        guessing_text.encode(**positions, text="text:N"),
        bars.encode(x=x, y="shape_low:Q", y2="shape_high:Q", color=color),
        bars.encode(x="texture_low:Q", x2="texture_high:Q", y=y, color=color),
        point.encode(x=x, y=y, color=color, shape=_shape(encoding, rows), tooltip=_tooltip(tooltip)),
    ]
    return Chart(name, description, _panels(_spec(alt.layer(*layers), 300), rows), rows)


def _iso_lines(limit: float) -> tuple[alt.Data, alt.Data]:
    """Return lines from the origin on which the shape bias is constant, and their labels at the far ends."""
    ends = []
    for bias in ISO_BIASES:
        longest = max(bias, 1 - bias)
        ends.append({"bias": bias, "x": limit * (1 - bias) / longest, "y": limit * bias / longest})
    lines = [point for end in ends for point in ({"bias": end["bias"], "x": 0, "y": 0}, end)]
    labels = [end | {"text": f"bias {end['bias']:g}"} for end in ends]
    return alt.Data(values=lines), alt.Data(values=labels)


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
    """Return a chart with one curve per observer, and a dashed line at the mean of the column `chance`.

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
    rows = _people_in_every_panel(rows.assign(joined=rows[x[0]] != apart))
    color, detail = _color(encoding, rows), alt.Detail(["observer_name:N", "joined:N"])
    order = alt.Order("place:Q") if ordered else alt.Order(f"{x[0]}:Q")
    curve, bar = (
        make_mark("line", strokeWidth=1.6, opacity=0.85, aria=False),
        make_mark("rule", opacity=0.5, aria=False),
    )
    point = make_mark("point", filled=True, size=55, opacity=1, description=_spoken(tooltip))
    guessing = make_mark("rule", aria=False, strokeDash=[4, 3], strokeWidth=1, color="#808080")
    mean_chance = up.copy()
    mean_chance.shorthand = "mean(chance):Q"
    layers = [
        guessing.encode(y=mean_chance),
        curve.encode(x=across, y=up, color=color, detail=detail, order=order),
        bar.encode(x=across, y=f"{bounds[0]}:Q", y2=f"{bounds[1]}:Q", color=color),
        point.encode(x=across, y=up, color=color, shape=_shape(encoding, rows), tooltip=_tooltip(tooltip)),
    ]
    return Chart(name, description, _panels(_spec(alt.layer(*layers), 220), rows), rows, list(picks), heading)


def matrix_chart(
    name: str,
    pairs: pd.DataFrame,
    *,
    value: tuple[str, str],
    description: str,
    tooltip: Sequence[tuple[str, str]],
    picks: Sequence[Control] = (),
    mirrored: bool = False,
) -> Chart:
    """Return a matrix with one cell per ordered pair of observers.

    pairs: columns observer_name_1, model_1, regime_1, place_1, the same with _2, and `cell`, the number to print. The
    colour scale ends at the largest visible value: the page sets its parameter `end`. mirrored: whether each pair
    stands once in `pairs`, and the page adds its mirror image; a matrix of many pairs then takes half the bytes.
    """
    column, title = value
    column_axis = alt.Axis(labelAngle=-90, labelLimit=140, labelOverlap="greedy", ticks=False, domain=False)
    end_parameter = alt.param(name="end", value=color_limit(pairs[column]))
    ends = [alt.ExprRef("-end"), alt.ExprRef("end")]
    x = alt.X("observer_name_2:N", title=None, sort=alt.EncodingSortField("place_2", op="min"), axis=column_axis)
    row_axis = alt.Axis(labelOverlap="greedy", ticks=False, domain=False)
    y = alt.Y("observer_name_1:N", title=None, sort=alt.EncodingSortField("place_1", op="min"), axis=row_axis)
    square = make_mark("rect", stroke=None, description=_spoken(tooltip)).encode(
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
    observers = len({*pairs["observer_name_1"], *pairs["observer_name_2"]})
    if observers <= MAX_NUMBERED_OBSERVERS:
        # Hide numbers in cells too narrow for four characters. Print white on dark cells.
        size = alt.ExprRef(f"width / {observers} < 30 ? 0 : 10")
        number = make_mark("text", aria=False, fontSize=size, baseline="middle")
        ink = alt.condition(f"abs(datum.{column}) > 0.6 * end", alt.value("#ffffff"), alt.value("#1c1e21"))
        layers.append(number.encode(x=x, y=y, text="cell:N", color=ink, tooltip=_tooltip(tooltip)))
    max_width = 220 + 44 * observers
    spec = _spec(alt.layer(*layers).add_params(end_parameter), height=alt.Step(22))
    return Chart(
        name, description, spec, pairs, list(picks), pairs=True, mirrored=mirrored, max_width=max_width, value=column
    )


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


def _panels(spec: dict[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """Return the specification with one panel per value of `panel`; unchanged if all rows have the same.

    The page sets the number of panels side by side and their width.
    """
    panels = list(dict.fromkeys(rows["panel"]))
    if len(panels) < 2:
        return spec
    inner = {name: part for name, part in spec.items() if name not in ("data", "autosize", "width", "$schema")}
    header = {"title": None, "labelFontWeight": "bold", "labelAnchor": "start", "labelLimit": 260}
    facet = {"field": "panel", "type": "nominal", "sort": panels, "header": header}
    outer = {name: spec[name] for name in ("$schema", "data") if name in spec}
    return outer | {"facet": facet, "columns": 1, "spec": inner}


def _value_matrix(
    row: str, value: tuple[str, str], tooltip: Sequence[tuple[str, str]], *, diverging: bool
) -> dict[str, Any]:
    """Return a matrix with a line per observer and a column per category or benchmark, whose colour is a fraction."""
    column, title = value
    scale = alt.Scale(domain=[0, 1], scheme="purpleorange" if diverging else "cividis", reverse=diverging)
    square = make_mark("rect", stroke=None, description=_spoken(tooltip)).encode(
        x=alt.X(
            f"{row}:N",
            sort=alt.EncodingSortField("order", op="min"),
            title=None,
            axis=alt.Axis(labelAngle=-90, labelLimit=140, ticks=False, domain=False),
        ),
        y=alt.Y("observer_name:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False)),
        color=alt.Color(f"{column}:Q", title=title, scale=scale, legend=alt.Legend(format=".1f")),
        tooltip=_tooltip(tooltip),
    )
    return _spec(alt.layer(square), alt.Step(16))


def _people_in_every_panel(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with those of people repeated in the panel of each model, for comparison."""
    is_people = rows["panel"] == PEOPLE
    panels = list(dict.fromkeys(rows["panel"][~is_people]))
    if len(panels) == 0 or not is_people.any():
        return rows
    copies = [rows[is_people].assign(panel=panel) for panel in panels]
    return pd.concat([rows[~is_people], *copies], ignore_index=True)


def _lanes(rows: pd.DataFrame) -> pd.Series:
    """Return the place of each observer among those of its panel, so that markers on one line lie side by side."""
    observers = rows[["panel", "observer_name"]].drop_duplicates()
    places = observers.groupby("panel").cumcount()
    by_observer = dict(zip(zip(observers["panel"], observers["observer_name"], strict=True), places, strict=True))
    keys = zip(rows["panel"], rows["observer_name"], strict=True)
    return pd.Series([by_observer[key] for key in keys], index=rows.index, dtype=int)


def _line_at(value: float, x: alt.X) -> Any:
    data = alt.Data(values=[{"at": value}])
    return make_mark("rule", data, aria=False, strokeDash=[4, 3], strokeWidth=1, color="#808080").encode(
        x=_with_column(x, "at")
    )


def _with_column(axis: Any, column: str) -> Any:
    """Return a copy of the axis for another column. Layers share an axis, so all of them must set the same options."""
    copy = axis.copy()
    copy.shorthand = f"{column}:Q"
    return copy


def _tooltip(columns: Sequence[tuple[str, str]]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:N", title=title) for column, title in columns]


def _spoken(columns: Sequence[tuple[str, str]]) -> alt.ExprRef:
    """Return the label of a mark for screen readers: the same titles and values as in its tooltip."""
    parts = [f"{json.dumps(title.strip() + ': ')} + datum[{json.dumps(column)}]" for column, title in columns]
    return alt.ExprRef(" + '; ' + ".join(parts))


def _color(encoding: Encoding, rows: pd.DataFrame) -> alt.Color:
    title = _group_title(rows["group"]) if encoding.regimes else "model"
    return alt.Color("series:N", title=title, scale=_scale(encoding.series_colors, rows["series"]))


def _shape(encoding: Encoding, rows: pd.DataFrame) -> alt.Shape:
    """Return the shape of markers, with the colour's legend if both show the group."""
    scale = _scale(encoding.group_shapes, rows["group"])
    if encoding.regimes:
        return alt.Shape("series:N", title=_group_title(rows["group"]), scale=scale)
    return alt.Shape("group:N", scale=scale, legend=None)


def _group_title(values: pd.Series) -> str:
    """Return the title of a legend of groups: `regime`, `observer`, or both if regimes and other groups mix."""
    is_other = values.isin([NOT_TRAINED, PEOPLE])
    return "observer" if is_other.all() else "regime or observer" if is_other.any() else "regime"


def _scale(encodings: Mapping[str, Any], values: pd.Series) -> alt.Scale:
    present = set(values)
    domain = [name for name in encodings if name in present]
    return alt.Scale(domain=domain, range=[encodings[name] for name in domain])
