"""Measured throughputs of this machine and counted operations of networks, which replace a plan's assumptions.

A few batches of drawn photographs go through the same code as in a job. They are read from a shard and then augmented
and trained on, or evaluated, or stylized. The weights are random because speed does not depend on them, so nothing is
downloaded.
"""

import dataclasses
import itertools
import logging
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from shapebias.config.queries import Config, recipe_of
from shapebias.config.stylizer_kinds import gatys_settings, stylizer_kind
from shapebias.evaluation.inputs import PreparedImages
from shapebias.evaluation.observer import iterate_logits, wrap_network
from shapebias.images.codec import encode
from shapebias.images.pictures import decode_pictures, open_pictures
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, label, open_shards, write_shard
from shapebias.networks.device import keep_freed_memory, write_new_outputs
from shapebias.networks.models import build, memory_format, preparation
from shapebias.parallel import ordered_map
from shapebias.planning.costs import NetworkSize
from shapebias.planning.network_costs import is_listed, network_key, observer_entry
from shapebias.stylize.pipeline import ContentGeometry, StyleSampler, StyleView, encode_style, stylize_images
from shapebias.stylize.style_vectors import StyleVectors, write_style_vectors
from shapebias.stylize.stylizers import Stylizer, make_stylizer
from shapebias.synthetic.scene import CLASSES, draw_image
from shapebias.training.data_loading import AugmentedDataset, BatchPlan, ImageBatches, ImageDataset
from shapebias.training.distributed import World
from shapebias.training.loop import initial_state, train_step
from shapebias.training.recipe import Recipe

log = logging.getLogger(__name__)

STEPS, SECONDS = 8, 10.0  # upper limits of each measurement
CPU_BATCH = 16  # upper limit on a CPU: larger batches are hardly faster there, but take minutes
PREFETCH = 2  # batches that a worker of torch's DataLoader reads ahead
IMAGES = 64  # in the shard of drawn photographs

Rates = dict[str, dict[str, float]]


def count_networks(config: Config) -> dict[str, NetworkSize]:
    """Return `network_key` → size of the config's networks that NETWORKS does not list; no network is run."""
    sizes = {}
    for entry, size in network_entries(config):
        if not is_listed(entry):
            sizes[network_key(entry, size)] = count_operations(entry, size)
    return sizes


def network_entries(config: Config) -> Iterator[tuple[Config, int | None]]:
    """Yield the config entry and the input size of each network."""
    for name in config["models"]:
        yield observer_entry(config, name, trained=True)
    for name, entry in config["observers"].items():
        if "timm" in entry:
            yield observer_entry(config, name, trained=False)


def count_operations(entry: Config, size: int | None) -> NetworkSize:
    """Count the operations of one forward pass and the weights, on the meta device: without computing anything."""
    with torch.device("meta"):
        network = build(entry["timm"], kwargs=entry["kwargs"]).eval()
    side = size or preparation(network).size
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, side, side, device="meta"))
    return NetworkSize(float(counter.get_total_flops()), sum(p.numel() for p in network.parameters()))


def measure_throughputs(config: Config, folder: Path, device: str) -> Rates:
    """Measure one job's images a second, in the form of the config's `throughputs`; folder: for temporary files."""
    keep_freed_memory()  # as jobs do
    shard = draw_shard(folder / "drawn.tar", config["image_size"], config["format"])
    measured: Rates = {"train": {}, "show": {}, "encode": {}, "stylize": {}}
    for name in used_stylizers(config):
        measured["encode"][name], measured["stylize"][name] = measure_stylizing(config, name, shard, folder, device)
        log.info("%s: %.3g styles, %.3g images a second", name, measured["encode"][name], measured["stylize"][name])
    for name in config["models"]:
        measured["train"][name] = measure_training(config, name, shard, device)
        log.info("training %s: %.3g images a second", name, measured["train"][name])
    for name in (*config["models"], *(name for name, entry in config["observers"].items() if "timm" in entry)):
        measured["show"][name] = measure_evaluation(config, name, shard, device)
        log.info("evaluating %s: %.3g images a second", name, measured["show"][name])
    return {
        stage: {name: float(f"{rate:.4g}") for name, rate in rates.items()}
        for stage, rates in measured.items()
        if rates
    }


