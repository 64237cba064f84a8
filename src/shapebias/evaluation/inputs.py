"""Prepare pictures for a network: decode them in threads, fit them to the network's input, and keep the result."""

import hashlib
import json
import threading
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shapebias.errors import BadImageError
from shapebias.evaluation.band_noise import choose_condition, mask_image, noise_condition
from shapebias.evaluation.cue_suppression import Strengths, list_conditions, suppress_each
from shapebias.evaluation.fingerprints import fingerprint_measurement
from shapebias.evaluation.shared_files import SharedFolder
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, Sample
from shapebias.networks.models import Preparation
from shapebias.parallel import ordered_map

CAPACITY = 2**30  # bytes of pixels: 7,000 images of 224 px
SHARED_BYTES = 2**28  # bytes of pixels in one shared file: 1,780 images of 224 px
RESIZE_LABELS = ("as they are", "resized")


class LabelledPicture(Protocol):
    """A picture's id and label, without its pixels."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> Label: ...


@dataclass(frozen=True)
class PictureInCondition:
    """A picture in one of its conditions."""

    picture: Picture
    condition: str

    @property
    def id(self) -> str:
        return self.picture.id

    @property
    def label(self) -> Label:
        return self.picture.label | {"condition": self.condition}


@dataclass(frozen=True)
class FittedImage:
    """A network's input image, uint8 [size, size, 3].

    resized: whether the original image was resized for it. uses_crop: whether it depends on the network's crop.
    """

    pixels: np.ndarray
    resized: bool
    uses_crop: bool


@dataclass(frozen=True)
class PreparedPicture:
    """A picture in each of its conditions, uint8 [conditions, size, size, 3]; resized, uses_crop: as in FittedImage."""

    views: Sequence[np.ndarray]
    resized: bool
    uses_crop: bool


class ImageCache:
    """Fitted images, cached for the next benchmark with the same images or the next network with the same input.

    Threads share the cache. It holds at most `capacity` bytes of pixels, and the first images stay. If the last images
    stayed instead, a second pass over a larger benchmark would find none of its images. A changed file counts as a
    new image.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.bytes = 0
        self.images: dict[Hashable, FittedImage] = {}
        self.lock = threading.Lock()

    def get(self, key: Hashable) -> FittedImage | None:
        return self.images.get(key)

    def put(self, key: Hashable, fitted: FittedImage) -> None:
        with self.lock:
            if key not in self.images and self.bytes + fitted.pixels.nbytes <= self.capacity:
                self.images[key] = fitted
                self.bytes += fitted.pixels.nbytes


