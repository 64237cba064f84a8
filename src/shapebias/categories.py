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
def ilsvrc_categories() -> dict[str, str]:
    """WordNet id → category, for the 207 classes that have one."""
    table = resources.files("shapebias") / "resources" / "ilsvrc_categories.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {row["wnid"]: row["category"] for row in rows}


def category_of(class_name: str, own: dict[str, str] | None = None) -> str | None:
    """The category of a class: from `own`, else from ILSVRC, else the class itself if it names one; or None."""
    if own and class_name in own:
        return own[class_name]
    if class_name in CATEGORIES:
        return class_name
    return ilsvrc_categories().get(class_name)
