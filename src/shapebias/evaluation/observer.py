"""A network as an observer: images in, one of the 16 categories out, or how likely a lesion is a melanoma.

The decision is the field's: softmax over all classes, mean probability over each category's classes, the
category with the highest mean. Source: Geirhos et al., ICLR 2019; model-vs-human.
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

from shapebias.categories import CATEGORIES, ilsvrc_wnids
from shapebias.cli import progress
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.cue_suppression import STRENGTHS, Strengths, checked
from shapebias.evaluation.decisions import PROBABILITIES
from shapebias.evaluation.inputs import Kept, Labelled, Sights
from shapebias.images.isic2017 import MELANOMA
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.networks.models import Preparation, build, category_indices, memory_format, preparation
from shapebias.networks.weights import load_weights, read_weights

log = logging.getLogger(__name__)

LABELS = ["content", "style", "class", "shape", "shape_class", "texture", "texture_class"]
COLUMNS = ["observer", "image", *LABELS, "condition", "session", "imagename", "decision", "predicted_class"]
COLUMNS += ["shape_rank", "texture_rank", *PROBABILITIES]
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
    prepared: Preparation | None = None,
) -> Observer:
    """Build a network and load its weights (without a file, the published ones).

    What scripts/train.py left in a weights file (kwargs, classes, input size) is used; classes (class → category,
    in the order of the outputs) says it for other files. Otherwise the outputs are ILSVRC's 1,000 classes.
    prepared: what the network expects of an image, if it is not what timm knows.
    Raises UserError for an unknown network, weights that do not fit it, outputs without names.
    """
    state, trained = read_weights(weights) if weights else (None, {})
    own = classes or trained.get("classes")
    kwargs = trained.get("kwargs", {}) | (kwargs or {})
    network = build(timm_name, classes=len(own) if own else None, kwargs=kwargs, pretrained=state is None)
    matched = "published" if state is None else load_weights(network, state, str(weights))
    log.info("%s: weights from %s, matched by %s", timm_name, weights or "the internet", matched)
    facts = {
        "model": trained.get("model") or name or timm_name,  # a network not trained here is its own model
        "regime": trained.get("regime"),
        "seed": trained.get("seed"),
        "timm": timm_name,
        "kwargs": kwargs,
        "weights": weights.name if weights else "pretrained",
        "matched": matched,
    }
    prepared = prepared or preparation(network, trained.get("image_size") or kwargs.get("img_size"))
    return named(network, name or timm_name, own, prepared, facts)


def observer_of(
    network: nn.Module,
    *,
    name: str | None = None,
    classes: dict[str, str] | None = None,
    prepared: Preparation | None = None,
) -> Observer:
    """A network in memory as an observer; classes, prepared: as in `load_observer`. Raises UserError likewise."""
    name = name or getattr(network, "pretrained_cfg", {}).get("architecture") or type(network).__name__
    facts = {"model": name, "regime": None, "seed": None, "weights": "in memory"}
    return named(network, name, classes, prepared or preparation(network), facts)


def named(
    network: nn.Module, name: str, classes: dict[str, str] | None, prepared: Preparation, facts: dict[str, Any]
) -> Observer:
    """An observer and what all records say of one; raises UserError where outputs and classes differ in number."""
    names = list(classes) if classes else ilsvrc_wnids()
    outputs = getattr(network, "num_classes", len(names))
    if outputs != len(names):
        raise UserError(f"{name} has {outputs} outputs, {len(names)} classes are known; name them (classes)")
    facts = facts | {
        "observer": name,
        "preparation": vars(prepared),
        # A network that tells melanomas knows none of the 16 categories.
        "answers": [] if MELANOMA in names else list(category_indices(names, classes)),
        "class_names": names,
        "class_categories": classes,  # None: ILSVRC's
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return Observer(name, network, prepared, names, classes, facts)


@contextmanager
def unchanged(network: nn.Module) -> Generator[None]:
    """Whatever is done to a network's mode, device and memory layout inside, it leaves as it was."""
    modes = [(module, module.training) for module in network.modules()]
    weights = [(parameter, parameter.data) for parameter in network.parameters()]
    buffers = [(module, key, held) for module in network.modules() for key, held in module.named_buffers(recurse=False)]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, data in weights:
            parameter.data = data
        for module, key, held in buffers:
            setattr(module, key, held)


