"""Figure of the critical band: the bandwidth of the spatial-frequency channel of each observer."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shapebias.figures.forest_plot import describe_ticks, draw_forest, fit_rows, forest_height, forest_rows
from shapebias.figures.frame import add_frame
from shapebias.figures.style import BODY_HEIGHT, PAGE_WIDTH, ROW_HEIGHT, FigureStyle, NoDataError, new_figure
from shapebias.tables.summaries import describe_interval, format_image_count, pool_means

AXIS_HEIGHT = 17  # mm above and below the rows
MOST_ROWS = 24  # of one column


def bandwidth_overview(critical_band: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw the bandwidth of each observer with its 95 % interval, in octaves.

    critical_band: `critical_band.csv`. A run whose bandwidth is undefined for one of its seeds is undefined.
    """
    style = style or FigureStyle()
    table = critical_band[critical_band["benchmark"] == benchmark]
    if table.empty:
        raise NoDataError(f"{benchmark}: no observer to show.")
    table = table.drop(columns=["ci_low", "ci_high"], errors="ignore")  # of the accuracy without noise
    table = table.rename(columns={"bandwidth_low": "ci_low", "bandwidth_high": "ci_high"})
    pooled = pool_means(table, {"bandwidth": ("ci_low", "ci_high")})
    undefined = table[table["bandwidth"].isna()]
    pairs = set(zip(undefined["model"], undefined["regime"].fillna(""), strict=True))
    is_undefined = [pair in pairs for pair in zip(pooled["model"], pooled["regime"], strict=True)]
    pooled.loc[is_undefined, ["bandwidth", "ci_low", "ci_high"]] = math.nan
    with style.apply():
        columns, left = fit_rows(forest_rows(pooled), MOST_ROWS, (BODY_HEIGHT - AXIS_HEIGHT) / ROW_HEIGHT)
        height = max(map(forest_height, columns))
        figure = new_figure(PAGE_WIDTH, AXIS_HEIGHT + ROW_HEIGHT * height)
        regimes = list(pooled.loc[pooled["kind"] == "run", "regime"])
        highest = max(1.0, float(pooled[["bandwidth", "ci_high"]].fillna(0).max(axis=None)))
        for axes, part in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
            draw_forest(axes, part, pooled, table, "bandwidth", style, regimes)
            axes.set_ylim(height - 0.4, -0.6)
            axes.set_xlim(0, 1.05 * highest)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.set_xlabel("bandwidth (octaves)")
        remarks = [f"bar: {describe_interval(pooled)}", *describe_ticks(table)]
        remarks += ["undefined: the data do not identify the bandwidth"] if pooled["bandwidth"].isna().any() else []
        remarks += [f"not shown: {left} more observers, in the table"] if left else []
        title = f"Bandwidth of the spatial-frequency channel: {benchmark} ({format_image_count(table)} images)"
        add_frame(figure, title, remarks=remarks)
    return figure
