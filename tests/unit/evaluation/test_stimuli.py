"""Stimuli of benchmarks: published names and layouts are read, also from archives; invalid ones are refused."""

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from helpers import colour_shard, image_folder, picture

from shapebias.errors import BadImageError, UserError
from shapebias.evaluation.benchmarks import KINDS, PUBLISHED_ONLY
from shapebias.evaluation.decisions import read_decisions, read_observers, stimulus_name
from shapebias.evaluation.stimuli import open_benchmark
from shapebias.images import archives
from shapebias.images.codec import encode
from shapebias.images.pictures import decode_pictures
from shapebias.images.rejections import Rejections
from shapebias.images.shards import label, write_shard

# The published file name of one image of each set, and its condition, category and common name.
NAMES = {
    "colour": ("1231_cl_dnn_bw_dog_40_n02091244_9271.png", "bw", "dog", "bw/n02091244_9271"),
    "contrast": ("1228_cop_dnn_c05_chair_10_n02791124_5939.png", "c05", "chair", "c05/n02791124_5939"),
    "high-pass": ("0021_hp_dnn_3_boat_10_n04612504_4773.png", "3.0", "boat", "3.0/n04612504_4773"),
    "low-pass": ("1274_lp_dnn_10_car_10_n04285008_4811.png", "10", "car", "10/n04285008_4811"),
    "phase-scrambling": ("1114_ps_dnn_150_oven_10_n04111531_22084.png", "150", "oven", "150/n04111531_22084"),
    "power-equalisation": ("1120_pow_dnn_0_knife_35_n03041632_44238.png", "0", "knife", "0/n03041632_44238"),
    "false-colour": ("1120_fc_dnn_false_clock_35_n03196217_958.png", "False", "clock", "False/n03196217_958"),
    "rotation": ("1271_rot_dnn_270_truck_20_n03417042_18745.png", "270", "truck", "270/n03417042_18745"),
    "eidolonI": ("1248_eid_dnn_64-10-10_boat_10_n04612504_20929.png", "64-10-10", "boat", "64-10-10/n04612504_20929"),
    "eidolonII": ("0001_eid_dnn_8-3-10_cat_10_n02123045_1.png", "8-3-10", "cat", "8-3-10/n02123045_1"),
    "eidolonIII": ("1277_eid_dnn_8-0-10_car_10_n04285008_2232.png", "8-0-10", "car", "8-0-10/n04285008_2232"),
    "uniform-noise": ("1280_nse_dnn_0.20_dog_10_n02102318_7028.png", "0.2", "dog", "0.2/n02102318_7028"),
    "sketch": ("0004_ske_dnn_0_cat_00_cat-0251-sketch-6.png", "", "cat", "cat-0251-sketch-6"),
    "stylized": (
        "0601_sty_dnn_0_keyboard_00_keyboard-0004-ILSVRC2012-val-00001089.png",
        "",
        "keyboard",
        "keyboard-0004-ILSVRC2012-val-00001089",
    ),
    "silhouettes": ("oven8.png", "", "oven", "oven8"),
    "edges": ("truck10.png", "", "truck", "truck10"),
    "cue_conflict": ("0001_s5n_dnn_0_airplane_00_airplane1-bicycle2.png", "", "airplane", "airplane1-bicycle2"),
}


