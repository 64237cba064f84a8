"""Download the published weights of a network through timm or torchvision, and write them to one file.

A job with this file needs no internet. The downloads also stay in the caches that HF_HOME and TORCH_HOME name.
"""

import argparse
import logging
from pathlib import Path

from shapebias.cli import Parser, json_object
from shapebias.downloads import checksum
from shapebias.networks.weights import write_weights
from shapebias.training.initialization import published_weights

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timm", required=True, metavar="NAME", help="the network's name in timm, or torchvision/NAME")
    parser.add_argument("--kwargs", type=json_object, default={}, help="arguments of the network, as JSON")
    parser.add_argument("--out", type=Path, required=True, metavar="X.safetensors", help="file of weights to write")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    state, metadata = published_weights(args.timm, args.kwargs)
    write_weights(args.out, state, metadata)
    log.info("%s: %d tensors of %s, SHA-256 %s", args.out, len(state), args.timm, checksum(args.out))
