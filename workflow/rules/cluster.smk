# The resources that jobs request on a cluster. Time and memory follow from the work and grow with each attempt, up to
# the limits of the partition. The estimates are those of scripts/plan.py, but without counting files in folders and
# without building a network, because each job would repeat that.

import math
from functools import cache

from shapebias.cluster import partitions
from shapebias.planning.costs import Measurements, parse_throughputs

# `gpu_model` of the profile's default-resources. The executor would request a GPU of this model for every job, even for
# one that needs none. So `gres` requests it instead.
DEFAULTS = workflow.resource_settings.default_resources
GPU_MODEL = DEFAULTS.get("gpu_model").raw if DEFAULTS else None
if GPU_MODEL:
    DEFAULTS["gpu_model"] = None


def gres(gpus):
    """Return a job's GPUs per node in Slurm's notation, or None for a job without GPUs."""
    return ":".join(filter(None, ["gpu", GPU_MODEL, str(gpus)])) if gpus else None


def tasks(ranks, nodes):
    """Return the total number of tasks of a job with one task per node, else None: the executor asks for the total."""
    return ranks if ranks > 1 and ranks == nodes else None


def tasks_per_node(ranks, nodes):
    """Return the tasks per node of a job with several tasks per node, else None."""
    return ranks // nodes if ranks > nodes else None


MEASUREMENTS = Measurements(throughputs=parse_throughputs(config["throughputs"], "the config"))

DAY = 1440  # minutes


def on_cluster():
    """Return whether this process submits jobs through profiles/slurm."""
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "shapebias-slurm"


@cache
def partition_limits():
    return partitions.list_limits() if on_cluster() else {}


def partition_of(rule):
    """Return the partition that the profile sets for a rule, or an empty string for the default partition."""
    settings = workflow.resource_settings
    for resources in (settings.overwrite_resources.get(rule), settings.default_resources):
        if resources and "slurm_partition" in resources:
            return str(resources["slurm_partition"].raw).strip("'\"")
    return ""


def within_partition(name):
    """Return a decorator that limits a rule's resource function to the limit of its partition."""

    def limit(amount):
        return lambda wildcards, attempt, rulename: partitions.cap(
            amount(wildcards, attempt), name, partition_of(rulename), partition_limits()
        )

    return limit


def minutes(seconds, attempt):
    """Return a time limit in minutes: 15 minutes plus three times the expected time, multiplied by the attempt."""
    return attempt * (15 + math.ceil(3 * seconds / 60))


def time_limit(per_attempt):
    """Return a time limit in minutes that grows with each attempt, for jobs that are short or limited by a disk."""
    return within_partition("runtime")(lambda wildcards, attempt: attempt * per_attempt)


def memory(megabytes):
    """Return a memory limit in MB that grows with each attempt, for jobs of any size."""
    return within_partition("mem_mb")(lambda wildcards, attempt: attempt * megabytes)


@within_partition("runtime")
def one_day(wildcards, attempt):
    """Return the time limit of a job that resumes at its next attempt."""
    return DAY
