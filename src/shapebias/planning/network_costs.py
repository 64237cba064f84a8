"""The cost of networks: seconds of training and of evaluation, bytes of weights and checkpoints.

All functions are pure functions of the checked config; see costs. Without a measured throughput, the time of an image
follows from the network's operations and an assumed rate of the machine. A network without a counted size is assumed to
be as large as a ResNet-50.
"""

import math
from dataclasses import asdict
from typing import Any

from shapebias.config.dataset_sizes import images_in_benchmark, images_shown, training_images
from shapebias.config.queries import Config, recipe_of
from shapebias.planning.costs import (
    ACTIVITIES,
    CPU_RATE,
    GPU_RATE,
    HALF_RATE,
    NO_MEASUREMENTS,
    START,
    Basis,
    Cost,
    Measurements,
    NetworkSize,
    format_compute_rate,
    format_throughput,
    measured_cost,
)
from shapebias.training.recipe import Recipe

# Measured like the constants of costs.
INPUT_MS, INPUT_SIDE = 1.6, 224  # decode, crop and resize a training image; grows with the pixels
STEP_MS = {"cpu": 1.0, "gpu": 0.2}  # per training image: all of a step except the network; assumed on a GPU
ANSWER_MS = 0.6  # per answer: batching, softmax and class ranks
DECODE_MS = 1.6  # decode and fit a test image at 224 pixels
SMOOTHING_NS = 5.0  # per neighbour of a pixel in the bilateral filter that suppresses texture
SEARCH_WINDOW = 21**2  # neighbours of a pixel in non-local means
PATCHES_NS = 7.0  # per neighbour in non-local means, to compare two patches
SIMILARITY_NS = 3.0  # per neighbour and strength of non-local means, to weigh the neighbour
# Of each image under all protocols: 5 if it has the size of the input, else 8, and one more for a network's own crop.
PROTOCOL_PREPARATIONS = 6
READ_OUT_MS = 6.0  # per image in the linear read-out of all stages
HEAD_MS = 0.03  # per image in a classifier on stored features

# At 224 pixels. With this list, plans of published studies need no torch. A test compares it with counted operations.
NETWORKS = {
    "resnet50": NetworkSize(8.18e9, 25_557_032),
    "torchvision/resnet50": NetworkSize(8.18e9, 25_557_032),
    "torchvision/convnext_small": NetworkSize(17.37e9, 50_223_688),
    "torchvision/vit_b_16": NetworkSize(35.13e9, 86_567_656),
    "torchvision/vit_b_32": NetworkSize(8.82e9, 88_224_232),
    "torchvision/alexnet": NetworkSize(1.43e9, 61_100_840),
    "torchvision/vgg16": NetworkSize(30.94e9, 138_357_544),
    "coatnet_0_rw_224": NetworkSize(8.81e9, 27_435_562),
    "tf_efficientnet_lite0": NetworkSize(0.77e9, 4_652_008),
}
UNLISTED = NETWORKS["resnet50"]


def network_key(entry: Config, size: int | None) -> str:
    """Return a key that is equal for equal networks; size: of the input in pixels, if the config sets it."""
    return f"{entry['timm'].partition('.')[0]} {sorted(entry['kwargs'].items())} {size}"


def network_size(
    entry: Config, size: int | None, measurements: Measurements = NO_MEASUREMENTS
) -> tuple[NetworkSize, str]:
    """Return the size of a model or an observer, and whether it was counted or assumed."""
    counted = measurements.networks.get(network_key(entry, size))
    if counted:
        return counted, "counted"
    listed = is_listed(entry)
    network, scale = (NETWORKS[entry["timm"].partition(".")[0]] if listed else UNLISTED), ((size or 224) / 224) ** 2
    source = "counted" if listed else "assumed as of a ResNet-50"
    return NetworkSize(network.operations * scale, network.weights), source


def is_listed(entry: Config) -> bool:
    """Return whether NETWORKS holds the size of a network."""
    return not entry["kwargs"] and entry["timm"].partition(".")[0] in NETWORKS


