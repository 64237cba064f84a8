"""Figures of likeness: which observers err on the same images, and how similar networks are to people."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shapebias.figures.frame import add_frame
from shapebias.figures.line_panels import SeriesStyle, series_legend, series_styles
from shapebias.figures.matrices import CELL_HEIGHT, hatch_missing, label_observers, name_cells, print_values
from shapebias.figures.style import (
    COLUMN_WIDTH,
    HALO,
    PAGE_WIDTH,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_COLOR,
    PRETRAINED_MARKER,
    ROW_HEIGHT,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    draw_dashed_line,
    marker_size,
    name_width,
    new_figure,
    small_type,
)
from shapebias.tables.summaries import (
    PEOPLE,
    format_range,
    is_interpretable,
    observer_kinds,
    short_observer_names,
    shorten_names,
    sort_observers,
)

MOST_PRINTED = 14  # observers on a side of a matrix with printed numbers
MOST_NARROW = 4  # observers on a side of a matrix that fits into a column
MOST_OBSERVERS = 64
LONGEST_LABEL = 36  # letters of a network beside the measures of likeness
STRIP = 32  # mm, for κ with people beside the matrix
MEASURE_LABELS = {
    "accuracy": "accuracy",
    "accuracy_difference": "squared difference of\naccuracy from people\n(smaller is nearer)",
    "observed_consistency": "observed consistency\nwith people",
    "error_consistency": "error consistency\nwith people (κ)",
}


def consistency_matrix(
    consistency: pd.DataFrame, observers: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None
) -> Figure:
    """Draw Cohen's κ of right and wrong for every two observers, and for each with people, with 95 % intervals.

    consistency: `error_consistency.csv`. The means over conditions are drawn.
    observers: a table with the model, regime and seed of each observer, such as `shape_bias.csv`.
    Source: Geirhos, Meding and Wichmann, NeurIPS 2020 (arXiv 2006.16736).
    """
    style = style or FigureStyle()
    table = consistency[(consistency["benchmark"] == benchmark) & (consistency["condition"] == "all")]
    if table.empty:
        raise NoDataError(f"{benchmark}: no two observers answered the same images.")
    present = {*table["observer_1"], *table["observer_2"]}
    observer_rows = observers[
        (observers["benchmark"] == benchmark) & observers["observer"].isin(present)
    ].drop_duplicates("observer")
    names = short_observer_names(observer_rows)
    names |= shorten_names({name: name for name in sorted(present - {*names})})
    pooled = names.pop(PEOPLE, None)  # in the strip beside the matrix
    drawn_names = dict(list(names.items())[:MOST_OBSERVERS])
    with_people = _with_people(table, drawn_names) if pooled else pd.DataFrame()
    values = _matrix(table, drawn_names)
    strip = len(with_people) > 0
    count = len(drawn_names)
    printed = count <= MOST_PRINTED
    narrow = count <= MOST_NARROW and not strip
    with style.apply():
        longest = max(map(name_width, drawn_names.values()))
        height = 13 + (longest + 5.5 * count if printed else CELL_HEIGHT * count + 5)
        figure = new_figure(COLUMN_WIDTH if narrow else PAGE_WIDTH, max(height, 40))
        wide = PAGE_WIDTH - longest - STRIP
        grid = figure.subplots(
            1, 2 if strip else 1, squeeze=False, width_ratios=[wide, STRIP] if strip else [1], sharey=strip
        )[0]
        widest = max(0.2, float(np.nanmax(np.abs(values), initial=0)))
        image = grid[0].imshow(
            values, cmap="PuOr", vmin=-widest, vmax=widest, aspect="auto", zorder=1, interpolation="none"
        )
        hatch_missing(grid[0], ~np.isfinite(values) & ~np.eye(count, dtype=bool))
        if printed:
            print_values(grid[0], image, values)
        labels = label_observers(observer_rows)
        rows = [labels.get(observer, ("", name)) for observer, name in drawn_names.items()]
        name_cells(grid[0], rows, list(drawn_names.values()) if printed else [])
        if not printed:
            grid[0].set_xlabel("observers in the order of the rows")
        bar = figure.colorbar(
            image, ax=grid[0], location="bottom", shrink=0.6, pad=0.02, aspect=40, label="error consistency (κ)"
        )
        bar.ax.set_xlim(
            min(0, float(np.nanmin(values, initial=0))), widest
        )  # leave out the half of the colour bar that has no values
        if strip:
            _draw_strip(grid[1], with_people, list(drawn_names), observer_rows, style)
        remarks = ["κ 0: no more errors shared than accuracies make likely; 1: the same images wrong"]
        if not is_interpretable(table).all():
            remarks.append("hatched: undefined, or an observer is not above chance or nearly always gives one answer")
        remarks += ["right: mean over people, bar: 95 % interval over images"] if strip else ["intervals: in the table"]
        remarks += [f"not shown: {len(names) - count} more observers, in the table"] if count < len(names) else []
        title_text = f"Error consistency: {benchmark} ({format_range(table['images'])} images in common)"
        add_frame(figure, title_text, remarks=remarks)
    return figure


def _matrix(table: pd.DataFrame, names: dict[str, str]) -> np.ndarray:
    """Return κ [observers, observers], symmetric; NaN on the diagonal and where κ is undefined or not interpretable."""
    position = {observer: i for i, observer in enumerate(names)}
    values = np.full((len(names), len(names)), np.nan)
    pairs = table[table["observer_1"].isin(position) & table["observer_2"].isin(position)]
    rows, columns = pairs["observer_1"].map(position), pairs["observer_2"].map(position)
    values[rows, columns] = values[columns, rows] = pairs["kappa"].where(is_interpretable(pairs))
    np.fill_diagonal(values, np.nan)
    return values


def _with_people(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return kappa, ci_low and ci_high with people, by observer."""
    swapped = table.rename(columns={"observer_1": "observer_2", "observer_2": "observer_1"})
    both_orders = pd.concat([table, swapped])
    pairs = both_orders[(both_orders["observer_2"] == PEOPLE) & both_orders["observer_1"].isin(names)]
    pairs = pairs[is_interpretable(pairs)]
    return pairs.drop_duplicates("observer_1").set_index("observer_1")[["kappa", "ci_low", "ci_high"]]


