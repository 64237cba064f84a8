"""ILSVRC-2012's training images, in each of the layouts in which they are distributed.

All splits are sampled from the training images by (seed, wnid, file name without ending), so every layout gives the
same images under the same ids.
Sources of the layouts: image-net.org (nested tar), Kaggle's "ImageNet Object Localization Challenge" (folders),
Hugging Face's imagenet-1k (Parquet), Tiny ImageNet (folders, each with a subfolder `images`).
"""

import difflib
import itertools
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow.parquet as pq

from shapebias.categories import ilsvrc_categories, ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.files import open_regular_file
from shapebias.images.codec import is_image_name
from shapebias.images.folder_files import NamesOfFiles, identity, is_hidden
from shapebias.images.image_store import IMAGE_COLUMN, list_tar_entries
from shapebias.images.listing import SPLITS, ListedImage, SplitCounts, assign_splits, build_listing
from shapebias.seeding import draw_key

TAR_ERRORS = (tarfile.TarError, EOFError, ValueError, RecursionError)  # all that tarfile raises for damaged headers
CLASS_CHOICES = ("categories", "present", "all")
WNID = re.compile(r"n\d{8}")
NESTED_TAR = "ILSVRC2012_img_train.tar"
PARENTS = (".", "train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train")
NON_CLASS_FOLDERS = ("train", "val", "test")  # folders that are not classes
LAYOUTS = (
    f"{NESTED_TAR}, <wnid>.tar files or <wnid>/ folders (also below train/, ILSVRC/Data/CLS-LOC/train/), "
    f"or train-*.parquet"
)


@dataclass(frozen=True)
class IlsvrcImage:
    """A training image: its name without ending, its path for display, and the location of its bytes."""

    stem: str
    file: str
    archive: str = ""
    offset: int = 0
    length: int = -1


def list_ilsvrc(root: Path, classes: str, per_class: SplitCounts, shards: dict[str, int], seed: int) -> pd.DataFrame:
    """Return the listing of images of the selected ILSVRC classes.

    root: a folder in one of the layouts, or the tar file.
    classes: `categories` (the 207 classes of the 16 categories), `present` (those of the 207 that exist in `root`),
    or `all` (the 1,000).
    per_class: split → number of images of each class, or "all".
    Raises UserError for an unknown layout, missing or unknown classes, and classes with too few images.
    """
    all_wnids, categories = ilsvrc_wnids(), ilsvrc_categories()
    wanted = all_wnids if classes == "all" else [wnid for wnid in all_wnids if wnid in categories]
    present = {wnid: images for wnid, images in find_images(root, wanted).items() if images is not None}
    check_classes(root, [wnid for wnid in wanted if wnid not in present], set(present), classes)
    rows = []
    for wnid in sorted(set(present) & set(wanted)):
        images = sorted(present[wnid], key=lambda image: (draw_key(seed, wnid, image.stem), image.stem))
        for first, second in itertools.pairwise(images):
            if first.stem == second.stem:
                raise UserError(f"{root}: {first.file} and {second.file} are the same image; remove one of them")
        pools = {SPLITS[0]: images}
        for image, split, pool, rank in assign_splits(wnid, pools, per_class, root):
            location = (image.archive, image.offset, image.length)
            name = image.stem.replace(".", "_")  # a dot would end a WebDataset id
            category = categories.get(wnid, "")
            rows.append(ListedImage(f"{wnid}/{name}", image.file, wnid, category, split, -1, *location, pool, rank))
    return build_listing(rows, shards, seed)


