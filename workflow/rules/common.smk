# Checks the config before anything reads it, then offers the names and paths that the rules share.

import json
import os
import shlex
import sys
from glob import glob

SCRIPTS = os.path.join(workflow.basedir, "scripts")
from shapebias.config import dataset_sizes
from shapebias.config.data_files import data_problems
from shapebias.config.validation import check_config, parse_scalars, unshare
from shapebias.config.queries import (
    STYLIZER_PARTS,
    file_of,
    is_url,
    melanoma_regimes,
    networks,
    recipe_of,
    run_name,
)
from shapebias.config.stylizer_kinds import stylizer_kind
from shapebias.stylize.stylizers import EMBEDDED
from shapebias.training.recipe import EXECUTION
from snakemake.logging import logger
from snakemake.utils import update_config

# Snakemake reads `--config only_finished=true`, and every nested value, as text.
update_config(config, parse_scalars(workflow.config_settings.config))
STUDY = unshare(config)  # the config as written, without defaults and with relative paths
try:
    config = check_config(config)
except UserError as error:
    if workflow.remote_exec:  # this status tells the executor that every attempt of every job would fail
        logger.error(str(error))
        sys.exit(os.EX_CONFIG)
    raise WorkflowError(str(error))

# Flags for W&B. They are no params of a rule, because a new W&B project must not repeat a job.
TRACKING = " ".join(f"--wandb-{key} {value}" for key, value in {**config["wandb"], "dir": "results"}.items())
STAGING = "--stage" if config["stage_shards"] else ""  # no param either, for the same reason
ENVIRONMENT = {"PYTHONPATH": LIBRARY, "SCRIPTS": SCRIPTS, "TRACKING": TRACKING, "STAGING": STAGING}
ENVIRONMENT["PYTHONUTF8"] = "1"  # the same file names and bytes in any locale
if workflow.remote_exec:
    ENVIRONMENT["ON_CLUSTER"] = "yes"
PREFIX = f"set -euo pipefail; export {shlex.join(f'{key}={value}' for key, value in ENVIRONMENT.items())}; "
if not workflow.deployment_settings.deployment_method:
    # Jobs run in the environment of this process, even if it is not activated.
    PREFIX += f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"; '
shell.prefix(PREFIX + f"source {shlex.quote(os.path.join(workflow.basedir, 'workflow/launch.sh'))}; ")

# A container image with all environments, for --software-deployment-method conda apptainer.
if "container" in config:

    containerized: config["container"]


# A dry run plans without the data and warns of all missing files. A run refuses to start. Jobs do not check again.
MISSING = data_problems(config) if workflow.is_main_process else []
for problem in MISSING:
    logger.warning(problem)


def existing_path(path):
    """Return a path of the config as a job's input, or no input if it is missing, so that a dry run can plan."""
    return path if os.path.exists(path) else []


PEOPLE = os.path.join(workflow.basedir, "workflow/resources/people.csv")

ALL = "all"  # the one split of a set of styles

RUNS = {
    run_name(model, regime, seed): (model, regime, seed)
    for model in config["models"]
    for regime in config["regimes"]
    for seed in config["seeds"]
}
NETWORKS = [name for name, entry in config["observers"].items() if "timm" in entry]
# Melanoma runs are shown the melanoma benchmarks only, and all other networks the other benchmarks only.
MELANOMA_RUNS = [name for name, (_, regime, _) in RUNS.items() if regime in melanoma_regimes(config)]
MELANOMA = [name for name, entry in config["benchmarks"].items() if entry["kind"] == "melanoma"]
OBSERVERS = [name for name in [*RUNS, *NETWORKS] if name not in MELANOMA_RUNS]
BENCHMARKS = [name for name in config["benchmarks"] if name not in MELANOMA]
# File name → URL and checksum of a network's weights; a model and an observer may share a file.
NETWORK_FILES = {
    file_of(entry["weights"]): {"source": entry["weights"], "sha256": entry["weights_sha256"]}
    for _, entry in networks(config)
    if is_url(entry.get("weights", ""))
}
DECISIONS = {name: entry for name, entry in config["observers"].items() if "decisions" in entry}
# Benchmarks with a read-out of shape and texture from every stage of every network.
READ_OUT = [name for name, entry in config["benchmarks"].items() if entry.get("read_out")]
PROTOCOLS = [name for name, entry in config["benchmarks"].items() if entry.get("protocols")]
CONFLICTS = [name for name, entry in config["benchmarks"].items() if entry["kind"] == "cue_conflict"]
PACKED = [*config["sources"], *config["styles"]]
SETS = [*PACKED, *config["stylized"]]


