"""Networks as observers: images are decoded once and fitted, and answers have the columns that the tables need."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import bad_images, picture, tiny_resnet
from PIL import Image
from torch import nn

from shapebias.errors import UserError
from shapebias.evaluation.band_noise import choose_condition, mask_image, noise_condition
from shapebias.evaluation.inputs import ImageCache, PreparedImages
from shapebias.evaluation.observer import (
    PREDICTION_COLUMNS,
    Observer,
    category_probabilities,
    measure,
    preserve_network,
    tabulate_decisions,
    wrap_network,
)
from shapebias.images import pictures as pictures_module
from shapebias.images.pictures import ImageFile
from shapebias.images.rejections import Rejections
from shapebias.images.shards import label
from shapebias.networks.models import Preparation, preparation

CLASSES = {"pug": "dog", "beagle": "dog", "cleaver": "knife", "pizza": ""}


def show(observer: Observer, files: list[ImageFile], kind: str, **more: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Call `measure` with batches of four images and no worker threads; `more` overrides these settings."""
    numbers: dict[str, Any] = {"batch_size": 4, "workers": 0, "device": "cpu", "max_rejected": 0.5}
    return measure(observer, files, kind, **numbers | more)


def stimuli(folder: Path, count: int = 5, size: int = 32) -> list[ImageFile]:
    """Dogs with the texture of knives."""
    for i in range(count):
        picture(i, (size, size)).save(folder / f"{i}.png")
    cues = {"shape": "dog", "texture": "knife", "shape_class": "beagle"}
    return [ImageFile(folder / f"{i}.png", label(str(i), content=f"{i}.png") | cues) for i in range(count)]


@pytest.fixture(scope="module")
def observer() -> Observer:
    return wrap_network(tiny_resnet(4), name="net", classes=CLASSES, input_preparation=preparation(tiny_resnet(), 32))


@pytest.fixture
def decodings(monkeypatch) -> list[str]:
    """The names of the decoded files, in order."""
    names: list[str] = []
    decode = pictures_module.load_rgb

    def counted(path: Path) -> Image.Image:
        names.append(path.name)
        return decode(path)

    monkeypatch.setattr(pictures_module, "load_rgb", counted)
    return names


# Decisions


def test_decisions_are_those_of_a_plain_loop(tmp_path, observer):
    files = stimuli(tmp_path, 9)
    table, _ = show(observer, files, "cue_conflict")
    mean, std = (np.array(values) for values in (observer.preparation.mean, observer.preparation.std))
    for file, row in zip(files, table.to_dict("records"), strict=True):
        pixels = (np.asarray(Image.open(file.path)) / 255 - mean) / std
        with torch.no_grad():
            logits = observer.network(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32))[0].numpy()
        chances = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
        means = {"dog": chances[:2].mean(), "knife": chances[2]}
        assert row["decision"] == max(means, key=means.__getitem__)
        assert (row["p_dog"], row["p_knife"]) == pytest.approx((means["dog"], means["knife"]), rel=1e-4)
        assert row["shape_rank"] == 1 + (logits > logits[1]).sum()  # of the beagle
        assert row["texture_rank"] == 1 + (logits > logits[2]).sum()  # of the one kind of knife


def ranks(logits: list[float], shape_class: str | None, shape: str | None) -> pd.Series:
    """The row of one image with these logits."""
    observer = wrap_network(
        nn.Identity(), name="net", classes=CLASSES, input_preparation=preparation(tiny_resnet(), 32)
    )
    pictures = ImageFile(Path("x.png"), label("x", content="x.png") | {"shape": shape, "shape_class": shape_class})
    return tabulate_decisions(observer, [([pictures], torch.tensor([logits]))]).iloc[0]


@pytest.mark.parametrize(
    ("shape_class", "shape", "rank"),
    [
        ("pizza", None, 2),  # a class without a category has a rank as well
        ("pug", "dog", 4),
        (None, "dog", 1),  # the best of its classes is the beagle
        ("dog", "dog", 1),  # a folder's name may be the category's
        (None, "cat", None),  # none of the network's classes
        ("siamese", "cat", None),
        ("terrier", "dog", None),  # a dog that the network has no class for, and no other dog is right
        (None, None, None),
    ],
)
def test_a_rank_counts_the_classes_above_the_image_s_own_class(shape_class, shape, rank):
    row = ranks([0.1, 0.9, 0.3, 0.5], shape_class, shape)
    assert row["predicted_class"] == "beagle"
    assert (None if pd.isna(row["shape_rank"]) else row["shape_rank"]) == rank
    assert pd.isna(row["texture_rank"])


def test_among_equal_logits_the_predicted_class_ranks_first():
    assert [ranks([1.0, 0.0, 1.0, 1.0], name, None)["shape_rank"] for name in CLASSES] == [1, 4, 2, 3]
    assert ranks([1.0, 0.0, 1.0, 1.0], None, None)["predicted_class"] == "pug"


