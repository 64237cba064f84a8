"""Phrases and number formats for the sentences of the report.

The report's sentences claim a change, a cost or a likeness only where the data support it. For a difference in bias,
the 95 % interval of the difference, paired by image, must exclude 0. For a difference in accuracy, a paired test
decides. For two values without paired data, the two intervals must not overlap. Where they overlap, the report says
only that.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shapebias.tables.summaries import format_range

MAX_NAMES = 8  # names in one sentence
UNIT_SPACE = re.compile(r"(?<=\d) (?=%|px\b|million\b)")
SIGNED_ZERO = re.compile(r"[-+](0\.0+)(?!\d)")
Row = Mapping[Any, Any] | pd.Series


def records(table: pd.DataFrame) -> list[dict]:
    """Return the rows of a table as dictionaries."""
    return table.to_dict("records")


def format_estimate(
    row: Row,
    value: str,
    digits: str = ".2f",
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    suffix: str = "",
) -> str:
    """Return `0.30 [0.25, 0.35]`, or the value alone if it has no interval.

    value, bounds: names of columns. suffix: ending of these names in the row.
    """
    low, high = (row[f"{name}{suffix}"] for name in bounds)
    if pd.isna(row[f"{value}{suffix}"]):
        return "undefined"
    interval = f" [{low:{digits}}, {high:{digits}}]" if pd.notna(low) and pd.notna(high) else ""
    return typeset_minus(f"{row[f'{value}{suffix}']:{digits}}{interval}")


def format_extremes(rows: pd.DataFrame, value: str, low: str, high: str) -> str:
    """Return the lowest and the highest value of a column, each with its interval and its network."""
    ordered = rows.dropna(subset=[value]).sort_values(value, kind="stable")
    if ordered.empty:
        return "undefined"
    places = (0, -1) if len(ordered) > 1 else (0,)
    values = [
        f"{format_estimate(ordered.iloc[place], value, bounds=(low, high))} ({network_name(ordered.iloc[place])})"
        for place in places
    ]
    return f"from {values[0]} to {values[1]}" if len(values) > 1 else values[0]


def format_extreme_differences(compared: pd.DataFrame) -> str:
    """Return the lowest and the highest difference from people, each with its network, benchmark and condition."""
    rows = compared.dropna(subset=["difference"]).sort_values("difference", kind="stable")
    bounds = ("difference_low", "difference_high")
    values = [
        f"{format_estimate(row, 'difference', '+.2f', bounds=bounds)} ({network_name(row)}, {row['benchmark']} "
        f"{row['condition']})"
        for row in (rows.iloc[0], rows.iloc[-1])
    ]
    return f"from {values[0]} to {values[1]}" if len(rows) > 1 else values[0]


def network_name(row: Row) -> str:
    """Return model and regime, as in `vit stylized`."""
    regime = row["regime"]
    return f"{row['model']} {'' if pd.isna(regime) else regime}".strip()


def count_networks(count: int, count_seeds: bool = False) -> str:
    """Return `1 network`, or `1 run` if each seed of a network counts."""
    return pluralize(count, "run" if count_seeds else "network")


def has_several_seeds(table: pd.DataFrame) -> bool:
    """Return whether the table holds several seeds of the same model and regime."""
    seeds = table.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    return bool((seeds > 1).any())


def pluralize(count: int, noun: str) -> str:
    """Return `1 network` or `2 networks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def list_counts(*parts: tuple[int, str]) -> str:
    """Return `<label> <count>` for each count above 0, separated by commas."""
    return ", ".join(f"{label} {count:,}" for count, label in parts if count)


def format_image_count(images: pd.Series) -> str:
    """Return `160`, or `80 to 160` if the numbers of images differ."""
    return format_range(images.dropna()) if images.notna().any() else "0"


def typeset_minus(numbers: str) -> str:
    """Return the text with minus signs in place of hyphens, as in charts and figures, and zeros without a sign."""
    return SIGNED_ZERO.sub(r"\1", numbers).replace("-", "−")


def describe_biases(pooled: pd.DataFrame) -> str:
    """Return a clause with the bias and interval of each row, or with the lowest and the highest of many rows.

    pooled: rows with a column `name` to print.
    """
    values = [f"{row['name']} {format_estimate(row, 'shape_bias')}" for row in records(pooled)]
    if len(values) == 1:
        return f"the shape bias of {pooled['name'].iloc[0]} is {format_estimate(pooled.iloc[0], 'shape_bias')}."
    if len(values) <= MAX_NAMES:
        return f"the shape biases are: {', '.join(values)}." if values else ""
    order = pooled.assign(value=values).dropna(subset=["shape_bias"]).sort_values("shape_bias", kind="stable")["value"]
    if order.empty:
        return f"the shape biases of all {len(values)} networks are undefined."
    undefined = len(values) - len(order)
    rest = f"; {undefined} are undefined" if undefined else ""
    return f"the shape biases of {len(values)} networks range from {order.iloc[0]} to {order.iloc[-1]}{rest}."


def format_bias(bias: float) -> str:
    """Return a bias with two digits, or `undefined`."""
    return f"{bias:.2f}" if np.isfinite(bias) else "undefined"


def join_names(names: Sequence[str], most: int = MAX_NAMES, separator: str = ", ") -> str:
    """Return the first names and the number of names left over."""
    return separator.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def join_units(text: str) -> str:
    """Return the text with a no-break space between a number and its unit, so that no line ends between them."""
    return UNIT_SPACE.sub("\N{NO-BREAK SPACE}", text)


def capitalize(text: str) -> str:
    """Return the text with a capital first letter; the other letters keep their case."""
    return text[:1].upper() + text[1:]
