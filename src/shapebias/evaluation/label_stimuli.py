"""Open the images of benchmarks with labels of their own: visual anagrams and REFINED-BIAS.

Layouts:

- configural_shape: a folder with `anagrams.csv` (filename,anagram_id,pair_id,variant,label,foil) beside its images, or
  the Parquet files of `visionlab/visual-anagrams` on Hugging Face (one of them, or their folder), or a drawn set of
  this workflow. The two images of an anagram share an `anagram_id`, and the label of one is the foil of the other.
- refined_bias: `refined_bias_shape/<label>/image` and `refined_bias_texture/<label>/image`, at any depth of a folder or
  an archive, as github.com/PumjunKim/REFINED-BIAS has them.

A label has the fields of `shards.label`, and also `label`; for anagrams `foil` and `pair`; for REFINED-BIAS `cue`.
"""

import collections
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from shapebias.csv_tables import read_csv_table
from shapebias.errors import UserError
from shapebias.images.archives import ArchivedImage, open_archive
from shapebias.images.codec import load_rgb
from shapebias.images.folder_files import image_files
from shapebias.images.image_store import read_parquet_image
from shapebias.images.pictures import ImageFile, Picture
from shapebias.images.shards import Label, expand, label, open_shards

log = logging.getLogger(__name__)

ANAGRAM_TABLE = "anagrams.csv"
ANAGRAM_COLUMNS = ("filename", "anagram_id", "label", "foil")
ALL_ANAGRAM_COLUMNS = ("filename", "anagram_id", "pair_id", "variant", "label", "foil")
# Folder of REFINED-BIAS → the cue that its images hold.
CUE_FOLDERS = {"refined_bias_shape": "shape", "refined_bias_texture": "texture"}


@dataclass(frozen=True)
class ParquetImage:
    """An image in a row of a Parquet file of Hugging Face."""

    path: Path
    row: int
    label: Label

    @property
    def id(self) -> str:
        return self.label["id"]

    @property
    def origin(self) -> Path:
        return self.path

    def image(self) -> Image.Image:
        """Return the decoded RGB image; raises BadImageError."""
        return load_rgb(read_parquet_image(self.path, self.row))


@dataclass(frozen=True)
class AnagramRow:
    """One row of a table of anagrams; where: the file and the line or row, for messages."""

    filename: str
    anagram: str
    label: str
    foil: str
    where: str

    def image_label(self) -> Label:
        """Return the label of the image. Its id is the file's name without the ending."""
        cues = {"label": self.label, "foil": self.foil, "pair": self.anagram, "imagename": self.filename}
        return label(str(PurePosixPath(self.filename).with_suffix("")), content=self.filename, **cues)


def open_anagrams(paths: Sequence[Path]) -> list[Picture]:
    """Return the images of anagrams, ordered by id.

    paths: see the module; `{0..3}.tar` means four shards of a drawn set. Raises UserError for a missing table or
    image, for images of a set that are no anagrams, and for an anagram that has not two images, each with the other's
    label as its foil.
    """
    pictures: list[Picture] = []
    rows: list[AnagramRow] = []
    for path in expand(paths):
        if path.suffix == ".tar":
            pictures += open_drawn_anagrams(path)
            continue
        files = [path] if path.suffix == ".parquet" else sorted(path.glob("*.parquet"))
        if path.is_dir() and (path / ANAGRAM_TABLE).exists():
            read = read_anagram_table(path)
        elif files:
            read = [pair for file in files for pair in read_anagram_parquet(file)]
        else:
            raise UserError(
                f"{path}: neither {ANAGRAM_TABLE} nor a Parquet file; give a folder with images and {ANAGRAM_TABLE} "
                f"({','.join(ALL_ANAGRAM_COLUMNS)}), or the Parquet files of visionlab/visual-anagrams"
            )
        if not read:
            raise UserError(f"{path}: no anagrams in it; expected a row for each image")
        rows += [row for row, _ in read]
        pictures += [picture for _, picture in read]
    check_anagrams(rows)
    return sorted_pictures(pictures)


def read_anagram_table(folder: Path) -> list[tuple[AnagramRow, Picture]]:
    """Return the rows of a folder's table of anagrams, with their images."""
    path = folder / ANAGRAM_TABLE
    table = read_csv_table(path, ANAGRAM_COLUMNS, order=ALL_ANAGRAM_COLUMNS)
    table.require_unique("filename", "image")
    files = set(image_files(folder))
    columns = zip(*(table.column(name) for name in ANAGRAM_COLUMNS), table.lines, strict=True)
    rows = [AnagramRow(*values, where=f"{path}, line {line}") for *values, line in columns]
    for row in rows:
        if row.filename not in files:
            raise UserError(f"{row.where}: no image {row.filename!r} in {folder}; copy it there, or remove the row")
    if unused := sorted(files - {row.filename for row in rows}):
        log.warning("%s: images without a row in %s: %d (the first: %s)", folder, ANAGRAM_TABLE, len(unused), unused[0])
    return [(row, ImageFile(folder / row.filename, row.image_label())) for row in rows]


