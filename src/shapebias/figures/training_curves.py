"""Figures of training: loss and accuracy over epochs."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.style import (
    MARKERS,
    FigureStyle,
    Look,
    by_order,
    heading,
    legend_beside,
    message_figure,
    new_figure,
    title,
    wrapped,
)
from shapebias.tables.summaries import cut_name, regime_order

MEASURES = {"loss": "loss (nats)", "accuracy": "accuracy"}
COLUMNS = 4
TRAINING_LINE = (0, (3, 2))


def training_curves(histories: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Loss and accuracy of training and validation over epochs, two panels a model.

    histories: `history.csv` of all runs with their model, regime, seed and best_epoch, the epoch that was kept.
    """
    style = style or FigureStyle()
    if histories.empty:
        return message_figure("No run was trained.", style)
    models = list(dict.fromkeys(histories["model"]))
    regimes = regime_order(histories["regime"])
    colors, markers = style.regime_colors(regimes), by_order(regimes, MARKERS)
    columns = min(COLUMNS, len(models))
    lines = -(-len(models) // columns)
    with style.applied():
        figure = new_figure(2.2 + 2.3 * columns, 0.3 + 4.0 * lines)
        grid = figure.subplots(2 * lines, columns, sharey="row", squeeze=False)
        for position, model in enumerate(models):
            line, column = divmod(position, columns)
            own = histories[histories["model"] == model]
            for axes, measure in zip(grid[2 * line : 2 * line + 2, column], MEASURES, strict=True):
                width = 1.6 if histories["seed"].nunique() == 1 else 1.0
                for (regime, _), run in own.groupby(["regime", "seed"], sort=False):
                    look: Look = {"color": colors[str(regime)], "linewidth": width, "markeredgecolor": "white"}
                    axes.plot(run["epoch"], run[f"train_{measure}"], linestyle=TRAINING_LINE, alpha=0.7, **look)
                    axes.plot(run["epoch"], run[f"val_{measure}"], **look)
                    kept = run[run["epoch"] == run["best_epoch"]]
                    axes.plot(kept["epoch"], kept[f"val_{measure}"], marker=markers[str(regime)], **look)
                axes.xaxis.get_major_locator().set_params(integer=True)
                if measure == "loss":
                    axes.set_title(wrapped(cut_name(model), 18), fontsize="medium")
                    axes.tick_params(labelbottom=False)
                else:
                    axes.set_xlabel("epoch")
                if column == 0:
                    axes.set_ylabel(MEASURES[measure])
        for axes in grid[2 * lines - 2 :, len(models) - (lines - 1) * columns :].ravel():
            axes.set_visible(False)
        for line in range(lines):  # after all models are drawn: a limit set before would cut off the others
            grid[2 * line, 0].set_ylim(bottom=0)
            grid[2 * line + 1, 0].set_ylim(-0.02, 1.02)
        sns.despine(figure)
        figure.align_ylabels(grid[:, 0])
        runs = len(histories[["model", "regime", "seed"]].drop_duplicates())
        title(figure, f"Loss and accuracy during training ({runs:,} {'run' if runs == 1 else 'runs'})")
        legend = [heading("regime (marker: kept epoch)")]
        for regime in regimes:
            look = {
                "color": colors[regime],
                "marker": markers[regime],
                "markeredgecolor": "white",
                "label": cut_name(regime),
            }
            legend.append(Line2D([], [], **look))
        legend += [heading("images"), Line2D([], [], color="0.25", label="validation")]
        legend += [Line2D([], [], color="0.25", linestyle=TRAINING_LINE, alpha=0.7, label="training")]
        legend_beside(figure, legend)
    return figure
