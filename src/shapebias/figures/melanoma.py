"""Figures of melanoma: how well each observer detects melanoma, and confusion matrices."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shapebias.figures.forest_plot import (
    HEADING,
    describe_ticks,
    draw_forest,
    forest_height,
    forest_rows,
    keep_rows,
)
from shapebias.figures.frame import add_frame
from shapebias.figures.style import (
    BODY_HEIGHT,
    COLUMN_WIDTH,
    DASHES,
    PAGE_WIDTH,
    ROW_HEIGHT,
    FigureStyle,
    NoDataError,
    new_figure,
    set_fraction_axis,
    small_type,
    wrap_name,
)
from shapebias.metrics.melanoma import MELANOMA_COUNTS
from shapebias.tables.summaries import order_regimes, pool_melanoma, shorten_name

MATRIX_SIDE = 32  # mm of a confusion matrix
MOST_MATRIX_ROWS = 5
MEASURE_TITLES = {
    "auc": "ROC AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc_difference": "AUC difference",  # from the baseline, if there is one
}


def melanoma_overview(melanoma: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw AUC, sensitivity, specificity and AUC difference per model × regime, with 95 % intervals.

    melanoma: `melanoma.csv`. The AUC difference is from the baseline, ImageNet weights alone. Its panel has no row for
    baselines and for runs without a baseline.
    """
    style = style or FigureStyle()
    table = melanoma[melanoma["benchmark"] == benchmark]
    if table.empty:
        raise NoDataError(f"{benchmark}: no observer to show.")
    pooled = pool_melanoma(table)
    panels = {name: label for name, label in MEASURE_TITLES.items() if pooled[name].notna().any()}
    with style.apply():
        rows = forest_rows(pooled)
        left = 0
        while 17 + ROW_HEIGHT * forest_height(rows) > BODY_HEIGHT:
            rows, more = keep_rows(rows, sum(row.kind != HEADING for row in rows) - 1)
            left += more
        figure = new_figure(PAGE_WIDTH, 17 + ROW_HEIGHT * forest_height(rows))
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, label) in zip(grid, panels.items(), strict=True):
            part = pooled.rename(columns={f"{name}_low": "ci_low", f"{name}_high": "ci_high"})
            if name == "auc_difference":
                part, single = part.dropna(subset=[name]), table.dropna(subset=[name])
                draw_forest(axes, rows, part, single, name, style, headings=axes is grid[0])
                set_auc_difference_axis(axes, part)
                axes.set_xlabel("from ImageNet weights alone", fontsize=small_type())
            else:
                draw_forest(axes, rows, part, table, name, style, headings=axes is grid[0])
                set_fraction_axis(axes, ticks=3)
            if name == "auc":
                axes.axvline(0.5, color="0.35", linestyle=DASHES, linewidth=0.7, zorder=1)
            axes.set_title(label)
        remarks = ["bar: 95 % interval over images", *describe_ticks(table), "dashed: chance, no difference"]
        remarks += [f"not shown: {left} more runs, in the table"] if left else []
        add_frame(figure, melanoma_title(benchmark, table), remarks=remarks)
    return figure


def confusion_matrices(melanoma: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw the confusion matrix of each model (row) × regime (column), with counts summed over seeds.

    A cell's shade is its share of the images of its true class. Both rows of a matrix are thus comparable, even if
    melanomas are rare.
    """
    style = style or FigureStyle()
    table = melanoma[melanoma["benchmark"] == benchmark]
    if table.empty:
        raise NoDataError(f"{benchmark}: no observer to show.")
    pooled = pool_melanoma(table).set_index(["model", "regime"])
    all_models = list(dict.fromkeys(model for model, _ in pooled.index))
    models = all_models[:MOST_MATRIX_ROWS]
    regimes = order_regimes(regime for _, regime in pooled.index)
    with style.apply():
        figure = new_figure(COLUMN_WIDTH if len(regimes) <= 2 else PAGE_WIDTH, 10 + MATRIX_SIDE * len(models))
        grid = figure.subplots(len(models), len(regimes), sharex=True, sharey=True, squeeze=False)
        for (i, model), (j, regime) in itertools.product(enumerate(models), enumerate(regimes)):
            axes = grid[i, j]
            if (model, regime) in pooled.index:
                counts = pooled.loc[(model, regime), list(MELANOMA_COUNTS)].to_numpy(dtype=float)
                draw_matrix(axes, counts.reshape(2, 2))
            else:
                axes.set_axis_off()
            if i == 0:
                axes.set_title(wrap_name(shorten_name(regime), 14))
            if j == 0:
                axes.set_ylabel(wrap_name(shorten_name(model), 14), fontweight="bold")
        left = len(all_models) - len(models)
        remarks = ["row: true class", "column: predicted class", "counts of all seeds together"]
        remarks += [f"not shown: {left} more models, in the table"] if left else []
        add_frame(figure, melanoma_title(benchmark, table), remarks=remarks)
    return figure


def draw_matrix(axes: Axes, counts: np.ndarray) -> None:
    """Draw one matrix: rows are true classes and columns are predicted classes, melanoma first."""
    with np.errstate(invalid="ignore"):  # no image of a class: no share
        shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, interpolation="none")
    for row, column in np.ndindex(2, 2):
        share = shares[row, column]
        text = f"{counts[row, column]:,.0f}" + (f"\n{100 * share:.0f} %" if np.isfinite(share) else "")
        color = "white" if share > 0.55 else "0.15"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=small_type())
    names = ["melanoma", "other"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)


def set_auc_difference_axis(axes: Axes, pooled: pd.DataFrame) -> None:
    """Set an x axis as wide as the intervals and symmetric around 0."""
    bounds = pooled[["auc_difference", "ci_low", "ci_high"]].abs().to_numpy(dtype=float)
    widest = 1.1 * np.nanmax(bounds, initial=0.05)
    axes.set_xlim(-widest, widest)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.axvline(0, color="0.35", linestyle=DASHES, linewidth=0.7, zorder=1)


def melanoma_title(benchmark: str, table: pd.DataFrame) -> str:
    images, melanomas = int(table["images"].max()), int(table["melanoma_images"].max())
    return f"Melanoma: {benchmark} ({images:,} images, {melanomas:,} of them melanomas)"
