# How long a job may take and how much memory it may use, by its work and its attempt. Seconds are those that
# scripts/plan.py expects where it may look into no folder and build no network: each job would have to.

import math

from shapebias import planning_sets
from shapebias.costs import Known, encode_seconds, given_throughputs, pack_seconds, stylize_seconds
from shapebias.planning_networks import (
    evaluation_seconds,
    is_listed,
    observer_entry,
    read_out_seconds,
    training_seconds,
)

KNOWN = Known(throughputs=given_throughputs(config["throughputs"], "the config"))
DAY = 1440  # minutes


def minutes(seconds, attempt):
    """A time limit: thrice what is expected and a quarter of an hour, and as much again at each attempt."""
    return attempt * (15 + math.ceil(3 * seconds / 60))


def time_limit(some):
    """Of a job whose work is small, or that a disk sets the pace of: as much again at each attempt, minutes."""
    return lambda wildcards, attempt: attempt * some


def pack_minutes(wildcards, attempt):
    return minutes(pack_seconds(config, wildcards.set, wildcards.split, KNOWN), attempt)


def encode_minutes(wildcards, attempt):
    return minutes(encode_seconds(config, wildcards.stylizer, wildcards.set, wildcards.split, KNOWN), attempt)


def stylize_minutes(wildcards, attempt):
    return minutes(stylize_seconds(config, wildcards.set, wildcards.split, KNOWN), attempt)


def train_minutes(wildcards, attempt):
    """A day, where nobody gives the model's throughput: training leaves in time and goes on at the next attempt."""
    if ("train", wildcards.model) not in KNOWN.throughputs:
        return DAY
    return min(DAY, minutes(training_seconds(config, wildcards.model, wildcards.regime, KNOWN), attempt))


def shown(observer):
    """A run's model, or the observer itself; whether it is trained here; by how much it may be larger than expected: a
    network that nobody has counted is taken for a ResNet-50, of which the largest of timm are forty.
    """
    name, trained = (RUNS[observer][0], True) if observer in RUNS else (observer, False)
    entry, _ = observer_entry(config, name, trained=trained)
    return name, trained, 1 if is_listed(entry) or ("show", name) in KNOWN.throughputs else 8


def evaluate_minutes(wildcards, attempt):
    name, trained, larger = shown(wildcards.observer)
    return minutes(larger * evaluation_seconds(config, name, trained=trained, melanoma=False, known=KNOWN), attempt)


def melanoma_minutes(wildcards, attempt):
    name, trained, larger = shown(wildcards.observer)
    return minutes(larger * evaluation_seconds(config, name, trained=trained, melanoma=True, known=KNOWN), attempt)


def read_out_minutes(wildcards, attempt):
    name, trained, larger = shown(wildcards.observer)
    seconds = read_out_seconds(config, wildcards.benchmark, name, trained=trained, known=KNOWN)
    return minutes(larger * seconds, attempt)


def memory(megabytes):
    """Of a job whatever its work: as much again at each attempt, MB."""
    return lambda wildcards, attempt: attempt * megabytes


def set_memory(wildcards, attempt):
    """Of a job that looks at all labels of a set, MB: measured 2.5 for a thousand."""
    return attempt * (1000 + round(3 * planning_sets.images_in_set(config, wildcards.set) / 1000))


def train_memory(wildcards, attempt):
    """MB of a node, for its ranks: torch and a network, workers, and 3 MB for the labels of a thousand images."""
    images = sum(planning_sets.training_images(config, wildcards.regime, split) for split in ("train", "val"))
    each = 4000 + 600 * train_recipe(wildcards).get("workers", 0) + round(3 * images / 1000)
    return attempt * each * ranks_of(wildcards) // nodes_of(wildcards)
