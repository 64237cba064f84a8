"""Answers of a network to images with labels of a benchmark's own, by a map from classes to labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import SCORE
from shapebias.evaluation.inputs import LabelledPicture
from shapebias.evaluation.label_maps import LabelMap, category_label_map, published_label_map, read_label_map
from shapebias.networks.models import Preparation

if TYPE_CHECKING:
    import torch

PUBLISHED, CATEGORY_LABELS = "published", "categories"  # words for two maps, in place of a file
FACT_COLUMNS = ["content", "label", "foil", "pair", "cue", "condition", "session", "imagename"]


def choose_label_map(
    kind: str, labels: str | Path, classes: Sequence[str], categories: dict[str, str] | None
) -> LabelMap:
    """Return the map of a kind with labels of its own.

    labels: PUBLISHED (the published map of the kind), CATEGORY_LABELS (the network's classes in the 16 categories), or
    a CSV file class,label. classes, categories: of the network's outputs, as in `Observer`.
    Raises UserError for a kind without such labels, and for an unsuitable map.
    """
    rule = KINDS[kind].rule
    if rule is None:
        raise UserError(f"labels {str(labels)!r}: images of kind {kind} have no labels of their own; leave labels out")
    if labels == PUBLISHED:
        return published_label_map(KINDS[kind].label_map, rule)
    if labels == CATEGORY_LABELS:
        return category_label_map(classes, categories, rule)
    return read_label_map(Path(labels), rule)


def fix_preparation(kind: str, preparation: Preparation) -> Preparation:
    """Return the preparation of a kind's images: the network's own, or with the published scaling of the kind."""
    crop = KINDS[kind].crop
    if crop is None:
        return preparation
    return replace(preparation, interpolation="bilinear", crop=crop, resizes_all=True)


def tabulate_labels(
    observer: str,
    classes: Sequence[str],
    label_map: LabelMap,
    batches: Iterable[tuple[Sequence[LabelledPicture], "torch.Tensor"]],
) -> pd.DataFrame:
    """Turn an observer's logits (float32 [B, classes]) into one row per image.

    Columns: observer, image, FACT_COLUMNS, decision (a label), predicted_class, and the score of each label
    (`s_<label>`: a probability, a logit or a rank, by the rule of the map).
    Raises UserError for an image with a label, or a foil, that the map does not have.
    """
    pictures: list[LabelledPicture] = []
    scores, predicted = [np.empty((0, len(label_map.labels)))], list[str]()
    for batch, logits in batches:
        label_map.require_labels(
            name for picture in batch for key in ("label", "foil") if (name := picture.label.get(key)) is not None
        )
        pictures += batch
        scores.append(label_map.score(logits, classes))
        predicted += [classes[place] for place in logits.argmax(dim=1).tolist()]
    all_scores = np.concatenate(scores)
    table: dict[str, Any] = {"observer": observer, "image": [picture.id for picture in pictures]}
    table |= {key: [picture.label.get(key) for picture in pictures] for key in FACT_COLUMNS}
    table["condition"] = [condition or "" for condition in table["condition"]]
    table["session"] = [session or 1 for session in table["session"]]
    table |= {"decision": label_map.decide(all_scores), "predicted_class": predicted}
    table |= {f"{SCORE}{name}": column for name, column in zip(label_map.labels, all_scores.T, strict=True)}
    return pd.DataFrame(table)
