#!/usr/bin/env python3
"""Time, memory and output of `snakemake -n` for a large study.

The study has 52 networks of timm × 4 regimes × 5 seeds, and 2,500 shards in total: of photographs, of both stylized
sets and of paintings. Other load on the machine increases the wall time a lot and the processor time a little.
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

from shapebias.config.checks import timm_names

MODELS, SEEDS, FEW = 52, 5, 50  # FEW: shards of each split except train, and of the paintings
TARGET = "at most 60 s and 1,536 MiB"


def study(shards: int) -> dict[str, Any]:
    """Return a config with about this many shards in total, half of them packed and half stylized."""
    train = (shards - 6 * FEW) // 2  # validation and test exist packed and stylized; conflicts and paintings exist once
    names = sorted(timm_names())
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
    """Run the dry run in a folder and return its output."""
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
    output: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / "config.yaml").write_text(yaml.safe_dump(study(args.shards)))
        wall = seconds(lambda: output.append(dry_run(Path(temporary), args.profile)))
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output[0], re.MULTILINE)}
    peak = usage.ru_maxrss / (1024 if platform.system() == "Linux" else 1024**2)
    counts = ", ".join(f"{rule} {count:,}" for rule, count in jobs.items() if 10 < count < jobs["total"])
    rows = [
        ("jobs", f"{jobs['total']:,} ({counts})"),
        ("wall time", f"{wall:.0f} s"),
        ("processor time", f"{usage.ru_utime + usage.ru_stime:.0f} s"),
        ("peak memory", f"{peak:.0f} MiB"),
        ("printed", f"{len(output[0].splitlines())} lines"),
    ]
    table(f"a dry run of {MODELS} networks × 4 regimes × {SEEDS} seeds, {args.shards:,} shards ({TARGET})", rows)


if __name__ == "__main__":
    main()
