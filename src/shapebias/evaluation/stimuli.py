"""Open the images of a benchmark from folders, from archives (which are not unpacked) and from this project's shards.

Layouts are those of the published sets. model-vs-human: `<set>/dnn/session-1/NNNN_<code>_<who>_<condition>_<category>_
<number>_<image>.png` and `<set>/<category>/image`; texture-vs-shape: `<shape>/<shape><i>-<texture><j>.png`. Conflicts
of frequency bands have names of the same pattern, `<low><i>-<high><j>.JPEG`; their low band is the label's shape, and
their high band its texture.
Source: github.com/bethgelab/model-vs-human, github.com/rgeirhos/texture-vs-shape; for frequency bands
github.com/paulgavrikov/vlm_shapebias.
"""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapebias.categories import CATEGORIES, ilsvrc_categories
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, MADE_FROM_SETS, BenchmarkKind
from shapebias.evaluation.label_stimuli import open_anagrams, open_refined_bias
from shapebias.evaluation.laion_c import open_laion_c
from shapebias.evaluation.stimulus_names import (
    band_noise_name,
    cue_conflict_label,
    is_published,
    stem,
    stimulus_name,
    toolbox_name,
    trial_name,
)
from shapebias.files import open_regular_file
from shapebias.images.archives import Archive, ArchivedImage, open_archive
from shapebias.images.folder_files import image_files
from shapebias.images.image_folder import unique_ids
from shapebias.images.pictures import ImageFile, Picture, folder_label
from shapebias.images.shards import Label, expand, label, open_shards
from shapebias.images.tar_files import tar_members

SESSION = re.compile(r"session[-_](\d+)")
WNID_PREFIX = re.compile(r"n\d{8}(?=_)")
DEFAULT_STIMULUS_LABEL = {
    "condition": "",
    "session": 1,
    "imagename": None,
}  # a benchmark label's fields that a shard lacks
OPENERS = {"configural_shape": open_anagrams, "refined_bias": open_refined_bias, "laion_c": open_laion_c}


def open_benchmark(paths: Sequence[Path], kind: str) -> Sequence[Picture]:
    """Return all images of a benchmark, ordered by id. An image is read only when it is needed.

    paths: folders, shards (`{0..3}.tar` means four shards) and archives (.zip, .tar, .tar.gz, .tgz). Archives are not
    unpacked to the disk.
    kind: a name of benchmarks.KINDS.

    A label has the fields of shards.label and also `condition` (a condition of the kind, "" if it has none), `session`
    (1 if the path names none) and `imagename` (the file's name; None in a shard). Labels come from file names in the
    toolbox's pattern, otherwise from the folder. `stimulus_names.stimulus_name` pairs ids with recorded decisions.
    Raises UserError for a missing path, for no images, for a name without a label, for an unknown condition or
    category, for a duplicate image, and for an archive that is broken or has members outside its folder.
    `label_stimuli` describes the images of kinds with labels of their own.
    """
    if kind in OPENERS:
        return OPENERS[kind](paths)
    shards: list[Path] = []
    files: list[StimulusFile] = []
    for path in expand(paths):
        if path.is_dir():
            path_files = [StimulusFile(path, file, file) for file in image_files(path)]
        elif path.suffix.lower() == ".tar" and is_shard(path):
            shards.append(path)
            continue
        else:
            archive = open_archive(path)
            path_files = [
                StimulusFile(archive, file, short)
                for file, short in strip_common_folders(list(archive.members)).items()
            ]
        if not path_files:
            raise UserError(f"{path}: no images in it, for a benchmark of kind {kind!r}")
        files += path_files
    unpublished = [file.name for file in files if not is_named(file.name)]
    numbered = iter(unique_ids(unpublished))
    pictures: list[Picture] = []
    for file in files:
        label_of_file = stimulus_label(file, KINDS[kind])
        label_of_file["id"] = label_of_file["id"] or next(numbered)
        pictures.append(file.picture(label_of_file))
    for sample in open_shards(shards):
        pictures.append(dataclasses.replace(sample, label=DEFAULT_STIMULUS_LABEL | sample.label))
    pictures.sort(key=lambda picture: picture.id)
    check_unique_names(pictures)
    return pictures


def is_named(file: str) -> bool:
    """Return whether a file has a name in the pattern of a published set, from which `stimulus_label` takes its id."""
    return bool(toolbox_name(file) or band_noise_name(file) or is_published(stem(file)))


def check_unique_names(pictures: Sequence[Picture]) -> None:
    """Raise UserError if two images share a name, since an answer to that name could belong to either image."""
    by_name: dict[str, Picture] = {}
    for picture in pictures:
        name = stimulus_name(picture.id)
        if name in by_name:
            first, second = (f"{p.label['content']} in {p.origin}" for p in (by_name[name], picture))
            raise UserError(f"image {name!r} appears twice: {first}, {second}; give each image once")
        by_name[name] = picture


