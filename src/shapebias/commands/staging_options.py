"""The option of jobs that read shards of images many times."""

import argparse


def add_staging_option(parser: argparse._ArgumentGroup) -> None:
    """Add the option that copies shards to the node's own disk."""
    parser.add_argument(
        "--stage",
        action="store_true",
        help="first copy the shards to the node's own disk, named by $SLURM_TMPDIR or $TMPDIR",
    )
