"""The figures: tables in, matplotlib figures out.

One encoding throughout: a marker is a regime, people are black diamonds, pretrained networks are stars. Colour is the
model where categories are on the rows, and the regime where models are.
"""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from shapebias.figure_style import (
    LINE_STYLES,
    MARKERS,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_MARKER,
    FigureStyle,
    Look,
    by_order,
    fraction_axis,
    heading,
    legend_beside,
    marker_size,
    message_figure,
    new_figure,
)
from shapebias.forest import draw_forest, forest_height, forest_rows
from shapebias.summaries import PEOPLE, pool_accuracy, pool_bias, pool_coverage, regime_order

PUBLISHED_PEOPLE = "people, published stimuli"


def shape_bias_by_category(
    by_category: pd.DataFrame,
    people: pd.DataFrame | None = None,
    *,
    benchmark: str,
    style: FigureStyle | None = None,
) -> Figure:
    """Shape bias of each model × regime in each category of shape, and over all of them as a vertical line.

    by_category: `shape_bias_by_category.csv`; people: category, shape_hits, texture_hits on the published stimuli,
    drawn where the benchmark itself was not shown to people. A category without a hit has no marker.
    """
    style = style or FigureStyle()
    table = by_category[by_category["benchmark"] == benchmark]
    if table.empty:
        return message_figure(f"{benchmark}: no decisions to show.", style)
    pooled = pool_bias(table, by=["category"])
    measured = pooled[pooled["kind"] != PEOPLE]
    persons, persons_label = _people(pooled, people)

    categories = _by_bias(measured if len(measured) else persons)
    series = list(dict.fromkeys(zip(measured["model"], measured["regime"], strict=True)))
    regimes = regime_order(regime for _, regime in series if regime)
    models = list(dict.fromkeys(measured["model"]))
    # Regimes of one model side by side: they differ more than models of one regime do, so markers hide each other less.
    series.sort(key=lambda pair: (models.index(pair[0]), [*regimes, ""].index(pair[1])))
    colors = style.model_colors(models)
    markers = by_order(regimes, MARKERS) | {"": PRETRAINED_MARKER}
    lines: dict[str, Any] = by_order(regimes, LINE_STYLES) | {"": "-"}

    with style.applied():
        figure = new_figure(11, 1.6 + len(categories) * min(max(0.36, 0.12 + 0.03 * len(series)), 0.8))
        axes = figure.subplots()
        dodge = np.linspace(-0.36, 0.36, len(series)) if len(series) > 1 else np.zeros(1)
        for (model, regime), offset in zip(series, dodge, strict=False):
            rows = measured[(measured["model"] == model) & (measured["regime"] == regime)].set_index("category")
            look: Look = {"color": colors[model], "label": f"{model} {regime}".strip()}
            axes.axvline(_overall(rows), linestyle=lines[regime], linewidth=1.4, alpha=0.75, zorder=2, **look)
            _markers(axes, rows["shape_bias"].reindex(categories), offset, marker=markers[regime], **look)
        if not persons.empty:
            rows = persons.set_index("category")
            look: Look = {"color": PEOPLE_COLOR, "label": persons_label}
            axes.axvline(_overall(rows), linewidth=1.8, zorder=2, **look)
            _markers(axes, rows["shape_bias"].reindex(categories), 0.0, marker=PEOPLE_MARKER, **look)

        axes.set_yticks(range(len(categories)), categories)
        axes.set_ylim(len(categories) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        for row in range(0, len(categories), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="0.965", zorder=0)
        _fraction_arrows(axes)
        axes.set_ylabel("category of the shape")
        figure.suptitle(_title("Shape bias by category", benchmark, table), x=0.01, ha="left", fontweight="bold")
        people_look: Look = {"color": PEOPLE_COLOR, "linewidth": 1.8, "markersize": 7, "markeredgecolor": "white"}
        look = {"color": "0.25", "linewidth": 1.4, "markeredgecolor": "white"}
        legend = [heading("model")] + [
            Line2D([], [], marker="o", linestyle="none", markersize=8, color=colors[m], label=m) for m in models
        ]
        if series:
            legend += [heading("regime")] + [
                Line2D(
                    [],
                    [],
                    marker=markers[r],
                    markersize=marker_size(markers[r]),
                    linestyle=lines[r],
                    label=r or "not trained here",
                    **look,
                )
                for r in [*regimes, ""]
                if any(regime == r for _, regime in series)
            ]
        if not persons.empty:
            legend += [heading("people")] + [Line2D([], [], marker=PEOPLE_MARKER, label=persons_label, **people_look)]
        legend_beside(figure, legend if series else legend[1:])
    return figure


def shape_bias_overview(
    shape_bias: pd.DataFrame,
    cue_accuracy: pd.DataFrame,
    people: pd.DataFrame | None = None,
    *,
    benchmark: str,
    style: FigureStyle | None = None,
) -> Figure:
    """Shape bias of every observer with its 95 % interval; bias and coverage in figures at the right."""
    style = style or FigureStyle()
    table = shape_bias[shape_bias["benchmark"] == benchmark]
    if table.empty and people is None:
        return message_figure(f"{benchmark}: no decisions to show.", style)
    pooled = pool_bias(table)
    persons, persons_label = _people(pooled, people)
    if persons_label == PUBLISHED_PEOPLE and not persons.empty:
        hits = persons[["shape_hits", "texture_hits"]].sum()
        reference = {"kind": PEOPLE, "model": persons_label, "regime": "", "ci_low": np.nan, "ci_high": np.nan}
        reference |= {"shape_bias": hits["shape_hits"] / hits.sum()}
        pooled = pd.concat([pooled, pd.DataFrame([reference])], ignore_index=True)
    coverage = pool_coverage(cue_accuracy[cue_accuracy["benchmark"] == benchmark])
    pooled = pooled.merge(coverage, on=["model", "regime"], how="left")

    with style.applied():
        rows = forest_rows(pooled)
        figure = new_figure(9, 1.3 + 0.25 * forest_height(rows))
        axes = figure.subplots()
        draw_forest(axes, rows, pooled, table, "shape_bias", style)
        axes.axvline(0.5, color="0.35", linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        records = {(record["model"], record["regime"]): record for record in pooled.to_dict("records")}
        for points, column, scale, form in ((44, "shape_bias", 1, "{:.2f}"), (108, "coverage", 100, "{:.0f} %")):
            look: Look = {
                "textcoords": "offset points",
                "ha": "right",
                "va": "center_baseline",
                "annotation_clip": False,
            }
            look |= {"xycoords": ("axes fraction", "data"), "xytext": (points * style.font_scale, 0)}
            look |= {"fontsize": axes.yaxis.get_ticklabels()[0].get_fontsize()}
            axes.annotate(column.removeprefix("shape_"), (1, -1), fontweight="bold", **look)
            for row in rows:
                number = records.get((row.model, row.regime), {}).get(column, np.nan)
                if np.isfinite(number):
                    axes.annotate(form.format(number * scale), (1, row.y), **look)
        axes.set_xlabel(
            "← texture       shape bias = shape hits / (shape hits + texture hits)       shape →\n"
            "bar: 95 % interval     tick: one seed or person     coverage: answers that name either cue"
        )
        figure.suptitle(_title("Shape bias", benchmark, table), x=0.01, ha="left", fontweight="bold")
    return figure


def accuracy_overview(accuracy: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Accuracy of every observer with its 95 % interval, one panel a benchmark; chance is the dashed line."""
    style = style or FigureStyle()
    if accuracy.empty:
        return message_figure("No benchmark of accuracy was measured.", style)
    pooled = pool_accuracy(accuracy)
    panels = list(dict.fromkeys(zip(pooled["benchmark"], pooled["unit"], strict=True)))
    columns = min(3 if len(panels) in (5, 6, 9) else 4, len(panels))
    with style.applied():
        rows = forest_rows(pooled)
        lines = -(-len(panels) // columns)
        figure = new_figure(2.2 + 2.4 * columns, 0.7 + lines * (0.9 + 0.22 * forest_height(rows)))
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (benchmark, unit) in zip(grid, panels, strict=False):
            part = pooled[(pooled["benchmark"] == benchmark) & (pooled["unit"] == unit)]
            seeds = accuracy[(accuracy["benchmark"] == benchmark) & (accuracy["unit"] == unit)]
            draw_forest(axes, rows, part, seeds, "accuracy", style)
            axes.axvline(part["chance"].iloc[0], color="0.35", linestyle=(0, (4, 3)), linewidth=1, zorder=1)
            axes.set_title(f"{benchmark} by {unit}", fontsize="medium", pad=16 * style.font_scale)
            note: Look = {"xytext": (0, 4), "textcoords": "offset points", "fontsize": "small", "color": "0.3"}
            axes.annotate(f"{int(seeds['images'].max()):,} images", (0, 1), xycoords="axes fraction", **note)
            axes.set_xlabel("accuracy")
            axes.tick_params(labelbottom=True)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        legend = Line2D([], [], color="0.35", linestyle=(0, (4, 3)), linewidth=1, label="chance")
        figure.legend(handles=[legend], loc="outside lower right")
    return figure


def training_curves(histories: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Training and validation accuracy over epochs, one panel a model.

    histories: `history.csv` of all runs with their model, regime, seed and best_epoch, the epoch that was kept.
    """
    style = style or FigureStyle()
    if histories.empty:
        return message_figure("No run was trained.", style)
    models = list(dict.fromkeys(histories["model"]))
    regimes = regime_order(histories["regime"])
    colors, markers = style.regime_colors(regimes), by_order(regimes, MARKERS)
    columns = min(4, len(models))
    with style.applied():
        lines = -(-len(models) // columns)
        figure = new_figure(1.9 + 2.3 * columns, 0.3 + 2.3 * lines)
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
        for axes, model in zip(grid, models, strict=False):
            runs = histories[histories["model"] == model].groupby(["regime", "seed"], sort=False)
            width = 1.6 if histories["seed"].nunique() == 1 else 1.0
            for (regime, _), run in runs:
                look: Look = {"color": colors[str(regime)], "linewidth": width, "markeredgecolor": "white"}
                axes.plot(run["epoch"], run["train_accuracy"], linestyle=(0, (3, 2)), alpha=0.7, **look)
                axes.plot(run["epoch"], run["val_accuracy"], **look)
                kept = run[run["epoch"] == run["best_epoch"]]
                axes.plot(kept["epoch"], kept["val_accuracy"], marker=markers[str(regime)], **look)
            axes.set_title(textwrap.fill(model, 18), fontsize="medium")
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_ylim(-0.02, 1.02)
        for axes in grid[::columns]:
            axes.set_ylabel("accuracy")
        for axes in grid[len(models) :]:
            axes.set_visible(False)
        sns.despine(figure)
        legend = [heading("regime (marker: kept epoch)")]
        for regime in regimes:
            look = {"color": colors[regime], "marker": markers[regime], "markeredgecolor": "white", "label": regime}
            legend.append(Line2D([], [], **look))
        legend += [heading("images"), Line2D([], [], color="0.25", label="validation")]
        legend += [Line2D([], [], color="0.25", linestyle=(0, (3, 2)), alpha=0.7, label="training")]
        legend_beside(figure, legend)
    return figure


def _people(pooled: pd.DataFrame, reference: pd.DataFrame | None) -> tuple[pd.DataFrame, str]:
    """People's rows for this benchmark and how to call them: measured on it, or else the reference."""
    measured = pooled[pooled["kind"] == PEOPLE]
    if not measured.empty or reference is None:
        return measured, PEOPLE
    hits = reference["shape_hits"] + reference["texture_hits"]
    return reference.assign(shape_bias=reference["shape_hits"] / hits), PUBLISHED_PEOPLE


def _overall(rows: pd.DataFrame) -> float:
    """The bias over all categories: hits are summed, so that a category counts by its decisions."""
    hits = rows[["shape_hits", "texture_hits"]].sum()
    return hits["shape_hits"] / hits.sum() if hits.sum() else np.nan


def _by_bias(pooled: pd.DataFrame) -> list[str]:
    """Categories from the most shape-driven to the least, mean over observers; undefined ones last."""
    mean = pooled.groupby("category")["shape_bias"].mean().sort_index()
    return list(mean.sort_values(ascending=False, kind="stable").index)


def _markers(axes: Axes, bias: pd.Series, offset: float, **look) -> None:
    axes.plot(
        bias.to_numpy(float),
        np.arange(len(bias)) + offset,
        linestyle="none",
        markersize=marker_size(look["marker"]),
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=3,
        **look,
    )


def _fraction_arrows(axes: Axes) -> None:
    """Shape decisions along the bottom, texture decisions mirrored along the top, each with an arrow."""
    fraction_axis(axes)
    axes.set_xticks(np.linspace(0, 1, 11).round(1))
    axes.set_xlabel('fraction of "shape" decisions', labelpad=14)
    top = axes.secondary_xaxis("top", functions=(_mirrored, _mirrored))
    top.set_xticks(np.linspace(0, 1, 11).round(1))
    top.set_xlabel('fraction of "texture" decisions', labelpad=14)
    figure = axes.get_figure(root=True)
    assert figure is not None
    for y, points, ends in ((0, -27, (0, 1)), (1, 27, (1, 0))):
        place = axes.transAxes + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)
        arrow = {"arrowstyle": "->", "color": "0.2", "shrinkA": 0, "shrinkB": 0}
        start, end = ends
        axes.annotate("", xy=(end, y), xytext=(start, y), xycoords=place, textcoords=place, arrowprops=arrow)


def _mirrored(fraction):
    return 1 - fraction


def _title(what: str, benchmark: str, table: pd.DataFrame) -> str:
    """What is shown, on which benchmark, how many conflict images, and how many seeds a run."""
    single = table[table["observer"] != PEOPLE]  # all people together count every image once a person
    observer = (single if len(single) else table).groupby("observer")["conflict_images"].sum()
    parts = [f"{int(observer.max()):,} conflict images"] if len(observer) else []
    seeds = table.dropna(subset=["seed"]).groupby(["model", "regime"])["seed"].nunique()
    if len(seeds):
        low, high = min(seeds.to_list()), max(seeds.to_list())
        number = f"{high}" if low == high else f"{low} to {high}"
        parts.append(f"{number} {'seed' if high == 1 else 'seeds'} a run")
    return f"{what}: {benchmark}" + (f" ({', '.join(parts)})" if parts else "")
