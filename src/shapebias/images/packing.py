"""Packing: the images of a listing, decoded, scaled and encoded, with a reserve in the place of each broken one."""

import logging
from collections.abc import Callable, Iterator, Sequence
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

CHUNK = 8  # images that a process is given at a time

EncodedImage = tuple[str, bytes]  # file ending and bytes


@dataclass(frozen=True)
class FileEncoder:
    """Makes a packed image of a listed one: decoded, scaled to a shorter side of `size` pixels, encoded."""

    store: ImageStore
    size: int
    encoding: str
    max_megapixels: float = MAX_MEGAPIXELS

    def __call__(self, image: ListedImage) -> EncodedImage:
        """Raises BadImageError if it is broken."""
        decoded = load_rgb(self.store.read(image), self.max_megapixels, shorter=self.size)
        return encode(resize_shorter(decoded, self.size), self.encoding)


def attempt_all(
    make: Callable[[ListedImage], EncodedImage], images: Sequence[ListedImage]
) -> list[EncodedImage | BadImageError]:
    """What is made of each image, or why nothing can be."""
    made: list[EncodedImage | BadImageError] = []
    for image in images:
        try:
            made.append(make(image))
        except BadImageError as error:
            made.append(error)
    return made


class ClassPool:
    """One class's pool of images: which of them are broken, and what replaces them.

    The reserve for a broken image is the j-th usable one, where j counts the broken images of lower rank that are in
    splits: a function of the files alone, so that jobs which know nothing of each other never take the same one.
    """

    def __init__(self, rows: Sequence[ListedImage], make: Callable[[ListedImage], EncodedImage]) -> None:
        self.drawn = [row for row in rows if row.split != RESERVE]
        self.reserves = [row for row in rows if row.split == RESERVE]
        self.make = make
        self.usable: list[tuple[ListedImage, EncodedImage]] = []
        self.broken: list[tuple[ListedImage, BadImageError]] = []  # of the reserves tried

    @cached_property
    def broken_ranks(self) -> list[int]:
        """Which drawn images are broken: all are looked at once, which only a class with a broken image costs."""
        return [row.rank for row in self.drawn if isinstance(attempt_all(self.make, [row])[0], BadImageError)]

    def replacement(self, image: ListedImage) -> tuple[ListedImage, EncodedImage] | None:
        """The reserve that stands in for a broken image; raises UserError if there are too few.

        None where every image of the class was asked for, so that none stands by: the broken one is left out.
        """
        if not self.reserves:
            return None
        place = sum(rank < image.rank for rank in self.broken_ranks)
        while len(self.usable) <= place:
            tried = len(self.usable) + len(self.broken)
            if tried == len(self.reserves):
                raise UserError(
                    f"class {image.class_name!r}: {len(self.drawn)} images wanted, {len(self.broken_ranks)} of them "
                    f"broken, and only {len(self.usable)} usable ones to replace them; lower `per_class`, or take "
                    f"`all` that can be used. Broken is {image.file}"
                )
            row = self.reserves[tried]
            (made,) = attempt_all(self.make, [row])
            if isinstance(made, BadImageError):
                self.broken.append((row, made))
            else:
                self.usable.append((row, made))
        return self.usable[place]


def pack_images(
    rows: Sequence[ListedImage],
    make: Callable[[ListedImage], EncodedImage],
    read_pool: Callable[[str, str], Sequence[ListedImage]],
    rejections: Rejections,
    workers: int = 0,
) -> Iterator[tuple[Label, str, bytes]]:
    """The samples of a shard, in the order of its rows, made by some processes.

    read_pool: (class, pool) → its rows, for what replaces a broken image. Broken images go to `rejections`; raises
    UserError if they are too many, or nothing can replace one.
    """
    pools: dict[tuple[str, str], ClassPool] = {}
    replaced = 0
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    done = ordered_map(partial(attempt_all, make), chunks, workers, process_pool)
    for chunk, results in zip(chunks, done, strict=True):
        for row, made in zip(chunk, results, strict=True):
            if not isinstance(made, BadImageError):
                yield packed_label(row), *made
                continue
            rejections.add(row.file, made)
            if not row.pool:
                continue
            key = (row.class_name, row.pool)
            if key not in pools:
                pools[key] = ClassPool(read_pool(*key), make)
            found = pools[key].replacement(row)
            if found is None:
                log.warning("no image of class %s stands by to replace it", row.class_name)
                continue
            reserve, encoded = found
            log.warning("replaced by %s", reserve.file)
            replaced += 1
            yield packed_label(replace(reserve, split=row.split), replaces=row.id), *encoded
    # Inside the generator: a shard with too many rejections is never moved into place.
    rejections.check(len(rows), replaced)
    for pool in pools.values():
        for reserve, error in pool.broken:
            rejections.add(reserve.file, error)


def packed_label(image: ListedImage, replaces: str | None = None) -> Label:
    """The label of a photograph, in which both cues agree; or of a style, which has no class."""
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