def finished(names, results):
    """Return the names whose results exist if the config asks for `only_finished`, else all names.

    results: function of a name that returns paths.
    """
    return [name for name in names if not config["only_finished"] or all(map(os.path.exists, results(name)))]


def one_of(names):
    """Return a wildcard's pattern that matches exactly these names, or nothing if there are none."""
    return "|".join(map(re.escape, map(str, names))) or "(?!)"


wildcard_constraints:
    set=one_of(SETS),
    split=one_of(["train", "val", "test", ALL]),
    shard=r"\d+",
    model=one_of(config["models"]),
    regime=one_of(config["regimes"]),
    seed=one_of(config["seeds"]),
    observer=one_of([*RUNS, *NETWORKS]),
    stylizer=one_of([*EMBEDDED, *config["stylizers"]]),
    part=one_of(STYLIZER_PARTS),
    ending="pth|safetensors",
    file=one_of(NETWORK_FILES),


def shard_counts(name):
    """Return split → number of shards of a set."""
    return dataset_sizes.shard_counts(config, name)


def shards(name, split):
    """Return the paths of all shards of a set's split."""
    return [f"results/images/{name}/{split}/{shard}.tar" for shard in range(shard_counts(name)[split])]


def numbered(folder, count, ending):
    """Return `folder/{0..7}.tar`, WebDataset's notation, which keeps command lines short with thousands of shards."""
    return f"{folder}/{{0..{count - 1}}}.{ending}"


def shard_range(name, split):
    """Return the paths of all shards of a set's split as one word."""
    return numbered(f"results/images/{name}/{split}", shard_counts(name)[split], "tar")


def flags(values):
    """Return a mapping as command-line words: `batch_size: 64` becomes --batch-size 64; False becomes --no-…"""
    words = []
    for key, value in values.items():
        flag = key.replace("_", "-")
        if value is True or value is False:
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            words += [f"--{flag}", json.dumps(value, sort_keys=True)]
        elif value is not None:
            words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return words


def pairs(mapping):
    """Return a mapping as `a=1,b=2`."""
    return ",".join(f"{key}={value}" for key, value in mapping.items())


def set_entry(wildcards):
    return config["styles"].get(wildcards.set) or config["sources"][wildcards.set]


def set_folder(name):
    """Return the folder of a packed set's files, or an empty string for a set that is drawn by code."""
    return (config["styles"].get(name) or config["sources"][name]).get("folder", "")


# Sets of files, which are listed once, because listing a million photographs takes an hour. Drawn sets need no list.
LISTED = [name for name in PACKED if set_folder(name)]

# Snakemake plans slowly if hundreds of jobs have thousands of shards as inputs. Their input is therefore one file per
# split, which lists the checksums of all its shards and is made again after a shard is made again.
CHECKSUMS = "sha256sums.txt"


def checksums_of(name, split):
    """Return the checksum list of a set's split, which jobs take as their input instead of its shards."""
    return f"results/images/{name}/{split}/{CHECKSUMS}"


def listed(folder, count, ending):
    """Return the single paths of `numbered`."""
    return [f"{folder}/{number}.{ending}" for number in range(count)]


def code(*patterns):
    """Return source files as inputs, so that editing a figure's code redraws the figure without --force."""
    return sorted(path for pattern in patterns for path in glob(os.path.join(workflow.basedir, pattern)))