def save_images(folder: Path, *names: str) -> Path:
    """Write a different picture to each file."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(folder / name)
    return folder


def png(seed: int = 0) -> bytes:
    return encode(picture(seed), "png")[1]


def member(name: str, data: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, io.BytesIO(data)


def write_tar(target: Path, *members: tuple[tarfile.TarInfo, io.BytesIO], mode: Literal["w", "w:gz"] = "w") -> Path:
    with tarfile.open(target, mode) as tar:
        for info, data in members:
            tar.addfile(info, data)
    return target


def write_zip(target: Path, members: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def pack_zip(target: Path, files: dict[str, bytes]) -> Path:
    return write_zip(target.with_suffix(".zip"), dict(files))


def pack_tar(target: Path, files: dict[str, bytes]) -> Path:
    return write_tar(target.with_suffix(".tar"), *(member(*file) for file in files.items()))


def pack_gzip(target: Path, files: dict[str, bytes]) -> Path:
    return write_tar(target.with_suffix(".tar.gz"), *(member(*file) for file in files.items()), mode="w:gz")


PACKERS = [pack_zip, pack_tar, pack_gzip]


# Names and labels


def test_each_published_set_has_an_example():
    in_categories = {name for name in PUBLISHED_ONLY if KINDS[name].measures == "accuracy"}
    assert set(NAMES) == in_categories | {"silhouettes", "edges", "cue_conflict"}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_the_published_sets_hold_condition_and_category(tmp_path, kind):
    name, condition, category, image = NAMES[kind]
    folder = category if kind in ("silhouettes", "edges") else "dnn/session-2"
    (pictures,) = open_benchmark([save_images(tmp_path, f"{folder}/{name}")], kind)
    assert (pictures.label["condition"], pictures.label["shape"]) == (condition, category)
    assert pictures.label["imagename"] == name
    assert pictures.label["session"] == (1 if folder == category else 2)
    assert stimulus_name(pictures.id) == image
    assert pictures.image().size == (24, 24)


@pytest.mark.parametrize("kind", NAMES)
def test_recorded_decisions_pair_with_the_images(tmp_path, kind):
    name, condition, category, image = NAMES[kind]
    fields = {"condition": name.split("_")[3], "dnn": name} if "_" in name else {"condition": "NaN", "dnn": name}
    person = name.replace("_dnn_", "_s03_").replace(name[:4], "0777") if "_" in name else name
    lines = ["subj,Session,trial,rt,object_response,category,condition,imagename"]
    lines += [f"net,1,1,NaN,dog,{category},{fields['condition']},{name}"]
    lines += [f"subject-03,1,777,0.8,na,{category},{fields['condition']},{person}"]
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    table = read_decisions(tmp_path / "answers.csv", kind)
    assert table["image"].tolist() == [image, image] and table["condition"].tolist() == [condition, condition]
    folder = category if kind in ("silhouettes", "edges") else "dnn/session-1"
    (pictures,) = open_benchmark([save_images(tmp_path / "set", f"{folder}/{name}")], kind)
    assert stimulus_name(pictures.id) == image


def test_photographs_of_imagenet_keep_their_class(tmp_path):
    names = ["0001_cl_dnn_bw_dog_40_n02091244_9271.png", "0002_cl_dnn_bw_dog_40_photo7.png"]
    classed, plain = open_benchmark([save_images(tmp_path, *names)], "colour")
    assert (classed.label["class"], plain.label["class"]) == ("n02091244", None)
    assert classed.label["texture"] is None and plain.id == "bw/photo7"


def test_one_photograph_in_two_conditions_is_two_images(tmp_path):
    names = [f"000{i}_rot_dnn_{angle}_cat_20_n02123045_1.png" for i, angle in enumerate((0, 90))]
    pictures = open_benchmark([save_images(tmp_path, *names)], "rotation")
    assert [picture.id for picture in pictures] == ["0/n02123045_1", "90/n02123045_1"]


@pytest.mark.parametrize("kind", ["silhouettes", "in_test", "sin_test"])
def test_images_in_a_user_s_folders_take_the_folder_as_label(tmp_path, kind):
    pictures = open_benchmark([image_folder(tmp_path, {"cat": 2, "n02091244": 1})], kind)
    assert [p.id for p in pictures] == ["cat/0", "cat/1", "n02091244/0"]
    assert [p.label["shape"] for p in pictures] == ["cat", "cat", "dog"]
    assert pictures[2].label["class"] == "n02091244"
    assert {(p.label["condition"], p.label["session"]) for p in pictures} == {("", 1)}


def test_classes_without_a_category_can_be_tested(tmp_path):
    (pictures,) = open_benchmark([image_folder(tmp_path, {"fork": 1})], "in_test")
    assert (pictures.label["class"], pictures.label["shape"]) == ("fork", None)


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("rotation", ["0001_rot_dnn_45_cat_20_a.png"], ["_45_cat", "'45'", "rotation", "0, 90, 180, 270"]),
        ("uniform-noise", ["0001_nse_dnn_0.4_cat_20_a.png"], ["'0.4'", "0.0, 0.03"]),
        ("rotation", ["0001_rot_dnn_90_kat_20_a.png"], ["'kat'", "airplane, bear"]),
        ("rotation", ["cat/1.png"], ["cat/1.png", "NNNN_<code>", "rotation"]),
        ("sketch", ["0001_ske_dnn_0_kat_00_a.png"], ["'kat'", "airplane, bear"]),
        ("edges", ["chairs/1.png"], ["chairs/1.png", "'chairs'", "airplane, bear"]),
        ("edges", ["1.png"], ["1.png", "airplane, bear"]),
        ("cue_conflict", ["cat/cat1.png"], ["cat/cat1.png", "<shape><i>-<texture><j>"]),
        ("cue_conflict", ["0001_s5n_dnn_0_dog_00_cat1-bird1.png"], ["cat1-bird1", "'dog'", "cat"]),
        # one image in two files: an answer to it would count twice
        (
            "rotation",
            ["s01/0001_rot_s01_90_cat_20_a.png", "dnn/0007_rot_dnn_90_cat_20_a.png"],
            ["'90/a' appears twice", "0001_rot_s01", "0007_rot_dnn"],
        ),
        ("cue_conflict", ["cat/cat1-dog1.png", "more/cat1-dog1.png"], ["'cat1-dog1' appears twice", "more/cat1"]),
        ("edges", ["cat/cat1.png", "x/cat/cat1.jpg"], ["'cat1' appears twice"]),
    ],
)
def test_images_without_a_label_are_refused_by_name(tmp_path, kind, names, expected):
    with pytest.raises(UserError) as refusal:
        open_benchmark([save_images(tmp_path, *names)], kind)
    assert all(text in str(refusal.value) for text in [str(tmp_path), *expected]), refusal.value


def test_the_published_stimuli_pair_with_all_published_decisions(shared_data):
    pictures = open_benchmark([shared_data / "stimuli/cue-conflict"], "cue_conflict")
    trials = read_observers(sorted((shared_data / "observers").glob("*.csv")))
    names = {stimulus_name(stimulus.id): stimulus.label for stimulus in pictures}
    assert len(pictures) == len(names) == 240
    matching = trials[trials["image"].isin(names)]
    assert matching.groupby("observer")["image"].nunique().tolist() == [240] * 14
    for row in matching.to_dict("records"):
        assert (row["shape"], row["texture"]) == (names[row["image"]]["shape"], names[row["image"]]["texture"])


# Archives


@pytest.mark.parametrize("pack", PACKERS)
def test_an_archive_and_its_folder_give_the_same_benchmark(tmp_path, pack: Callable):
    names = [f"dnn/session-1/{i:04d}_rot_dnn_{90 * (i % 4)}_cat_20_n02123045_{i}.png" for i in range(8)]
    folder = save_images(tmp_path / "rotation", *names)
    files = {f"rotation/{name}": (folder / name).read_bytes() for name in reversed(names)}
    files |= {"__MACOSX/rotation/._x.png": b"", "rotation/.DS_Store": b"", "rotation/dnn/.hidden.png": b""}
    files |= {"rotation/README.txt": b"about"}
    packed = open_benchmark([pack(tmp_path / "packed", files)], "rotation")
    plain = open_benchmark([folder], "rotation")
    assert [p.label | {"content": ""} for p in packed] == [p.label | {"content": ""} for p in plain]
    for one, other in zip(packed, plain, strict=True):
        assert np.array_equal(np.asarray(one.image()), np.asarray(other.image()))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["rotation", packed[0].origin.name])


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("top", ["", "edges/", "./data/edges/"])
def test_image_names_do_not_depend_on_the_enclosing_folder(tmp_path, pack, top):
    files = {f"{top}cat/fluffy.png": png(0), f"{top}dog/rex.png": png(1)}
    assert [p.id for p in open_benchmark([pack(tmp_path / "x", files)], "edges")] == ["cat/fluffy", "dog/rex"]


@pytest.mark.parametrize("pack", PACKERS)
def test_images_of_an_archive_are_read_in_any_order_by_threads_and_processes(tmp_path, pack):
    files = {f"cat/{i}.png": png(i) for i in range(40)}
    pictures = open_benchmark([pack(tmp_path / "x", files)], "edges")
    order = np.random.default_rng(0).permutation(len(pictures)).tolist()
    copies = pickle.loads(pickle.dumps(pictures))
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda i: pictures[i].image(), order + order))
        again = list(pool.map(lambda i: copies[i].image(), order))
    for i, image in zip(order * 3, images + again, strict=True):
        number = int(pictures[i].id.removeprefix("cat/"))
        assert np.array_equal(np.asarray(image), np.asarray(picture(number)))


@pytest.mark.parametrize("pack", PACKERS)
def test_a_damaged_image_in_an_archive_is_rejected(tmp_path, pack):
    path = pack(tmp_path / "x", {"cat/1.png": png(0), "cat/2.png": png(1)[:200], "dog/1.png": b""})
    rejections = Rejections(0.9)
    pictures = open_benchmark([path], "edges")
    assert [p.id for p, _ in decode_pictures(pictures, rejections, workers=2)] == ["cat/1"]
    assert [file for file, _ in rejections.rows] == ["cat/2.png", "dog/1.png"]


def test_a_zip_member_damaged_after_opening_is_a_bad_image(tmp_path):
    path = pack_zip(tmp_path / "x", {"cat/1.png": png(0), "cat/2.png": png(1)})
    data = bytearray(path.read_bytes())
    data[100:140] = bytes(40)
    path.write_bytes(data)
    bad, good = open_benchmark([path], "edges")
    assert good.image().size == (24, 24)
    with pytest.raises(BadImageError, match="damaged in its archive"):
        bad.image()


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    "name", ["../cat1.png", "cat/../../cat1.png", "/cat/cat1.png", "C:\\cat\\1.png", "..\\cat.png"]
)
def test_members_outside_the_archives_folder_are_refused_by_name(tmp_path, pack, name):
    path = pack(tmp_path / "x", {"cat/cat2.png": png(), name: png()})
    with pytest.raises(UserError, match="outside the archive's folder") as refusal:
        open_benchmark([path], "edges")
    pictures = name.replace("\\", "/") if pack is pack_zip else name
    assert f"{path.name}: member {pictures!r}" in str(refusal.value)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_file_are_refused_by_name(tmp_path, mode, kind):
    evil = member("cat/passwords.png", type=kind, linkname="/etc/passwd")
    path = write_tar(tmp_path / ("x.tar" if mode == "w" else "x.tgz"), member("cat/1.png", png()), evil, mode=mode)
    with pytest.raises(UserError, match=r"passwords\.png' is a link or device"):
        open_benchmark([path], "edges")


def test_links_and_encrypted_members_of_a_zip_are_refused_by_name(tmp_path):
    link = zipfile.ZipInfo("cat/passwords.png")
    link.external_attr = 0o120777 << 16
    with pytest.raises(UserError, match=r"passwords\.png' is a link or device"):
        open_benchmark([write_zip(tmp_path / "x.zip", {link: b"/etc/passwd"})], "edges")
    path = pack_zip(tmp_path / "y", {"cat/1.png": png()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cat/1\.png' is encrypted"):
        open_benchmark([path], "edges")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_duplicate_file_in_an_archive_is_refused_by_name(tmp_path, mode):
    path = write_tar(
        tmp_path / ("x.tar" if mode == "w" else "x.tgz"),
        member("cat/1.png", png(0)),
        member("./cat/1.png", png(1)),
        mode=mode,
    )
    with pytest.raises(UserError, match=r"'\./cat/1\.png' appears twice"):
        open_benchmark([path], "edges")


@pytest.mark.parametrize("pack", PACKERS)
def test_broken_archives_are_refused_by_name(tmp_path, pack):
    archive = pack(tmp_path / "x", {f"cat/{i}.png": png(i) for i in range(5)})
    data = archive.read_bytes()
    broken = {"half": data[: len(data) // 2], "empty": b"", "text": b"<html>404</html>" * 100}
    if pack is pack_gzip:  # its checksum tells of one bit
        broken |= {"bit": data[:-8] + bytes([data[-8] ^ 1]) + data[-7:], "no end": data[:-4], "junk": data + b"junk"}
    for what, content in broken.items():
        archive.write_bytes(content)
        with pytest.raises(UserError, match="not a complete archive") as refusal:
            open_benchmark([archive], "edges")
        assert str(archive) in str(refusal.value), what


def test_a_gzip_file_that_does_not_fit_on_the_disk_is_refused_by_name(tmp_path, monkeypatch):
    archive = pack_gzip(tmp_path / "x", {"cat/1.png": png(0)})
    monkeypatch.setattr(archives.tempfile, "TemporaryFile", lambda: io.FileIO("/dev/full", "w"))
    with pytest.raises(UserError, match=r"does not fit into .* TMPDIR") as refusal:
        open_benchmark([archive], "edges")
    assert str(archive) in str(refusal.value)


def test_a_gzip_file_of_two_parts_with_trailing_zeros_is_read_completely(tmp_path):
    packed = pack_tar(tmp_path / "x", {"cat/1.png": png(0), "cat/2.png": png(1)}).read_bytes()
    path = tmp_path / "y.tgz"
    path.write_bytes(gzip.compress(packed[:700]) + gzip.compress(packed[700:]) + bytes(50))
    images = [p.image() for p in open_benchmark([path], "edges")]
    assert np.array_equal(np.asarray(images[1]), np.asarray(picture(1)))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.tar", "nowhere.zip", "nowhere.tar.gz"])
def test_missing_paths_are_refused_by_name(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: no such file or folder"):
        open_benchmark([tmp_path / name], "edges")


@pytest.mark.parametrize("pack", PACKERS)
def test_a_benchmark_without_images_is_refused(tmp_path, pack):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", pack(tmp_path / "x", {"cat/readme.txt": b"none"})):
        with pytest.raises(UserError, match=r"no images.*'edges'"):
            open_benchmark([path], "edges")


def test_other_files_are_refused_with_the_list_of_readable_types(tmp_path):
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    with pytest.raises(UserError, match=r"set\.rar: neither a folder nor a supported archive.*\.tar\.gz"):
        open_benchmark([tmp_path / "set.rar"], "edges")


# Shards of this project


def test_shards_keep_their_labels_and_get_the_fields_of_benchmarks(tmp_path):
    shards = [colour_shard(tmp_path / "0.tar", 2), tmp_path / "1.tar"]
    odd = label("test/x", shape="cat", texture="dog", condition="none")
    write_shard(shards[1], [(odd, "png", png())])
    pictures = open_benchmark([tmp_path / "{0..1}.tar"], "in_test")
    assert [p.id for p in pictures] == ["cat-0", "cat-1", "dog-0", "dog-1", "test/x"]
    assert pictures[0].label["class"] == "cat" and pictures[0].label["content"] == "cat-0.png"
    assert [(p.label["condition"], p.label["session"], p.label["imagename"]) for p in pictures] == [
        *[("", 1, None)] * 4,
        ("none", 1, None),
    ]
    assert pictures[4].image().size == (24, 24)


def test_a_tar_file_of_images_may_have_json_files_beside_its_folders(tmp_path):
    path = pack_tar(tmp_path / "x", {"set/about.json": b"{}", "set/cat/1.png": png(), "set/cat/more.json": b"{}"})
    assert [p.id for p in open_benchmark([path], "edges")] == ["cat/1"]


def test_folders_archives_and_shards_make_one_benchmark(tmp_path):
    folder = image_folder(tmp_path / "folder", {"bear": 1})
    archive = pack_gzip(tmp_path / "x", {"bird/1.png": png()})
    pictures = open_benchmark([colour_shard(tmp_path / "0.tar", 1), archive, folder], "in_test")
    assert [p.id for p in pictures] == ["bear/0", "bird/1", "cat-0", "dog-0"]


def test_published_stimuli_with_noise_of_one_band_have_their_condition_and_photographs_have_none(tmp_path):
    names = ["3/12_cbm_noise0.04_freq3_gray_g_cat.png", "4/1012_cbm_noise0_freq6_gray_g_dog.png", "bird/photo.png"]
    pictures = open_benchmark([save_images(tmp_path, *names)], "critical_band")
    found = [(picture.id, picture.label["condition"], picture.label["shape"]) for picture in pictures]
    assert found == [
        ("3/12_cbm_noise0.04_freq3_gray_g_cat", "noise0.04freq3", "cat"),
        ("4/1012_cbm_noise0_freq6_gray_g_dog", "noise0freq6", "dog"),
        ("bird/photo", "", "bird"),
    ]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("0/1_cbm_noise0.04_freq3_gray_g_cow.png", "'cow' is not one of the 16"),
        ("0/1_cbm_noiseless_freq3_gray_g_cat.png", "'noiselessfreq3' is not a condition.*noise0.04freq3"),
        ("0/1_cbm_noise0.04_gray_g_cat.png", "not named <number>_cbm_noise"),
    ],
)
def test_other_names_of_stimuli_with_noise_are_refused(tmp_path, name, named):
    with pytest.raises(UserError, match=named):
        open_benchmark([save_images(tmp_path, name)], "critical_band")


def test_the_bands_of_a_frequency_conflict_come_from_its_name(tmp_path: Path):
    folder = save_images(tmp_path / "set", "test/cat3-dog12.JPEG", "test/dog12-cat3.JPEG", "test/cat1-cat2.JPEG")
    found = open_benchmark([folder], "frequency_conflict")
    cues = [(p.id, p.label["shape"], p.label["texture"]) for p in found]
    assert cues == [
        ("test/cat1-cat2", "cat", "cat"),
        ("test/cat3-dog12", "cat", "dog"),
        ("test/dog12-cat3", "dog", "cat"),
    ]
    with pytest.raises(UserError, match=r"cat3\.png: not named"):
        open_benchmark([save_images(tmp_path / "other", "cat/cat3.png")], "frequency_conflict")
