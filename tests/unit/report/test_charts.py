"""Charts: valid specifications without data, looks that can be told apart, JSON that cannot leave its element."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert

from shapebias.figures.style import MARKERS, FigureStyle
from shapebias.report import charts
from shapebias.report.charts import Looks, contrast_of, forest, lightened, looks_of, matrix, observer_rows


def observers(*rows: tuple[str, str | None, int | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["model", "regime", "seed"])
    table["observer"] = [f"{model}_{regime}" if regime else model for model, regime, _ in rows]
    return table.assign(value=np.linspace(0.1, 0.9, len(rows)), ci_low=0.05, ci_high=0.95)


TABLE = observers(("vit", "sin", 0), ("vit", "in", 0), ("tf_net", None, None), ("people", None, None))


def chart_of(table: pd.DataFrame, looks: Looks) -> charts.Chart:
    tooltip = [("who", "observer")]
    return forest(
        "x", observer_rows(table), looks, value=("value", "bias"), description="d", tooltip=tooltip, reference=0.5
    )


def test_observers_are_named_and_ordered_as_in_figures():
    rows = observer_rows(TABLE)
    assert list(rows["who"]) == ["vit in", "vit sin", "tf_net", "people"]
    assert list(rows["look"]) == ["in", "sin", charts.NOT_TRAINED, "people"]
    assert list(rows["regime"]) == ["in", "sin", "", ""]
    several = observer_rows(observers(("vit", "in", 0), ("vit", "in", 1)))
    assert list(several["who"]) == ["vit in seed 0", "vit in seed 1"]


def test_colours_are_those_of_the_figures_and_shapes_stand_for_their_markers():
    looks = looks_of([TABLE])
    assert looks.models == ["vit", "tf_net", "people"] and looks.regimes == ["in", "sin"]
    red, green, blue = FigureStyle().model_colors(["vit", "tf_net"])["vit"]
    assert looks.model_colors["vit"] == f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
    assert looks.model_colors["people"] == "#000000"
    assert len(charts.SHAPES) == len(MARKERS)
    assert looks.look_shapes["in"] == "circle" and looks.look_shapes["people"] == "diamond"


def test_every_colour_stands_out_from_dark_paper():
    looks = Looks(list("abcdefghij"), ["in", "sin", "combined", "frozen"])
    for light, dark in looks.dark().items():
        assert contrast_of(dark, charts.DARK_PAPER) >= 4.5, light
    assert looks.dark()["#000000"] == "#ffffff"
    assert lightened("#ffff00") == "#ffff00"  # bright enough already


def test_contrast_is_that_of_the_guidelines():
    assert contrast_of("#ffffff", "#000000") == pytest.approx(21)
    assert contrast_of("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_specification_compiles_and_names_the_data_of_the_page():
    looks = looks_of([TABLE])
    for chart in (chart_of(TABLE, looks),):
        assert chart.spec["data"] == {"name": "rows"} and "datasets" not in chart.spec
        rows = [row | {"order": i} for i, row in enumerate(chart.rows.replace({np.nan: None}).to_dict("records"))]
        svg = vl_convert.vegalite_to_svg(chart.spec | {"data": {"name": "rows", "values": rows}, "width": 400})
        assert "vit sin" in svg and "people" in svg


def test_a_matrix_gets_every_pair_either_way_round():
    pairs = pd.DataFrame({"who_1": ["a"], "who_2": ["b"], "place_1": [0], "place_2": [1], "kappa": [0.3]})
    back = charts.turned(pairs)
    assert back[["who_1", "who_2", "place_1", "place_2"]].iloc[0].tolist() == ["b", "a", 1, 0]
    both = pd.concat([pairs, back])
    chart = matrix("x", both.assign(cell="0.30"), value=("kappa", "κ"), description="d", tooltip=[])
    assert chart.pairs and chart.spec["params"] == [{"name": "end", "value": 0.3}]
    square, number = chart.spec["layer"]
    assert square["encoding"]["color"]["scale"]["domain"] == [{"expr": "-end"}, {"expr": "end"}]
    assert number["encoding"]["text"]["field"] == "cell"
    data = {"name": "rows", "values": both.assign(cell="0.30").to_dict("records")}
    assert "0.30" in vl_convert.vegalite_to_svg(chart.spec | {"data": data, "width": 400})


def test_a_matrix_of_many_has_no_numbers_in_its_squares():
    names = [f"n{i}" for i in range(charts.MOST_CELLS + 1)]
    pairs = pd.DataFrame({"who_1": names, "who_2": "n0", "place_1": range(len(names)), "place_2": 0, "kappa": 0.1})
    chart = matrix("x", pairs.assign(cell="0.10"), value=("kappa", "κ"), description="d", tooltip=[])
    assert len(chart.spec["layer"]) == 1


def test_dots_have_their_intervals_and_guessing_a_mark():
    rows = observer_rows(TABLE).assign(benchmark="b", chance=0.0625)
    chart = charts.dots(
        "x",
        rows,
        looks_of([TABLE]),
        row="benchmark",
        value=("value", "accuracy"),
        description="d",
        tooltip=[],
        chance="chance",
        sorts={"as measured": ["b"]},
    )
    marks = {layer["mark"]["type"]: layer["encoding"] for layer in chart.spec["layer"]}
    assert (marks["rule"]["x"]["field"], marks["rule"]["x2"]["field"]) == ("ci_low", "ci_high")
    assert marks["tick"]["x"]["field"] == "chance"
    vl_convert.vegalite_to_svg(chart.spec | {"data": {"values": rows.fillna(0).to_dict("records")}, "width": 400})


def test_a_legend_is_called_regime_only_where_all_are_regimes():
    assert [charts._look_title(pd.Series(found)) for found in (["in"], ["in", "people"], ["people"])] == [
        "regime",
        "regime or observer",
        "observer",
    ]


def test_numbers_that_are_undefined_travel_as_null():
    found = charts.columns_of(pd.DataFrame({"a": [0.123456, np.nan], "b": ["x", None], "c": [1, 2]}))
    assert found == {"a": [0.1235, None], "b": ["x", None], "c": [1, 2]}


def test_json_cannot_end_its_element():
    bad = "</script><!--<script>alert(1)//\u2028&"
    text = charts.script_json({"a": bad})
    assert not re.search(r"[<>&\u2028]", text) and json.loads(text) == {"a": bad}


def test_the_library_can_stand_inline():
    script = charts.library()
    assert "</script" not in script.lower() and "<!--" not in script and "\r" not in script
    assert "vegaEmbed" in script and len(script) < 1_000_000
