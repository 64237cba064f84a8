"""Stylizing: the content of one image with the style of another, and which style goes with which image."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.draws import generator
from shapebias.errors import BadImageError, UserError
from shapebias.ghiasi import Ghiasi
from shapebias.images import resize_shorter
from shapebias.pictures import Picture, Rejections
from shapebias.shards import Label


class Stylizer(Protocol):
    """A style-transfer network that encodes a style once and applies it to many images."""

    name: str

    def encode(self, style: Image.Image) -> np.ndarray:
        """The style vector of an RGB image, float32 [D]."""
        ...

    def apply(self, content: Image.Image, style: np.ndarray) -> Image.Image:
        """The content in the style, an RGB image of the content's own size."""
        ...


STYLIZERS: dict[str, Callable[[], Stylizer]] = {"ghiasi": Ghiasi}


def make_stylizer(name: str) -> Stylizer:
    """The stylizer of that name."""
    if name not in STYLIZERS:
        raise UserError(f"unknown stylizer {name!r}; allowed: {', '.join(STYLIZERS)}")
    return STYLIZERS[name]()


class Styles:
    """Style images, each encoded at most once, and the draw of one for an image.

    vectors: style vectors that are known already, by style id. Broken style images go to `rejections`.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        stylizer: Stylizer,
        rejections: Rejections,
        vectors: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.pictures = {picture.id: picture for picture in pictures}
        self.stylizer, self.rejections = stylizer, rejections
        self.vectors: dict[str, np.ndarray | None] = dict(vectors or {})
        self.by_category: dict[str, list[str]] = {}
        for picture in pictures:
            if picture.label["texture"]:
                self.by_category.setdefault(picture.label["texture"], []).append(picture.id)

    def vector(self, style_id: str) -> np.ndarray | None:
        """The style's vector, or None if its image is broken."""
        if style_id not in self.vectors:
            try:
                self.vectors[style_id] = self.stylizer.encode(self.pictures[style_id].image())
            except BadImageError as error:
                self.rejections.add(self.pictures[style_id].label["content"], error)
                self.vectors[style_id] = None
        return self.vectors[style_id]

    def draw(self, content: Picture, seed: int, other_category: bool) -> tuple[Picture, np.ndarray]:
        """A style for an image, a function of (seed, id): the first drawn that is usable.

        Raises UserError if none is, or if the image has no category that another could differ from.
        """
        if not other_category:
            drawn = draw_styles(seed, content.id, sorted(self.pictures))
        elif content.label["shape"] is None:
            raise UserError(
                f"image {content.id} has no category, so none can be another; its folder must name its class"
            )
        else:
            drawn = draw_other_category(seed, content.id, content.label["shape"], self.by_category)
        for style_id in drawn:
            vector = self.vector(style_id)
            if vector is not None:
                return self.pictures[style_id], vector
        first = next(iter(self.pictures.values()))
        raise UserError(f"none of the {len(self.pictures)} style images is usable, such as {first.origin}; see the log")


def stylized(
    contents: Iterable[tuple[Picture, Image.Image]],
    styles: Styles,
    *,
    size: int,
    seed: int,
    strength: float = 1.0,
    other_category: bool = False,
) -> Iterator[tuple[Label, Image.Image]]:
    """Stylize images, scaled to a shorter side of `size` pixels; yields each with the label of both cues.

    The texture of a painting has no category; with `other_category` it is that of the style, a photograph.
    """
    for content, image in contents:
        style, vector = styles.draw(content, seed, other_category)
        yield (
            content.label
            | {
                "texture": style.label["texture"] if other_category else None,
                "texture_class": style.label["texture_class"] if other_category else None,
                "style": style.label["content"],
                "stylizer": styles.stylizer.name,
                "strength": strength,
            },
            stylize(styles.stylizer, resize_shorter(image, size), vector, strength),
        )


def stylize(stylizer: Stylizer, content: Image.Image, style: np.ndarray, strength: float) -> Image.Image:
    """Apply a style vector; `strength` below 1 mixes it with the content's own style vector."""
    if strength < 1:
        style = strength * style + (1 - strength) * stylizer.encode(content)
    return stylizer.apply(content, style)


def draw_styles(seed: int, content_id: str, style_ids: Sequence[str]) -> Iterator[str]:
    """Styles for one image in the order drawn, by (seed, id): the first is used, the next if it is broken."""
    order = generator(seed, "style", content_id).permutation(len(style_ids))
    return (style_ids[i] for i in order)


def draw_other_category(
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
