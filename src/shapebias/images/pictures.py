"""Images with labels, from folders of files and from shards alike."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from shapebias.categories import CATEGORIES, category_of
from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import IMAGE_SUFFIXES, load_rgb
from shapebias.images.image_folder import image_files, unique_ids
from shapebias.images.shards import Label, expand, label, open_shards
from shapebias.parallel import ordered_map

log = logging.getLogger(__name__)

# cat3-bird1.png, also with what model-vs-human puts before it: 0001_s5n_dnn_0_cat_00_cat3-bird1.png
CUE_CONFLICT_NAME = re.compile(r"(?:.*_)?([a-z]+)\d+-([a-z]+)\d+$")
# oven/oven8.png: the published silhouettes and edges.
OUTLINE_NAME = re.compile(rf"(?:.*/)?({'|'.join(CATEGORIES)})/\1\d+$")
# 0003_hp_s01_0.45_elephant_10_n02504458_582.png: trial, experiment, who saw it, condition, category, a number, image.
TOOLBOX_NAME = re.compile(r"\d{4,}_[^_]+_[^_]+_(?P<condition>[^_]+)_(?P<category>[^_]+)_[^_]+_(?P<image>.+)")


class Picture(Protocol):
    """An image that is decoded when asked for."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> Label: ...
    @property
    def origin(self) -> Path:
        """The file that it is in."""
        ...

    def image(self) -> Image.Image:
        """The decoded image, RGB; raises BadImageError."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """A picture in a file of its own."""

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


@dataclass(frozen=True)
class ToolboxName:
    """What the name of a file says that the model-vs-human toolbox shows, as it is written there."""

    condition: str
    category: str
    image: str


def toolbox_name(file: str) -> ToolboxName | None:
    """Read NNNN_<code>_<who>_<condition>_<category>_<number>_<image>; None for other names.

    Folders and ending may be there or not. Trial number and <who> differ between observers who saw the same image.
    """
    match = TOOLBOX_NAME.fullmatch(stem(file.rpartition("/")[2]))
    return ToolboxName(**match.groupdict()) if match else None


def stem(file: str) -> str:
    """A path without the ending of an image file; other dots stay (0.45 is a condition)."""
    name, _, ending = file.rpartition(".")
    return name if f".{ending.lower()}" in IMAGE_SUFFIXES else file


def is_published(image: str) -> bool:
    """Whether an id, or a path without its ending, is called as published stimuli are."""
    return bool(CUE_CONFLICT_NAME.match(image.rpartition("/")[2]) or OUTLINE_NAME.match(image))


def stimulus_name(image: str) -> str:
    """The name that an image has for all observers, from its id.

    A published stimulus is called alike everywhere, without folder and trial: cat1-bird1, oven8. Others keep their id.
    """
    return image.rpartition("/")[2].rpartition("_")[2] if is_published(image) else image


def trial_name(file: str, category: str, condition: str) -> str:
    """The name that an image has for all observers, from a file name of the toolbox or of the published stimuli.

    One photograph is shown in several conditions: the condition ("" for none) is part of the name, 0.45/n02504458_582.
    The same as `stimulus_name` of the image's id. Source: model-vs-human, which also pairs by what follows the trial.
    """
    parsed = toolbox_name(file)
    name = parsed.image if parsed else f"{category}/{stem(file.rpartition('/')[2])}"
    return f"{condition}/{name}" if condition else stimulus_name(name)


@dataclass
class Rejections:
    """The images that were set aside, and how many are allowed to be."""

    allowed: float
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, file: str, reason: BadImageError) -> None:
        """Set an image aside."""
        log.warning("set aside: %s: %s", file, reason)
        self.rows.append((file, str(reason)))

    def check(self, total: int, replaced: int = 0) -> None:
        """Raise UserError if more than the allowed fraction of the images was set aside, or if none is left.

        replaced: how many of those set aside have another in their place.
        """
        if self.rows and (len(self.rows) > self.allowed * total or len(self.rows) - replaced == total):
            named = "; ".join(f"{file}: {reason}" for file, reason in self.rows[:3])
            raise UserError(
                f"{len(self.rows)} of {total} images cannot be used, more than the allowed fraction "
                f"{self.allowed:g} (max_rejected). The first: {named}"
            )


def open_pictures(paths: Iterable[Path], name_label: Callable[[str, str], Label] | None = None) -> Sequence[Picture]:
    """All pictures of some folders and shards (`.tar`; `{0..3}.tar` is four), ordered by id.

    name_label: (id, path below the folder) → label, for folders; by default the class is the folder an image
    is in. Raises UserError for a missing path or a folder without images.
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
    found = [ImageFile(folder / name, read_label(i, name)) for i, (folder, name) in zip(ids, files, strict=True)]
    return sorted([*found, *open_shards(shards)], key=lambda picture: picture.id)


def folder_label(sample_id: str, file: str) -> Label:
    """The label of `<class>/image`: the class is the folder, its category that of the class, if it has one."""
    folder = Path(file).parent.name or None
    category = category_of(folder) if folder else None
    return label(sample_id, class_name=folder, shape=category, texture=category, texture_class=folder, content=file)


def cue_conflict_label(sample_id: str, file: str) -> Label:
    """The label of a published stimulus, `<shape>/<shape><i>-<texture><j>.png`: texture comes from the name.

    Raises UserError for other names or unknown categories. Source: rgeirhos/texture-vs-shape.
    """
    match = CUE_CONFLICT_NAME.match(Path(file).stem)
    cues = match.groups() if match else (None, None)
    categories = [category_of(cue) if cue else None for cue in cues]
    if None in categories or list(cues) != categories:
        raise UserError(
            f"{file}: not named <shape><i>-<texture><j>, e.g. cat1-bird1.png, with two of the 16 categories"
        )
    return label(sample_id, shape=cues[0], texture=cues[1], content=file)


def decoded(
    pictures: Sequence[Picture], rejections: Rejections, workers: int = 0
) -> Iterator[tuple[Picture, Image.Image]]:
    """Decode pictures in their order, by some threads; the broken ones go to `rejections`, too many raise UserError.

    The check comes before the end of the stream, so whoever writes what it yields never finishes a file of the rest.
    """
    for picture, image in zip(pictures, ordered_map(image_or_reason, pictures, workers), strict=True):
        if isinstance(image, BadImageError):
            rejections.add(picture.label["content"] or picture.id, image)
            continue
        yield picture, image
    rejections.check(len(pictures))


def image_or_reason(picture: Picture) -> Image.Image | BadImageError:
    """The decoded image, or why there is none."""
    try:
        return picture.image()
    except BadImageError as error:
        return error
