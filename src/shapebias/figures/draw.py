"""Draw all figures of a study from its tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.figures.accuracy import ConditionAxis, accuracy_overview, condition_lines, reliance_lines
from shapebias.figures.answers import MOST_ANSWERS, MOST_SAMPLES, SampleAnswers, answer_matrices, sample_predictions
from shapebias.figures.atlas import atlas_overview
from shapebias.figures.category_bias import shape_bias_by_category
from shapebias.figures.critical_band import bandwidth_overview
from shapebias.figures.cues import bias_differences, cue_plane
from shapebias.figures.likeness import consistency_matrix, likeness_dots
from shapebias.figures.melanoma import confusion_matrices, melanoma_overview
from shapebias.figures.read_out import read_out_lines, top_k_lines
from shapebias.figures.save import remove_figure, save_figure
from shapebias.figures.shape_bias import shape_bias_overview
from shapebias.figures.style import COLUMN_WIDTH, FigureStyle, NoDataError, new_figure, wrap_name
from shapebias.figures.training_curves import training_curves
from shapebias.images.pictures import Picture
from shapebias.parallel import ordered_map, process_pool
from shapebias.seeding import draw_key
from shapebias.tables.reading import read_answers, read_histories, read_people, read_table
from shapebias.tables.summaries import PEOPLE, observer_kinds, order_regimes, pick_from_each_group, short_observer_names

TABLES = [
    *["shape_bias", "shape_bias_by_category", "shape_bias_pooled", "shape_bias_differences", "cue_accuracy", "top_k"],
    *["confusion", "accuracy", "accuracy_by_condition", "error_consistency", "human_likeness", "reliance", "read_out"],
    *["critical_band", "runs"],
]
OBSERVER_TABLES = ["shape_bias", "accuracy", "accuracy_by_condition", "reliance", "critical_band", "read_out"]


def draw_figures(
    folder: Path,
    out: Path,
    style: FigureStyle,
    *,
    benchmarks: Sequence[str] = (),
    runs: Path | None = None,
    people: Path | None = None,
    images: Mapping[str, Sequence[Path]] | None = None,
    melanoma: Sequence[str] = (),
    regime_labels: Mapping[str, str] | None = None,
    compared: tuple[str, str] | None = None,
    declared: Sequence[str] = (),
    atlas: bool = False,
    workers: int = 0,
) -> None:
    """Draw every figure as PNG, SVG and PDF into a folder. A figure without data is left out.

    folder: folder of the tables. benchmarks: cue-conflict benchmarks to draw, all if empty. runs: folder that holds
    <model>/<regime>/seed<n>. people: table of people's hits on the published stimuli. images: benchmark → folders,
    shards or archives of its images, for a figure of some images with answers. melanoma: melanoma benchmarks to draw.
    regime_labels: regime → its name in the figures. compared: the baseline and the regime whose effect is the question.
    declared: figures that must exist, as outputs of a rule. One without data says so. atlas: draw the atlas, too.
    workers: processes that draw; with 0, this process draws.
    Raises UserError for missing or broken tables, and for a benchmark or a style that does not exist.
    """
    check_style(style)
    labels = regime_labels or {}
    tables = {name: label_regimes(read_table(folder, name), labels) for name in TABLES}
    style = replace(style, **observers_of([tables[name] for name in OBSERVER_TABLES]))
    if runs is None and len(tables["runs"]):
        raise UserError(f"{folder / 'runs.csv'} names trained networks: give the folder of their runs")
    histories = label_regimes(read_histories(runs or Path(), read_table(folder, "runs")), labels)
    before_after = (labels.get(compared[0], compared[0]), labels.get(compared[1], compared[1])) if compared else None
    benchmarks = benchmarks or list(dict.fromkeys(tables["shape_bias"]["benchmark"]))
    unmeasured = sorted({*(images or {})} - {*benchmarks})
    if unmeasured:
        raise UserError(
            f"sample images of {unmeasured[0]!r}: no such benchmark; available: {', '.join(benchmarks) or 'none'}"
        )

    figures: dict[str, Callable[..., Figure]] = {}
    for benchmark in benchmarks:
        conflicts = conflict_figures(benchmark, tables, read_people(people) if people else None, before_after)
        figures |= {f"{name}.{benchmark}": draw for name, draw in conflicts.items()}
        if images and benchmark in images:
            samples, total = choose_samples(folder, benchmark, tables["shape_bias"], images[benchmark])
            figures[f"sample_predictions.{benchmark}"] = partial(
                sample_predictions, samples, total, benchmark=benchmark
            )
    for benchmark in melanoma:
        lesions = label_regimes(read_table(folder, "melanoma"), labels)
        figures[f"melanoma.{benchmark}"] = partial(melanoma_overview, lesions, benchmark=benchmark)
        figures[f"melanoma_confusion.{benchmark}"] = partial(confusion_matrices, lesions, benchmark=benchmark)
    if atlas:
        figures["atlas"] = partial(atlas_overview, label_regimes(read_table(folder, "atlas"), labels))
    for benchmark in dict.fromkeys(tables["critical_band"]["benchmark"]):
        figures[f"critical_band.{benchmark}"] = partial(
            bandwidth_overview, tables["critical_band"], benchmark=benchmark
        )
    by_condition = tables["accuracy_by_condition"]
    figures |= {
        "accuracy": partial(accuracy_overview, tables["accuracy"]),
        "accuracy_by_condition": partial(condition_lines, by_condition, condition_axes(by_condition)),
        "human_likeness": partial(likeness_dots, tables["human_likeness"]),
        "reliance": partial(reliance_lines, tables["reliance"]),
        "training_curves": partial(training_curves, histories),
    }
    unknown = sorted({*declared} - {*figures})
    if unknown:
        raise UserError(f"figure {unknown[0]!r}: no such figure of these tables; available: {', '.join(figures)}")
    write = partial(write_figure, style=style, out=out, declared=declared)
    for _ in ordered_map(write, figures.items(), workers, process_pool):
        pass


def write_figure(
    figure: tuple[str, Callable[..., Figure]], *, style: FigureStyle, out: Path, declared: Sequence[str]
) -> None:
    """Draw and save a figure, given as its name and the function that draws it."""
    name, draw = figure
    try:
        drawn = draw(style=style)
    except NoDataError as error:
        if name not in declared:
            remove_figure(out / name)  # of an earlier study in this folder
            return
        drawn = message_figure(str(error), style)
    save_figure(drawn, out / name, style.dpi)


def message_figure(text: str, style: FigureStyle) -> Figure:
    """Create a figure with a message that explains why there is nothing to draw."""
    with style.apply():
        figure = new_figure(COLUMN_WIDTH, 15)
        figure.text(0.5, 0.5, wrap_name(text, 45), ha="center", va="center", color="0.3")
    return figure


def label_regimes(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with the labels of its regimes in place of their names."""
    columns = [name for name in ("regime", "regime_1", "regime_2") if name in table]
    return table.assign(**{name: table[name].replace(dict(labels)) for name in columns})


