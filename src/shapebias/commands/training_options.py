"""The command line of a training run. It imports no torch, so that jobs are submitted without delay."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from shapebias.cli import (
    Parser,
    image_size,
    json_object,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
)
from shapebias.commands.staging_options import add_staging_option
from shapebias.commands.tracking_options import add_tracking_options
from shapebias.training.recipe import Recipe

# Titles of the groups in --help, and their hyperparameters.
GROUPS = {
    "epochs and batches": ("epochs", "batch_size", "accumulate", "patience"),
    "optimizer": (
        "optimizer",
        "lr",
        "momentum",
        "weight_decay",
        "layer_decay",
        "schedule",
        "step_epochs",
        "step_factor",
        "warmup_epochs",
        "max_norm",
    ),
    "loss": ("label_smoothing", "class_weights"),
    "augmentation": ("crop_scale", "flip", "feature_views"),
    "arithmetic": ("precision", "compile", "threads"),
    "processes": ("ranks", "workers"),
}


def named_shards(text: str) -> tuple[str, str]:
    """Parse `in=folder/{0..3}.tar` (an argparse type)."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not SET=TAR")
    return name, path


def trainable_part(text: str) -> str | int:
    """Parse `all`, `head` or a number of layer groups (an argparse type)."""
    if text in ("all", "head"):
        return text
    return positive_int(text)


def training_parser(**parser_arguments: Any) -> argparse.ArgumentParser:
    """Return the parser of a training, with its options in groups; parser_arguments: arguments of the parser itself."""
    parser = Parser(**parser_arguments)
    data = parser.add_argument_group("images")
    data.add_argument(
        "--train",
        type=named_shards,
        nargs="+",
        required=True,
        metavar="SET=TAR",
        help="training sets; {0..3} names several shards",
    )
    data.add_argument("--val", type=named_shards, nargs="+", required=True, metavar="SET=TAR", help="validation sets")
    data.add_argument(
        "--image-size", type=image_size, help="size of the network's input in pixels (default: the network's own)"
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--timm", required=True, metavar="NAME", help="the network's name in timm, or torchvision/NAME"
    )
    network.add_argument("--kwargs", type=json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument(
        "--init", default="scratch", help="scratch, pretrained (published weights) or a weights file (default: scratch)"
    )
    network.add_argument(
        "--trainable",
        type=trainable_part,
        default="all",
        metavar="all|head|N",
        help="part that learns: all weights, the classifier, or timm's last N layer groups (default: %(default)s)",
    )
    run_options = parser.add_argument_group("the run")
    run_options.add_argument("--model", help="the network's name in tables (default: its timm name)")
    run_options.add_argument("--regime", default="", help="name of the training regime")
    run_options.add_argument(
        "--seed",
        type=non_negative_int,
        default=0,
        help="of weights, order and augmentation (default: %(default)s)",
    )
    run_options.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for model.safetensors, history.csv and run.json"
    )
    add_recipe_options(parser)
    job = parser.add_argument_group("the job")
    job.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    job.add_argument(
        "--cpus",
        type=non_negative_int,
        default=0,
        help="required CPUs per rank; with fewer, the run ends at once (default: no check)",
    )
    job.add_argument(
        "--checkpoints",
        type=Path,
        metavar="DIR",
        help="folder of checkpoints (default: checkpoints in the folder of --out)",
    )
    job.add_argument(
        "--checkpoint-minutes",
        type=positive_float,
        default=10.0,
        help="between checkpoints (default: %(default)s)",
    )
    job.add_argument(
        "--checkpoint-epochs", type=positive_int, default=1, help="epochs between checkpoints (default: %(default)s)"
    )
    job.add_argument(
        "--time-limit",
        type=non_negative_float,
        default=0.0,
        metavar="MINUTES",
        help="stop with a checkpoint and exit status 75 shortly before this limit (default: no limit)",
    )
    add_staging_option(job)
    add_tracking_options(parser)
    return parser


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add one option per hyperparameter: `--batch-size` sets `batch_size`."""
    group_of = {}
    for title, names in GROUPS.items():
        option_group = parser.add_argument_group(title)
        group_of |= dict.fromkeys(names, option_group)
    for hyperparameter in fields(Recipe):
        option_group = group_of[hyperparameter.name]
        flag, text = (
            "--" + hyperparameter.name.replace("_", "-"),
            f"{hyperparameter.metadata['help']} (default: {format_default(hyperparameter.default)})",
        )
        if isinstance(hyperparameter.default, bool):
            option_group.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=hyperparameter.default, help=text
            )
        else:
            kind = type(
                hyperparameter.default[0] if isinstance(hyperparameter.default, tuple) else hyperparameter.default
            )
            settings = {
                key: hyperparameter.metadata[key] for key in ("choices", "nargs") if key in hyperparameter.metadata
            }
            option_group.add_argument(flag, type=kind, default=hyperparameter.default, help=text, **settings)


def format_default(value: Any) -> str:
    """Format a default value for --help."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def recipe_from_options(args: argparse.Namespace) -> Recipe:
    """Return the recipe that the options describe."""
    values: dict[str, Any] = {
        hyperparameter.name: getattr(args, hyperparameter.name) for hyperparameter in fields(Recipe)
    }
    values["crop_scale"] = tuple(values["crop_scale"])
    return Recipe(**values).validate()


def options_of_recipe(recipe: Mapping[str, Any]) -> list[str]:
    """Return the options that describe a recipe, from its values by name; lists may stand for tuples."""
    options = []
    for name, value in recipe.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, (list, tuple)):
            options += [f"--{flag}", *map(str, value)]
        else:
            options.append(f"--{flag}={value}")
    return options
