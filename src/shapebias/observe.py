"""A network as an observer: images in, one of the 16 categories out.

The decision is the field's: softmax over all classes, mean probability over each category's classes, the
category with the highest mean. Source: Geirhos et al., ICLR 2019; model-vs-human.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from shapebias.categories import CATEGORIES
from shapebias.decisions import PROBABILITIES
from shapebias.models import Preparation, category_indices, memory_format
from shapebias.pictures import Picture

COLUMNS = ["image", "content", "style", "class", "shape", "shape_class", "texture", "texture_class"]


@dataclass(frozen=True)
class Observer:
    """A network that answers. classes: its outputs in order; categories: class → category."""

    name: str
    network: nn.Module
    preparation: Preparation
    classes: list[str]
    categories: dict[str, str] | None = None

    @property
    def answers(self) -> list[str]:
        """The categories that it can name, in the order of the alphabet."""
        return list(category_indices(self.classes, self.categories))


def category_probabilities(logits: torch.Tensor, indices: dict[str, list[int]]) -> np.ndarray:
    """Mean softmax probability of each category's classes, float64 [B, len(indices)]; logits: [B, classes]."""
    probabilities = logits.double().softmax(dim=1)
    return torch.stack([probabilities[:, i].mean(dim=1) for i in indices.values()], dim=1).numpy()


@torch.inference_mode()
def observe(
    observer: Observer, pictures: Iterable[tuple[Picture, Image.Image]], *, batch_size: int, device: str = "cpu"
) -> pd.DataFrame:
    """Show images to an observer; one row an image: its label, decision, predicted class, category probabilities.

    The columns p_<category> are NaN for categories that none of the network's classes belongs to.
    """
    layout = memory_format(observer.network, observer.preparation.size)
    observer.network.eval().to(device).to(memory_format=layout)
    indices = category_indices(observer.classes, observer.categories)
    columns = [CATEGORIES.index(category) for category in indices]
    rows = []
    for batch in in_batches(pictures, batch_size):
        arrays = [np.asarray(observer.preparation.picture(image)) for _, image in batch]
        images = observer.preparation.tensor(arrays).to(device, memory_format=layout)
        logits = observer.network(images).float().cpu()
        shares = category_probabilities(logits, indices)
        table = np.full((len(batch), len(CATEGORIES)), np.nan)
        table[:, columns] = shares
        decisions = [list(indices)[k] for k in shares.argmax(axis=1)]
        predicted = [observer.classes[k] for k in logits.argmax(dim=1)]
        for (picture, _), decision, name, values in zip(batch, decisions, predicted, table, strict=True):
            label = {key: picture.label.get(key) for key in COLUMNS[1:]}
            row = {"observer": observer.name, "image": picture.id} | label
            rows.append(
                row | {"decision": decision, "predicted_class": name} | dict(zip(PROBABILITIES, values, strict=True))
            )
    return pd.DataFrame(rows, columns=["observer", *COLUMNS, "decision", "predicted_class", *PROBABILITIES])


def in_batches(
    items: Iterable[tuple[Picture, Image.Image]], size: int
) -> Iterator[tuple[tuple[Picture, Image.Image], ...]]:
    stream = iter(items)
    return iter(lambda: tuple(islice(stream, size)), ())
