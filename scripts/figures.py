#!/usr/bin/env python3
"""Draw all figures from the tables; nothing is measured or trained here.

Writes PNG and SVG. For each benchmark of cue conflict: shape_bias, shape_bias_by_category, shape_bias_differences,
cue_accuracy, top_k, confusion, error_consistency, read_out where there is any, and sample_predictions where its
images are given, each as <figure>.<benchmark>. Over all benchmarks: accuracy, accuracy_by_condition, human_likeness,
reliance, training_curves. melanoma.<benchmark> and melanoma_confusion.<benchmark> where asked for.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from shapebias.cli import Parser, run
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.figures.accuracy import ConditionAxis, accuracy_overview, condition_lines, reliance_lines
from shapebias.figures.answers import MOST_ANSWERS, MOST_SAMPLES, SampleAnswers, answer_matrices, sample_predictions
from shapebias.figures.cues import bias_differences, cue_plane
from shapebias.figures.likeness import consistency_matrix, likeness_dots
from shapebias.figures.melanoma import confusion_matrices, melanoma_overview
from shapebias.figures.read_out import read_out_lines, top_k_lines
from shapebias.figures.shape_bias import shape_bias_by_category, shape_bias_overview
from shapebias.figures.style import FigureStyle, save_figure
from shapebias.figures.training_curves import training_curves
from shapebias.images.pictures import Picture
from shapebias.seeding import draw_key
from shapebias.tables.reading import read_answers, read_histories, read_people, read_table
from shapebias.tables.summaries import PEOPLE, observer_kinds, observer_names, pick_from_each_group

NEEDED = [
    *["shape_bias", "shape_bias_by_category", "shape_bias_pooled", "shape_bias_differences", "cue_accuracy", "top_k"],
    *["confusion", "accuracy", "accuracy_by_condition", "error_consistency", "human_likeness", "reliance", "read_out"],
    "runs",
]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    looks = FigureStyle()
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="folder of <model>/<regime>/seed<n>, where any were trained"
    )
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the figures")
    parser.add_argument(
        "--benchmarks", nargs="*", metavar="NAME", help="cue-conflict benchmarks to draw (if omitted: all)"
    )
    parser.add_argument("--melanoma", nargs="*", default=[], metavar="NAME", help="benchmarks of melanoma to draw")
    parser.add_argument(
        "--sample-images",
        type=named_path,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="the images of a cue-conflict benchmark, of which some are shown: a folder, shards or an archive",
    )
    parser.add_argument("--palette", default=looks.palette, help="seaborn palette for models (%(default)s)")
    parser.add_argument("--dpi", type=int, default=looks.dpi, help="resolution of the PNG files (%(default)s)")
    parser.add_argument("--font-scale", type=float, default=looks.font_scale, help="size of text (%(default)s)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    style = FigureStyle(palette=args.palette, dpi=args.dpi, font_scale=args.font_scale)
    check(style)
    tables = {name: read_table(args.tables, name) for name in NEEDED}
    people = read_people(args.people) if args.people else None
    if args.runs is None and len(tables["runs"]):
        raise UserError(f"{args.tables / 'runs.csv'} names trained networks: give their folder, --runs DIR")
    images = defaultdict(list)
    for name, path in args.sample_images:
        images[name].append(path)
    benchmarks = args.benchmarks or list(dict.fromkeys(tables["shape_bias"]["benchmark"]))
    unknown = sorted({*images} - {*benchmarks})
    if unknown:
        raise UserError(f"--sample-images {unknown[0]}: no such benchmark; there are {', '.join(benchmarks) or 'none'}")

    drawn: dict[str, Callable[..., Figure]] = {}
    for benchmark in benchmarks:
        conflicts = partial(of_conflicts, benchmark, tables, people)
        drawn |= {f"{name}.{benchmark}": draw for name, draw in conflicts().items()}
        if benchmark in images:
            samples, total = sample_of(args.tables, benchmark, tables["shape_bias"], images[benchmark])
            drawn[f"sample_predictions.{benchmark}"] = partial(sample_predictions, samples, total, benchmark=benchmark)
    for benchmark in args.melanoma:
        lesions = read_table(args.tables, "melanoma")
        drawn[f"melanoma.{benchmark}"] = partial(melanoma_overview, lesions, benchmark=benchmark)
        drawn[f"melanoma_confusion.{benchmark}"] = partial(confusion_matrices, lesions, benchmark=benchmark)
    by_condition = tables["accuracy_by_condition"]
    drawn |= {
        "accuracy": partial(accuracy_overview, tables["accuracy"]),
        "accuracy_by_condition": partial(condition_lines, by_condition, condition_axes(by_condition)),
        "human_likeness": partial(likeness_dots, tables["human_likeness"]),
        "reliance": partial(reliance_lines, tables["reliance"]),
        "training_curves": partial(training_curves, read_histories(args.runs or Path(), tables["runs"])),
    }
    for name, draw in drawn.items():
        save_figure(draw(style=style), args.out / name, style.dpi)


def of_conflicts(
    benchmark: str, tables: Mapping[str, pd.DataFrame], people: pd.DataFrame | None
) -> dict[str, Callable[..., Figure]]:
    """The figures of one benchmark of cue conflict, by name; read_out only where a cue was read out."""
    bias = tables["shape_bias"]
    drawn: dict[str, Callable[..., Figure]] = {
        "shape_bias_by_category": partial(shape_bias_by_category, tables["shape_bias_by_category"], people),
        "shape_bias": partial(shape_bias_overview, tables["shape_bias_pooled"], bias, tables["cue_accuracy"], people),
        "shape_bias_differences": partial(bias_differences, tables["shape_bias_differences"], bias),
        "cue_accuracy": partial(cue_plane, tables["cue_accuracy"]),
        "top_k": partial(top_k_lines, tables["top_k"]),
        "confusion": partial(answer_matrices, tables["confusion"]),
        "error_consistency": partial(consistency_matrix, tables["error_consistency"], bias),
    }
    if (tables["read_out"]["benchmark"] == benchmark).any():
        drawn["read_out"] = partial(read_out_lines, tables["read_out"])
    return {name: partial(draw, benchmark=benchmark) for name, draw in drawn.items()}


def condition_axes(by_condition: pd.DataFrame) -> dict[str, ConditionAxis]:
    """The axis of each benchmark whose kind is known: by its name, or as the only kind that has its conditions."""
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


def sample_of(
    folder: Path, benchmark: str, shape_bias: pd.DataFrame, paths: Sequence[Path]
) -> tuple[list[SampleAnswers], int]:
    """Conflict images of a benchmark, spread over the categories of their shape, with what observers answered.

    Also the number of all its conflict images.
    """
    answers = read_answers(folder, benchmark)
    conflicts = answers[
        (answers["shape"] != "") & (answers["texture"] != "") & (answers["shape"] != answers["texture"])
    ]
    pictures = {stimulus_name(picture.id): picture for picture in open_benchmark(paths, "cue_conflict")}
    known = conflicts[conflicts["image"].isin(pictures)]
    if len(conflicts) and known.empty:
        raise UserError(
            f"--sample-images {benchmark}={paths[0]}: none of these images is in answers.{benchmark}.csv, such as "
            f"{conflicts['image'].iloc[0]!r}; give the images that were answered"
        )
    who = shape_bias[(shape_bias["benchmark"] == benchmark) & shape_bias["observer"].isin(answers.columns)]
    listed = listed_observers(who)
    samples: list[SampleAnswers] = [
        (picture.image(), row["shape"], row["texture"], {name: row[key] for key, name in listed.items()})
        for row, picture in spread(known, pictures)
    ]
    return samples, len(conflicts)


def listed_observers(who: pd.DataFrame) -> dict[str, str]:
    """Observer → its name: one person, one seed of each model × regime, some of every model first."""
    who = who.assign(kind=observer_kinds(who), regime=who["regime"].fillna(""))
    who = who[who["kind"] != PEOPLE].drop_duplicates(["kind", "model", "regime"])
    names = observer_names(who)
    groups = who.assign(group=who["model"].where(who["kind"] == "run", who["kind"])).set_index("observer")["group"]
    first = pick_from_each_group([(groups[observer], observer) for observer in names], MOST_ANSWERS)
    return {observer: names[observer] for observer in [*first, *(name for name in names if name not in first)]}


def spread(answers: pd.DataFrame, pictures: Mapping[str, Picture]) -> Iterable[tuple[dict, Picture]]:
    """At most MOST_SAMPLES images, one of each category of shape before a second of any; drawn by their names."""
    rows = sorted(answers.to_dict("records"), key=lambda row: draw_key(0, "sample", row["image"]))
    chosen = pick_from_each_group([(row["shape"], row) for row in rows], MOST_SAMPLES)
    return [(row, pictures[row["image"]]) for row in sorted(chosen, key=lambda row: (row["shape"], row["image"]))]


def named_path(text: str) -> tuple[str, Path]:
    """Parse `NAME=PATH` (an argparse type)."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def check(style: FigureStyle) -> None:
    """Refuse looks that cannot be drawn, before anything is."""
    for name in (style.palette, style.regime_palette):
        try:
            sns.color_palette(name, 2)
        except ValueError:
            raise UserError(f"palette {name!r}: unknown; take one of seaborn's, such as colorblind or Set2") from None
    if style.dpi < 1 or not style.font_scale > 0:
        raise UserError(f"dpi {style.dpi}, font scale {style.font_scale}: both must be above 0")


if __name__ == "__main__":
    run(main)
