"""Tar and zip files that are cut short, doubled or made to do harm are refused by name, before they take memory."""

import gzip
import io
import logging
import os
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from helpers import picture

from shapebias.errors import BadImageError, UserError
from shapebias.evaluation.stimuli import is_shard, open_benchmark
from shapebias.images import archives, codec
from shapebias.images.archives import ArchivedImage, open_archive
from shapebias.images.codec import encode
from shapebias.images.ilsvrc import list_ilsvrc
from shapebias.images.shards import Shard, label, open_shards, write_shard

PNG = encode(picture(), "png")[1]
Files = dict[str, bytes]


def tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return buffer.getvalue()


def shard(*ids: str) -> bytes:
    """Return a shard of one image per id."""
    files: Files = {}
    for i in ids:
        text = f'{{"id": "{i}", "class": "cat", "shape": "cat", "texture": "cat", "content": "{i}.png"}}'
        files |= {f"{i}.png": PNG, f"{i}.json": text.encode()}
    return tar(files)


def offset_of_member(data: bytes, number: int) -> int:
    with tarfile.open(fileobj=io.BytesIO(data)) as source:
        return source.getmembers()[number].offset


CATS, DOGS = {f"cat/cat{i}-dog{i}.png": PNG for i in range(4)}, {"dog/dog9-cat9.png": PNG}
PACKED = {".tar": tar, ".tar.gz": lambda files: gzip.compress(tar(files)), ".tgz": lambda f: gzip.compress(tar(f))}


# Cut short, or two in one file


def test_a_shard_that_ends_after_a_whole_sample_is_refused(tmp_path):
    data = shard("a", "b", "c")
    for number in (2, 4):
        (tmp_path / "0.tar").write_bytes(data[: offset_of_member(data, number)])
        with pytest.raises(UserError, match=r"0\.tar: not a complete shard: it ends too early"):
            open_shards([tmp_path / "0.tar"])


@pytest.mark.parametrize("end", range(512, 10_240, 512))
def test_a_shard_cut_at_any_block_is_refused_or_complete(tmp_path, end):
    data = shard("a", "b")
    zeros = len(data) - len(data.rstrip(b"\0"))
    (tmp_path / "0.tar").write_bytes(data[:end])
    if end > len(data) - zeros + 511:  # only zeros of the end mark are missing
        assert [sample.id for sample in Shard(tmp_path / "0.tar")] == ["a", "b"]
    else:
        with pytest.raises(UserError, match=r"0\.tar: not a"):
            Shard(tmp_path / "0.tar")


def test_two_shards_in_one_file_are_refused(tmp_path):
    (tmp_path / "0.tar").write_bytes(shard("a", "b") + shard("c"))
    with pytest.raises(UserError, match=r"0\.tar: not a complete shard: a damaged or a second archive follows"):
        open_shards([tmp_path / "0.tar"])


def test_a_shard_with_a_damaged_header_is_refused(tmp_path):
    data = bytearray(shard("a", "b", "c"))
    data[offset_of_member(bytes(data), 2) + 150] ^= 0xFF  # in its checksum
    (tmp_path / "0.tar").write_bytes(data)
    with pytest.raises(UserError, match=r"a damaged or a second archive follows"):
        Shard(tmp_path / "0.tar")


@pytest.mark.parametrize("ending", PACKED)
def test_two_tar_files_in_one_benchmark_archive_are_refused(tmp_path, ending):
    pack, path = PACKED[ending], tmp_path / f"x{ending}"
    path.write_bytes(pack(CATS) + pack(DOGS))
    with pytest.raises(UserError, match=r"x\.t.*: not a complete archive .*second archive follows in the same file"):
        open_benchmark([path], "cue_conflict")


@pytest.mark.parametrize("ending", PACKED)
def test_a_benchmark_archive_that_ends_after_a_whole_image_is_refused(tmp_path, ending):
    data = tar(CATS)
    data, path = data[: offset_of_member(data, 2)], tmp_path / f"x{ending}"
    path.write_bytes(data if ending == ".tar" else gzip.compress(data))
    with pytest.raises(UserError, match=r"not a complete archive .*it ends too early"):
        open_benchmark([path], "cue_conflict")


def test_two_zip_files_in_one_are_refused(tmp_path):
    first, second = zipped(CATS), zipped(DOGS)
    for data in (first + second, second + first, first + b"something else"):
        (tmp_path / "x.zip").write_bytes(data)
        with pytest.raises(UserError, match=r"x\.zip: not a complete archive .*(two archives|something follows)"):
            open_benchmark([tmp_path / "x.zip"], "cue_conflict")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as target:
        target.writestr("cat/cat1-dog1.png", PNG)
        target.comment = b"about these images"
    assert len(open_benchmark([tmp_path / "y.zip"], "cue_conflict")) == 1


