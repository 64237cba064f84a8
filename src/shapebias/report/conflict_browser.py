"""Conflict images to browse with every observer's answer: a bounded sample, small enough to travel inside a page."""

import base64
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

from shapebias.categories import CATEGORIES
from shapebias.errors import BadImageError, UserError
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.images.pictures import Picture
from shapebias.seeding import generator

log = logging.getLogger(__name__)

MOST = 240  # images
SIDE = 96  # pixels
MOST_BYTES = 3_000_000  # of all thumbnails together, as they stand in the page
QUALITIES = (80, 60, 40, 20)  # of WebP, the first that fits
LABELS = ("image", "shape", "texture")
NO_ANSWER, NOT_SHOWN = -1, -2  # in place of the position of a category


@dataclass(frozen=True)
class Thumbnail:
    """One conflict image, and what became of it."""

    image: str
    shape: str
    texture: str
    uri: str
    answers: list[int]  # by observer: position in CATEGORIES, NO_ANSWER or NOT_SHOWN

    @property
    def alt(self) -> str:
        return f"Shape: {self.shape}, texture: {self.texture}"

    @property
    def counts(self) -> str:
        """How the answers fall, in words."""
        given = [answer for answer in self.answers if answer >= 0]
        shape, texture = (
            sum(answer == CATEGORIES.index(cue) for answer in given) for cue in (self.shape, self.texture)
        )
        return f"{shape} shape, {texture} texture, {len(given) - shape - texture} else"


@dataclass(frozen=True)
class Browser:
    """The images of one benchmark that can be browsed."""

    benchmark: str
    observers: list[str]
    thumbnails: list[Thumbnail]
    total: int  # conflict images of the benchmark

    def data(self) -> dict[str, Any]:
        """What the page's script needs: answers, in the order of the thumbnails on the page."""
        return {"observers": self.observers, "answers": [thumbnail.answers for thumbnail in self.thumbnails]}


def browser(
    benchmark: str,
    answers: pd.DataFrame,
    pictures: Sequence[Picture],
    *,
    most: int = MOST,
    most_bytes: int = MOST_BYTES,
) -> Browser:
    """Choose images of a benchmark, spread over the categories of shape, the same ones each time, and shrink them.

    answers: of `reading.read_answers`. Images that cannot be read are passed over.
    Raises UserError if none of the pictures is an image of the answers.
    """
    observers = [name for name in answers.columns if name not in LABELS]
    known = answers["shape"].isin(CATEGORIES) & answers["texture"].isin(CATEGORIES)
    conflicts = answers[known & (answers["shape"] != answers["texture"])]
    found = {stimulus_name(picture.id): picture for picture in pictures}
    present = conflicts[conflicts["image"].isin(list(found))]
    if present.empty:
        raise UserError(
            f"none of the {len(pictures)} images given for benchmark {benchmark!r} is one of those that were answered, "
            f"such as {answers['image'].iloc[0] if len(answers) else 'none'}; give the images of this benchmark"
        )
    shrunk = []
    for row in chosen(present, most).to_dict("records"):
        try:
            image = found[row["image"]].image()
        except BadImageError as error:
            log.warning("%s: not shown in the report (%s)", row["image"], error)
            continue
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        shrunk.append((row, image))
    files = encoded([image for _, image in shrunk], most_bytes)
    thumbnails = [
        Thumbnail(row["image"], row["shape"], row["texture"], uri, [code(row[name]) for name in observers])
        for (row, _), uri in zip(shrunk, files, strict=False)  # fewer where even the smallest files are too many
    ]
    return Browser(benchmark, observers, thumbnails, len(conflicts))


def chosen(conflicts: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, a category of shape after the other in turn, so that any beginning is spread over them.

    Within a category the order is drawn by the names of the images: it does not depend on the others, or on order.
    """
    drawn = [generator(0, "browse", image).random() for image in conflicts["image"]]
    rows = conflicts.assign(drawn=drawn).sort_values(["shape", "drawn"], kind="stable")
    turn = rows.groupby("shape").cumcount()
    return (
        rows.assign(turn=turn).sort_values(["turn", "shape"], kind="stable").head(most).drop(columns=["drawn", "turn"])
    )


def encoded(images: Sequence[Image.Image], most_bytes: int) -> list[str]:
    """data: URIs of WebP files at the best quality at which all of them fit; as many as fit at the lowest."""
    uris: list[str] = []
    for quality in QUALITIES:
        uris = [_uri(image, quality) for image in images]
        if sum(map(len, uris)) <= most_bytes:
            return uris
    fitting, size = [], 0
    for uri in uris:
        size += len(uri)
        if size > most_bytes:
            break
        fitting.append(uri)
    return fitting


def code(answer: str) -> int:
    """The position of a category, or what stands in its place."""
    if answer in CATEGORIES:
        return CATEGORIES.index(answer)
    return NOT_SHOWN if answer == "" else NO_ANSWER


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