def draw_shard(target: Path, size: int, encoding: str) -> Path:
    """Write a shard of drawn photographs that cycles through all classes."""
    names = itertools.islice(itertools.cycle(CLASSES), IMAGES)
    images = ((f"{k:03d}", name, draw_image(name, f"{k}", size=size, seed=0)) for k, name in enumerate(names))
    write_shard(
        target,
        (
            (
                label(key, class_name=name, shape=CLASSES[name], texture=CLASSES[name], content=key),
                *encode(image, encoding),
            )
            for key, name, image in images
        ),
    )
    return target


def used_stylizers(config: Config) -> list[str]:
    """Return the stylizers of the config's stylized sets."""
    return list(dict.fromkeys(entry["stylizer"] for entry in config["stylized"].values()))


def median_rate(batches: Iterator[int], cores: int = 0, ahead: int = 0) -> float:
    """Return images a second, as the median over batches without the first, which includes the start-up.

    batches: the number of images of each batch, once it is done. cores: number of CPU cores in use, if processor time
    is measured, which other programs on the machine hardly change. 0: wall time is measured, as for a GPU or if other
    processes read files. ahead: batches that worker processes have ready; they do not count. The others then come in
    groups, so that the result is their mean.
    """

    def clock() -> float:
        return time.process_time() / cores if cores else time.perf_counter()

    rates: list[float] = []
    for _ in range(1 + ahead):
        next(batches)
    start, last = time.perf_counter(), clock()
    begin, total = last, 0
    for images in batches:
        now = clock()
        rates.append(images / max(now - last, 1e-9))
        last, total = now, total + images
        if len(rates) == STEPS + ahead or time.perf_counter() - start > SECONDS:
            break
    return total / max(last - begin, 1e-9) if ahead else statistics.median(rates)


def measure_training(config: Config, name: str, shard: Path, device: str) -> float:
    """Measure one rank's images a second with all weights trained, reading included.

    The recipe is that of the first regime.
    """
    values = recipe_of(config, name, next(iter(config["regimes"])))
    recipe = Recipe(**{key: value for key, value in values.items() if key in RECIPE_FIELDS})
    batch = min(recipe.batch_size, CPU_BATCH) if device == "cpu" else recipe.batch_size
    recipe = dataclasses.replace(
        recipe, batch_size=batch, ranks=0, accumulate=1, feature_views=0, crop_scale=tuple(recipe.crop_scale)
    )
    torch.set_num_threads(recipe.threads)
    entry, samples = config["models"][name], open_shards([shard])
    classes = list(CLASSES)
    network = build(entry["timm"], classes=len(classes), kwargs=entry["kwargs"])
    prepared = preparation(network, config["input_size"])
    layout, world = memory_format(network, prepared.size), World(device=device)
    write_new_outputs(network)
    network.to(device).to(memory_format=layout)
    ahead = 0 if device == "cpu" else PREFETCH * recipe.workers
    if device != "cpu":
        # Without an end of the epoch, as in a job, so that workers read ahead.
        samples = list(itertools.islice(itertools.cycle(samples), batch * (1 + 2 * ahead + STEPS)))
    train_set = AugmentedDataset(samples, classes, prepared, recipe, seed=0)
    source = ImageBatches(
        train_set, ImageDataset(samples[:1], classes, prepared), BatchPlan(train_set.labels, recipe, 0, world), layout
    )
    state = initial_state(network, recipe, "all", source.steps, world)
    network.train()

    def steps() -> Iterator[int]:
        for epoch in itertools.count():
            for step in source.training(epoch):
                train_step(state, step, recipe, world=world)  # returns the loss, and so waits for the device
                yield step.images

    return median_rate(steps(), recipe.threads if device == "cpu" and not recipe.workers else 0, ahead)


