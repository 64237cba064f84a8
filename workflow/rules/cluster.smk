# What jobs ask of a cluster. Time and memory follow from the work and grow with the attempt, but never exceed what the
# partition has. The work is estimated as by scripts/plan.py, but without a look into folders and without building a
# network: each job would do that again.

import math
from functools import cache

from shapebias.cluster import partitions
from shapebias.planning.costs import Known, given_throughputs

# `gpu_model` of the profile's default-resources. The executor would ask for a GPU of this model in each job, also where
# none is needed: `gres` asks for it instead.
DEFAULTS = workflow.resource_settings.default_resources
GPU_MODEL = DEFAULTS.get("gpu_model").raw if DEFAULTS else None
if GPU_MODEL:
    DEFAULTS["gpu_model"] = None


def gres(gpus):
    """GPUs of each node of a job, in Slurm's notation; nothing where none is needed."""
    return ":".join(filter(None, ["gpu", GPU_MODEL, str(gpus)])) if gpus else None


def tasks(ranks, nodes):
    """Tasks of a job with one a node, which the executor wants said in all; nothing for others."""
    return ranks if ranks > 1 and ranks == nodes else None


def tasks_per_node(ranks, nodes):
    """Tasks of a job with several a node; nothing for others."""
    return ranks // nodes if ranks > nodes else None


KNOWN = Known(throughputs=given_throughputs(config["throughputs"], "the config"))

DAY = 1440  # minutes


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


def memory(megabytes):
    """Of a job whatever its work: as much again at each attempt, MB."""
    return within_partition("mem_mb")(lambda wildcards, attempt: attempt * megabytes)


@within_partition("runtime")
def a_day(wildcards, attempt):
    """Of a job that goes on at its next attempt where this one ends."""
    return DAY