def _draw_strip(
    axes: Axes, with_people: pd.DataFrame, rows: list[str], observer_rows: pd.DataFrame, style: FigureStyle
) -> None:
    """Draw κ with people beside the rows of the matrix."""
    observer_rows = observer_rows.assign(
        kind=observer_kinds(observer_rows), regime=observer_rows["regime"].fillna("")
    ).set_index("observer")
    styles = series_styles(observer_rows[observer_rows["kind"] == "run"], style)
    for y, observer in enumerate(rows):
        if observer not in with_people.index:
            continue
        row = with_people.loc[observer]
        if not np.isfinite(row["kappa"]):
            axes.text(0, y, "undefined", color="0.4", va="center_baseline", fontsize=small_type(), fontstyle="italic")
            continue
        kind = observer_rows.loc[observer, "kind"] if observer in observer_rows.index else "pretrained"
        color, marker = PEOPLE_COLOR, PEOPLE_MARKER
        if kind == "run":
            series_style = styles[observer_rows.loc[observer, "model"], observer_rows.loc[observer, "regime"]]
            color, marker = series_style.color, series_style.marker
        elif kind != "person":
            color, marker = PRETRAINED_COLOR, PRETRAINED_MARKER
        axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.2, alpha=0.5, zorder=2)
        size = 0.9 * marker_size(marker)
        axes.plot([row["kappa"]], [y], marker=marker, color=color, zorder=3, markersize=size, **HALO)
    bounds = with_people.to_numpy(dtype=float)
    axes.set_xlim(min(-0.05, np.nanmin(bounds, initial=0) - 0.03), max(0.2, np.nanmax(bounds, initial=0) + 0.05))
    draw_dashed_line(axes, x=0)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel("with people (κ)")
    axes.spines[["top", "right"]].set_visible(False)