def read_anagram_parquet(path: Path) -> list[tuple[AnagramRow, Picture]]:
    """Return the rows of a Parquet file of anagrams, with their images, which are read later."""
    try:
        file = pq.ParquetFile(path)
        images = file.schema_arrow.field("image").type
        if not (pa.types.is_struct(images) and images.get_field_index("bytes") >= 0):
            raise ValueError("the column image holds no encoded images")
        names = names_of_numbers(file.schema_arrow)
        table = file.read(columns=list(ANAGRAM_COLUMNS)).to_pylist()
        values = [[column_text(row[column], names.get(column)) for column in ANAGRAM_COLUMNS] for row in table]
    except (OSError, pa.ArrowException, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a Parquet file of anagrams with the columns image,{','.join(ANAGRAM_COLUMNS)} ({error})"
        ) from None
    rows = [AnagramRow(*texts, where=f"{path}, row {number}") for number, texts in enumerate(values)]
    for row in rows:
        if not PurePosixPath(row.filename).name:
            raise UserError(f"{row.where}: {row.filename!r} is no name of a file; fill the column filename")
    return [(row, ParquetImage(path, number, row.image_label())) for number, row in enumerate(rows)]


def column_text(value: str | int | None, names: Sequence[str] | None) -> str:
    """Return a value of a Parquet file as text: "" if it is missing. names: of its numbers, if the file names them.

    The datasets of Hugging Face write -1 where a label is missing.
    """
    if value is None or (names is not None and value == -1):
        return ""
    if names is None:
        return str(value)
    if int(value) not in range(len(names)):
        raise IndexError(f"number {value} is the place of none of the names {', '.join(names)}")
    return names[int(value)]


def names_of_numbers(schema: pa.Schema) -> dict[str, list[str]]:
    """Return column → the names of its numbers, as Hugging Face's datasets describe them in a schema."""
    facts = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = facts.get("info", {}).get("features", {})
    return {name: feature["names"] for name, feature in features.items() if "names" in feature}


def check_anagrams(rows: Iterable[AnagramRow]) -> None:
    """Raise UserError for an anagram that has not two images, each with the other's label as its foil."""
    members: dict[str, list[AnagramRow]] = collections.defaultdict(list)
    for row in rows:
        if not (row.anagram and row.label and row.foil):
            raise UserError(f"{row.where}: {row.filename} has no anagram_id, label or foil; fill all columns")
        members[row.anagram].append(row)
    for name, images in members.items():
        if len(images) != 2:
            raise UserError(
                f"{images[0].where}: anagram {name!r} has {len(images)} images; an anagram has two, one for each label"
            )
        first, second = images
        if (first.label, first.foil) != (second.foil, second.label) or first.label == first.foil:
            raise UserError(
                f"{second.where}: anagram {name!r} has the labels {first.label} and {second.label} and the foils "
                f"{first.foil} and {second.foil}; the foil of an image is the label of the other image"
            )


def open_drawn_anagrams(path: Path) -> list[Picture]:
    """Return the images of one shard of drawn anagrams; their labels are categories."""
    pictures: list[Picture] = []
    for sample in open_shards([path]):
        if not (sample.label.get("pair") and sample.label.get("foil")):
            raise UserError(
                f"{path}: image {sample.id!r} belongs to no pair, so it is no anagram; give a source with appearance: "
                f"anagram"
            )
        pictures.append(replace(sample, label=sample.label | {"label": sample.label["shape"]}))
    return pictures


def open_refined_bias(paths: Sequence[Path]) -> list[Picture]:
    """Return the images of REFINED-BIAS, ordered by id.

    paths: folders and archives, see the module. Errors and warnings: as in `open_labelled_files`.
    """
    return open_labelled_files(paths, refined_bias_label, f"{' or '.join(CUE_FOLDERS)}/<label>/image")


def open_labelled_files(
    paths: Sequence[Path], label_of: Callable[[Path, str], Label | None], layout: str
) -> list[Picture]:
    """Return the images of folders and archives whose paths hold their labels, ordered by id.

    label_of: (folder or archive, path in it) → label, or None for a path of another layout. layout: in words.
    Images of another layout are left out with a warning. Raises UserError for a folder or archive with no other images.
    """
    pictures: list[Picture] = []
    for path in expand(paths):
        place = path if path.is_dir() else open_archive(path)
        files = image_files(place) if isinstance(place, Path) else list(place.members)
        labels = {file: label_of(path, file) for file in files}
        unlabelled = [file for file, image_label in labels.items() if image_label is None]
        if len(unlabelled) == len(files):
            raise UserError(f"{path}: no image as {layout}")
        if unlabelled:
            log.warning("%s: images that are left out: %d (the first: %s)", path, len(unlabelled), unlabelled[0])
        for file, image_label in labels.items():
            if image_label is not None:
                in_folder = isinstance(place, Path)
                pictures.append(
                    ImageFile(place / file, image_label) if in_folder else ArchivedImage(place, file, image_label)
                )
    return sorted_pictures(pictures)


def refined_bias_label(_: Path, file: str) -> Label | None:
    """Return the label of `…/refined_bias_<cue>/<label>/image`, or None for another path."""
    parts = PurePosixPath(file).parts
    cue = CUE_FOLDERS.get(parts[-3]) if len(parts) >= 3 else None
    if cue is None:
        return None
    facts: dict[str, Any] = {"label": parts[-2], "cue": cue, "imagename": parts[-1]}
    return label(f"{cue}/{parts[-2]}/{PurePosixPath(file).stem}", content=file, **facts)


def sorted_pictures(pictures: Iterable[Picture]) -> list[Picture]:
    """Return pictures ordered by id. Raises UserError if two have one id."""
    by_id: dict[str, Picture] = {}
    for picture in pictures:
        if picture.id in by_id:
            first = by_id[picture.id]
            raise UserError(
                f"image {picture.id!r} appears twice: {first.label['content']} in {first.origin}, "
                f"{picture.label['content']} in {picture.origin}; give each image once"
            )
        by_id[picture.id] = picture
    return [by_id[name] for name in sorted(by_id)]
