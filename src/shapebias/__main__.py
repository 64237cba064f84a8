"""The command `shapebias`: one subcommand for each task, the same code as in scripts/."""

import importlib
import sys
from importlib.metadata import version

from shapebias.cli import run

COMMANDS = {
    "evaluate": "measure a network: show it stimuli and write its decisions",
    "bias": "shape bias with its interval, from predictions or recorded decisions",
    "report": "write the report, from a study or from a folder of predictions",
    "tables": "count all tables, from predictions and decisions",
    "figures": "draw all figures from the tables",
    "stylize": "stylize images",
    "encode-styles": "encode styles once, for many images",
    "train": "train one network",
    "submit": "train one network on a SLURM cluster, without the workflow",
    "train-stylizer": "train the decoder of an AdaIN stylizer",
    "scan": "list the images of a folder",
    "pack": "pack images into a shard",
    "catalogue": "list and show the images of a set",
    "rejected-sheet": "show the images that were rejected",
    "checksums": "list checksums of files",
    "download": "download files and verify them",
    "download-pretrained": "download the published weights of a network",
    "track": "record tables and figures at Weights & Biases",
    "plan": "say what a study takes, before anything runs (in a clone of the workflow)",
}
MODULES = {"bias": "shape_bias"}  # where the name differs


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        ["usage: shapebias COMMAND [options]", "", *lines, "", "shapebias COMMAND --help lists the options."]
    )


def main() -> None:
    """Run a subcommand; without one, print the list of them."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return
    if name == "--version":
        print(version("shapebias"))
        return
    if name not in COMMANDS:
        sys.exit(f"error: no command {name!r}; there are {', '.join(COMMANDS)}")
    sys.argv = [f"shapebias {name}", *words]
    try:
        command = importlib.import_module(f"shapebias.commands.{MODULES.get(name, name.replace('-', '_'))}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("shapebias"):
            raise
        sys.exit(
            f"error: shapebias {name} needs the package {error.name}: install shapebias with the extra that has it, "
            f"such as `pip install 'shapebias[networks]'`"
        )
    run(command.main)


if __name__ == "__main__":
    main()
