"""The cost of one image in each kind of job, in seconds and bytes, with the source of each number.

All functions are pure functions of the checked config. Seconds are those of one job with the threads, workers and GPU
that the config gives it. START holds the seconds before a job begins its work. `Measurements` replace assumptions:
throughputs that were measured or configured, and operations that were counted.

The constants were measured on one core of a two-core machine (AVX2, no GPU; benchmarks/README.md and the demo's own
jobs), on an idle core where possible. Nothing was measured on a GPU: GPU_RATE is an assumption.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shapebias.config.dataset_sizes import FolderSizes, images_in_shard
from shapebias.config.queries import Config
from shapebias.config.stylizer_kinds import stylizer_kind
from shapebias.stylize.stylizers import ADAIN_PASS, STYLIZERS, StylizerCost

CPU_RATE = 50e9  # operations a second of one core in a network, float32; 41 to 75 in the demo's networks
# An A100 with PyTorch's defaults: float32, with TF32 in convolutions only. Its peak is 19.5 TFLOP/s without TF32 and
# 156 with it.
GPU_RATE = 15e12
HALF_RATE = 40e12  # the same GPU in bf16 and fp16; its peak is 312 TFLOP/s
START = {"plain": 0.7, "torch": 5.0}  # seconds that a script needs to import its modules

# Milliseconds per image on one core, and the image side (pixels) of the measurement. Time grows with the pixels.
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

ACTIVITIES: Mapping[str, str] = MappingProxyType(
    {
        "pack": "packing",
        "encode": "encoding styles with",
        "stylize": "stylizing with",
        "train": "training",
        "show": "evaluating",
    }
)


# Bytes per pixel, and bytes of an image's label and tar header. Measured on 207 ILSVRC photographs, on drawn ones, and
# on the demo's stylized ones.
PIXEL = {"photograph": 0.65, "drawn": 0.6, "painting": 1.4, "stylized": 1.2}
PNG = 2.2  # size of a PNG relative to a JPEG
PHOTOGRAPH = 4 / 3  # aspect ratio of a photograph
SAMPLE = 2500
ANSWER = 270  # bytes of one prediction, in Parquet and CSV together


@dataclass(frozen=True)
class NetworkSize:
    """The size of a network.

    operations: of the forward pass of one image; a multiplication and an addition count as two. weights: their number.
    """

    operations: float
    weights: int


@dataclass(frozen=True)
class Throughput:
    """The throughput of one job in images a second, and the source of this number."""

    rate: float
    source: str


Throughputs = Mapping[tuple[str, str], Throughput]


@dataclass(frozen=True)
class Measurements:
    """Measured values that replace a plan's assumptions.

    throughputs: (stage, name) → Throughput; stages and names are those of the config's `throughputs`. networks:
    `network_key` → NetworkSize. folder_sizes: the counts of config/dataset_sizes for folders that exist.
    """

    throughputs: Throughputs = field(default_factory=dict)
    networks: Mapping[str, NetworkSize] = field(default_factory=dict)
    folder_sizes: FolderSizes = field(default_factory=dict)


NO_MEASUREMENTS = Measurements()


@dataclass(frozen=True)
class Basis:
    """The basis of a cost, in words: training / resnet / 310 images a second (measured on …)."""

    activity: str
    name: str
    reason: str


@dataclass(frozen=True)
class Cost:
    """seconds: of one image, unless the function that returns the cost documents another unit."""

    seconds: float
    basis: Basis


def parse_throughputs(section: Mapping[str, Mapping[str, float]], source: str) -> dict[tuple[str, str], Throughput]:
    """Return the config's section `throughputs`, or a measured file of the same form, as (stage, name) → Throughput."""
    return {(stage, name): Throughput(rate, source) for stage, rates in section.items() for name, rate in rates.items()}


