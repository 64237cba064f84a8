#!/usr/bin/env python3
"""Draw all figures from the tables; nothing is measured or trained here.

Writes PNG and SVG. For each benchmark of cue conflict: shape_bias, shape_bias_by_category, shape_bias_differences,
cue_accuracy, top_k, confusion, error_consistency, read_out where there is any, and sample_predictions where its
images are given, each as <figure>.<benchmark>. Over all benchmarks: accuracy, accuracy_by_condition, human_likeness,
reliance, training_curves. melanoma.<benchmark> and melanoma_confusion.<benchmark> where asked for.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from shapebias.cli import Parser, named_path, run
from shapebias.figures.draw import draw_figures
from shapebias.figures.style import FigureStyle


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
    images: dict[str, list[Path]] = defaultdict(list)
    for name, path in args.sample_images:
        images[name].append(path)
    draw_figures(
        args.tables,
        args.out,
        FigureStyle(palette=args.palette, dpi=args.dpi, font_scale=args.font_scale),
        benchmarks=args.benchmarks or [],
        runs=args.runs,
        people=args.people,
        images=images,
        melanoma=args.melanoma,
    )


if __name__ == "__main__":
    run(main)
