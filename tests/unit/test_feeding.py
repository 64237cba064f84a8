"""Feeding: each image once an epoch, in an order and with augmentations that depend on nothing but seed, epoch, id."""

import numpy as np
import pytest
import torch
from helpers import colour_sample, picture

from shapebias.errors import UserError
from shapebias.feeding import Augmented, Pictures, class_names, epoch_batches, training_batches, validation_batches
from shapebias.images import encode
from shapebias.models import Preparation
from shapebias.recipe import Recipe
from shapebias.shards import label, open_shards, write_shard

PREPARATION = Preparation(size=16, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", crop=1.0)
RECIPE = Recipe(batch_size=4, crop_scale=(0.2, 1.0))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Ten pictures of noise of two classes."""
    path = tmp_path_factory.mktemp("feeding") / "0.tar"
    classes = ["cat", "dog"]
    made = [
        (label(f"{i}", class_name=classes[i % 2], shape=classes[i % 2]), *encode(picture(i), "png")) for i in range(10)
    ]
    write_shard(path, made)
    return open_shards([path])


def augmented(samples, seed: int = 0, recipe: Recipe = RECIPE) -> Augmented:
    return Augmented(samples, ["cat", "dog"], PREPARATION, recipe, seed)


@pytest.mark.parametrize(("count", "size", "sizes"), [(10, 4, [4, 3, 3]), (8, 4, [4, 4]), (9, 8, [5, 4]), (3, 64, [3])])
def test_an_epoch_holds_each_image_once_in_batches_of_nearly_one_size(count, size, sizes):
    plan = epoch_batches(count, size, seed=0, epoch=3)
    assert [len(batch) for batch in plan] == sizes
    assert sorted(index for batch in plan for _, index in batch) == list(range(count))
    assert {epoch for batch in plan for epoch, _ in batch} == {3}


def test_the_order_is_a_function_of_seed_and_epoch():
    assert epoch_batches(50, 8, seed=0, epoch=1) == epoch_batches(50, 8, seed=0, epoch=1)
    orders = {tuple(i for b in epoch_batches(50, 8, seed, epoch) for _, i in b) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_an_image_is_augmented_the_same_way_wherever_it_stands_and_whatever_was_drawn_before(samples):
    pictures, fewer = augmented(samples), augmented(samples[3:])
    alone, label_alone = pictures[2, 5]
    torch.manual_seed(99)
    for index in (7, 1, 5):
        again, label_again = pictures[2, index]
    assert (alone == again).all() and label_alone == label_again
    assert (fewer[2, 2][0] == alone).all()  # the same image at another place
    assert (pictures[3, 5][0] != alone).any() and (augmented(samples, seed=1)[2, 5][0] != alone).any()


def test_augmenting_leaves_torch_s_own_generator_alone(samples):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    augmented(samples)[0, 0]
    assert torch.rand(1) == expected


def test_workers_change_no_batch(samples):
    alone, helped = (
        list(training_batches(augmented(samples), Recipe(batch_size=4, workers=workers), seed=0, epoch=1))
        for workers in (0, 2)
    )
    assert len(alone) == len(helped) == 3
    for (images, labels), (other_images, other_labels) in zip(alone, helped, strict=True):
        assert torch.equal(images, other_images) and torch.equal(labels, other_labels)


def test_crops_have_the_network_s_size_and_pixels_are_normalized(samples):
    images, labels = next(training_batches(augmented(samples), RECIPE, seed=0, epoch=0))
    assert images.shape == (4, 3, 16, 16) and images.dtype == torch.float32
    assert -1 <= images.min() < -0.5 and 0.5 < images.max() <= 1
    assert labels.dtype == torch.int64 and set(labels.tolist()) <= {0, 1}


def test_no_image_is_mirrored_if_flipping_is_off(tmp_path):
    left_red = picture(0, (16, 16))
    left_red.paste((0, 0, 255), (0, 0, 16, 16))
    left_red.paste((255, 0, 0), (0, 0, 8, 16))
    write_shard(tmp_path / "0.tar", [(label("x", class_name="cat"), *encode(left_red, "png"))])
    samples = open_shards([tmp_path / "0.tar"])

    def mirrored(flip: bool) -> list[bool]:
        pictures = augmented(samples, recipe=Recipe(crop_scale=(1.0, 1.0), flip=flip))
        return [bool(pictures[epoch, 0][0][8, 0, 2] > 128) for epoch in range(40)]

    assert not any(mirrored(flip=False))
    assert 10 <= sum(mirrored(flip=True)) <= 30


def test_validation_shows_all_images_once_in_order_unaugmented(samples):
    pictures = Pictures(samples, ["cat", "dog"], PREPARATION)
    batches = list(validation_batches(pictures, RECIPE))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1] * 5
    whole = PREPARATION.tensor([np.asarray(PREPARATION.picture(picture(0)))])
    assert torch.equal(batches[0][0][:1], whole)


def test_classes_are_those_of_all_sets_sorted(samples):
    assert class_names({"in": samples, "sin": samples}) == ["cat", "dog"]


def test_sets_of_different_classes_are_refused_by_name(samples, tmp_path):
    write_shard(tmp_path / "0.tar", [colour_sample("a", "cat", (9, 9, 9))])
    with pytest.raises(UserError, match="'sin' lacks the classes dog"):
        class_names({"in": samples, "sin": open_shards([tmp_path / "0.tar"])})
    with pytest.raises(UserError, match="class 'dog' is none of the 1 trained"):
        Pictures(samples, ["cat"], PREPARATION)
    write_shard(tmp_path / "0.tar", [(label("a"), *encode(picture(), "png"))])
    with pytest.raises(UserError, match="'in' holds images without a class"):
        class_names({"in": open_shards([tmp_path / "0.tar"])})