def measured_cost(throughputs: Throughputs, stage: str, name: str) -> Cost | None:
    """Return the seconds per image from a measured throughput, or None if there is none."""
    throughput = throughputs.get((stage, name))
    if throughput is None:
        return None
    seconds = 1 / throughput.rate
    return Cost(seconds, Basis(ACTIVITIES[stage], name, f"{format_throughput(seconds)} ({throughput.source})"))


def format_throughput(seconds: float) -> str:
    """Format seconds per image as images a second."""
    rate = 1 / seconds
    return f"{rate:,.0f} images a second" if rate >= 100 else f"{rate:.3g} images a second"


def format_compute_rate(rate: float) -> str:
    """Format operations a second; rates of a GPU are assumed."""
    return f"at {rate / 1e12:g} TFLOP/s (assumed)" if rate >= 1e12 else f"at {rate / 1e9:g} GFLOP/s (a core: 41 to 75)"


# Images


def pack_cost(config: Config, name: str, measurements: Measurements = NO_MEASUREMENTS) -> Cost:
    """Return the seconds to pack an image of a source or a set of styles on one core."""
    if cost := measured_cost(measurements.throughputs, "pack", name):
        return cost
    return cost_at_side("pack", name, packed_side(config, name), *PACK_MS[packed_kind(config, name)])


def cost_at_side(stage: str, name: str, side: int, milliseconds: float, measured_side: int) -> Cost:
    """Scale a measured cost per image to another image side (pixels)."""
    cost = milliseconds * (side / measured_side) ** 2
    reason = f"{cost:.3g} ms an image ({milliseconds:g} at {measured_side} px, measured)"
    return Cost(cost / 1000, Basis(ACTIVITIES[stage], name, reason))


def packed_kind(config: Config, name: str) -> str:
    """Return the kind of a packed set; drawn styles are called `paintings`, as in the scripts."""
    kind = (config["styles"].get(name) or config["sources"][name])["kind"]
    return "paintings" if name in config["styles"] and kind == "synthetic" else kind


def packed_side(config: Config, name: str) -> int:
    """Return the shorter side of a packed image in pixels."""
    return config["styles"].get(name, {}).get("size", config["image_size"])


def encode_cost(config: Config, stylizer: str, styles: str, measurements: Measurements = NO_MEASUREMENTS) -> Cost:
    """Return the seconds to encode a style with one job's threads, or with its GPU."""
    kind, settings = stylizer_kind(config, stylizer), config["stylizers"].get(stylizer, {})
    side = kind.fixed_style_side or settings.get("style_size", packed_side(config, styles))
    return stylizer_cost(config, stylizer, "encode", side, kind.encoding, measurements)


def stylize_cost(config: Config, name: str, measurements: Measurements = NO_MEASUREMENTS) -> Cost:
    """Return the seconds to stylize an image of a stylized set with one job's threads, or with its GPU.

    The style is already encoded.
    """
    stylizer, side = config["stylized"][name]["stylizer"], config["stylized"][name].get("crop", config["image_size"])
    return stylizer_cost(config, stylizer, "stylize", side, stylizer_kind(config, stylizer).stylizing, measurements)


def stylizer_cost(
    config: Config, stylizer: str, stage: str, side: int, reference: StylizerCost, measurements: Measurements
) -> Cost:
    """Return the seconds of an image of the given side (pixels), scaled from a measured one."""
    if cost := measured_cost(measurements.throughputs, stage, stylizer):
        return cost
    settings, work, kind = (
        config["stylizers"].get(stylizer, {}),
        work_scale(config, stylizer, stage),
        stylizer_kind(config, stylizer),
    )
    if not (config["gpus"] and kind.on_gpu):
        return cost_at_side(
            stage, stylizer, side, work * reference.core_ms / settings.get("threads", 1), reference.side
        )
    scale, rate = (side / reference.side) ** 2, HALF_RATE if kind.half_on_gpu else GPU_RATE
    compute, files = 1000 * work * reference.operations * scale / rate, reference.files_ms * scale
    total = max(compute, files / settings["workers"]) if settings["workers"] else compute + files
    reason = f"{total:.3g} ms an image ({compute:.2g} {format_compute_rate(rate)}; {files:.2g} of files, measured)"
    return Cost(total / 1000, Basis(ACTIVITIES[stage], stylizer, reason))


