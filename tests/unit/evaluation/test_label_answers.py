"""Networks answer by the labels of a benchmark, on images scaled as the published evaluation scales them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import picture, tiny_resnet
from PIL import Image

from shapebias.errors import UserError
from shapebias.evaluation.label_answers import choose_label_map, fix_preparation
from shapebias.evaluation.observer import Observer, measure, wrap_network
from shapebias.images.pictures import ImageFile
from shapebias.images.shards import label
from shapebias.networks.models import Preparation, preparation

CLASSES = {"pug": "dog", "beagle": "dog", "cleaver": "knife", "pizza": ""}


@pytest.fixture
def observer() -> Observer:
    return wrap_network(tiny_resnet(4), name="net", classes=CLASSES, input_preparation=preparation(tiny_resnet(), 32))


def anagrams(folder: Path, labels: tuple[str, str], size: int = 40) -> list[ImageFile]:
    """Two images with these labels, one the foil of the other."""
    files = []
    for number, (name, foil) in enumerate([labels, labels[::-1]]):
        picture(number, (size, size)).save(folder / f"{number}.png")
        cues = {"label": name, "foil": foil, "pair": "0"}
        files.append(ImageFile(folder / f"{number}.png", label(str(number), content=f"{number}.png", **cues)))
    return files


def show(observer: Observer, files: list[ImageFile], kind: str, **more: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    return measure(observer, files, kind, batch_size=4, workers=0, device="cpu", max_rejected=0, **more)


def test_a_network_with_its_own_classes_answers_by_its_own_labels(tmp_path: Path, observer: Observer):
    table = tmp_path / "labels.csv"
    table.write_text("class,label\npug,pet\ncleaver,tool\nbeagle,pet\n")
    answers, facts = show(observer, anagrams(tmp_path, ("pet", "tool")), "configural_shape", labels=table)
    assert facts["label_classes"] == {"pet": ["pug", "beagle"], "tool": ["cleaver"]}
    pixels = [np.asarray(picture(k, (40, 40)).resize((32, 32), Image.Resampling.BILINEAR)) for k in range(2)]
    with torch.inference_mode():
        logits = observer.network(observer.preparation.tensor(pixels)).numpy().astype(np.float64)
    np.testing.assert_allclose(answers["s_pet"], logits[:, :2].max(axis=1), atol=1e-6)
    np.testing.assert_allclose(answers["s_tool"], logits[:, 2], atol=1e-6)
    assert answers["decision"].tolist() == ["pet" if row[:2].max() >= row[2] else "tool" for row in logits]
    assert answers["label"].tolist() == ["pet", "tool"] and answers["foil"].tolist() == ["tool", "pet"]
    assert answers["predicted_class"].tolist() == [list(CLASSES)[k] for k in logits.argmax(axis=1)]


def test_labels_may_be_the_network_s_categories(tmp_path: Path, observer: Observer):
    answers, facts = show(observer, anagrams(tmp_path, ("dog", "knife")), "configural_shape", labels="categories")
    assert facts["label_classes"] == {"dog": ["pug", "beagle"], "knife": ["cleaver"]}
    assert set(answers["decision"]) <= {"dog", "knife"}


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, observer: Observer):
    files = anagrams(tmp_path, ("dog", "cat"))
    with pytest.raises(UserError, match="no class for label cat"):
        show(observer, files, "configural_shape", labels="categories")
    with pytest.raises(UserError, match=r"published labels anagram_labels\.csv: class n02132136, .* and 44 more"):
        show(observer, files, "configural_shape")
    with pytest.raises(UserError, match="kind in_test have no labels of their own"):
        choose_label_map("in_test", "categories", list(CLASSES), CLASSES)


def test_the_published_scaling_replaces_that_of_the_network():
    own = Preparation(224, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.9)
    assert fix_preparation("in_test", own) is own
    image = picture(0, (256, 256))
    whole = fix_preparation("configural_shape", own)
    assert whole == replace(own, interpolation="bilinear", crop=1.0, resizes_all=True)
    bilinear = image.resize((224, 224), Image.Resampling.BILINEAR)
    assert whole.resize_and_crop(image, keep_square=False).tobytes() == bilinear.tobytes()
    # REFINED-BIAS: also images of 224 pixels are scaled to 256, and their centre is shown.
    stimulus = picture(1, (224, 224))
    enlarged = stimulus.resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    shown = fix_preparation("refined_bias", own).resize_and_crop(stimulus, keep_square=False)
    assert shown.tobytes() == enlarged.tobytes() != stimulus.tobytes()
    assert own.resize_and_crop(stimulus, keep_square=False).tobytes() == stimulus.tobytes()
