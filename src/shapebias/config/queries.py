"""What the config of a study says of itself: its networks, runs, recipes and splits."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

Config = dict[str, Any]


def is_url(value: str) -> bool:
    """Whether a file is named by where to download it from."""
    return "://" in value


def file_of(url: str) -> str:
    """The name of the file at a URL; what is fetched is called the same."""
    return url.partition("?")[0].rpartition("/")[2]


def networks(config: Config) -> Iterator[tuple[str, Config]]:
    """Key and entry of all that may name weights: models and observers."""
    for section in ("models", "observers"):
        for name, entry in config[section].items():
            yield f"{section}.{name}", entry


def splits_of(config: Config, images: str) -> list[str]:
    """The splits of a source or a stylized set."""
    if images in config["stylized"]:
        return config["stylized"][images]["splits"]
    if is_melanoma(config, images):
        return ["train", "val", "test"]  # those of the challenge
    return list(config["sources"][images]["per_class"])


def is_melanoma(config: Config, images: str) -> bool:
    """Whether a set's classes are melanoma and other: an isic2017 source, or one stylized."""
    content = config["stylized"].get(images, {}).get("content", images)
    return config["sources"].get(content, {}).get("kind") == "isic2017"


def melanoma_regimes(config: Config) -> list[str]:
    """The regimes that learn to tell melanomas, whose runs see benchmarks of kind melanoma alone."""
    return [name for name, regime in config["regimes"].items() if is_melanoma(config, regime["train_on"][0])]


def run_name(model: str, regime: str, seed: int) -> str:
    """The observer that a run is."""
    return f"{model}_{regime}_seed{seed}"


def network_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of all networks of a study: its runs, and the observers that are networks."""
    runs = [run_name(*run) for run in itertools.product(config["models"], config["regimes"], config["seeds"])]
    return runs + [name for name, entry in config["observers"].items() if "timm" in entry]


def recipe_of(config: Config, model: str, regime: str) -> dict[str, Any]:
    """The training keys of one run: the common ones, the model's over them, the regime's over both."""
    return {**config["training"], **config["models"][model]["training"], **config["regimes"][regime]["training"]}


def pretrained_name(entry: Config) -> str:
    """The name of a network's published weights; weights that are fitted to kwargs bear a digest of these."""
    if not entry.get("kwargs"):
        return entry["timm"]
    digest = hashlib.sha256(json.dumps(entry["kwargs"], sort_keys=True).encode()).hexdigest()
    return f"{entry['timm']}-{digest[:8]}"
