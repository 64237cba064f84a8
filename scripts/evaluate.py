#!/usr/bin/env python3
"""Show benchmarks to a network; write its decision on every image.

One network, one or several benchmarks: the i-th --benchmark takes the i-th --images and the i-th --out.
"""

import argparse
import logging
from pathlib import Path

import torch

from shapebias import models
from shapebias.cli import Parser, fraction, positive, progress, run
from shapebias.decisions import write_decisions, write_predictions
from shapebias.devices import resolve_device
from shapebias.memory import keep_freed_memory
from shapebias.observe import load_observer, observe, observe_melanoma
from shapebias.pictures import Rejections, cue_conflict_label, decoded, open_pictures
from shapebias.provenance import provenance
from shapebias.sources import read_categories
from shapebias.weights import weights_path

log = logging.getLogger(__name__)

# How the labels of a folder of images are read; shards carry their own.
BENCHMARKS = {"cue_conflict": cue_conflict_label, "in_test": None, "silhouettes": None, "edges": None, "melanoma": None}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    network = parser.add_argument_group("network")
    network.add_argument("--timm", required=True, metavar="NAME", help="the network's name in timm")
    network.add_argument("--weights", metavar="FILE", help="its weights; without, timm downloads the published ones")
    network.add_argument("--kwargs", type=models.json_object, default={}, help="arguments of the network, as JSON")
    network.add_argument(
        "--classes", type=Path, help="CSV class,category: the outputs in order, if they are not ILSVRC's 1,000"
    )
    network.add_argument("--observer", help="what to call it in the results (default: its timm name)")
    images = parser.add_argument_group("benchmarks (repeatable, in step)")
    images.add_argument("--images", type=Path, nargs="+", action="append", required=True, metavar="DIR|TAR")
    images.add_argument("--benchmark", choices=list(BENCHMARKS), action="append", required=True)
    images.add_argument("--out", type=Path, action="append", required=True, metavar="X.parquet", help="predictions")
    images.add_argument(
        "--decisions", type=Path, action="append", default=[], metavar="X.csv", help="also as model-vs-human reads them"
    )
    parser.add_argument("--batch-size", type=positive, default=32, help="images at a time (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="CPU threads; the last bits of a result depend on it (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    args = parser.parse_args(argv)
    if not len(args.images) == len(args.benchmark) == len(args.out) or len(args.decisions) not in (0, len(args.out)):
        parser.error("give --images, --benchmark, --out (and --decisions) equally often")
    if args.decisions and "melanoma" in args.benchmark:
        parser.error("--decisions: model-vs-human knows categories alone, benchmark melanoma has none")
    return args


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
    record = observer.facts | {"threads": args.threads, **provenance(device)}
    for position, (paths, kind, out) in enumerate(zip(args.images, args.benchmark, args.out, strict=True)):
        pictures = open_pictures(paths, BENCHMARKS[kind])
        rejections = Rejections(args.max_rejected)
        bar = progress(decoded(pictures, rejections), total=len(pictures), unit="image", what=kind)
        show = observe_melanoma if kind == "melanoma" else observe
        predictions = show(observer, bar, batch_size=args.batch_size, device=device)
        write_predictions(out, predictions, record | {"benchmark": kind, "rejected": rejections.rows})
        if args.decisions:
            write_decisions(args.decisions[position], predictions, observer.name)
        log.info("%s: %d images, %d rejected", out, len(predictions), len(rejections.rows))


if __name__ == "__main__":
    run(main)
