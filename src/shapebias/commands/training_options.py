"""Command-line options of a training run: its recipe and the staging of its shards."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from shapebias.training.recipe import Recipe
from shapebias.training.staging import VARIABLES

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


def add_staging_option(parser: argparse._ArgumentGroup) -> None:
    """Add the option that copies shards to the node's own disk."""
    parser.add_argument(
        "--stage",
        action="store_true",
        help=f"first copy the shards to the node's own disk, named by {' or '.join(f'${name}' for name in VARIABLES)}",
    )
