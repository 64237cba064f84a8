#!/usr/bin/env python3
"""Time, memory and output of `snakemake -n` for a large study.

The study has 52 networks of timm × 4 regimes × 5 seeds, and 2,500 shards of photographs, two stylized sets and
paintings. Other work on the machine slows the wall time more than the processor time.
"""

import argparse
import platform
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from measuring import ROOT, seconds, table

from shapebias.config.registries import input_size_of, networks_by_source

MODELS, SEEDS, FEW = 52, 5, 50  # FEW: shards of paintings, and of each split except train
TARGET = "at most 60 s and 1,536 MiB"


def study(shards: int) -> dict[str, Any]:
    """Return a config with about this number of shards, half of them packed and half stylized."""
    train = (shards - 6 * FEW) // 2  # 6 × FEW: validation and test of in and sin, test of conflict, and paintings
    names = [name for name in sorted(networks_by_source("timm")) if input_size_of("timm", name, "") in (None, 224)]
    return {
        "seeds": list(range(SEEDS)),
        "input_size": 224,
        "gpus": 1,
        "sources": {
            "in": {"kind": "ilsvrc", "folder": "imagenet", "shards": {"train": train, "val": FEW, "test": FEW}}
        },
        "styles": {"paintings": {"kind": "folder", "folder": "paintings", "shards": FEW}},
        "stylized": {
            "sin": {"content": "in", "styles": "paintings", "stylizer": "ghiasi", "splits": ["train", "val", "test"]},
            "conflict": {
                "content": "in",
                "styles": "in",
                "other_category": True,
                "stylizer": "ghiasi",
                "splits": ["test"],
            },
        },
        "models": {name: {"timm": name} for name in names[:: len(names) // MODELS][:MODELS]},
        "regimes": {
            "in": {"train_on": ["in"]},
            "sin": {"train_on": ["sin"], "init": "in"},
            "combined": {"train_on": ["in", "sin"], "init": "in"},
            "frozen": {"train_on": ["sin"], "init": "in", "trainable": "head"},
        },
        "benchmarks": {
            "conflict": {"kind": "cue_conflict", "images": "conflict", "read_out": True},
            "in_test": {"kind": "in_test", "images": "in"},
            "sin_test": {"kind": "sin_test", "images": "sin"},
        },
    }


def dry_run(folder: Path, profile: str) -> str:
    """Run `snakemake -n` and return its output."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n"]
    command += ["--profile", str(ROOT / "profiles" / profile), "--configfile", "config.yaml"]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(done.stdout)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2500, help="shards of all sets together (default: %(default)s)")
    parser.add_argument("--profile", choices=["local", "slurm"], default="slurm", help="(default: %(default)s)")
    args = parser.parse_args()
    printed: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "config.yaml").write_text(yaml.safe_dump(study(args.shards)))
        wall = seconds(lambda: printed.append(dry_run(Path(temporary), args.profile)))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed[0], re.MULTILINE)}
    peak = used.ru_maxrss / (1024 if platform.system() == "Linux" else 1024**2)
    many = ", ".join(f"{rule} {count:,}" for rule, count in jobs.items() if 10 < count < jobs["total"])
    rows = [
        ("jobs", f"{jobs['total']:,} ({many})"),
        ("wall time", f"{wall:.0f} s"),
        ("processor time", f"{used.ru_utime + used.ru_stime:.0f} s"),
        ("peak memory", f"{peak:.0f} MiB"),
        ("printed", f"{len(printed[0].splitlines())} lines"),
    ]
    table(f"a dry run of {MODELS} networks × 4 regimes × {SEEDS} seeds, {args.shards:,} shards ({TARGET})", rows)


if __name__ == "__main__":
    main()