def test_thousands_of_ranks_agree_with_sorting():
    logits = torch.randn(200, 1000, generator=torch.Generator().manual_seed(0))
    classes = {f"c{k}": "dog" if k % 7 == 0 else "" for k in range(1000)}
    observer = wrap_network(
        nn.Identity(), name="net", classes=classes, input_preparation=preparation(tiny_resnet(), 32)
    )
    pictures = [ImageFile(Path("x"), label(str(i), class_name=f"c{i}", texture="dog")) for i in range(200)]
    table = tabulate_decisions(observer, [(pictures[:150], logits[:150]), (pictures[150:], logits[150:])])
    order = np.argsort(-logits.numpy(), axis=1)
    assert table["shape_rank"].tolist() == [1 + list(order[i]).index(i) for i in range(200)]
    assert table["texture_rank"].tolist() == [1 + int(np.argmax(order[i] % 7 == 0)) for i in range(200)]


def test_decisions_do_not_depend_on_the_batches_of_logits():
    logits = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    expected = category_probabilities(logits, {"dog": [0, 1], "knife": [2]})
    parts = [category_probabilities(part, {"dog": [0, 1], "knife": [2]}) for part in logits.split(7)]
    assert (np.concatenate(parts) == expected).all()


def test_rows_have_the_columns_that_the_tables_read(tmp_path, observer):
    files = stimuli(tmp_path, 2)
    files[1] = ImageFile(files[1].path, files[1].label | {"condition": "c50", "session": 3, "imagename": "x_1.png"})
    table, facts = show(observer, files, "contrast")
    assert list(table.columns) == PREDICTION_COLUMNS
    assert table[["condition", "session"]].to_numpy().tolist() == [["", 1], ["c50", 3]]
    assert table["imagename"].isna().tolist() == [True, False]
    assert str(table["shape_rank"].dtype) == str(table["texture_rank"].dtype) == "Int64"
    assert facts == {
        "benchmark": "contrast",
        "conditions": ["c50"],
        "outputs": "logits",
        "shown": {"as they are": 2, "resized": 0},
        "rejected": [],
    }


def test_conditions_are_recorded_in_the_order_of_their_kind(tmp_path, observer):
    names = ["c01", "c100", "c15"]
    files = [ImageFile(file.path, file.label | {"condition": names[i % 3]}) for i, file in enumerate(stimuli(tmp_path))]
    assert show(observer, files, "contrast")[1]["conditions"] == ["c100", "c15", "c01"]


# Prepared images


def test_images_of_the_right_size_are_not_resized_and_are_counted(tmp_path, observer):
    files = stimuli(tmp_path, 3)
    picture(9, (40, 40)).save(files[0].path)
    table, facts = show(observer, files, "cue_conflict")
    assert len(table) == 3 and facts["shown"] == {"as they are": 2, "resized": 1}


@pytest.mark.parametrize("workers", [0, 3])
def test_broken_images_are_rejected_in_order_and_too_many_are_refused(tmp_path, observer, workers):
    files = stimuli(tmp_path, 6)
    files[1].path.write_bytes(bad_images()["truncated.jpg"])
    files[4].path.write_bytes(b"")
    table, facts = show(observer, files, "cue_conflict", workers=workers)
    assert table["image"].tolist() == ["0", "2", "3", "5"]
    assert [name for name, _ in facts["rejected"]] == ["1.png", "4.png"]
    with pytest.raises(UserError, match="2 of 6 images"):
        show(observer, files, "cue_conflict", workers=workers, max_rejected=0.3)


def test_decoding_threads_do_not_change_the_result(tmp_path, observer):
    files, strengths = stimuli(tmp_path, 30), {"shape": [2], "colour": [1]}
    for kind, suppress in (("cue_conflict", None), ("suppressed", strengths)):
        alone, ahead = (show(observer, files, kind, suppress=suppress, workers=workers)[0] for workers in (0, 4))
        pd.testing.assert_frame_equal(alone, ahead, check_exact=True)


def test_a_suppressed_image_is_decoded_once_for_all_conditions(tmp_path, observer, decodings):
    files = stimuli(tmp_path, 3)
    table, facts = show(observer, files, "suppressed", suppress={"colour": [1], "shape": [4, 2]})
    names = ["none", "shape-2", "shape-4", "colour-1"]
    assert (facts["conditions"], table["condition"].tolist()) == (names, names * 3)
    assert table["image"].tolist() == sorted("012" * 4)
    assert sorted(decodings) == ["0.png", "1.png", "2.png"]
    plain = show(observer, files, "in_test")[0]
    untouched = table[table["condition"] == "none"]
    np.testing.assert_allclose(untouched["p_dog"], plain["p_dog"], rtol=1e-5)
    assert table.groupby("image")["p_dog"].nunique().eq(4).all()


