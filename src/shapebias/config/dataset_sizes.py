"""How many images a config is about: of each set, of each benchmark; and in how many shards.

Where a folder of photographs or paintings is not there yet, or a source takes `all`, numbers are assumed; `found` holds
what was counted instead (`counted`), by the key of the config: sources.in (classes), styles.paintings (images),
benchmarks.published (images). Everything else is a pure function of the checked config.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shapebias.config.checks import ALL, CLASS_COUNTS
from shapebias.config.queries import Config, splits_of

Found = Mapping[str, int]
NOTHING: Found = MappingProxyType({})

DRAWN_CLASSES = 32  # of a synthetic source
ISIC = {"train": 2000, "val": 150, "test": 600}  # of the challenge of 2017
ILSVRC_CLASS = 1300  # training images of one of its classes, at most
PAINTINGS = 79_434  # of Kaggle's "Painter by Numbers", train
# Published stimuli of a kind; of model-vs-human's other sets 1,280 at most, as many as a person was shown.
STIMULI = {"silhouettes": 160, "edges": 160, "sketch": 800, "stylized": 800}
SHOWN_AT_MOST = 1280
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2")


def shard_counts(config: Config, name: str) -> dict[str, int]:
    """split → number of shards of a source, a set of styles or a stylized set."""
    if name in config["styles"]:
        return {ALL: config["styles"][name].get("shards", 1)}
    if name in config["stylized"]:
        entry = config["stylized"][name]
        content = shard_counts(config, entry["content"])
        return {split: content[split] for split in entry["splits"]}
    shards = config["sources"][name]["shards"]
    return {split: shards.get(split, 1) for split in splits_of(config, name)}


def class_count(config: Config, name: str, found: Found = NOTHING) -> int:
    """Classes of a source; of an image folder those that were found, or as many as ILSVRC has of the 16 categories."""
    entry = config["sources"][name]
    if entry["kind"] in ("synthetic", "isic2017"):
        return DRAWN_CLASSES if entry["kind"] == "synthetic" else 2
    return found.get(f"sources.{name}", CLASS_COUNTS[entry.get("classes", "categories")])


def images_in(config: Config, name: str, split: str, found: Found = NOTHING) -> int:
    """Images of a set's split (of styles: of the split `all`), rather too many where nobody knows."""
    if name in config["stylized"]:
        return images_in(config, config["stylized"][name]["content"], split, found)
    if name in config["styles"]:
        return config["styles"][name].get("count") or found.get(f"styles.{name}", PAINTINGS)
    entry = config["sources"][name]
    if entry["kind"] == "isic2017":
        return ISIC[split]
    each = entry["per_class"][split]
    return class_count(config, name, found) * (ILSVRC_CLASS if each == ALL else each)


def images_in_set(config: Config, name: str, found: Found = NOTHING) -> int:
    """Images of all splits of a set."""
    return sum(images_in(config, name, split, found) for split in shard_counts(config, name))


def images_in_shard(config: Config, name: str, split: str, found: Found = NOTHING) -> int:
    """Images of the largest shard of a set's split."""
    return math.ceil(images_in(config, name, split, found) / shard_counts(config, name)[split])


def images_in_benchmark(config: Config, name: str, found: Found = NOTHING) -> int:
    """Images of a benchmark, each counted once."""
    entry = config["benchmarks"][name]
    if "images" in entry:
        return images_in(config, entry["images"], "test", found)
    return found.get(f"benchmarks.{name}", STIMULI.get(entry["kind"], SHOWN_AT_MOST))


def images_shown(config: Config, name: str, found: Found = NOTHING) -> int:
    """Answers that a network gives to a benchmark: one an image, of kind suppressed one in each condition."""
    suppress = config["benchmarks"][name].get("suppress", {})
    return images_in_benchmark(config, name, found) * (1 + sum(len(strengths) for strengths in suppress.values()))


def training_images(config: Config, regime: str, split: str, found: Found = NOTHING) -> int:
    """Images of the split `train` or `val` of all sets that a regime mixes."""
    return sum(images_in(config, name, split, found) for name in config["regimes"][regime]["train_on"])


def counted(config: Config) -> dict[str, int]:
    """What the folders of the config hold, as far as they are there: looks at names alone, opens no image."""
    found = {}
    for name, entry in config["sources"].items():
        if entry["kind"] == "imagefolder" and Path(entry["folder"]).is_dir():
            found[f"sources.{name}"] = len(class_folders(Path(entry["folder"])))
    for section in ("styles", "benchmarks"):
        for name, entry in config[section].items():
            if "folder" in entry and Path(entry["folder"]).is_dir():
                found[f"{section}.{name}"] = images_below(Path(entry["folder"]))
    return {key: count for key, count in found.items() if count}


def class_folders(folder: Path) -> list[str]:
    """The classes of a folder of photographs, <class>/image or <split>/<class>/image: of its training images if it has
    split folders.
    """
    with os.scandir(folder / "train" if (folder / "train").is_dir() else folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX")))


def images_below(folder: Path) -> int:
    return sum(name.lower().endswith(ENDINGS) for _, _, names in os.walk(folder, followlinks=True) for name in names)
