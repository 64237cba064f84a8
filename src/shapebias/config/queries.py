"""Queries of a study's config: its networks, runs, recipes and splits."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

Config = dict[str, Any]

ALL = "all"  # a count: every available image
CLASS_COUNTS = {"categories": 207, "present": 207, "all": 1000}  # classes of ILSVRC, by `classes` in the config
DRAWN_CLASSES = 32  # of a synthetic source
ANAGRAM_CLASSES = 14  # of a synthetic source with appearance: anagram
STYLIZER_PARTS = ("encoder", "decoder", "weights")  # keys of a stylizer with a file of weights
ISIC = {"train": 2000, "val": 150, "test": 600}  # images of the 2017 challenge
ILSVRC_CLASS = 1300  # training images of its largest classes


def is_url(value: str) -> bool:
    """Return whether a file is given by a URL."""
    return "://" in value


def file_of(url: str) -> str:
    """Return the file name of a URL, which its download keeps."""
    return url.partition("?")[0].rpartition("/")[2]


def networks(config: Config) -> Iterator[tuple[str, Config]]:
    """Yield the key and the entry of each model and each observer; both can have weights."""
    for section in ("models", "observers"):
        for name, entry in config[section].items():
            yield f"{section}.{name}", entry


def splits_of(config: Config, images: str) -> list[str]:
    """Return the splits of a source or a stylized set."""
    if images in config["stylized"]:
        return config["stylized"][images]["splits"]
    if is_melanoma(config, images):
        return ["train", "val", "test"]  # as in the challenge
    return list(config["sources"][images]["per_class"])


def most_images(config: Config, images: str, split: str) -> int | None:
    """Return the largest number of images that a split of a source or a stylized set can have.

    None if that depends on a folder, or if the set has no such split.
    """
    entry = config["sources"].get(config["stylized"].get(images, {}).get("content", images), {})
    if entry.get("kind") == "isic2017":
        return ISIC[split]
    count = entry["per_class"].get(split) if entry else None
    if count is None or entry["kind"] not in ("synthetic", "ilsvrc"):
        return None
    if entry["kind"] == "synthetic":
        return None if count == ALL else drawn_classes(entry) * count
    return CLASS_COUNTS[entry["classes"]] * (ILSVRC_CLASS if count == ALL else count)


def drawn_classes(entry: Config) -> int:
    """Return the number of classes of a synthetic source."""
    return ANAGRAM_CLASSES if entry.get("appearance") == "anagram" else DRAWN_CLASSES


def is_melanoma(config: Config, images: str) -> bool:
    """Return whether a set's classes are melanoma and other: an isic2017 source, or a stylized one."""
    content = config["stylized"].get(images, {}).get("content", images)
    return config["sources"].get(content, {}).get("kind") == "isic2017"


def melanoma_regimes(config: Config) -> list[str]:
    """Return the regimes that learn to recognize melanoma; their runs are shown benchmarks of kind melanoma only."""
    return [name for name, regime in config["regimes"].items() if is_melanoma(config, regime["train_on"][0])]


def run_name(model: str, regime: str, seed: int) -> str:
    """Return the name of a run, which is also the name of its observer."""
    return f"{model}_{regime}_seed{seed}"


def network_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of all networks of a study: its runs, and the observers that are networks."""
    runs = [run_name(*run) for run in itertools.product(config["models"], config["regimes"], config["seeds"])]
    return runs + [name for name, entry in config["observers"].items() if "timm" in entry]


def recipe_of(config: Config, model: str, regime: str) -> dict[str, Any]:
    """Return the training keys of a run: a regime overrides its model, and a model overrides the common section."""
    return {**config["training"], **config["models"][model]["training"], **config["regimes"][regime]["training"]}


def pretrained_name(entry: Config) -> str:
    """Return the name of a network's published weights, with a digest of the kwargs that they are adapted to.

    It is the path of a file. The colon of a name on the hub is left out of it.
    """
    name = entry["timm"].replace(":", "/")
    if not entry.get("kwargs"):
        return name
    digest = hashlib.sha256(json.dumps(entry["kwargs"], sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:8]}"
