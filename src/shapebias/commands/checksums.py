"""List the SHA-256 of files in the format of `sha256sum`; `sha256sum --check` verifies a copy of their folder."""

import argparse
import hashlib
from pathlib import Path

from shapebias.cli import Parser
from shapebias.files import atomic_write
from shapebias.images.shards import expand


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="files; {0..3} means several shards")
    parser.add_argument("--out", type=Path, required=True, help="the list, to be stored in the folder of the files")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with atomic_write(args.out) as draft, draft.open("w", encoding="utf-8") as out:
        for path in expand(args.files):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            out.write(f"{digest}  {path.name}\n")
