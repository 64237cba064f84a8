"""ILSVRC-2012's training images, in whatever form somebody has them.

All splits are drawn from the training images, by (seed, wnid, file name without ending), so every form gives the same
images under the same ids.
Source of the forms: image-net.org (nested tar), Kaggle's "ImageNet Object Localization Challenge" (folders), Hugging
Face's imagenet-1k (Parquet), Tiny ImageNet (folders with a folder `images` each).
"""

import difflib
import itertools
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow.parquet as pq

from shapebias.categories import ilsvrc_categories, ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.images.codec import is_image_name
from shapebias.images.image_store import IMAGE_COLUMN, list_tar_entries
from shapebias.images.listing import SPLITS, ListedImage, SplitCounts, assign_splits, build_listing
from shapebias.seeding import draw_key

CLASS_CHOICES = ("categories", "present", "all")
WNID = re.compile(r"n\d{8}")
NESTED_TAR = "ILSVRC2012_img_train.tar"
PARENTS = (".", "train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train")
NON_CLASS_FOLDERS = ("train", "val", "test")  # folders that are no class
LAYOUTS = (
    f"{NESTED_TAR}, <wnid>.tar files or <wnid>/ folders (also below train/, ILSVRC/Data/CLS-LOC/train/), "
    f"or train-*.parquet"
)


@dataclass(frozen=True)
class IlsvrcImage:
    """A training image: its name without ending, where it is for people, and where its bytes are."""

    stem: str
    file: str
    archive: str = ""
    offset: int = 0
    length: int = -1


def list_ilsvrc(root: Path, classes: str, per_class: SplitCounts, shards: dict[str, int], seed: int) -> pd.DataFrame:
    """The listing of images of some ILSVRC classes.

    root: a folder in one of the forms, or the tar file. classes: `categories` (the 207 of the 16 categories),
    `present` (those of them that are there), `all` (the 1,000). per_class: split → images of each, or "all".
    Raises UserError for a folder in no known form, missing or strange classes, and classes with too few images.
    """
    known, categories = ilsvrc_wnids(), ilsvrc_categories()
    wanted = known if classes == "all" else [wnid for wnid in known if wnid in categories]
    found = find_images(root, wanted)
    there = {wnid: images for wnid, images in found.items() if images is not None}
    check_classes(root, [wnid for wnid in wanted if wnid not in there], set(there), classes)
    rows = []
    for wnid in sorted(set(there) & set(wanted)):
        images = sorted(there[wnid], key=lambda image: (draw_key(seed, wnid, image.stem), image.stem))
        for one, other in itertools.pairwise(images):
            if one.stem == other.stem:
                raise UserError(f"{root}: {one.file} and {other.file} are one image twice; remove one of them")
        pools = {SPLITS[0]: images}
        for image, split, pool, rank in assign_splits(wnid, pools, per_class, root):
            place = (image.archive, image.offset, image.length)
            name = image.stem.replace(".", "_")  # a dot would end a WebDataset id
            category = categories.get(wnid, "")
            rows.append(ListedImage(f"{wnid}/{name}", image.file, wnid, category, split, -1, *place, pool, rank))
    return build_listing(rows, shards, seed)