Shown = Iterable[tuple[Labelled, Image.Image | np.ndarray]]
Batches = Iterator[tuple[list[Labelled], torch.Tensor]]


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
    kept: Kept | None = None,
    tap: Callable[[Batches], Batches] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Show a benchmark to an observer: its answers (see `observe`, `observe_melanoma`), and facts for the record.

    kind: of KINDS. workers: threads that decode ahead. max_rejected: the fraction of the images that may be broken.
    suppress: cue → strengths for the kind `suppressed`, STRENGTHS by default. kept: images of earlier calls.
    tap: hands batches on while the network is shown them, to read its features on the way (`StageReader.tap`).
    Facts: benchmark; conditions, in order; shown (how many images were resized, how many not); rejected.
    """
    strengths = checked(suppress or STRENGTHS) if KINDS[kind].measures == "reliance" else None
    sights = Sights(pictures, observer.preparation, Rejections(max_rejected), workers, kept, strengths)
    bar = progress(sights, total=len(sights), unit="image", what=kind)
    show = observe_melanoma if KINDS[kind].measures == "melanoma" else partial(observe, tap=tap)
    answered = show(observer, bar, batch_size=batch_size, device=device)
    facts = {
        "benchmark": kind,
        "conditions": conditions_of(answered, KINDS[kind].conditions),
        "shown": sights.shown,
        "rejected": sights.rejections.rows,
    }
    return answered, facts


def conditions_of(answered: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """The conditions that images were shown in: those of the kind in its order, then others as they came."""
    found = [name for name in answered.get("condition", pd.Series(dtype=str)).unique() if name]
    return [name for name in known if name in found] + [name for name in found if name not in known]


@torch.inference_mode()
def answers(observer: Observer, pictures: Shown, *, batch_size: int, device: str) -> Batches:
    """Show images to a network; yields each batch with its logits, float32 [B, classes] on the CPU.

    pictures: each with its image, or with what the network sees of it (uint8 [size, size, 3]).
    Raises UserError for a network that does not answer with a finite number for each of its classes.
    """
    layout = memory_format(observer.network.cpu(), observer.preparation.size)
    observer.network.eval().to(device).to(memory_format=layout)
    for batch in in_batches(pictures, batch_size):
        arrays = [image if isinstance(image, np.ndarray) else fitted(observer, image) for _, image in batch]
        images = observer.preparation.tensor(arrays).to(device, memory_format=layout)
        said = observer.network(images)
        wanted = (len(batch), len(observer.classes))
        if not isinstance(said, torch.Tensor) or said.shape != wanted:
            told = tuple(said.shape) if isinstance(said, torch.Tensor) else type(said).__name__
            raise UserError(
                f"{observer.name} answers {len(batch)} images with {told}, expected {wanted}: a logit for each of its "
                f"{wanted[1]} classes; name the classes of its outputs"
            )
        logits = said.detach().float().cpu()
        unclear = ~logits.logsumexp(dim=1).isfinite()
        if unclear.any():
            raise UserError(
                f"{observer.name} answers image {batch[int(unclear.int().argmax())][0].id!r} with logits that are no "
                f"numbers (NaN or infinite); its weights are damaged, or its input is not prepared as it expects"
            )
        yield [picture for picture, _ in batch], logits


def fitted(observer: Observer, image: Image.Image) -> np.ndarray:
    """What a network sees of an image."""
    return np.asarray(observer.preparation.resize_and_crop(image))


def observe(
    observer: Observer,
    pictures: Shown,
    *,
    batch_size: int,
    device: str = "cpu",
    tap: Callable[[Batches], Batches] | None = None,
) -> pd.DataFrame:
    """Show images to an observer; one row an image (and condition), see `answered`. tap: as in `measure`.

    Batches of another size, other threads and other devices may differ in the last bits of probabilities.
    """
    batches = answers(observer, pictures, batch_size=batch_size, device=device)
    return answered(observer, tap(batches) if tap else batches)


def answered(observer: Observer, batches: Iterable[tuple[Sequence[Labelled], torch.Tensor]]) -> pd.DataFrame:
    """What an observer's logits (float32 [B, classes]) say of each image, in the columns of COLUMNS.

    That is its label, the decision (a category), the class predicted, the rank of its shape and of its texture among
    all classes (1 is first; missing where the network knows no such class, see `Mapping.cue_ranks`) and the probability
    of each category, NaN for those that none of the network's classes belongs to.
    """
    mapping = Mapping(observer)
    shown: list[Labelled] = []
    parts: list[dict[str, np.ndarray]] = []
    for batch, logits in batches:
        shown += batch
        parts.append(mapping.decided([picture.label for picture in batch], logits))
    labels = [picture.label for picture in shown]
    table: dict[str, Any] = {"observer": observer.name, "image": [picture.id for picture in shown]}
    table |= {key: [known.get(key) for known in labels] for key in LABELS}
    table["condition"] = [known.get("condition") or "" for known in labels]
    table["session"] = [known.get("session") or 1 for known in labels]
    table["imagename"] = [known.get("imagename") for known in labels]
    for key in parts[0] if parts else ():
        table[key] = np.concatenate([part[key] for part in parts])
    frame = pd.DataFrame(table, columns=COLUMNS)
    for key in ("shape_rank", "texture_rank"):
        ranks = frame[key].astype("Int64")
        frame[key] = ranks.mask(ranks == 0)
    return frame


class Mapping:
    """From the logits of a network's classes to categories: the field's decision, and what goes with it."""

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

    def decided(self, labels: list[dict[str, Any]], logits: torch.Tensor) -> dict[str, np.ndarray]:
        """What a network says of some images, column → [B]; logits: float32 [B, classes]."""
        shares = category_probabilities(logits, self.indices)
        table = np.full((len(labels), len(CATEGORIES)), np.nan)
        table[:, self.columns] = shares
        said = {
            "decision": self.names[shares.argmax(axis=1)],
            "predicted_class": self.classes[logits.argmax(dim=1).numpy()],
        }
        for cue in ("shape", "texture"):
            names, categories = ([known.get(key) for known in labels] for key in (f"{cue}_class", cue))
            said[f"{cue}_rank"] = self.cue_ranks(logits, names, categories)
        return said | dict(zip(PROBABILITIES, table.T, strict=True))

    def cue_ranks(
        self, logits: torch.Tensor, names: Sequence[str | None], categories: Sequence[str | None]
    ) -> np.ndarray:
        """The rank of each image's class among all classes, int64 [B], 1 is first; 0 where there is none.

        Of an image that names a category only, it is the rank of the category's best class. Of two classes with equal
        logits the one that comes first in the network is first, as it is in `predicted_class`.
        """
        wanted = torch.tensor([self.positions.get(name, -1) if name else -1 for name in names])
        named = [
            self.rows.get(category, -1) if category and (name is None or name in CATEGORIES) else -1
            for name, category in zip(names, categories, strict=True)
        ]
        rows = torch.where(wanted < 0, torch.tensor(named), -1)
        best = logits.masked_fill(~self.members[rows.clamp(min=0)], -torch.inf).argmax(dim=1)
        wanted = torch.where(rows >= 0, best, wanted)
        known = wanted >= 0
        index = wanted.clamp(min=0)[:, None]
        mine = logits.gather(1, index)
        before = (logits > mine) | ((logits == mine) & (torch.arange(logits.shape[1]) < index))
        return torch.where(known, before.sum(dim=1) + 1, 0).numpy()


def category_probabilities(logits: torch.Tensor, indices: dict[str, list[int]]) -> np.ndarray:
    """Mean softmax probability of each category's classes, float64 [B, len(indices)]; logits: [B, classes]."""
    probabilities = logits.double().softmax(dim=1)
    return torch.stack([probabilities[:, i].mean(dim=1) for i in indices.values()], dim=1).numpy()


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


def in_batches(items: Shown, size: int) -> Iterator[tuple[tuple[Labelled, Image.Image | np.ndarray], ...]]:
    stream = iter(items)
    return iter(lambda: tuple(islice(stream, size)), ())