def likeness_dots(likeness: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw the likeness of each network to people over all benchmarks: four measures and the rank in each.

    likeness: `human_likeness.csv`; the rows of the benchmark `all` are drawn, with the best mean rank on top. The value
    of people, if there is one, is the black line.
    """
    style = style or FigureStyle()
    table = likeness[likeness["benchmark"] == "all"] if len(likeness) else likeness
    networks = table[table["model"] != PEOPLE] if len(table) else table
    if networks.empty or networks["error_consistency"].isna().all():
        raise NoDataError("No network answered a benchmark that people answered.")
    networks = sort_observers(networks.assign(regime=networks["regime"].fillna("")))
    by_rank = networks.sort_values("mean_rank", kind="stable", na_position="last")
    drawn_networks = by_rank.head(MOST_OBSERVERS)
    names = short_observer_names(networks, LONGEST_LABEL)
    people = table[table["observer"] == PEOPLE]
    people_rows = likeness[(likeness["observer"] == PEOPLE) & (likeness["benchmark"] != "all")]
    benchmark_count = people_rows["benchmark"].nunique()
    with style.apply():
        figure = new_figure(PAGE_WIDTH, 20 + ROW_HEIGHT * max(len(drawn_networks), 2))
        grid = figure.subplots(1, len(MEASURE_LABELS), sharey=True)
        kinds = observer_kinds(networks)
        styles = series_styles(networks[kinds == "run"].assign(kind="run"), style)
        others = SeriesStyle(
            PRETRAINED_COLOR, PRETRAINED_MARKER
        )  # named beside the axes, so that colours need not tell
        for axes, (measure, label) in zip(grid, MEASURE_LABELS.items(), strict=True):
            for y, row in enumerate(drawn_networks.to_dict("records")):
                series_style = styles.get((row["model"], row["regime"]), others)
                if not np.isfinite(row[measure]):
                    continue
                axes.plot([row[measure]], [y], zorder=3, **series_style.marker_style())
                rank = row[f"{measure}_rank"]
                if np.isfinite(rank):
                    place: ArtistStyle = {"xycoords": ("axes fraction", "data"), "va": "center_baseline", "ha": "right"}
                    axes.annotate(f"{rank:g}", (0.985, y), fontsize=small_type(), color="0.4", **place)
            if len(people) and np.isfinite(people[measure].iloc[0]):
                axes.axvline(people[measure].iloc[0], color=PEOPLE_COLOR, linewidth=1, zorder=2)
            _measure_axis(axes, table[measure].to_numpy(dtype=float), zero=measure != "accuracy")
            axes.set_xlabel(label, fontsize=small_type())
            rank_note = "not in mean rank" if measure == "accuracy" else "in mean rank"
            axes.set_title(rank_note, fontsize=small_type(), fontweight="normal", color="0.4")
            for y in range(len(drawn_networks)):
                axes.axhline(y, color="0.93", linewidth=0.5, zorder=0)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right"]].set_visible(False)
        labels = [
            names[observer] + (f"  ({rank:.1f})" if np.isfinite(rank) else "")
            for observer, rank in zip(drawn_networks["observer"], drawn_networks["mean_rank"], strict=True)
        ]
        grid[0].set_yticks(range(len(drawn_networks)), labels)
        grid[0].set_ylim(len(drawn_networks) - 0.5, -0.5)
        remarks = [
            "in brackets: mean of the ranks in the last three panels",
            "grey: rank in a panel, 1 is nearest or most",
        ]
        remarks += ["line: people among each other"] if len(people) else []
        remarks += (
            [f"not shown: {len(networks) - len(drawn_networks)} more observers"]
            if len(drawn_networks) < len(networks)
            else []
        )
        remarks.append("without intervals: those of single pairs are in the table of error consistency")
        noun = "benchmark" if benchmark_count == 1 else "benchmarks"
        title_text = f"Likeness to people over {benchmark_count} {noun}"
        add_frame(figure, title_text, legend=series_legend(styles, lines=False), remarks=remarks)
    return figure


def _measure_axis(axes: Axes, values: np.ndarray, *, zero: bool) -> None:
    """Set an axis around the values, with room for the ranks on the right; zero: whether the axis includes 0."""
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    if not np.isfinite([low, high]).all():
        low, high = 0.0, 1.0
    low = min(low, 0) if zero else low
    room = max(high - low, 0.02)
    axes.set_xlim(low - 0.06 * room, high + 0.3 * room)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    if zero:
        draw_dashed_line(axes, x=0)
