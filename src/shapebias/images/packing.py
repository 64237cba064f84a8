"""Packing: decode, scale and encode the images of a listing, and replace broken images by reserves."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import MAX_MEGAPIXELS, encode, load_rgb, resize_shorter
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import RESERVE, ListedImage
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, label
from shapebias.parallel import ordered_map, process_pool

log = logging.getLogger(__name__)

CHUNK = 8  # images that a process receives at a time

EncodedImage = tuple[str, bytes]  # file ending and bytes


@dataclass(frozen=True)
class FileEncoder:
    """Encodes a listed image for a shard: decodes it, scales its shorter side to `size` pixels, encodes it."""

    store: ImageStore
    size: int
    encoding: str
    max_megapixels: float = MAX_MEGAPIXELS

    def __call__(self, image: ListedImage) -> EncodedImage:
        """Return the encoded image; raises BadImageError if it is broken."""
        decoded = load_rgb(self.store.read(image), self.max_megapixels, shorter=self.size)
        return encode(resize_shorter(decoded, self.size), self.encoding)


def attempt_all(
    make: Callable[[ListedImage], EncodedImage], images: Sequence[ListedImage]
) -> list[EncodedImage | BadImageError]:
    """Return each encoded image, or its error."""
    results: list[EncodedImage | BadImageError] = []
    for image in images:
        try:
            results.append(make(image))
        except BadImageError as error:
            results.append(error)
    return results


class ClassPool:
    """One class's pool of images: finds its broken images and their replacements.

    A broken image is replaced by the j-th usable reserve, where j is the number of broken images of lower rank in
    splits. This depends on the files alone, so independent jobs never use the same reserve.
    """

    def __init__(self, rows: Sequence[ListedImage], make: Callable[[ListedImage], EncodedImage]) -> None:
        self.selected = [row for row in rows if row.split != RESERVE]
        self.reserves = [row for row in rows if row.split == RESERVE]
        self.make = make
        self.usable: list[tuple[ListedImage, EncodedImage]] = []
        self.broken: list[tuple[ListedImage, BadImageError]] = []  # reserves that proved unusable

    @cached_property
    def broken_ranks(self) -> list[int]:
        """The ranks of the broken images in splits. Only classes with a broken image pay for this full check."""
        return [row.rank for row in self.selected if isinstance(attempt_all(self.make, [row])[0], BadImageError)]

    def replacement(self, image: ListedImage) -> tuple[ListedImage, EncodedImage] | None:
        """Return the reserve that replaces a broken image; raises UserError if there are too few reserves.

        None if the class uses all its images and has no reserves; the broken image is then left out.
        """
        if not self.reserves:
            return None
        position = sum(rank < image.rank for rank in self.broken_ranks)
        while len(self.usable) <= position:
            tried = len(self.usable) + len(self.broken)
            if tried == len(self.reserves):
                raise UserError(
                    f"class {image.class_name!r}: {len(self.selected)} images wanted, {len(self.broken_ranks)} of them "
                    f"broken, and only {len(self.usable)} usable reserves to replace them; lower `per_class`, or set "
                    f"it to `all` to use all usable images. Broken image: {image.file}"
                )
            row = self.reserves[tried]
            (result,) = attempt_all(self.make, [row])
            if isinstance(result, BadImageError):
                self.broken.append((row, result))
            else:
                self.usable.append((row, result))
        return self.usable[position]


def pack_images(
    rows: Sequence[ListedImage],
    make: Callable[[ListedImage], EncodedImage],
    read_pool: Callable[[str, str], Sequence[ListedImage]],
    rejections: Rejections,
    workers: int = 0,
    describe: Callable[[ListedImage], Mapping[str, str]] | None = None,
) -> Iterator[tuple[Label, str, bytes]]:
    """Yield the samples of a shard in the order of its rows, encoded by parallel processes.

    read_pool: (class, pool) → the pool's rows, for replacing a broken image. Broken images go to `rejections`.
    describe: image → further fields of its label.
    Raises UserError if there are too many, or if one cannot be replaced.
    """
    pools: dict[tuple[str, str], ClassPool] = {}
    replaced = 0
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    results_by_chunk = ordered_map(partial(attempt_all, make), chunks, workers, process_pool)
    for chunk, results in zip(chunks, results_by_chunk, strict=True):
        for row, result in zip(chunk, results, strict=True):
            if not isinstance(result, BadImageError):
                yield packed_label(row) | dict(describe(row) if describe else {}), *result
                continue
            rejections.add(row.file, result)
            if not row.pool:
                continue
            key = (row.class_name, row.pool)
            if key not in pools:
                pools[key] = ClassPool(read_pool(*key), make)
            replacement = pools[key].replacement(row)
            if replacement is None:
                log.warning("class %s has no reserve to replace it", row.class_name)
                continue
            reserve, encoded = replacement
            log.warning("replaced by %s", reserve.file)
            replaced += 1
            yield packed_label(replace(reserve, split=row.split), replaces=row.id), *encoded
    # The check runs inside the generator, so a shard with too many rejections is never moved into place.
    rejections.check(len(rows), replaced)
    for pool in pools.values():
        for reserve, error in pool.broken:
            rejections.add(reserve.file, error)


def packed_label(image: ListedImage, replaces: str | None = None) -> Label:
    """Return the label of a photograph, with two agreeing cues, or of a style, without a class."""
    name, category = image.class_name or None, image.category or None
    return label(
        image.id,
        class_name=name,
        shape=category,
        texture=category,
        texture_class=name,
        content=image.file or image.id,
        **({} if replaces is None else {"replaces": replaces}),
    )
