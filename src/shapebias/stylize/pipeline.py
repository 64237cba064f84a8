"""Stylize images: choose a style for each content image, and combine content and style."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import centre_crop, load_rgb, open_image, resize_shorter
from shapebias.images.pictures import Picture
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label
from shapebias.seeding import generator
from shapebias.stylize.stylizers import Stylizer

MIN_STYLE_SIZE = 16  # pixels; below this, feature maps are too small for meaningful statistics


class StyleSet(Protocol):
    """Styles by id: their labels and vectors."""

    @property
    def labels(self) -> Mapping[str, Label]: ...
    @property
    def origin(self) -> Path:
        """The first file of the styles."""
        ...

    def vector(self, style_id: str) -> np.ndarray | None:
        """Return the style's vector, float32 [D], or None if its image is broken."""
        ...


@dataclass(frozen=True)
class StyleView:
    """The part of a style image that is encoded, and its size.

    size: scale the part to this shorter side, pixels; None keeps its size. crop: take the central square whose side is
    this fraction of the image's shorter side; 1 takes all of the image. masks: a folder of images <id of the style>.png
    in which the object is white; the rest becomes transparent.
    """

    size: int | None = None
    crop: float = 1.0
    masks: Path | None = None

    def __call__(self, style_id: str, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """Return the part of an RGB image, RGBA with masks; raises BadImageError for an unusable or missing mask."""
        part = self.cut(image, resample)
        if self.masks is None:
            return part
        path = self.masks / f"{style_id}.png"
        if not path.is_file():
            raise BadImageError(f"no mask: {path} does not exist")
        mask = load_mask(path, image.size)
        # Joined last: Pillow would blacken transparent pixels while it scales, and draw an edge around the object.
        part = part.copy()
        part.putalpha(self.cut(mask, Image.Resampling.BILINEAR))
        return part

    def cut(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """Return the central square, if there is a crop, at its size."""
        if self.crop < 1:
            image = centre_crop(image, round(self.crop * min(image.size)))
        return image if self.size is None else resize_shorter(image, self.size, resample)


def load_mask(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return a mask, scaled to the width and height of its style, as grey values.

    Raises BadImageError for a mask of another shape, and for one with transparency: an object that was cut out would
    stand on white, so the background would count.
    """
    mask = load_rgb(path).convert("L")
    opened = open_image(path)
    if opened.has_transparency_data and opened.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise BadImageError(f"the mask {path} has transparent pixels; a mask is white where the object is")
    if abs(mask.width * size[1] - mask.height * size[0]) > max(mask.size + size):
        raise BadImageError(
            f"the mask {path} has {mask.width} × {mask.height} pixels, another shape than its style of {size[0]} × "
            f"{size[1]}"
        )
    return mask.resize(size, Image.Resampling.BILINEAR)


class StylePictures:
    """Styles from images, each encoded on first use. Broken images go to `rejections`."""

    def __init__(
        self, pictures: Sequence[Picture], stylizer: Stylizer, rejections: Rejections, view: StyleView | None = None
    ) -> None:
        self.pictures = {picture.id: picture for picture in pictures}
        self.labels = {picture.id: picture.label for picture in pictures}
        self.origin = pictures[0].origin
        self.stylizer, self.rejections, self.view = stylizer, rejections, view or StyleView()
        self.vectors: dict[str, np.ndarray | None] = {}

    def vector(self, style_id: str) -> np.ndarray | None:
        if style_id not in self.vectors:
            try:
                image = self.pictures[style_id].image()
                self.vectors[style_id] = encode_style(self.stylizer, style_id, image, self.view)
            except BadImageError as error:
                self.rejections.add(self.labels[style_id]["content"], error)
                self.vectors[style_id] = None
        return self.vectors[style_id]


def encode_style(stylizer: Stylizer, style_id: str, style: Image.Image, view: StyleView) -> np.ndarray:
    """Return the vector of the viewed part of a style image.

    Raises BadImageError if the image is too small, or its mask unusable.
    """
    if view.crop * min(style.size) < MIN_STYLE_SIZE:
        part = "" if view.crop == 1 else f", of which {view.crop:g} of the shorter side is taken"
        raise BadImageError(
            f"{style.width} × {style.height} pixels{part}: too small for a style, at least {MIN_STYLE_SIZE}"
        )
    return stylizer.encode(view(style_id, style, stylizer.resample))


class StyleSampler:
    """Chooses a random style for each image, as a function of the seed, the image id and the set of styles.

    other_category: the style is a photograph of a different category than the content's, uniform over categories.
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
        """Return the label and the vector of the first usable style in random order.

        Raises UserError if no style is usable, or if `other_category` is set and the image has no category.
        """
        if not self.other_category:
            candidates = shuffle_styles(self.seed, content["id"], self.ids)
        elif content["shape"] is None:
            raise UserError(
                f"image {content['id']} has no category, so no style can differ from it; its folder must name its class"
            )
        else:
            candidates = shuffle_other_categories(self.seed, content["id"], content["shape"], self.by_category)
        for style_id in candidates:
            vector = self.styles.vector(style_id)
            if vector is not None:
                return self.styles.labels[style_id], vector
        raise UserError(
            f"none of the {len(self.ids)} style images is usable, for example {self.styles.origin}; see the log"
        )


@dataclass(frozen=True)
class ContentGeometry:
    """Resizing of a content before stylizing: to a shorter side of `size` pixels, then to its central square `crop`."""

    size: int
    crop: int | None = None

    def __call__(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        image = resize_shorter(image, self.size, resample)
        return image if self.crop is None else centre_crop(image, self.crop)


def stylize_images(
    contents: Iterable[tuple[Picture, Image.Image]],
    stylizer: Stylizer,
    sampler: StyleSampler,
    geometry: ContentGeometry,
    *,
    strength: float = 1.0,
) -> Iterator[tuple[Label, Image.Image]]:
    """Stylize images in order; yield each with a label of both cues.

    A painting's texture has no category. With styles from another category, the texture is the style's category.
    """
    contents = iter(contents)
    # A chunk is large enough to contain images of equal size, and small enough to bound memory.
    while chunk := list(itertools.islice(contents, 8 * stylizer.batch_size)):
        images = [geometry(image, stylizer.resample) for _, image in chunk]
        styles = [sampler(content.label) for content, _ in chunk]
        results = stylize_in_batches(stylizer, images, [vector for _, vector in styles], strength)
        for (content, _), (style, _), result in zip(chunk, styles, results, strict=True):
            yield stylized_label(content.label, style, sampler.other_category, stylizer, strength), result


def stylized_label(content: Label, style: Label, conflict: bool, stylizer: Stylizer, strength: float) -> Label:
    """Return the label of a stylized image: shape from the content, texture from the style."""
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
    """Stylize images, batching images of equal size; the results are in the images' order."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, image in enumerate(images):
        by_size.setdefault(image.size, []).append(i)
    results: dict[int, Image.Image] = {}
    for (width, height), members in by_size.items():
        batch_size = max(1, min(stylizer.batch_size, stylizer.batch_size * 224**2 // (width * height)))
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            styles = np.stack([vectors[i] for i in batch])
            stylized = stylizer.apply([images[i] for i in batch], styles, strength)
            results |= dict(zip(batch, stylized, strict=True))
    return [results[i] for i in range(len(images))]


def shuffle_styles(seed: int, content_id: str, style_ids: Sequence[str]) -> Iterator[str]:
    """Return the styles in one image's random order, by (seed, id); the next style replaces a broken one."""
    order = generator(seed, "style", content_id).permutation(len(style_ids))
    return (style_ids[i] for i in order)


def shuffle_other_categories(
    seed: int, content_id: str, category: str, by_category: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Return styles of other categories in one image's random order, uniform over categories, then over their images.

    by_category: category → style ids. Raises UserError if there is no other category.
    """
    others = sorted(name for name, ids in by_category.items() if name != category and ids)
    if not others:
        raise UserError(
            f"image {content_id}: no style of a category other than {category!r}; add photographs of other categories"
        )
    rng = generator(seed, "style", content_id)
    order = rng.permutation(len(others))
    # All styles of the first category come before the second: a style of the same category replaces a broken one.
    return (by_category[others[k]][i] for k in order for i in rng.permutation(len(by_category[others[k]])))
