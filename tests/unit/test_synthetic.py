"""Drawn photographs: reproducible from (seed, id), available for every class, and recognisable as an object."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from shapebias.categories import CATEGORIES
from shapebias.images.codec import encode, load_rgb
from shapebias.seeding import generator
from shapebias.synthetic.anagrams import COUPLES, GRID, POSES, anagram_facts, cut_tiles, draw_anagram, draw_pose
from shapebias.synthetic.paintings import GENRES, paint, painting
from shapebias.synthetic.parts import render_mask
from shapebias.synthetic.scene import APPEARANCES, CLASSES, SILHOUETTES, draw_image

SIZE = 48


def grey(image) -> np.ndarray:
    return np.asarray(image.convert("L"))


@pytest.mark.parametrize("appearance", APPEARANCES)
def test_equal_seed_and_id_give_equal_pixels(appearance):
    first, again, another_id, reseeded = (
        draw_image("tabby", name, size=SIZE, seed=seed, appearance=appearance).tobytes()
        for name, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1))
    )
    assert first == again
    assert len({first, another_id, reseeded}) == 3


def test_every_category_has_two_classes_and_every_class_can_be_drawn():
    assert sorted(set(CLASSES.values())) == list(CATEGORIES)
    assert all(list(CLASSES.values()).count(category) >= 2 for category in CATEGORIES)
    drawn = {draw_image(name, "x", size=SIZE, seed=0).tobytes() for name in CLASSES}
    assert len(drawn) == len(CLASSES)
    assert all(draw_image(name, "x", size=SIZE, seed=0).size == (SIZE, SIZE) for name in list(CLASSES)[:2])


def test_a_photograph_is_textured_everywhere():
    values = grey(draw_image("tabby", "x", size=SIZE, seed=0)).astype(float)
    blocks = values.reshape(4, SIZE // 4, 4, SIZE // 4).std(axis=(1, 3))
    assert blocks.min() > 2  # no flat corner


@pytest.mark.parametrize("name", CLASSES)
def test_a_silhouette_is_a_black_object_of_sensible_size_on_white(name):
    for number in range(3):
        values = grey(draw_image(name, f"{name}/{number}", size=SIZE, seed=0, appearance="silhouette"))
        assert 0.05 < (values < 128).mean() < 0.7
        assert np.isin(values, (0, 255)).mean() > 0.7  # except for the antialiased border
        border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
        assert np.median(border) == 255


def test_edges_are_thin_dark_lines_on_white():
    for name in CLASSES:
        values = grey(draw_image(name, "x", size=96, seed=0, appearance="edges"))
        assert np.median(values) == 255
        assert 0.01 < (values < 128).mean() < 0.4


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_has_four_clearly_different_shapes(category):
    kinds = [kind for kinds in SILHOUETTES[category].values() for kind in kinds]
    assert len(kinds) >= 4
    shapes = [render_mask(kind(np.random.default_rng(0)), SIZE)[0] > 0.5 for kind in kinds]
    for first, second in combinations(shapes, 2):
        # Two ellipses whose axes are a third longer overlap by 0.75.
        assert (first & second).sum() / (first | second).sum() < 0.75


def test_outlines_vary_within_a_class():
    shapes = {draw_image("tabby", str(i), size=SIZE, seed=0, appearance="silhouette").tobytes() for i in range(20)}
    assert len(shapes) == 20


def test_paintings_depend_only_on_the_generator_and_differ():
    paintings = [painting(generator(0, "painting", str(i)), 64) for i in (0, 0, 1, 2)]
    assert paintings[0].shape == (64, 64, 3) and paintings[0].dtype == np.uint8
    np.testing.assert_array_equal(paintings[0], paintings[1])
    assert len({image.tobytes() for image in paintings}) == 3


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_is_painted_over_the_whole_canvas_and_follows_its_generator(genre):
    first, again, second = (paint(genre, generator(0, name), SIZE) for name in ("a", "a", "b"))
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, second)
    blocks = first.mean(axis=2).reshape(4, SIZE // 4, 4, SIZE // 4).std(axis=(1, 3))
    assert (blocks > 1).mean() > 0.7  # strokes or stones nearly everywhere


def tiles_of(image: Image.Image) -> list[bytes]:
    """Return the tiles of an anagram in an order that does not depend on their places."""
    return sorted(tile.tobytes() for tile in cut_tiles(np.asarray(image)[..., 0], image.width // GRID))


@pytest.mark.parametrize("couple", COUPLES)
def test_both_images_of_an_anagram_have_the_same_tiles_in_other_places(couple):
    images = [draw_anagram(name, f"test/{name}/00000", size=80, seed=0) for name in couple]
    assert tiles_of(images[0]) == tiles_of(images[1])
    values = [np.asarray(image) for image in images]
    assert set(np.unique(values)) == {51, 153} and 0.1 < (values[0] != values[1]).mean() < 0.5
    assert CLASSES[couple[0]] != CLASSES[couple[1]]
    # Each image shows its object: it resembles one of the poses more than the other object's image does.
    for name, image, other in zip(couple, values, values[::-1], strict=True):
        poses = [draw_pose(name, f"test/{'+'.join(couple)}/00000", pose, 8, 0) for pose in range(POSES)]
        errors = [min(np.abs(pose - (153 - shown[..., 0]) / 102).mean() for pose in poses) for shown in (image, other)]
        assert errors[0] < 0.1 < errors[1]


def test_an_anagram_is_a_pure_function_of_seed_and_id_and_names_its_pair():
    first, again, other = (draw_anagram("tabby", f"test/tabby/{n}", size=64, seed=0) for n in ("00", "00", "01"))
    assert first.size == (64, 64) and first.tobytes() == again.tobytes() != other.tobytes()
    assert (np.asarray(first)[:2] == 153).all()  # a grid of 60 pixels, and a margin
    facts = {"pair": "test/tabby+indian_elephant/00"}
    assert anagram_facts("tabby", "test/tabby/00") == facts | {"foil": "elephant"}
    assert anagram_facts("indian_elephant", "test/indian_elephant/00") == facts | {"foil": "cat"}


def test_drawn_anagrams_survive_packing_as_jpeg():
    images = []
    for name in ("polar_bear", "siamese"):
        suffix, data = encode(draw_anagram(name, f"test/{name}/0", size=160, seed=0), "jpeg")
        images.append(load_rgb(data))
    assert suffix == "jpg" and tiles_of(images[0]) == tiles_of(images[1])
