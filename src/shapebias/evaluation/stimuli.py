"""The images of a benchmark: in folders, in archives that stay packed, in shards of this project.

Layouts are those of the published sets. model-vs-human: `<set>/dnn/session-1/NNNN_<code>_<who>_<condition>_<category>_
<number>_<image>.png` and `<set>/<category>/image`; texture-vs-shape: `<shape>/<shape><i>-<texture><j>.png`.
Source: github.com/bethgelab/model-vs-human, github.com/rgeirhos/texture-vs-shape.
"""

import dataclasses
import itertools
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapebias.categories import CATEGORIES, ilsvrc_categories
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, OWN, Kind
from shapebias.evaluation.stimulus_names import (
    cue_conflict_label,
    is_published,
    stem,
    stimulus_name,
    toolbox_name,
    trial_name,
)
from shapebias.images.archives import Archive, ArchivedImage, open_archive
from shapebias.images.image_folder import image_files, unique_ids
from shapebias.images.pictures import ImageFile, Picture, folder_label
from shapebias.images.shards import Label, expand, label, open_shards

SESSION = re.compile(r"session[-_](\d+)")
WNID = re.compile(r"n\d{8}(?=_)")
NO_STIMULUS = {"condition": "", "session": 1, "imagename": None}  # what labels of benchmarks have and shards lack


def open_benchmark(paths: Sequence[Path], kind: str) -> Sequence[Picture]:
    """All images of a benchmark, ordered by id, each read when asked for.

    paths: folders, shards (`{0..3}.tar` is four) and archives (.zip, .tar, .tar.gz, .tgz), which are not unpacked to
    the disk. kind: a name of benchmark_kinds.KINDS. Labels are those of shards.label and say `condition` (one of the
    kind's, "" if it has none), `session` (1 if none is named) and `imagename` (the file's; None in a shard). They come
    from file names where these follow the toolbox's, else from the folder. Ids pair with recorded decisions by
    pictures.stimulus_name.
    Raises UserError for a missing path, no image, a name without a label, an unknown condition or category, an
    image that is there twice, an archive that is broken or has members outside its folder.
    """
    shards: list[Path] = []
    files: list[StimulusFile] = []
    for path in expand(paths):
        if path.is_dir():
            found = [StimulusFile(path, file, file) for file in image_files(path)]
        elif path.suffix.lower() == ".tar" and is_shard(path):
            shards.append(path)
            continue
        else:
            archive = open_archive(path)
            found = [StimulusFile(archive, file, short) for file, short in below_common(list(archive.members)).items()]
        if not found:
            raise UserError(f"{path}: no images in it, for a benchmark of kind {kind!r}")
        files += found
    own = [file.short for file in files if not (toolbox_name(file.short) or is_published(stem(file.short)))]
    numbered = iter(unique_ids(own))
    pictures: list[Picture] = []
    for file in files:
        known = stimulus_label(file, KINDS[kind])
        known["id"] = known["id"] or next(numbered)
        pictures.append(file.picture(known))
    for sample in open_shards(shards):
        pictures.append(dataclasses.replace(sample, label=NO_STIMULUS | sample.label))
    pictures.sort(key=lambda picture: picture.id)
    refuse_doubles(pictures)
    return pictures


def refuse_doubles(pictures: Sequence[Picture]) -> None:
    """Raise UserError if two images go by one name: an answer to it could belong to either."""
    seen: dict[str, Picture] = {}
    for picture in pictures:
        name = stimulus_name(picture.id)
        if name in seen:
            one, other = (f"{p.label['content']} in {p.origin}" for p in (seen[name], picture))
            raise UserError(f"image {name!r} is there twice: {one}, {other}; give each image once")
        seen[name] = picture


# Labels


@dataclass(frozen=True)
class StimulusFile:
    """An image before its label is read. place: folder or archive; file: its path there; short: what labels see."""

    place: "Path | Archive"
    file: str
    short: str

    @property
    def origin(self) -> Path:
        return self.place if isinstance(self.place, Path) else self.place.path

    def picture(self, known: Label) -> Picture:
        if isinstance(self.place, Path):
            return ImageFile(self.place / self.file, known)
        return ArchivedImage(self.place, self.file, known)


def stimulus_label(stimulus: StimulusFile, kind: Kind) -> Label:
    """The label of an image from its name; its id is empty where the name is its owner's own (numbered later)."""
    file = stimulus.short
    sessions = SESSION.findall(file.rpartition("/")[0])
    more: dict[str, Any] = {"imagename": file.rpartition("/")[2], "session": int(sessions[-1]) if sessions else 1}
    where = f"{stimulus.origin}: {file}"
    named = toolbox_name(file)
    if named is None and kind.conditions:
        raise UserError(
            f"{where}: not named NNNN_<code>_<session>_<condition>_<category>_<number>_<image>, as the images of "
            f"model-vs-human's {kind.name} are"
        )
    if kind.name == "cue_conflict":
        try:
            known = cue_conflict_label("", file)
        except UserError as error:
            raise UserError(f"{stimulus.origin}: {error}") from None
        if named and named.category != known["shape"]:
            raise UserError(f"{where}: category {named.category!r}, but the image is of a {known['shape']}")
        return known | more | {"id": named.image if named else stem(file), "condition": ""}
    if named is None:
        known = folder_label("", file)
        if kind.name not in OWN:
            check_category(known["shape"], where, file.rpartition("/")[0])
        return known | more | {"id": stem(file) if is_published(stem(file)) else "", "condition": ""}
    check_category(named.category, where)
    condition = checked_condition(kind, named.condition, where)
    wnid = WNID.match(named.image)
    name = wnid[0] if wnid and ilsvrc_categories().get(wnid[0]) == named.category else None
    sample_id = trial_name(file, named.category, condition)
    return label(sample_id, class_name=name, shape=named.category, content=file, condition=condition, **more)


def check_category(category: str | None, where: str, written: str | None = None) -> None:
    """Raise UserError for a category that is none of the 16. written: what stands for it, where that is not itself."""
    if category not in CATEGORIES:
        raise UserError(
            f"{where}: {written if category is None else category!r} is none of the 16 categories: "
            f"{', '.join(CATEGORIES)}"
        )


def checked_condition(kind: Kind, text: str, where: str) -> str:
    """The condition of a kind that a file writes as `text`; raises UserError if it is none."""
    condition = kind.condition(text)
    if condition is None:
        raise UserError(f"{where}: {text!r} is no condition of {kind.name}; allowed: {', '.join(kind.conditions)}")
    return condition


# Archives


def is_shard(path: Path) -> bool:
    """Whether a tar file is one of this project's shards: its first image has its label beside it."""
    try:
        with tarfile.open(path, "r:") as tar:
            names = [member.name for _, member in zip(range(2), tar, strict=False)]
    except (tarfile.TarError, OSError):
        return False  # opening it as an archive says what is wrong
    keys = [name.rpartition("/")[0::2] for name in names]
    stems = {(folder, base.partition(".")[0]) for folder, base in keys}
    return len(names) == 2 and len(stems) == 1 and names[1].endswith(".json")


def below_common(files: list[str]) -> dict[str, str]:
    """file → its path below the folders that all files share, but for the last of a file: `<category>/image` at least.

    A set is packed with its folder or without: its images are called the same.
    """
    parts = {file: file.split("/") for file in files}
    levels = zip(*(folders[:-2] for folders in parts.values()), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(folders[shared:]) for file, folders in parts.items()}
