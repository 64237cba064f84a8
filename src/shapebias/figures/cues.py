"""Figures of both cues: shape accuracy against texture accuracy, and differences of bias between observers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from shapebias.categories import CATEGORIES
from shapebias.figures.forest_plot import describe_ticks, draw_forest, fit_rows, forest_height, forest_rows
from shapebias.figures.frame import add_frame
from shapebias.figures.line_panels import (
    MOST_PANELS,
    OTHERS_POINT,
    LinePanel,
    SeriesKey,
    SeriesStyle,
    make_panels,
    panel_grid,
    series_legend,
    series_styles,
)
from shapebias.figures.matrices import (
    CELL_HEIGHT,
    RowLabel,
    hatch_missing,
    label_observers,
    name_cells,
    print_values,
)
from shapebias.figures.shape_bias import MOST_ROWS, benchmark_title
from shapebias.figures.style import (
    BODY_HEIGHT,
    COLUMN_WIDTH,
    PAGE_WIDTH,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    ROW_HEIGHT,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    format_tick,
    name_width,
    new_figure,
    set_difference_axis,
    small_type,
    wrap_name,
)
from shapebias.tables.summaries import (
    PEOPLE,
    describe_interval,
    observer_kinds,
    pool_means,
    short_observer_names,
)

BIASES = (0.1, 0.25, 0.5, 0.75, 0.9)  # lines of equal bias
COVERAGES = (0.25, 0.5, 0.75, 1)  # lines of equal coverage
MOST_CROSSES = 10  # observers in a panel; with more, intervals are not drawn
MOST_PRINTED = 15  # observers on a side of a matrix of differences with numbers
MOST_DIFFERENCE_ROWS = 64  # observers on a side of the matrix of differences


def cue_plane(cue_accuracy: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw shape accuracy against texture accuracy: one point per model × regime, with 95 % intervals.

    cue_accuracy: `cue_accuracy.csv`. The direction of a point from the origin is its shape bias. Its diagonal is its
    coverage, the share of answers that name a cue; the bias alone hides it. Coverage cannot exceed 1, so the upper
    right half stays empty. Each model has a panel. Single persons are small points.
    """
    style = style or FigureStyle()
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark]
    if table.empty:
        raise NoDataError(f"{benchmark}: no decisions to show.")
    bounds = {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in ("shape", "texture")}
    pooled = pool_means(table, bounds)
    persons = table[observer_kinds(table) == "person"]
    panels = make_panels(pooled)
    drawn_panels = panels[:MOST_PANELS]
    columns = 4 if len(drawn_panels) > 3 else len(drawn_panels)
    with style.apply():
        styles = series_styles(pooled, style)
        width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
        side = (width - 16) / columns
        figure = new_figure(width, 9 + (side + (5 if columns > 1 else 0)) * -(-len(drawn_panels) // columns))
        grid = panel_grid(figure, drawn_panels, columns, sharex=True, sharey=True)
        crosses = max(len(panel.series) for panel in drawn_panels) <= MOST_CROSSES
        small: ArtistStyle = {"marker": PEOPLE_MARKER, "linestyle": "none", "color": PEOPLE_COLOR, "markersize": 1.8}
        for position, (axes, panel) in enumerate(zip(grid, drawn_panels, strict=True)):
            _draw_plane(axes, coverages=side > 50)
            axes.plot(persons["texture_accuracy"], persons["shape_accuracy"], alpha=0.45, zorder=3, **small)
            _draw_points(axes, pooled, panel, styles, crosses=crosses)
            if len(drawn_panels) > 1:
                axes.set_title(wrap_name(panel.title, int(side / 1.8)))
            if position + columns >= len(drawn_panels):
                axes.set_xlabel("texture accuracy")
                axes.tick_params(labelbottom=True)
            if position % columns == 0:
                axes.set_ylabel("shape accuracy")
        remarks = ["accuracy: share of conflict images answered with that cue"]
        remarks += ["line from the origin: equal shape bias, its value at the end"]
        remarks += ["diagonal: equal coverage, in %" if side > 50 else "dotted: coverage of 25, 50 and 75 %"]
        remarks += [f"cross: {describe_interval(pooled)}" if crosses else "intervals: in the table"]
        left = len(panels) - len(drawn_panels)
        remarks += [f"not shown: {left} more models, in the table"] if left else []
        legend = series_legend(styles, lines=False, others=OTHERS_POINT)
        if len(persons):
            legend.append(("", [Line2D([], [], alpha=0.45, label="one person", **small)]))
        legend.append(("", [Line2D([], [], label="chance, 1 of 16 each", **_chance_mark())]))
        title_text = benchmark_title("Shape and texture accuracy", benchmark, table)
        add_frame(figure, title_text, legend=legend, remarks=remarks)
    return figure


def _chance_mark() -> ArtistStyle:
    return {"marker": "+", "linestyle": "none", "color": "0.3", "markersize": 6, "markeredgewidth": 0.9}


def _draw_points(
    axes: Axes, pooled: pd.DataFrame, panel: LinePanel, styles: Mapping[SeriesKey, SeriesStyle], *, crosses: bool
) -> None:
    """Draw the observers of a panel and chance; crosses: whether their intervals are drawn."""
    for row in pooled.to_dict("records"):
        key = (row["model"], row["regime"])
        if key not in panel.series:
            continue
        series_style = styles[key]
        x, y = row["texture_accuracy"], row["shape_accuracy"]
        if crosses and not series_style.faint:
            line: ArtistStyle = {"color": series_style.color, "linewidth": 0.9, "alpha": 0.6, "zorder": 4}
            axes.plot([row["texture_low"], row["texture_high"]], [y, y], **line)
            axes.plot([x, x], [row["shape_low"], row["shape_high"]], **line)
        look = OTHERS_POINT if series_style.faint else series_style.marker_style()
        axes.plot([x], [y], zorder=4 if series_style.faint else 5, **look)
    chance = 1 / len(CATEGORIES)
    axes.plot([chance], [chance], zorder=6, **_chance_mark())


def _draw_plane(axes: Axes, *, coverages: bool) -> None:
    """Draw the triangle of possible accuracies, with lines of equal bias and of equal coverage.

    coverages: whether the lines of coverage have their numbers, for which a small panel has no room.
    """
    axes.set_box_aspect(1)
    axes.set(xlim=(-0.02, 1.14), ylim=(-0.02, 1.14))
    ticks = np.linspace(0, 1, 6 if coverages else 3)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.xaxis.set_major_formatter(format_tick)
    axes.yaxis.set_major_formatter(format_tick)
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(False)
    line: ArtistStyle = {"color": "0.75", "linewidth": 0.6, "zorder": 0}
    for coverage in COVERAGES:
        style = "-" if coverage == 1 else (0, (1, 2))
        axes.plot([0, coverage], [coverage, 0], linestyle=style, **line)
        if coverages:
            place: ArtistStyle = {"xytext": (1, 1), "textcoords": "offset points", "ha": "center"}
            place |= {"rotation": -45, "rotation_mode": "anchor", "color": "0.4", "fontsize": small_type()}
            # The label is half way between two lines of equal bias, just above its coverage line.
            axes.annotate(f"{100 * coverage:.0f} %", (0.36 * coverage, 0.64 * coverage), **place)
    for bias in BIASES:
        axes.plot([0, 1 - bias], [0, bias], linestyle="-" if bias == 0.5 else (0, (5, 3)), **line)
        place = {"xytext": (3 * (1 - bias) + 1, 3 * bias + 1), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{bias:g}", (1 - bias, bias), color="0.4", fontsize=small_type(), **place)


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
        raise NoDataError(f"{benchmark}: no two observers to compare.")
    runs = _differences_from_baseline(pairs, observers, baseline)
    kinds = observer_kinds(observers)
    without_baseline = observers[kinds != "run"] if len(runs) else observers
    if (kinds == PEOPLE).any():
        without_baseline = without_baseline[observer_kinds(without_baseline) != "person"]
    names = short_observer_names(without_baseline)
    if not len(runs) and len(names) < 2:
        raise NoDataError(f"{benchmark}: no two observers to compare.")
    with style.apply():
        pooled = pool_means(runs, {"difference": ("ci_low", "ci_high")}) if len(runs) else runs
        highest = (BODY_HEIGHT - 12) / ROW_HEIGHT
        columns, left_runs = fit_rows(forest_rows(pooled), MOST_ROWS, highest) if len(runs) else ([], 0)
        rows = max(map(forest_height, columns), default=0)
        heights = [12 + ROW_HEIGHT * rows] if columns else []
        count = _count_matrix_rows(names, BODY_HEIGHT - sum(heights))
        drawn_observers = dict(list(names.items())[:count])
        heights += [_matrix_height(drawn_observers)] if count else []
        printed = 0 < count <= MOST_PRINTED
        narrow = len(columns) <= 1 and (not count or (printed and count <= 4))
        figure = new_figure(COLUMN_WIDTH if narrow else PAGE_WIDTH, sum(heights))
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        remarks = []
        if columns:
            for axes, part in zip(parts[0].subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
                draw_forest(axes, part, pooled, runs, "difference", style, list(observers["regime"].dropna()))
                axes.set_ylim(rows - 0.4, -0.6)
                set_difference_axis(axes, pooled[["difference", "ci_low", "ci_high"]].to_numpy(dtype=float))
                axes.set_xlabel("difference of shape bias →")
            remarks += [f"difference: shape bias minus that of the same model trained as “{baseline}”"]
            remarks += [f"bar: {describe_interval(pooled)}, paired", *describe_ticks(runs)]
            remarks += [f"not shown: {left_runs} more rows, in the table"] if left_runs else []
        if count:
            _difference_matrix(parts[-1], pairs, label_observers(without_baseline), drawn_observers, printed=printed)
            remarks.append("cell: shape bias of the row minus that of the column")
            remarks.append(
                "bold where the 95 % interval excludes 0" if printed else "white: the 95 % interval includes 0"
            )
        if len(names) > max(count, 1):
            remarks.append(f"not shown: {len(names) - count} more observers, in the table")
        add_frame(figure, benchmark_title("Differences of shape bias", benchmark, observers), remarks=remarks)
    return figure


def _matrix_height(names: Mapping[str, str]) -> float:
    """Return the height of a matrix of these observers in mm, with its names and, without numbers, its colour bar."""
    if len(names) > MOST_PRINTED:
        return 14 + CELL_HEIGHT * len(names)
    return 4 + 5 * len(names) + max(map(name_width, names.values()))


def _count_matrix_rows(names: Mapping[str, str], room: float) -> int:
    """Return how many observers a matrix has in `room` mm; 0 if there is no room for two."""
    for count in range(min(len(names), MOST_DIFFERENCE_ROWS), 1, -1):
        if _matrix_height(dict(list(names.items())[:count])) <= room:
            return count
    return 0


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


def _difference_matrix(
    figure: SubFigure,
    pairs: pd.DataFrame,
    labels: Mapping[str, RowLabel],
    names: Mapping[str, str],
    *,
    printed: bool,
) -> None:
    """Draw the matrix of differences, row minus column, in the order of `names`. The diagonal is empty.

    labels, names: of rows and of columns. printed: whether cells have numbers; otherwise, cells whose interval includes
    0 are empty, too.
    """
    axes = figure.subplots()
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
    shown = values if printed else np.where(clear, values, np.nan)
    image = axes.imshow(shown, cmap="PuOr", vmin=-widest, vmax=widest, aspect="auto", zorder=1, interpolation="none")
    hatch_missing(axes, ~np.isfinite(values) & ~np.eye(len(values), dtype=bool))
    if printed:
        print_values(axes, image, values, "{:+.2f}")
        for text, (row, column) in zip(axes.texts, np.argwhere(np.isfinite(values)), strict=True):
            text.set_fontweight("bold" if clear[row, column] else "normal")
    name_cells(axes, [labels[observer] for observer in names], list(names.values()) if printed else [])
    if not printed:
        axes.set_xlabel("observers in the order of the rows")
        label = "difference of shape bias"
        figure.colorbar(image, ax=axes, location="bottom", shrink=0.4, aspect=40, pad=0.01, label=label)
