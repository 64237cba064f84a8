"""Data loading: each image once per epoch; order and augmentation depend only on seed, epoch and id."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import colour_sample, picture

from shapebias.errors import UserError
from shapebias.images.codec import encode
from shapebias.images.shards import label, open_shards, write_shard
from shapebias.networks.models import Preparation
from shapebias.training import data_loading
from shapebias.training.data_loading import AugmentedDataset, BatchPlan, ImageBatches, ImageDataset, class_names
from shapebias.training.distributed import SINGLE_PROCESS, World
from shapebias.training.recipe import Recipe

PREPARATION = Preparation(size=16, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", crop=1.0)
RECIPE = Recipe(batch_size=4, crop_scale=(0.2, 1.0))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Ten noise pictures in two classes."""
    path = tmp_path_factory.mktemp("feeding") / "0.tar"
    classes = ["cat", "dog"]
    images = [
        (label(f"{i}", class_name=classes[i % 2], shape=classes[i % 2]), *encode(picture(i), "png")) for i in range(10)
    ]
    write_shard(path, images)
    return open_shards([path])


def augmented(samples, seed: int = 0, recipe: Recipe = RECIPE) -> AugmentedDataset:
    return AugmentedDataset(samples, ["cat", "dog"], PREPARATION, recipe, seed)


def test_augmentation_of_an_image_does_not_depend_on_its_position_or_on_earlier_samples(samples):
    pictures, fewer = augmented(samples), augmented(samples[3:])
    alone, label_alone = pictures[2, 5]
    torch.manual_seed(99)
    for index in (7, 1, 5):
        again, label_again = pictures[2, index]
    assert (alone == again).all() and label_alone == label_again
    assert (fewer[2, 2][0] == alone).all()  # the same image at another place
    assert (pictures[3, 5][0] != alone).any() and (augmented(samples, seed=1)[2, 5][0] != alone).any()


def test_images_are_the_same_without_room_in_the_cache(samples, monkeypatch):
    cached, validation = augmented(samples), ImageDataset(samples, ["cat", "dog"], PREPARATION)
    expected = [cached[2, index][0] for index in range(10)], [validation[0, index][0] for index in range(10)]
    monkeypatch.setattr(data_loading, "MAX_CACHE_BYTES", 0)
    decoded = augmented(samples), ImageDataset(samples, ["cat", "dog"], PREPARATION)
    for images, expected_images in zip(decoded, expected, strict=True):
        assert all(torch.equal(images[2, index][0], image) for index, image in enumerate(expected_images))
        assert not images.cache
    assert len(cached.cache) == len(validation.cache) == 10


def test_augmentation_does_not_change_torch_s_generator(samples):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    augmented(samples)[0, 0]
    assert torch.rand(1) == expected


def source(samples, recipe: Recipe = RECIPE, world: World = SINGLE_PROCESS) -> ImageBatches:
    pictures = augmented(samples, recipe=recipe)
    validation = ImageDataset(samples, ["cat", "dog"], PREPARATION)
    return ImageBatches(pictures, validation, BatchPlan(pictures.labels, recipe, 0, world))


def test_workers_change_no_batch(samples):
    alone, helped = (source(samples, replace(RECIPE, workers=workers)) for workers in (0, 2))
    for epoch in (0, 1):
        pairs = list(zip(alone.training(epoch), helped.training(epoch), strict=True))
        assert len(pairs) == 3
        for step, helped_step in pairs:
            (images, labels), (helped_images, helped_labels) = step.parts[0], helped_step.parts[0]
            assert torch.equal(images, helped_images) and torch.equal(labels, helped_labels)


def test_a_resumed_epoch_has_the_remaining_steps(samples):
    full, rest = (list(source(samples).training(2, start)) for start in (0, 2))
    assert (len(full), len(rest)) == (3, 1)
    assert torch.equal(rest[0].parts[0][0], full[2].parts[0][0])


