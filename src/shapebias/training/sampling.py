"""Which images each step of an epoch takes, and which rank takes which of them: functions of (seed, epoch) alone."""

import numpy as np

from shapebias.errors import UserError
from shapebias.seeding import generator

Key = tuple[int, int]  # epoch, index: augmentation needs both


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[list[Key]]:
    """Every index once, in an order drawn by (seed, epoch), in batches whose sizes differ by at most one.

    A short last batch would give its images more weight, and batch norm fails on a batch of one.
    """
    order = generator(seed, "order", epoch).permutation(count)
    parts = np.array_split(order, steps_per_epoch(count, batch_size))
    return [[(epoch, int(index)) for index in part] for part in parts]


def steps_per_epoch(count: int, batch_size: int) -> int:
    return -(-count // batch_size)


def share(batch: list[Key], rank: int, world: int, accumulate: int) -> list[list[Key]]:
    """The parts of a batch that one rank computes, one after another: together the ranks take each image once."""
    parts = np.array_split(np.arange(len(batch)), world * accumulate)
    return [[batch[index] for index in part] for part in parts[rank * accumulate : (rank + 1) * accumulate]]


def check_batches(count: int, batch_size: int, world: int, accumulate: int) -> None:
    """Raise UserError where a batch is larger than the set, or too small for everyone to have a part of it."""
    if batch_size > count:
        raise UserError(f"batch_size {batch_size} is larger than the set of {count} training images; lower it")
    smallest = count // steps_per_epoch(count, batch_size)
    if smallest < world * accumulate:
        raise UserError(
            f"batch_size {batch_size} makes batches of {smallest} of the {count} training images, too few for "
            f"{world} ranks with {accumulate} parts each (accumulate); raise it, or take fewer ranks"
        )


def own_part(count: int, batch_size: int, rank: int, world: int) -> list[list[Key]]:
    """The batches in which one rank goes through a set in order: every `world`-th image.

    All ranks get equally many batches, so that they stay in step; the last may be empty.
    """
    mine = [(0, index) for index in range(rank, count, world)]
    rounds = steps_per_epoch(-(-count // world), batch_size)
    return [mine[k * batch_size : (k + 1) * batch_size] for k in range(rounds)]
