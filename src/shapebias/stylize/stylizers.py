"""The style-transfer networks: what one can do, and the one place that registers each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from shapebias.errors import UserError
from shapebias.stylize.gatys_settings import GatysSettings, make_settings


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
        """Return the style vector of an RGB image, float32 [D]; of an RGBA image if its kind reads masks."""
        ...

    def apply(self, contents: Sequence[Image.Image], styles: np.ndarray, strength: float) -> list[Image.Image]:
        """Stylize RGB images of one size, each in its style (vectors [B, D]); the results have the same size.

        strength: 0 keeps the content's style, 1 applies the given style fully.
        """
        ...


@dataclass(frozen=True)
class StylizerCost:
    """The measured cost of one image in a style-transfer network, from which the plan of a study scales.

    side: the image's side in pixels. core_ms: milliseconds of one CPU core. operations: floating-point operations, for
    a network that runs on a GPU. files_ms: milliseconds of one core to read and write the image beside that GPU.
    """

    side: int
    core_ms: float
    operations: float = 0
    files_ms: float = 0


@dataclass(frozen=True)
class StylizerKind:
    """A kind of style-transfer network: what rules, checks and plans need to know about it.

    load: builds the network from its weights (a folder, or a file for gatys), a device, a number of CPU threads and
    the settings of gatys.
    configured: whether entries under `stylizers` in the config name its weights. Otherwise the weights are part of an
    installed package, and the config refers to the network by its own name.
    reads_masks: whether it can leave the background of a style out.
    half_on_gpu: whether it runs in half precision on a GPU.
    on_gpu: whether it runs on a GPU where there is one; it then needs torch, which takes seconds to import.
    fixed_style_side: the side in pixels to which the network scales every style itself, if it does.
    style_bytes: bytes of one style vector in its file.
    """

    name: str
    load: Callable[[Path | None, str, int, GatysSettings], Stylizer]
    configured: bool
    on_gpu: bool
    encoding: StylizerCost
    stylizing: StylizerCost
    style_bytes: int
    fixed_style_side: int | None = None
    reads_masks: bool = False
    half_on_gpu: bool = True


def load_ghiasi(weights: Path | None, device: str, threads: int, settings: GatysSettings) -> Stylizer:
    # A local import, since onnxruntime takes a second to import.
    from shapebias.stylize.ghiasi import GhiasiStylizer

    if weights is not None:
        raise UserError(f"weights {weights}: ghiasi has built-in weights; leave them out, or choose the stylizer adain")
    return GhiasiStylizer(threads)


def load_adain(weights: Path | None, device: str, threads: int, settings: GatysSettings) -> Stylizer:
    if weights is None:
        raise UserError("the stylizer adain needs the folder of its weights; docs/data.md lists their sources")
    # Local imports, since torch takes seconds to import.
    import torch

    from shapebias.networks.device import resolve_device
    from shapebias.stylize.adain import read_adain

    torch.set_num_threads(threads)
    return read_adain(weights, resolve_device(device))


def load_gatys(weights: Path | None, device: str, threads: int, settings: GatysSettings) -> Stylizer:
    if weights is None:
        raise UserError(
            f"the stylizer gatys needs the weights of {settings.timm}: a .safetensors or .pth file; docs/data.md "
            f"lists their sources"
        )
    # Local imports, since torch takes seconds to import.
    import torch

    from shapebias.networks.device import resolve_device
    from shapebias.stylize.gatys import read_gatys

    torch.set_num_threads(threads)
    return read_gatys(weights, settings, resolve_device(device))


GATYS_PASS = 38e9  # operations of VGG-19 up to conv5_1 and of the Gram matrices at 224 pixels
ADAIN_PASS = 24.2e9  # operations of AdaIN's encoder or decoder at 224 pixels, with 64 channels in the first stage

# Times were measured on one core of a two-core machine with AVX2 (benchmarks/README.md).
STYLIZERS = {
    kind.name: kind
    for kind in (
        StylizerKind(
            "adain",
            load_adain,
            configured=True,
            on_gpu=True,
            encoding=StylizerCost(512, 1370, operations=127e9, files_ms=8),
            stylizing=StylizerCost(224, 470, operations=2 * ADAIN_PASS, files_ms=8),
            style_bytes=4300,
        ),
        StylizerKind(
            "ghiasi",
            load_ghiasi,
            configured=False,
            on_gpu=False,
            encoding=StylizerCost(256, 10),
            stylizing=StylizerCost(224, 36),
            style_bytes=530,
            fixed_style_side=256,
        ),
        StylizerKind(
            "gatys",
            load_gatys,
            configured=True,
            on_gpu=True,
            encoding=StylizerCost(224, 220, operations=GATYS_PASS, files_ms=8),
            # Of one step of the optimization; it goes through the network forwards and backwards.
            stylizing=StylizerCost(224, 470, operations=2 * GATYS_PASS),
            style_bytes=1_223_000,
            reads_masks=True,
            half_on_gpu=False,
        ),
    )
}
EMBEDDED = [name for name, kind in STYLIZERS.items() if not kind.configured]


def make_stylizer(
    name: str,
    weights: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Stylizer:
    """Return the stylizer of this name.

    weights: the folder of adain's weights, or the file of the weights of gatys' network; built into ghiasi.
    settings: those of gatys that differ from the defaults, see GatysSettings. Raises UserError if weights or settings
    do not suit the stylizer.
    """
    if name not in STYLIZERS:
        raise UserError(f"unknown stylizer {name!r}; allowed: {', '.join(STYLIZERS)}")
    if settings and name != "gatys":
        raise UserError(
            f"{', '.join(settings)}: settings of gatys; the stylizer {name} has none of them, leave them out"
        )
    return STYLIZERS[name].load(weights, device, threads, make_settings(settings or {}))