def test_two_ranks_with_two_parts_each_take_the_images_of_a_single_process(samples):
    recipe = replace(RECIPE, batch_size=5, accumulate=2)
    full = list(source(samples, replace(RECIPE, batch_size=5)).training(0))
    steps_of_ranks = [list(source(samples, recipe, World(rank, 2)).training(0)) for rank in (0, 1)]
    for step, *shards in zip(full, *steps_of_ranks, strict=True):
        assert [len(shard.parts) for shard in shards] == [2, 2]
        assert {shard.images for shard in shards} == {step.images} and {shard.weight for shard in shards} == {
            step.weight
        }
        parts = [part for shard in shards for part in shard.parts]
        assert torch.equal(torch.cat([images for images, _ in parts]), step.parts[0][0])
        assert torch.equal(torch.cat([labels for _, labels in parts]), step.parts[0][1])


def test_the_weight_of_a_step_is_the_sum_of_its_images_class_weights(samples):
    pictures = augmented(samples)
    plan = BatchPlan(pictures.labels, RECIPE, 0, weights=torch.tensor([0.25, 0.75]))
    labels = [sum(pictures.labels[index] for _, index in batch) for batch in plan.batches(0, 0)]
    steps = [plan.step(batch, []) for batch in plan.batches(0, 0)]
    assert [step.weight for step in steps] == [
        0.25 * (step.images - dogs) + 0.75 * dogs for step, dogs in zip(steps, labels, strict=True)
    ]


def test_crops_have_the_network_s_size_and_pixels_are_normalized(samples):
    images, labels = next(source(samples).training(0)).parts[0]
    assert images.shape == (4, 3, 16, 16) and images.dtype == torch.float32
    assert -1 <= images.min() < -0.5 and 0.5 < images.max() <= 1
    assert labels.dtype == torch.int64 and set(labels.tolist()) <= {0, 1}


def test_no_image_is_mirrored_without_flip(tmp_path):
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


def test_validation_uses_all_images_once_in_order_without_augmentation(samples):
    batches = list(source(samples).validation())
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0, 1] * 5
    expected = PREPARATION.tensor([np.asarray(PREPARATION.resize_and_crop(picture(0)))])
    assert torch.equal(batches[0][0][:1], expected)


def test_ranks_share_the_validation_images_in_equally_many_batches(samples):
    # Nine images over three ranks in batches of two: 0 3 6, 1 4 7, 2 5 8. With ten ranks, one rank has no image.
    three = [list(source(samples[:9], replace(RECIPE, batch_size=2), World(rank, 3)).validation()) for rank in range(3)]
    assert [[len(labels) for _, labels in batches] for batches in three] == [[2, 1]] * 3
    assert [torch.cat([labels for _, labels in batches]).tolist() for batches in three] == [
        [0, 1, 0],
        [1, 0, 1],
        [0, 1, 0],
    ]
    ten = [list(source(samples[:9], RECIPE, World(rank, 10)).validation()) for rank in range(10)]
    assert [len(labels) for [(_, labels)] in ten] == [1] * 9 + [0]


def test_class_names_are_sorted_over_all_sets(samples):
    assert class_names({"in": samples, "sin": samples}) == ["cat", "dog"]


def test_sets_of_different_classes_are_refused_by_name(samples, tmp_path):
    write_shard(tmp_path / "0.tar", [colour_sample("a", "cat", (9, 9, 9))])
    with pytest.raises(UserError, match="'sin' lacks the classes dog"):
        class_names({"in": samples, "sin": open_shards([tmp_path / "0.tar"])})
    with pytest.raises(UserError, match="class 'dog' is not one of the 1 trained"):
        ImageDataset(samples, ["cat"], PREPARATION)
    write_shard(tmp_path / "0.tar", [(label("a"), *encode(picture(), "png"))])
    with pytest.raises(UserError, match="'in' holds images without a class"):
        class_names({"in": open_shards([tmp_path / "0.tar"])})


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_reported_in_one_line_with_and_without_workers(tmp_path, workers):
    write_shard(tmp_path / "0.tar", [(label("x", class_name="cat"), "jpg", b"no image")])
    pictures = ImageDataset(open_shards([tmp_path / "0.tar"]), ["cat"], PREPARATION)
    images = ImageBatches(augmented(pictures.samples), pictures, BatchPlan([0], replace(RECIPE, workers=workers), 0))
    with pytest.raises(
        UserError, match=r"^\S+0\.tar: image x: not an image in a known format; remove the shard [^\n]*$"
    ):
        next(images.validation())
