"""Feeding: each image once an epoch, in an order and with augmentations that depend on nothing but seed, epoch, id."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import colour_sample, picture

from shapebias.errors import UserError
from shapebias.images.codec import encode
from shapebias.images.shards import label, open_shards, write_shard
from shapebias.networks.models import Preparation
from shapebias.training.data_loading import Augmented, ImageFeed, Pictures, Plan, class_names
from shapebias.training.distributed import ALONE, Ranks
from shapebias.training.recipe import Recipe

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


def feed(samples, recipe: Recipe = RECIPE, ranks: Ranks = ALONE) -> ImageFeed:
    pictures = augmented(samples, recipe=recipe)
    validation = Pictures(samples, ["cat", "dog"], PREPARATION)
    return ImageFeed(pictures, validation, Plan(pictures.labels, recipe, 0, ranks))


def test_workers_change_no_batch_in_this_epoch_or_the_next(samples):
    alone, helped = (feed(samples, replace(RECIPE, workers=workers)) for workers in (0, 2))
    for epoch in (0, 1):
        pairs = list(zip(alone.training(epoch), helped.training(epoch), strict=True))
        assert len(pairs) == 3
        for one, other in pairs:
            (images, labels), (other_images, other_labels) = one.parts[0], other.parts[0]
            assert torch.equal(images, other_images) and torch.equal(labels, other_labels)


def test_an_epoch_that_is_gone_on_with_has_the_steps_that_are_left(samples):
    whole, rest = (list(feed(samples).training(2, start)) for start in (0, 2))
    assert (len(whole), len(rest)) == (3, 1)
    assert torch.equal(rest[0].parts[0][0], whole[2].parts[0][0])


def test_two_ranks_with_two_parts_each_see_the_images_of_one(samples):
    recipe = replace(RECIPE, batch_size=5, accumulate=2)
    whole = list(feed(samples, replace(RECIPE, batch_size=5)).training(0))
    ranks = [list(feed(samples, recipe, Ranks(rank, 2)).training(0)) for rank in (0, 1)]
    for step, *shares in zip(whole, *ranks, strict=True):
        assert [len(share.parts) for share in shares] == [2, 2]
        assert {share.images for share in shares} == {step.images} and {share.weight for share in shares} == {
            step.weight
        }
        parts = [part for share in shares for part in share.parts]
        assert torch.equal(torch.cat([images for images, _ in parts]), step.parts[0][0])
        assert torch.equal(torch.cat([labels for _, labels in parts]), step.parts[0][1])


def test_a_step_weighs_what_the_classes_of_all_its_images_weigh(samples):
    pictures = augmented(samples)
    plan = Plan(pictures.labels, RECIPE, 0, weights=torch.tensor([0.25, 0.75]))
    labels = [sum(pictures.labels[index] for _, index in batch) for batch in plan.batches(0, 0)]
    steps = [plan.step(batch, []) for batch in plan.batches(0, 0)]
    assert [step.weight for step in steps] == [
        0.25 * (step.images - dogs) + 0.75 * dogs for step, dogs in zip(steps, labels, strict=True)
    ]


def test_crops_have_the_network_s_size_and_pixels_are_normalized(samples):
    images, labels = next(feed(samples).training(0)).parts[0]
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
    batches = list(feed(samples).validation())
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1] * 5
    whole = PREPARATION.tensor([np.asarray(PREPARATION.resize_and_crop(picture(0)))])
    assert torch.equal(batches[0][0][:1], whole)


def test_ranks_share_the_validation_and_go_through_equally_many_batches(samples):
    # Nine images, three ranks, two at a time: 0 3 6, 1 4 7, 2 5 8; ten ranks: one of them has none.
    three = [list(feed(samples[:9], replace(RECIPE, batch_size=2), Ranks(rank, 3)).validation()) for rank in range(3)]
    assert [[len(labels) for _, labels in batches] for batches in three] == [[2, 1]] * 3
    assert [torch.cat([labels for _, labels in batches]).tolist() for batches in three] == [
        [0, 1, 0],
        [1, 0, 1],
        [0, 1, 0],
    ]
    ten = [list(feed(samples[:9], RECIPE, Ranks(rank, 10)).validation()) for rank in range(10)]
    assert [len(labels) for [(_, labels)] in ten] == [1] * 9 + [0]


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


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_told_in_one_line_also_by_a_worker(tmp_path, workers):
    write_shard(tmp_path / "0.tar", [(label("x", class_name="cat"), "jpg", b"no image")])
    pictures = Pictures(open_shards([tmp_path / "0.tar"]), ["cat"], PREPARATION)
    images = ImageFeed(augmented(pictures.samples), pictures, Plan([0], replace(RECIPE, workers=workers), 0))
    with pytest.raises(
        UserError, match=r"^\S+0\.tar: image x: not an image in a known format; remove the shard [^\n]*$"
    ):
        next(images.validation())
