"""Figures of single answers: confusion matrices, and sample images with the observers' answers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from shapebias.categories import CATEGORIES
from shapebias.figures.frame import add_frame
from shapebias.figures.style import (
    BODY_HEIGHT,
    PAGE_WIDTH,
    ArtistStyle,
    Color,
    FigureStyle,
    NoDataError,
    name_width,
    new_figure,
    small_type,
    wrap_name,
)
from shapebias.tables.summaries import (
    PEOPLE,
    format_range,
    observer_kinds,
    order_regimes,
    pick_from_each_group,
    shorten_name,
    shorten_names,
)

MOST_MATRICES = 4  # observers with four matrices each
MATRICES = {
    ("all", "shape"): "all answers,\nby shape",
    ("all", "texture"): "all answers,\nby texture",
    ("consistent", "shape"): "answers that name\na cue, by shape",
    ("consistent", "texture"): "answers that name\na cue, by texture",
}
NONE = "none"  # the answer that names no category
SHAPE_COLOR: Color = (0.0, 0.27, 0.53)
TEXTURE_COLOR: Color = (0.80, 0.33, 0.0)
OTHER_COLOR: Color = (0.45, 0.45, 0.45)
SAMPLE_SIDE = 224  # pixels; larger pictures are shrunk to this size
PICTURE = 22  # mm
MOST_SAMPLES = 12
MOST_ANSWERS = 10  # observers beside a picture
LINE = 3.2  # mm of an answer beside a picture
ANSWER_AT, NAME_AT = 3.5, 21  # mm from a picture to the answers, and to the names, to the right of the longest answer

# Picture, shape, texture, and observer → decision: NONE if it named no category, "" if it did not see the picture.
SampleAnswers = tuple[Image.Image, str, str, Mapping[str, str]]


def answer_matrices(
    confusion: pd.DataFrame,
    *,
    benchmark: str,
    compared: tuple[str, str] | None = None,
    style: FigureStyle | None = None,
) -> Figure:
    """Draw four matrices of answers per model × regime: by shape and by texture, for all and for consistent answers.

    confusion: `confusion.csv`. Counts of seeds are summed. A row of a matrix is a category of the cue, a column is an
    answer, and a cell's shade is its share of the row. With more than MOST_MATRICES observers, some are drawn: the two
    compared regimes of the first models, or some observers of each model.
    """
    style = style or FigureStyle()
    table = confusion[confusion["benchmark"] == benchmark]
    table = table.assign(kind=observer_kinds(table), regime=table["regime"].fillna(""))
    all_rows = table
    if (table["kind"] == PEOPLE).any():
        table = table[table["kind"] != "person"]
    if table.empty:
        raise NoDataError(f"{benchmark}: no answers to show.")
    members = _members(table)
    drawn_pairs = _choose_pairs(members, compared)
    answers = [*CATEGORIES, *([NONE] if (table["answer"] == NONE).any() else [])]
    with style.apply():
        figure = new_figure(PAGE_WIDTH, 21 + (2.65 * len(CATEGORIES) + 4) * len(drawn_pairs))
        grid = figure.subplots(len(drawn_pairs), len(MATRICES), sharex=True, sharey=True, squeeze=False)
        grid[0, 0].set_xticks([])  # shared by all; the columns are too narrow for names
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
                image = axes.imshow(
                    shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto", interpolation="none"
                )
                axes.tick_params(length=0)
                axes.grid(visible=False)
                axes.spines[:].set(color="0.7", linewidth=0.5)
                count = f"{int(totals.sum()):,} answers"
                axes.set_title(count, fontsize=small_type(), fontweight="normal", pad=2)
                if position == 0:
                    place: ArtistStyle = {"xycoords": "axes fraction", "textcoords": "offset points"}
                    place |= {"xytext": (0, 11 * style.font_scale), "fontweight": "bold", "linespacing": 1}
                    axes.annotate(label, (0, 1), **place)
            name = f"{wrap_name(shorten_name(model), 22)}\n{regime}".strip()
            grid[position, 0].set_ylabel(name, fontweight="bold")
        assert image is not None
        label = "share of the answers to a category"
        figure.colorbar(image, ax=grid, location="bottom", shrink=0.4, aspect=40, pad=0.01, label=label)
        last = f", then “{NONE}”" if NONE in answers else ""
        remarks = [f"row: category of the cue, column: answer, in the order of the rows{last}"]
        remarks += ["white row: no answer", "counts of all seeds together"]
        left = [
            f"{shorten_name(model, 18)} {regime}".strip()
            for _, (model, regime) in members
            if (model, regime) not in drawn_pairs
        ]
        if left:
            names = ", ".join(left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
            remarks.append(f"not shown, but in the table: {names}")
        add_frame(
            figure, f"What was answered: {benchmark} ({_count_images(all_rows)} conflict images)", remarks=remarks
        )
    return figure


def _choose_pairs(
    members: Sequence[tuple[str, tuple[str, str]]], compared: tuple[str, str] | None
) -> list[tuple[str, str]]:
    """Return at most MOST_MATRICES of the pairs (model, regime); members: (group, pair)."""
    if len(members) > MOST_MATRICES and compared:
        people = [pair for group, pair in members if group == PEOPLE][:1]
        before_after = [pair for _, pair in members if pair[1] in compared]
        room = (MOST_MATRICES - len(people)) // 2 * 2
        if before_after:
            return [*people, *before_after[:room]]
    return pick_from_each_group(members, MOST_MATRICES)


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
        raise NoDataError(f"{benchmark}: no conflict image to show.")
    observers = list(samples[0][3])
    listed = observers[:MOST_ANSWERS]
    names = shorten_names({name: name for name in listed})
    beside = NAME_AT + max(map(name_width, names.values()), default=0)
    columns = min(max(int((PAGE_WIDTH - 2) / (PICTURE + beside + 2)), 1), 3)
    height = max(PICTURE, LINE * (len(listed) + 2) + 1) + 2.5
    samples = samples[: min(MOST_SAMPLES, columns * int(BODY_HEIGHT / height))]
    lines = -(-len(samples) // columns)
    with style.apply():
        figure = new_figure(PAGE_WIDTH, lines * height)
        text = PAGE_WIDTH / columns - PICTURE - 2
        grid = figure.subplots(lines, 2 * columns, squeeze=False, width_ratios=[PICTURE, text] * columns)
        for axes in grid.ravel():
            axes.set_axis_off()
        for position, (picture, shape, texture, decisions) in enumerate(samples):
            line, column = divmod(position, columns)
            _draw_picture(grid[line, 2 * column], picture)
            answers = {names[name]: decisions[name] for name in listed if decisions.get(name)}
            _draw_answers(grid[line, 2 * column + 1], shape, texture, answers, style)
        remarks = ["● the shape's category", "■ the texture's", "○ another", "– no answer"]
        if any(not decisions.get(name) for _, _, _, decisions in samples for name in listed):
            remarks.append("not beside a picture: observers that were not shown it")
        left = len(observers) - len(listed)
        remarks += [f"not listed: {left} more observers, in answers.{benchmark}.csv"] if left else []
        title_text = f"What observers answered: {benchmark} ({len(samples)} of its {total:,} conflict images)"
        add_frame(figure, title_text, remarks=remarks)
    return figure


def _draw_picture(axes: Axes, picture: Image.Image) -> None:
    picture = picture.convert("RGB")
    picture.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE))
    axes.imshow(np.asarray(picture), interpolation="nearest" if max(picture.size) < 96 else "antialiased")
    axes.set_anchor("N")


def _draw_answers(axes: Axes, shape: str, texture: str, decisions: Mapping[str, str], style: FigureStyle) -> None:
    """Write the two labels in bold, then one line per observer: mark, answer, name. Colour and mark show the cue."""
    rows = [("●", f"shape: {shape}", SHAPE_COLOR, "bold", ""), ("■", f"texture: {texture}", TEXTURE_COLOR, "bold", "")]
    for name, decision in decisions.items():
        symbol = ("○", OTHER_COLOR)
        if decision in (shape, texture):
            symbol = ("●", SHAPE_COLOR) if decision == shape else ("■", TEXTURE_COLOR)
        elif decision == NONE:
            symbol = ("–", OTHER_COLOR)
        rows.append((symbol[0], "no answer" if decision == NONE else decision, symbol[1], "normal", name))
    points = 72 / 25.4 * style.font_scale  # a mm
    for i, (mark, text, color, weight, name) in enumerate(rows):
        down = -((i + 0.5) * LINE + (1 if i > 1 else 0)) * points
        place: ArtistStyle = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "va": "center",
            "color": color,
        }
        place |= {"fontsize": small_type(), "fontweight": weight, "annotation_clip": False}
        axes.annotate(mark, (0, 1), xytext=(1, down), **place)
        axes.annotate(text, (0, 1), xytext=(ANSWER_AT * points, down), **place)
        place["color"] = "0.25"
        axes.annotate(name, (0, 1), xytext=(NAME_AT * points, down), **place)
