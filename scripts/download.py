#!/usr/bin/env python3
"""Fetch a file, or all files of a list of checksums, from a URL or a path: verified, resumed after an interruption."""

import argparse
import logging
import re
from pathlib import Path

from shapebias.cli import Parser, progress, run
from shapebias.downloads import fetch, fetch_all, read_checksum_list

log = logging.getLogger(__name__)


def renaming(text: str) -> tuple[str, str]:
    """Parse `stimuli/edges=edges` (an argparse type)."""
    source, found, target = text.partition("=")
    if not found or ".." in Path(target).parts or Path(target).is_absolute():
        raise argparse.ArgumentTypeError(f"{text!r} is not FOLDER=FOLDER")
    return source, target


def sha256(text: str) -> str:
    """Parse a checksum (an argparse type)."""
    if not re.fullmatch("[0-9a-fA-F]{8,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 8 to 64 hexadecimal digits")
    return text.lower()


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--source", required=True, metavar="URL|PATH", help="the file; what a list's files are below")
    parser.add_argument(
        "--sha256", type=sha256, metavar="HEX", help="the file's checksum, or its first 8 digits or more"
    )
    parser.add_argument("--checksums", type=Path, metavar="LIST", help="what to fetch, as sha256sum writes it")
    parser.add_argument(
        "--take",
        type=renaming,
        nargs="+",
        default=[],
        metavar="FROM=TO",
        help="only folder FROM of the list, as folder TO of --out; all of it by default",
    )
    parser.add_argument("--out", type=Path, required=True, help="the file, or with --checksums the folder")
    args = parser.parse_args(argv)
    if args.checksums and args.sha256:
        parser.error("--sha256 is for one file; --checksums has those of many")
    if args.take and not args.checksums:
        parser.error("--take chooses from a list; give one with --checksums")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.checksums is None:
        fetch(args.source, args.out, args.sha256)
        log.info("%s: from %s", args.out, args.source)
        return
    wanted = read_checksum_list(args.checksums, dict(args.take))
    fetch_all(
        args.source,
        wanted,
        args.out,
        show=lambda done: progress(done, total=len(wanted), unit="file", label=args.out.name),
    )
    log.info("%s: %d files from %s", args.out, len(wanted), args.source)


if __name__ == "__main__":
    run(main)