@dataclass
class PreparedImages:
    """Pictures prepared for a network: an iterable of (picture, pixels uint8 [size, size, 3]), in order.

    rejections: collects broken images. Too many broken images raise UserError before the end.
    workers: threads that decode ahead.
    suppress: cue → strengths. Each picture is decoded once and then comes in each condition, one after another.
    mask: whether each picture without a condition gets noise of one band, as `band_noise` describes.
    shared: a folder for the prepared images, where the next network with the same input finds them. Sets of more than
    SHARED_BYTES are left out.
    resize_counts: after the last picture, how many images were resized and how many were not. An image that was not
    resized may still have been cropped.
    """

    pictures: Sequence[Picture]
    preparation: Preparation
    rejections: Rejections
    workers: int = 0
    cache: ImageCache | None = None
    suppress: Strengths | None = None
    mask: bool = False
    shared: SharedFolder | None = None
    resize_counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESIZE_LABELS, 0))

    def __len__(self) -> int:
        return len(self.pictures) * (len(list_conditions(self.suppress)) if self.suppress else 1)

    def __iter__(self) -> Iterator[tuple[LabelledPicture, np.ndarray]]:
        for picture, prepared in zip(self.pictures, self.prepare_all(), strict=True):
            if isinstance(prepared, BadImageError):
                self.rejections.add(picture.label["content"] or picture.id, prepared)
                continue
            self.resize_counts[RESIZE_LABELS[prepared.resized]] += 1
            for condition, pixels in zip(self.conditions(picture), prepared.views, strict=True):
                yield picture if condition is None else PictureInCondition(picture, condition), pixels
        self.rejections.check(len(self.pictures))

    def conditions(self, picture: Picture) -> Sequence[str | None]:
        """Return the conditions in which a picture is shown; None: as its label says."""
        if self.suppress:
            return list_conditions(self.suppress)
        masked = self.mask and not picture.label.get("condition")
        return [noise_condition(*choose_condition(picture.id, self.preparation.size)) if masked else None]

    def prepare_all(self) -> Iterator[PreparedPicture | BadImageError]:
        """Yield each prepared picture, or its error, from the shared folder or made now."""
        prepared = ordered_map(self.prepare, self.pictures, self.workers)
        if self.shared is None or 3 * self.preparation.size**2 * len(self) > SHARED_BYTES:
            yield from prepared
            return
        # Packed images are square, and networks that differ in their crop alone share them.
        for uses_crop in (False, True):
            if arrays := self.shared.read(self.fingerprint(uses_crop)):
                yield from unpack_pictures(arrays)
                return
        made = []
        for outcome in prepared:
            made.append(outcome)
            yield outcome
        usable = [outcome for outcome in made if isinstance(outcome, PreparedPicture)]
        if usable:
            fingerprint = self.fingerprint(any(picture.uses_crop for picture in usable))
            self.shared.write(fingerprint, pack_pictures(made))

    def fingerprint(self, uses_crop: bool) -> str:
        """Return the name of the shared file with the prepared images; uses_crop: whether they depend on the crop."""
        settings: dict[str, Any] = {"size": self.preparation.size, "interpolation": self.preparation.interpolation}
        settings |= {"crop": self.preparation.crop if uses_crop else None, "suppress": self.suppress}
        settings |= {"resizes_all": self.preparation.resizes_all}
        settings |= {"mask": True} if self.mask else {}
        return fingerprint_measurement({"prepare": settings}, self.pictures)

    def prepare(self, picture: Picture) -> PreparedPicture | BadImageError:
        """Return a picture in each condition, or the error if the picture is broken."""
        try:
            fitted = self.fit_cached(picture)
        except BadImageError as error:
            return error
        if not self.suppress:
            pixels = fitted.pixels
            if self.mask and not picture.label.get("condition"):
                pixels = mask_image(pixels, picture.id, *choose_condition(picture.id, self.preparation.size))
            return PreparedPicture([pixels], fitted.resized, fitted.uses_crop)
        views = [pixels for _, pixels in suppress_each(fitted.pixels, picture.id, self.suppress)]
        return PreparedPicture(views, fitted.resized, fitted.uses_crop)

    def fit_cached(self, picture: Picture) -> FittedImage:
        """Return the picture's fitted image, from the cache or decoded now. Raises BadImageError."""
        key = self.cache_key(picture) if self.cache else None
        if self.cache is None or key is None:
            return fit_picture(picture, self.preparation)
        fitted = self.cache.get(key)
        if fitted is None:
            fitted = fit_picture(picture, self.preparation)
            self.cache.put(key, fitted)
        return fitted

    def cache_key(self, picture: Picture) -> tuple[Path, int, int, str, int, str, float, bool] | None:
        """Return everything that the fitted image depends on, or None if its file leads nowhere."""
        try:
            file, preparation = picture.origin.stat(), self.preparation
        except OSError:
            return None
        file_state = (picture.origin, file.st_mtime_ns, file.st_size)
        settings = preparation.size, preparation.interpolation, preparation.crop, preparation.resizes_all
        return *file_state, picture.id, *settings


def fit_picture(picture: Picture, preparation: Preparation) -> FittedImage:
    """Decode a picture and fit it to a network's input. Raises BadImageError.

    Images that this library packed are already square, so they are not cropped. Other images get the network's own
    transform, including its crop.
    """
    image = picture.image()
    keep_square = isinstance(picture, Sample)
    pixels = np.asarray(preparation.resize_and_crop(image, keep_square=keep_square))
    uses_crop = preparation.uses_crop(image, keep_square=keep_square)
    return FittedImage(pixels, preparation.resizes(image), uses_crop)


def pixel_digest(pixels: np.ndarray) -> str:
    """Return the SHA-256 of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def pack_pictures(pictures: Sequence[PreparedPicture | BadImageError]) -> dict[str, np.ndarray]:
    """Return prepared pictures and errors as arrays. At least one picture must be without an error."""
    usable = [picture for picture in pictures if isinstance(picture, PreparedPicture)]
    errors = [str(picture) if isinstance(picture, BadImageError) else None for picture in pictures]
    return {
        "pixels": np.stack([np.stack(picture.views) for picture in usable]),
        "resized": np.array([picture.resized for picture in usable]),
        "uses_crop": np.array([picture.uses_crop for picture in usable]),
        "errors": np.frombuffer(json.dumps(errors).encode(), dtype=np.uint8),
    }


def unpack_pictures(arrays: dict[str, np.ndarray]) -> Iterator[PreparedPicture | BadImageError]:
    """Yield the pictures and errors of `pack_pictures`, in order."""
    usable = zip(arrays["pixels"], arrays["resized"].tolist(), arrays["uses_crop"].tolist(), strict=True)
    for error in json.loads(arrays["errors"].tobytes()):
        yield PreparedPicture(*next(usable)) if error is None else BadImageError(error)
