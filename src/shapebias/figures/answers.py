"""Figures of single answers: confusion matrices, and sample images with the observers' answers."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from shapebias.categories import CATEGORIES
from shapebias.figures.style import (
    ArtistStyle,
    Color,
    FigureStyle,
    add_note,
    add_title,
    message_figure,
    new_figure,
    wrap_name,
)
from shapebias.tables.summaries import (
    LONGEST_NAME,
    PEOPLE,
    format_range,
    observer_kinds,
    order_regimes,
    pick_from_each_group,
    shorten_name,
    shorten_names,
)

MOST_MATRICES = 8  # observers with four matrices each
MATRICES = {
    ("all", "shape"): "all answers, by shape",
    ("all", "texture"): "all answers, by texture",
    ("consistent", "shape"): "answers that name a cue, by shape",
    ("consistent", "texture"): "answers that name a cue, by texture",
}
NONE = "none"  # the answer that names no category
SHAPE_COLOR: Color = (0.0, 0.27, 0.53)
TEXTURE_COLOR: Color = (0.80, 0.33, 0.0)
OTHER_COLOR: Color = (0.45, 0.45, 0.45)
SAMPLE_SIDE = 224  # pixels; larger pictures are shrunk to this size
MOST_SAMPLES = 12
MOST_ANSWERS = 10  # observers beside a picture
NAME_AT = 66  # points from a picture to the names, to the right of the longest answer

# Picture, shape, texture, and observer → decision: NONE if it named no category, "" if it did not see the picture.
SampleAnswers = tuple[Image.Image, str, str, Mapping[str, str]]


def answer_matrices(confusion: pd.DataFrame, *, benchmark: str, style: FigureStyle | None = None) -> Figure:
    """Draw four matrices of answers per model × regime: by shape and by texture, for all and for consistent answers.

    confusion: `confusion.csv`. Counts of seeds are summed. A row of a matrix is a category of the cue, a column is an
    answer, and a cell's shade is its share of the row. With more than MOST_MATRICES observers, some of each model are
    drawn.
    """
    style = style or FigureStyle()
    table = confusion[confusion["benchmark"] == benchmark]
    table = table.assign(kind=observer_kinds(table), regime=table["regime"].fillna(""))
    all_rows = table
    if (table["kind"] == PEOPLE).any():
        table = table[table["kind"] != "person"]
    if table.empty:
        return message_figure(f"{benchmark}: no answers to show.", style)
    members = _members(table)
    drawn_pairs = pick_from_each_group([(group, pair) for group, pair in members], MOST_MATRICES)
    answers = [*CATEGORIES, *([NONE] if (table["answer"] == NONE).any() else [])]
    with style.apply():
        figure = new_figure(12, 2.0 + 2.55 * len(drawn_pairs))
        grid = figure.subplots(len(drawn_pairs), len(MATRICES), sharex=True, sharey=True, squeeze=False)
        grid[0, 0].set_xticks(range(len(answers)), answers)  # shared by all
        grid[0, 0].set_yticks(range(len(CATEGORIES)), CATEGORIES)
        image = None
        for position, (model, regime) in enumerate(drawn_pairs):
            series_rows = table[(table["model"] == model) & (table["regime"] == regime)]
            for axes, ((trials, cue), label) in zip(grid[position], MATRICES.items(), strict=True):
                part = series_rows[(series_rows["trials"] == trials) & (series_rows["cue"] == cue)]
                counts = part.pivot_table(index="category", columns="answer", values="count", aggfunc="sum")
                counts = counts.reindex(index=CATEGORIES, columns=answers).fillna(0).to_numpy(dtype=float)
                totals = counts.sum(axis=1, keepdims=True)
                shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
                image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
                axes.tick_params(length=0, labelsize="xx-small")
                axes.tick_params(axis="x", labelrotation=90)
                axes.grid(visible=False)
                axes.spines[:].set(color="0.7", linewidth=0.6)
                axes.set_title(f"{int(totals.sum()):,} answers", fontsize="x-small", fontweight="normal", pad=3)
                if position == 0:
                    axes.annotate(
                        textwrap.fill(label, 26),
                        (0.5, 1),
                        xytext=(0, 18 * style.font_scale),
                        xycoords="axes fraction",
                        textcoords="offset points",
                        ha="center",
                        fontweight="bold",
                    )
            name = wrap_name(shorten_name(f"{model} {regime}".strip()), 22)
            grid[position, 0].set_ylabel(f"{name}\n", fontweight="bold", fontsize="small")
        assert image is not None
        bar = figure.colorbar(image, ax=grid, location="right", shrink=min(0.8, 2 / len(drawn_pairs) + 0.1), pad=0.01)
        bar.set_label("share of the answers to a category")
        add_title(figure, f"What was answered: {benchmark} ({_count_images(all_rows)} conflict images)")
        remarks = ["row: category of the cue", "column: answer", "white row: no answer", "counts of all seeds together"]
        left = [f"{model} {regime}".strip() for _, (model, regime) in members if (model, regime) not in drawn_pairs]
        if left:
            names = ", ".join(map(shorten_name, left[:12])) + (f" and {len(left) - 12} more" if len(left) > 12 else "")
            remarks.append(f"not shown, but in the table: {names}")
        add_note(figure, *remarks)
    return figure


def _count_images(table: pd.DataFrame) -> str:
    """Format how many images an observer answered. The row of all people is ignored if possible.

    That row counts an image once per person.
    """
    single = table[table["kind"] != PEOPLE]
    rows = single if len(single) else table
    rows = rows[(rows["trials"] == "all") & (rows["cue"] == "shape")]
    counts = rows.groupby("observer")["count"].sum()
    return format_range(counts) if len(counts) else "0"


def _members(table: pd.DataFrame) -> list[tuple[str, tuple[str, str]]]:
    """Return (group, (model, regime)): people, then the networks not trained here, then the regimes of each model."""
    members: list[tuple[str, tuple[str, str]]] = []
    people = table[table["kind"].isin([PEOPLE, "person"])]
    members += [(PEOPLE, (model, "")) for model in dict.fromkeys(people["model"])]
    untrained = dict.fromkeys(table.loc[table["kind"] == "pretrained", "model"])
    members += [("", (model, "")) for model in untrained]
    for model, runs in table[table["kind"] == "run"].groupby("model", sort=False):
        members += [(str(model), (str(model), regime)) for regime in order_regimes(runs["regime"])]
    return members


def sample_predictions(
    samples: Sequence[SampleAnswers], total: int, *, benchmark: str, style: FigureStyle | None = None
) -> Figure:
    """Draw conflict images with both labels and each observer's answer, marked by the cue that the answer follows.

    samples: (picture, shape, texture, observer → decision). At most MOST_SAMPLES samples are drawn. Observers have
    their display names and are in the order of display; at most MOST_ANSWERS of them are listed. An observer that did
    not see a picture is not listed beside it.
    total: the number of conflict images in the benchmark.
    """
    style = style or FigureStyle()
    if not samples:
        return message_figure(f"{benchmark}: no conflict image to show.", style)
    samples = samples[:MOST_SAMPLES]
    observers = list(samples[0][3])
    listed = observers[:MOST_ANSWERS]
    names = shorten_names({name: name for name in listed})
    columns = min(3, len(samples))
    lines = -(-len(samples) // columns)
    with style.apply():
        height = max(1.75, 0.62 + 0.165 * len(listed)) * style.font_scale
        beside = (NAME_AT + 4.9 * min(LONGEST_NAME, max(map(len, listed), default=0))) / 72
        figure = new_figure((1.65 + beside) * columns * style.font_scale, 0.8 + lines * height)
        grid = figure.subplots(lines, 2 * columns, squeeze=False, width_ratios=[1.5, beside] * columns)
        for axes in grid.ravel():
            axes.set_axis_off()
        for position, (picture, shape, texture, decisions) in enumerate(samples):
            line, column = divmod(position, columns)
            _draw_picture(grid[line, 2 * column], picture)
            answers = {names[name]: decisions[name] for name in listed if decisions.get(name)}
            _draw_answers(grid[line, 2 * column + 1], shape, texture, answers)
        add_title(figure, f"What observers answered: {benchmark} ({len(samples)} of its {total:,} conflict images)")
        remarks = ["● the shape's category", "■ the texture's", "○ another", "– no answer"]
        if any(not decisions.get(name) for _, _, _, decisions in samples for name in listed):
            remarks.append("not beside a picture: observers that were not shown it")
        left = len(observers) - len(listed)
        remarks += [f"not listed: {left} more observers, in answers.{benchmark}.csv"] if left else []
        add_note(figure, *remarks)
    return figure


def _draw_picture(axes: Axes, picture: Image.Image) -> None:
    picture = picture.convert("RGB")
    picture.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE))
    axes.imshow(np.asarray(picture), interpolation="nearest" if max(picture.size) < 96 else "antialiased")
    axes.set_anchor("N")


def _draw_answers(axes: Axes, shape: str, texture: str, decisions: Mapping[str, str]) -> None:
    """Write the two labels in bold, then one line per observer: mark, answer, name. Colour and mark show the cue."""
    rows = [("●", f"shape: {shape}", SHAPE_COLOR, "bold", ""), ("■", f"texture: {texture}", TEXTURE_COLOR, "bold", "")]
    for name, decision in decisions.items():
        symbol = ("○", OTHER_COLOR)
        if decision in (shape, texture):
            symbol = ("●", SHAPE_COLOR) if decision == shape else ("■", TEXTURE_COLOR)
        elif decision == NONE:
            symbol = ("–", OTHER_COLOR)
        rows.append((symbol[0], "no answer" if decision == NONE else decision, symbol[1], "normal", name))
    for i, (mark, text, color, weight, name) in enumerate(rows):
        down = -(i + 0.5) * 12 - (4 if i > 1 else 0)
        place: ArtistStyle = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "va": "center",
            "color": color,
        }
        place |= {"fontsize": "x-small", "fontweight": weight, "annotation_clip": False}
        axes.annotate(mark, (0, 1), xytext=(2, down), **place)
        axes.annotate(text, (0, 1), xytext=(13, down), **place)
        place["color"] = "0.25"
        axes.annotate(name, (0, 1), xytext=(NAME_AT, down), **place)
