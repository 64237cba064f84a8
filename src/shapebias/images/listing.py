"""Listings: the images of a set, the split and shard of each, and the reserves that replace broken images.

A listing is a table (Parquet) with one row per image. It is a pure function of (seed, names), so adding shards moves
images between shards but changes no image. The images of one class form a pool in random order; an image's position
there is its `rank`. Images that no split uses are reserves (split "", shard -1). Rows without a pool have no reserves,
because their class uses all its images or because the images are drawn by code.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.seals import SEAL_KEY, UNSEALED, check_seal, seal
from shapebias.seeding import draw_key

SPLITS = ("train", "val", "test")
ALL = "all"  # a count: as many images as exist; also the single split of a set of styles
RESERVE = ""  # the split of a reserve image
ROW_GROUP = 2000  # rows that a job reads at once to find those of its shard

SplitCounts = dict[str, int | str]
T = TypeVar("T")


@dataclass(frozen=True)
class ListedImage:
    """One image of a listing.

    file: its path below the source's folder, for display.
    archive: the archive that contains the image, "" for a separate file.
    offset, length: its bytes in a tar file, or its row in a Parquet file (length -1).
    """

    id: str
    file: str
    class_name: str
    category: str
    split: str
    shard: int = -1
    archive: str = ""
    offset: int = 0
    length: int = -1
    pool: str = ""
    rank: int = -1


LISTING_COLUMNS = [field.name for field in fields(ListedImage)]


def assign_splits(
    name: str, pools: Mapping[str, list[T]], per_class: SplitCounts, source: object
) -> Iterator[tuple[T, str, str, int]]:
    """Assign one class's images, in sampling order, to splits; yield (image, split, pool, rank), including reserves.

    pools: split → its images; a split without a pool takes training images. source: named in errors.
    Raises UserError if there are too few images.
    """
    used = dict.fromkeys(pools, 0)
    exhausted = set()
    # Splits without a pool come first: their images leave the training images.
    for split in sorted(per_class, key=lambda split: (split in pools, split)):
        pool, count = split if split in pools else SPLITS[0], per_class[split]
        images = pools.get(pool, [])
        start = used.get(pool, 0)
        left = len(images) - start
        wanted = left if count == ALL else int(count)
        if wanted > left or not left:
            raise UserError(
                f"{source}: class {name!r} has {left} images left for split {split!r}, "
                f"{count} wanted; lower `per_class: {{{split}: …}}` or add images"
            )
        for rank in range(start, start + wanted):
            yield images[rank], split, "" if count == ALL else pool, rank
        used[pool] = start + wanted
        if count == ALL:
            exhausted.add(pool)
    for pool, images in pools.items():
        if pool not in exhausted and (pool in per_class or used[pool]):
            for rank in range(used[pool], len(images)):
                yield images[rank], RESERVE, pool, rank


def build_listing(rows: Iterable[ListedImage], shards: Mapping[str, int], seed: int) -> pd.DataFrame:
    """Return the table of the images, each assigned to a shard of its split.

    The order is random by (seed, id), so each shard mixes classes. Images in Parquet files keep the files' order
    instead, so that a job reads each row group once.
    """
    table = pd.DataFrame([astuple(row) for row in rows], columns=LISTING_COLUMNS)
    for split, count in shards.items():
        images = int((table["split"] == split).sum())
        if 0 < images < count:
            raise UserError(f"split {split!r}: {images} images cannot fill {count} shards; lower `shards`")
    in_parquet = table["archive"].str.endswith(".parquet").any()
    if in_parquet:
        order = table.sort_values(["archive", "offset"])
    else:
        order = table.assign(draw=[draw_key(seed, "shard", i) for i in table["id"]]).sort_values(["draw", "id"])
    position = order.groupby("split").cumcount()
    counts = order["split"].map({RESERVE: 1, **shards})
    sizes = order.groupby("split")["id"].transform("size")
    shard = position * counts // sizes if in_parquet else position % counts
    table["shard"] = shard.where(order["split"] != RESERVE, -1)
    return table.sort_values(["split", "shard", "archive", "offset", "id"], ignore_index=True)


def write_listing(target: Path, table: pd.DataFrame) -> None:
    """Write a listing (Parquet)."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), SEAL_KEY: UNSEALED})
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer, row_group_size=ROW_GROUP)
    with atomic_write(target) as draft:
        draft.write_bytes(seal(buffer.getvalue().to_pybytes()))


def read_listing(path: Path, split: str, shard: int) -> list[ListedImage]:
    """Return the rows of one shard of a listing, reading only their part of a long file."""
    return read_rows(path, [("split", "==", split), ("shard", "==", shard)])


def rows_of_shard(table: pd.DataFrame, split: str, shard: int) -> list[ListedImage]:
    """Return the rows of one shard of a listing in memory, as `read_listing` does for a file."""
    rows = table[(table["split"] == split) & (table["shard"] == shard)]
    return [ListedImage(**row) for row in rows.to_dict("records")]


def read_pool(path: Path, class_name: str, pool: str) -> list[ListedImage]:
    """Return all rows of one class's pool, including reserves, by rank."""
    rows = read_rows(path, [("class_name", "==", class_name), ("pool", "==", pool)])
    return sorted(rows, key=lambda row: row.rank)


def read_rows(path: Path, filters: list[tuple]) -> list[ListedImage]:
    try:
        check_seal(path)  # on some damaged files pyarrow waits for ever, or ends the process
        table = pq.read_table(path, filters=filters)
        return [ListedImage(**row) for row in table.to_pylist()]
    except FileNotFoundError:
        raise UserError(f"{path}: no such listing; make it with scripts/scan.py") from None
    except (OSError, pa.ArrowException, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a listing written by scripts/scan.py ({reason}); remove it to have it made again"
        ) from None
