"""Give a network without a classifier a read-out that is fitted on labelled photographs."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.inputs import LabelledPicture, PreparedImages, pixel_digest
from shapebias.evaluation.observer import Observer, iterate_outputs
from shapebias.evaluation.output_scale import LOGITS, OutputScale
from shapebias.images.pictures import Picture, open_pictures
from shapebias.images.rejections import Rejections
from shapebias.networks.heads import READ_OUTS, FeatureNetwork, ReadOutNetwork, fit_head


def open_photographs(path: Path) -> Sequence[Picture]:
    """Return the photographs of a folder `<category>/image`, or of a shard; ILSVRC's classes have categories, too.

    Raises UserError for a photograph without one of the 16 categories.
    """
    pictures = open_pictures([path])
    for picture in pictures:
        if picture.label["shape"] not in CATEGORIES:
            raise UserError(
                f"{path}: photograph {picture.id!r} has no category; a read-out is fitted on folders with the names of "
                f"categories: {', '.join(CATEGORIES)}"
            )
    return pictures


def fit_read_out(
    observer: Observer,
    kind: str,
    path: Path,
    *,
    batch_size: int,
    workers: int,
    device: str,
    max_rejected: float,
) -> Observer:
    """Return an observer that answers by a read-out of the network's features, fitted on photographs.

    kind: one of READ_OUTS. path: as in `open_photographs`; the other arguments: as in `measure`.
    The facts hold the read-out's kind and settings, the place of the features and the number of photographs of each
    category. Raises UserError if there is nothing to fit on, and for features that are not finite.
    """
    if kind not in READ_OUTS:
        raise UserError(f"unknown read-out {kind!r}; allowed: {', '.join(READ_OUTS)}")
    network = FeatureNetwork(observer.network)
    rejections = Rejections(max_rejected)
    photographs = PreparedImages(open_photographs(path), observer.preparation, rejections, workers)
    digests = dict[str, str]()
    shown = record_digests(photographs, digests)
    headless = dataclasses.replace(observer, network=network)
    categories, parts = list[str](), list[np.ndarray]()
    for pictures, output in iterate_outputs(headless, shown, batch_size=batch_size, device=device):
        rows = output.cpu().numpy()
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            name = pictures[int(np.argmin(finite))].id
            raise UserError(f"{observer.name}: the features of photograph {name!r} are not finite (NaN or infinite)")
        categories += [picture.label["shape"] for picture in pictures]
        parts.append(rows)
    features = np.concatenate(parts) if parts else np.empty((0, 1), dtype=np.float32)
    head, names, settings = fit_head(kind, features, categories)
    own_categories = {name: name for name in names}
    facts = observer.facts | {
        "answers": names,
        "class_names": names,
        "class_categories": own_categories,
        "fitted_read_out": {
            "kind": kind,
            "settings": settings,
            "features": network.source,
            "fit_on": path.name,
            "photographs": dict(sorted(Counter(categories).items())),
            "rejected": rejections.rows,
        },
    }
    reader = ReadOutNetwork(network, head)
    scale = OutputScale(LOGITS)  # cosines from 0 to 1 are no probabilities
    return Observer(observer.name, reader, observer.preparation, names, own_categories, facts, scale, digests)


def record_digests(
    images: Iterable[tuple[LabelledPicture, np.ndarray]], digests: dict[str, str]
) -> Iterator[tuple[LabelledPicture, np.ndarray]]:
    """Pass images on and record each one's digest → id."""
    for picture, pixels in images:
        digests[pixel_digest(pixels)] = picture.id
        yield picture, pixels
