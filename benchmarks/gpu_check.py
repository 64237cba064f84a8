#!/usr/bin/env python3
"""Check training, stylizing and evaluation on a GPU, and measure their speed and memory.

The check needs nothing but this repository: images are drawn, and weights are random. Each part runs in its own
process, so that a crash there is one row of the table. The exit status is 1 if a tolerance breaks or a part fails.
`--device cpu` runs the same code with small networks.
"""

import argparse
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gpu_agreement
import gpu_speed
import torch
from gpu_data import Sizes, cpu_sizes, draw_images, gpu_sizes
from isolation import Row, run_isolated

from shapebias.cli import Parser, run
from shapebias.errors import UserError
from shapebias.networks.device import device_name, resolve_device
from shapebias.provenance import processor_name

TOTAL_SECONDS = 480.0
CPU_FACTOR = 10.0  # of all limits with --device cpu, for machines that have other work
WIDTHS = (58, 40, 34)  # of the table's columns


@dataclass(frozen=True)
class Part:
    """A part of the table. seconds: its limit, below what is left of the total."""

    rows: Callable[[Path, Sizes, str], Iterator[Row]]
    seconds: float


def machine(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Name the device, which must compute, and draw the images of the other parts."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here; --device cpu (make gpu-check DEVICE=cpu) runs the code without one")
    place = resolve_device(device)
    torch.ones(2, 2, device=place) @ torch.ones(2, 2, device=place)
    name = device_name(place) or processor_name()
    if place.startswith("cuda"):
        name += f", {torch.cuda.get_device_properties(place).total_memory / 2**30:.0f} GiB"
    yield Row("device", f"{name}; {len(os.sched_getaffinity(0))} cores")
    yield Row("software", f"torch {torch.__version__}, Python {platform.python_version()}")
    draw_images(folder, sizes)


def parts(sizes: Sizes, rates: Path | None) -> dict[str, Part]:
    """Return the parts in their order, by name."""
    first, *_ = sizes.networks
    agreement = {
        "precision": Part(gpu_agreement.precision, 70),
        "one_rank": Part(gpu_agreement.one_rank, 40),
        "two_ranks": Part(gpu_agreement.two_ranks, 50),
        "resume": Part(gpu_agreement.resume, 60),
        "frozen": Part(gpu_agreement.frozen, 40),
        "compile": Part(gpu_agreement.compiled, 90),
        "adain": Part(gpu_agreement.adain, 60),
        "decisions": Part(gpu_agreement.decisions, 70),
    }
    speed = {f"train_{name}": Part(partial(gpu_speed.training, name), 80) for name in sizes.networks}
    speed["stylize"] = Part(gpu_speed.stylizing, 40)
    speed["evaluate"] = Part(partial(gpu_speed.evaluation, first), 40)
    speed["rates"] = Part(lambda folder, sizes, device: gpu_speed.rates(rates, folder, sizes, device), 60)
    return {"machine": Part(machine, 60)} | agreement | speed


def print_row(row: Row) -> None:
    status = "" if not row.limit and row.ok else "ok" if row.ok else "BROKEN"
    name, value, limit = (
        text.ljust(width) for text, width in zip((row.name, row.value, row.limit), WIDTHS, strict=True)
    )
    print(f"  {name} {value} {limit} {status}".rstrip(), flush=True)


def print_table(sizes: Sizes, device: str, rates: Path | None, only: list[str]) -> int:
    """Run the parts and print their rows; return the number of broken ones."""
    factor = CPU_FACTOR if device == "cpu" else 1.0
    end, broken = time.monotonic() + factor * TOTAL_SECONDS, 0
    with tempfile.TemporaryDirectory() as temporary:
        for name, part in parts(sizes, rates).items():
            if only and name not in ("machine", *only):
                continue
            print(name)
            work = partial(part.rows, Path(temporary), sizes, device)
            for row in run_isolated(name, work, min(factor * part.seconds, end - time.monotonic())):
                print_row(row)
                broken += not row.ok
            if name == "machine" and broken:
                break
    return broken


def main(argv: list[str] | None = None, sizes: Sizes | None = None) -> int:
    """Print the table; return the exit status. sizes: those of the device by default."""
    cores = len(os.sched_getaffinity(0))
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: %(default)s")
    names = [*parts(cpu_sizes(1), None)]
    parser.add_argument("--only", nargs="+", default=[], metavar="PART", help=f"of: {', '.join(names)}")
    parser.add_argument(
        "--rates", type=Path, metavar="JSON", help="file for plan.py --throughputs (default: rates.json, on a GPU only)"
    )
    args = parser.parse_args(argv)
    rates = args.rates or (Path("rates.json") if args.device == "cuda" else None)
    sizes = sizes or (cpu_sizes if args.device == "cpu" else gpu_sizes)(cores)
    names = [*parts(sizes, rates)]
    if unknown := [name for name in args.only if name not in names]:
        parser.error(f"--only {unknown[0]}: no such part; there are {', '.join(names)}")
    if rates and rates.is_dir():
        parser.error(f"--rates {rates} is a folder; give the path of a file")
    start = time.monotonic()
    broken = print_table(sizes, args.device, rates, args.only)
    seconds = time.monotonic() - start
    print(f"{seconds:.0f} s; " + (f"{broken} rows are broken" if broken else "no tolerance is broken"))
    return int(broken > 0)


def print_only_the_table() -> None:
    logging.getLogger("shapebias").setLevel(logging.WARNING)
    sys.exit(main())


if __name__ == "__main__":
    run(print_only_the_table)
