"""Protocols of cue conflicts: decisions as the studies' code makes them, and images as their libraries prepare them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import bad_images, picture, tiny_resnet
from PIL import Image
from timm.data import create_transform

from shapebias.categories import CATEGORIES, ilsvrc_categories, ilsvrc_wnids
from shapebias.evaluation.observer import Observer, measure, wrap_network
from shapebias.evaluation.protocols import (
    ALL_CLASSES,
    CATEGORY_CLASSES,
    FIRST_CLASS,
    MAX_LOGIT,
    MAX_PROBABILITY,
    MEAN_LOGIT,
    MEAN_PROBABILITY,
    SUM_OF_PROBABILITIES,
    View,
    decide,
    list_presets,
    measure_protocols,
    simplify_rule,
)
from shapebias.images.pictures import ImageFile
from shapebias.images.shards import label
from shapebias.networks.models import Preparation, category_indices, preparation

CLASSES = {"pug": "dog", "beagle": "dog", "cleaver": "knife", "pizza": ""}
INDICES = category_indices(ilsvrc_wnids())
OUTPUTS = [[k for k, wnid in enumerate(ilsvrc_wnids()) if ilsvrc_categories().get(wnid) == c] for c in CATEGORIES]


def ilsvrc_logits(images: int = 300) -> np.ndarray:
    """Return logits of 1,000 classes: some images have equal scores, and in most a class without category is first."""
    logits = np.random.default_rng(0).normal(scale=3, size=(images, 1000))
    logits[:20] = 0.0
    return logits


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def geirhos2019(logits: np.ndarray) -> list[int]:
    """Compare the mean probability of one category after another; a later category must exceed the best one so far."""
    decisions = []
    for probabilities in softmax(logits):
        best, decision = -np.inf, -1
        for category, outputs in enumerate(OUTPUTS):
            value = sum(probabilities[k] for k in outputs) / len(outputs)
            if value > best and not np.isclose(value, best, rtol=1e-12):  # sums may round differently
                best, decision = value, category
        decisions.append(decision)
    return decisions


def sorted_descending(scores: np.ndarray) -> list[int]:
    """Sort in ascending order, then reverse: of equal scores, the last category comes first."""
    return list(np.argsort(scores.round(15), axis=1, kind="stable")[:, ::-1][:, 0])


def model_vs_human(logits: np.ndarray) -> list[int]:
    return sorted_descending(np.stack([softmax(logits)[:, outputs].mean(axis=1) for outputs in OUTPUTS], axis=1))


def alvarez2024(logits: np.ndarray) -> list[int]:
    """Average the logits of each category, then take the softmax over the 16 averages."""
    means = np.stack([logits[:, outputs].mean(axis=1) for outputs in OUTPUTS], axis=1)
    return sorted_descending(softmax(means))


def doshi2025(logits: np.ndarray) -> list[int]:
    return list(np.stack([logits[:, outputs].max(axis=1) for outputs in OUTPUTS], axis=1).argmax(axis=1))


ORACLES = {
    "geirhos2019": geirhos2019,
    "model-vs-human": model_vs_human,
    "vlm-shapebias": model_vs_human,  # its mapping of probabilities is the toolbox's
    "alvarez2024": alvarez2024,
    "doshi2025": doshi2025,
}


@pytest.mark.parametrize(
    "protocol", list_presets(preparation(tiny_resnet(), 224)), ids=lambda protocol: protocol.preset
)
def test_a_published_protocol_decides_like_the_studys_code(protocol):
    logits = ilsvrc_logits()
    rule = simplify_rule(protocol.aggregation, protocol.label_space, INDICES, 1000)
    decisions = decide(torch.from_numpy(logits), INDICES, [rule], protocol.ties)[:, 0]
    assert list(INDICES) == list(CATEGORIES)
    assert list(decisions) == ORACLES[protocol.preset](logits)
    assert set(decisions[:20]) == {0 if protocol.ties == "first" else 15}  # equal scores


def test_a_softmax_over_the_classes_with_a_category_changes_no_decision():
    logits = ilsvrc_logits()[20:]
    inside = sorted(output for outputs in OUTPUTS for output in outputs)
    places = {output: place for place, output in enumerate(inside)}
    probabilities = softmax(logits[:, inside])
    for aggregation, combine in (
        (MEAN_PROBABILITY, np.mean),
        (SUM_OF_PROBABILITIES, np.sum),
        (MAX_PROBABILITY, np.max),
    ):
        scores = [combine(probabilities[:, [places[k] for k in outputs]], axis=1) for outputs in OUTPUTS]
        rules = [simplify_rule(aggregation, space, INDICES, 1000) for space in (ALL_CLASSES, CATEGORY_CLASSES)]
        decisions = decide(torch.from_numpy(logits), INDICES, rules)
        assert (decisions == np.stack(scores, axis=1).argmax(axis=1)[:, None]).all()


def test_the_first_class_decides_only_if_it_has_a_category():
    logits = torch.tensor([[1.0, 0, 2, 3], [1, 0, 2, 0], [4, 0, 2, 3]])
    indices = category_indices(list(CLASSES), CLASSES)  # dog: 0, 1; knife: 2; none: 3
    assert decide(logits, indices, [FIRST_CLASS])[:, 0].tolist() == [-1, 1, 0]
    assert decide(logits, indices, [MAX_LOGIT])[:, 0].tolist() == [1, 1, 0]


def test_aggregations_differ_where_a_category_has_several_classes():
    # Two dogs of 0.3 each, one knife of 0.4: the sum prefers the dog, and the mean and the largest prefer the knife.
    logits = torch.tensor([[0.3, 0.3, 0.4]]).log()
    indices = {"dog": [0, 1], "knife": [2]}
    rules = [MEAN_PROBABILITY, SUM_OF_PROBABILITIES, MAX_LOGIT, MEAN_LOGIT]
    assert decide(logits, indices, rules).tolist() == [[1, 0, 1, 1]]


def test_rules_that_always_agree_are_one_rule():
    rules = [(MEAN_PROBABILITY, ALL_CLASSES), (SUM_OF_PROBABILITIES, ALL_CLASSES), (MEAN_LOGIT, ALL_CLASSES)]
    rules += [(MAX_LOGIT, ALL_CLASSES), (MAX_PROBABILITY, CATEGORY_CLASSES), (MAX_PROBABILITY, FIRST_CLASS)]

    def names(indices: dict[str, list[int]], classes: int) -> int:
        return len({simplify_rule(*rule, indices, classes) for rule in rules})

    assert names(INDICES, 1000) == 5
    assert names({"cat": [0], "dog": [1]}, 2) == 1  # one class a category, such as the demo's networks
    assert names({"cat": [0], "dog": [1]}, 3) == 2  # the third class has no category
    assert names({"cat": [0, 1], "dog": [2, 3]}, 4) == 3  # sums rank like means


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_crop_of_7_eighths_is_the_centre_of_256_pixels(mode):
    image = picture(0, (224, 224))
    pillow = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[mode]
    expected = image.resize((256, 256), pillow).crop((16, 16, 240, 240))
    assert (View(0.875, mode, antialias=True).prepare(image, 224) == np.asarray(expected)).all()
    for antialias in (True, False):
        assert (View(1.0, mode, antialias).prepare(image, 224) == np.asarray(image)).all()


@pytest.mark.parametrize("sides", [(224, 224), (300, 200), (64, 80)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_networks_own_crop_is_timms_transform(sides, mode):
    image = picture(0, sides)
    own = create_transform(input_size=(3, 224, 224), interpolation=mode, crop_pct=0.95, mean=(0, 0, 0), std=(1, 1, 1))
    pixels = (own(image).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    assert (View(0.95, mode, antialias=True).prepare(image, 224) == pixels).all()


def test_without_antialiasing_a_reduced_image_keeps_single_pixels():
    # Every second column is white. At a third of the size, samples without smoothing are single columns. With
    # smoothing, all pixels are grey.
    stripes = np.zeros((96, 96, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    image = Image.fromarray(stripes)
    rough, smooth = (View(1.0, "bilinear", antialias).prepare(image, 32) for antialias in (False, True))
    assert set(np.unique(rough)) == {0, 255}
    assert smooth.min() > 60 and smooth.max() < 195


def stimuli(folder: Path, count: int = 6, size: int = 32) -> list[ImageFile]:
    """Dogs with the texture of knives."""
    for i in range(count):
        picture(i, (size, size)).save(folder / f"{i}.png")
    cues = {"shape": "dog", "texture": "knife", "shape_class": "beagle"}
    return [ImageFile(folder / f"{i}.png", label(str(i), content=f"{i}.png") | cues) for i in range(count)]


@pytest.fixture(scope="module")
def observer() -> Observer:
    prepared = Preparation(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 0.875)
    return wrap_network(tiny_resnet(4), name="net", classes=CLASSES, input_preparation=prepared)


SETTINGS: dict[str, Any] = {"batch_size": 4, "workers": 0, "device": "cpu", "max_rejected": 0.5}


def test_each_distinct_preparation_is_shown_once(observer, tmp_path, monkeypatch):
    shown = []
    forward = observer.network.forward
    monkeypatch.setattr(observer.network, "forward", lambda images: shown.append(len(images)) or forward(images))
    table, facts = measure_protocols(observer, stimuli(tmp_path), **SETTINGS)
    trial = 2  # images of zeros that find the memory format
    # Images of the network's size are not resized in the whole, so interpolation matters for the crop alone.
    assert facts["preparations"] == 1 + 4
    assert sum(shown) - trial <= 5 * 6
    assert len(table) == 6 and len(facts["protocols"]) == 8 * 11 + 5
    columns = {row["column"] for row in facts["protocols"]}
    assert columns == set(table.columns) - {"image", "shape", "texture"} and len(columns) == 5 * 5


def test_images_of_another_size_have_more_preparations(observer, tmp_path):
    _, facts = measure_protocols(observer, stimuli(tmp_path, size=50), **SETTINGS)
    assert facts["preparations"] == 8  # 2 crops, 2 interpolations, antialiased or not


def test_the_protocol_of_2019_gives_the_decisions_of_the_benchmark(observer, tmp_path):
    files = stimuli(tmp_path, 8)
    table, facts = measure_protocols(observer, files, **SETTINGS)
    [column] = [row["column"] for row in facts["protocols"] if row["preset"] == "geirhos2019"]
    assert list(table[column]) == list(measure(observer, files, "cue_conflict", **SETTINGS)[0]["decision"])


def test_ties_make_a_protocol_only_where_they_occur(observer, tmp_path):
    undecided = tiny_resnet(4)
    for parameter in undecided.get_submodule("fc").parameters():
        torch.nn.init.zeros_(parameter)
    equal = wrap_network(undecided, name="net", classes=CLASSES, input_preparation=observer.preparation)
    table, facts = measure_protocols(equal, stimuli(tmp_path), **SETTINGS)
    columns = {row["preset"]: row["column"] for row in facts["protocols"]}
    assert set(table[columns["geirhos2019"]]) == {"dog"} and set(table[columns["model-vs-human"]]) == {"knife"}


def test_a_network_with_one_class_a_category_has_only_preparations(tmp_path):
    prepared = Preparation(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear", 1.0)
    classes = {"dog": "dog", "knife": "knife"}
    small = wrap_network(tiny_resnet(2), name="net", classes=classes, input_preparation=prepared)
    table, facts = measure_protocols(small, stimuli(tmp_path), **SETTINGS)
    assert facts["preparations"] == 5 and table.shape[1] == 3 + 5


def test_broken_images_are_set_aside(observer, tmp_path):
    files = stimuli(tmp_path, 4)
    bad = tmp_path / "bad.png"
    bad.write_bytes(bad_images()["truncated.jpg"])
    cues = {"shape": "dog", "texture": "knife", "shape_class": "beagle"}
    table, facts = measure_protocols(
        observer, [*files, ImageFile(bad, label("bad", content="bad.png") | cues)], **SETTINGS
    )
    assert len(table) == 4 and [name for name, _ in facts["rejected"]] == ["bad.png"]
