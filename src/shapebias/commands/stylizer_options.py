"""The command-line options that choose a stylizer."""

import argparse
from pathlib import Path
from typing import Any

from shapebias.cli import (
    image_size,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    positive_proportion,
)
from shapebias.errors import UserError
from shapebias.stylize.gatys_settings import SETTINGS, GatysSettings
from shapebias.stylize.pipeline import StyleView
from shapebias.stylize.stylizers import STYLIZERS, Stylizer, make_stylizer


def add_stylizer_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options for the network, its weights and its device."""
    group = parser.add_argument_group("stylizer")
    group.add_argument(
        "--stylizer", choices=STYLIZERS, default="ghiasi", help="the style-transfer network (default: %(default)s)"
    )
    group.add_argument(
        "--weights",
        type=Path,
        metavar="DIR|FILE",
        help="folder of its encoder and decoder (adain), or weights of its network (gatys)",
    )
    group.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU if available (adain, gatys)")
    group.add_argument(
        "--threads", type=positive_int, default=1, help="CPU threads for computing (default: %(default)s)"
    )
    group.add_argument(
        "--workers",
        type=non_negative_int,
        default=0,
        help="additional threads that decode and encode (default: %(default)s)",
    )
    add_gatys_flags(parser)


def add_gatys_flags(parser: argparse.ArgumentParser) -> None:
    """Add the settings of gatys. A setting that is not given is None."""
    group = parser.add_argument_group("settings of gatys")
    help_texts: dict[str, tuple[str, dict[str, Any]]] = {
        "timm": ("network in timm, or torchvision/NAME", {"metavar": "NAME"}),
        "content_layers": ("layers that resemble the content", {"nargs": "+", "metavar": "LAYER"}),
        "style_layers": ("layers that resemble the style", {"nargs": "+", "metavar": "LAYER"}),
        "content_weight": ("weight of the content", {"type": non_negative_float}),
        "style_weight": ("weight of the style", {"type": positive_float}),
        "steps": ("steps of L-BFGS", {"type": positive_int}),
    }
    for name, (words, options) in help_texts.items():
        default = getattr(GatysSettings, name)
        default_text = " ".join(default) if isinstance(default, tuple) else f"{default}"
        group.add_argument(f"--{name.replace('_', '-')}", help=f"{words} (default: {default_text})", **options)


def add_style_flags(group: Any) -> None:
    """Add the options that say which part of a style image is encoded, and at which size, to a parser or a group."""
    group.add_argument(
        "--style-crop",
        type=positive_proportion,
        default=1.0,
        metavar="FRACTION",
        help="take the central square of styles with this fraction of the shorter side (default: all of a style)",
    )
    group.add_argument(
        "--style-masks",
        type=Path,
        metavar="DIR",
        help="take what is white in DIR/<id of the style>.png (default: all of a style; gatys)",
    )
    group.add_argument(
        "--style-size", type=image_size, metavar="PIXELS", help="scale styles to this shorter side (default: keep)"
    )


def stylizer_from_args(args: argparse.Namespace) -> Stylizer:
    """Return the stylizer that the options describe."""
    settings = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    return make_stylizer(args.stylizer, args.weights, args.device, args.threads, settings)


def style_view_from_args(args: argparse.Namespace) -> StyleView:
    """Return the part of each style image that the options describe."""
    if args.style_masks and not STYLIZERS[args.stylizer].reads_masks:
        able = ", ".join(name for name, kind in STYLIZERS.items() if kind.reads_masks)
        raise UserError(f"--style-masks: the stylizer {args.stylizer} reads no masks; choose {able}, or --style-crop")
    return StyleView(args.style_size, args.style_crop, args.style_masks)
