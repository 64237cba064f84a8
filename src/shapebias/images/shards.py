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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braceexpand import braceexpand
from PIL import Image

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.codec import load_rgb

Label = dict[str, Any]

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


def write_shard(target: Path, samples: Iterable[tuple[Label, str, bytes]]) -> int:
    """Write (label, file ending, image bytes) samples in order; return their number.

    The same samples give the same bytes: members store no time, owner or mode of this machine.
    """
    count = 0
    with atomic_write(target) as draft, tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
        for sample_label, suffix, data in samples:
            text = json.dumps(sample_label, ensure_ascii=False, sort_keys=True).encode()
            for name, content in ((suffix, data), ("json", text)):
                member = tarfile.TarInfo(f"{sample_label['id']}.{name}")
                member.size = len(content)
                member.mode = 0o644
                tar.addfile(member, io.BytesIO(content))
            count += 1
    return count


@dataclass(frozen=True)
class Sample:
    """One image of a shard and its label; the image is read on demand."""

    shard: "Shard"
    label: Label
    offset: int
    size: int

    @property
    def id(self) -> str:
        return self.label["id"]

    @property
    def origin(self) -> Path:
        return self.shard.path

    def bytes(self) -> bytes:
        """Return the encoded image."""
        return self.shard.read(self.offset, self.size)

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
            with tarfile.open(self.path, "r:") as tar:
                for member in tar:
                    folder, _, base = member.name.rpartition("/")
                    key, _, suffix = base.partition(".")
                    key = f"{folder}/{key}" if folder else key
                    if suffix == "json":
                        stream = tar.extractfile(member)
                        assert stream is not None
                        offset, size = images.pop(key)
                        sample = Sample(self, json.loads(stream.read()), offset, size)
                        assert sample.label.keys() >= {"id", "class", "shape", "texture"}, f"label of {key}"
                        yield sample
                    elif member.isfile():
                        images[key] = (member.offset_data, member.size)
            assert not images, f"no label for {', '.join(list(images)[:3])}"
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such shard") from None
        except (tarfile.TarError, KeyError, json.JSONDecodeError, AssertionError) as error:
            raise UserError(f"{self.path}: not a shard of <id>.jpg + <id>.json samples ({error})") from None

    def read(self, offset: int, size: int) -> bytes:
        # A forked DataLoader worker must not share its parent's file descriptor.
        if self.file is None or self.file[0] != os.getpid():
            self.file = (os.getpid(), os.open(self.path, os.O_RDONLY))
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
