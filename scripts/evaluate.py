#!/usr/bin/env python3
"""Show benchmarks to a network; write its decision on every image.

One network, one or several benchmarks: the i-th --benchmark takes the i-th --images and the i-th --out. An image that
several of them show is decoded once.
"""

import argparse
import logging
from pathlib import Path

import torch

from shapebias import models, suppression
from shapebias.benchmark_kinds import KINDS
from shapebias.cli import Parser, fraction, positive, run, whole
from shapebias.decisions import write_decisions, write_predictions
from shapebias.devices import resolve_device
from shapebias.memory import keep_freed_memory
from shapebias.observe import load_observer, measure
from shapebias.provenance import provenance
from shapebias.seeing import CAPACITY, Kept
from shapebias.sources import read_categories
from shapebias.stimuli import open_benchmark
from shapebias.weights import weights_path

log = logging.getLogger(__name__)


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
    images.add_argument(
        "--images",
        type=Path,
        nargs="+",
        action="append",
        required=True,
        metavar="PATH",
        help="folders, shards, or archives (.zip, .tar, .tar.gz) as model-vs-human lays them out",
    )
    images.add_argument(
        "--benchmark",
        choices=list(KINDS),
        metavar="KIND",
        action="append",
        required=True,
        help=f"what the images are: {', '.join(KINDS)}",
    )
    images.add_argument("--out", type=Path, action="append", required=True, metavar="X.parquet", help="predictions")
    images.add_argument(
        "--decisions", type=Path, action="append", default=[], metavar="X.csv", help="also as model-vs-human reads them"
    )
    images.add_argument(
        "--suppress",
        nargs="+",
        action="append",
        default=[],
        metavar="CUE=NUMBERS",
        help="for each benchmark of kind suppressed: grids of patches, standard deviations of smoothing in pixels, "
        f"fractions of grey; also as JSON (default: {suppression.words(suppression.STRENGTHS)})",
    )
    parser.add_argument("--batch-size", type=positive, default=16, help="images at a time (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="CPU threads; the last bits of a result depend on it (default: %(default)s)",
    )
    parser.add_argument("--workers", type=whole, default=2, help="threads that decode ahead (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
    parser.add_argument("--max-rejected", type=fraction, default=0.25, help="allowed fraction of images set aside")
    args = parser.parse_args(argv)
    if not len(args.images) == len(args.benchmark) == len(args.out) or len(args.decisions) not in (0, len(args.out)):
        parser.error("give --images, --benchmark, --out (and --decisions) equally often")
    kinds = [KINDS[name].measures for name in args.benchmark]
    if args.decisions and "melanoma" in kinds:
        parser.error("--decisions: model-vs-human knows categories alone, benchmark melanoma has none")
    if args.suppress and len(args.suppress) != kinds.count("reliance"):
        parser.error("give --suppress once for each benchmark of kind suppressed, or not at all")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    strengths = iter([suppression.read_strengths(words) for words in args.suppress])
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
    kept = Kept(CAPACITY if len(args.images) > 1 else 0)
    for position, (paths, kind, out) in enumerate(zip(args.images, args.benchmark, args.out, strict=True)):
        predictions, facts = measure(
            observer,
            open_benchmark(paths, kind),
            kind,
            batch_size=args.batch_size,
            workers=args.workers,
            device=device,
            max_rejected=args.max_rejected,
            suppress=next(strengths, None) if KINDS[kind].measures == "reliance" else None,
            kept=kept,
        )
        write_predictions(out, predictions, record | facts)
        if args.decisions:
            write_decisions(args.decisions[position], predictions, observer.name)
        log.info("%s: %d images, %d rejected", out, sum(facts["shown"].values()), len(facts["rejected"]))


if __name__ == "__main__":
    run(main)
