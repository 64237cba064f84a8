"""List photographs and styles, from folders or drawn by code, and assign them to splits and shards."""

import difflib
import itertools
from pathlib import Path

import pandas as pd

from shapebias.categories import CATEGORIES, category_of
from shapebias.csv_tables import read_csv_table
from shapebias.errors import UserError
from shapebias.images.folder_files import image_files, is_hidden
from shapebias.images.listing import ALL, SPLITS, ListedImage, SplitCounts, assign_splits, build_listing
from shapebias.seeding import draw_key


def unique_ids(files: list[str]) -> list[str]:
    """Return one id per file: its path without the ending. Duplicates are numbered.

    Dots are replaced, since a dot ends a WebDataset id.
    """
    used: set[str] = set()
    ids = []
    for file in files:
        stem = str(Path(file).with_suffix("")).replace(".", "_")
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        ids.append(next(name for name in names if name not in used))
        used.add(ids[-1])
    return ids


def list_synthetic(classes: dict[str, str], per_class: SplitCounts, shards: dict[str, int], seed: int) -> pd.DataFrame:
    """Return the listing of a drawn source: `per_class[split]` images of each class (class → category)."""
    rows = [
        ListedImage(f"{split}/{name}/{number:05d}", "", name, category, split)
        for split, count in per_class.items()
        for name, category in classes.items()
        for number in range(int(count))
    ]
    return build_listing(rows, shards, seed)


def list_paintings(count: int, shards: int, seed: int) -> pd.DataFrame:
    """Return the listing of `count` drawn paintings."""
    return build_listing(
        [ListedImage(f"painting-{number:05d}", "", "", "", ALL) for number in range(count)], {ALL: shards}, seed
    )


def list_style_folder(root: Path, shards: int, seed: int) -> pd.DataFrame:
    """Return the listing of all images below a folder of styles."""
    files = image_files(root)
    if not files:
        raise UserError(f"{root}: no images in this folder of styles; give a folder with paintings or photographs")
    rows = [ListedImage(i, file, "", "", ALL) for i, file in zip(unique_ids(files), files, strict=True)]
    return build_listing(rows, {ALL: shards}, seed)


def list_imagefolder(
    root: Path, per_class: SplitCounts, shards: dict[str, int], seed: int, categories: dict[str, str] | None = None
) -> pd.DataFrame:
    """Return the listing of a folder `<class>/image` or `<split>/<class>/image`.

    per_class: split → number of images of each class, or "all". Images are sampled without replacement by (seed, id).
    A split without a folder is sampled from the training images first; the rest remains for training.
    categories: class → category; ILSVRC classes and classes with a category's name need no entry.
    Raises UserError for a missing folder, an empty class, too few images, a class without a category.
    """
    pools = class_pools(root)
    files = sorted(file for pool in pools.values() for members in pool.values() for file in members)
    ids = dict(zip(files, unique_ids(files), strict=True))
    rows = []
    for name in sorted({name for pool in pools.values() for name in pool}):
        category = require_category(name, root, categories)
        in_order = {split: sampling_order(pool.get(name, []), seed) for split, pool in pools.items()}
        for file, split, pool, rank in assign_splits(name, in_order, per_class, root):
            rows.append(ListedImage(ids[file], file, name, category, split, pool=pool, rank=rank))
    return build_listing(rows, shards, seed)


def sampling_order(files: list[str], seed: int) -> list[str]:
    """Return one class's files in their sampling order."""
    return sorted(files, key=lambda file: (draw_key(seed, "split", Path(file).with_suffix("")), file))


def class_pools(root: Path) -> dict[str, dict[str, list[str]]]:
    """Return split → class → files (relative to `root`); without split folders, a single pool `train`."""
    files = image_files(root)
    if not files:
        raise UserError(f"{root}: no images; expected <class>/image or <split>/<class>/image")
    folders = {entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name)}
    if not folders:
        raise UserError(f"{root}: images but no class folders; expected <class>/image or <split>/<class>/image")
    split_folders = folders & set(SPLITS)
    if split_folders and folders != split_folders:
        class_folders = ", ".join(sorted(folders - split_folders))
        raise UserError(
            f"{root}: split folders ({', '.join(sorted(split_folders))}) beside other folders ({class_folders}); "
            "use one layout"
        )
    pools: dict[str, dict[str, list[str]]] = {}
    for split in sorted(split_folders) or [SPLITS[0]]:
        base = root / split if split_folders else root
        classes = sorted(e.name for e in base.iterdir() if e.is_dir() and not is_hidden(e.name))
        pools[split] = {name: [] for name in classes}
    for file in files:
        parts = file.split("/")
        split, rest = (parts[0], parts[1:]) if split_folders else (SPLITS[0], parts)
        if len(rest) > 1:
            pools[split][rest[0]].append(file)
    for split, pool in pools.items():
        empty = [name for name, members in pool.items() if not members]
        if empty:
            location = f"split {split} of {root}" if split_folders else str(root)
            raise UserError(
                f"{location}: no images in class folder {', '.join(empty[:5])}; add images or remove the folder"
            )
    return pools


def require_category(name: str, root: Path, categories: dict[str, str] | None) -> str:
    """Return the category of a class; raise UserError if it has none or an unknown one."""
    category = category_of(name, categories)
    if category is None:
        raise UserError(
            f"{root}: class {name!r} has no category: it is neither one of the 207 ILSVRC classes nor one of the "
            f"16 category names; give a CSV with the columns class,category (source key `categories`)"
        )
    if category not in CATEGORIES:
        raise UserError(unknown_category(name, category))
    return category


def unknown_category(name: str, category: str) -> str:
    """Return the message about a class whose category is none of the 16."""
    similar = difflib.get_close_matches(category, CATEGORIES, 1)
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    return f"class {name!r}: unknown category {category!r}; allowed: {', '.join(CATEGORIES)}{hint}"


def read_categories(path: Path) -> dict[str, str]:
    """Read a class → category CSV: columns `class` or `wnid`, and `category`, which may be empty.

    With both columns, `wnid` is the class, and `class` holds names for people. Raises UserError, with the line, for a
    class that is named twice and for an unknown category; `read_csv_table` describes the other errors.
    """
    table = read_csv_table(path)
    key = "wnid" if "wnid" in table.columns else "class"
    if key not in table.columns or "category" not in table.columns:
        raise UserError(f"{path}: columns {', '.join(table.columns)}; expected class,category")
    table.require_unique(key, "class")
    categories = dict(zip(table.column(key), table.column("category"), strict=True))
    for (name, category), line in zip(categories.items(), table.lines, strict=True):
        if category and category not in CATEGORIES:
            raise UserError(f"{path}, line {line}: {unknown_category(name, category)}")
    return categories
