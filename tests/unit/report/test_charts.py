"""Charts have valid specifications without data, distinguishable encodings, and JSON that is safe inside <script>."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert

from shapebias.figures.style import MARKERS, FigureStyle
from shapebias.report import charts
from shapebias.report.charts import forest_chart, matrix_chart
from shapebias.report.encoding import (
    DARK_PAPER,
    NOT_TRAINED,
    SHAPES,
    Encoding,
    contrast_ratio,
    label_observers,
    lighten,
    make_encoding,
)
from shapebias.report.page_data import json_columns, script_json, vega_script


def observers(*rows: tuple[str, str | None, int | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["model", "regime", "seed"])
    table["observer"] = [f"{model}_{regime}" if regime else model for model, regime, _ in rows]
    return table.assign(value=np.linspace(0.1, 0.9, len(rows)), ci_low=0.05, ci_high=0.95)


TABLE = observers(("vit", "sin", 0), ("vit", "in", 0), ("tf_net", None, None), ("people", None, None))


def chart_of(table: pd.DataFrame, encoding: Encoding) -> charts.Chart:
    tooltip = [("observer_name", "observer")]
    return forest_chart(
        "x",
        label_observers(table, encoding),
        encoding,
        value=("value", "bias"),
        description="d",
        tooltip=tooltip,
        reference=0.5,
    )


def test_observers_have_the_names_and_the_order_of_the_figures():
    rows = label_observers(TABLE, make_encoding([TABLE]))
    assert list(rows["observer_name"]) == ["vit in", "vit sin", "tf_net", "people"]
    assert list(rows["group"]) == ["in", "sin", NOT_TRAINED, "people"]
    assert list(rows["regime"]) == ["in", "sin", "", ""]
    several = label_observers(observers(("vit", "in", 0), ("vit", "in", 1)), make_encoding([TABLE]))
    assert list(several["observer_name"]) == ["vit in seed 0", "vit in seed 1"]


def test_charts_use_the_colours_and_markers_of_the_figures():
    encoding = make_encoding([TABLE])
    assert encoding.models == ["vit", "tf_net", "people"] and encoding.regimes == ["in", "sin"]
    red, green, blue = FigureStyle().model_colors(["vit", "tf_net"])["vit"]
    assert encoding.model_colors["vit"] == f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
    assert encoding.model_colors["people"] == "#000000"
    assert len(SHAPES) == len(MARKERS)
    assert encoding.group_shapes["in"] == "circle" and encoding.group_shapes["people"] == "diamond"


def test_every_colour_has_enough_contrast_on_a_dark_background():
    encoding = Encoding(list("abcdefghij"), ["in", "sin", "combined", "frozen"])
    for light, dark in encoding.dark_colors().items():
        assert contrast_ratio(dark, DARK_PAPER) >= 4.5, light
    assert encoding.dark_colors()["#000000"] == "#ffffff"
    assert lighten("#ffff00") == "#ffff00"  # already bright enough


def test_contrast_ratio_follows_the_accessibility_guidelines():
    assert contrast_ratio("#ffffff", "#000000") == pytest.approx(21)
    assert contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_specification_compiles_and_refers_to_the_data_of_the_page():
    encoding = make_encoding([TABLE])
    for chart in (chart_of(TABLE, encoding),):
        assert chart.spec["data"] == {"name": "rows"} and "datasets" not in chart.spec
        rows = [row | {"order": i} for i, row in enumerate(chart.rows.replace({np.nan: None}).to_dict("records"))]
        svg = vl_convert.vegalite_to_svg(chart.spec | {"data": {"name": "rows", "values": rows}, "width": 400})
        assert "vit sin" in svg and "people" in svg


def test_a_matrix_holds_every_pair_in_both_orders():
    pairs = pd.DataFrame(
        {"observer_name_1": ["a"], "observer_name_2": ["b"], "place_1": [0], "place_2": [1], "kappa": [0.3]}
    )
    swapped = charts.swap_pairs(pairs)
    assert swapped[["observer_name_1", "observer_name_2", "place_1", "place_2"]].iloc[0].tolist() == ["b", "a", 1, 0]
    ordered_pairs = pd.concat([pairs, swapped])
    chart = matrix_chart("x", ordered_pairs.assign(cell="0.30"), value=("kappa", "κ"), description="d", tooltip=[])
    assert chart.pairs and chart.spec["params"] == [{"name": "end", "value": 0.3}]
    square, number = chart.spec["layer"]
    assert square["encoding"]["color"]["scale"]["domain"] == [{"expr": "-end"}, {"expr": "end"}]
    assert number["encoding"]["text"]["field"] == "cell"
    data = {"name": "rows", "values": ordered_pairs.assign(cell="0.30").to_dict("records")}
    assert "0.30" in vl_convert.vegalite_to_svg(chart.spec | {"data": data, "width": 400})


def test_a_large_matrix_has_no_numbers_in_its_cells():
    names = [f"n{i}" for i in range(charts.MAX_NUMBERED_OBSERVERS + 1)]
    pairs = pd.DataFrame(
        {"observer_name_1": names, "observer_name_2": "n0", "place_1": range(len(names)), "place_2": 0, "kappa": 0.1}
    )
    chart = matrix_chart("x", pairs.assign(cell="0.10"), value=("kappa", "κ"), description="d", tooltip=[])
    assert len(chart.spec["layer"]) == 1


def test_dot_charts_show_intervals_and_the_chance_level():
    rows = label_observers(TABLE, make_encoding([TABLE])).assign(benchmark="b", chance=0.0625)
    chart = charts.dot_chart(
        "x",
        rows,
        make_encoding([TABLE]),
        row="benchmark",
        value=("value", "accuracy"),
        description="d",
        tooltip=[],
        chance="chance",
        sorts={"as measured": ["b"]},
    )
    marks = {layer["mark"]["type"]: layer["encoding"] for layer in chart.spec["spec"]["layer"]}
    assert (marks["rule"]["x"]["field"], marks["rule"]["x2"]["field"]) == ("ci_low", "ci_high")
    assert marks["tick"]["x"]["field"] == "chance"
    assert chart.spec["facet"]["field"] == "panel"  # a panel for each model
    # People stand in every panel, for comparison.
    assert sorted(chart.rows.loc[chart.rows["group"] == "people", "panel"]) == [NOT_TRAINED, "vit"]
    vl_convert.vegalite_to_svg(chart.spec | {"data": {"values": chart.rows.fillna(0).to_dict("records")}})


@pytest.mark.parametrize(("reference", "scheme"), [(0.5, "purpleorange"), (None, "cividis")])
def test_more_dots_than_a_chart_holds_are_a_matrix(reference, scheme):
    networks = observers(*[(f"net{i:02d}", None, None) for i in range(41)])
    table = pd.concat([networks.assign(category=f"c{k}") for k in range(10)], ignore_index=True)
    encoding = make_encoding([table])
    rows = label_observers(table, encoding).assign(value_text="", interval_text="", order=0)
    chart = charts.dot_chart(
        "x",
        rows,
        encoding,
        row="category",
        value=("value", "bias"),
        description="d",
        tooltip=[("observer_name", "observer")],
        reference=reference,
        sorts={"by name": [f"c{k}" for k in range(10)]},
    )
    assert vl_convert.vegalite_to_vega(chart.spec)
    text = json.dumps(chart.spec)
    assert '"type": "rect"' in text and scheme in text and "point" not in text
    assert len(chart.rows) == 410


def test_a_legend_has_the_title_regime_only_if_all_groups_are_regimes():
    assert [charts._group_title(pd.Series(groups)) for groups in (["in"], ["in", "people"], ["people"])] == [
        "regime",
        "regime or observer",
        "observer",
    ]


def test_undefined_numbers_become_null():
    columns = json_columns(pd.DataFrame({"a": [0.123456, np.nan], "b": ["x", None], "c": [1, 2]}))
    assert columns == {"a": [0.1235, None], "b": {"texts": ["x", None], "places": [0, 1]}, "c": [1, 2]}


def test_json_cannot_end_its_script_element():
    bad = "</script><!--<script>alert(1)//\u2028&"
    text = script_json({"a": bad})
    assert not re.search(r"[<>&\u2028]", text) and json.loads(text) == {"a": bad}


def test_the_vega_script_is_safe_inline():
    script = vega_script()
    assert "</script" not in script.lower() and "<!--" not in script and "\r" not in script
    assert "vegaEmbed" in script and len(script) < 1_000_000
