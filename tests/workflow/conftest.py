"""Snakemake as a user runs it, in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]


class Workspace:
    """An empty folder in which the workflow runs."""

    def __init__(self, folder):
        self.folder = folder

    def command(self, arguments, config, profile):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--profile", str(REPOSITORY / "profiles" / profile), *arguments]
        if config is not None:
            (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
            command += ["--configfile", "config.yaml"]
        return command

    def snakemake(self, *arguments, config=None, profile="local"):
        """Run it to its end; stdout and stderr come together."""
        return subprocess.run(
            self.command(arguments, config, profile),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def start(self, *arguments, config=None):
        """Start it as a terminal does, in a process group of its own."""
        log = (self.folder / "started.log").open("w")
        return subprocess.Popen(
            self.command(arguments, config, "local"), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
        )

    def plan(self, config, *targets, profile="local"):
        """Dry run; rule → number of jobs, as Snakemake's 'Job stats' say."""
        done = self.snakemake("-n", *targets, config=config, profile=profile)
        assert done.returncode == 0, done.stdout
        return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)})


@pytest.fixture(scope="session")
def repository():
    """The folder of this checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def demo_config():
    """A function that returns the demo's config, to change at will."""
    return lambda: yaml.safe_load((REPOSITORY / "config.yaml").read_text())


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """A function that returns a new, empty workspace."""
    return lambda: Workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The command of a headless browser without a network."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        assert not os.environ.get("CI"), "CI installs chromium, but it is not there"
        pytest.skip("no chromium on this machine")
    return [
        *[found, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        *["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0"],
        *["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"],
    ]
