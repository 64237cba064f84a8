"""Figures of cues that a network's answers hide: cues read out of its stages, and cues among its first k answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.frame import add_frame
from shapebias.figures.line_panels import (
    MOST_PANELS,
    LinePanel,
    SeriesKey,
    SeriesStyle,
    draw_line,
    draw_range,
    make_panels,
    panel_grid,
    series_legend,
    series_styles,
)
from shapebias.figures.style import (
    BODY_HEIGHT,
    COLUMN_WIDTH,
    PAGE_WIDTH,
    ArtistStyle,
    Color,
    FigureStyle,
    NoDataError,
    new_figure,
    wrap_name,
)
from shapebias.tables.summaries import describe_interval, drop_repeated_features, format_range, pool_means

CUE_LINES: dict[str, Any] = {"shape": "-", "texture": (0, (4, 2))}
CHANCE_COLOR: Color = (0.35, 0.35, 0.35)
PIXELS_COLOR: Color = (0.45, 0.45, 0.45)
MOST_NARROW_SERIES = 4  # in one column
MOST_BANDED_LINES = 6  # lines in one panel; more bands would hide each other


def read_out_lines(read_out: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw the accuracy of linear read-outs of shape and of texture from each stage of a network, over depth.

    read_out: `read_out.csv`. Depth is 0 at the pixels and 1 at the input of the classifier. Bands are 95 % intervals.
    The pixels are short grey lines that nothing joins to the first stage: pixels keep their positions, and stages are
    averaged over positions.
    Runs that repeat the features of another run are left out.
    """
    style = style or FigureStyle()
    table = read_out[read_out["benchmark"] == benchmark]
    table = drop_repeated_features(table) if len(table) else table
    if table.empty:
        raise NoDataError(f"{benchmark}: no cue was read out of a network.")
    pooled = pool_means(table, {"accuracy": ("ci_low", "ci_high")}, ["cue", "depth"], ["images", "chance"])
    title_text = f"Shape and texture in the layers: {benchmark} ({format_range(pooled['images'])} conflict images)"
    labels = {"x": "depth (share of\nlayers before)", "y": "accuracy of a\nlinear read-out"}
    return _draw_cue_lines(pooled, "depth", title_text, labels, style)


