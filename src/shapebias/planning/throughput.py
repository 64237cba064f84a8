"""Throughputs measured on this machine, and networks counted: what a plan would else assume.

A few batches of drawn photographs go through the same code as in a job: read from a shard, augmented, trained on; or
shown; or stylized. Weights are random, since speed does not depend on them, so nothing is downloaded.
"""

import dataclasses
import itertools
import logging
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from shapebias.config.queries import Config, recipe_of
from shapebias.evaluation.inputs import Sights
from shapebias.evaluation.observer import observe, observer_of
from shapebias.images.codec import encode
from shapebias.images.pictures import decoded, open_pictures
from shapebias.images.rejections import Rejections
from shapebias.images.shards import label, open_shards, write_shard
from shapebias.networks.models import build, memory_format, preparation
from shapebias.planning.costs import Network
from shapebias.planning.network_costs import is_listed, network_key, observer_entry
from shapebias.stylize.pipeline import Draw, Geometry, encoded, stylized
from shapebias.stylize.style_vectors import StyleVectors, write_style_vectors
from shapebias.stylize.stylizers import Stylizer, make_stylizer
from shapebias.synthetic.scene import CLASSES, draw
from shapebias.training.data_loading import AugmentedDataset, BatchPlan, ImageBatches, ImageDataset
from shapebias.training.distributed import World
from shapebias.training.loop import initial_state, train_step
from shapebias.training.recipe import Recipe

log = logging.getLogger(__name__)

STEPS, SECONDS = 8, 10.0  # measured at most, of each thing
CPU_BATCH = 16  # at most, on a CPU: larger ones are hardly faster there, but take minutes
IMAGES = 64  # drawn

Throughputs = dict[str, dict[str, float]]


def counted_networks(config: Config) -> dict[str, Network]:
    """Operations and weights of the config's networks that no list knows, by `network_key`; computes nothing."""
    found = {}
    for entry, size in entries(config):
        if not is_listed(entry):
            found[network_key(entry, size)] = count(entry, size)
    return found


def entries(config: Config) -> Iterator[tuple[Config, int | None]]:
    for name in config["models"]:
        yield observer_entry(config, name, trained=True)
    for name, entry in config["observers"].items():
        if "timm" in entry:
            yield observer_entry(config, name, trained=False)


def count(entry: Config, size: int | None) -> Network:
    """Operations of an image's forward pass and weights of a network; on no device, so in no time."""
    with torch.device("meta"):
        network = build(entry["timm"], kwargs=entry["kwargs"]).eval()
    side = size or preparation(network).size
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, side, side, device="meta"))
    return Network(float(counter.get_total_flops()), sum(p.numel() for p in network.parameters()))


def measured(config: Config, folder: Path, device: str) -> Throughputs:
    """Images a second of one job, as the config's `throughputs` are laid out; folder: for a shard of drawn images."""
    shard = drawn(folder / "drawn.tar", config["image_size"], config["format"])
    found: Throughputs = {"train": {}, "show": {}, "encode": {}, "stylize": {}}
    for name in stylizers(config):
        found["encode"][name], found["stylize"][name] = stylizing(config, name, shard, folder, device)
        log.info("%s: %.3g styles, %.3g images a second", name, found["encode"][name], found["stylize"][name])
    for name in config["models"]:
        found["train"][name] = training(config, name, shard, device)
        log.info("training %s: %.3g images a second", name, found["train"][name])
    for name in (*config["models"], *(name for name, e in config["observers"].items() if "timm" in e)):
        found["show"][name] = showing(config, name, shard, device)
        log.info("showing to %s: %.3g images a second", name, found["show"][name])
    return {
        kind: {name: float(f"{rate:.4g}") for name, rate in rates.items()} for kind, rates in found.items() if rates
    }


def drawn(target: Path, size: int, encoding: str) -> Path:
    """A shard of drawn photographs, of all classes in turn."""
    names = itertools.islice(itertools.cycle(CLASSES), IMAGES)
    images = ((f"{k:03d}", name, draw(name, f"{k}", size=size, seed=0)) for k, name in enumerate(names))
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


def stylizers(config: Config) -> list[str]:
    """The stylizers of the config's stylized sets."""
    return list(dict.fromkeys(entry["stylizer"] for entry in config["stylized"].values()))


def pace(batches: Iterator[int], cores: int = 0) -> float:
    """Images a second: the median over batches (each says its images), without the first, which prepares much.

    cores: of a CPU that work on them; then its own time counts, so that other programs on the machine do not. 0: the
    clock on the wall, of a GPU and where other processes read.
    """

    def clock() -> float:
        return time.process_time() / cores if cores else time.perf_counter()

    rates: list[float] = []
    next(batches)
    begun, last = time.perf_counter(), clock()
    for images in batches:
        now = clock()
        rates.append(images / max(now - last, 1e-9))
        last = now
        if len(rates) == STEPS or time.perf_counter() - begun > SECONDS:
            break
    return statistics.median(rates)


