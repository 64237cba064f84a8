"""Stylizing: the content of one image with the style of another, and which style goes with which image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.draws import generator
from shapebias.errors import UserError
from shapebias.ghiasi import Ghiasi


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
