"""Random numbers that depend only on a seed and a name, never on order, time, workers or shards."""

import hashlib

import numpy as np


def draw_key(seed: int, *names: object) -> int:
    """Return a 64-bit integer that is a pure function of the seed and the names."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return a random generator that belongs to this seed and these names."""
    return np.random.default_rng(draw_key(seed, *names))
