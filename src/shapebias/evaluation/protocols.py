"""Protocols: the ways in which the field turns a network's logits for cue conflicts into decisions.

Studies that measure the same network on the same images differ in how they prepare the images and in how they turn
logits into one of the 16 categories. A network's bias under all of these (its multiverse, Steegen et al. 2016) shows
how much of a difference between two published values can be due to protocol alone. Sources, read at these commits:

- geirhos2019: Geirhos et al., ICLR 2019 (rgeirhos/texture-vs-shape ccd0c01).
- model-vs-human: the toolbox of Geirhos et al., NeurIPS 2021 (bethgelab/model-vs-human 79ed7cd).
- vlm-shapebias: Gavrikov et al., ICLR 2025 (paulgavrikov/vlm_shapebias 459198f).
- alvarez2024: Alvarez and Konkle 2024 (harvard-visionlab/model-vs-human-dmc 1d076b6).
- doshi2025: the decisions of Doshi et al., NeurIPS 2025 (arXiv 2507.00493), on the 16 categories.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from shapebias.cli import progress
from shapebias.errors import BadImageError
from shapebias.evaluation.inputs import LabelledPicture
from shapebias.evaluation.observer import Observer, iterate_logits
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.networks.models import Preparation, category_indices
from shapebias.parallel import ordered_map

# How the classes of a category give its score. The highest score is the decision.
MEAN_PROBABILITY, SUM_OF_PROBABILITIES, MAX_PROBABILITY = "mean probability", "sum of probabilities", "max probability"
MEAN_LOGIT, MAX_LOGIT = "mean logit", "max logit"
AGGREGATIONS = (MEAN_PROBABILITY, SUM_OF_PROBABILITIES, MAX_PROBABILITY, MEAN_LOGIT, MAX_LOGIT)
# The classes that compete. With FIRST_CLASS the decision is the category of the most probable class, or no category.
ALL_CLASSES, CATEGORY_CLASSES, FIRST_CLASS = "all classes", "category classes", "first of all classes"
CROPS = (1.0, 0.875)  # 0.875 is Resize(256) and CenterCrop(224) for a network of 224 pixels
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class View:
    """How an image becomes the input of a network.

    The shorter side is scaled to `size` / `crop` pixels, and the central `size` × `size` pixels are shown. An image
    that has that size already is not resized.

    crop: the share of the side that is shown, as in `Preparation`.
    antialias: whether a reduced image is smoothed first, as Pillow does. False is torch's interpolation of tensors,
    whose bicubic kernel also differs from Pillow's.
    """

    crop: float
    interpolation: str
    antialias: bool

    def prepare(self, image: Image.Image, size: int) -> np.ndarray:
        """Return the pixels that the network gets, uint8 [size, size, 3]."""
        side, mode = int(size / self.crop), InterpolationMode(self.interpolation)
        transform = Compose([Resize(side, mode, antialias=self.antialias), CenterCrop(size)])
        if self.antialias:
            return np.asarray(transform(image))  # Pillow always smooths
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return transform(pixels).permute(1, 2, 0).contiguous().numpy()


@dataclass(frozen=True)
class Protocol:
    """A way to turn images into decisions.

    aggregation, label_space: see above. view: how images are prepared. ties: which of two categories with equal scores
    is the decision, the `first` in the order of CATEGORIES or the `last`. preset: the name of a published protocol.
    """

    aggregation: str
    label_space: str
    view: View
    ties: str = "first"
    preset: str = ""

    def axes(self) -> dict[str, Any]:
        """Return the protocol as columns of a table."""
        row = asdict(self)
        return row.pop("view") | row


def list_protocols(preparation: Preparation) -> list[Protocol]:
    """Return all combinations of the axes for a network, and then the published protocols."""
    views = [View(*values) for values in product(CROPS, INTERPOLATIONS, (True, False))]
    rules = [*product(AGGREGATIONS, (ALL_CLASSES, CATEGORY_CLASSES)), (MAX_PROBABILITY, FIRST_CLASS)]
    combinations = [Protocol(*rule, view) for view, rule in product(views, rules)]
    return combinations + list_presets(preparation)


def list_presets(preparation: Preparation) -> list[Protocol]:
    """Return the published protocols. Each leaves out images whose cues agree.

    preparation: the network's own, which gives the size of its input to all protocols, its interpolation to those that
    do not resize the stimuli of 224 pixels, and its crop to vlm-shapebias, which uses timm's transform.
    """
    whole = View(1.0, preparation.interpolation, antialias=True)
    own = View(preparation.crop, preparation.interpolation, antialias=True)
    bilinear = View(1.0, "bilinear", antialias=True)
    return [
        Protocol(MEAN_PROBABILITY, ALL_CLASSES, whole, "first", "geirhos2019"),
        Protocol(MEAN_PROBABILITY, ALL_CLASSES, whole, "last", "model-vs-human"),
        Protocol(MEAN_PROBABILITY, ALL_CLASSES, own, "last", "vlm-shapebias"),
        Protocol(MEAN_LOGIT, ALL_CLASSES, whole, "last", "alvarez2024"),
        Protocol(MAX_LOGIT, ALL_CLASSES, bilinear, "first", "doshi2025"),
    ]


def simplify_rule(aggregation: str, label_space: str, indices: Mapping[str, Sequence[int]], classes: int) -> str:
    """Return the name of a rule; rules that always decide alike have one name.

    indices: category → outputs of its classes. classes: number of outputs.

    A softmax over the classes of the categories alone divides all probabilities of an image by one number, so it
    changes no decision. The maximum of probabilities is at the class with the largest logit. Sums rank like means if
    all categories have equally many classes, and all aggregations agree if each category has one class. The first of
    all classes always has a category if all classes have one.
    """
    sizes = {len(positions) for positions in indices.values()}
    if label_space == FIRST_CLASS and sum(map(len, indices.values())) < classes:
        return FIRST_CLASS
    if sizes == {1}:
        return MEAN_PROBABILITY
    if len(sizes) == 1 and aggregation == SUM_OF_PROBABILITIES:
        return MEAN_PROBABILITY
    return MAX_LOGIT if aggregation == MAX_PROBABILITY else aggregation


def decide(
    logits: torch.Tensor, indices: Mapping[str, Sequence[int]], rules: Sequence[str], ties: str = "first"
) -> np.ndarray:
    """Return decisions, int64 [B, rules]: positions in `indices`, -1 if the first class has no category.

    logits: float [B, classes]. rules: names from `simplify_rule`.
    """
    logits = logits.double()
    probabilities = logits.softmax(dim=1)
    members = [list(positions) for positions in indices.values()]
    scores = {
        MEAN_PROBABILITY: lambda: [probabilities[:, k].mean(dim=1) for k in members],
        SUM_OF_PROBABILITIES: lambda: [probabilities[:, k].sum(dim=1) for k in members],
        MEAN_LOGIT: lambda: [logits[:, k].mean(dim=1) for k in members],
        MAX_LOGIT: lambda: [logits[:, k].amax(dim=1) for k in members],
    }
    decisions = np.empty((len(logits), len(rules)), dtype=np.int64)
    for column, rule in enumerate(rules):
        if rule == FIRST_CLASS:
            category = np.full(logits.shape[1], -1)
            for position, outputs in enumerate(members):
                category[outputs] = position
            decisions[:, column] = category[logits.argmax(dim=1).numpy()]
        else:
            decisions[:, column] = argmax(torch.stack(scores[rule](), dim=1).numpy(), ties)
    return decisions


def argmax(scores: np.ndarray, ties: str) -> np.ndarray:
    """Return the position of the largest score in each row; ties: `first` or `last` of equal scores."""
    if ties == "first":
        return scores.argmax(axis=1)
    return scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)


@dataclass
class PreparedViews:
    """Pictures in all views: an iterable of (picture, pixels) for `iterate_logits`, without equal pixels of a picture.

    items: after iteration, for each usable picture the position in the stream of each of its views, [pictures, views].
    pictures_used: the usable pictures, in order.
    """

    pictures: Sequence[Picture]
    views: Sequence[View]
    size: int
    rejections: Rejections
    workers: int = 0
    items: list[list[int]] = field(default_factory=list)
    pictures_used: list[Picture] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[LabelledPicture, np.ndarray]]:
        count = 0
        prepared = ordered_map(self.prepare, self.pictures, self.workers)
        bar = progress(prepared, total=len(self.pictures), unit="images", label="protocols")
        for picture, outcome in zip(self.pictures, bar, strict=True):
            if isinstance(outcome, BadImageError):
                self.rejections.add(picture.label["content"] or picture.id, outcome)
                continue
            distinct, places = outcome
            self.items.append([count + place for place in places])
            self.pictures_used.append(picture)
            count += len(distinct)
            for pixels in distinct:
                yield picture, pixels
        self.rejections.check(len(self.pictures))

    def prepare(self, picture: Picture) -> tuple[list[np.ndarray], list[int]] | BadImageError:
        """Return the different pixels of a picture and each view's position among them, or the picture's error."""
        try:
            image = picture.image()
        except BadImageError as error:
            return error
        distinct: dict[bytes, tuple[int, np.ndarray]] = {}
        places = []
        for view in self.views:
            pixels = view.prepare(image, self.size)
            places.append(distinct.setdefault(pixels.tobytes(), (len(distinct), pixels))[0])
        return [pixels for _, pixels in distinct.values()], places


def measure_protocols(
    observer: Observer, pictures: Sequence[Picture], *, batch_size: int, workers: int, device: str, max_rejected: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a network's decisions on cue conflicts under all protocols, and facts for the record.

    The network sees each image once in each preparation whose pixels differ. The table has one row per image: image,
    shape, texture and a column of decisions (categories, or missing) for each protocol that can differ from the others.
    The facts are protocols: for each protocol its axes and the column of its decisions; preparations: the number of
    preparations that differ for at least one image; rejected: images that cannot be read.
    Errors: as in `iterate_logits` and `Rejections.check`.
    """
    protocols = list_protocols(observer.preparation)
    indices = category_indices(observer.classes, observer.categories)
    names = [simplify_rule(p.aggregation, p.label_space, indices, len(observer.classes)) for p in protocols]
    rules = list(dict.fromkeys(names))
    views = list(dict.fromkeys(protocol.view for protocol in protocols))
    stream = PreparedViews(pictures, views, observer.preparation.size, Rejections(max_rejected), workers)
    parts = [
        np.stack([decide(logits, indices, rules, ties) for ties in ("first", "last")])
        for _, logits in iterate_logits(observer, stream, batch_size=batch_size, device=device)
    ]
    items = np.array(stream.items)
    decisions = np.concatenate(parts, axis=1)[:, items]  # [2, images, views, rules]
    _, view_groups = np.unique(items, axis=1, return_inverse=True)
    last_differs = (decisions[0] != decisions[1]).any(axis=0)  # [views, rules]
    categories = np.array([*indices, None], dtype=object)  # -1 is the last
    columns: dict[tuple[int, str, bool], str] = {}
    table: dict[str, Any] = {"image": [picture.id for picture in stream.pictures_used]}
    table |= {cue: [picture.label[cue] for picture in stream.pictures_used] for cue in ("shape", "texture")}
    rows = []
    for protocol, name in zip(protocols, names, strict=True):
        view, rule = views.index(protocol.view), rules.index(name)
        last = protocol.ties == "last" and bool(last_differs[view, rule])
        column = columns.setdefault((int(view_groups[view]), name, last), f"decision_{len(columns)}")
        table.setdefault(column, categories[decisions[int(last), :, view, rule]])
        rows.append(protocol.axes() | {"column": column})
    facts = {"protocols": rows, "preparations": len(np.unique(view_groups)), "rejected": stream.rejections.rows}
    return pd.DataFrame(table), facts
