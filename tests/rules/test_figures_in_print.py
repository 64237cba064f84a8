"""Figures are fit for print: sizes, type and contrast are as journals ask, and no text is cut off or overlaps."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers import picture
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from PIL import Image
from studies import people, published, runs, study_tables, training_histories

from shapebias.figures.accuracy import accuracy_overview, condition_lines, reliance_lines
from shapebias.figures.answers import sample_predictions
from shapebias.figures.category_bias import shape_bias_by_category
from shapebias.figures.critical_band import bandwidth_overview
from shapebias.figures.draw import OBSERVER_TABLES, condition_axes, conflict_figures, observers_of
from shapebias.figures.likeness import likeness_dots
from shapebias.figures.melanoma import confusion_matrices, melanoma_overview
from shapebias.figures.save import reduce_colors, save_figure
from shapebias.figures.style import (
    COLUMN_WIDTH,
    LEAST_CONTRAST,
    MOST_HEIGHT,
    OTHERS_COLOR,
    PAGE_WIDTH,
    PRETRAINED_COLOR,
    REGIME_COLORS,
    SMALL_TYPE,
    TEXT_SHAPES,
    TITLE_TYPE,
    FigureStyle,
    NoDataError,
    contrast_to_white,
    layout_engine,
)
from shapebias.figures.training_curves import training_curves
from shapebias.metrics.melanoma import MELANOMA_COUNTS
from shapebias.tables.columns import MELANOMA_TABLE_COLUMNS

PEOPLE = pd.read_csv(Path(__file__).parents[2] / "workflow/resources/people.csv")
FEW = ["in_test", "silhouettes", "contrast", "eidolonI"]
STUDIES: dict[str, Callable[[], dict[str, pd.DataFrame]]] = {
    "one model": lambda: study_tables(runs(1, 2), ["in_test"]),
    "four models": lambda: study_tables(runs(4, 3), FEW),
    "seeds": lambda: study_tables([*runs(2, 3, seeds=3), *published(3), *people()], FEW),
    "60 observers": lambda: study_tables([*runs(15, 4), *people()]),
    "60 published networks": lambda: study_tables([*published(60), *people()]),
    "6 published networks": lambda: study_tables([*published(6), *people()], FEW),
}


@dataclass(frozen=True)
class DrawnText:
    """A line of text in a figure; size: in points; box: left, top, right, bottom in pixels."""

    text: str
    size: float
    box: tuple[float, float, float, float]
    angle: float


def drawn_texts(figure: Figure) -> list[DrawnText]:
    """Draw the figure and return all its lines of text."""
    texts: list[DrawnText] = []

    class Recorder(RendererAgg):
        def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
            width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
            up, down = height - descent, descent
            box = (x - up, y - width, x + down, y) if angle == 90 else (x, y - up, x + width, y + down)
            if s.strip():
                texts.append(DrawnText(s, prop.get_size_in_points(), box, angle))

    with mpl.rc_context(TEXT_SHAPES):
        engine = layout_engine(figure)
        engine.execute(figure)
        engine.execute(figure)
        figure.set_layout_engine("none")
        width, height = figure.bbox.size
        figure.draw(Recorder(width, height, figure.dpi))
    return texts


def figures_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Return all figures of a study that has these tables."""
    style = replace(FigureStyle(), **observers_of([tables[name] for name in OBSERVER_TABLES]))
    by_condition = tables["accuracy_by_condition"]
    draws = conflict_figures("conflict", tables, PEOPLE, ("photographs", "stylized"))
    draws |= {
        "accuracy": lambda style: accuracy_overview(tables["accuracy"], style=style),
        "accuracy_by_condition": lambda style: condition_lines(by_condition, condition_axes(by_condition), style=style),
        "human_likeness": lambda style: likeness_dots(tables["human_likeness"], style=style),
        "reliance": lambda style: reliance_lines(tables["reliance"], style=style),
        "critical_band": lambda style: bandwidth_overview(tables["critical_band"], benchmark="bands", style=style),
        "training_curves": lambda style: training_curves(training_histories(tables["runs"]), style=style),
    }
    figures = {}
    for name, draw in draws.items():
        try:
            figures[name] = draw(style=style)
        except NoDataError:
            continue
    return figures


def lesions(models: int, regimes: int) -> pd.DataFrame:
    counts = {"images": 1000, "melanoma_images": 100} | dict.fromkeys(MELANOMA_COUNTS, 1234)
    values = dict.fromkeys(MELANOMA_TABLE_COLUMNS, 0.5) | counts
    return pd.DataFrame([values | {"benchmark": "mela"} | observer for observer in runs(models, regimes)])


def samples(observers: int):
    decisions = {f"vit_base_patch16_224_{i} head": "elephant" for i in range(observers)}
    return [(picture(i), "keyboard", "airplane", decisions) for i in range(12)]


OTHER_FIGURES = {
    "melanoma": lambda: melanoma_overview(lesions(4, 3), benchmark="mela"),
    "melanoma of one model": lambda: confusion_matrices(lesions(1, 2), benchmark="mela"),
    "melanoma of many": lambda: confusion_matrices(lesions(15, 4), benchmark="mela"),
    "samples of two": lambda: sample_predictions(samples(2), 1280, benchmark="conflict"),
    "samples of many": lambda: sample_predictions(samples(40), 1280, benchmark="conflict"),
}