def nested(*inner: bytes) -> bytes:
    """Return a tar file of tar files of classes."""
    return tar(dict(zip(("n02123045.tar", "n02123159.tar"), inner, strict=False)))


def images_of_class(wnid: str) -> bytes:
    return tar({f"{wnid}_{i}.JPEG": PNG for i in range(3)})


@pytest.mark.parametrize("broken", ["cut", "doubled"])
def test_a_class_of_imagenet_that_is_cut_or_doubled_is_refused(tmp_path, broken):
    cats, more = images_of_class("n02123045"), images_of_class("n02123159")
    bad = cats[: offset_of_member(cats, 2)] if broken == "cut" else cats + cats
    (tmp_path / "nested.tar").write_bytes(nested(bad, more))
    with pytest.raises(UserError, match=r"nested\.tar: damaged or not a tar file \((it ends too|.*second)"):
        list_ilsvrc(tmp_path / "nested.tar", "present", {"train": 1}, {"train": 1}, 0)
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes" / "n02123045.tar").write_bytes(bad)
    with pytest.raises(UserError, match=r"n02123045\.tar: damaged or not a tar file"):
        list_ilsvrc(tmp_path / "classes", "present", {"train": 1}, {"train": 1}, 0)
    (tmp_path / "nested.tar").write_bytes(nested(cats, more))
    assert len(list_ilsvrc(tmp_path / "nested.tar", "present", {"train": 1}, {"train": 1}, 0)) == 6


# Made to do harm


@pytest.mark.parametrize("ending", [".zip", *PACKED])
def test_a_member_that_is_larger_than_any_image_is_set_aside_unread(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(codec, "MAX_FILE_BYTES", 50_000)
    path, pack = tmp_path / f"x{ending}", {".zip": zipped, **PACKED}[ending]
    path.write_bytes(pack({"cat/cat1-dog1.png": PNG, "cat/cat3-dog3.png": bytes(60_000)}))
    intact, bomb = open_benchmark([path], "cue_conflict")
    assert intact.image().size == (24, 24)
    with pytest.raises(BadImageError, match=r"a file of 0 MB, more than the 0 MB allowed"):
        bomb.image()


def test_a_zip_member_that_is_larger_than_announced_is_not_unpacked_at_once(tmp_path, monkeypatch):
    data = bytearray(zipped({"cat/cat3-dog3.png": bytes(50_000_000)}))
    for place in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[place : place + 4] = struct.pack("<I", 1000)
    (tmp_path / "x.zip").write_bytes(data)
    (bomb,) = open_benchmark([tmp_path / "x.zip"], "cue_conflict")
    tracemalloc.start()
    with pytest.raises(BadImageError):
        bomb.image()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_without_a_limit_are_refused(tmp_path, method):
    (tmp_path / "x.zip").write_bytes(zipped(CATS, method))
    with pytest.raises(UserError, match=r"x\.zip: member 'cat/cat0-dog0\.png' is compressed by method"):
        open_benchmark([tmp_path / "x.zip"], "cue_conflict")


def test_a_gzip_file_that_grows_beyond_all_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1_000_000)
    (tmp_path / "x.tgz").write_bytes(gzip.compress(tar({"cat/cat1-dog1.png": bytes(20_000_000)})))
    with pytest.raises(UserError, match=r"x\.tgz: unpacks to more than 100 times its size"):
        open_benchmark([tmp_path / "x.tgz"], "cue_conflict")