def observers_of(tables: Sequence[pd.DataFrame]) -> dict[str, tuple[str, ...]]:
    """Return the models and the regimes of some tables, in the order of the figures."""
    observers = pd.concat([table[["observer", "model", "regime"]] for table in tables], ignore_index=True)
    models = dict.fromkeys(observers["model"][observers["model"] != PEOPLE])
    regimes = order_regimes(observers["regime"][observer_kinds(observers) == "run"])
    return {"models": tuple(models), "regimes": tuple(regimes)}


def conflict_figures(
    benchmark: str, tables: Mapping[str, pd.DataFrame], people: pd.DataFrame | None, compared: tuple[str, str] | None
) -> dict[str, Callable[..., Figure]]:
    """Return functions that draw the figures of one cue-conflict benchmark, by name.

    The figure read_out is among them only if the table has read-outs of the benchmark.
    """
    bias, baseline = tables["shape_bias"], compared[0] if compared else None
    figures: dict[str, Callable[..., Figure]] = {
        "shape_bias_by_category": partial(
            shape_bias_by_category, tables["shape_bias_by_category"], people, compared=compared
        ),
        "shape_bias": partial(shape_bias_overview, tables["shape_bias_pooled"], bias, tables["cue_accuracy"], people),
        "shape_bias_differences": partial(bias_differences, tables["shape_bias_differences"], bias, baseline=baseline),
        "cue_accuracy": partial(cue_plane, tables["cue_accuracy"]),
        "top_k": partial(top_k_lines, tables["top_k"]),
        "confusion": partial(answer_matrices, tables["confusion"], compared=compared),
        "error_consistency": partial(consistency_matrix, tables["error_consistency"], bias),
    }
    if (tables["read_out"]["benchmark"] == benchmark).any():
        figures["read_out"] = partial(read_out_lines, tables["read_out"])
    return {name: partial(draw, benchmark=benchmark) for name, draw in figures.items()}


