"""What one image costs: seconds and bytes of each kind of job, each with where the number comes from.

Pure functions of the checked config. Seconds are those of one job with the threads, workers and GPU that the config
gives it; a job's start is START. `known` replaces what is assumed: throughputs that were measured or given, and what
networks compute.

Constants were measured on one core of a two-core machine (AVX2, no GPU; benchmarks/README.md and the demo's own jobs),
on a free core where it was to be had. On a GPU nothing was: GPU_RATE is an assumption.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shapebias.config.dataset_sizes import Found, images_in_shard
from shapebias.config.queries import Config

CPU_RATE = 50e9  # operations a second of one core in a network, float32; 41 to 75 in the demo's networks
# An A100 with PyTorch's defaults: float32, TF32 in convolutions alone. Its peak is 19.5 TFLOP/s without, 156 with TF32.
GPU_RATE = 15e12
HALF_RATE = 40e12  # likewise in bf16 and fp16, of a peak of 312
START = {"plain": 0.7, "torch": 5.0}  # seconds until a script works: what it imports

# Milliseconds of an image on one core, and the side (pixels) at which it was measured; they grow with the pixels.
PACK_MS: Mapping[str, tuple[float, int]] = MappingProxyType(
    {
        "synthetic": (8.0, 96),
        "ilsvrc": (4.5, 256),
        "imagefolder": (4.5, 256),
        "isic2017": (16.0, 256),  # photographs of several megapixels, and paintings
        "folder": (16.0, 256),
        "paintings": (7.0, 128),
    }
)
GHIASI_MS, GHIASI_SIDE = 36.0, 224
GHIASI_STYLE_MS = 10.0  # at any size: it looks at 256 pixels
ADAIN_PASS, ADAIN_SIDE = 24.2e9, 224  # operations of the encoder or the decoder, with 64 channels in the first stage


@dataclass(frozen=True)
class Adain:
    """An image in AdaIN's networks: side in pixels, ms of a core, operations, ms of a core to read and write it."""

    side: int
    core_ms: float
    operations: float
    files_ms: float


ADAIN_IMAGE = Adain(ADAIN_SIDE, 470.0, 2 * ADAIN_PASS, 8.0)
ADAIN_STYLE = Adain(512, 1370.0, 127e9, 8.0)

# Bytes of a pixel, and of an image's label and its place in a tar file. Measured on 207 ILSVRC photographs, on drawn
# ones, and on the demo's stylized ones.
PIXEL = {"photograph": 0.65, "drawn": 0.6, "painting": 1.4, "stylized": 1.2}
PNG = 2.2  # times as large as JPEG
PHOTOGRAPH = 4 / 3  # sides of a photograph
SAMPLE = 2500
ANSWER = 270  # of a predictions file, Parquet and CSV together


@dataclass(frozen=True)
class Network:
    """operations: of one image's forward pass, a multiplication and an addition counted as two. weights: numbers."""

    operations: float
    weights: int


@dataclass(frozen=True)
class Given:
    """A throughput that somebody gives: images a second of one job, and where the number comes from."""

    rate: float
    source: str


@dataclass(frozen=True)
class Known:
    """What is known better than assumed.

    throughputs: (kind of work, name) → Given; kinds and names are those of the config's `throughputs`. networks: what
    `network_key` gives → Network. found: what folders hold, see planning_sets.
    """

    throughputs: Mapping[tuple[str, str], Given] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    found: Found = field(default_factory=dict)


ASSUMED = Known()


@dataclass(frozen=True)
class Basis:
    """What a cost rests on, in words: training / resnet / 310 images a second (measured on …)."""

    work: str
    name: str
    reason: str


@dataclass(frozen=True)
class Cost:
    """seconds: of one image, or of what a function says."""

    seconds: float
    basis: Basis


def given_throughputs(section: Mapping[str, Mapping[str, float]], source: str) -> dict[tuple[str, str], Given]:
    """A config's section `throughputs`, or a file that was measured, as Known has it."""
    return {(kind, name): Given(rate, source) for kind, rates in section.items() for name, rate in rates.items()}


def own(known: Known, kind: str, work: str, name: str) -> Cost | None:
    """The cost of an image where its throughput is known; work: what is done, in words."""
    given = known.throughputs.get((kind, name))
    if given is None:
        return None
    return Cost(1 / given.rate, Basis(work, name, f"{per_second(1 / given.rate)} ({given.source})"))


def per_second(seconds: float) -> str:
    rate = 1 / seconds
    return f"{rate:,.0f} images a second" if rate >= 100 else f"{rate:.3g} images a second"


def at_rate(rate: float) -> str:
    return f"at {rate / 1e12:g} TFLOP/s (assumed)" if rate >= 1e12 else f"at {rate / 1e9:g} GFLOP/s (a core: 41 to 75)"


# Images


def pack_cost(config: Config, name: str, known: Known = ASSUMED) -> Cost:
    """Seconds to pack an image of a source or a set of styles: one core."""
    if cost := own(known, "pack", "packing", name):
        return cost
    return scaled("packing", name, packed_side(config, name), *PACK_MS[packed_kind(config, name)])


def scaled(work: str, name: str, side: int, milliseconds: float, at: int) -> Cost:
    """What a measured image costs at another side (pixels)."""
    cost = milliseconds * (side / at) ** 2
    return Cost(cost / 1000, Basis(work, name, f"{cost:.3g} ms an image ({milliseconds:g} at {at} px, measured)"))


