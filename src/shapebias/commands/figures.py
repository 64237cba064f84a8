"""Draw all figures from the tables, as PNG, SVG and PDF. The script measures and trains nothing.

Figures of each cue-conflict benchmark have the name <figure>.<benchmark>: shape_bias, shape_bias_by_category,
shape_bias_differences, cue_accuracy, top_k, confusion and error_consistency. read_out is added if the table has
read-outs of the benchmark, and sample_predictions if --sample-images names its images. Figures over all benchmarks:
accuracy, accuracy_by_condition, human_likeness, reliance and training_curves. --melanoma adds melanoma.<benchmark> and
melanoma_confusion.<benchmark>, and --atlas adds atlas. A figure without data is left out, unless --declared names it.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from shapebias.cli import Parser, named_path, named_text, non_negative_int
from shapebias.figures.draw import draw_figures
from shapebias.figures.style import FigureStyle


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    style = FigureStyle()
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="folder that holds <model>/<regime>/seed<n>, if networks were trained"
    )
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder of the figures")
    parser.add_argument(
        "--benchmarks", nargs="*", metavar="NAME", help="cue-conflict benchmarks to draw (default: all)"
    )
    parser.add_argument("--melanoma", nargs="*", default=[], metavar="NAME", help="melanoma benchmarks to draw")
    parser.add_argument("--atlas", action="store_true", help="also draw the table atlas: published observers")
    parser.add_argument(
        "--sample-images",
        type=named_path,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="images of a cue-conflict benchmark, for the figure of samples: a folder, shards or an archive",
    )
    parser.add_argument(
        "--palette",
        default=style.palette,
        help="seaborn palette of regimes, or of networks in a study without regimes (%(default)s)",
    )
    parser.add_argument("--dpi", type=int, default=style.dpi, help="resolution of the PNG files (%(default)s)")
    parser.add_argument(
        "--font-scale", type=float, default=style.font_scale, help="factor on all text sizes (%(default)s)"
    )
    parser.add_argument(
        "--regime-labels", type=named_text, nargs="*", default=[], metavar="REGIME=LABEL", help="names in the figures"
    )
    parser.add_argument(
        "--compared",
        nargs=2,
        metavar=("BASELINE", "REGIME"),
        help="the regimes before and after, which figures compare",
    )
    parser.add_argument(
        "--declared",
        nargs="*",
        default=[],
        metavar="FIGURE",
        help="figures that must exist: one without data says so in a sentence",
    )
    parser.add_argument(
        "--workers", type=non_negative_int, default=0, metavar="N", help="processes that draw (default: in this one)"
    )
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
        regime_labels=dict(args.regime_labels),
        compared=tuple(args.compared) if args.compared else None,
        declared=args.declared,
        atlas=args.atlas,
        workers=args.workers,
    )