def check_print(name: str, figure: Figure) -> None:
    texts = drawn_texts(figure)
    width, height = figure.get_size_inches() * 25.4
    assert min(abs(width - COLUMN_WIDTH), abs(width - PAGE_WIDTH)) < 0.01, name
    assert height <= MOST_HEIGHT + 0.01, name
    for line in texts:
        assert SMALL_TYPE <= line.size <= TITLE_TYPE, (name, line)
        left, top, right, bottom = line.box
        assert left >= 0 and top >= 0 and right <= figure.bbox.width and bottom <= figure.bbox.height, (name, line)
    straight = [line for line in texts if line.angle in (0, 90)]
    boxes = np.array([line.box for line in straight])
    high = np.minimum(boxes[:, np.newaxis, 2:], boxes[np.newaxis, :, 2:])
    low = np.maximum(boxes[:, np.newaxis, :2], boxes[np.newaxis, :, :2])
    overlaps = np.argwhere(np.triu((high - low > 0.5).all(axis=2), 1))  # boxes are rounded to half a pixel
    assert not len(overlaps), (name, [(straight[i].text, straight[j].text) for i, j in overlaps[:5]])


@pytest.mark.parametrize("study", [study for study in STUDIES if study != "four models"])
def test_figures_of_small_and_of_large_studies_are_fit_for_print(study):
    figures = figures_of(STUDIES[study]())
    assert len(figures) > 8
    for name, figure in figures.items():
        check_print(name, figure)


@pytest.mark.parametrize("name", OTHER_FIGURES)
def test_figures_of_melanoma_and_of_samples_are_fit_for_print(name):
    check_print(name, OTHER_FIGURES[name]())


def test_colours_of_regimes_and_models_are_clear_on_white_and_regimes_differ_in_shape_too():
    style = FigureStyle()
    regimes = [f"regime {i}" for i in range(len(REGIME_COLORS))]
    colors = [*style.regime_colors(regimes).values(), PRETRAINED_COLOR, OTHERS_COLOR]
    colors += style.model_colors("abcdefghi").values()
    colors += FigureStyle(palette="Set2").regime_colors(regimes).values()
    assert min(map(contrast_to_white, colors)) >= LEAST_CONTRAST
    assert contrast_to_white((0, 0, 0)) == pytest.approx(21)
    assert len(set(style.regime_markers(regimes).values())) == len(regimes)
    assert (
        list(style.regime_colors(regimes).values())
        == [  # none of them had to be darkened
            tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)) for color in REGIME_COLORS
        ]
    )


def test_colour_is_the_regime_in_every_figure_of_a_study_with_regimes():
    tables = STUDIES["four models"]()
    figures = figures_of(tables)
    colors = FigureStyle(regimes=("photographs", "stylized", "both")).regime_colors(["photographs", "stylized", "both"])
    for name in ("cue_accuracy", "accuracy_by_condition", "shape_bias_by_category", "top_k", "reliance"):
        panels = [axes for axes in figures[name].axes if axes.get_visible()]
        assert len(panels) >= 4, name
        drawn = {line.get_color() for axes in panels for line in axes.lines if line.get_marker() in ("o", "X", "s")}
        assert drawn <= set(colors.values()), name


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Return a folder with the same two figures saved twice."""
    folder = tmp_path_factory.mktemp("figures")
    for name in ("a", "b"):
        by_category = study_tables(runs(1, 2), [])["shape_bias_by_category"]
        save_figure(shape_bias_by_category(by_category, PEOPLE, benchmark="conflict"), folder / f"lines.{name}")
        save_figure(sample_predictions(samples(2), 12, benchmark="conflict"), folder / f"photographs.{name}")
    return folder


def test_the_same_figure_gives_the_same_bytes_in_all_formats(files):
    for figure, ending in itertools.product(("lines", "photographs"), ("png", "svg", "pdf")):
        assert (files / f"{figure}.a.{ending}").read_bytes() == (files / f"{figure}.b.{ending}").read_bytes()


def test_a_png_is_printed_at_its_size_and_keeps_its_colours(files):
    with Image.open(files / "lines.a.png") as image:
        assert image.mode == "P"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert image.width / 300 * 25.4 == pytest.approx(COLUMN_WIDTH, abs=0.1)
        colors = {color for _, color in image.convert("RGB").getcolors() or []}
    assert (255, 255, 255) in colors and (0x33, 0x22, 0x88) in colors
    with Image.open(files / "photographs.a.png") as image:
        assert image.mode == "RGB"


def test_a_pdf_names_no_date_and_embeds_truetype(files):
    pdf = (files / "lines.a.pdf").read_bytes()
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf and b"/CIDFontType2" in pdf


def test_reduced_colours_are_near_the_drawn_ones():
    figure = shape_bias_by_category(STUDIES["6 published networks"]()["shape_bias_by_category"], benchmark="conflict")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    difference = np.abs(np.asarray(reduce_colors(drawn).convert("RGB")).astype(int) - np.asarray(drawn))
    assert difference.max() <= 30 and difference.mean() < 0.5
