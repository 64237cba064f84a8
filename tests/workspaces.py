"""Snakemake in a separate folder."""

import io
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from helpers import ROOT, exit_status
from snakemake.cli import main as snakemake_main


def run_forked(main: Callable[[], object], folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `main` in a fork of this process, which needs no new imports; stdout and stderr are merged.

    command: sys.argv of the fork.
    """
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.chdir(folder)
                sys.argv, sys.path = command, [str(folder), *(path for path in sys.path if not path.startswith(TESTS))]
                for number in (1, 2):
                    os.dup2(output.fileno(), number)
                sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True) for n in (1, 2))
                logging.getLogger().handlers.clear()
                status = exit_status(main)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return subprocess.CompletedProcess(command, status, output.read())


TESTS = str(ROOT / "tests")


class Workspace:
    """An empty folder in which the workflow runs.

    study: the config file. forks_dry_runs: whether dry runs are forks of this process.
    """

    study = "config.yaml"
    forks_dry_runs = True

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
        """Run Snakemake to its end; stdout and stderr are merged."""
        if self.forks_dry_runs and "-n" in arguments:
            return self.fork(*arguments, config=config, profile=profile)
        return subprocess.run(
            self.command(arguments, config, profile),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def fork(
        self, *arguments: str, config: dict[str, Any] | None = None, profile: str | None = "local"
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in a fork of this process, which imports nothing again: for runs that end before a job."""
        return run_forked(snakemake_main, self.folder, self.command(arguments, config, profile)[2:])

    def start(
        self, *arguments: str, config: dict[str, Any] | None = None, profile: str = "local", log: str = "started.log"
    ) -> subprocess.Popen[bytes]:
        """Start Snakemake in its own process group, as a terminal does."""
        with (self.folder / log).open("w") as file:
            return subprocess.Popen(
                self.command(arguments, config, profile),
                cwd=self.folder,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def put_data(self, config: dict[str, Any], data: Path) -> None:
        """Put the data of an experiment in place: shared data, and empty folders of a clone of model-vs-human."""
        for entry in data.iterdir():
            (self.folder / entry.name).symlink_to(entry)
        for entry in (*config["benchmarks"].values(), *config.get("observers", {}).values()):
            wanted = entry.get("folder") or entry.get("decisions") or ""
            if wanted.startswith(("datasets/", "raw-data/")):
                (self.folder / wanted).mkdir(parents=True)

    def plan(self, config: dict[str, Any] | None, *targets: str, profile: str = "local") -> Counter[str]:
        """Return rule → number of jobs of a dry run, from Snakemake's 'Job stats'."""
        done = self.snakemake("-n", *targets, config=config, profile=profile)
        assert done.returncode == 0, done.stdout
        return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)})
