"""ISIC 2017 part 3, melanoma or not: the challenge's images, diagnoses and splits.

Source: Codella et al. 2018, arXiv 1710.05006; challenge.isic-archive.com/data (2017).
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from shapebias.csv_tables import read_csv_table
from shapebias.errors import UserError
from shapebias.images.listing import ListedImage, build_listing

MELANOMA, OTHER = "melanoma", "other"  # the two classes
CHALLENGE_PARTS = {"train": "Training", "val": "Validation", "test": "Test_v2"}  # split → the challenge's name for it
TRUTH_COLUMNS = ["image_id", "melanoma", "seborrheic_keratosis"]
TRUTH_VALUES = {"0": False, "0.0": False, "1": True, "1.0": True}


def list_isic(root: Path, shards: Mapping[str, int], seed: int) -> pd.DataFrame:
    """Return the listing of all images of the challenge; the classes `melanoma` and `other` have no category.

    root: a folder with `ISIC-2017_{Training,Validation,Test_v2}_Data/<image_id>.jpg`, and beside each data folder a
    table `…_Part3_GroundTruth.csv` that lists its images. Other files in the folders (superpixels) are ignored.
    Raises UserError for missing files and images, damaged tables, and an image in two splits.
    """
    rows, table_of = [], dict[str, Path]()
    for split, part in CHALLENGE_PARTS.items():
        folder, table = f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part3_GroundTruth.csv"
        diagnoses = read_diagnoses(table)
        if not (root / folder).is_dir():
            raise UserError(f"{root / folder}: no such folder; it holds the images that {table.name} lists")
        existing = {entry.name for entry in (root / folder).iterdir()}
        missing = [image for image in diagnoses if f"{image}.jpg" not in existing]
        if missing:
            more = f" and {len(missing) - 1} more of its images" if len(missing) > 1 else ""
            raise UserError(
                f"{root / folder / missing[0]}.jpg: missing{more}, though {table.name} lists it; unpack it again"
            )
        for image, melanoma in diagnoses.items():
            if image in table_of:
                raise UserError(
                    f"{table}: image {image!r} is in {table_of[image].name} too; an image must be in one split only"
                )
            table_of[image] = table
            rows.append(ListedImage(image, f"{folder}/{image}.jpg", MELANOMA if melanoma else OTHER, "", split))
    return build_listing(rows, shards, seed)


def read_diagnoses(path: Path) -> dict[str, bool]:
    """Return image id → whether it shows a melanoma, from a part 3 ground truth; raises UserError if it is damaged."""
    if not path.exists():
        raise UserError(
            f"{path}: no such file; expected ISIC-2017_{{{','.join(CHALLENGE_PARTS.values())}}}_Part3_GroundTruth.csv "
            f"and the folders ISIC-2017_{{…}}_Data beside them"
        )
    table = read_csv_table(path, TRUTH_COLUMNS).frame()
    if table.empty:
        raise UserError(f"{path}: lists no images")
    invalid = table.loc[~table["image_id"].str.fullmatch(r"ISIC_\d+"), "image_id"]
    if len(invalid):
        raise UserError(f"{path}: image_id {invalid.iloc[0]!r}; expected ISIC_ and a number, without an ending")
    duplicates = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(duplicates):
        raise UserError(f"{path}: image {duplicates.iloc[0]!r} is listed twice; keep one of the rows")
    for name in TRUTH_COLUMNS[1:]:
        invalid = table[~table[name].isin(list(TRUTH_VALUES))]
        if len(invalid):
            image, value = invalid[["image_id", name]].iloc[0]
            raise UserError(f"{path}: {name} of {image} is {value!r}; allowed: 0.0 and 1.0")
    melanoma, keratosis = (table[name].map(TRUTH_VALUES) for name in TRUTH_COLUMNS[1:])
    both = table.loc[melanoma & keratosis, "image_id"]
    if len(both):
        raise UserError(
            f"{path}: image {both.iloc[0]!r} is both a melanoma and a seborrheic keratosis; keep one diagnosis"
        )
    return dict(zip(table["image_id"], melanoma, strict=True))