def compute_rate(config: Config, threads: int, precision: str = "float32") -> float:
    """Return the operations a second that a job's network reaches, on its GPU or in its threads."""
    if config["gpus"]:
        return GPU_RATE if precision == "float32" else HALF_RATE
    return threads * CPU_RATE


def overlapped_seconds(compute: float, files: float, workers: int) -> float:
    """Return the seconds of computing and of reading files; both overlap if there are workers that read."""
    return max(compute, files / workers) if workers else compute + files


def full_recipe(config: Config, model: str, regime: str) -> dict[str, Any]:
    """Return the recipe of one run, defaults included."""
    return asdict(Recipe()) | recipe_of(config, model, regime)


def world_size_of(config: Config, model: str, regime: str) -> int:
    """Return the number of processes that train one run."""
    return full_recipe(config, model, regime)["ranks"] or 1


def training_cost(config: Config, model: str, regime: str, measurements: Measurements = NO_MEASUREMENTS) -> Cost:
    """Return one rank's seconds per training image when all weights are trained, reading included."""
    if cost := measured_cost(measurements.throughputs, "train", model):
        return cost
    recipe = full_recipe(config, model, regime)
    network, source = network_size(config["models"][model], config["input_size"], measurements)
    rate = compute_rate(config, recipe["threads"], recipe["precision"])
    step = STEP_MS["gpu" if config["gpus"] else "cpu"] / 1000
    seconds = overlapped_seconds(3 * network.operations / rate + step, input_seconds(config), recipe["workers"])
    compute = f"{3 * network.operations / 1e9:.3g} GFLOP an image ({source}) {format_compute_rate(rate)}"
    return Cost(
        seconds, Basis(ACTIVITIES["train"], model, f"{format_throughput(seconds)} of a rank: {compute}, and reading")
    )


def input_seconds(config: Config) -> float:
    """Return the seconds to read a training image."""
    return INPUT_MS / 1000 * (config["input_size"] / INPUT_SIDE) ** 2


def max_epochs(config: Config, model: str, regime: str) -> int:
    """Return the upper limit of a run's epochs; `patience` may end it earlier."""
    return full_recipe(config, model, regime)["epochs"]


def training_seconds(config: Config, model: str, regime: str, measurements: Measurements = NO_MEASUREMENTS) -> float:
    """Return the upper limit of the seconds of a run's job: all epochs, validation and the start.

    The ranks share the images evenly.
    """
    recipe, trainable = full_recipe(config, model, regime), config["regimes"][regime]["trainable"]
    images, val = (training_images(config, regime, split, measurements.folder_sizes) for split in ("train", "val"))
    epochs, views = max_epochs(config, model, regime), recipe["feature_views"]
    training = training_cost(config, model, regime, measurements).seconds
    forward = training / 3  # the forward pass only
    if views:
        work = (views * images + val) * forward + epochs * (images + val) * HEAD_MS / 1000
    else:
        work = epochs * (images * (forward if trainable == "head" else training) + val * forward)
    return START["torch"] + work / world_size_of(config, model, regime)


def observer_entry(config: Config, name: str, *, trained: bool) -> tuple[Config, int | None]:
    """Return a network's config entry and its input size in pixels, or None if the config does not set it.

    trained: the name is that of a model of the config, not of an observer.
    """
    if trained:
        return config["models"][name], config["input_size"]
    entry = config["observers"][name]
    return entry, entry["kwargs"].get("img_size")


def evaluation_cost(config: Config, name: str, *, trained: bool, measurements: Measurements = NO_MEASUREMENTS) -> Cost:
    """Return the seconds per answer of a model of the config (trained) or of a network among the observers."""
    if cost := measured_cost(measurements.throughputs, "show", name):
        return cost
    entry, size = observer_entry(config, name, trained=trained)
    network, source = network_size(entry, size, measurements)
    rate = compute_rate(config, config["evaluation"]["threads"])
    seconds = network.operations / rate + ANSWER_MS / 1000
    compute = f"{network.operations / 1e9:.3g} GFLOP an image ({source}) {format_compute_rate(rate)}"
    return Cost(seconds, Basis(ACTIVITIES["show"], name, f"{format_throughput(seconds)}: {compute}, and reading"))


