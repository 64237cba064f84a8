"""The executor without a cluster: its versions, its refusals and its polling. Tests on a real cluster: tests/slurm."""

import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT
from packaging.requirements import Requirement
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_shapebias_slurm import Executor, executor


def test_the_project_pins_the_versions_that_the_executor_supports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]["workflow"]
    required = {Requirement(text).name: Requirement(text).specifier for text in extras}
    for package, versions in executor.VERSIONS.items():
        assert required[package] == executor.SpecifierSet(versions)


def test_an_unsupported_version_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(executor, "version", lambda package: "9.99")
    with pytest.raises(WorkflowError, match=r"supports snakemake >=9.27,<9.28, not 9.99"):
        Executor(None, None)


def test_without_sbatch_the_message_names_the_local_profile(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkflowError, match=r"no sbatch on this machine.*profiles/local"):
        Executor(None, None)


def test_the_executor_is_available_beside_the_slurm_executor():
    plugins = ExecutorPluginRegistry().plugins
    assert plugins["shapebias-slurm"].executor is Executor
    assert issubclass(Executor, plugins["slurm"].executor)


def test_without_snakemakes_slurm_executor_the_error_names_the_package():
    script = (
        "import sys; sys.modules['snakemake_executor_plugin_slurm'] = None\n"
        "from snakemake_executor_plugin_shapebias_slurm import Executor, ExecutorSettings, common_settings\n"
        "Executor(None, None)"
    )
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert "WorkflowError: executor shapebias-slurm requires the package snakemake-executor-plugin-slurm" in done.stderr


def query_count(hours, active, ends_every):
    """Return the number of queries in a run of `hours` in which a job ends every `ends_every` seconds."""
    now = count = 0.0
    while now < 3600 * hours:
        now += executor.poll_interval(now, now % ends_every, active)
        count += 1
    return count


def test_long_runs_query_at_most_once_a_minute_and_short_runs_every_few_seconds():
    assert query_count(hours=48, active=10, ends_every=5) < 48 * 60
    assert query_count(hours=48, active=500, ends_every=5) < 48 * 60
    assert query_count(hours=48, active=4, ends_every=86400) < 48 * 60 / 2.5  # a quiet run: every three minutes
    assert query_count(hours=0.1, active=4, ends_every=5) > 0.1 * 3600 / 5
