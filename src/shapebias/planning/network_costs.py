"""What networks cost: seconds of training and of showing benchmarks, bytes of weights and checkpoints.

Pure functions of the checked config; see costs. Where nobody measured, an image costs the operations that a network
computes of it, at a rate that the machine is assumed to reach; where nobody counted, those of a ResNet-50.
"""

import math
from dataclasses import asdict
from typing import Any

from shapebias.config.dataset_sizes import images_in_benchmark, images_shown, training_images
from shapebias.config.queries import Config, recipe_of
from shapebias.planning.costs import (
    ASSUMED,
    CPU_RATE,
    GPU_RATE,
    HALF_RATE,
    START,
    Basis,
    Cost,
    Known,
    Network,
    at_rate,
    own,
    per_second,
)
from shapebias.training.recipe import Recipe

# Measured as the constants of costs.
INPUT_MS, INPUT_SIDE = 1.6, 224  # a training image: decoded, cropped, scaled, as the side grows
STEP_MS = {"cpu": 1.0, "gpu": 0.2}  # its part of what a step costs beside the network; on a GPU assumed
SHOWN_MS = 0.6  # of an answer: its share of a batch, softmax and ranks
LOOKED_AT_MS = 1.6  # of a test image at 224 pixels, decoded and fitted
SMOOTHED_NS = 5.0  # of a neighbour of a pixel in the bilateral filter that suppresses texture
READ_OUT_MS = 6.0  # of an image in the linear read-out of all stages
HEAD_MS = 0.03  # of features of an image, by a classifier alone

# At 224 pixels, as planning_measure counts them (a test does): plans of published studies need no torch.
NETWORKS = {
    "resnet50": Network(8.18e9, 25_557_032),
    "torchvision/resnet50": Network(8.18e9, 25_557_032),
    "torchvision/convnext_small": Network(17.37e9, 50_223_688),
    "torchvision/vit_b_16": Network(35.13e9, 86_567_656),
    "torchvision/vit_b_32": Network(8.82e9, 88_224_232),
    "torchvision/alexnet": Network(1.43e9, 61_100_840),
    "torchvision/vgg16": Network(30.94e9, 138_357_544),
    "coatnet_0_rw_224": Network(8.81e9, 27_435_562),
    "tf_efficientnet_lite0": Network(0.77e9, 4_652_008),
}
UNKNOWN = NETWORKS["resnet50"]


def network_key(entry: Config, size: int | None) -> str:
    """What tells networks apart; size: of the input where the config sets it, pixels."""
    return f"{entry['timm'].partition('.')[0]} {sorted(entry['kwargs'].items())} {size}"


def network_of(entry: Config, size: int | None, known: Known = ASSUMED) -> tuple[Network, str]:
    """What a model or an observer computes, and how that is known; a network that nobody counted is a ResNet-50."""
    counted = known.networks.get(network_key(entry, size))
    if counted:
        return counted, "counted"
    listed = is_listed(entry)
    network, scale = (NETWORKS[entry["timm"].partition(".")[0]] if listed else UNKNOWN), ((size or 224) / 224) ** 2
    return Network(network.operations * scale, network.weights), "counted" if listed else "assumed as of a ResNet-50"


def is_listed(entry: Config) -> bool:
    return not entry["kwargs"] and entry["timm"].partition(".")[0] in NETWORKS


def rate_of(config: Config, threads: int, precision: str = "float32") -> float:
    """Operations a second of a job's network: of its GPU, or of its threads."""
    if config["gpus"]:
        return GPU_RATE if precision == "float32" else HALF_RATE
    return threads * CPU_RATE


def overlapping(compute: float, files: float, workers: int) -> float:
    """Seconds of work that goes on beside the reading of files, or in turn with it where no worker reads."""
    return max(compute, files / workers) if workers else compute + files


def recipe_in(config: Config, model: str, regime: str) -> dict[str, Any]:
    """The recipe of one run, defaults included."""
    return asdict(Recipe()) | recipe_of(config, model, regime)


def ranks_of(config: Config, model: str, regime: str) -> int:
    """Processes that train one run."""
    return recipe_in(config, model, regime)["ranks"] or 1


def training_cost(config: Config, model: str, regime: str, known: Known = ASSUMED) -> Cost:
    """Seconds of one rank for a training image that all weights learn from, its part of reading included."""
    if cost := own(known, "train", "training", model):
        return cost
    recipe = recipe_in(config, model, regime)
    network, how = network_of(config["models"][model], config["input_size"], known)
    rate = rate_of(config, recipe["threads"], recipe["precision"])
    step = STEP_MS["gpu" if config["gpus"] else "cpu"] / 1000
    seconds = overlapping(3 * network.operations / rate + step, input_seconds(config), recipe["workers"])
    work = f"{3 * network.operations / 1e9:.3g} GFLOP an image ({how}) {at_rate(rate)}"
    return Cost(seconds, Basis("training", model, f"{per_second(seconds)} of a rank: {work}, and reading"))


