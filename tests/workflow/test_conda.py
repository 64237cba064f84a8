"""Conda and containers, with a stand-in for conda itself.

The stand-in creates a plain Python with the packages of this one, but without this project's library. Snakemake calls
it like conda, and jobs run in its environments.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

STAND_IN = """import json, pathlib, shutil, subprocess, sys
words = sys.argv[1:]
if words[0] == "info":
    print(json.dumps({"conda_prefix": str(pathlib.Path(__file__).parents[1]), "platform": "linux-64"}))
elif words[0] == "--version":
    print("conda 25.1.1")
elif words[:2] == ["env", "create"]:
    prefix, file = (pathlib.Path(words[words.index(flag) + 1]) for flag in ("--prefix", "--file"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    site = next(prefix.glob("lib/python*/site-packages"))
    (site / "packages.pth").write_text("\\n".join(path for path in sys.path if path.endswith("site-packages")))
    shutil.copy(file, prefix / "made_from.yaml")
else:
    print(json.dumps({"get": {"channel_priority": "strict"}}))
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


@pytest.fixture
def conda(tmp_path, monkeypatch):
    """The stand-in as the command `conda` on the path."""
    folder = tmp_path / "conda" / "bin"
    folder.mkdir(parents=True)
    (folder / "conda.py").write_text(STAND_IN)
    # A shebang cannot name an interpreter whose path has a space.
    (folder / "conda").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder / "conda.py"}" "$@"\n')
    (folder / "conda").chmod(0o755)
    (folder / "activate").write_text(ACTIVATE)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def copied(workspace, repository):
    """A workspace with a copy of the workflow, which a test may change."""
    place = workspace()
    for name in ("workflow", "envs"):
        shutil.copytree(repository / name, place.folder / name)
    for name in ("src", "scripts", "profiles"):
        (place.folder / name).symlink_to(repository / name)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(repository / name, place.folder)
    return place


def snakemake(place, *words):
    """Run the copy of the workflow and return the finished process."""
    command = [sys.executable, "-m", "snakemake", *words, "--profile", "profiles/local"]
    return subprocess.run(command, cwd=place.folder, text=True, capture_output=True)


def test_a_job_runs_in_the_environment_of_its_rule_and_imports_the_library(conda, copied, repository):
    target = "results/images/paintings/all/0.tar"
    done = snakemake(copied, target, "--software-deployment-method", "conda")
    assert done.returncode == 0, done.stderr
    assert (copied.folder / target).is_file()
    (environment_file,) = (copied.folder / ".snakemake" / "conda").glob(
        "*/made_from.yaml"
    )  # only the needed environment
    assert environment_file.read_text() == (repository / "envs" / "stylize.yaml").read_text()
    python = environment_file.parent / "bin" / "python"
    import_without_path = subprocess.run(
        [python, "-c", "import shapebias"], env={"PATH": ""}, text=True, capture_output=True
    )
    assert "No module named 'shapebias'" in import_without_path.stderr


@pytest.mark.parametrize("form", ["dockerfile", "apptainer"])
def test_the_container_file_holds_all_environments(conda, copied, form):
    done = snakemake(copied, "--containerize", form)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith({"dockerfile": "FROM ", "apptainer": "Bootstrap: "}[form])
    prefixes = re.findall(r"conda env create --prefix (\S+) --file \1/environment\.yaml", done.stdout)
    copies = re.findall(r"(?:COPY|   ) envs/(\w+)\.yaml (\S+)/environment\.yaml", done.stdout)
    assert sorted(name for name, _ in copies) == ["report", "stylize", "train"]
    assert sorted(prefixes) == sorted(prefix for _, prefix in copies)
