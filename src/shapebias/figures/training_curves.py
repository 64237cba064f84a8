"""Figures of training: loss and accuracy over epochs."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.style import (
    ArtistStyle,
    FigureStyle,
    add_legend_beside,
    add_title,
    legend_heading,
    message_figure,
    new_figure,
    wrap_name,
)
from shapebias.tables.summaries import order_regimes, shorten_name

CURVE_LABELS = {"loss": "loss (nats)", "accuracy": "accuracy"}
MOST_COLUMNS = 4
TRAINING_LINE = (0, (3, 2))


def training_curves(histories: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw loss and accuracy of training and validation over epochs, two panels per model.

    histories: `history.csv` of all runs, with model, regime, seed and best_epoch (the epoch of the saved weights).
    """
    style = style or FigureStyle()
    if histories.empty:
        return message_figure("No run was trained.", style)
    models = list(dict.fromkeys(histories["model"]))
    regimes = order_regimes(histories["regime"])
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    columns = min(MOST_COLUMNS, len(models))
    lines = -(-len(models) // columns)
    with style.apply():
        figure = new_figure(2.2 + 2.3 * columns, 0.3 + 4.0 * lines)
        grid = figure.subplots(2 * lines, columns, sharey="row", squeeze=False)
        for position, model in enumerate(models):
            line, column = divmod(position, columns)
            model_rows = histories[histories["model"] == model]
            for axes, measure in zip(grid[2 * line : 2 * line + 2, column], CURVE_LABELS, strict=True):
                width = 1.6 if histories["seed"].nunique() == 1 else 1.0
                for (regime, _), run in model_rows.groupby(["regime", "seed"], sort=False):
                    options: ArtistStyle = {
                        "color": colors[str(regime)],
                        "linewidth": width,
                        "markeredgecolor": "white",
                    }
                    axes.plot(run["epoch"], run[f"train_{measure}"], linestyle=TRAINING_LINE, alpha=0.7, **options)
                    axes.plot(run["epoch"], run[f"val_{measure}"], **options)
                    best_rows = run[run["epoch"] == run["best_epoch"]]
                    axes.plot(best_rows["epoch"], best_rows[f"val_{measure}"], marker=markers[str(regime)], **options)
                axes.xaxis.get_major_locator().set_params(integer=True)
                if measure == "loss":
                    axes.set_title(wrap_name(shorten_name(model), 18), fontsize="medium")
                    axes.tick_params(labelbottom=False)
                else:
                    axes.set_xlabel("epoch")
                if column == 0:
                    axes.set_ylabel(CURVE_LABELS[measure])
        for axes in grid[2 * lines - 2 :, len(models) - (lines - 1) * columns :].ravel():
            axes.set_visible(False)
        for line in range(
            lines
        ):  # only after all models are drawn, because a limit set earlier would cut off later models
            grid[2 * line, 0].set_ylim(bottom=0)
            grid[2 * line + 1, 0].set_ylim(-0.02, 1.02)
        sns.despine(figure)
        figure.align_ylabels(grid[:, 0])
        runs = len(histories[["model", "regime", "seed"]].drop_duplicates())
        add_title(figure, f"Loss and accuracy during training ({runs:,} {'run' if runs == 1 else 'runs'})")
        legend = [legend_heading("regime (marker: kept epoch)")]
        for regime in regimes:
            options = {
                "color": colors[regime],
                "marker": markers[regime],
                "markeredgecolor": "white",
                "label": shorten_name(regime),
            }
            legend.append(Line2D([], [], **options))
        legend += [legend_heading("images"), Line2D([], [], color="0.25", label="validation")]
        legend += [Line2D([], [], color="0.25", linestyle=TRAINING_LINE, alpha=0.7, label="training")]
        add_legend_beside(figure, legend)
    return figure
