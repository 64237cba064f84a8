"""Fixtures of the workflow tests."""

import os
import shutil

import pytest
import yaml
from helpers import ROOT
from workspaces import Workspace


@pytest.fixture(scope="session")
def repository():
    """Return the folder of this checkout."""
    return ROOT


@pytest.fixture(scope="session")
def demo_config():
    """Return a function that returns the demo's config, which a test may change."""
    return lambda: yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """Return a function that returns a new, empty workspace."""
    return lambda: Workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="session")
def paper_page(repository, workspace):
    """Return the output of a dry run of the paper's study, whose data do not exist."""
    done = workspace().snakemake("-n", config=yaml.safe_load((repository / "experiments/paper.yaml").read_text()))
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Return the command of a headless browser without network access."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), "CI installs chromium, but it is missing"
        pytest.skip("no chromium on this machine")
    return [
        *[program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        *["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0"],
        *["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"],
    ]
