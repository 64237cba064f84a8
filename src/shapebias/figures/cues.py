"""Figures of both cues: shape accuracy against texture accuracy, and differences of bias between observers."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.categories import CATEGORIES
from shapebias.figures.forest_plot import describe_ticks, draw_forest, forest_height, forest_rows
from shapebias.figures.line_panels import model_styles, series_legend
from shapebias.figures.shape_bias import benchmark_title
from shapebias.figures.style import (
    OTHERS_COLOR,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    ArtistStyle,
    FigureStyle,
    add_legend_beside,
    add_note,
    add_title,
    hatch_missing,
    legend_heading,
    message_figure,
    name_cells,
    new_figure,
    print_values,
    set_difference_axis,
)
from shapebias.tables.summaries import (
    PEOPLE,
    describe_interval,
    observer_kinds,
    observer_names,
    pool_means,
    shorten_names,
)

BIASES = (0.1, 0.25, 0.5, 0.75, 0.9)  # lines of equal bias
COVERAGES = (0.25, 0.5, 0.75, 1)  # lines of equal coverage
MOST_CROSSES = 16  # observers; with more, intervals are not drawn
MOST_DIFFERENCE_ROWS = 20  # observers on a side of the matrix of differences


def cue_plane(cue_accuracy: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw shape accuracy against texture accuracy: one point per model × regime, with 95 % intervals.

    cue_accuracy: `cue_accuracy.csv`. The direction of a point from the origin is its shape bias. Its diagonal is its
    coverage, the share of answers that name a cue; the bias alone hides it. Coverage cannot exceed 1, so the upper
    right half stays empty. Single persons are small points.
    """
    style = style or FigureStyle()
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark]
    if table.empty:
        return message_figure(f"{benchmark}: no decisions to show.", style)
    bounds = {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in ("shape", "texture")}
    pooled = pool_means(table, bounds)
    persons = table[observer_kinds(table) == "person"]
    with style.apply():
        figure = new_figure(9.4, 7.4)
        axes = figure.subplots()
        _draw_plane(axes)
        styles = model_styles(pooled, style)
        crosses = len(pooled) <= MOST_CROSSES
        small: ArtistStyle = {"marker": PEOPLE_MARKER, "linestyle": "none", "color": PEOPLE_COLOR, "markersize": 3.5}
        axes.plot(persons["texture_accuracy"], persons["shape_accuracy"], alpha=0.45, zorder=3, **small)
        for row in pooled.to_dict("records"):
            series_style = styles[row["model"], row["regime"]]
            x, y = row["texture_accuracy"], row["shape_accuracy"]
            if crosses:
                line: ArtistStyle = {"color": series_style.color, "linewidth": 1.3, "alpha": 0.6, "zorder": 4}
                axes.plot([row["texture_low"], row["texture_high"]], [y, y], **line)
                axes.plot([x, x], [row["shape_low"], row["shape_high"]], **line)
            front = 4 if series_style.color == OTHERS_COLOR else 5
            axes.plot([x], [y], zorder=front, **series_style.marker_style(1))
        chance = 1 / len(CATEGORIES)
        axes.plot([chance], [chance], marker="+", markersize=11, markeredgewidth=1.6, color="0.3", zorder=6)
        add_title(figure, benchmark_title("Shape and texture accuracy", benchmark, table))
        remarks = ["line from the origin: equal shape bias, its value at the end", "diagonal: equal coverage, in %"]
        remarks += [f"cross: {describe_interval(pooled)}" if crosses else "intervals: in the table"]
        add_note(figure, *remarks)
        legend = series_legend(styles, by="model", lines=False)
        if len(persons):
            legend.append(Line2D([], [], alpha=0.45, label="one person", **small))
        mark: ArtistStyle = {
            "marker": "+",
            "linestyle": "none",
            "color": "0.3",
            "markersize": 9,
            "markeredgewidth": 1.6,
        }
        legend += [legend_heading("reference"), Line2D([], [], label="chance, 1 of 16 each", **mark)]
        add_legend_beside(figure, legend)
    return figure


