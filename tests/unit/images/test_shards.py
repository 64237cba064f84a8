"""Shards: samples are read back unchanged, equal samples give equal bytes, and files appear complete or not at all."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from helpers import files_below, picture

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.codec import encode
from shapebias.images.shards import Shard, expand, label, open_shards, write_shard


def sample(sample_id: str, seed: int = 0) -> tuple:
    return label(sample_id, class_name="cat", shape="cat", content=f"{sample_id}.png"), *encode(picture(seed), "png")


def tar_of(path: Path, **members: bytes) -> Path:
    """Write a tar file with these members; `_` means a dot."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_images_and_labels_are_read_back(tmp_path):
    assert write_shard(tmp_path / "0.tar", [sample("train/cat/1", seed=1), sample("train/cat/2", seed=2)]) == 2
    first, second = Shard(tmp_path / "0.tar")
    assert (first.id, second.id) == ("train/cat/1", "train/cat/2")
    assert first.label == sample("train/cat/1")[0]
    assert first.bytes() == sample("", seed=1)[2]
    assert second.image().tobytes() == picture(2).tobytes()


def test_equal_samples_give_equal_bytes(tmp_path):
    for name in ("a.tar", "b.tar"):
        write_shard(tmp_path / name, [sample("x/1"), sample("ä/2", seed=1)])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_tar_opens_a_shard_as_a_folder_of_images(tmp_path):
    write_shard(tmp_path / "0.tar", [sample("b/2"), sample("a/1")])
    listing = subprocess.run(["tar", "tf", tmp_path / "0.tar"], capture_output=True, text=True, check=True)
    assert listing.stdout.split() == ["b/2.png", "b/2.json", "a/1.png", "a/1.json"]
    subprocess.run(["tar", "xf", tmp_path / "0.tar", "-C", tmp_path], check=True)
    assert json.loads((tmp_path / "a/1.json").read_text())["content"] == "a/1.png"
    assert (tmp_path / "a/1.png").read_bytes() == sample("")[2]


def test_samples_of_several_shards_are_ordered_by_id(tmp_path):
    ids = ["d", "a", "c", "e", "b"]
    write_shard(tmp_path / "all.tar", map(sample, ids))
    write_shard(tmp_path / "0.tar", map(sample, ids[:2]))
    write_shard(tmp_path / "1.tar", map(sample, ids[2:]))
    for paths in ([tmp_path / "all.tar"], [tmp_path / "1.tar", tmp_path / "0.tar"], [tmp_path / "{0..1}.tar"]):
        assert [opened.id for opened in open_shards(paths)] == ["a", "b", "c", "d", "e"]


def test_braces_expand_to_shards_only_in_shard_names():
    assert expand(["in/{0..2}.tar"]) == [Path("in/0.tar"), Path("in/1.tar"), Path("in/2.tar")]
    assert expand([Path("in/{08..10}.tar")]) == [Path("in/08.tar"), Path("in/09.tar"), Path("in/10.tar")]
    assert expand(["my {photos}", "{a}.tar"]) == [Path("my {photos}"), Path("{a}.tar")]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    def broken():
        yield sample("1")
        raise KeyboardInterrupt

    target = tmp_path / "new folder" / "0.tar"
    with pytest.raises(KeyboardInterrupt):
        write_shard(target, broken())
    assert files_below(tmp_path) == []
    write_shard(target, [sample("old")])
    with pytest.raises(KeyboardInterrupt):
        write_shard(target, broken())
    assert [opened.id for opened in Shard(target)] == ["old"]
    assert files_below(tmp_path) == ["new folder/0.tar"]


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    with atomic_write(tmp_path / "x.csv") as draft:
        draft.write_text("half")
        assert not (tmp_path / "x.csv").exists()
    assert (tmp_path / "x.csv").read_text() == "half"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no tar" * 200),
        lambda path: tar_of(path, a_json=b"{}"),
        lambda path: tar_of(path, a_jpg=b"image", a_json=b"no json"),
        lambda path: tar_of(path, a_jpg=b"image", a_json=b"{}"),
        lambda path: tar_of(path, a_jpg=b"image", b_jpg=b"image"),
    ],
    ids=[
        "empty",
        "no tar",
        "a label without image",
        "a label that is no JSON",
        "a label without id",
        "images without labels",
    ],
)
def test_a_file_that_is_not_a_shard_is_refused_by_name(tmp_path, make):
    make(tmp_path / "0.tar")
    with pytest.raises(UserError, match=r"0\.tar: not a shard"):
        open_shards([tmp_path / "0.tar"])


def test_a_truncated_shard_is_refused_by_name(tmp_path):
    write_shard(tmp_path / "0.tar", [sample("a"), sample("b")])
    content = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(content[:1200])
    with pytest.raises(UserError, match=r"0\.tar"):
        Shard(tmp_path / "0.tar")


def test_a_missing_shard_is_reported():
    with pytest.raises(UserError, match=r"nowhere/0\.tar: no such shard"):
        open_shards([Path("nowhere/0.tar")])


def test_two_shards_with_the_same_image_id_are_refused(tmp_path):
    for name in ("x", "y"):
        write_shard(tmp_path / f"{name}.tar", [sample("a")])
    with pytest.raises(UserError, match=r"x\.tar and .*y\.tar both hold image 'a'"):
        open_shards([tmp_path / "x.tar", tmp_path / "y.tar"])
