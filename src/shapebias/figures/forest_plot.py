"""Forest plots: one row per observer, with a marker at its value and a bar for its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from shapebias.figures.style import (
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_COLOR,
    PRETRAINED_MARKER,
    ArtistStyle,
    FigureStyle,
    marker_size,
    set_fraction_axis,
)
from shapebias.tables.summaries import PEOPLE, observer_kinds, order_regimes, shorten_names

FOREST_GROUP_GAP = 0.4  # rows


@dataclass(frozen=True)
class ForestRow:
    """One line of the plot: an observer, or the heading above a group of them."""

    y: float
    label: str
    kind: str  # run, pretrained, people, or heading
    model: str = ""
    regime: str = ""


def forest_rows(pooled: pd.DataFrame) -> list[ForestRow]:
    """Lay out the observers from top to bottom: runs under their model, then networks not trained here, then people.

    pooled: kind (run, pretrained, decisions or people), model, regime.
    """
    runs = pooled[pooled["kind"] == "run"]
    groups = [
        (model, "run", [(model, regime, regime) for regime in order_regimes(part["regime"])])
        for model, part in runs.groupby("model", sort=False)
    ]
    pretrained = list(dict.fromkeys(pooled.loc[pooled["kind"].isin(["pretrained", "decisions"]), "model"]))
    groups.append(("not trained here", "pretrained", [(model, "", model) for model in pretrained]))
    people = list(dict.fromkeys(pooled.loc[pooled["kind"] == PEOPLE, "model"]))
    # The reference on the published stimuli is named `people, published stimuli`. The heading already says people.
    groups.append((PEOPLE, PEOPLE, [(name, "", name.removeprefix(f"{PEOPLE}, ")) for name in people]))

    titles = shorten_names({str(title): str(title) for title, _, _ in groups})
    names = shorten_names({label: label for _, _, members in groups for _, _, label in members})
    rows, y = [], 0.0
    for title, kind, members in groups:
        if not members:
            continue
        rows.append(ForestRow(y, titles[str(title)], "heading"))
        for i, (model, regime, label) in enumerate(members, start=1):
            label = "pooled" if label == PEOPLE else names[label]
            rows.append(ForestRow(y + i, label, kind, str(model), regime))
        y += len(members) + 1 + FOREST_GROUP_GAP
    return rows


def forest_height(rows: Sequence[ForestRow]) -> float:
    """Return the height of the plot in rows."""
    return rows[-1].y + 1 if rows else 1.0


def describe_ticks(single: pd.DataFrame) -> list[str]:
    """Describe the ticks that `draw_forest` puts on the bars of several seeds or persons; empty if it draws no ticks.

    single: the measured table, one line per observer.
    """
    single = single.assign(kind=observer_kinds(single), regime=single["regime"].fillna(""))
    several = single.groupby(["kind", "model", "regime"])["observer"].nunique() > 1
    kinds = {*several[several].index.get_level_values("kind")}
    tick_kinds = [name for kind, name in (("run", "seed"), ("person", "person")) if kind in kinds]
    return [f"tick: one {' or '.join(tick_kinds)}"] if tick_kinds else []


def draw_forest(
    axes: Axes,
    rows: Sequence[ForestRow],
    pooled: pd.DataFrame,
    single: pd.DataFrame,
    value: str,
    style: FigureStyle,
    regimes: Sequence[str] | None = None,
) -> None:
    """Draw `value` and its interval for each row. Ticks on the bar are single seeds or persons.

    pooled: one line per row of the plot; single: the measured table, one line per observer.
    regimes: the regimes of the benchmark, so that each regime looks the same in all figures (default: the regimes of
    the rows).
    """
    regimes = order_regimes(regimes or (row.regime for row in rows if row.kind == "run"))
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    records = {(record["model"], record["regime"]): record for record in pooled.to_dict("records")}
    single = single.assign(kind=observer_kinds(single), regime=single["regime"].fillna(""))
    for row in rows:
        record = records.get((row.model, row.regime))
        if row.kind == "heading" or record is None:
            continue
        color, marker = colors.get(row.regime, PRETRAINED_COLOR), markers.get(row.regime, PRETRAINED_MARKER)
        members = single[(single["model"] == row.model) & (single["regime"] == row.regime) & (single["kind"] == "run")]
        if row.kind == PEOPLE:
            color, marker = PEOPLE_COLOR, PEOPLE_MARKER
            members = single[(single["model"] == row.model) & (single["kind"] == "person")]
        if not np.isfinite(record[value]):
            axes.text(0, row.y, "undefined", color="0.4", va="center", fontsize="small", fontstyle="italic")
            continue
        interval = [record["ci_low"], record["ci_high"]]
        axes.plot(interval, [row.y, row.y], color=color, linewidth=2.2, alpha=0.55, zorder=2)
        if len(members) > 1:
            ticks: ArtistStyle = {
                "linestyle": "none",
                "marker": "|",
                "markersize": 9,
                "markeredgewidth": 1.2,
                "color": color,
            }
            axes.plot(members[value], [row.y] * len(members), zorder=3, **ticks)
        options: ArtistStyle = {
            "markersize": 0.9 * marker_size(marker),
            "markeredgecolor": "white",
            "markeredgewidth": 0.6,
        }
        axes.plot([record[value]], [row.y], marker=marker, color=color, zorder=4, **options)

    axes.set_yticks([row.y for row in rows], [row.label for row in rows])
    for row, label in zip(rows, axes.get_yticklabels(), strict=False):  # panels after the first have no labels
        label.set_fontweight("bold" if row.kind == "heading" else "normal")
    for row in rows:
        if row.kind != "heading":
            axes.axhline(row.y, color="0.93", linewidth=0.8, zorder=0)
    axes.set_ylim(forest_height(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    set_fraction_axis(axes)
