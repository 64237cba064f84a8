# How long a job may take and how much memory it may use, by its work and its attempt, but never more than the partition
# of a cluster has. Seconds are those that scripts/plan.py expects where it may look into no folder and build no network:
# each job would have to.

import math
from functools import cache

from shapebias.config import dataset_sizes
from shapebias.cluster import partitions
from shapebias.planning.costs import Known, encode_seconds, given_throughputs, pack_seconds, stylize_seconds
from shapebias.planning.network_costs import (
    evaluation_seconds,
    is_listed,
    observer_entry,
    training_seconds,
)

KNOWN = Known(throughputs=given_throughputs(config["throughputs"], "the config"))
DAY = 1440  # minutes
CHECKPOINT_MINUTES = 10  # scripts/train.py's own


def on_cluster():
    """Whether this process submits jobs by profiles/slurm."""
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "shapebias-slurm"


@cache
def partition_limits():
    return partitions.list_limits() if on_cluster() else {}


def partition_of(rule):
    """The partition that the profile names for a rule; empty for the default one."""
    settings = workflow.resource_settings
    for resources in (settings.overwrite_resources.get(rule), settings.default_resources):
        if resources and "slurm_partition" in resources:
            return str(resources["slurm_partition"].raw).strip("'\"")
    return ""


def within_partition(name):
    """A decorator of resource functions: they ask for no more than the partition of their rule has."""

    def limited(amount):
        return lambda wildcards, attempt, rulename: partitions.cap(
            amount(wildcards, attempt), name, partition_of(rulename), partition_limits()
        )

    return limited


def minutes(seconds, attempt):
    """A time limit: thrice what is expected and a quarter of an hour, and as much again at each attempt."""
    return attempt * (15 + math.ceil(3 * seconds / 60))


def time_limit(some):
    """Of a job whose work is small, or that a disk sets the pace of: as much again at each attempt, minutes."""
    return within_partition("runtime")(lambda wildcards, attempt: attempt * some)


@within_partition("runtime")
def a_day(wildcards, attempt):
    """Of a job that goes on at its next attempt where this one ends."""
    return DAY


@within_partition("runtime")
def pack_minutes(wildcards, attempt):
    return minutes(pack_seconds(config, wildcards.set, wildcards.split, KNOWN), attempt)


@within_partition("runtime")
def encode_minutes(wildcards, attempt):
    return minutes(encode_seconds(config, wildcards.stylizer, wildcards.set, wildcards.split, KNOWN), attempt)


@within_partition("runtime")
def stylize_minutes(wildcards, attempt):
    return minutes(stylize_seconds(config, wildcards.set, wildcards.split, KNOWN), attempt)


@within_partition("runtime")
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


@within_partition("runtime")
def evaluate_minutes(wildcards, attempt):
    name, trained, larger = shown(wildcards.observer)
    return minutes(larger * evaluation_seconds(config, name, trained=trained, melanoma=False, known=KNOWN), attempt)


@within_partition("runtime")
def melanoma_minutes(wildcards, attempt):
    name, trained, larger = shown(wildcards.observer)
    return minutes(larger * evaluation_seconds(config, name, trained=trained, melanoma=True, known=KNOWN), attempt)


def memory(megabytes):
    """Of a job whatever its work: as much again at each attempt, MB."""
    return within_partition("mem_mb")(lambda wildcards, attempt: attempt * megabytes)


@within_partition("mem_mb")
def set_memory(wildcards, attempt):
    """Of a job that looks at all labels of a set, MB: measured 2.5 for a thousand."""
    return attempt * (1000 + round(3 * dataset_sizes.images_in_set(config, wildcards.set) / 1000))


@within_partition("mem_mb")
def train_memory(wildcards, attempt):
    """MB of a node, for its ranks: torch and a network, workers, and 3 MB for the labels of a thousand images."""
    images = sum(dataset_sizes.training_images(config, wildcards.regime, split) for split in ("train", "val"))
    each = 4000 + 600 * train_recipe(wildcards).get("workers", 0) + round(3 * images / 1000)
    return attempt * each * ranks_of(wildcards) // nodes_of(wildcards)


@within_partition("mem_mb")
def stylizer_memory(wildcards, attempt):
    """MB, for all ranks that train a decoder."""
    return attempt * 8000 * stylizer_ranks(wildcards)


def short_trainings():
    """Warnings where all attempts of a training together end before it is expected to, one for the longest of each time
    limit, and where an attempt ends before its first checkpoint.
    """
    longest = {}
    for job in workflow.dag.needrun_jobs():
        if job.rule.name == "train" and job.resources.get("runtime"):
            run = (job.wildcards.model, job.wildcards.regime)
            limit = (1 + job.restart_times, job.resources.runtime)
            longest[limit] = max(longest.get(limit, (0, run)), (training_seconds(config, *run, KNOWN) / 3600, run))
    for (attempts, each), (expected, run) in sorted(longest.items()):
        if 60 * expected > attempts * each:
            yield (
                f"Training {' '.join(run)} may take {expected:.0f} hours; {attempts} attempts of {each} minutes are fewer. "
                "Raise `retries`, or train's runtime in set-resources, in the profile (`make plan` says what this rests "
                "on, and `throughputs` in the config corrects it)."
            )
        if each <= CHECKPOINT_MINUTES:
            yield (
                f"train's runtime of {each} minutes ends before its first checkpoint, at {CHECKPOINT_MINUTES} minutes or "
                "an epoch. It leaves one when its time is up, and is started again, but no more often than `retries` "
                "says; set-resources, `train: runtime=60`, say, in the profile."
            )
