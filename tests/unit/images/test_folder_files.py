"""Folders of images: each real folder and file is listed once, whatever links lead to it."""

import logging
import os
from pathlib import Path

import pytest
from helpers import image_folder

from shapebias.errors import UserError
from shapebias.images.folder_files import image_files
from shapebias.images.ilsvrc import list_ilsvrc
from shapebias.images.image_folder import list_imagefolder
from shapebias.images.pictures import open_pictures

ALL_FILES = ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Return `photographs/<class>/image`: two cats, two dogs."""
    return image_folder(tmp_path / "photographs", {"cat": 2, "dog": 2}, size=4)


@pytest.mark.parametrize(
    "links",
    [
        {"cat/up": ".."},
        {"cat/up": "..", "dog/up": ".."},
        {"cat/self": "."},
        {"cat/dogs": "../dog"},
        {"cat/dogs": "../dog", "dog/cats": "../cat"},
        {"cat/outside": "../.."},
        {"cat/root": "/"},
        {"aardvark": "dog"},
    ],
    ids=str,
)
def test_a_link_to_a_listed_folder_lists_no_photograph_twice(photographs, links, caplog):
    for name, target in links.items():
        (photographs / name).symlink_to(target)
    assert image_files(photographs) == ALL_FILES
    for name in links:
        assert f"{photographs / name}: this link is skipped" in caplog.text


def test_links_to_other_folders_are_followed(photographs, tmp_path):
    image_folder(tmp_path / "elsewhere", {"birds": 1, "more": 1}, size=4)
    (photographs / "bird").symlink_to(tmp_path / "elsewhere" / "birds")
    (photographs / "zebra").symlink_to("../elsewhere/more")
    assert image_files(photographs) == ["bird/0.png", *ALL_FILES, "zebra/0.png"]


def test_a_folder_behind_two_links_is_listed_once(photographs, tmp_path):
    image_folder(tmp_path / "elsewhere", {"birds": 1}, size=4)
    for name in ("bird", "eagle"):
        (photographs / name).symlink_to("../elsewhere/birds")
    assert image_files(photographs) == ["bird/0.png", *ALL_FILES]
    with pytest.raises(UserError, match="no images in class folder eagle"):
        list_imagefolder(photographs, {"train": 1}, {"train": 1}, 0, {"eagle": "bird"})


def test_classes_are_right_although_links_form_a_circle(photographs):
    (photographs / "cat" / "up").symlink_to("..")
    listing = list_imagefolder(photographs, {"train": 1, "val": 1}, {"train": 1, "val": 1}, 0)
    assert sorted(listing["file"]) == ALL_FILES
    assert (listing["class_name"] == listing["file"].str.split("/").str[0]).all()
    assert [picture.id for picture in open_pictures([photographs])] == ["cat/0", "cat/1", "dog/0", "dog/1"]


@pytest.mark.parametrize("make_link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_one_photograph_in_two_folders_is_refused_by_both_names(photographs, make_link):
    make_link(photographs / "dog" / "0.png", photographs / "cat" / "7.png")
    with pytest.raises(UserError, match=r"cat/7\.png and dog/0\.png are the same file; remove one of them"):
        image_files(photographs)


@pytest.mark.parametrize("make_link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_one_photograph_with_two_names_in_a_folder_is_listed_once(photographs, make_link, caplog):
    make_link(photographs / "dog" / "1.png", photographs / "dog" / "0b.png")
    expected = ALL_FILES if make_link is os.symlink else ["cat/0.png", "cat/1.png", "dog/0.png", "dog/0b.png"]
    assert image_files(photographs) == expected
    assert "are the same file, which is listed once" in caplog.text


def test_links_that_lead_nowhere_are_listed_to_be_set_aside_later(photographs):
    (photographs / "cat" / "gone.jpg").symlink_to("nowhere")
    (photographs / "cat" / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(photographs / "cat" / "fifo.jpg")
    assert set(image_files(photographs)) - set(ALL_FILES) == {"cat/fifo.jpg", "cat/gone.jpg", "cat/self.jpg"}


def test_files_that_are_passed_over_are_counted_by_ending(photographs, caplog):
    caplog.set_level(logging.INFO)
    for name in ("a.heic", "b.HEIC", "c.txt", "README", ".hidden"):
        (photographs / "cat" / name).write_bytes(b"x")
    (photographs / "cat" / "2.avif").write_bytes(b"x")
    assert image_files(photographs) == ["cat/0.png", "cat/1.png", "cat/2.avif", *ALL_FILES[2:]]
    assert "4 files of other endings were passed over: .heic (2), no ending (1), .txt (1)" in caplog.text


CLASSES = ("n02123045", "n02123159")


def test_a_file_name_that_cannot_be_printed_is_refused(photographs):
    (photographs / "cat" / "0.png").rename(photographs / "cat" / "new\nline.png")
    with pytest.raises(UserError, match=r"file name 'cat/new\\nline\.png' is not printable UTF-8; rename the file"):
        image_files(photographs)


def test_an_archive_of_an_ilsvrc_class_that_links_to_another_is_refused(tmp_path):
    (tmp_path / "n01440764.tar").write_bytes(b"not read")
    (tmp_path / "n02123045.tar").symlink_to("n01440764.tar")
    with pytest.raises(UserError, match=r"n01440764\.tar and n02123045\.tar are the same file; remove one of them"):
        list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 1}, 0)


@pytest.mark.parametrize("make_link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_an_ilsvrc_photograph_in_two_classes_is_refused_by_both_names(tmp_path, make_link):
    image_folder(tmp_path, dict.fromkeys(CLASSES, 2), size=4)
    make_link(tmp_path / CLASSES[0] / "0.png", tmp_path / CLASSES[1] / "7.png")
    with pytest.raises(UserError, match=r"n02123045/0\.png and n02123159/7\.png are the same file"):
        list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 1}, 0)


def test_an_ilsvrc_class_that_links_to_another_is_refused(tmp_path):
    image_folder(tmp_path, {CLASSES[0]: 2}, size=4)
    (tmp_path / CLASSES[1]).symlink_to(CLASSES[0])
    with pytest.raises(UserError, match="are the same file"):
        list_ilsvrc(tmp_path, "present", {"train": 1}, {"train": 1}, 0)