RECIPE_FIELDS = {field.name for field in dataclasses.fields(Recipe)}


def measure_evaluation(config: Config, name: str, shard: Path, device: str) -> float:
    """Measure the answers a second of a model or an observer, reading included."""
    entry, size = observer_entry(config, name, trained=name in config["models"])
    torch.set_num_threads(config["evaluation"]["threads"])
    network = build(entry["timm"], classes=len(CLASSES), kwargs=entry["kwargs"])
    prepared = preparation(network, size)
    observer = wrap_network(network, name=name, classes=dict(CLASSES), input_preparation=prepared)
    batch = config["evaluation"]["batch_size"]
    pictures = list(itertools.islice(itertools.cycle(open_pictures([shard])), batch * (STEPS + 1)))

    def batches() -> Iterator[int]:
        # One pass, as in a job: the network moves to the device once, and threads decode ahead.
        images = PreparedImages(pictures, prepared, Rejections(0), config["evaluation"]["workers"])
        for shown, _ in iterate_logits(observer, images, batch_size=batch, device=device):
            yield len(shown)

    evaluation = config["evaluation"]
    return median_rate(batches(), evaluation["threads"] + evaluation["workers"] if device == "cpu" else 0)


def measure_stylizing(config: Config, name: str, shard: Path, folder: Path, device: str) -> tuple[float, float]:
    """Measure encoded styles a second and stylized images a second, reading and encoding of images included."""
    sets = {key: entry for key, entry in config["stylized"].items() if entry["stylizer"] == name}
    entry = next(iter(sets.values()))
    stylizer, settings = build_stylizer(config, name, device), config["stylizers"].get(name, {})
    side = settings.get("style_size", config["styles"].get(entry["styles"], {}).get("size", config["image_size"]))
    pictures, geometry = open_pictures([shard]), ContentGeometry(config["image_size"], entry.get("crop"))
    style = draw_image(next(iter(CLASSES)), "style", size=side, seed=0)

    def styles() -> Iterator[int]:
        while True:
            encode_style(stylizer, "", style, StyleView())
            yield 1

    vectors, vector = folder / f"{name}.safetensors", encode_style(stylizer, "", style, StyleView())
    write_style_vectors(vectors, stylizer.fingerprint, [pictures[0].label], [vector])
    drawing = StyleSampler(StyleVectors([vectors], stylizer.fingerprint), 0, other_category=False)

    def encode_image(item: tuple[Label, Image.Image]) -> object:
        return encode(item[1], config["format"])

    def batches() -> Iterator[int]:
        while True:
            images = decode_pictures(pictures[: max(1, stylizer.batch_size)], Rejections(0), settings.get("workers", 0))
            results = stylize_images(images, stylizer, drawing, geometry)
            # As in a job, the workers decode and encode.
            yield len(list(ordered_map(encode_image, results, settings.get("workers", 0))))

    threads, workers = settings.get("threads", 1), settings.get("workers", 0)
    on_cpu = device == "cpu" or not stylizer_kind(config, name).on_gpu
    return median_rate(styles(), threads * on_cpu), median_rate(batches(), (threads + workers) * on_cpu)


def build_stylizer(config: Config, name: str, device: str) -> Stylizer:
    """Build a stylizer of the config; AdaIN and gatys have random weights."""
    if not stylizer_kind(config, name).configured:
        return make_stylizer(name)
    from shapebias.stylize.adain import AdainStylizer, make_decoder, make_encoder
    from shapebias.stylize.gatys import GatysStylizer

    entry = config["stylizers"][name]
    torch.set_num_threads(entry["threads"])
    if entry["kind"] == "gatys":
        settings = gatys_settings(entry)
        network = build(settings.timm)
        return GatysStylizer(network, preparation(network), settings, device)
    width = entry["training"]["width"] if entry["encoder"] == "random" else 64
    return AdainStylizer(make_encoder(width), make_decoder(width), device)
