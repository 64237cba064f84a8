"""The 16 entry-level categories and the 207 ILSVRC classes that belong to them.

Source: Geirhos et al., NeurIPS 2018 (arXiv 1808.08750); class lists of bethgelab/model-vs-human.
"""

import csv
import functools
from importlib import resources

CATEGORIES = (
    "airplane",
    "bear",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "car",
    "cat",
    "chair",
    "clock",
    "dog",
    "elephant",
    "keyboard",
    "knife",
    "oven",
    "truck",
)


@functools.cache
def ilsvrc_classes() -> dict[str, str]:
    """Return WordNet id → category ("" for none) of the 1,000 ILSVRC-2012 classes, in the order of their ids."""
    table = resources.files("shapebias") / "resources" / "ilsvrc_classes.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {row["wnid"]: row["category"] for row in rows}


def ilsvrc_wnids() -> list[str]:
    """Return the WordNet ids of the 1,000 classes, in the order of a pretrained network's outputs."""
    return list(ilsvrc_classes())


@functools.cache
def ilsvrc_categories() -> dict[str, str]:
    """Return WordNet id → category for the 207 classes that have a category."""
    return {wnid: category for wnid, category in ilsvrc_classes().items() if category}


def category_of(class_name: str, custom: dict[str, str] | None = None) -> str | None:
    """Return the category of a class, or None: from `custom`, else the class's own name, else from ILSVRC."""
    if custom and class_name in custom:
        return custom[class_name]
    if class_name in CATEGORIES:
        return class_name
    return ilsvrc_categories().get(class_name)
