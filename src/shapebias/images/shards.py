"""Shards: uncompressed tar files in the WebDataset convention, with random access.

A sample is `<id>.jpg` (or `.png`) followed by `<id>.json`, its label. The first dot of a base name ends the
id, so ids hold no dots. `tar xf` opens a shard as a folder of images.
Source of the convention: github.com/webdataset/webdataset.
"""

import io
import itertools
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braceexpand import braceexpand
from PIL import Image

from shapebias.errors import UserError
from shapebias.files import atomic_write, open_regular_file
from shapebias.images.codec import check_file_size, load_rgb
from shapebias.images.tar_files import tar_members

Label = dict[str, Any]

MAX_LABEL_BYTES = 2**20
CHECKSUM_KEY = "crc32"  # the last value of a label
CHECKSUM_MARK = b', "crc32": '
TEXT_FIELDS = ("id", "class", "shape", "shape_class", "texture", "texture_class", "content", "style")
SHARD_RANGE = re.compile(r"\{\d+\.\.\d+\}\.(tar|safetensors)$")


def label(
    sample_id: str,
    *,
    class_name: str | None = None,
    shape: str | None = None,
    texture: str | None = None,
    texture_class: str | None = None,
    content: str | None = None,
    style: str | None = None,
    **more: Any,
) -> Label:
    """Return the label of one image. `class` is the training target; `shape` and `texture` are categories.

    In a photograph both cues agree. A painting's texture has no category (None).
    """
    return {
        "id": sample_id,
        "class": class_name,
        "shape": shape,
        "shape_class": class_name,
        "texture": texture,
        "texture_class": texture_class,
        "content": content,
        "style": style,
        **more,
    }


def parse_label(data: bytes, key: str) -> Label:
    """Return the label of a sample from its JSON text; fields that it lacks are None.

    key: the sample's name, for errors. Raises ValueError for anything but a label.
    """
    values = json.loads(data)
    if not isinstance(values, dict) or not values.keys() >= {"id", "class", "shape", "texture"}:
        raise ValueError(f"label of {key}")
    parsed = label(values["id"]) | values
    for name in TEXT_FIELDS:
        text = parsed[name]
        if (text is None and name != "id") or (isinstance(text, str) and text.isprintable()):
            continue
        raise ValueError(f"label of {key}: {name} is {text!r}, not a text")
    return parsed


def check_id(sample_id: str, origin: object) -> None:
    """Raise UserError if an id cannot name a file in a shard; origin: the file that the id comes from, for the message.

    A dot would end the name too early, and a path that begins at `/` or leaves the folder would be written elsewhere
    when somebody unpacks the shard.
    """
    if not sample_id.isprintable() or "." in sample_id or "" in sample_id.split("/"):
        raise UserError(
            f"{origin}: id {sample_id!r} cannot name a file in a shard; an id is a relative path of printable letters "
            f"without dots. Change the labels, or unpack the images and give their folder"
        )


def write_shard(target: Path, samples: Iterable[tuple[Label, str, bytes]]) -> int:
    """Write (label, file ending, image bytes) samples in order; return their number.

    The same samples give the same bytes: members store no time, owner or mode of this machine.
    Raises UserError for an id that cannot name a file.
    """
    count = 0
    with atomic_write(target) as draft, tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
        for sample_label, suffix, data in samples:
            check_id(sample_label["id"], target)
            text = json.dumps(sample_label, ensure_ascii=False, sort_keys=True).encode()
            text = text[:-1] + CHECKSUM_MARK + b"%d}" % zlib.crc32(data, zlib.crc32(text))
            for name, content in ((suffix, data), ("json", text)):
                member = tarfile.TarInfo(f"{sample_label['id']}.{name}")
                member.size = len(content)
                member.mode = 0o644
                tar.addfile(member, io.BytesIO(content))
            count += 1
    return count