def check_classes(root: Path, missing: list[str], there: set[str], classes: str) -> None:
    """Raise UserError for folders that are no ILSVRC class, and for classes that are wanted but not there."""
    strange = sorted(there - set(ilsvrc_wnids()))
    if strange:
        near = difflib.get_close_matches(strange[0], missing or ilsvrc_wnids(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"{root}: {join_names(strange)} {'is' if len(strange) == 1 else 'are'} no ILSVRC class{hint}")
    if classes == "present" and not there & set(ilsvrc_categories()):
        raise UserError(f"{root}: none of the 207 ILSVRC classes that have a category is there")
    if missing and classes != "present":
        advice = "; to take those that are there: classes: present" if classes == "categories" else ""
        raise UserError(f"{root}: class {join_names(missing)} {'is' if len(missing) == 1 else 'are'} missing{advice}")


def join_names(names: list[str], shown: int = 5) -> str:
    """The first few of some names, and how many more there are."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest


ImagesByClass = dict[str, list[IlsvrcImage] | None]


def find_images(root: Path, wanted: list[str]) -> ImagesByClass:
    """Class → its images, in whatever form; raises UserError for a folder in none."""
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
        folders = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        if any(is_wnid_like(name) for name in folders):
            return {name: images_in_folder(root, base / name) if name in wanted else [] for name in folders}
        tars = sorted(entry.stem for entry in base.glob("*.tar") if is_wnid_like(entry.stem))
        if tars:
            return {
                name: images_in_tar(base / f"{name}.tar", (PurePosixPath(parent) / f"{name}.tar").as_posix())
                if name in wanted
                else []
                for name in tars
            }
    there = sorted(entry.name for entry in root.iterdir())
    raise UserError(f"{root}: not ILSVRC's training images: expected {LAYOUTS}; found {join_names(there) or 'nothing'}")


def is_wnid_like(name: str) -> bool:
    """Whether a folder or tar file looks like one of a class: a WordNet id, perhaps mistyped."""
    return re.fullmatch(r"n\d{5,}", name) is not None


def images_in_folder(root: Path, folder: Path) -> list[IlsvrcImage]:
    """Images right in a class's folder, or in its folder `images`."""
    place = folder / "images" if (folder / "images").is_dir() else folder
    names = sorted(entry.name for entry in place.iterdir() if is_visible_image(entry.name))
    below = place.relative_to(root).as_posix()
    return [IlsvrcImage(Path(name).stem, f"{below}/{name}") for name in names]


def is_visible_image(name: str) -> bool:
    """Whether a file is an image and not a hidden one, such as those that some systems add to archives."""
    return is_image_name(name) and not PurePosixPath(name).name.startswith(".")


def images_in_tar(path: Path, archive: str) -> list[IlsvrcImage]:
    """Images in a class's tar file."""
    try:
        with path.open("rb") as file:
            return [
                IlsvrcImage(Path(m.name).stem, f"{archive}/{m.name}", archive, m.offset, m.length)
                for m in list_tar_entries(file)
                if is_visible_image(m.name)
            ]
    except tarfile.TarError as error:
        raise UserError(f"{path}: damaged or no tar file ({error}); unpack it again") from None


def images_in_nested_tar(path: Path, shown: str, archive: str, wanted: set[str]) -> ImagesByClass:
    """Images in the tar files in a tar file; those of classes that are not wanted are not looked at."""
    found: ImagesByClass = {}
    try:
        with path.open("rb") as file:
            for outer in list_tar_entries(file):
                wnid = Path(outer.name).stem
                if not outer.name.endswith(".tar") or not is_wnid_like(wnid):
                    continue
                found[wnid] = []
                if wnid in wanted:
                    found[wnid] = [
                        IlsvrcImage(
                            Path(m.name).stem, f"{shown}/{outer.name}/{m.name}", archive or ".", m.offset, m.length
                        )
                        for m in list_tar_entries(file, outer.offset)
                        if is_visible_image(m.name)
                    ]
    except tarfile.TarError as error:
        raise UserError(f"{path}: damaged or no tar file ({error}); download it again") from None
    if not found:
        raise UserError(f"{path}: not ILSVRC's training images: expected a tar file of <wnid>.tar files")
    return found


def images_in_parquet(root: Path, files: list[Path], wanted: set[str]) -> ImagesByClass:
    """Rows of Hugging Face's files: `label` counts the 1,000 classes in the order of their ids."""
    wnids, found = ilsvrc_wnids(), dict[str, list[IlsvrcImage] | None]()
    for path in files:
        archive = path.relative_to(root).as_posix()
        for row, (label, name) in enumerate(read_labels_and_names(path)):
            if not 0 <= label < len(wnids):
                raise UserError(f"{path}, row {row}: label {label} is none of the 1,000 classes")
            wnid = wnids[label]
            named = WNID.match(name or "")
            if named and named[0] != wnid:
                raise UserError(
                    f"{path}, row {row}: label {label} is {wnid} among the 1,000 classes, but the file is {name}; "
                    f"its labels count other classes: unpack it as <wnid>/ folders instead"
                )
            stem = parquet_stem(name, wnid) if name else f"{path.stem}_{row:06d}"
            images = found.setdefault(wnid, [])
            if wnid in wanted and images is not None:
                images.append(IlsvrcImage(stem, f"{archive}/{row}/{name or ''}".rstrip("/"), archive, row))
    return found


def read_labels_and_names(path: Path) -> Iterator[tuple[int, str | None]]:
    """The label and the file name of each row; images themselves are not read."""
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(columns=["label", f"{IMAGE_COLUMN}.path"]):
            names = batch.column(batch.schema.get_field_index(IMAGE_COLUMN)).to_pylist()
            labels = batch.column(batch.schema.get_field_index("label")).to_pylist()
            yield from ((label, name["path"]) for label, name in zip(labels, names, strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no Parquet file with the columns image and label ({error})") from None


def parquet_stem(name: str, wnid: str) -> str:
    """A file's own name: there it is n01440764_10026_n01440764.JPEG, elsewhere n01440764_10026.JPEG."""
    return Path(name).stem.removesuffix(f"_{wnid}")
