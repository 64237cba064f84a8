"""Contact sheets that show a stylized set beside its contents and styles."""

import numpy as np
import pytest
from helpers import colour_shard
from PIL import Image

from shapebias.errors import UserError
from shapebias.images.codec import encode
from shapebias.images.sample_sheets import caption_lines, comparison_cells, find_samples, sample_sheet
from shapebias.images.shards import Shard, label, write_shard

RED, BLUE = (200, 40, 40), (40, 40, 200)


@pytest.fixture
def shards(tmp_path):
    """Return red cats and blue dogs of 48 pixels, and a green centre crop: the first cat in the second dog's style."""
    content = colour_shard(tmp_path / "content.tar", 3, size=48)
    conflict_label = label(
        "cat-0", class_name="cat", shape="cat", texture="dog", content="cat-0.png", style="dog-1.png"
    )
    conflict_label |= {"style_id": "dog-1", "stylizer": "adain", "strength": 1.0}
    green = Image.new("RGB", (32, 32), (40, 200, 40))
    write_shard(tmp_path / "conflict.tar", [(conflict_label, *encode(green, "png"))])
    return tmp_path / "conflict.tar", content


def test_a_stylized_image_stands_beside_its_content_and_its_style(shards):
    stylized, content = shards
    sheet = sample_sheet([stylized], title="conflict", count=32, columns=1, content=[content], styles=[content])
    pixels = np.asarray(sheet.convert("RGB"), int)
    middle = [
        int(np.nonzero((np.abs(pixels - colour).max(axis=2) < 40).any(axis=0))[0].mean())
        for colour in (RED, BLUE, (40, 200, 40))
    ]
    assert middle == sorted(middle)


def test_a_set_made_from_other_shards_is_refused(shards, tmp_path):
    stylized, content = shards
    unrelated = colour_shard(tmp_path / "other.tar", 1)
    with pytest.raises(UserError, match=r"style 'dog-1'.*made from other shards"):
        sample_sheet([stylized], title="x", count=32, columns=8, content=[content], styles=[unrelated])


def test_shards_behind_the_last_sample_are_not_read(shards, tmp_path):
    _, content = shards
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(b"no shard")
    assert sorted(find_samples([content, damaged], {"cat-0", "dog-1"}, "content")) == ["cat-0", "dog-1"]
    with pytest.raises(UserError, match=r"damaged\.tar"):
        find_samples([damaged, content], {"cat-0"}, "content")


def test_a_content_is_cropped_only_if_it_is_larger_than_the_result(shards):
    stylized, content = shards
    [result], samples = Shard(stylized), {sample.id: sample for sample in Shard(content)}
    (original, caption), (style, _), (green, stylizer) = comparison_cells(result, samples["cat-0"], samples)
    assert (original.size, style.size, green.size) == ((32, 32), (48, 48), (32, 32))
    assert (caption, stylizer) == (["shape: cat"], ["adain"])
    (same, _), *_ = comparison_cells(result, result, samples)
    assert same.size == (32, 32) and same.tobytes() == result.image().tobytes()


def test_a_caption_names_the_shape_and_the_texture_or_the_style():
    assert caption_lines({"class": "tabby", "shape": "cat"}) == ["cat", "tabby"]
    stylized = {"class": "tabby", "shape": "cat", "style": "art/night.jpg"}
    assert caption_lines(stylized) == ["shape: cat", "style: night"]
    assert caption_lines(stylized | {"texture": "dog"}) == ["shape: cat", "texture: dog"]
    assert caption_lines({"class": "melanoma", "style": "art/night.jpg"}) == ["shape: melanoma", "style: night"]