def packed_kind(config: Config, name: str) -> str:
    """The kind of a packed set; drawn styles are called paintings, as the scripts call them."""
    kind = (config["styles"].get(name) or config["sources"][name])["kind"]
    return "paintings" if name in config["styles"] and kind == "synthetic" else kind


def packed_side(config: Config, name: str) -> int:
    """The shorter side of a packed image, pixels."""
    return config["styles"].get(name, {}).get("size", config["image_size"])


def encode_cost(config: Config, stylizer: str, styles: str, known: Known = ASSUMED) -> Cost:
    """Seconds to encode a style: one job's threads, or its GPU."""
    work = "encoding styles with"
    if cost := own(known, "encode", work, stylizer):
        return cost
    if stylizer == "ghiasi":
        return scaled(work, stylizer, 256, GHIASI_STYLE_MS, 256)
    side = config["stylizers"][stylizer].get("style_size", packed_side(config, styles))
    return adain_cost(config, stylizer, work, side, ADAIN_STYLE)


def stylize_cost(config: Config, name: str, known: Known = ASSUMED) -> Cost:
    """Seconds to stylize an image of a stylized set, its style being encoded: one job's threads, or its GPU."""
    stylizer, side = config["stylized"][name]["stylizer"], config["stylized"][name].get("crop", config["image_size"])
    work = "stylizing with"
    if cost := own(known, "stylize", work, stylizer):
        return cost
    if stylizer == "ghiasi":
        return scaled(work, stylizer, side, GHIASI_MS, GHIASI_SIDE)
    return adain_cost(config, stylizer, work, side, ADAIN_IMAGE)


def adain_cost(config: Config, stylizer: str, work: str, side: int, measured: Adain) -> Cost:
    """Seconds of an image in AdaIN's networks."""
    entry, scale = config["stylizers"][stylizer], (side / measured.side) ** 2
    width = (entry["training"]["width"] / 64 if entry["encoder"] == "random" else 1) ** 2
    if not config["gpus"]:
        return scaled(work, stylizer, side, width * measured.core_ms / entry["threads"], measured.side)
    compute, files = 1000 * width * measured.operations * scale / HALF_RATE, measured.files_ms * scale
    total = max(compute, files / entry["workers"]) if entry["workers"] else compute + files
    reason = f"{total:.3g} ms an image ({compute:.2g} {at_rate(HALF_RATE)}; {files:.2g} of files, measured)"
    return Cost(total / 1000, Basis(work, stylizer, reason))


def decoder_cost(config: Config, stylizer: str) -> Cost:
    """Seconds to train a stylizer's decoder, all steps of it."""
    entry = config["stylizers"][stylizer]
    recipe = entry["training"]
    # Content, style and result are encoded, one is decoded; the last two also backwards, which is twice the work.
    width = (recipe["width"] / 64 if entry["encoder"] == "random" else 1) ** 2
    operations = 8 * ADAIN_PASS * width * (recipe["size"] / ADAIN_SIDE) ** 2
    rate = recipe["gpus"] * GPU_RATE or entry["threads"] * CPU_RATE
    seconds = recipe["steps"] * recipe["batch_size"] * operations / rate
    return Cost(
        seconds, Basis("training the decoder of", stylizer, f"{operations / 1e9:.3g} GFLOP a pair {at_rate(rate)}")
    )


def image_bytes(config: Config, name: str) -> float:
    """Bytes of an image of a set in its shard, label and all."""
    if name in config["stylized"]:
        crop = config["stylized"][name].get("crop")
        pixels = crop**2 if crop else pixels_of(config, config["stylized"][name]["content"])
        kind = "stylized"
    else:
        pixels = pixels_of(config, name)
        kind = {"synthetic": "drawn", "paintings": "painting"}.get(packed_kind(config, name), "photograph")
    return PIXEL[kind] * pixels * (PNG if config["format"] == "png" else 1) + SAMPLE


def pixels_of(config: Config, name: str) -> float:
    drawn = packed_kind(config, name) in ("synthetic", "paintings")
    return packed_side(config, name) ** 2 * (1 if drawn else PHOTOGRAPH)


# Jobs


def pack_seconds(config: Config, name: str, split: str, known: Known = ASSUMED) -> float:
    """Seconds of the job that packs the largest shard of a set's split."""
    images = images_in_shard(config, name, split, known.found)
    return START["plain"] + images * pack_cost(config, name, known).seconds


def encode_seconds(config: Config, stylizer: str, styles: str, split: str, known: Known = ASSUMED) -> float:
    """Seconds of the job that encodes the largest shard of a set of styles."""
    images = images_in_shard(config, styles, split, known.found)
    return stylizer_start(stylizer) + images * encode_cost(config, stylizer, styles, known).seconds


def stylize_seconds(config: Config, name: str, split: str, known: Known = ASSUMED) -> float:
    """Seconds of the job that stylizes the largest shard of a set's split."""
    images = images_in_shard(config, name, split, known.found)
    return stylizer_start(config["stylized"][name]["stylizer"]) + images * stylize_cost(config, name, known).seconds


def stylizer_start(stylizer: str) -> float:
    return START["plain" if stylizer == "ghiasi" else "torch"]
