"""Figures of training: loss and accuracy over epochs."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shapebias.figures.frame import LegendGroup, add_frame
from shapebias.figures.line_panels import MOST_PANELS
from shapebias.figures.style import (
    BODY_HEIGHT,
    COLUMN_WIDTH,
    HALO,
    PAGE_WIDTH,
    ArtistStyle,
    FigureStyle,
    NoDataError,
    marker_size,
    new_figure,
    wrap_name,
)
from shapebias.tables.summaries import order_regimes, shorten_name

CURVE_LABELS = {"loss": "loss (nats)", "accuracy": "accuracy"}
MOST_COLUMNS = 4
TRAINING_LINE = (0, (3, 2))


def training_curves(histories: pd.DataFrame, *, style: FigureStyle | None = None) -> Figure:
    """Draw loss and accuracy of training and validation over epochs, two panels per model.

    The first MOST_PANELS models are drawn.
    histories: `history.csv` of all runs, with model, regime, seed and best_epoch (the epoch of the saved weights).
    """
    style = style or FigureStyle()
    if histories.empty:
        raise NoDataError("No run was trained.")
    trained_models = list(dict.fromkeys(histories["model"]))
    models = trained_models[:MOST_PANELS]
    regimes = order_regimes(histories["regime"])
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    columns = min(MOST_COLUMNS, len(models))
    lines = -(-len(models) // columns)
    with style.apply():
        width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH
        figure = new_figure(width, 8 + lines * min(70, (BODY_HEIGHT - 8) / lines))
        grid = figure.subplots(2 * lines, columns, sharey="row", squeeze=False)
        for position, model in enumerate(models):
            line, column = divmod(position, columns)
            model_rows = histories[histories["model"] == model]
            for axes, measure in zip(grid[2 * line : 2 * line + 2, column], CURVE_LABELS, strict=True):
                line_width = 1.0 if histories["seed"].nunique() == 1 else 0.7
                for (regime, _), run in model_rows.groupby(["regime", "seed"], sort=False):
                    options: ArtistStyle = {"color": colors[str(regime)], "linewidth": line_width}
                    axes.plot(run["epoch"], run[f"train_{measure}"], linestyle=TRAINING_LINE, alpha=0.7, **options)
                    axes.plot(run["epoch"], run[f"val_{measure}"], **options)
                    best_rows, marker = run[run["epoch"] == run["best_epoch"]], markers[str(regime)]
                    options |= {"marker": marker, "markersize": marker_size(marker)} | HALO
                    axes.plot(best_rows["epoch"], best_rows[f"val_{measure}"], **options)
                axes.xaxis.get_major_locator().set_params(integer=True)
                if measure == "loss":
                    axes.set_title(wrap_name(shorten_name(model), int(width / columns / 2)))
                    axes.tick_params(labelbottom=False)
                elif position + columns >= len(models):
                    axes.set_xlabel("epoch")
                if column == 0:
                    axes.set_ylabel(CURVE_LABELS[measure])
        for axes in grid[2 * lines - 2 :, len(models) - (lines - 1) * columns :].ravel():
            axes.set_visible(False)
        # Only after all models are drawn, because a limit set earlier would cut off later models.
        for line in range(lines):
            grid[2 * line, 0].set_ylim(bottom=0)
            grid[2 * line + 1, 0].set_ylim(-0.02, 1.02)
        sns.despine(figure)
        figure.align_ylabels(grid[:, 0])
        runs = len(histories[["model", "regime", "seed"]].drop_duplicates())
        entries = [
            Line2D(
                [],
                [],
                color=colors[regime],
                marker=markers[regime],
                markersize=marker_size(markers[regime]),
                label=shorten_name(regime),
                **HALO,
            )
            for regime in regimes
        ]
        legend: list[LegendGroup] = [("regime", entries)]
        lines_of_images = [Line2D([], [], color="0.25", label="validation")]
        lines_of_images += [Line2D([], [], color="0.25", linestyle=TRAINING_LINE, alpha=0.7, label="training")]
        legend.append(("images", lines_of_images))
        left = len(trained_models) - len(models)
        remarks = ["marker: the epoch whose weights are kept"]
        remarks += [f"not shown: {left} more models"] if left else []
        title_text = f"Loss and accuracy during training ({runs:,} {'run' if runs == 1 else 'runs'})"
        add_frame(figure, title_text, legend=legend, remarks=remarks)
    return figure
