"""One flipped bit in a result is noticed, or changes nothing that is read."""

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import colour_shard, trials

from shapebias.errors import UserError
from shapebias.evaluation.decisions import read_raw_predictions, write_predictions
from shapebias.images.listing import ListedImage, build_listing, read_listing, write_listing
from shapebias.images.shards import Shard, label
from shapebias.networks.weights import read_weights, write_weights
from shapebias.seals import CHECKSUM_LIST, SEAL_KEY, UNSEALED, seal, write_checksum_list
from shapebias.stylize.style_vectors import StyleVectors, write_style_vectors
from shapebias.tables.reading import read_json, read_table

FLIPS = 150  # per kind of file, at random places


def make_listing(path: Path) -> None:
    rows = [ListedImage(f"cat/{i}", f"cat/{i}.png", "cat", "cat", "train", pool="train", rank=i) for i in range(6)]
    write_listing(path, build_listing(rows, {"train": 2}, seed=0))


def make_vectors(path: Path) -> None:
    labels = [label(f"s{i}", content=f"{i}.png", texture="cat") for i in range(3)]
    write_style_vectors(path, "net", labels, list(np.arange(12, dtype=np.float32).reshape(3, 4)))


def read_vectors(path: Path) -> dict[str, Any]:
    vectors = StyleVectors([path], "net")
    return {name: (vectors.labels[name], vectors.vector(name).tobytes()) for name in vectors.labels}


def make_weights(path: Path) -> None:
    write_weights(path, {"fc.weight": torch.arange(20.0).reshape(4, 5)}, {"model": "net", "seed": 3})


def read_state(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    state, metadata = read_weights(path)
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}, metadata


def make_predictions(path: Path) -> None:
    write_predictions(path, trials(("cat", "dog", "cat"), ("dog", "cat", "cat")), {"observer": "net", "seed": 3})


def read_answers(path: Path) -> tuple[list[dict], dict[str, Any]]:
    table, metadata = read_raw_predictions(path)
    return table.to_dict("records"), metadata


KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "0.tar": (
        lambda path: colour_shard(path, 2),
        lambda path: [(sample.label, sample.bytes()) for sample in Shard(path)],
    ),
    "listing.parquet": (make_listing, lambda path: read_listing(path, "train", 0)),
    "0.safetensors": (make_vectors, read_vectors),
    "model.safetensors": (make_weights, read_state),
    "net.parquet": (make_predictions, read_answers),
    "run.json": (
        lambda path: path.write_bytes(seal(json.dumps({"accuracy": 0.75, SEAL_KEY: UNSEALED}).encode())),
        read_json,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_one_flipped_bit_is_noticed_or_changes_nothing(tmp_path, name):
    make, read = KINDS[name]
    path = tmp_path / name
    make(path)
    data, content, noticed = path.read_bytes(), read(path), 0
    draw = random.Random(name)
    for _ in range(FLIPS):
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
        try:
            assert read(path) == content, f"byte {place}, bit {bit}"
        except UserError as error:
            assert str(path) in str(error) and "remove" in str(error)
            noticed += 1
    assert noticed > FLIPS / 2 if name != "0.tar" else noticed > FLIPS / 5  # half of a small shard is padding


def test_a_seal_is_the_crc_of_the_file_with_zeros_in_its_place():
    text = b'{"seal": "crc32:00000000"}'
    trailer = gzip.compress(text)[-8:-4]  # which holds the CRC-32 too, with the last byte first
    assert seal(text) == b'{"seal": "crc32:%s"}' % trailer[::-1].hex().encode()


@pytest.mark.parametrize("name", ["crc32:00000000", "crc32:12345678"])
def test_a_name_that_looks_like_a_seal_is_refused(tmp_path, name):
    """The seal would be written into the first of these names, and into the table."""
    answers = trials(("cat", "dog", "cat"), observer=name)
    with pytest.raises(UserError, match=f"{name} is the form"):
        write_predictions(tmp_path / "x.parquet", answers, {"observer": name})
    assert not (tmp_path / "x.parquet").exists()


def test_a_file_without_a_seal_passes(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "config.json") == {"a": 1}


def test_sha256sum_verifies_a_list_of_checksums(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    write_checksum_list(tmp_path / CHECKSUM_LIST, [tmp_path / "a.csv"])
    done = subprocess.run(["sha256sum", "--check", CHECKSUM_LIST], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "a.csv: OK\n")


@pytest.mark.parametrize("rows", ["file\n", "set,split,file,reason\nin,test,a.png,small\nin,test,b.png,small\n"])
def test_a_table_that_changed_since_it_was_written_is_refused(tmp_path, rows):
    """A table that is cut between two rows is still a table."""
    path = tmp_path / "rejected.csv"
    path.write_text("set,split,file,reason\nin,test,a.png,small\n")
    write_checksum_list(tmp_path / CHECKSUM_LIST, [path])
    assert len(read_table(tmp_path, "rejected")) == 1
    path.write_text(rows)
    with pytest.raises(UserError, match=r"rejected\.csv: changed since it was written; remove it"):
        read_table(tmp_path, "rejected")
    (tmp_path / CHECKSUM_LIST).unlink()
    if rows != "file\n":
        assert len(read_table(tmp_path, "rejected")) == 2
