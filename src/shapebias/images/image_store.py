"""Read the bytes of a listed image from a file, a member of a tar file, or a row of a Parquet file."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from shapebias.errors import BadImageError, UserError
from shapebias.images.codec import MAX_FILE_BYTES, check_file_size, read_image_file
from shapebias.images.listing import ListedImage
from shapebias.images.tar_files import tar_members

MAX_UNPACKING = 10  # times that a row group of encoded images may grow when it is unpacked
IMAGE_COLUMN = "image"  # of Hugging Face's datasets: a struct of bytes and path


@dataclass(frozen=True)
class ImageStore:
    """The images of a source: a folder, or a single archive."""

    folder: Path

    def read(self, image: ListedImage) -> bytes:
        """Return the encoded image.

        Raises BadImageError if the image cannot be read or is too large, and UserError if its file is gone.
        """
        try:
            if not image.archive:
                return read_image_file(self.folder / image.file)
            if image.length < 0:
                return read_parquet_image(self.folder / image.archive, image.offset)
            check_file_size(image.length)
            with (self.folder / image.archive).open("rb") as file:
                file.seek(image.offset)
                return file.read(image.length)
        except FileNotFoundError:
            path = self.folder / (image.archive or image.file)
            raise UserError(f"{path}: gone since its listing was made; remove the listing and run again") from None


def read_parquet_image(path: Path, row: int) -> bytes:
    """Return the encoded image in a row of a Parquet file."""
    try:
        metadata, group = open_parquet(path).metadata, 0
        while row >= (rows := metadata.row_group(group).num_rows):
            row, group = row - rows, group + 1
        check_row_group(path, group)
        image = read_row_group(path, group)[row]
        data = None if image is None else image["bytes"]
    except (pa.ArrowException, RuntimeError, IndexError, KeyError) as error:
        raise UserError(f"{path}: changed since its listing was made ({error}); remove the listing") from None
    if data is None:
        raise BadImageError("no image in this row")
    return data


def check_row_group(path: Path, group: int) -> None:
    """Raise UserError if a row group unpacks to far more than it holds, as images, which are packed already, do not."""
    row_group = open_parquet(path).metadata.row_group(group)
    columns = [row_group.column(i) for i in range(row_group.num_columns)]
    packed, unpacked = (
        sum(getattr(c, f"total_{kind}_size") for c in columns) for kind in ("compressed", "uncompressed")
    )
    if unpacked > MAX_FILE_BYTES and unpacked > MAX_UNPACKING * packed:
        raise UserError(
            f"{path}: row group {group} unpacks from {packed / 1e6:,.0f} to {unpacked / 1e6:,.0f} MB, so it holds no "
            f"encoded images; download it again"
        )


@functools.lru_cache(maxsize=1)
def open_parquet(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path)


@functools.lru_cache(maxsize=1)
def read_row_group(path: Path, group: int) -> list[dict]:
    """Return the images of a row group. Rows are read in order, so the last row group usually serves the next row."""
    return open_parquet(path).read_row_group(group, columns=[IMAGE_COLUMN])[IMAGE_COLUMN].to_pylist()


@dataclass(frozen=True)
class TarEntry:
    """A file in a tar file: its name and the location of its bytes."""

    name: str
    offset: int
    length: int


def list_tar_entries(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[TarEntry]:
    """Yield the files of a tar file from byte `start` to `end` of `file`, in order, reading only the headers.

    Raises tarfile.TarError or EOFError if it is no complete tar file, as `tar_members` does.
    """
    for member in tar_members(file, start, end):
        if member.isreg() and not member.issparse():
            yield TarEntry(member.name, member.offset_data, member.size)
