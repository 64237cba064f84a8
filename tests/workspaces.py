"""Snakemake in a separate folder."""

import io
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from helpers import ROOT, exit_status
from job_server import job_server
from snakemake.cli import get_argument_parser
from snakemake.cli import main as snakemake_main

get_argument_parser()  # imports the plugins of Snakemake, which every fork would import again


def run_forked(
    main: Callable[[], object], folder: Path, command: list[str], environment: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run `main` in a fork of this process, which needs no new imports; stdout and stderr are merged.

    command: sys.argv of the fork. environment: variables that it has more than this process.
    """
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.chdir(folder)
                os.environ.update(environment)
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

    study: the config file. forks: whether Snakemake and the scripts of its jobs are forks of this process, which import
    nothing again; not in tests of processes, and where an import reads the environment.
    """

    study = "config.yaml"
    forks = True

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
        command = self.command(arguments, config, profile)
        if self.forks and "-n" in arguments:
            return run_forked(snakemake_main, self.folder, command[2:])
        if self.forks:
            with job_server() as environment:
                return run_forked(snakemake_main, self.folder, command[2:], environment)
        return subprocess.run(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )

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
        return job_counts(done.stdout)


def job_counts(page: str) -> Counter[str]:
    """Return rule → number of jobs from the output of a dry run."""
    return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", page, re.MULTILINE)})
