#!/usr/bin/env python3
"""The cost of submitting and waiting: the time of a study of tiny jobs on a cluster, relative to this machine.

The cluster is that of tests/slurm. Its four nodes share this machine's cores, so the jobs themselves take equally long.
The benchmark needs root and Debian's packages slurm-wlm, slurmdbd, mariadb-server, munge, iproute2.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from measuring import ROOT, seconds, table

sys.path.insert(0, str(ROOT / "tests" / "slurm"))
from cluster import Cluster, missing_requirement  # ty: ignore[import-not-found]


def study() -> dict[str, Any]:
    """Return a small version of the demo: one tiny network in four regimes, and a few images in seven shards."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    per_class = {"train": 4, "val": 1, "test": 2}
    config |= {"image_size": 48, "input_size": 32, "wandb": {"mode": "disabled"}}
    config["sources"]["in"] = {"kind": "synthetic", "per_class": per_class, "shards": {"train": 4, "test": 2}}
    for name in ("silhouettes", "edges"):
        config["sources"][name]["per_class"] = {"test": 1}
    config["styles"] = {"paintings": {"kind": "synthetic", "count": 6, "size": 64}}
    config["models"] = {"resnet": {"timm": "resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}}}
    for regime in config["regimes"].values():
        regime["training"] = {"epochs": 1}
    return config


def snakemake(profile: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    return [*command, "--profile", str(ROOT / "profiles" / profile), "--configfile", "config.yaml"]


def main() -> None:
    if reason := missing_requirement():
        sys.exit(reason)
    output: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in ("cluster", "local", "slurm")}
        for folder in folders.values():
            folder.mkdir()
            (folder / "config.yaml").write_text(yaml.safe_dump(study()))

        def run_locally() -> None:
            command = snakemake("local")
            done = subprocess.run(command, cwd=folders["local"], text=True, capture_output=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            output["local"] = done.stdout + done.stderr

        def run_on_cluster() -> None:
            output["slurm"] = cluster.run(*snakemake("slurm"), cwd=folders["slurm"])

        local = seconds(run_locally)
        cluster = Cluster(folders["cluster"])
        try:
            submitted = seconds(run_on_cluster)
        finally:
            cluster.stop()
    jobs = re.findall(r"^total +(\d+)$", output["local"], re.MULTILINE)[0]
    rows = [
        ("jobs", jobs),
        ("submitted", str(output["slurm"].count("has been submitted"))),
        ("on this machine", f"{local:.0f} s"),
        ("on the cluster", f"{submitted:.0f} s"),
        ("ratio", f"{submitted / local:.2f} (at most 2)"),
    ]
    table("a study of tiny jobs, on this machine and on a cluster of four nodes that share it", rows)


if __name__ == "__main__":
    main()
