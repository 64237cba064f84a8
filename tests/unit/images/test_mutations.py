"""A damaged image file is either decoded to an RGB image or refused with a reason; nothing else happens."""

import warnings

import numpy as np
import pytest
from bad_files import mutated_image

from shapebias.errors import BadImageError
from shapebias.images.codec import load_rgb
from shapebias.training.augmentation import augment, decode


@pytest.mark.parametrize("first", [0, 200, 400])
def test_hundreds_of_mutated_images_are_decoded_or_refused(first):
    decoded = 0
    for seed in range(first, first + 200):
        data = mutated_image(seed)
        try:
            with warnings.catch_warnings(action="ignore"):
                image = load_rgb(data, max_megapixels=1)
        except BadImageError as error:
            assert str(error)
            continue
        assert image.mode == "RGB" and min(image.size) > 0
        decoded += 1
    assert 20 < decoded < 180  # the mutations are neither harmless nor all fatal


def test_mutated_images_in_a_shard_are_augmented_or_refused():
    for seed in range(200):
        data = mutated_image(seed)
        for use in (decode, lambda data: augment(data, np.random.default_rng(0), 16, (0.1, 1.0), True)):
            try:
                with warnings.catch_warnings(action="ignore"):
                    use(data)
            except BadImageError as error:
                assert str(error)
