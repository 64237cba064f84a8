"""A browser of conflict images with every observer's answers: a sample small enough to embed in the page."""

import base64
import io
import itertools
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

MAX_IMAGES = 240  # images
THUMBNAIL_PIXELS = 96  # pixels
EXAMPLE_PIXELS = 224  # pixels, the largest side of the picture in the head of the page
MAX_BYTES = 3_000_000  # all thumbnails together, in base64
QUALITIES = (80, 60, 40, 20)  # WebP qualities to try, best first
LABEL_COLUMNS = ("image", "shape", "texture")
NO_ANSWER, NOT_SEEN = -1, -2  # stand in place of the index of a category


@dataclass(frozen=True)
class Thumbnail:
    """A conflict image and its answers."""

    image: str
    shape: str
    texture: str
    uri: str
    answers: list[int]  # one per observer: index in CATEGORIES, NO_ANSWER or NOT_SEEN

    @property
    def alt(self) -> str:
        return f"Shape: {self.shape}, texture: {self.texture}"

    @property
    def counts(self) -> str:
        """Counts of shape answers, texture answers and other answers, as text."""
        categories = [answer for answer in self.answers if answer >= 0]
        shape, texture = (
            sum(answer == CATEGORIES.index(cue) for answer in categories) for cue in (self.shape, self.texture)
        )
        return f"{shape} shape, {texture} texture, {len(categories) - shape - texture} something else"


@dataclass(frozen=True)
class ConflictBrowser:
    """The thumbnails of one benchmark, with answers."""

    benchmark: str
    observers: list[str]
    thumbnails: list[Thumbnail]
    total: int  # number of conflict images in the benchmark
    example: Thumbnail | None = None  # a larger picture for the head of the page

    def data(self) -> dict[str, Any]:
        """Return the observers and their answers, in the order of the thumbnails, for the page's script."""
        return {"observers": self.observers, "answers": [thumbnail.answers for thumbnail in self.thumbnails]}


def make_browser(
    benchmark: str,
    answers: pd.DataFrame,
    pictures: Sequence[Picture],
    *,
    most: int = MAX_IMAGES,
    most_bytes: int = MAX_BYTES,
) -> ConflictBrowser:
    """Choose conflict images of a benchmark, shrink them, and return them with their answers.

    The choice is deterministic and spread over the categories of shape. answers: result of `reading.read_answers`.
    Unreadable images are left out with a warning. Raises UserError if no picture belongs to the answers.
    """
    observers = [name for name in answers.columns if name not in LABEL_COLUMNS]
    is_labelled = answers["shape"].isin(CATEGORIES) & answers["texture"].isin(CATEGORIES)
    conflicts = answers[is_labelled & (answers["shape"] != answers["texture"])]
    by_name = {stimulus_name(picture.id): picture for picture in pictures}
    available = conflicts[conflicts["image"].isin(list(by_name))]
    if available.empty:
        raise UserError(
            f"the answers hold none of the {len(pictures)} images given for benchmark {benchmark!r}, but others such "
            f"as {answers['image'].iloc[0] if len(answers) else 'none'}; give images of this benchmark"
        )
    thumbnails_by_row = []
    for row in choose_images(available, most).to_dict("records"):
        try:
            image = by_name[row["image"]].image()
        except BadImageError as error:
            log.warning("%s: left out of the report (%s)", row["image"], error)
            continue
        thumbnails_by_row.append((row, image))
    codes = [[answer_code(row[name]) for name in observers] for row, _ in thumbnails_by_row]
    example = make_example([row for row, _ in thumbnails_by_row], [image for _, image in thumbnails_by_row], codes)
    for _, image in thumbnails_by_row:
        image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    files = encode_thumbnails([image for _, image in thumbnails_by_row], most_bytes)
    thumbnails = [
        Thumbnail(row["image"], row["shape"], row["texture"], uri, answers_of_row)
        # fewer files if even the smallest do not fit
        for (row, _), answers_of_row, uri in zip(thumbnails_by_row, codes, files, strict=False)
    ]
    return ConflictBrowser(benchmark, observers, thumbnails, len(conflicts), example)


def make_example(
    rows: Sequence[dict[str, Any]], images: Sequence[Image.Image], codes: Sequence[list[int]]
) -> Thumbnail | None:
    """Return a larger picture of the image whose shape and whose texture are both named most often."""
    if not rows:
        return None

    def named(place: int, cue: str) -> int:
        return codes[place].count(CATEGORIES.index(rows[place][cue]))

    best = max(range(len(rows)), key=lambda place: (named(place, "shape") * named(place, "texture"), -place))
    image = images[best].copy()
    image.thumbnail((EXAMPLE_PIXELS, EXAMPLE_PIXELS), Image.Resampling.LANCZOS)
    row = rows[best]
    return Thumbnail(row["image"], row["shape"], row["texture"], _uri(image, QUALITIES[0]), codes[best])


def choose_images(conflicts: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most `most` rows, taking categories of shape in turn, so that the first rows cover all categories.

    Within a category, each image has a random key that depends only on its name. The choice therefore does not depend
    on other images or on the order of the rows.
    """
    order = [generator(0, "browse", image).random() for image in conflicts["image"]]
    rows = conflicts.assign(order=order).sort_values(["shape", "order"], kind="stable")
    turn = rows.groupby("shape").cumcount()
    return (
        rows.assign(turn=turn).sort_values(["turn", "shape"], kind="stable").head(most).drop(columns=["order", "turn"])
    )


def encode_thumbnails(images: Sequence[Image.Image], most_bytes: int) -> list[str]:
    """Return the images as data URIs of WebP files, at the best quality at which all fit into `most_bytes`.

    If they do not fit at the lowest quality, return as many as fit.
    """
    uris: list[str] = []
    for quality in QUALITIES:
        uris = [_uri(image, quality) for image in images]
        if sum(map(len, uris)) <= most_bytes:
            return uris
    sizes = itertools.accumulate(map(len, uris))
    return uris[: sum(size <= most_bytes for size in sizes)]


def answer_code(answer: str) -> int:
    """Return the index of a category, NO_ANSWER or NOT_SEEN."""
    if answer in CATEGORIES:
        return CATEGORIES.index(answer)
    return NOT_SEEN if answer == "" else NO_ANSWER


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality, method=6)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
