"""What the tables say, in sentences that claim no more than they hold.

A change, a cost or a likeness is claimed only where a 95 % interval holds it: one of the difference, image by image,
leaves out 0; of two values that are not compared image by image, the intervals lie apart. Where these overlap, no more
is said than that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shapebias.tables.summaries import format_range

TREATED = "sin"
MOST_NAMES = 8  # in a sentence
Row = Mapping[Any, Any] | pd.Series


def records(table: pd.DataFrame) -> list[dict]:
    return table.to_dict("records")


def change(row: pd.Series) -> str:
    return f"{bounded(row, 'difference', '+.2f')} ({row['model']})"


def bounded(
    row: Row,
    value: str,
    digits: str = ".2f",
    *,
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    end: str = "",
) -> str:
    """`0.30 [0.25, 0.35]`, or the value alone where there is no interval. end: of the columns' names."""
    low, high = (row[f"{name}{end}"] for name in bounds)
    if pd.isna(row[f"{value}{end}"]):
        return "undefined"
    interval = f" [{low:{digits}}, {high:{digits}}]" if pd.notna(low) and pd.notna(high) else ""
    return minus(f"{row[f'{value}{end}']:{digits}}{interval}")


def ends(rows: pd.DataFrame, value: str, low: str, high: str) -> str:
    """The lowest and the highest of a column, each with its interval and whose it is."""
    ordered = rows.dropna(subset=[value]).sort_values(value, kind="stable")
    if ordered.empty:
        return "undefined"
    places = (0, -1) if len(ordered) > 1 else (0,)
    told = [
        f"{bounded(ordered.iloc[place], value, bounds=(low, high))} ({called(ordered.iloc[place])})" for place in places
    ]
    return f"from {told[0]} to {told[1]}" if len(told) > 1 else told[0]


def furthest(compared: pd.DataFrame) -> str:
    rows = compared.dropna(subset=["difference"]).sort_values("difference", kind="stable")
    bounds = ("difference_low", "difference_high")
    told = [
        f"{bounded(row, 'difference', '+.2f', bounds=bounds)} ({called(row)}, {row['benchmark']} {row['condition']})"
        for row in (rows.iloc[0], rows.iloc[-1])
    ]
    return f"from {told[0]} to {told[1]}" if len(rows) > 1 else told[0]


def called(row: Row) -> str:
    """`vit sin`."""
    regime = row["regime"]
    return f"{row['model']} {'' if pd.isna(regime) else regime}".strip()


def networks(count: int, several: bool = False) -> str:
    """`1 network`; several: whether each seed of a network counts."""
    return plural(count, "run" if several else "network")


def several(table: pd.DataFrame) -> bool:
    """Whether some network was trained with several seeds, each of which the table has rows of."""
    seeds = table.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    return bool((seeds > 1).any())


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted(*parts: tuple[int, str]) -> str:
    """What there is any of, each with its number after it."""
    return ", ".join(f"{what} {count:,}" for count, what in parts if count)


def count(images: pd.Series) -> str:
    """`160`, or `80 to 160`."""
    return format_range(images.dropna()) if images.notna().any() else "0"


def minus(numbers: str) -> str:
    return numbers.replace("-", "−")


def each(pooled: pd.DataFrame) -> str:
    """Each bias with its interval; of many the lowest and the highest. pooled: with `name`, what to call each."""
    values = [f"{row['name']} {bounded(row, 'shape_bias')}" for row in records(pooled)]
    if len(values) == 1:
        return f"the shape bias of {pooled['name'].iloc[0]} is {bounded(pooled.iloc[0], 'shape_bias')}."
    if len(values) <= MOST_NAMES:
        return f"the shape biases are: {', '.join(values)}." if values else ""
    order = pooled.assign(value=values).dropna(subset=["shape_bias"]).sort_values("shape_bias", kind="stable")["value"]
    if order.empty:
        return f"the shape biases of all {len(values)} networks are undefined."
    undefined = len(values) - len(order)
    rest = f"; {undefined} are undefined" if undefined else ""
    return f"the shape biases of {len(values)} networks range from {order.iloc[0]} to {order.iloc[-1]}{rest}."


def runs(pooled: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(pooled["model"], pooled["regime"], strict=True))


def number(bias: float) -> str:
    return f"{bias:.2f}" if np.isfinite(bias) else "undefined"


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def treatment(regime: str) -> str:
    return "training on stylized images" if regime == TREATED else f"the regime “{regime}”"
