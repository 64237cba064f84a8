"""What tests of the whole workflow share."""

import os
import shutil

import pytest
import yaml
from helpers import ROOT
from workspaces import Workspace


@pytest.fixture(scope="session")
def repository():
    """The folder of this checkout."""
    return ROOT


@pytest.fixture(scope="session")
def demo_config():
    """A function that returns the demo's config, to change at will."""
    return lambda: yaml.safe_load((ROOT / "config.yaml").read_text())


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
