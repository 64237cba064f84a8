"""Command-line options for Weights & Biases, and the settings that they describe."""

import argparse
from pathlib import Path

from shapebias.tracking.client import MODES, TrackingSettings


def add_tracking_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `tracking_settings` reads."""
    default = TrackingSettings()
    group = parser.add_argument_group(
        "Weights & Biases",
        "The API key comes from the environment variable WANDB_API_KEY or from a .env file in the working folder.",
    )
    group.add_argument(
        "--wandb-mode",
        choices=MODES,
        default=default.mode,
        help="offline writes files for a later `wandb sync` (default: %(default)s)",
    )
    group.add_argument("--wandb-project", default=default.project, metavar="NAME", help="default: %(default)s")
    group.add_argument("--wandb-entity", metavar="NAME", help="user or team (default: the account's own)")
    group.add_argument(
        "--wandb-dir",
        type=Path,
        default=default.folder,
        metavar="DIR",
        help="runs are written to DIR/wandb (default: the working folder)",
    )


def tracking_settings(args: argparse.Namespace) -> TrackingSettings:
    """Return the settings that the options describe."""
    return TrackingSettings(args.wandb_mode, args.wandb_project, args.wandb_entity, args.wandb_dir)
