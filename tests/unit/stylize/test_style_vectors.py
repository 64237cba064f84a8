"""Files of encoded styles: they are read back unchanged, and vectors of other networks are refused."""

import numpy as np
import pytest

from shapebias.errors import UserError
from shapebias.images.shards import label
from shapebias.stylize.style_vectors import StyleVectors, write_style_vectors


def write(path, *names, fingerprint="adain-1"):
    labels = [label(name, shape="cat", texture="cat", texture_class="tabby", content=f"{name}.jpg") for name in names]
    write_style_vectors(path, fingerprint, labels, [np.arange(4, dtype=np.float32) + ord(name) for name in names])


def test_each_style_is_read_by_its_id_with_its_label(tmp_path):
    write(tmp_path / "0.safetensors", "a", "b")
    write(tmp_path / "1.safetensors", "c")
    styles = StyleVectors([tmp_path / "{0..1}.safetensors"], "adain-1")
    assert sorted(styles.labels) == ["a", "b", "c"]
    assert styles.labels["b"] == {"id": "b", "content": "b.jpg", "texture": "cat", "texture_class": "tabby"}
    for name in "abc":
        np.testing.assert_array_equal(styles.vector(name), np.arange(4) + ord(name))
        assert styles.vector(name).dtype == np.float32


def test_the_same_styles_give_the_same_bytes(tmp_path):
    """safetensors writes the keys of its metadata in random order."""
    for number in range(20):
        write(tmp_path / f"{number}.safetensors", "a", "b")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_vectors_of_another_network_are_refused(tmp_path):
    write(tmp_path / "0.safetensors", "a")
    with pytest.raises(UserError, match=r"0\.safetensors: style vectors of adain-1, but the stylizer is adain-2"):
        StyleVectors([tmp_path / "0.safetensors"], "adain-2")


def test_a_style_in_two_files_is_refused(tmp_path):
    write(tmp_path / "0.safetensors", "a")
    write(tmp_path / "1.safetensors", "a")
    with pytest.raises(UserError, match="both hold style 'a'"):
        StyleVectors([tmp_path / "0.safetensors", tmp_path / "1.safetensors"], "adain-1")


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    for name in ("x.safetensors", "gone.safetensors"):
        with pytest.raises(UserError, match=f"{name}: not a file of style vectors"):
            StyleVectors([tmp_path / name], "adain-1")
