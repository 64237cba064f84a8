"""List the SHA-256 of files in the format of `sha256sum`; `sha256sum --check` verifies a copy of their folder."""

import argparse
from pathlib import Path

from shapebias.cli import Parser
from shapebias.images.shards import expand
from shapebias.seals import write_checksum_list


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="files; {0..3} means several shards")
    parser.add_argument("--out", type=Path, required=True, help="the list, to be stored in the folder of the files")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    write_checksum_list(args.out, expand(args.files))
