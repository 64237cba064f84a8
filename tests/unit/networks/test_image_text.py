"""Networks that compare images with texts: a tiny one with two towers, and its cosines."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import conflict_folder
from torch import nn

from shapebias import Preparation, evaluate, from_embeddings, make_prompts
from shapebias.errors import UserError

PREPARATION = Preparation(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear", crop=1.0)
NAMES = ["cat", "dog"]


class TwoTowers(nn.Module):
    """A tiny CLIP: colours and lengths of words, each mapped to four dimensions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(3, 4), nn.Embedding(256, 4)

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.image(images.mean((2, 3)))

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        return torch.stack([self.text(torch.tensor(list(text.encode()))).mean(0) for text in texts])


@pytest.fixture
def towers():
    return TwoTowers()


@pytest.fixture
def texts(towers):
    return towers.encode_text(make_prompts("a photo of a {}", NAMES))


def test_a_prompt_holds_its_name_once():
    assert make_prompts("a photo of a {}.", ["cat", "bird"]) == ["a photo of a cat.", "a photo of a bird."]
    for template, count in (("a photo", 0), ("a {} of a {}", 2), ("a photo of a {name}", 0)):
        with pytest.raises(UserError, match=f"has {count} places .* write one {{}}"):
            make_prompts(template, NAMES)
    with pytest.raises(UserError, match="names are the text 'cat'; give a list"):
        make_prompts("a photo of a {}", "cat")


def test_the_logits_are_a_hundred_cosines(towers, texts):
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        logits = from_embeddings(towers, texts, NAMES, PREPARATION)(images)
        rows, columns = towers.encode_image(images).numpy(), texts.detach().numpy()
    cosines = [[a @ b / np.sqrt(a @ a * (b @ b)) for b in columns] for a in rows]
    np.testing.assert_allclose(logits, 100 * np.array(cosines), rtol=1e-4)


def test_a_network_of_images_and_texts_is_evaluated_with_its_own_classes(towers, texts, tmp_path):
    stimuli = conflict_folder(tmp_path)
    table = evaluate(from_embeddings(towers, texts, NAMES, PREPARATION), stimuli, observer="clip")
    assert table["decision"].isin(NAMES).all() and table.attrs["answers"] == NAMES
    assert table.attrs["preparation"]["size"] == 32
    by_function = from_embeddings(
        lambda images: towers.encode_image(images).numpy(), texts.detach().numpy(), NAMES, PREPARATION
    )
    np.testing.assert_allclose(evaluate(by_function, stimuli)["p_cat"], table["p_cat"], rtol=1e-5)
    own = evaluate(by_function, stimuli, classes={"cat": "bear", "dog": "bird"})
    assert own.attrs["answers"] == ["bear", "bird"]
    half = evaluate(from_embeddings(towers.bfloat16(), texts, NAMES, PREPARATION), stimuli)
    assert half.attrs["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((3, 4)), r"text_embeddings are a ndarray \[3, 4\]; expected \[2, D\]"),
        (np.ones(4), r"text_embeddings are a ndarray \[4\]"),
        ([[1.0, 2.0]], "text_embeddings are a list; expected"),
        (np.array([[1, 1, 1, 1], [0, 0, 0, 0]]), "embedding of class 'dog' is zero"),
        (np.array([[1, np.nan, 1, 1], [1, 0, 0, 0]]), "embedding of class 'cat' is zero or not finite"),
    ],
)
def test_text_embeddings_that_do_not_fit_are_refused(towers, rows: Any, message):
    with pytest.raises(UserError, match=message):
        from_embeddings(towers, rows, NAMES, PREPARATION)


def test_a_class_that_is_named_twice_is_refused(towers, texts):
    with pytest.raises(UserError, match="class 'cat' is named twice in classes"):
        from_embeddings(towers, texts, ["cat", "cat"], PREPARATION)


def test_image_embeddings_of_another_width_are_refused(towers, tmp_path):
    network = from_embeddings(towers, np.ones((2, 5)), NAMES, PREPARATION)
    with pytest.raises(UserError, match=r"returns a Tensor \[2, 4\] for 2 images; expected embeddings \[2, 5\]"):
        evaluate(network, conflict_folder(tmp_path))
    with pytest.raises(UserError, match="encode_image is a str"):
        from_embeddings("clip", np.ones((2, 5)), NAMES, PREPARATION)