@dataclass(frozen=True)
class Sample:
    """One image of a shard and its label; the image is read on demand.

    checksums: CRC-32 of the label's text, and of this text and the image. Shards of other tools have none.
    """

    shard: "Shard"
    label: Label
    offset: int
    size: int
    checksums: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        return self.label["id"]

    @property
    def origin(self) -> Path:
        return self.shard.path

    def bytes(self) -> bytes:
        """Return the encoded image.

        Raises BadImageError if it is too large, and UserError if image and label do not fit their checksum.
        """
        check_file_size(self.size)
        data = self.shard.read(self.offset, self.size)
        if self.checksums and zlib.crc32(data, self.checksums[0]) != self.checksums[1]:
            raise UserError(
                f"{self.origin}: image {self.id} does not fit the checksum in its label, so one of them is damaged; "
                f"remove the shard to have it made again"
            )
        return data

    def image(self) -> Image.Image:
        """Return the decoded RGB image; raises BadImageError."""
        return load_rgb(self.bytes())


class Shard:
    """One tar file with an index of offsets, so that reading any sample takes one read."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.file: tuple[int, int] | None = None
        self.samples = list(self.index())

    def index(self) -> Iterator[Sample]:
        """Yield the samples with their offsets; raises UserError for anything but a shard."""
        images: dict[str, tuple[int, int]] = {}
        try:
            with open_regular_file(self.path) as file:
                for member in tar_members(file):
                    folder, _, base = member.name.rpartition("/")
                    key, _, suffix = base.partition(".")
                    key = f"{folder}/{key}" if folder else key
                    if not member.isreg() or member.issparse():
                        continue
                    if suffix != "json":
                        images[key] = (member.offset_data, member.size)
                        continue
                    if member.size > MAX_LABEL_BYTES:
                        raise ValueError(f"a label of {member.size:,} bytes for {key}")
                    file.seek(member.offset_data)
                    text = file.read(member.size)
                    sample_label = parse_label(text, key)
                    checksum = sample_label.pop(CHECKSUM_KEY, None)
                    label_text = text.rpartition(CHECKSUM_MARK)[0] + b"}"
                    checksums = None if checksum is None else (zlib.crc32(label_text), checksum)
                    yield Sample(self, sample_label, *images.pop(key), checksums)
            if images:
                raise ValueError(f"no label for {', '.join(list(images)[:3])}")
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such shard") from None
        except EOFError as error:
            raise UserError(
                f"{self.path}: not a complete shard: {error}; copy it again, or remove it to have it made again"
            ) from None
        except (tarfile.TarError, KeyError, ValueError, RecursionError) as error:
            raise UserError(
                f"{self.path}: not a shard of <id>.jpg + <id>.json samples ({error}); remove it to have it made again"
            ) from None

    def read(self, offset: int, size: int) -> bytes:
        # A forked DataLoader worker must not share its parent's file descriptor.
        if self.file is None or self.file[0] != os.getpid():
            with open_regular_file(self.path) as file:
                self.file = (os.getpid(), os.dup(file.fileno()))
        return os.pread(self.file[1], size, offset)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "file": None}

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


def open_shards(paths: Iterable[Path]) -> Sequence[Sample]:
    """Return all samples of the shards, ordered by id, so the order does not depend on the number of shards.

    Raises UserError if two shards hold an image with the same id.
    """
    samples = sorted((sample for path in expand(paths) for sample in Shard(path)), key=lambda sample: sample.id)
    for first, second in itertools.pairwise(samples):
        if first.id == second.id:
            raise UserError(f"{first.origin} and {second.origin} both hold image {first.id!r}; give each shard once")
    return samples


def expand(paths: Iterable[Path | str]) -> list[Path]:
    """Expand WebDataset's brace notation in paths: `a/{0..2}.tar` means three shards."""
    return [
        Path(expanded)
        for path in paths
        for expanded in (braceexpand(str(path)) if SHARD_RANGE.search(str(path)) else [path])
    ]
