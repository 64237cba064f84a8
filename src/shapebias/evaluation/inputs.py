"""What a network sees of pictures: decoded ahead by threads, fitted to its input, kept for those who look again."""

import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from shapebias.errors import BadImageError
from shapebias.evaluation.cue_suppression import Strengths, conditions, suppressed
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, Sample
from shapebias.networks.models import Preparation
from shapebias.parallel import ordered_map

CAPACITY = 2**30  # bytes of pixels: 7,000 images of 224 px
SHOWN = ("as they are", "resized")


class Labelled(Protocol):
    """Something with a name and a label, as a picture has."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> Label: ...


@dataclass(frozen=True)
class InCondition:
    """A picture in one of the conditions that it is shown in."""

    picture: Picture
    condition: str

    @property
    def id(self) -> str:
        return self.picture.id

    @property
    def label(self) -> Label:
        return self.picture.label | {"condition": self.condition}


@dataclass(frozen=True)
class Fitted:
    """An image as a network gets it, uint8 [size, size, 3], and whether it was resized for that."""

    pixels: np.ndarray
    resized: bool


class Kept:
    """Fitted images for the next benchmark that shows them, or the next network of the same input; threads share it.

    At most `capacity` bytes of pixels, those that came first: keeping the last instead would keep nothing of a
    larger benchmark that is shown again from its start. A file that has changed since is another image.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.bytes = 0
        self.images: dict[Hashable, Fitted] = {}
        self.lock = threading.Lock()

    def get(self, key: Hashable) -> Fitted | None:
        return self.images.get(key)

    def put(self, key: Hashable, fitted: Fitted) -> None:
        with self.lock:
            if key not in self.images and self.bytes + fitted.pixels.nbytes <= self.capacity:
                self.images[key] = fitted
                self.bytes += fitted.pixels.nbytes


@dataclass
class Sights:
    """Pictures as a network sees them: iterates over (picture, pixels uint8 [size, size, 3]), in their order.

    Broken images go to `rejections`, too many raise UserError before the end. workers: threads that decode ahead.
    suppress: cue → strengths; each picture then comes in all conditions, one after the other, from one decoding.
    shown: after the last, how many images were resized, and how many not (those may still have been cropped).
    """

    pictures: Sequence[Picture]
    preparation: Preparation
    rejections: Rejections
    workers: int = 0
    kept: Kept | None = None
    suppress: Strengths | None = None
    shown: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SHOWN, 0))

    def __len__(self) -> int:
        return len(self.pictures) * (len(conditions(self.suppress)) if self.suppress else 1)

    def __iter__(self) -> Iterator[tuple[Labelled, np.ndarray]]:
        for picture, seen in zip(self.pictures, ordered_map(self.look, self.pictures, self.workers), strict=True):
            if isinstance(seen, BadImageError):
                self.rejections.add(picture.label["content"] or picture.id, seen)
                continue
            resized, views = seen
            self.shown[SHOWN[resized]] += 1
            yield from views
        self.rejections.check(len(self.pictures))

    def look(self, picture: Picture) -> tuple[bool, list[tuple[Labelled, np.ndarray]]] | BadImageError:
        """Whether the picture was resized, and what is shown of it; or why nothing is."""
        try:
            fitted = self.fitted(picture)
        except BadImageError as error:
            return error
        if not self.suppress:
            return fitted.resized, [(picture, fitted.pixels)]
        made = suppressed(fitted.pixels, picture.id, self.suppress)
        return fitted.resized, [(InCondition(picture, condition), pixels) for condition, pixels in made]

    def fitted(self, picture: Picture) -> Fitted:
        """The picture as the network gets it, from those kept or decoded anew; raises BadImageError."""
        if self.kept is None:
            return fit(picture, self.preparation)
        key = self.key(picture)
        found = self.kept.get(key)
        if found is None:
            found = fit(picture, self.preparation)
            self.kept.put(key, found)
        return found

    def key(self, picture: Picture) -> tuple[Path, int, int, str, int, str, float]:
        """All that the fitted image depends on."""
        file, prepared = picture.origin.stat(), self.preparation
        state = (picture.origin, file.st_mtime_ns, file.st_size)
        return *state, picture.id, prepared.size, prepared.interpolation, prepared.crop


def fit(picture: Picture, prepared: Preparation) -> Fitted:
    """Decode a picture and fit it to a network's input; raises BadImageError.

    Stimuli from elsewhere get the network's own transform, its crop too; images packed here were cut square already.
    """
    image = picture.image()
    pixels = np.asarray(prepared.resize_and_crop(image, keep_square=isinstance(picture, Sample)))
    return Fitted(pixels, resized=min(image.size) != prepared.size)