def long_name(size: int) -> bytes:
    """Return a tar file whose first header announces a name of `size` bytes."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    return header.tobuf() + bytes(4096)


@pytest.mark.parametrize("ending", PACKED)
def test_a_name_of_a_gigabyte_is_refused(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    path.write_bytes(long_name(10**9) if ending == ".tar" else gzip.compress(long_name(10**9)))
    with pytest.raises(UserError, match=r"not a complete archive .*a header of 1,0\d\d,\d\d\d,\d\d\d bytes"):
        open_archive(path)


def test_headers_nested_a_thousand_times_are_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(long_name(4)[:1024] * 3000 + bytes(1024))
    assert not is_shard(tmp_path / "x.tar")
    for open_file in (open_archive, Shard):
        with pytest.raises(UserError, match=r"x\.tar: not a"):
            open_file(tmp_path / "x.tar")


def test_a_member_of_negative_size_does_not_hang(tmp_path):
    header = bytearray(tarfile.TarInfo("cat/cat1-dog1.png").tobuf())
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512, in tar's binary form
    header[148:156] = b"        "
    header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(10_240))
    for open_file in (open_archive, Shard):
        with pytest.raises(UserError, match=r"x\.tar: not a"):
            open_file(tmp_path / "x.tar")


def test_a_sparse_member_is_no_image_and_no_label(tmp_path):
    header = tarfile.TarInfo("a.json")
    header.type = tarfile.GNUTYPE_SPARSE
    data = bytearray(header.tobuf())
    data[483:495] = f"{4 * 2**30:011o}\0".encode()  # the size with its holes
    data[148:156] = b"        "
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    (tmp_path / "0.tar").write_bytes(tar({"a.png": PNG})[:1024] + bytes(data) + bytes(1024))
    with pytest.raises(UserError, match=r"0\.tar: not a"):
        Shard(tmp_path / "0.tar")


def test_folders_in_a_shard_are_passed_over(tmp_path):
    folder = tarfile.TarInfo("a")
    folder.type = tarfile.DIRTYPE
    (tmp_path / "0.tar").write_bytes(folder.tobuf() + shard("a/1"))
    assert [sample.id for sample in Shard(tmp_path / "0.tar")] == ["a/1"]


@pytest.mark.parametrize(("ending", "pack"), [("tar", tar), ("zip", zipped)])
def test_a_member_whose_name_cannot_be_printed_is_refused(tmp_path, ending, pack):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(pack({"cat/cat1\n-dog1.png": PNG}))
    with pytest.raises(UserError, match=r"member 'cat/cat1\\n-dog1\.png' is not printable; rename the file"):
        open_archive(path)


def test_archives_and_shards_that_are_no_regular_files_are_refused_at_once(tmp_path):
    for name in ("x.tar", "x.tar.gz", "x.zip"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UserError, match="not a regular file"):
            open_benchmark([tmp_path / name], "edges")
    with pytest.raises(OSError, match="not a regular file"):
        Shard(tmp_path / "x.tar")


# Labels and ids of other people's shards


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"5",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"id": 5, "class": null, "shape": null, "texture": null}',
        b'{"id": null, "class": null, "shape": null, "texture": null}',
        b'{"id": "a", "class": ["cat"], "shape": null, "texture": null}',
        b'{"id": "a\\nb", "class": null, "shape": null, "texture": null}',
        b'{"id": "\\ud800", "class": null, "shape": null, "texture": null}',
        b'{"id": "a", "class": null, "shape": null, "texture": null, "content": 7}',
        b" " * (2**20 + 1),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_a_label_that_is_none_is_refused_by_name(tmp_path, text):
    (tmp_path / "0.tar").write_bytes(tar({"a.png": PNG, "a.json": text}))
    with pytest.raises(UserError, match=r"0\.tar: not a shard"):
        Shard(tmp_path / "0.tar")


def test_fields_that_a_label_lacks_are_none(tmp_path):
    (tmp_path / "0.tar").write_bytes(
        tar({"a.png": PNG, "a.json": b'{"id": "a", "class": "cat", "shape": "cat", "texture": null, "more": 1}'})
    )
    (sample,) = open_shards([tmp_path / "0.tar"])
    assert sample.label == label("a", class_name="cat", shape="cat", more=1) | {"shape_class": None}


BAD_IDS = ["v1.5_cat", "../../up", "/abs/x", ".", "..", "a/../b", "", "a//b", "a/", ".hidden", "a\nb", "a\x00b"]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_an_id_that_cannot_name_a_file_is_not_written(tmp_path, bad):
    with pytest.raises(UserError, match=r"o\.tar: id .* cannot name a file in a shard"):
        write_shard(tmp_path / "o.tar", [(label("good"), "png", PNG), (label(bad), "png", PNG)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("good", ["a", "cat/0", "n01440764/n01440764_10026", "miró/0-2", "a b", "train/cat/00001"])
def test_ordinary_ids_are_written_and_read_again(tmp_path, good):
    write_shard(tmp_path / "o.tar", [(label(good), "png", PNG)])
    assert [sample.id for sample in Shard(tmp_path / "o.tar")] == [good]


def test_an_archived_image_is_read_from_any_archive(tmp_path):
    for ending, pack in {".zip": zipped, **PACKED}.items():
        path: Path = tmp_path / f"x{ending}"
        path.write_bytes(pack(CATS))
        archive = open_archive(path)
        assert ArchivedImage(archive, "cat/cat0-dog0.png", label("a")).image().size == (24, 24)


@pytest.mark.parametrize("ending", [".zip", *PACKED])
def test_members_that_are_passed_over_are_counted_by_ending(tmp_path, caplog, ending):
    caplog.set_level(logging.INFO)
    others = dict.fromkeys(("set/a.heic", "set/b.heic", "README.txt", "__MACOSX/c.heic", "set/.hidden"), b"x")
    (tmp_path / f"x{ending}").write_bytes({".zip": zipped, **PACKED}[ending](CATS | others))
    assert len(open_archive(tmp_path / f"x{ending}").members) == 4
    assert f"x{ending}: 3 files of other endings were passed over: .heic (2), .txt (1)" in caplog.text