def work_scale(config: Config, stylizer: str, stage: str) -> float:
    """Return the work of a stylizer relative to its measured cost, which is that of VGG-19's channels and of one step.

    A random encoder may have fewer channels. The network of gatys is assumed to be VGG-19.
    """
    settings = config["stylizers"].get(stylizer, {})
    if settings.get("kind") == "gatys":
        return settings["steps"] if stage == "stylize" else 1
    return (settings["training"]["width"] / 64) ** 2 if settings.get("encoder") == "random" else 1


def decoder_cost(config: Config, stylizer: str) -> Cost:
    """Return the seconds of all steps that train a stylizer's decoder."""
    entry = config["stylizers"][stylizer]
    recipe = entry["training"]
    # A step encodes content, style and result, and decodes once. The backward pass runs through the decoder and the
    # last encoding, at twice the work of a forward pass.
    side = STYLIZERS["adain"].stylizing.side
    operations = 8 * ADAIN_PASS * work_scale(config, stylizer, "train") * (recipe["size"] / side) ** 2
    rate = recipe["gpus"] * GPU_RATE or entry["threads"] * CPU_RATE
    seconds = recipe["steps"] * recipe["batch_size"] * operations / rate
    reason = f"{operations / 1e9:.3g} GFLOP a pair {format_compute_rate(rate)}"
    return Cost(seconds, Basis("training the decoder of", stylizer, reason))


def image_bytes(config: Config, name: str) -> float:
    """Return the bytes of an image of a set in its shard, label included."""
    if name in config["stylized"]:
        crop = config["stylized"][name].get("crop")
        pixels = crop**2 if crop else pixel_count(config, config["stylized"][name]["content"])
        kind = "stylized"
    else:
        pixels = pixel_count(config, name)
        kind = {"synthetic": "drawn", "paintings": "painting"}.get(packed_kind(config, name), "photograph")
    return PIXEL[kind] * pixels * (PNG if config["format"] == "png" else 1) + SAMPLE


def pixel_count(config: Config, name: str) -> float:
    """Return the pixels of a packed image; drawn images are square."""
    is_square = packed_kind(config, name) in ("synthetic", "paintings")
    return packed_side(config, name) ** 2 * (1 if is_square else PHOTOGRAPH)


# Jobs


def pack_seconds(config: Config, name: str, split: str, measurements: Measurements = NO_MEASUREMENTS) -> float:
    """Return the seconds of the job that packs the largest shard of a set's split."""
    images = images_in_shard(config, name, split, measurements.folder_sizes)
    return START["plain"] + images * pack_cost(config, name, measurements).seconds


def encode_seconds(
    config: Config, stylizer: str, styles: str, split: str, measurements: Measurements = NO_MEASUREMENTS
) -> float:
    """Return the seconds of the job that encodes the largest shard of a set of styles."""
    images = images_in_shard(config, styles, split, measurements.folder_sizes)
    return stylizer_start(config, stylizer) + images * encode_cost(config, stylizer, styles, measurements).seconds


def stylize_seconds(config: Config, name: str, split: str, measurements: Measurements = NO_MEASUREMENTS) -> float:
    """Return the seconds of the job that stylizes the largest shard of a set's split."""
    images = images_in_shard(config, name, split, measurements.folder_sizes)
    seconds = images * stylize_cost(config, name, measurements).seconds
    return stylizer_start(config, config["stylized"][name]["stylizer"]) + seconds


def stylizer_start(config: Config, stylizer: str) -> float:
    """Return the seconds that a stylizing script needs to import its modules."""
    return START["torch" if stylizer_kind(config, stylizer).on_gpu else "plain"]
