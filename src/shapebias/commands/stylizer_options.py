"""The command-line options that choose a stylizer."""

import argparse
from pathlib import Path

from shapebias.cli import non_negative_int, positive_int
from shapebias.stylize.stylizers import STYLIZERS, Stylizer, make_stylizer


def add_stylizer_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options for the network, its weights and its device."""
    group = parser.add_argument_group("stylizer")
    group.add_argument(
        "--stylizer", choices=STYLIZERS, default="ghiasi", help="the style-transfer network (default: %(default)s)"
    )
    group.add_argument("--weights", type=Path, metavar="DIR", help="folder of its encoder and decoder (adain)")
    group.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU if available (adain)")
    group.add_argument(
        "--threads", type=positive_int, default=1, help="CPU threads for computing (default: %(default)s)"
    )
    group.add_argument(
        "--workers",
        type=non_negative_int,
        default=0,
        help="additional threads that decode and encode (default: %(default)s)",
    )


def stylizer_from_args(args: argparse.Namespace) -> Stylizer:
    """Return the stylizer that the options describe."""
    return make_stylizer(args.stylizer, args.weights, args.device, args.threads)
