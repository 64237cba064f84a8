"""The style-transfer networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.errors import UserError

STYLIZERS = ("adain", "ghiasi")


class Stylizer(Protocol):
    """A style-transfer network that encodes a style once and applies it to many images.

    fingerprint: identifies the network, to match style vectors with it.
    batch_size: best number of images of up to 224 × 224 pixels to stylize at a time.
    resample: the published code's method of scaling images.
    """

    name: str
    fingerprint: str
    batch_size: int
    resample: Image.Resampling

    def encode(self, style: Image.Image) -> np.ndarray:
        """Return the style vector of an RGB image, float32 [D]."""
        ...

    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """Stylize RGB images of one size, each in its style (vectors [B, D]); the results have the same size.

        strength: 0 keeps the content's style, 1 applies the given style fully.
        """
        ...


def make_stylizer(name: str, weights: Path | None = None, device: str = "cpu", threads: int = 1) -> Stylizer:
    """Return the stylizer of this name. weights: the folder of its weights; required for adain, built into ghiasi."""
    # Local imports: ghiasi needs no torch and adain no onnxruntime, and each takes seconds to import.
    if name == "ghiasi":
        if weights is not None:
            raise UserError(
                f"weights {weights}: ghiasi has built-in weights; leave them out, or choose the stylizer adain"
            )
        from shapebias.stylize.ghiasi import GhiasiStylizer

        return GhiasiStylizer(threads)
    if name == "adain":
        if weights is None:
            raise UserError("the stylizer adain needs the folder of its weights; docs/data.md lists their sources")
        import torch

        from shapebias.networks.device import resolve_device
        from shapebias.stylize.adain import load_adain

        torch.set_num_threads(threads)
        return load_adain(weights, resolve_device(device))
    raise UserError(f"unknown stylizer {name!r}; allowed: {', '.join(STYLIZERS)}")
