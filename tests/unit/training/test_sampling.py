"""Sampling: each image once per epoch over all ranks; the order depends only on seed and epoch."""

import pytest

from shapebias.errors import UserError
from shapebias.training.sampling import check_batches, epoch_batches, rank_batches, shard_batch


@pytest.mark.parametrize(("count", "size", "sizes"), [(10, 4, [4, 3, 3]), (8, 4, [4, 4]), (9, 8, [5, 4]), (3, 64, [3])])
def test_an_epoch_has_each_image_once_in_batches_of_nearly_equal_size(count, size, sizes):
    plan = epoch_batches(count, size, seed=0, epoch=3)
    assert [len(batch) for batch in plan] == sizes
    assert sorted(index for batch in plan for _, index in batch) == list(range(count))
    assert {epoch for batch in plan for epoch, _ in batch} == {3}


def test_the_order_depends_only_on_seed_and_epoch():
    assert epoch_batches(50, 8, seed=0, epoch=1) == epoch_batches(50, 8, seed=0, epoch=1)
    orders = {tuple(i for b in epoch_batches(50, 8, seed, epoch) for _, i in b) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (2, 1), (3, 1), (2, 3), (1, 7)])
def test_ranks_and_their_parts_take_each_image_of_a_batch_once(world, accumulate):
    batch = epoch_batches(7, 7, seed=0, epoch=0)[0]
    parts = [part for rank in range(world) for part in shard_batch(batch, rank, world, accumulate)]
    assert len(parts) == world * accumulate and [key for part in parts for key in part] == batch
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_images_of_a_set_in_order_go_to_the_ranks_in_turn():
    assert rank_batches(5, 2, 0, 2) == [[(0, 0), (0, 2)], [(0, 4)]]
    assert rank_batches(5, 2, 1, 2) == [[(0, 1), (0, 3)], []]


def test_a_batch_larger_than_the_set_is_refused():
    check_batches(8, 8, 1, 1)
    with pytest.raises(UserError, match="batch_size 9 is larger than the set of 8 training images"):
        check_batches(8, 9, 1, 1)


def test_a_batch_too_small_for_all_ranks_is_refused():
    check_batches(9, 4, 3, 1)  # batches of three
    with pytest.raises(
        UserError, match="batch_size 4 makes batches of 3 of the 9 training images, too few for 4 ranks"
    ):
        check_batches(9, 4, 4, 1)
    with pytest.raises(UserError, match=r"2 ranks with 2 parts each \(accumulate\)"):
        check_batches(9, 4, 2, 2)
