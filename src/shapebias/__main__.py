"""The command `shapebias`: one subcommand for each task, the same code as in scripts/."""

import difflib
import sys
from importlib.metadata import version

from shapebias.start import run_command

COMMANDS = {
    "evaluate": "measure a network: show it stimuli and write its decisions",
    "bias": "shape bias with its interval, from predictions or recorded decisions",
    "report": "write the report, from a study or from a folder of predictions",
    "tables": "count all tables, from predictions and decisions",
    "figures": "draw all figures from the tables",
    "stylize": "stylize images",
    "encode-styles": "encode styles once, for many images",
    "train": "train one network",
    "reproduce": "train a finished run again, and compare every byte of its weights",
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
    "power": "say how many images, people and seeds an interval or a difference needs",
    "plan": "say what a study takes, before anything runs (in a clone of the workflow)",
}
MODULES = {"bias": "shape_bias"}  # where the name differs
ALIASES = {"shape_bias": "bias", "shape-bias": "bias"}  # the script's name


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
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        sys.exit(f"error: no command {name!r}{hint} there are {', '.join(COMMANDS)}")
    sys.argv = [f"shapebias {name}", *words]
    run_command(MODULES.get(name, name.replace("-", "_")))


if __name__ == "__main__":
    main()
