"""Numbers of images and shards of each set, and numbers of images of each benchmark.

Numbers are assumed if a folder of photographs or paintings is missing or a source takes `all`. `count_folders` counts
the folders that exist. Everything else is a pure function of the checked config.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shapebias.config.queries import ALL, CLASS_COUNTS, ILSVRC_CLASS, ISIC, Config, drawn_classes, splits_of

# Key of the config → count: sources.in (classes), styles.paintings (images), benchmarks.published (images).
FolderSizes = Mapping[str, int]
NO_FOLDERS: FolderSizes = MappingProxyType({})

PAINTINGS = 79_434  # of Kaggle's "Painter by Numbers", train
# Published stimuli by kind. The other sets of model-vs-human have at most 1,280, the number that a person was shown.
STIMULI = {"silhouettes": 160, "edges": 160, "sketch": 800, "stylized": 800, "critical_band": 1050}
MOST_STIMULI = 1280
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2")


def shard_counts(config: Config, name: str) -> dict[str, int]:
    """Return split → number of shards of a source, a set of styles or a stylized set."""
    if name in config["styles"]:
        return {ALL: config["styles"][name].get("shards", 1)}
    if name in config["stylized"]:
        entry = config["stylized"][name]
        content = shard_counts(config, entry["content"])
        return {split: content[split] for split in entry["splits"]}
    shards = config["sources"][name]["shards"]
    return {split: shards.get(split, 1) for split in splits_of(config, name)}


def class_count(config: Config, name: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of classes of a source. An image folder that was not counted is assumed to have 207."""
    entry = config["sources"][name]
    if entry["kind"] in ("synthetic", "isic2017"):
        return drawn_classes(entry) if entry["kind"] == "synthetic" else 2
    return folder_sizes.get(f"sources.{name}", CLASS_COUNTS[entry.get("classes", "categories")])


def images_in(config: Config, name: str, split: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of images in a set's split (styles: the split `all`). Assumed numbers are upper estimates."""
    if name in config["stylized"]:
        return images_in(config, config["stylized"][name]["content"], split, folder_sizes)
    if name in config["styles"]:
        return config["styles"][name].get("count") or folder_sizes.get(f"styles.{name}", PAINTINGS)
    entry = config["sources"][name]
    if entry["kind"] == "isic2017":
        return ISIC[split]
    each = entry["per_class"][split]
    return class_count(config, name, folder_sizes) * (ILSVRC_CLASS if each == ALL else each)


def images_in_set(config: Config, name: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of images in all splits of a set."""
    return sum(images_in(config, name, split, folder_sizes) for split in shard_counts(config, name))


def images_in_shard(config: Config, name: str, split: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of images in the largest shard of a set's split."""
    return math.ceil(images_in(config, name, split, folder_sizes) / shard_counts(config, name)[split])


def images_in_benchmark(config: Config, name: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of images of a benchmark, each counted once."""
    entry = config["benchmarks"][name]
    if "images" in entry:
        return images_in(config, entry["images"], "test", folder_sizes)
    return folder_sizes.get(f"benchmarks.{name}", STIMULI.get(entry["kind"], MOST_STIMULI))


def images_shown(config: Config, name: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return how many images a network is shown: each once, and for kind suppressed once more per condition."""
    suppress = config["benchmarks"][name].get("suppress", {})
    return images_in_benchmark(config, name, folder_sizes) * (
        1 + sum(len(strengths) for strengths in suppress.values())
    )


def training_images(config: Config, regime: str, split: str, folder_sizes: FolderSizes = NO_FOLDERS) -> int:
    """Return the number of images in the split `train` or `val` of all sets that a regime mixes."""
    return sum(images_in(config, name, split, folder_sizes) for name in config["regimes"][regime]["train_on"])


def count_folders(config: Config) -> dict[str, int]:
    """Count the classes or images in the folders of a config that exist, by their names; no image is opened."""
    counts = {}
    for name, entry in config["sources"].items():
        if entry["kind"] == "imagefolder" and Path(entry["folder"]).is_dir():
            counts[f"sources.{name}"] = len(class_folders(Path(entry["folder"])))
    for section in ("styles", "benchmarks"):
        for name, entry in config[section].items():
            if "folder" in entry and Path(entry["folder"]).is_dir():
                counts[f"{section}.{name}"] = images_below(Path(entry["folder"]))
    return {key: count for key, count in counts.items() if count}


def class_folders(folder: Path) -> list[str]:
    """Return the classes in a folder of photographs: <class>/image, or <split>/<class>/image.

    If the folder has splits, the classes are those of `train`.
    """
    with os.scandir(folder / "train" if (folder / "train").is_dir() else folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX")))


def images_below(folder: Path) -> int:
    return sum(name.lower().endswith(ENDINGS) for _, _, names in os.walk(folder, followlinks=True) for name in names)