def top_k_lines(top_k: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw how often the class of the shape, and of the texture, is among a network's first k classes, over k.

    top_k: `top_k.csv`. If images name a category instead of a class, the category's best class counts. Of these two
    measures, the one that more observers have is drawn, and the axis label names it.
    """
    style = style or FigureStyle()
    table = top_k[(top_k["benchmark"] == benchmark) & top_k["accuracy"].notna()]
    if table.empty:
        raise NoDataError(f"{benchmark}: no network ranked the classes of these images.")
    observers = table.groupby("of")["observer"].nunique()
    rank_kind = "class" if observers.get("class", 0) == observers.max() else str(observers.idxmax())
    table = table[table["of"] == rank_kind]
    pooled = pool_means(table, {"accuracy": ("ci_low", "ci_high")}, ["cue", "k"], ["images", "chance"])
    title_text = (
        f"Shape and texture among the first answers: {benchmark} ({format_range(pooled['images'])} conflict images)"
    )
    labels = {"x": "k", "y": f"{rank_kind}\namong the first k"}
    return _draw_cue_lines(pooled, "k", title_text, labels, style)


def _draw_cue_lines(
    pooled: pd.DataFrame, over: str, title_text: str, labels: Mapping[str, str], style: FigureStyle
) -> Figure:
    """Draw both cues over the column `over`, one panel per model: shape solid, texture dashed, chance dotted."""
    styles = series_styles(pooled, style)
    panels = make_panels(pooled)
    drawn_panels = panels[:MOST_PANELS]
    columns = min(4 if len(drawn_panels) != 3 else 3, len(drawn_panels))
    lines = -(-len(drawn_panels) // columns)
    with style.apply():
        clear = max(sum(not styles[pair].faint for pair in panel.series) for panel in drawn_panels)
        width = COLUMN_WIDTH if columns == 1 and clear <= MOST_NARROW_SERIES else PAGE_WIDTH
        figure = new_figure(width, 10 + lines * min(48, (BODY_HEIGHT - 14) / lines))
        grid = panel_grid(figure, drawn_panels, columns, sharex=True, sharey=True)
        for position, (axes, panel) in enumerate(zip(grid, drawn_panels, strict=True)):
            _draw_cues(axes, pooled, panel, over, styles)
            axes.set_title(wrap_name(panel.title, int(width / columns / 2)))
            if position + columns >= len(drawn_panels):
                axes.set_xlabel(labels["x"])
                axes.tick_params(labelbottom=True)
            axes.set_ylim(-0.03, 1.03)
            axes.spines[["top", "right"]].set_visible(False)
            if over == "k":
                axes.set_xticks(sorted(pooled["k"].unique()))
            else:
                axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            if position % columns == 0:
                axes.set_ylabel(labels["y"])
        legend = series_legend({pair: styles[pair] for panel in drawn_panels for pair in panel.series})
        cues = [Line2D([], [], color="0.25", linestyle=line, label=cue) for cue, line in CUE_LINES.items()]
        legend.append(("cue", cues))
        if over == "depth":
            legend.append(("", [Line2D([], [], color=PIXELS_COLOR, linewidth=1.2, label="the pixels")]))
        legend.append(("", [Line2D([], [], color=CHANCE_COLOR, linestyle=":", label="chance")]))
        banded = [2 * len(panel.series) <= MOST_BANDED_LINES for panel in drawn_panels]
        remarks = [f"band: {describe_interval(pooled)}" if any(banded) else "intervals: in the table"]
        remarks += ["intervals of panels of many lines: in the table"] if any(banded) and not all(banded) else []
        left = len(panels) - len(drawn_panels)
        remarks += [f"not shown: {left} more models, in the table"] if left else []
        add_frame(figure, title_text, legend=legend, remarks=remarks)
    return figure


def _draw_cues(
    axes: Axes, pooled: pd.DataFrame, panel: LinePanel, over: str, styles: Mapping[SeriesKey, SeriesStyle]
) -> None:
    bands = 2 * len(panel.series) <= MOST_BANDED_LINES
    faint = [pair for pair in panel.series if styles[pair].faint]
    stages = pooled[pooled["depth"] > 0] if over == "depth" else pooled
    for cue, line in CUE_LINES.items():
        draw_range(axes, stages[stages["cue"] == cue], faint, over, "accuracy", line=line)
    for model, regime in panel.series:
        if (model, regime) in faint:
            continue
        panel_rows = pooled[(pooled["model"] == model) & (pooled["regime"] == regime)]
        for cue, line in CUE_LINES.items():
            rows = panel_rows[panel_rows["cue"] == cue].sort_values(over)
            x = rows[over].to_numpy(dtype=float)
            label = f"{model} {regime} {cue}".replace("  ", " ")
            pixels = (x == 0) & (over == "depth")
            if pixels.any():  # the same for all networks of one input size
                axes.hlines(rows["accuracy"][pixels], -0.02, 0.06, color=PIXELS_COLOR, linestyle=line, linewidth=1.2)
            style = styles[model, regime]
            draw_line(axes, x[~pixels], rows[~pixels], "accuracy", style, line=line, band=bands, label=label)
    panel_rows = pooled[pooled["model"].isin([model for model, _ in panel.series])]
    chance = panel_rows.groupby(over)["chance"].mean()
    options: ArtistStyle = {"color": CHANCE_COLOR, "linestyle": ":", "linewidth": 0.9, "zorder": 1}
    axes.plot(chance.index.to_numpy(dtype=float), np.asarray(chance), **options)
