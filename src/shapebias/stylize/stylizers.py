"""The style-transfer networks, and the command-line flags that choose one."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.cli import non_negative_int, positive_int
from shapebias.errors import UserError

STYLIZERS = ("adain", "ghiasi")


class Stylizer(Protocol):
    """A style-transfer network that encodes a style once and applies it to many images.

    fingerprint: which network made a style vector. batch_size: how many images of up to
    224 × 224 pixels are best stylized at a time.
    resample: how the network's published code scales images.
    """

    name: str
    fingerprint: str
    batch_size: int
    resample: Image.Resampling

    def encode(self, style: Image.Image) -> np.ndarray:
        """The style vector of an RGB image, float32 [D]."""
        ...

    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """RGB images of one size, each in its style (vectors [B, D]), of the same size.

        strength: 0 keeps the content's own style, 1 is all the given one's.
        """
        ...


def make_stylizer(name: str, weights: Path | None = None, device: str = "cpu", threads: int = 1) -> Stylizer:
    """The stylizer of that name; `weights` is the folder of its weights, for the one that has none built in."""
    # Imported here: ghiasi needs no torch and adain no onnxruntime, and either takes seconds to import.
    if name == "ghiasi":
        if weights is not None:
            raise UserError(f"weights {weights}: ghiasi brings its own; leave them out, or choose the stylizer adain")
        from shapebias.stylize.ghiasi import GhiasiStylizer

        return GhiasiStylizer(threads)
    if name == "adain":
        if weights is None:
            raise UserError("the stylizer adain needs the folder of its weights (--weights); README says where from")
        import torch

        from shapebias.networks.device import resolve_device
        from shapebias.stylize.adain import load_adain

        torch.set_num_threads(threads)
        return load_adain(weights, resolve_device(device))
    raise UserError(f"unknown stylizer {name!r}; allowed: {', '.join(STYLIZERS)}")


def add_stylizer_flags(parser: argparse.ArgumentParser) -> None:
    """Which network, where its weights are, and what it runs on."""
    group = parser.add_argument_group("stylizer")
    group.add_argument("--stylizer", choices=STYLIZERS, required=True, help="the style-transfer network")
    group.add_argument("--weights", type=Path, metavar="DIR", help="folder with its encoder and decoder (adain)")
    group.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU where there is one (adain)")
    group.add_argument(
        "--threads", type=positive_int, default=1, help="CPU threads that compute (default: %(default)s)"
    )
    group.add_argument(
        "--workers",
        type=non_negative_int,
        default=0,
        help="threads that decode and encode beside that (default: %(default)s)",
    )


def stylizer_from_args(args: argparse.Namespace) -> Stylizer:
    """The stylizer that the flags describe."""
    return make_stylizer(args.stylizer, args.weights, args.device, args.threads)
