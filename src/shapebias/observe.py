"""A network as an observer: images in, one of the 16 categories out, or how likely a lesion is a melanoma.

The decision is the field's: softmax over all classes, mean probability over each category's classes, the
category with the highest mean. Source: Geirhos et al., ICLR 2019; model-vs-human.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from shapebias.categories import CATEGORIES, ilsvrc_wnids
from shapebias.decisions import PROBABILITIES
from shapebias.errors import UserError
from shapebias.isic import MELANOMA
from shapebias.models import Preparation, build, category_indices, memory_format, preparation
from shapebias.pictures import Picture
from shapebias.weights import load_weights, read_weights

log = logging.getLogger(__name__)

COLUMNS = ["image", "content", "style", "class", "shape", "shape_class", "texture", "texture_class"]
MELANOMA_COLUMNS = ["observer", "image", "content", "class", "predicted_class", "p_melanoma"]


@dataclass(frozen=True)
class Observer:
    """A network that answers.

    classes: its outputs in order; categories: class → category (None: ILSVRC's); facts: what it is, for the record.
    """

    name: str
    network: nn.Module
    preparation: Preparation
    classes: list[str]
    categories: dict[str, str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def load_observer(
    timm_name: str,
    *,
    name: str | None = None,
    weights: Path | None = None,
    kwargs: dict[str, Any] | None = None,
    classes: dict[str, str] | None = None,
) -> Observer:
    """Build a network and load its weights (without a file, the published ones).

    What scripts/train.py left in a weights file (kwargs, classes, input size) is used; classes (class → category,
    in the order of the outputs) says it for other files. Otherwise the outputs are ILSVRC's 1,000 classes.
    Raises UserError for an unknown network, weights that do not fit it, outputs without names.
    """
    state, trained = read_weights(weights) if weights else (None, {})
    own = classes or trained.get("classes")
    kwargs = trained.get("kwargs", {}) | (kwargs or {})
    network = build(timm_name, classes=len(own) if own else None, kwargs=kwargs, pretrained=state is None)
    matched = "published" if state is None else load_weights(network, state, str(weights))
    log.info("%s: weights from %s, matched by %s", timm_name, weights or "the internet", matched)
    names = list(own) if own else ilsvrc_wnids()
    outputs = getattr(network, "num_classes", len(names))
    if outputs != len(names):
        raise UserError(f"{timm_name} has {outputs} outputs, {len(names)} classes are known; name them (--classes)")
    prepared = preparation(network, trained.get("image_size") or kwargs.get("img_size"))
    facts = {
        "observer": name or timm_name,
        "model": trained.get("model") or name or timm_name,  # a network not trained here is its own model
        "regime": trained.get("regime"),
        "seed": trained.get("seed"),
        "timm": timm_name,
        "kwargs": kwargs,
        "weights": weights.name if weights else "pretrained",
        "matched": matched,
        "preparation": vars(prepared),
        # A network that tells melanomas knows none of the 16 categories.
        "answers": [] if MELANOMA in names else list(category_indices(names, own)),
        "class_names": names,
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return Observer(name or timm_name, network, prepared, names, own, facts)


def category_probabilities(logits: torch.Tensor, indices: dict[str, list[int]]) -> np.ndarray:
    """Mean softmax probability of each category's classes, float64 [B, len(indices)]; logits: [B, classes]."""
    probabilities = logits.double().softmax(dim=1)
    return torch.stack([probabilities[:, i].mean(dim=1) for i in indices.values()], dim=1).numpy()


Shown = Iterable[tuple[Picture, Image.Image]]


@torch.inference_mode()
def answers(
    observer: Observer, pictures: Shown, *, batch_size: int, device: str
) -> Iterator[tuple[list[Picture], torch.Tensor]]:
    """Show images to a network; yields each batch with its logits, float32 [B, classes] on the CPU."""
    layout = memory_format(observer.network, observer.preparation.size)
    observer.network.eval().to(device).to(memory_format=layout)
    for batch in in_batches(pictures, batch_size):
        arrays = [np.asarray(observer.preparation.picture(image)) for _, image in batch]
        images = observer.preparation.tensor(arrays).to(device, memory_format=layout)
        yield [picture for picture, _ in batch], observer.network(images).detach().float().cpu()


def observe(observer: Observer, pictures: Shown, *, batch_size: int, device: str = "cpu") -> pd.DataFrame:
    """Show images to an observer; one row an image: its label, decision, predicted class, category probabilities.

    The columns p_<category> are NaN for categories that none of the network's classes belongs to.
    """
    indices = category_indices(observer.classes, observer.categories)
    columns = [CATEGORIES.index(category) for category in indices]
    rows = []
    for batch, logits in answers(observer, pictures, batch_size=batch_size, device=device):
        shares = category_probabilities(logits, indices)
        table = np.full((len(batch), len(CATEGORIES)), np.nan)
        table[:, columns] = shares
        decisions = [list(indices)[k] for k in shares.argmax(axis=1)]
        predicted = [observer.classes[k] for k in logits.argmax(dim=1)]
        for picture, decision, name, values in zip(batch, decisions, predicted, table, strict=True):
            label = {key: picture.label.get(key) for key in COLUMNS[1:]}
            row = {"observer": observer.name, "image": picture.id} | label
            rows.append(
                row | {"decision": decision, "predicted_class": name} | dict(zip(PROBABILITIES, values, strict=True))
            )
    return pd.DataFrame(rows, columns=["observer", *COLUMNS, "decision", "predicted_class", *PROBABILITIES])


def observe_melanoma(observer: Observer, pictures: Shown, *, batch_size: int, device: str = "cpu") -> pd.DataFrame:
    """Show lesions to an observer; one row an image: its class, the predicted one, the probability of a melanoma.

    Raises UserError for a network that has no such class.
    """
    if MELANOMA not in observer.classes:
        raise UserError(
            f"{observer.name}: none of its {len(observer.classes)} classes is {MELANOMA!r}; "
            f"train it on a set of kind isic2017 first"
        )
    rows = []
    for batch, logits in answers(observer, pictures, batch_size=batch_size, device=device):
        shares = logits.double().softmax(dim=1)[:, observer.classes.index(MELANOMA)].tolist()
        predicted = [observer.classes[k] for k in logits.argmax(dim=1)]
        for picture, name, share in zip(batch, predicted, shares, strict=True):
            label = picture.label
            rows.append((observer.name, picture.id, label.get("content"), label["class"], name, share))
    return pd.DataFrame(rows, columns=MELANOMA_COLUMNS)


def in_batches(items: Shown, size: int) -> Iterator[tuple[tuple[Picture, Image.Image], ...]]:
    stream = iter(items)
    return iter(lambda: tuple(islice(stream, size)), ())
