#!/usr/bin/env python3
"""Draw all figures from the tables; nothing is measured or trained here.

Writes PNG and SVG: shape_bias_by_category.<benchmark> and shape_bias.<benchmark> for each benchmark of cue
conflict, accuracy, and training_curves; melanoma.<benchmark> and melanoma_confusion.<benchmark> where asked for.
"""

import argparse
from pathlib import Path

import seaborn as sns

from shapebias.cli import Parser, run
from shapebias.errors import UserError
from shapebias.figure_style import FigureStyle, save
from shapebias.figures import accuracy_overview, shape_bias_by_category, shape_bias_overview, training_curves
from shapebias.melanoma_figures import confusion_matrices, melanoma_overview
from shapebias.reading import read_histories, read_people, read_table


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    looks = FigureStyle()
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="folder of <model>/<regime>/seed<n>")
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the figures")
    parser.add_argument(
        "--benchmarks", nargs="*", metavar="NAME", help="cue-conflict benchmarks to draw (if omitted: all)"
    )
    parser.add_argument("--melanoma", nargs="*", default=[], metavar="NAME", help="benchmarks of melanoma to draw")
    parser.add_argument("--palette", default=looks.palette, help="seaborn palette for models (%(default)s)")
    parser.add_argument("--dpi", type=int, default=looks.dpi, help="resolution of the PNG files (%(default)s)")
    parser.add_argument("--font-scale", type=float, default=looks.font_scale, help="size of text (%(default)s)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    style = FigureStyle(palette=args.palette, dpi=args.dpi, font_scale=args.font_scale)
    check(style)
    shape_bias = read_table(args.tables, "shape_bias")
    by_category = read_table(args.tables, "shape_bias_by_category")
    cue_accuracy = read_table(args.tables, "cue_accuracy")
    people = read_people(args.people) if args.people else None

    benchmarks = args.benchmarks or list(dict.fromkeys(shape_bias["benchmark"]))
    for benchmark in benchmarks:
        figure = shape_bias_by_category(by_category, people, benchmark=benchmark, style=style)
        save(figure, args.out / f"shape_bias_by_category.{benchmark}", style.dpi)
        figure = shape_bias_overview(shape_bias, cue_accuracy, people, benchmark=benchmark, style=style)
        save(figure, args.out / f"shape_bias.{benchmark}", style.dpi)
    for benchmark in args.melanoma:
        lesions = read_table(args.tables, "melanoma")
        figure = melanoma_overview(lesions, benchmark=benchmark, style=style)
        save(figure, args.out / f"melanoma.{benchmark}", style.dpi)
        figure = confusion_matrices(lesions, benchmark=benchmark, style=style)
        save(figure, args.out / f"melanoma_confusion.{benchmark}", style.dpi)
    save(accuracy_overview(read_table(args.tables, "accuracy"), style=style), args.out / "accuracy", style.dpi)
    histories = read_histories(args.runs, read_table(args.tables, "runs"))
    save(training_curves(histories, style=style), args.out / "training_curves", style.dpi)


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
