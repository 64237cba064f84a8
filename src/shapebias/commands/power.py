"""Predict how wide an interval will be and how often it finds an effect, for numbers of images, people and seeds.

Give a number of images, or the width or power that you want. See docs/planning.md for typical values.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from shapebias.cli import Parser, positive_int
from shapebias.errors import UserError
from shapebias.metrics.power import (
    FEWEST_IMAGES,
    MOST_IMAGES,
    Prediction,
    images_for,
    predict_bias,
    predict_difference,
    predict_kappa,
)

CONFLICT_IMAGES, STIMULI = 1200, 1280  # of Geirhos et al. 2019, without and with the images whose cues agree
COVERAGE = "share of conflict images answered with either cue"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    measures = parser.add_subparsers(dest="measure", required=True, metavar="MEASURE")

    bias = measures.add_parser("bias", help="a shape bias, and its difference from a fixed value")
    bias.add_argument("--bias", type=float, required=True, help="expected shape bias")
    bias.add_argument("--coverage", type=float, required=True, help=COVERAGE)
    bias.add_argument("--versus", type=float, default=0.5, help="value that the interval should exclude (default 0.5)")
    add_groups(bias, CONFLICT_IMAGES, people="pooled people; the interval covers images only")

    difference = measures.add_parser("difference", help="the difference of two shape biases on the same images")
    difference.add_argument("--bias", type=float, nargs=2, required=True, metavar="BIAS", help="expected shape biases")
    difference.add_argument(
        "--coverage", type=float, nargs="+", required=True, help=f"{COVERAGE} (one value, or one for each bias)"
    )
    add_groups(difference, CONFLICT_IMAGES)

    kappa = measures.add_parser("kappa", help="error consistency of two observers")
    kappa.add_argument("--kappa", type=float, required=True, help="expected κ")
    kappa.add_argument(
        "--accuracy", type=float, nargs=2, required=True, metavar="ACCURACY", help="expected accuracies of the two"
    )
    kappa.add_argument("--versus", type=float, default=0.0, help="value that the interval should exclude (default 0)")
    add_groups(kappa, STIMULI, people="people with whom κ is averaged; the interval covers images only")
    return parser.parse_args(argv)


def add_groups(parser: argparse.ArgumentParser, images: int, people: str = "") -> None:
    """Add the options of the numbers of images, seeds and people; people: what several of them mean, if possible."""
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--images", type=positive_int, default=images, help=f"images that count (default {images})")
    size.add_argument("--width", type=float, help="find the number of images for this width of the interval")
    size.add_argument("--power", type=float, help="find the number of images for this power, e.g. 0.8")
    parser.add_argument("--seeds", type=positive_int, default=1, help="seeds of a network (default 1)")
    if people:
        parser.add_argument("--people", type=positive_int, default=1, help=people)
    parser.add_argument(
        "--sd", type=float, default=0.0, help="standard deviation of the true values of seeds or people (default 0)"
    )
    parser.add_argument(
        "--correlation", type=float, default=0.0,
        help="correlation of the estimates of two networks or people on the same images (default 0)",
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    predict, design, versus = describe_design(args)
    images, answer = args.images, ""
    if args.width is not None or args.power is not None:
        images = images_for(predict, width=args.width, power=args.power)
        wanted = f"a width of {args.width:g}" if args.power is None else f"a power of {args.power:g}"
        answer = f"{images:,} images give {wanted}\n"
    table = format_table(predict, images)  # before anything is printed, because it refuses impossible values
    print(f"{design}\n{answer}\n{table}\n")
    print(f"width: of the 95 % interval, on average; power: how often the interval excludes {versus:g}")


def describe_design(args: argparse.Namespace) -> tuple[Callable[[int], Prediction], str, float]:
    """Return the prediction for a number of images, the design in words, and the value to exclude."""
    groups = {"seeds": args.seeds, "sd": args.sd, "correlation": args.correlation}
    words = [f"{args.seeds} seeds"] if args.seeds > 1 else []
    versus = 0.0
    if args.measure == "difference":
        coverages = tuple(args.coverage * 2 if len(args.coverage) == 1 else args.coverage)
        if len(coverages) != 2:
            raise UserError(f"--coverage has {len(coverages)} values; give one, or one for each of the two biases")
        predict = partial(predict_difference, tuple(args.bias), coverages, **groups)
        design = f"difference of shape biases {list_values(args.bias)}, coverage {list_values(args.coverage)}"
    else:
        versus = args.versus
        groups |= {"people": args.people, "versus": versus}
        words += [f"{args.people} people"] if args.people > 1 else []
        if args.measure == "bias":
            predict = partial(predict_bias, args.bias, args.coverage, **groups)
            design = f"shape bias {args.bias:g}, coverage {args.coverage:g}"
        else:
            predict = partial(predict_kappa, args.kappa, tuple(args.accuracy), **groups)
            design = f"κ {args.kappa:g}, accuracies {list_values(args.accuracy)}"
    words += [f"standard deviation {args.sd:g}"] if args.sd else []
    words += [f"correlation {args.correlation:g}"] if args.correlation else []
    return predict, ", ".join([design, *words]), versus


def list_values(values: Sequence[float]) -> str:
    return " and ".join(f"{value:g}" for value in values)


def format_table(predict: Callable[[int], Prediction], images: int) -> str:
    """Return the predictions for a number of images, and for a quarter, half, twice and four times as many."""
    rows = ["  images   width   power"]
    for factor in (0.25, 0.5, 1, 2, 4):
        number = round(images * factor)
        if factor == 1 or FEWEST_IMAGES <= number <= MOST_IMAGES:
            width, power = predict(number)
            rows.append(f"{number:>8,}   {width:.3f}   {power:.3f}")
    return "\n".join(rows)
