"""The package installed from a wheel, in an environment without torch, Snakemake and the clone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

UV = shutil.which("uv") or ROOT / ".uv/bin/uv"


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(list(map(str, words)), cwd=folder, env=environment, text=True, capture_output=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return the folder of commands of an environment with the wheel and its requirements, without extras.

    The required packages come from this environment, because there may be no access to a registry.
    """
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT], check=True)
    [wheel] = folder.glob("shapebias-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    command = [UV, "pip", "install", "--quiet", "--python", folder / "env/bin/python", "--offline", wheel]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        done = subprocess.run([word for word in command if word != "--offline"], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return folder / "env/bin"


def test_tables_and_the_report_need_neither_torch_nor_snakemake(installed, shared_data, tmp_path):
    listing = run(installed / "python", "-c", "import torch", folder=tmp_path)
    assert "No module named 'torch'" in listing.stderr
    files = sorted((shared_data / "observers").glob("*subject-0[1-3]*.csv"))
    done = run(installed / "shapebias", "bias", *files, "--out", "bias.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "subject-01: shape bias 0." in done.stdout
    shutil.copytree(shared_data / "observers", tmp_path / "answers/cue_conflict")
    done = run(installed / "shapebias", "report", "--predictions", "answers", "--out", "report.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "subject-01" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_command_that_needs_an_extra_names_it(installed, tmp_path):
    done = run(installed / "shapebias", "evaluate", "--help", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: the package 'torch' is not installed: pip install 'shapebias[networks]'\n"
    done = run(installed / "shapebias", "stylise", folder=tmp_path)
    assert done.returncode == 1 and "did you mean 'stylize'?" in done.stderr
    done = run(installed / "shapebias", "shape_bias", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_commands_are_listed_and_unknown_ones_refused(installed, tmp_path):
    assert "evaluate" in run(installed / "shapebias", folder=tmp_path).stdout
    done = run(installed / "shapebias", "evalute", folder=tmp_path)
    assert done.returncode == 1 and "no command 'evalute'" in done.stderr
    done = run(installed / "shapebias", "plan", folder=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