def test_photographs_of_a_critical_band_have_the_noise_of_one_condition(tmp_path, observer):
    files = stimuli(tmp_path, 4)
    files[3] = ImageFile(files[3].path, files[3].label | {"condition": "noise0.02freq1"})
    images = PreparedImages(files, observer.preparation, Rejections(0.0), mask=True)
    plain = [pixels for _, pixels in PreparedImages(files, observer.preparation, Rejections(0.0))]
    size = observer.preparation.size
    for (item, pixels), original in zip(images, plain, strict=True):
        if item.id == "3":  # a published stimulus has its noise already
            assert item.label["condition"] == "noise0.02freq1" and (pixels == original).all()
            continue
        level, band = choose_condition(item.id, size)
        assert item.label["condition"] == noise_condition(level, band)
        assert (pixels == mask_image(original, item.id, level, band)).all()
    table, facts = show(observer, files, "critical_band")
    assert table["condition"].tolist() == [item.label["condition"] for item, _ in images]
    assert facts["benchmark"] == "critical_band"


# Decoded once


def test_an_image_shared_by_benchmarks_and_networks_is_decoded_once(tmp_path, observer, decodings):
    files, cache = stimuli(tmp_path), ImageCache()
    first = show(observer, files, "in_test", cache=cache)
    assert len(decodings) == 5
    show(observer, files[1:], "suppressed", suppress={"shape": [2]}, cache=cache)
    other = wrap_network(tiny_resnet(4, seed=1), name="other", classes=CLASSES, input_preparation=observer.preparation)
    show(other, files, "in_test", cache=cache, workers=2)
    again = show(observer, files, "in_test", cache=cache)
    assert len(decodings) == 5
    pd.testing.assert_frame_equal(first[0], again[0], check_exact=True)
    assert first[1] == again[1]


def test_a_network_with_another_input_size_decodes_again(tmp_path, observer, decodings):
    files, cache = stimuli(tmp_path, 2), ImageCache()
    show(observer, files, "in_test", cache=cache)
    wider = Preparation(**vars(observer.preparation) | {"size": 64})
    table = show(Observer("wide", observer.network, wider, list(CLASSES), CLASSES), files, "in_test")
    assert table[1]["shown"] == {"as they are": 0, "resized": 2}
    assert len(decodings) == 4


def test_a_changed_file_is_decoded_again(tmp_path, observer, decodings):
    files, cache = stimuli(tmp_path, 2), ImageCache()
    before = show(observer, files, "in_test", cache=cache)[0]
    picture(7, (32, 32)).save(files[1].path)
    os.utime(files[1].path, ns=(1, 1))
    after = show(observer, files, "in_test", cache=cache)[0]
    assert decodings == ["0.png", "1.png", "1.png"]
    assert (before["p_dog"] == after["p_dog"]).tolist() == [True, False]


def test_the_cache_stays_within_its_capacity(tmp_path, observer, decodings):
    files, image = stimuli(tmp_path, 4), 32 * 32 * 3
    cache = ImageCache(2 * image)
    show(observer, files, "in_test", cache=cache)
    assert (cache.bytes, len(cache.images)) == (2 * image, 2)
    show(observer, files, "in_test", cache=cache)
    assert len(decodings) == 4 + 2  # half of them were still there
    show(observer, files[:1], "in_test", cache=ImageCache(image - 1))
    assert len(decodings) == 7


# Networks with invalid outputs


class Always(nn.Module):
    """A network that returns the same logits for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused_with_the_image(tmp_path, observer, wrong):
    files = stimuli(tmp_path, 1)
    broken = wrap_network(
        Always([0, wrong, 0, 0]), name="broken", classes=CLASSES, input_preparation=observer.preparation
    )
    with pytest.raises(UserError, match="broken answers image '0' with logits that are not finite"):
        show(broken, files, "in_test")


def test_outputs_without_names_are_refused(tmp_path, observer):
    other = wrap_network(Always([0.0] * 5), name="five", classes=CLASSES, input_preparation=observer.preparation)
    with pytest.raises(UserError, match=r"five answers 1 images with \(1, 5\), expected \(1, 4\)"):
        show(other, stimuli(tmp_path, 1), "in_test")
    with pytest.raises(UserError, match="3 outputs but 1000 classes"):
        wrap_network(tiny_resnet(3))


def test_preserve_network_restores_the_network():
    network = tiny_resnet()
    network.train()
    network.get_submodule("bn1").eval()  # a frozen one
    modes = [module.training for module in network.modules()]
    weight = network.get_parameter("layer1.0.conv1.weight")
    strides, held = weight.stride(), dict(network.named_buffers())
    with preserve_network(network), torch.inference_mode():
        network.eval().to(memory_format=torch.channels_last)
        assert weight.stride() != strides
    assert [module.training for module in network.modules()] == modes
    assert weight.stride() == strides
    assert all(buffer is held[name] for name, buffer in network.named_buffers())
    network(torch.zeros(2, 3, 32, 32)).sum().backward()  # it can still be trained