def check_classes(root: Path, missing: list[str], present: set[str], classes: str) -> None:
    """Raise UserError for folders that are not ILSVRC classes, and for selected classes that are missing."""
    unknown = sorted(present - set(ilsvrc_wnids()))
    if unknown:
        similar = difflib.get_close_matches(unknown[0], missing or ilsvrc_wnids(), 1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise UserError(f"{root}: {join_names(unknown)} {'is' if len(unknown) == 1 else 'are'} no ILSVRC class{hint}")
    if classes == "present" and not present & set(ilsvrc_categories()):
        raise UserError(f"{root}: has none of the 207 ILSVRC classes that belong to a category")
    if missing and classes != "present":
        advice = "; to use only the existing classes, set classes: present" if classes == "categories" else ""
        raise UserError(f"{root}: class {join_names(missing)} {'is' if len(missing) == 1 else 'are'} missing{advice}")


def join_names(names: list[str], limit: int = 5) -> str:
    """Join the first few names and add the number of the remaining ones."""
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


ImagesByClass = dict[str, list[IlsvrcImage] | None]


def find_images(root: Path, wanted: list[str]) -> ImagesByClass:
    """Return class → its images, from any layout; raises UserError for an unknown layout."""
    if root.is_file():
        return {**dict.fromkeys(wanted), **images_in_nested_tar(root, root.name, "", set(wanted))}
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    parquet = sorted(path for path in root.rglob("train-*.parquet") if not path.name.startswith("."))
    if parquet:
        return images_in_parquet(root, parquet, set(wanted))
    for parent in PARENTS:
        base = root / parent
        if (base / NESTED_TAR).is_file():
            prefix = (PurePosixPath(parent) / NESTED_TAR).as_posix()
            return images_in_nested_tar(base / NESTED_TAR, prefix, prefix, set(wanted))
        if not base.is_dir():
            continue
        folders = sorted(
            entry.name for entry in base.iterdir() if entry.is_dir() and entry.name not in NON_CLASS_FOLDERS
        )
        folders = [name for name in folders if not is_hidden(name)]
        if any(is_wnid_like(name) for name in folders):
            names = NamesOfFiles(root)
            return {name: images_in_folder(root, base / name, names) if name in wanted else [] for name in folders}
        tars = sorted(entry.stem for entry in base.glob("*.tar") if is_wnid_like(entry.stem))
        if tars:
            check_different_files(base, [f"{name}.tar" for name in tars])
            return {
                name: images_in_tar(base / f"{name}.tar", (PurePosixPath(parent) / f"{name}.tar").as_posix())
                if name in wanted
                else []
                for name in tars
            }
    entries = sorted(entry.name for entry in root.iterdir())
    raise UserError(
        f"{root}: not ILSVRC's training images: expected {LAYOUTS}; found {join_names(entries) or 'nothing'}"
    )


def is_wnid_like(name: str) -> bool:
    """Return whether the name of a folder or tar file looks like a WordNet id, perhaps a mistyped one."""
    return re.fullmatch(r"n\d{5,}", name) is not None


def images_in_folder(root: Path, folder: Path, names: NamesOfFiles) -> list[IlsvrcImage]:
    """Return the images in a class's folder, or in its subfolder `images`.

    names: the files of the classes before it. Raises UserError if a file is in another class too.
    """
    image_folder = folder / "images" if (folder / "images").is_dir() else folder
    parent, device = image_folder.relative_to(root).as_posix(), image_folder.stat().st_dev
    with os.scandir(image_folder) as scan:
        entries = sorted(scan, key=lambda entry: (entry.is_symlink(), entry.name))
    visible = [(entry, f"{parent}/{entry.name}") for entry in entries if is_visible_image(entry.name)]
    files = [file for entry, file in visible if names.add(entry, file, device)]
    return [IlsvrcImage(Path(file).stem, file) for file in sorted(files)]


def check_different_files(folder: Path, names: list[str]) -> None:
    """Raise UserError if two names in a folder are links to the same file."""
    first: dict[tuple[int, int], str] = {}
    for name in names:
        other = first.setdefault(identity(folder / name), name)
        if other != name:
            raise UserError(f"{folder}: {other} and {name} are the same file; remove one of them")


def is_visible_image(name: str) -> bool:
    """Return whether a file is an image and not hidden; some systems add hidden files to archives."""
    return is_image_name(name) and not PurePosixPath(name).name.startswith(".")


def images_in_tar(path: Path, archive: str) -> list[IlsvrcImage]:
    """Return the images in a class's tar file."""
    try:
        with open_regular_file(path) as file:
            return [
                IlsvrcImage(Path(m.name).stem, f"{archive}/{m.name}", archive, m.offset, m.length)
                for m in list_tar_entries(file)
                if is_visible_image(m.name)
            ]
    except TAR_ERRORS as error:
        raise UserError(f"{path}: damaged or not a tar file ({error}); unpack it again") from None


def images_in_nested_tar(path: Path, prefix: str, archive: str, wanted: set[str]) -> ImagesByClass:
    """Return the images in the tar files inside a tar file; classes that are not wanted stay empty lists.

    prefix: the outer file's path for display.
    """
    by_class: ImagesByClass = {}
    try:
        with open_regular_file(path) as file:
            for outer in list_tar_entries(file):
                wnid = Path(outer.name).stem
                if not outer.name.endswith(".tar") or not is_wnid_like(wnid):
                    continue
                by_class[wnid] = []
                if wnid in wanted:
                    by_class[wnid] = [
                        IlsvrcImage(
                            Path(m.name).stem, f"{prefix}/{outer.name}/{m.name}", archive or ".", m.offset, m.length
                        )
                        for m in list_tar_entries(file, outer.offset, outer.offset + outer.length)
                        if is_visible_image(m.name)
                    ]
    except TAR_ERRORS as error:
        raise UserError(f"{path}: damaged or not a tar file ({error}); download it again") from None
    if not by_class:
        raise UserError(f"{path}: not ILSVRC's training images: expected a tar file of <wnid>.tar files")
    return by_class


def images_in_parquet(root: Path, files: list[Path], wanted: set[str]) -> ImagesByClass:
    """Return the images in Hugging Face's Parquet files, whose `label` numbers the 1,000 classes in id order."""
    wnids, by_class = ilsvrc_wnids(), dict[str, list[IlsvrcImage] | None]()
    for path in files:
        archive = path.relative_to(root).as_posix()
        for row, (label, name) in enumerate(read_labels_and_names(path)):
            if not 0 <= label < len(wnids):
                raise UserError(f"{path}, row {row}: label {label} is not one of the 1,000 classes")
            wnid = wnids[label]
            wnid_in_name = WNID.match(name or "")
            if wnid_in_name and wnid_in_name[0] != wnid:
                raise UserError(
                    f"{path}, row {row}: label {label} is {wnid} among the 1,000 classes, but the file is {name}; "
                    f"its labels number other classes: unpack it as <wnid>/ folders instead"
                )
            stem = parquet_stem(name, wnid) if name else f"{path.stem}_{row:06d}"
            images = by_class.setdefault(wnid, [])
            if wnid in wanted and images is not None:
                images.append(IlsvrcImage(stem, f"{archive}/{row}/{name or ''}".rstrip("/"), archive, row))
    return by_class


def read_labels_and_names(path: Path) -> Iterator[tuple[int, str | None]]:
    """Yield each row's label and file name without reading the images."""
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(columns=["label", f"{IMAGE_COLUMN}.path"]):
            names = batch.column(batch.schema.get_field_index(IMAGE_COLUMN)).to_pylist()
            labels = batch.column(batch.schema.get_field_index("label")).to_pylist()
            yield from ((label, name["path"]) for label, name in zip(labels, names, strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a Parquet file with the columns image and label ({error})") from None


def parquet_stem(name: str, wnid: str) -> str:
    """Return the original name: Hugging Face writes n01440764_10026_n01440764.JPEG for n01440764_10026.JPEG."""
    return Path(name).stem.removesuffix(f"_{wnid}")
