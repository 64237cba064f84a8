"""A network as an observer: it maps images to one of the 16 categories, or lesions to a melanoma probability.

The decision rule is the usual one of the field: take the softmax over all classes, average the probabilities of each
category's classes, and choose the category with the highest mean. Source: Geirhos et al., ICLR 2019; model-vs-human.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from shapebias.categories import CATEGORIES, category_of, ilsvrc_wnids
from shapebias.cli import progress
from shapebias.errors import UserError
from shapebias.evaluation.band_noise import count_bands
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.cue_suppression import DEFAULT_STRENGTHS, Strengths, validate_strengths
from shapebias.evaluation.decisions import PROBABILITIES
from shapebias.evaluation.inputs import ImageCache, LabelledPicture, PreparedImages, pixel_digest
from shapebias.evaluation.label_answers import PUBLISHED, choose_label_map, fix_preparation, tabulate_labels
from shapebias.evaluation.label_maps import LabelMap
from shapebias.evaluation.output_scale import OutputScale
from shapebias.evaluation.shared_files import SharedFolder
from shapebias.images.isic2017 import MELANOMA
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.networks.functions import function_network, output_tensor
from shapebias.networks.image_text import ImageTextNetwork
from shapebias.networks.models import (
    PREPARATION_HINT,
    Preparation,
    build,
    category_indices,
    input_dtype,
    load_file,
    memory_format,
    network_label,
    preparation,
    unwrap,
)
from shapebias.networks.weights import read_weights

log = logging.getLogger(__name__)

LABEL_COLUMNS = ["content", "style", "class", "shape", "shape_class", "texture", "texture_class"]
PREDICTION_COLUMNS = [
    "observer",
    "image",
    *LABEL_COLUMNS,
    "condition",
    "session",
    "imagename",
    "decision",
    "predicted_class",
]
PREDICTION_COLUMNS += ["shape_rank", "texture_rank", *PROBABILITIES]
MELANOMA_PREDICTION_COLUMNS = ["observer", "image", "content", "class", "predicted_class", "p_melanoma"]


@dataclass(frozen=True)
class Observer:
    """A network that takes part in a benchmark.

    classes: the network's outputs, in order.
    categories: class → category (None: ILSVRC's).
    facts: a description of the network for the record.
    outputs: whether the network returns logits; known after the first images.
    fitted_on: of a network with a fitted read-out, the digests of the prepared photographs → their ids.
    """

    name: str
    network: nn.Module
    preparation: Preparation
    classes: list[str]
    categories: dict[str, str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: OutputScale = field(default_factory=OutputScale)
    fitted_on: dict[str, str] = field(default_factory=dict)


def load_observer(
    timm_name: str,
    *,
    name: str | None = None,
    weights: Path | None = None,
    kwargs: dict[str, Any] | None = None,
    classes: dict[str, str] | None = None,
    input_preparation: Preparation | None = None,
    headless: bool = False,
) -> Observer:
    """Build a network and load its weights: the given file, or else the published weights.

    A weights file of scripts/train.py holds kwargs, classes and input size, and these are used.
    classes: class → category in the order of the outputs, for other weights files. By default the outputs are
    ILSVRC's 1,000 classes.
    input_preparation: how to prepare an image for the network, if timm's settings do not apply.
    headless: whether the outputs have no meaning of their own, because a read-out replaces them (`fit_read_out`).
    Raises UserError for an unknown network, for weights that do not fit it, and for outputs without names.
    """
    state, trained = read_weights(weights) if weights else (None, {})
    class_map = classes or trained.get("classes")
    kwargs = trained.get("kwargs", {}) | (kwargs or {})
    network = build(timm_name, classes=len(class_map) if class_map else None, kwargs=kwargs, pretrained=state is None)
    matching = "published"
    if state is not None:
        matching = load_file(network, state, str(weights), name=timm_name, kwargs=kwargs)
    log.info("%s: weights from %s, matched by %s", timm_name, weights or "the internet", matching)
    facts = {
        "model": trained.get("model") or name or timm_name,  # a network not trained here is its own model
        "regime": trained.get("regime"),
        "seed": trained.get("seed"),
        "timm": timm_name,
        "kwargs": kwargs,
        "weights": weights.name if weights else "pretrained",
        "weights_entry": trained.get("entry"),  # of averaged weights in a checkpoint
        "matched": matching,
    }
    input_preparation = input_preparation or preparation(network, trained.get("image_size") or kwargs.get("img_size"))
    return make_observer(network, name or timm_name, class_map, input_preparation, facts, headless)


def wrap_network(
    network: Any,
    *,
    name: str | None = None,
    classes: dict[str, str] | None = None,
    input_preparation: Preparation | None = None,
    headless: bool = False,
) -> Observer:
    """Make an observer from a network in memory: a torch network, or what `function_network` accepts.

    Wrappers are taken off (`unwrap`), so that the network itself is shown images as it expects them.
    classes, input_preparation, headless: as in `load_observer`. Raises UserError for outputs without names, for a
    network without weights, for anything that is no network, and for a network whose preparation is unknown
    (`models.preparation`).
    """
    network = unwrap(network) if isinstance(network, nn.Module) else function_network(network, name)
    name = name or getattr(network, "name", None) or network_label(network)
    if isinstance(network, ImageTextNetwork):
        classes = classes or {label: category_of(label) or "" for label in network.classes}
        input_preparation = input_preparation or network.preparation
    if any(tensor.is_meta for tensor in [*network.parameters(), *network.buffers()]):
        raise UserError(f"network {name!r} has no weights: its tensors are on the device 'meta'; load weights first")
    facts = {"model": name, "regime": None, "seed": None, "weights": "in memory"}
    return make_observer(network, name, classes, input_preparation or preparation(network), facts, headless)


def make_observer(
    network: nn.Module,
    name: str,
    classes: dict[str, str] | None,
    input_preparation: Preparation,
    facts: dict[str, Any],
    headless: bool = False,
) -> Observer:
    """Make an observer with the facts that every record holds; a headless one has no classes.

    Raises UserError if the number of outputs differs from the number of classes, and for a preparation of another type.
    """
    if not isinstance(input_preparation, Preparation):
        raise UserError(f"{name}: the preparation is a {type(input_preparation).__name__}; give {PREPARATION_HINT}")
    facts = facts | network_facts(network, name, input_preparation)
    if headless:
        return Observer(name, network, input_preparation, [], {}, facts)
    names = list(classes) if classes else ilsvrc_wnids()
    outputs = getattr(network, "num_classes", len(names))
    if outputs == 0:
        raise UserError(
            f"{name} has no classifier (0 outputs); fit a read-out on photographs: --head and --fit-on, in Python "
            f"read_out and fit_on"
        )
    if outputs != len(names):
        raise UserError(f"{name} has {outputs} outputs but {len(names)} classes; name each output (classes)")
    facts |= {
        # A network trained on melanoma knows none of the 16 categories.
        "answers": [] if MELANOMA in names else list(category_indices(names, classes)),
        "class_names": names,
        "class_categories": classes,  # None: ILSVRC's
    }
    return Observer(name, network, input_preparation, names, classes, facts)


def network_facts(network: nn.Module, name: str, input_preparation: Preparation) -> dict[str, Any]:
    """Return what the record of an observer says of its network, apart from its classes."""
    return {
        "observer": name,
        "preparation": vars(input_preparation),
        "parameters": sum(p.numel() for p in network.parameters()) or None,  # None: a function
        "precision": str(input_dtype(network)).removeprefix("torch."),
    }


@contextmanager
def preserve_network(network: nn.Module) -> Generator[None]:
    """Restore a network's mode, device and memory layout at the end of the block."""
    modes = [(module, module.training) for module in network.modules()]
    weights = [(parameter, parameter.data) for parameter in network.parameters()]
    buffers = [
        (module, key, buffer) for module in network.modules() for key, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, data in weights:
            parameter.data = data
        for module, key, held in buffers:
            setattr(module, key, held)


ImageStream = Iterable[tuple[LabelledPicture, Image.Image | np.ndarray]]
Batches = Iterator[tuple[list[LabelledPicture], torch.Tensor]]


def measure(
    observer: Observer,
    pictures: Sequence[Picture],
    kind: str,
    *,
    batch_size: int,
    workers: int,
    device: str,
    max_rejected: float,
    suppress: Strengths | None = None,
    cache: ImageCache | None = None,
    shared: SharedFolder | None = None,
    tap: Callable[[Batches], Batches] | None = None,
    labels: str | Path = PUBLISHED,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Show a benchmark to an observer. Return its answers and facts for the record.

    kind: a name of KINDS. workers: threads that decode ahead. max_rejected: the allowed fraction of broken images.
    suppress: cue → strengths for the kind `suppressed`, DEFAULT_STRENGTHS by default. cache: images of earlier calls.
    shared: images that another job prepared, see `PreparedImages`.
    tap: a generator that passes the batches through and reads the network's features (`StageReader.tap`).
    labels: for kinds with labels of their own, see `choose_label_map`.
    The answers are described in `observe`, `observe_melanoma` and `tabulate_labels`. The facts are benchmark;
    conditions, in order; outputs (logits or probabilities); shown (how many images were resized and how many were not);
    rejected. Kinds with a fixed scaling add the preparation, and kinds with labels of their own label_classes (label →
    classes).
    """
    strengths = validate_strengths(suppress or DEFAULT_STRENGTHS) if KINDS[kind].measures == "reliance" else None
    used_preparation = fix_preparation(kind, observer.preparation)
    mask = KINDS[kind].measures == "critical_band"
    if mask:
        count_bands(used_preparation.size)
    images = PreparedImages(
        pictures, used_preparation, Rejections(max_rejected), workers, cache, strengths, mask, shared
    )
    bar = refuse_fitted(observer, progress(images, total=len(images), unit="images", label=kind))
    facts: dict[str, Any] = {"preparation": vars(used_preparation)} if KINDS[kind].crop else {}
    run_observer = observe_melanoma if KINDS[kind].measures == "melanoma" else partial(observe, tap=tap)
    if KINDS[kind].rule:
        label_map = choose_label_map(kind, labels, observer.classes, observer.categories)
        label_map.positions(observer.classes)  # an unsuitable map is refused before any image is shown
        facts["label_classes"] = {label: list(names) for label, names in label_map.classes.items()}
        run_observer = partial(observe_labels, label_map=label_map)
    answers = run_observer(observer, bar, batch_size=batch_size, device=device)
    facts |= {
        "benchmark": kind,
        "conditions": order_conditions(answers, KINDS[kind].conditions),
        "outputs": observer.outputs.kind,
        "shown": images.resize_counts,
        "rejected": images.rejections.rows,
    }
    return answers, facts


def refuse_fitted(observer: Observer, images: ImageStream) -> ImageStream:
    """Pass images on. Raises UserError for an image that the observer's read-out was fitted on."""
    for picture, image in images:
        if observer.fitted_on and (photograph := observer.fitted_on.get(pixel_digest(np.asarray(image)))):
            raise UserError(
                f"{observer.name}: image {picture.id!r} is also a photograph that the read-out is fitted on "
                f"({photograph!r}); fit it on other photographs"
            )
        yield picture, image


def order_conditions(answers: pd.DataFrame, standard_order: Sequence[str]) -> list[str]:
    """Return the conditions of the answers: first in the order of the kind, then the rest in order of appearance."""
    present = [name for name in answers.get("condition", pd.Series(dtype=str)).unique() if name]
    return [name for name in standard_order if name in present] + [
        name for name in present if name not in standard_order
    ]


@torch.inference_mode()
def iterate_outputs(
    observer: Observer, pictures: ImageStream, *, batch_size: int, device: str
) -> Iterator[tuple[list[LabelledPicture], Any]]:
    """Show images to a network and yield each batch with what the network returns.

    pictures: each picture with its image, or with its prepared pixels (uint8 [size, size, 3]).
    The network computes in the precision of its weights.
    """
    layout = memory_format(observer.network.cpu(), observer.preparation.size)
    dtype = input_dtype(observer.network)
    observer.network.eval().to(device).to(memory_format=layout)
    for batch in batch_images(pictures, batch_size):
        arrays = [image if isinstance(image, np.ndarray) else prepare_image(observer, image) for _, image in batch]
        # Bytes move to the device, a quarter of the size of their normalized values.
        images = observer.preparation.tensor(arrays, device).to(dtype, memory_format=layout)
        yield [picture for picture, _ in batch], observer.network(images)


@torch.inference_mode()
def iterate_logits(observer: Observer, pictures: ImageStream, *, batch_size: int, device: str) -> Batches:
    """Show images to a network and yield each batch with its logits, float32 [B, classes] on the CPU.

    pictures: as in `iterate_outputs`. Raises UserError if the network does not return one finite number for each of its
    classes.
    """
    for batch, returned in iterate_outputs(observer, pictures, batch_size=batch_size, device=device):
        output = output_tensor(returned)
        expected_shape = (len(batch), len(observer.classes))
        if output is None:
            raise UserError(
                f"{observer.name} returns a {type(returned).__name__}, expected a tensor of logits {expected_shape}; "
                f"wrap the network in a module or a function that returns the logits alone"
            )
        if output.shape != expected_shape:
            raise UserError(
                f"{observer.name} answers {len(batch)} images with {tuple(output.shape)}, expected {expected_shape}: "
                f"one logit for each of its {expected_shape[1]} classes; name the classes of its outputs"
            )
        logits = output.float().cpu()
        not_finite = ~logits.logsumexp(dim=1).isfinite()
        if not_finite.any():
            raise UserError(
                f"{observer.name} answers image {batch[int(not_finite.int().argmax())].id!r} with logits that are "
                f"not finite (NaN or infinite); its weights are damaged, or its input is prepared in the wrong way"
            )
        yield batch, observer.outputs.logits(logits, observer.network, observer.name)
    observer.outputs.finish(observer.name)


def prepare_image(observer: Observer, image: Image.Image) -> np.ndarray:
    """Return the pixels that a network gets for an image."""
    return np.asarray(observer.preparation.resize_and_crop(image))


def observe(
    observer: Observer,
    pictures: ImageStream,
    *,
    batch_size: int,
    device: str = "cpu",
    tap: Callable[[Batches], Batches] | None = None,
) -> pd.DataFrame:
    """Show images to an observer. Return one row per image (and condition), see `tabulate_decisions`.

    tap: as in `measure`. The last bits of probabilities depend on batch size, number of threads and device.
    """
    batches = iterate_logits(observer, pictures, batch_size=batch_size, device=device)
    return tabulate_decisions(observer, tap(batches) if tap else batches)


def tabulate_decisions(
    observer: Observer, batches: Iterable[tuple[Sequence[LabelledPicture], torch.Tensor]]
) -> pd.DataFrame:
    """Turn an observer's logits (float32 [B, classes]) into one row per image, with the columns PREDICTION_COLUMNS.

    A row holds the image's label, the decision (a category), the predicted class, the ranks of the shape and of the
    texture among all classes, and the probability of each category. Rank 1 is the highest; a rank is missing if the
    network does not know the class (see `CategoryMapping.cue_ranks`). A probability is NaN if none of the network's
    classes belongs to the category.
    """
    mapping = CategoryMapping(observer)
    pictures: list[LabelledPicture] = []
    parts: list[dict[str, np.ndarray]] = []
    for batch, logits in batches:
        pictures += batch
        parts.append(mapping.decide([picture.label for picture in batch], logits))
    labels = [picture.label for picture in pictures]
    table: dict[str, Any] = {"observer": observer.name, "image": [picture.id for picture in pictures]}
    table |= {key: [label.get(key) for label in labels] for key in LABEL_COLUMNS}
    table["condition"] = [label.get("condition") or "" for label in labels]
    table["session"] = [label.get("session") or 1 for label in labels]
    table["imagename"] = [label.get("imagename") for label in labels]
    for key in parts[0] if parts else ():
        table[key] = np.concatenate([columns[key] for columns in parts])
    frame = pd.DataFrame(table, columns=PREDICTION_COLUMNS)
    for key in ("shape_rank", "texture_rank"):
        ranks = frame[key].astype("Int64")
        frame[key] = ranks.mask(ranks == 0)
    return frame


class CategoryMapping:
    """Maps the logits of a network's classes to categories: decisions, ranks and probabilities."""

    def __init__(self, observer: Observer) -> None:
        self.classes = np.array(observer.classes, dtype=object)
        self.positions = {name: k for k, name in enumerate(observer.classes)}
        self.indices = category_indices(observer.classes, observer.categories)
        self.names = np.array(list(self.indices), dtype=object)
        self.columns = [CATEGORIES.index(category) for category in self.indices]
        self.rows = {category: k for k, category in enumerate(self.indices)}
        self.members = torch.zeros(len(self.indices), len(observer.classes), dtype=torch.bool)
        for row, positions in enumerate(self.indices.values()):
            self.members[row, positions] = True

    def decide(self, labels: list[dict[str, Any]], logits: torch.Tensor) -> dict[str, np.ndarray]:
        """Return a network's answers to some images, column → [B]; logits: float32 [B, classes]."""
        probabilities = category_probabilities(logits, self.indices)
        table = np.full((len(labels), len(CATEGORIES)), np.nan)
        table[:, self.columns] = probabilities
        columns = {
            "decision": self.names[probabilities.argmax(axis=1)],
            "predicted_class": self.classes[logits.argmax(dim=1).numpy()],
        }
        for cue in ("shape", "texture"):
            names, categories = ([label.get(key) for label in labels] for key in (f"{cue}_class", cue))
            columns[f"{cue}_rank"] = self.cue_ranks(logits, names, categories)
        return columns | dict(zip(PROBABILITIES, table.T, strict=True))

    def cue_ranks(
        self, logits: torch.Tensor, names: Sequence[str | None], categories: Sequence[str | None]
    ) -> np.ndarray:
        """Return the rank of each image's class among all classes, int64 [B]: 1 is the highest, 0 means no rank.

        If an image names only a category, the rank is that of the category's best class. If two classes have equal
        logits, the earlier output of the network ranks higher, as in `predicted_class`.
        """
        class_indices = torch.tensor([self.positions.get(name, -1) if name else -1 for name in names])
        category_rows = [
            self.rows.get(category, -1) if category and (name is None or name in CATEGORIES) else -1
            for name, category in zip(names, categories, strict=True)
        ]
        rows = torch.where(class_indices < 0, torch.tensor(category_rows), -1)
        best = logits.masked_fill(~self.members[rows.clamp(min=0)], -torch.inf).argmax(dim=1)
        class_indices = torch.where(rows >= 0, best, class_indices)
        has_rank = class_indices >= 0
        index = class_indices.clamp(min=0)[:, None]
        cue_logits = logits.gather(1, index)
        before = (logits > cue_logits) | ((logits == cue_logits) & (torch.arange(logits.shape[1]) < index))
        return torch.where(has_rank, before.sum(dim=1) + 1, 0).numpy()


def category_probabilities(logits: torch.Tensor, indices: dict[str, list[int]]) -> np.ndarray:
    """Return the mean softmax probability of each category's classes, float64 [B, len(indices)].

    logits: [B, classes].
    """
    probabilities = logits.double().softmax(dim=1)
    return torch.stack([probabilities[:, i].mean(dim=1) for i in indices.values()], dim=1).numpy()


def observe_melanoma(
    observer: Observer, pictures: ImageStream, *, batch_size: int, device: str = "cpu"
) -> pd.DataFrame:
    """Show lesions to an observer. Each row holds the class, the predicted class and the probability of melanoma.

    Raises UserError if the network has no class melanoma.
    """
    if MELANOMA not in observer.classes:
        raise UserError(
            f"{observer.name}: none of its {len(observer.classes)} classes is {MELANOMA!r}; "
            f"train it on a set of kind isic2017 first"
        )
    rows = []
    for batch, logits in iterate_logits(observer, pictures, batch_size=batch_size, device=device):
        probabilities = logits.double().softmax(dim=1)[:, observer.classes.index(MELANOMA)].tolist()
        predicted = [observer.classes[k] for k in logits.argmax(dim=1)]
        for picture, name, probability in zip(batch, predicted, probabilities, strict=True):
            label = picture.label
            rows.append((observer.name, picture.id, label.get("content"), label["class"], name, probability))
    return pd.DataFrame(rows, columns=MELANOMA_PREDICTION_COLUMNS)


def observe_labels(
    observer: Observer, pictures: ImageStream, *, batch_size: int, device: str = "cpu", label_map: LabelMap
) -> pd.DataFrame:
    """Show images to an observer that answers by the labels of a map. Return one row per image (`tabulate_labels`)."""
    batches = iterate_logits(observer, pictures, batch_size=batch_size, device=device)
    return tabulate_labels(observer.name, observer.classes, label_map, batches)


def batch_images(
    items: ImageStream, size: int
) -> Iterator[tuple[tuple[LabelledPicture, Image.Image | np.ndarray], ...]]:
    stream = iter(items)
    return iter(lambda: tuple(islice(stream, size)), ())
