"""Figures of what a network holds and hides: cues read out of its stages, and cues among its first answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.line_panels import (
    MOST_PANELS,
    Panel,
    Series,
    SeriesLook,
    draw_line,
    legend_of,
    panel_grid,
    panels_of,
    regime_looks,
)
from shapebias.figures.style import (
    Color,
    FigureStyle,
    Look,
    heading,
    legend_beside,
    message_figure,
    new_figure,
    note,
    title,
    wrapped,
)
from shapebias.tables.summaries import interval_told, pool_means, spanned

CUE_LINES: dict[str, Any] = {"shape": "-", "texture": (0, (4, 2))}
CHANCE_COLOR: Color = (0.35, 0.35, 0.35)
MOST_BANDS = 8  # lines of one panel whose bands do not hide each other


def read_out_lines(read_out: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Accuracy of reading shape and texture linearly out of each stage of a network, over depth.

    read_out: `read_out.csv`; depth is 0 at the pixels and 1 where the classifier reads. Bands are 95 % intervals.
    """
    style = style or FigureStyle()
    table = read_out[read_out["benchmark"] == benchmark]
    if table.empty:
        return message_figure(f"{benchmark}: no cue was read out of a network.", style)
    pooled = pool_means(table, {"accuracy": ("ci_low", "ci_high")}, ["cue", "depth"], ["images", "chance"])
    what = f"Shape and texture in the layers: {benchmark} ({spanned(pooled['images'])} conflict images)"
    labels = {"x": "depth (share of layers before)", "y": "accuracy of a linear read-out"}
    return _lines_of_cues(pooled, "depth", what, labels, style)


def top_k_lines(top_k: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """How often the class of the shape, and of the texture, is among a network's first k classes, over k.

    top_k: `top_k.csv`. Where images name no class but only a category, its best-ranked class counts; the axis says
    which of both is drawn: the one that more observers have.
    """
    style = style or FigureStyle()
    table = top_k[(top_k["benchmark"] == benchmark) & top_k["accuracy"].notna()]
    if table.empty:
        return message_figure(f"{benchmark}: no network ranked the classes of these images.", style)
    observers = table.groupby("of")["observer"].nunique()
    of = "class" if observers.get("class", 0) == observers.max() else str(observers.idxmax())
    table = table[table["of"] == of]
    pooled = pool_means(table, {"accuracy": ("ci_low", "ci_high")}, ["cue", "k"], ["images", "chance"])
    what = f"Shape and texture among the first answers: {benchmark} ({spanned(pooled['images'])} conflict images)"
    labels = {"x": "k", "y": f"{of}\namong the first k"}
    return _lines_of_cues(pooled, "k", what, labels, style)


def _lines_of_cues(pooled: pd.DataFrame, over: str, what: str, labels: Mapping[str, str], style: FigureStyle) -> Figure:
    """Both cues over `over`, one panel a model: shape solid, texture dashed, chance dotted."""
    looks = regime_looks(pooled, style)
    panels = panels_of(pooled)
    shown = panels[:MOST_PANELS]
    columns = min(4 if len(shown) != 3 else 3, len(shown))
    with style.applied():
        figure = new_figure(max(3.0 + 2.5 * columns, 8.5), 0.9 + 2.7 * -(-len(shown) // columns))
        grid = panel_grid(figure, shown, columns, sharey=True)
        for position, (axes, panel) in enumerate(zip(grid, shown, strict=True)):
            _draw_cues(axes, pooled, panel, over, looks)
            axes.set_title(wrapped(panel.title, 22), fontsize="medium")
            axes.set_xlabel(labels["x"])
            axes.set_ylim(-0.02, 1.02)
            axes.spines[["top", "right"]].set_visible(False)
            if over == "k":
                axes.set_xticks(sorted(pooled["k"].unique()))
            else:
                axes.set_xticks([0, 0.5, 1])
            if position % columns == 0:
                axes.set_ylabel(labels["y"])
        legend = legend_of(looks, by="regime") + [heading("cue")]
        legend += [Line2D([], [], color="0.25", linestyle=line, label=cue) for cue, line in CUE_LINES.items()]
        legend += [Line2D([], [], color=CHANCE_COLOR, linestyle=":", label="chance")]
        title(figure, what)
        legend_beside(figure, legend)
        banded = [2 * len(panel.series) <= MOST_BANDS for panel in shown]
        told = [f"band: {interval_told(pooled)}" if any(banded) else "intervals: in the table"]
        told += ["intervals of panels of many lines: in the table"] if any(banded) and not all(banded) else []
        left = len(panels) - len(shown)
        note(figure, *told, *([f"not shown: {left} more models, in the table"] if left else []))
    return figure


def _draw_cues(axes: Axes, pooled: pd.DataFrame, panel: Panel, over: str, looks: Mapping[Series, SeriesLook]) -> None:
    bands = 2 * len(panel.series) <= MOST_BANDS
    for model, regime in panel.series:
        own = pooled[(pooled["model"] == model) & (pooled["regime"] == regime)]
        for cue, line in CUE_LINES.items():
            rows = own[own["cue"] == cue].sort_values(over)
            x = rows[over].to_numpy(dtype=float)
            label = f"{model} {regime} {cue}".replace("  ", " ")
            draw_line(axes, x, rows, "accuracy", looks[model, regime], line=line, band=bands, label=label)
    own = pooled[pooled["model"].isin([model for model, _ in panel.series])]
    chance = own.groupby(over)["chance"].mean()
    look: Look = {"color": CHANCE_COLOR, "linestyle": ":", "linewidth": 1.3, "zorder": 1}
    axes.plot(chance.index.to_numpy(dtype=float), np.asarray(chance), **look)
