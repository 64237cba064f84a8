#!/usr/bin/env python3
"""Read shape and texture linearly out of every stage of a network, on images where the two disagree; write a table."""

import argparse
import logging
from pathlib import Path

import torch

from shapebias import models
from shapebias.cli import Parser, fraction, positive, progress, run, whole
from shapebias.devices import resolve_device
from shapebias.errors import UserError
from shapebias.files import replacing
from shapebias.memory import keep_freed_memory
from shapebias.observe import load_observer
from shapebias.pictures import Rejections
from shapebias.read_out import is_conflict, read_out, stage_features
from shapebias.seeing import Sights
from shapebias.sources import read_categories
from shapebias.stimuli import open_benchmark
from shapebias.weights import weights_path

log = logging.getLogger(__name__)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    network = parser.add_argument_group("network")
    network.add_argument("--timm", required=True, metavar="NAME", help="the network's name in timm")
    network.add_argument("--weights", metavar="FILE", help="its weights; without, timm downloads the published ones")
    network.add_argument("--kwargs", type=models.json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument(
        "--classes", type=Path, help="CSV class,category: the outputs in order, if they are not ILSVRC's 1,000"
    )
    network.add_argument("--observer", help="what to call it in the table (default: its timm name)")
    images = parser.add_argument_group("benchmark")
    images.add_argument(
        "--images",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="conflict images: folders, shards, or archives (.zip, .tar, .tar.gz) as model-vs-human lays them out",
    )
    images.add_argument(
        "--benchmark", default="conflict", metavar="NAME", help="what to call it in the table (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="X.csv", help="a row for each stage and cue")
    parser.add_argument("--batch-size", type=positive, default=8, help="images at a time (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="CPU threads; the last bits of a result depend on it (default: %(default)s)",
    )
    parser.add_argument("--workers", type=whole, default=2, help="threads that decode ahead (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    device = resolve_device(args.device)
    observer = load_observer(
        args.timm,
        name=args.observer,
        weights=weights_path(args.weights) if args.weights else None,
        kwargs=args.kwargs,
        classes=read_categories(args.classes) if args.classes else None,
    )
    pictures = [picture for picture in open_benchmark(args.images, "cue_conflict") if is_conflict(picture)]
    if not pictures:
        raise UserError(
            f"{', '.join(map(str, args.images))}: no image has a shape and a texture of different categories; give "
            f"a benchmark of kind cue_conflict"
        )
    rejections = Rejections(args.max_rejected)
    sights = Sights(pictures, observer.preparation, rejections, args.workers)
    bar = progress(sights, total=len(pictures), unit="image", what="read-out")
    table = read_out(*stage_features(observer, bar, batch_size=args.batch_size, device=device))
    who = {"benchmark": args.benchmark} | {key: observer.facts[key] for key in ("observer", "model", "regime", "seed")}
    for position, (key, value) in enumerate(who.items()):
        table.insert(position, key, "" if value is None else value)
    with replacing(args.out) as draft:
        table.to_csv(draft, index=False, na_rep="NaN", lineterminator="\n")
    log.info(
        "%s: %d stages on %d images, %d rejected",
        args.out,
        table["stage"].nunique(),
        table["images"].iloc[0],
        len(rejections.rows),
    )


if __name__ == "__main__":
    run(main)