def _draw_plane(axes: Axes) -> None:
    """Draw the triangle of possible accuracies, with lines of equal bias and of equal coverage."""
    axes.set_box_aspect(1)
    axes.set_anchor("NW")  # elsewhere, the layout would cut off the label
    axes.set(xlim=(-0.015, 1.1), ylim=(-0.015, 1.1))
    ticks = np.linspace(0, 1, 6)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(False)
    line: ArtistStyle = {"color": "0.8", "linewidth": 0.9, "zorder": 0}
    for coverage in COVERAGES:
        style = "-" if coverage == 1 else (0, (1, 2))
        axes.plot([0, coverage], [coverage, 0], linestyle=style, **line)
        place: ArtistStyle = {
            "xytext": (2, 2),
            "textcoords": "offset points",
            "rotation": -45,
            "rotation_mode": "anchor",
        }
        name = f"{100 * coverage:.0f} %"
        # The label is half way between two lines of equal bias, just above its coverage line.
        axes.annotate(name, (0.36 * coverage, 0.64 * coverage), color="0.5", fontsize="x-small", ha="center", **place)
    for bias in BIASES:
        axes.plot([0, 1 - bias], [0, bias], linestyle="-" if bias == 0.5 else (0, (5, 3)), **line)
        place = {"xytext": (5 * (1 - bias) + 2, 5 * bias + 2), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{bias:g}", (1 - bias, bias), color="0.4", fontsize="small", **place)
    axes.set_xlabel("texture accuracy\n(share of conflict images\nanswered with their texture)")
    axes.set_ylabel("shape accuracy\n(share of conflict images\nanswered with their shape)")


def bias_differences(
    differences: pd.DataFrame,
    shape_bias: pd.DataFrame,
    *,
    benchmark: str,
    baseline: str | None = None,
    style: FigureStyle | None = None,
) -> Figure:
    """Draw the difference in shape bias between every run and the baseline run of its model and seed.

    differences: `shape_bias_differences.csv`; shape_bias: `shape_bias.csv`, with the model, regime and seed of each
    observer. baseline: the regime of the baseline runs, if there is one. Bars are 95 % intervals. Observers without a
    baseline run (networks not trained here, people) are compared with each other in a matrix.
    """
    style = style or FigureStyle()
    observers = shape_bias[shape_bias["benchmark"] == benchmark]
    pairs = differences[differences["benchmark"] == benchmark]
    if pairs.empty:
        return message_figure(f"{benchmark}: no two observers to compare.", style)
    runs = _differences_from_baseline(pairs, observers, baseline)
    kinds = observer_kinds(observers)
    without_baseline = observers[kinds != "run"] if len(runs) else observers
    if (kinds == PEOPLE).any():
        without_baseline = without_baseline[observer_kinds(without_baseline) != "person"]
    names = shorten_names(observer_names(without_baseline))
    drawn_observers = list(names)[:MOST_DIFFERENCE_ROWS]
    matrix = len(drawn_observers) > 1
    if not len(runs) and not matrix:
        return message_figure(f"{benchmark}: no two observers to compare.", style)
    with style.apply():
        pooled = pool_means(runs, {"difference": ("ci_low", "ci_high")}) if len(runs) else runs
        rows = forest_rows(pooled) if len(runs) else []
        heights = [1.0 + 0.27 * forest_height(rows)] if len(runs) else []
        heights += [1.6 + 0.42 * len(drawn_observers)] if matrix else []
        wide = 2.6 + 0.55 * len(drawn_observers) if matrix else 0
        figure = new_figure(max(8.5, wide), sum(heights) + 0.6)
        grid = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if len(runs):
            draw_forest(grid[0], rows, pooled, runs, "difference", style, list(observers["regime"].dropna()))
            set_difference_axis(grid[0], pooled[["difference", "ci_low", "ci_high"]].to_numpy(dtype=float))
            grid[0].set_xlabel(f"shape bias minus that of the same model trained as “{baseline}”     shape →")
        remarks = [f"bar: {describe_interval(pooled)}, paired", *describe_ticks(runs)] if len(runs) else []
        if matrix:
            _difference_matrix(figure, grid[-1], pairs, {name: names[name] for name in drawn_observers})
            remarks.append(
                "cell: shape bias of the row minus that of the column; bold where the 95 % interval excludes 0"
            )
            if len(drawn_observers) < len(names):
                remarks.append(f"not shown: {len(names) - len(drawn_observers)} more observers, in the table")
        add_title(figure, benchmark_title("Differences of shape bias", benchmark, observers))
        add_note(figure, *remarks)
    return figure


def _differences_from_baseline(pairs: pd.DataFrame, observers: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """Return the difference of each run from the run of the same model and seed in the baseline regime."""
    runs = observers[observer_kinds(observers) == "run"]
    pair_rows = {}
    for pair in pairs.to_dict("records"):
        pair_rows[pair["observer_1"], pair["observer_2"]] = pair_rows[pair["observer_2"], pair["observer_1"]] = pair
    bases = runs[runs["regime"] == baseline].set_index(["model", "seed"])["observer"].to_dict()
    differences = []
    for run in runs.to_dict("records"):
        base = bases.get((run["model"], run["seed"]))
        pair = pair_rows.get((run["observer"], base))
        if base == run["observer"] or pair is None:
            continue
        sign = 1 if pair["observer_1"] == run["observer"] else -1
        low, high = sorted([sign * pair["ci_low"], sign * pair["ci_high"]])
        differences.append(
            {name: run[name] for name in ("observer", "model", "regime", "seed")}
            | {"difference": sign * pair["difference"], "ci_low": low, "ci_high": high}
        )
    return pd.DataFrame(differences, columns=["observer", "model", "regime", "seed", "difference", "ci_low", "ci_high"])


def _difference_matrix(figure: Figure, axes: Axes, pairs: pd.DataFrame, names: dict[str, str]) -> None:
    """Draw the matrix of differences, row minus column, in the order of `names`. The diagonal is empty."""
    position = {observer: i for i, observer in enumerate(names)}
    values = np.full((len(names), len(names)), np.nan)
    clear = np.zeros(values.shape, dtype=bool)
    for pair in pairs.to_dict("records"):
        i, j = position.get(pair["observer_1"]), position.get(pair["observer_2"])
        if i is None or j is None:
            continue
        values[i, j], values[j, i] = pair["difference"], -pair["difference"]
        clear[i, j] = clear[j, i] = pair["ci_low"] > 0 or pair["ci_high"] < 0
    widest = max(0.05, float(np.nanmax(np.abs(values), initial=0)))
    image = axes.imshow(values, cmap="PuOr", vmin=-widest, vmax=widest, aspect="auto", zorder=1)
    hatch_missing(axes, ~np.isfinite(values) & ~np.eye(len(values), dtype=bool))
    print_values(axes, image, values, "{:+.2f}")
    for text, (row, column) in zip(axes.texts, np.argwhere(np.isfinite(values)), strict=True):
        text.set_fontweight("bold" if clear[row, column] else "normal")
    name_cells(axes, list(names.values()), list(names.values()))
    figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02, label="difference of shape bias")
