"""The data from which the page's script draws charts, and that script's library."""

import functools
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd
import vl_convert

from shapebias.report.charts import Chart
from shapebias.report.encoding import Encoding


def json_columns(rows: pd.DataFrame) -> dict[str, Any]:
    """Return column → values for JSON: numbers rounded to four digits, None for NaN.

    A column of texts becomes its different `texts` and, for each row, the `places` among them, which is shorter.
    """
    columns: dict[str, Any] = {}
    for name in rows:
        values = rows[name]
        if pd.api.types.is_float_dtype(values):
            values = values.round(4)
        plain = [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]
        columns[str(name)] = plain
        if all(value is None or isinstance(value, str) for value in plain):
            places = {text: place for place, text in enumerate(dict.fromkeys(plain))}
            columns[str(name)] = {"texts": list(places), "places": [places[text] for text in plain]}
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
                "mirrored": chart.mirrored,
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