def benchmark_seconds(
    config: Config, name: str, observer: str, *, trained: bool, measurements: Measurements = NO_MEASUREMENTS
) -> float:
    """Return the seconds to evaluate a network on a benchmark, without the start; trained: a model of the config."""
    _, size = observer_entry(config, observer, trained=trained)
    images = images_in_benchmark(config, name, measurements.folder_sizes)
    # A measured throughput includes the reading.
    reading = 0.0 if ("show", observer) in measurements.throughputs else decoding_seconds(size)
    answer = evaluation_cost(config, observer, trained=trained, measurements=measurements).seconds
    files = images * (reading + suppression_seconds(config, name, size))
    return overlapped_seconds(
        images_shown(config, name, measurements.folder_sizes) * answer, files, config["evaluation"]["workers"]
    )


def decoding_seconds(size: int | None) -> float:
    """Return the seconds to decode and fit a test image; a small input still needs the full image decoded."""
    return DECODE_MS / 1000 * max(0.5, ((size or 224) / 224) ** 2)


def suppression_seconds(config: Config, name: str, size: int | None) -> float:
    """Return the seconds per image of all bilateral filters and of non-local means.

    Other suppressions cost almost nothing. Pairs of cues with one smoothing share its filter.
    """
    suppress = config["benchmarks"][name].get("suppress", {})
    pairs = [pair for key in ("texture_and_shape", "texture_and_colour") for pair in suppress.get(key, [])]
    sigmas = {*suppress.get("texture", []), *(sigma for sigma, _ in pairs)}
    neighbours = sum(math.pi * (2 * sigma) ** 2 for sigma in sorted(sigmas)) * SMOOTHING_NS
    deviations = suppress.get("non_local_means", [])
    if deviations:
        neighbours += SEARCH_WINDOW * (PATCHES_NS + len(deviations) * SIMILARITY_NS)
    return neighbours * (size or 224) ** 2 / 1e9


def checkpoint_bytes(config: Config, model: str, regime: str, measurements: Measurements = NO_MEASUREMENTS) -> float:
    """Return the bytes of one checkpoint of a run: its weights, its best weights and the optimizer's moments."""
    network, _ = network_size(config["models"][model], config["input_size"], measurements)
    recipe = full_recipe(config, model, regime)
    head = config["regimes"][regime]["trainable"] == "head"
    moments = 1 if recipe["optimizer"] == "sgd" else 2
    weights = 0 if recipe["feature_views"] else network.weights
    return 4 * (2 * weights + (0 if head else moments * network.weights))


def model_bytes(entry: Config, size: int | None, measurements: Measurements = NO_MEASUREMENTS) -> float:
    """Return the bytes of a network's weights, float32."""
    return 4 * network_size(entry, size, measurements)[0].weights


def evaluation_seconds(
    config: Config, observer: str, *, trained: bool, melanoma: bool, measurements: Measurements = NO_MEASUREMENTS
) -> float:
    """Return the seconds of the job that evaluates a network on all benchmarks and reads out its stages.

    melanoma: on the benchmarks of kind melanoma only; otherwise on all others.
    """
    names = [name for name, entry in config["benchmarks"].items() if (entry["kind"] == "melanoma") == melanoma]
    answering = sum(
        benchmark_seconds(config, name, observer, trained=trained, measurements=measurements) for name in names
    )
    read_out = sum(
        images_in_benchmark(config, name, measurements.folder_sizes) for name in names if has_read_out(config, name)
    )
    protocols = PROTOCOL_PREPARATIONS * sum(
        benchmark_seconds(config, name, observer, trained=trained, measurements=measurements)
        for name in names
        if config["benchmarks"][name].get("protocols")
    )
    return START["torch"] + answering + protocols + read_out * READ_OUT_MS / 1000


def has_read_out(config: Config, name: str) -> bool:
    """Return whether shape and texture are read out of a network's stages on a benchmark."""
    return bool(config["benchmarks"][name].get("read_out"))
