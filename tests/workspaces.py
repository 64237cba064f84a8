"""Snakemake as a user runs it, in a folder of its own."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from helpers import ROOT


class Workspace:
    """An empty folder in which the workflow runs. study: the file that a config is written to."""

    study = "config.yaml"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, arguments: tuple[str, ...], config: dict[str, Any] | None, profile: str | None) -> list[str]:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments]
        command += ["--profile", str(ROOT / "profiles" / profile)] if profile else []
        if config is not None:
            (self.folder / self.study).write_text(yaml.safe_dump(config))
            command += ["--configfile", self.study]
        return command

    def snakemake(
        self, *arguments: str, config: dict[str, Any] | None = None, profile: str | None = "local"
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; stdout and stderr come together."""
        return subprocess.run(
            self.command(arguments, config, profile),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def start(
        self, *arguments: str, config: dict[str, Any] | None = None, profile: str = "local", log: str = "started.log"
    ) -> subprocess.Popen[bytes]:
        """Start it as a terminal does, in a process group of its own."""
        with (self.folder / log).open("w") as file:
            return subprocess.Popen(
                self.command(arguments, config, profile),
                cwd=self.folder,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def put_data(self, config: dict[str, Any], data: Path) -> None:
        """The data that an experiment names: what is shared, and empty folders of a clone of model-vs-human."""
        for entry in data.iterdir():
            (self.folder / entry.name).symlink_to(entry)
        for entry in (*config["benchmarks"].values(), *config.get("observers", {}).values()):
            wanted = entry.get("folder") or entry.get("decisions") or ""
            if wanted.startswith(("datasets/", "raw-data/")):
                (self.folder / wanted).mkdir(parents=True)

    def plan(self, config: dict[str, Any] | None, *targets: str, profile: str = "local") -> Counter[str]:
        """Dry run; rule → number of jobs, as Snakemake's 'Job stats' say."""
        done = self.snakemake("-n", *targets, config=config, profile=profile)
        assert done.returncode == 0, done.stdout
        return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)})