def condition_axes(by_condition: pd.DataFrame) -> dict[str, ConditionAxis]:
    """Return the axis of each benchmark whose kind follows from its name or, uniquely, from its conditions."""
    axes = {}
    for benchmark, part in by_condition.groupby("benchmark", sort=False):
        conditions = {*part["condition"].dropna().astype(str)}
        fitting = [kind for kind in KINDS.values() if conditions <= {*kind.conditions}]
        named = [kind for kind in fitting if kind.name == benchmark]
        kinds = named or fitting
        if len(kinds) == 1:
            (kind,) = kinds
            axes[str(benchmark)] = ConditionAxis(kind.conditions, kind.condition_label, kind.condition_names)
    return axes


def choose_samples(
    folder: Path, benchmark: str, shape_bias: pd.DataFrame, paths: Sequence[Path]
) -> tuple[list[SampleAnswers], int]:
    """Return a sample of conflict images of a benchmark with answers, and the number of all its conflict images.

    The sample is spread over the categories of shape.
    """
    answers = read_answers(folder, benchmark)
    conflicts = answers[
        (answers["shape"] != "") & (answers["texture"] != "") & (answers["shape"] != answers["texture"])
    ]
    pictures = {stimulus_name(picture.id): picture for picture in open_benchmark(paths, "cue_conflict")}
    available = conflicts[conflicts["image"].isin(pictures)]
    if len(conflicts) and available.empty:
        raise UserError(
            f"{paths[0]}: answers.{benchmark}.csv names none of these images, but others such as "
            f"{conflicts['image'].iloc[0]!r}; give the images of benchmark {benchmark!r}"
        )
    rows = shape_bias[(shape_bias["benchmark"] == benchmark) & shape_bias["observer"].isin(answers.columns)]
    names = names_beside_samples(rows)
    samples: list[SampleAnswers] = [
        (picture.image(), row["shape"], row["texture"], {name: row[key] for key, name in names.items()})
        for row, picture in spread_over_categories(available, pictures)
    ]
    return samples, len(conflicts)


def names_beside_samples(rows: pd.DataFrame) -> dict[str, str]:
    """Return observer → name for the figure of samples: one person, and one seed of each model and regime.

    The first MOST_ANSWERS names are spread over the models.
    """
    rows = rows.assign(kind=observer_kinds(rows), regime=rows["regime"].fillna(""))
    rows = rows[rows["kind"] != PEOPLE].drop_duplicates(["kind", "model", "regime"])
    names = short_observer_names(rows)
    groups = rows.assign(group=rows["model"].where(rows["kind"] == "run", rows["kind"])).set_index("observer")["group"]
    first = pick_from_each_group([(groups[observer], observer) for observer in names], MOST_ANSWERS)
    return {observer: names[observer] for observer in [*first, *(name for name in names if name not in first)]}


def spread_over_categories(answers: pd.DataFrame, pictures: Mapping[str, Picture]) -> Iterable[tuple[dict, Picture]]:
    """Return at most MOST_SAMPLES images, taking categories of shape in turn; the choice depends on the image names."""
    rows = sorted(answers.to_dict("records"), key=lambda row: draw_key(0, "sample", row["image"]))
    chosen = pick_from_each_group([(row["shape"], row) for row in rows], MOST_SAMPLES)
    return [(row, pictures[row["image"]]) for row in sorted(chosen, key=lambda row: (row["shape"], row["image"]))]


def check_style(style: FigureStyle) -> None:
    """Raise UserError for an unknown palette, or a resolution or font scale that is not positive."""
    try:
        sns.color_palette(style.palette, 2)
    except ValueError:
        raise UserError(
            f"palette {style.palette!r}: unknown; use a seaborn palette, such as colorblind or Set2"
        ) from None
    if style.dpi < 1 or not style.font_scale > 0:
        raise UserError(f"dpi {style.dpi}, font scale {style.font_scale}: both must be above 0")
