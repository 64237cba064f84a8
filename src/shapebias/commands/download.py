"""Download a file, or all files of a checksum list, from a URL or a path; verify, and resume if interrupted."""

import argparse
import logging
import re
from pathlib import Path

from shapebias.cli import Parser, progress
from shapebias.downloads import fetch, fetch_all, read_checksum_list

log = logging.getLogger(__name__)


def folder_pair(text: str) -> tuple[str, str]:
    """Parse `stimuli/edges=edges` (an argparse type)."""
    source, separator, target = text.partition("=")
    if not separator or ".." in Path(target).parts or Path(target).is_absolute():
        raise argparse.ArgumentTypeError(f"{text!r} is not FOLDER=FOLDER")
    return source, target


def sha256(text: str) -> str:
    """Parse a checksum (an argparse type)."""
    if not re.fullmatch("[0-9a-fA-F]{8,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 8 to 64 hexadecimal digits")
    return text.lower()


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--source", required=True, metavar="URL|PATH", help="the file; with --checksums the folder of the files"
    )
    parser.add_argument(
        "--sha256", type=sha256, metavar="HEX", help="the file's checksum, or its first 8 digits or more"
    )
    parser.add_argument("--checksums", type=Path, metavar="LIST", help="a list of files in the format of sha256sum")
    parser.add_argument(
        "--take",
        type=folder_pair,
        nargs="+",
        default=[],
        metavar="FROM=TO",
        help="only folder FROM of the list, as folder TO of --out (default: the complete list)",
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
    files = read_checksum_list(args.checksums, dict(args.take))
    fetch_all(
        args.source,
        files,
        args.out,
        show=lambda finished: progress(finished, total=len(files), unit="files", label=args.out.name),
    )
    log.info("%s: %d files from %s", args.out, len(files), args.source)
