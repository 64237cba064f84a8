"""Forest plots: one row per observer, with a marker at its value and a bar for its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapebias.figures.frame import text_width
from shapebias.figures.style import (
    HALO,
    MM,
    PEOPLE_COLOR,
    PEOPLE_MARKER,
    PRETRAINED_COLOR,
    PRETRAINED_MARKER,
    ArtistStyle,
    FigureStyle,
    marker_size,
    name_width,
    set_fraction_axis,
    small_type,
)
from shapebias.tables.summaries import PEOPLE, observer_kinds, order_regimes, shorten_names

FOREST_GROUP_GAP = 0.4  # rows
HEADING = "heading"


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
    rows = []
    for title, kind, members in groups:
        rows += [ForestRow(0, titles[str(title)], HEADING)] if members else []
        for model, regime, label in members:
            rows.append(ForestRow(0, "pooled" if label == PEOPLE else names[label], kind, str(model), regime))
    return stack_rows(rows)


def stack_rows(rows: Sequence[ForestRow]) -> list[ForestRow]:
    """Return the rows from top to bottom, with a gap above each heading."""
    stacked: list[ForestRow] = []
    for row in rows:
        gap = 1 + (FOREST_GROUP_GAP if row.kind == HEADING else 0)
        stacked.append(replace(row, y=stacked[-1].y + gap if stacked else 0.0))
    return stacked


def keep_rows(rows: Sequence[ForestRow], most: int) -> tuple[list[ForestRow], int]:
    """Return at most this many observers with their headings, and the number of those left out. People stay."""
    observers = [row for row in rows if row.kind != HEADING]
    people = [row for row in observers if row.kind == PEOPLE]
    others = [row for row in observers if row.kind != PEOPLE]
    kept = {id(row) for row in [*others[: max(most - len(people), 0)], *people]}
    following = [*rows[1:], None]
    chosen = [
        row
        for row, after in zip(rows, following, strict=True)
        if id(row) in kept or (row.kind == HEADING and id(after) in kept)
    ]
    return stack_rows(chosen), len(observers) - len(kept)


def split_rows(rows: Sequence[ForestRow], most: float) -> list[list[ForestRow]]:
    """Return the rows as one column, or as two of about equal height if they are higher than `most` rows.

    A group that goes on in the second column has its heading there again.
    """
    if forest_height(rows) <= most:
        return [list(rows)]
    splits = []
    for i in range(1, len(rows)):
        if rows[i - 1].kind == HEADING:
            continue
        inside = rows[i].kind != HEADING
        heading = next(row for row in reversed(rows[: i + 1]) if row.kind == HEADING)
        columns = [stack_rows(rows[:i]), stack_rows([*([heading] if inside else []), *rows[i:]])]
        splits.append((max(map(forest_height, columns)) + 3 * inside, i, columns))
    return min(splits)[2]


def fit_rows(rows: Sequence[ForestRow], most: float, highest: float) -> tuple[list[list[ForestRow]], int]:
    """Return the rows in columns as `split_rows`, at most `highest` rows high, and the number of observers left out."""
    columns, left = split_rows(rows, most), 0
    while max(map(forest_height, columns)) > highest:
        rows, more = keep_rows(rows, sum(row.kind != HEADING for row in rows) - 1)
        columns, left = split_rows(rows, most), left + more
    return columns, left


def forest_height(rows: Sequence[ForestRow]) -> float:
    """Return the height of the plot in rows."""
    return rows[-1].y + 1 if rows else 1.0


def label_width(rows: Sequence[ForestRow]) -> float:
    """Return about how wide the widest label is, in mm at a font scale of 1."""
    return max((name_width(row.label) for row in rows if row.kind != HEADING), default=0)


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
    *,
    headings: bool = True,
) -> None:
    """Draw `value` and its interval for each row. Ticks on the bar are single seeds or persons.

    pooled: one line per row of the plot; single: the measured table, one line per observer.
    regimes: the regimes of the benchmark, so that each regime looks the same in all figures (default: the regimes of
    the rows). headings: False for axes that share the labels of other axes.
    """
    regimes = order_regimes(regimes or (row.regime for row in rows if row.kind == "run"))
    colors, markers = style.regime_colors(regimes), style.regime_markers(regimes)
    records = {(record["model"], record["regime"]): record for record in pooled.to_dict("records")}
    single = single.assign(kind=observer_kinds(single), regime=single["regime"].fillna(""))
    for row in rows:
        record = records.get((row.model, row.regime))
        if row.kind == HEADING or record is None:
            continue
        color, marker = colors.get(row.regime, PRETRAINED_COLOR), markers.get(row.regime, PRETRAINED_MARKER)
        members = single[(single["model"] == row.model) & (single["regime"] == row.regime) & (single["kind"] == "run")]
        if row.kind == PEOPLE:
            color, marker = PEOPLE_COLOR, PEOPLE_MARKER
            members = single[(single["model"] == row.model) & (single["kind"] == "person")]
        if not np.isfinite(record[value]):
            axes.text(
                0, row.y, "undefined", color="0.4", va="center_baseline", fontsize=small_type(), fontstyle="italic"
            )
            continue
        interval = [record["ci_low"], record["ci_high"]]
        axes.plot(interval, [row.y, row.y], color=color, linewidth=1.4, alpha=0.55, zorder=2)
        if len(members) > 1:
            ticks: ArtistStyle = {"linestyle": "none", "marker": "|", "markersize": 5, "markeredgewidth": 0.7}
            axes.plot(members[value], [row.y] * len(members), zorder=3, color=color, **ticks)
        axes.plot(
            [record[value]], [row.y], marker=marker, color=color, zorder=4, markersize=marker_size(marker), **HALO
        )

    labels = ["" if row.kind == HEADING else row.label for row in rows]
    axes.set_yticks([row.y for row in rows], labels)
    if headings:
        _write_headings(axes, rows)
    for row in rows:
        if row.kind != HEADING:
            axes.axhline(row.y, color="0.93", linewidth=0.5, zorder=0)
    axes.set_ylim(forest_height(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    set_fraction_axis(axes)


def _write_headings(axes: Axes, rows: Sequence[ForestRow]) -> None:
    """Write the headings, which begin left of the labels and go on over the empty line of the plot."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    widest = max((text_width(figure, row.label, small_type()) for row in rows if row.kind != HEADING), default=0)
    place: ArtistStyle = {"xytext": (-(widest + 1.5) * MM * 72, 0), "textcoords": "offset points"}
    place |= {"xycoords": axes.get_yaxis_transform(), "va": "center_baseline", "annotation_clip": False}
    place |= {"fontsize": small_type(), "fontweight": "bold", "zorder": 5}
    place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
    for row in rows:
        if row.kind == HEADING:
            axes.annotate(row.label, (0, row.y), **place)
