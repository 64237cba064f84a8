"""Labelled images from folders and from shards, behind one interface."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from shapebias.categories import category_of
from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import load_rgb
from shapebias.images.folder_files import image_files
from shapebias.images.image_folder import unique_ids
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, expand, label, open_shards
from shapebias.parallel import ordered_map

log = logging.getLogger(__name__)


class Picture(Protocol):
    """A labelled image that is decoded on demand."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> Label: ...
    @property
    def origin(self) -> Path:
        """The file that contains the image."""
        ...

    def image(self) -> Image.Image:
        """The decoded image, RGB; raises BadImageError."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """A picture in a separate file."""

    path: Path
    label: Label

    @property
    def id(self) -> str:
        return self.label["id"]

    @property
    def origin(self) -> Path:
        return self.path

    def image(self) -> Image.Image:
        return load_rgb(self.path)


def open_pictures(paths: Iterable[Path], name_label: Callable[[str, str], Label] | None = None) -> Sequence[Picture]:
    """Return all pictures of folders and shards (`.tar`; `{0..3}.tar` means four shards), ordered by id.

    name_label: (id, path below the folder) → label, for folders; by default an image's folder is its class.
    Raises UserError for a missing path or a folder without images.
    """
    shards, files = [], list[tuple[Path, str]]()
    for path in expand(paths):
        if path.suffix == ".tar":
            shards.append(path)
            continue
        names = image_files(path)
        if not names:
            raise UserError(f"{path}: no images in this folder")
        files += [(path, name) for name in names]
    read_label = name_label or folder_label
    ids = unique_ids([name for _, name in files])
    files_in_folders = [
        ImageFile(folder / name, read_label(i, name)) for i, (folder, name) in zip(ids, files, strict=True)
    ]
    return sorted([*files_in_folders, *open_shards(shards)], key=lambda picture: picture.id)


def folder_label(sample_id: str, file: str) -> Label:
    """Return the label of `<class>/image`: the folder is the class, and its category is that of the class, if any."""
    folder = Path(file).parent.name or None
    category = category_of(folder) if folder else None
    return label(sample_id, class_name=folder, shape=category, texture=category, texture_class=folder, content=file)


def decode_pictures(
    pictures: Sequence[Picture], rejections: Rejections, workers: int = 0
) -> Iterator[tuple[Picture, Image.Image]]:
    """Decode pictures in order, in parallel threads; broken pictures go to `rejections`, too many raise UserError.

    The check comes before the end of the stream, so a writer of this stream never completes a file of the remaining
    pictures.
    """
    for picture, image in zip(pictures, ordered_map(try_decode, pictures, workers), strict=True):
        if isinstance(image, BadImageError):
            rejections.add(picture.label["content"] or picture.id, image)
            continue
        yield picture, image
    rejections.check(len(pictures))


def try_decode(picture: Picture) -> Image.Image | BadImageError:
    """Return the decoded image, or its error."""
    try:
        return picture.image()
    except BadImageError as error:
        return error