def training(config: Config, name: str, shard: Path, device: str) -> float:
    """Images a second of one rank, all weights learning, reading included; by the recipe of the first regime."""
    values = recipe_of(config, name, next(iter(config["regimes"])))
    recipe = Recipe(**{key: value for key, value in values.items() if key in FIELDS})
    batch = min(recipe.batch_size, IMAGES, CPU_BATCH if device == "cpu" else IMAGES)
    recipe = dataclasses.replace(
        recipe, batch_size=batch, ranks=0, accumulate=1, feature_views=0, crop_scale=tuple(recipe.crop_scale)
    )
    torch.set_num_threads(recipe.threads)
    entry, samples = config["models"][name], open_shards([shard])
    classes = list(CLASSES)
    network = build(entry["timm"], classes=len(classes), kwargs=entry["kwargs"])
    prepared = preparation(network, config["input_size"])
    layout, world = memory_format(network, prepared.size), World(device=device)
    network.to(device).to(memory_format=layout)
    train_set = AugmentedDataset(samples, classes, prepared, recipe, seed=0)
    source = ImageBatches(
        train_set, ImageDataset(samples[:1], classes, prepared), BatchPlan(train_set.labels, recipe, 0, world), layout
    )
    state = initial_state(network, recipe, "all", source.steps)
    network.train()

    def steps() -> Iterator[int]:
        for epoch in itertools.count():
            for step in source.training(epoch):
                train_step(state, step, recipe, world=world)  # asks for the loss, so waits for the device
                yield step.images

    return pace(steps(), recipe.threads if device == "cpu" and not recipe.workers else 0)


FIELDS = {field.name for field in dataclasses.fields(Recipe)}


def showing(config: Config, name: str, shard: Path, device: str) -> float:
    """Answers a second of a model or an observer, reading included."""
    entry, size = observer_entry(config, name, trained=name in config["models"])
    torch.set_num_threads(config["evaluation"]["threads"])
    network = build(entry["timm"], classes=len(CLASSES), kwargs=entry["kwargs"])
    prepared = preparation(network, size)
    observer = observer_of(network, name=name, classes=dict(CLASSES), prepared=prepared)
    pictures, batch = open_pictures([shard]), config["evaluation"]["batch_size"]

    def batches() -> Iterator[int]:
        while True:
            sights = Sights(pictures, prepared, Rejections(0), config["evaluation"]["workers"])
            yield len(observe(observer, sights, batch_size=batch, device=device))

    evaluation = config["evaluation"]
    return pace(batches(), evaluation["threads"] + evaluation["workers"] if device == "cpu" else 0)


def stylizing(config: Config, name: str, shard: Path, folder: Path, device: str) -> tuple[float, float]:
    """Styles encoded a second, images stylized a second, from a shard and to the bytes of one."""
    sets = {key: entry for key, entry in config["stylized"].items() if entry["stylizer"] == name}
    entry = next(iter(sets.values()))
    stylizer, own = stylizer_of(config, name, device), config["stylizers"].get(name, {})
    side = own.get("style_size", config["styles"].get(entry["styles"], {}).get("size", config["image_size"]))
    pictures, geometry = open_pictures([shard]), Geometry(config["image_size"], entry.get("crop"))
    style = draw(next(iter(CLASSES)), "style", size=side, seed=0)

    def styles() -> Iterator[int]:
        while True:
            encoded(stylizer, style, None)
            yield 1

    vectors = folder / f"{name}.safetensors"
    write_style_vectors(vectors, stylizer.fingerprint, [pictures[0].label], [encoded(stylizer, style, None)])
    drawing = Draw(StyleVectors([vectors], stylizer.fingerprint), 0, other_category=False)

    def batches() -> Iterator[int]:
        while True:
            images = decoded(pictures[: max(1, stylizer.batch_size)], Rejections(0), own.get("workers", 0))
            made = stylized(images, stylizer, drawing, geometry)
            yield len([encode(image, config["format"]) for _, image in made])

    threads, workers = own.get("threads", 1), own.get("workers", 0)
    on_cpu = name == "ghiasi" or device == "cpu"
    return pace(styles(), threads * on_cpu), pace(batches(), (threads + workers) * on_cpu)


def stylizer_of(config: Config, name: str, device: str) -> Stylizer:
    """A stylizer of the config; AdaIN's with random weights."""
    if name == "ghiasi":
        return make_stylizer("ghiasi")
    from shapebias.stylize.adain import Adain, make_decoder, make_encoder

    entry = config["stylizers"][name]
    width = entry["training"]["width"] if entry["encoder"] == "random" else 64
    torch.set_num_threads(entry["threads"])
    return Adain(make_encoder(width), make_decoder(width), device)
