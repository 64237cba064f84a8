"""Stylizing: the content of one image with the style of another, and which style goes with which image."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import centre_crop, resize_shorter
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label
from shapebias.seeding import generator
from shapebias.stylize.stylizers import Stylizer

MIN_STYLE_SIZE = 16  # pixels: below, statistics over what a network leaves of it mean nothing


class StyleSet(Protocol):
    """Styles by id: what is known of each, and its vector."""

    @property
    def labels(self) -> Mapping[str, Label]: ...
    @property
    def origin(self) -> Path:
        """Where they are from: the first of them."""
        ...

    def vector(self, style_id: str) -> np.ndarray | None:
        """The style's vector, float32 [D], or None if its image is broken."""
        ...


class StylePictures:
    """Styles from images, each encoded when it is first drawn. Broken ones go to `rejections`.

    size: the shorter side that a style is scaled to, pixels; None leaves it as it is.
    """

    def __init__(
        self, pictures: Sequence[Picture], stylizer: Stylizer, rejections: Rejections, size: int | None = None
    ) -> None:
        self.pictures = {picture.id: picture for picture in pictures}
        self.labels = {picture.id: picture.label for picture in pictures}
        self.origin = pictures[0].origin
        self.stylizer, self.rejections, self.size = stylizer, rejections, size
        self.vectors: dict[str, np.ndarray | None] = {}

    def vector(self, style_id: str) -> np.ndarray | None:
        if style_id not in self.vectors:
            try:
                self.vectors[style_id] = encode_style(self.stylizer, self.pictures[style_id].image(), self.size)
            except BadImageError as error:
                self.rejections.add(self.labels[style_id]["content"], error)
                self.vectors[style_id] = None
        return self.vectors[style_id]


def encode_style(stylizer: Stylizer, style: Image.Image, size: int | None) -> np.ndarray:
    """The vector of a style that is first scaled to a shorter side of `size` pixels; raises BadImageError."""
    if min(style.size) < MIN_STYLE_SIZE:
        raise BadImageError(f"{style.width} × {style.height} pixels: too small for a style, at least {MIN_STYLE_SIZE}")
    return stylizer.encode(style if size is None else resize_shorter(style, size, stylizer.resample))


class StyleSampler:
    """The draw of a style for an image: a function of (seed, image id) and of which styles there are.

    other_category: the style is a photograph of another category than the content's, uniformly over categories.
    """

    def __init__(self, styles: StyleSet, seed: int, other_category: bool) -> None:
        self.styles, self.seed, self.other_category = styles, seed, other_category
        self.ids = sorted(styles.labels)
        self.by_category: dict[str, list[str]] = {}
        for style_id in self.ids:
            category = styles.labels[style_id]["texture"]
            if category:
                self.by_category.setdefault(category, []).append(style_id)

    def __call__(self, content: Label) -> tuple[Label, np.ndarray]:
        """The first style drawn that is usable: its label and its vector.

        Raises UserError if none is, or if the image has no category that another could differ from.
        """
        if not self.other_category:
            drawn = shuffle_styles(self.seed, content["id"], self.ids)
        elif content["shape"] is None:
            raise UserError(
                f"image {content['id']} has no category, so none can be another; its folder must name its class"
            )
        else:
            drawn = shuffle_other_categories(self.seed, content["id"], content["shape"], self.by_category)
        for style_id in drawn:
            vector = self.styles.vector(style_id)
            if vector is not None:
                return self.styles.labels[style_id], vector
        raise UserError(
            f"none of the {len(self.ids)} style images is usable, such as {self.styles.origin}; see the log"
        )


@dataclass(frozen=True)
class ContentGeometry:
    """What becomes of a content before it is stylized: a shorter side of `size` pixels, then the central square."""

    size: int
    crop: int | None = None

    def __call__(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        image = resize_shorter(image, self.size, resample)
        return image if self.crop is None else centre_crop(image, self.crop)


def stylize_images(
    contents: Iterable[tuple[Picture, Image.Image]],
    stylizer: Stylizer,
    draw: StyleSampler,
    geometry: ContentGeometry,
    *,
    strength: float = 1.0,
) -> Iterator[tuple[Label, Image.Image]]:
    """Stylize images in their order; yields each with the label of both cues.

    The texture of a painting has no category; of a photograph of another category it is that category.
    """
    contents = iter(contents)
    # Enough at a time to find images of equal size, few enough for memory not to grow with the number of images.
    while chunk := list(itertools.islice(contents, 8 * stylizer.batch_size)):
        images = [geometry(image, stylizer.resample) for _, image in chunk]
        drawn = [draw(content.label) for content, _ in chunk]
        results = stylize_in_batches(stylizer, images, [vector for _, vector in drawn], strength)
        for (content, _), (style, _), result in zip(chunk, drawn, results, strict=True):
            yield stylized_label(content.label, style, draw.other_category, stylizer, strength), result


def stylized_label(content: Label, style: Label, conflict: bool, stylizer: Stylizer, strength: float) -> Label:
    """The label of a stylized image: shape from the content, texture from the style."""
    return content | {
        "texture": style["texture"] if conflict else None,
        "texture_class": style["texture_class"] if conflict else None,
        "style": style["content"],
        "style_id": style["id"],
        "stylizer": stylizer.name,
        "strength": strength,
    }


def stylize_in_batches(
    stylizer: Stylizer, images: Sequence[Image.Image], vectors: Sequence[np.ndarray], strength: float
) -> list[Image.Image]:
    """Stylize images, those of equal size together; the results stand in the images' order."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, image in enumerate(images):
        by_size.setdefault(image.size, []).append(i)
    results: dict[int, Image.Image] = {}
    for (width, height), members in by_size.items():
        most = max(1, min(stylizer.batch_size, stylizer.batch_size * 224**2 // (width * height)))
        for start in range(0, len(members), most):
            batch = members[start : start + most]
            styles = np.stack([vectors[i] for i in batch])
            made = stylizer.apply([images[i] for i in batch], styles, strength)
            results |= dict(zip(batch, made, strict=True))
    return [results[i] for i in range(len(images))]


def shuffle_styles(seed: int, content_id: str, style_ids: Sequence[str]) -> Iterator[str]:
    """Styles for one image in the order drawn, by (seed, id): the first is used, the next if it is broken."""
    order = generator(seed, "style", content_id).permutation(len(style_ids))
    return (style_ids[i] for i in order)


def shuffle_other_categories(
    seed: int, content_id: str, category: str, by_category: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Styles from another category (by_category: category → ids), uniformly over categories, then over its images.

    Raises UserError if there is no other category.
    """
    others = sorted(name for name, ids in by_category.items() if name != category and ids)
    if not others:
        raise UserError(
            f"image {content_id}: no style of a category other than {category!r}; add photographs of others"
        )
    rng = generator(seed, "style", content_id)
    drawn = rng.permutation(len(others))
    # All candidates of the first category before any of the second: a broken style is replaced by its neighbour.
    return (by_category[others[k]][i] for k in drawn for i in rng.permutation(len(by_category[others[k]])))