def input_seconds(config: Config) -> float:
    return INPUT_MS / 1000 * (config["input_size"] / INPUT_SIDE) ** 2


def epochs_of(config: Config, model: str, regime: str) -> int:
    """The most epochs that a run may take; `patience` may end it earlier."""
    return recipe_in(config, model, regime)["epochs"]


def training_seconds(config: Config, model: str, regime: str, known: Known = ASSUMED) -> float:
    """Seconds of a run's job, at most: all epochs, validation and the start; its ranks share the images evenly."""
    recipe, trainable = recipe_in(config, model, regime), config["regimes"][regime]["trainable"]
    images, val = (training_images(config, regime, split, known.found) for split in ("train", "val"))
    epochs, views = epochs_of(config, model, regime), recipe["feature_views"]
    each = training_cost(config, model, regime, known).seconds
    shown = each / 3  # forwards alone
    if views:
        work = (views * images + val) * shown + epochs * (images + val) * HEAD_MS / 1000
    else:
        work = epochs * (images * (shown if trainable == "head" else each) + val * shown)
    return START["torch"] + work / ranks_of(config, model, regime)


def observer_entry(config: Config, name: str, *, trained: bool) -> tuple[Config, int | None]:
    """A network's entry in the config, of a model (trained) or of an observer; its input size where that is said."""
    if trained:
        return config["models"][name], config["input_size"]
    entry = config["observers"][name]
    return entry, entry["kwargs"].get("img_size")


def showing_cost(config: Config, name: str, *, trained: bool, known: Known = ASSUMED) -> Cost:
    """Seconds of an answer: of a model of the config (trained), or of a network among the observers."""
    if cost := own(known, "show", "showing to", name):
        return cost
    entry, size = observer_entry(config, name, trained=trained)
    network, how = network_of(entry, size, known)
    rate = rate_of(config, config["evaluation"]["threads"])
    seconds = network.operations / rate + SHOWN_MS / 1000
    work = f"{network.operations / 1e9:.3g} GFLOP an image ({how}) {at_rate(rate)}"
    return Cost(seconds, Basis("showing to", name, f"{per_second(seconds)}: {work}, and reading"))


def benchmark_seconds(config: Config, name: str, observer: str, *, trained: bool, known: Known = ASSUMED) -> float:
    """Seconds to show a benchmark to a network, without the start; trained: a model of the config."""
    _, size = observer_entry(config, observer, trained=trained)
    looked_at = images_in_benchmark(config, name, known.found)
    reading = 0.0 if ("show", observer) in known.throughputs else looking_seconds(size)  # else part of it
    answer = showing_cost(config, observer, trained=trained, known=known).seconds
    files = looked_at * (reading + suppressing_seconds(config, name, size))
    return overlapping(images_shown(config, name, known.found) * answer, files, config["evaluation"]["workers"])


def looking_seconds(size: int | None) -> float:
    """Seconds to decode and fit a test image; a small input is made of an image that is decoded whole."""
    return LOOKED_AT_MS / 1000 * max(0.5, ((size or 224) / 224) ** 2)


def suppressing_seconds(config: Config, name: str, size: int | None) -> float:
    """Seconds of the bilateral filters of an image, all strengths; shuffling and greying cost next to nothing."""
    sigmas = config["benchmarks"][name].get("suppress", {}).get("texture", [])
    return sum(math.pi * (2 * sigma) ** 2 for sigma in sigmas) * (size or 224) ** 2 * SMOOTHED_NS / 1e9


def checkpoint_bytes(config: Config, model: str, regime: str, known: Known = ASSUMED) -> float:
    """Bytes of one generation of a run's checkpoint: weights, the best ones, what the optimizer remembers of each."""
    network, _ = network_of(config["models"][model], config["input_size"], known)
    recipe = recipe_in(config, model, regime)
    head = config["regimes"][regime]["trainable"] == "head"
    moments = 1 if recipe["optimizer"] == "sgd" else 2
    learner = 0 if recipe["feature_views"] else network.weights
    return 4 * (2 * learner + (0 if head else moments * network.weights))


def model_bytes(entry: Config, size: int | None, known: Known = ASSUMED) -> float:
    """Bytes of a network's weights, float32."""
    return 4 * network_of(entry, size, known)[0].weights


def evaluation_seconds(
    config: Config, observer: str, *, trained: bool, melanoma: bool, known: Known = ASSUMED
) -> float:
    """Seconds of the job that shows a network all benchmarks: those of kind melanoma, or all others, and reads out."""
    names = [name for name, entry in config["benchmarks"].items() if (entry["kind"] == "melanoma") == melanoma]
    showing = sum(benchmark_seconds(config, name, observer, trained=trained, known=known) for name in names)
    read_out = sum(images_in_benchmark(config, name, known.found) for name in names if is_read_out(config, name))
    return START["torch"] + showing + read_out * READ_OUT_MS / 1000


def is_read_out(config: Config, name: str) -> bool:
    """Whether shape and texture are read out of a network's stages while it is shown a benchmark."""
    return bool(config["benchmarks"][name].get("read_out"))