# Labels


@dataclass(frozen=True)
class StimulusFile:
    """An image before its label is read.

    place: the folder or archive; file: the image's path in it; name: the shorter path that the label is read from.
    """

    place: "Path | Archive"
    file: str
    name: str

    @property
    def origin(self) -> Path:
        return self.place if isinstance(self.place, Path) else self.place.path

    def picture(self, picture_label: Label) -> Picture:
        if isinstance(self.place, Path):
            return ImageFile(self.place / self.file, picture_label)
        return ArchivedImage(self.place, self.file, picture_label)


def stimulus_label(stimulus: StimulusFile, kind: BenchmarkKind) -> Label:
    """Return the label of an image from its name.

    The id is empty if the name follows no published pattern. `open_benchmark` numbers these images.
    """
    file = stimulus.name
    sessions = SESSION.findall(file.rpartition("/")[0])
    file_facts: dict[str, Any] = {"imagename": file.rpartition("/")[2], "session": int(sessions[-1]) if sessions else 1}
    where = f"{stimulus.origin}: {file}"
    masked = band_noise_name(file)
    if masked and kind.measures != "bias":
        condition, category = parse_condition(kind, masked[0], where), masked[1]
        check_category(category, where)
        return label(stem(file), shape=category, content=file, condition=condition, **file_facts)
    if kind.measures == "critical_band" and "_cbm_" in file:
        raise UserError(f"{where}: not named <number>_cbm_noise<standard deviation>_freq<band>_gray_g_<category>")
    parsed = toolbox_name(file)
    if parsed is None and kind.conditions:
        raise UserError(
            f"{where}: not named NNNN_<code>_<session>_<condition>_<category>_<number>_<image>, as the images of "
            f"model-vs-human's {kind.name} are"
        )
    if kind.measures in ("bias", "frequency_bias"):
        try:
            cue_label = cue_conflict_label("", file)
        except UserError as error:
            raise UserError(f"{stimulus.origin}: {error}") from None
        if parsed and parsed.category != cue_label["shape"]:
            raise UserError(f"{where}: category {parsed.category!r}, but the image is of a {cue_label['shape']}")
        return cue_label | file_facts | {"id": parsed.image if parsed else stem(file), "condition": ""}
    if parsed is None:
        cue_label = folder_label("", file)
        if kind.name not in MADE_FROM_SETS:
            check_category(cue_label["shape"], where, file.rpartition("/")[0])
        return cue_label | file_facts | {"id": stem(file) if is_published(stem(file)) else "", "condition": ""}
    check_category(parsed.category, where)
    condition = parse_condition(kind, parsed.condition, where)
    wnid = WNID_PREFIX.match(parsed.image)
    class_name = wnid[0] if wnid and ilsvrc_categories().get(wnid[0]) == parsed.category else None
    sample_id = trial_name(file, parsed, parsed.category, condition)
    return label(
        sample_id, class_name=class_name, shape=parsed.category, content=file, condition=condition, **file_facts
    )


def check_category(category: str | None, where: str, shown_as: str | None = None) -> None:
    """Raise UserError if a category is not one of the 16; shown_as: the text to show if the category is None."""
    if category not in CATEGORIES:
        raise UserError(
            f"{where}: {shown_as if category is None else category!r} is not one of the 16 categories: "
            f"{', '.join(CATEGORIES)}"
        )


def parse_condition(kind: BenchmarkKind, text: str, where: str) -> str:
    """Return the condition of a kind that a file writes as `text`. Raises UserError for an unknown condition."""
    condition = kind.find_condition(text)
    if condition is None:
        raise UserError(f"{where}: {text!r} is not a condition of {kind.name}; allowed: {kind.allowed_conditions}")
    return condition


# Archives


def is_shard(path: Path) -> bool:
    """Return whether a tar file is one of this project's shards: its first image is followed by its label."""
    try:
        with open_regular_file(path) as file:
            names = [member.name for _, member in zip(range(2), tar_members(file), strict=False)]
    except Exception:  # tarfile raises nearly any error on damaged headers
        return False  # opening the file as an archive reports the problem
    keys = [name.rpartition("/")[0::2] for name in names]
    stems = {(folder, base.partition(".")[0]) for folder, base in keys}
    return len(names) == 2 and len(stems) == 1 and names[1].endswith(".json")


def strip_common_folders(files: list[str]) -> dict[str, str]:
    """Return file → its path without the folders that all files share.

    The last folder of a file always stays, so that the path is at least `<category>/image`. An image thus has the same
    name whether or not its set was packed with the enclosing folder.
    """
    parts = {file: file.split("/") for file in files}
    levels = zip(*(folders[:-2] for folders in parts.values()), strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(folders[shared:]) for file, folders in parts.items()}
