"""Sampling: the images of each step of an epoch and each rank's shard of them, as functions of (seed, epoch) alone."""

import numpy as np

from shapebias.errors import UserError
from shapebias.seeding import generator

ImageKey = tuple[int, int]  # epoch, index; augmentation needs both


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[list[ImageKey]]:
    """Return every index once, shuffled by (seed, epoch), in batches whose sizes differ by at most one.

    A short last batch would give its images more weight, and batch norm fails on a batch of one.
    """
    order = generator(seed, "order", epoch).permutation(count)
    parts = np.array_split(order, steps_per_epoch(count, batch_size))
    return [[(epoch, int(index)) for index in part] for part in parts]


def steps_per_epoch(count: int, batch_size: int) -> int:
    return -(-count // batch_size)


def shard_batch(batch: list[ImageKey], rank: int, world_size: int, accumulate: int) -> list[list[ImageKey]]:
    """Return one rank's parts of a batch, computed one after another. Together, the ranks take each image once."""
    parts = np.array_split(np.arange(len(batch)), world_size * accumulate)
    return [[batch[index] for index in part] for part in parts[rank * accumulate : (rank + 1) * accumulate]]


def check_batches(count: int, batch_size: int, world_size: int, accumulate: int) -> None:
    """Raise UserError if a batch is larger than the set, or too small to give every rank a part."""
    if batch_size > count:
        raise UserError(f"batch_size {batch_size} is larger than the set of {count} training images; lower it")
    smallest = count // steps_per_epoch(count, batch_size)
    if smallest < world_size * accumulate:
        raise UserError(
            f"batch_size {batch_size} makes batches of {smallest} of the {count} training images, too few for "
            f"{world_size} ranks with {accumulate} parts each (accumulate); raise it, or take fewer ranks"
        )


def rank_batches(count: int, batch_size: int, rank: int, world_size: int) -> list[list[ImageKey]]:
    """Return one rank's batches of a set in order: every `world_size`-th image.

    All ranks get equally many batches, so that they stay in step. The last batch may be empty.
    """
    shard = [(0, index) for index in range(rank, count, world_size)]
    steps = steps_per_epoch(-(-count // world_size), batch_size)
    return [shard[k * batch_size : (k + 1) * batch_size] for k in range(steps)]
