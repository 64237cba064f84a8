"""A script behaves in the process of the tests as in its own process, and changes nothing in the former."""

import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from helpers import ENV, ROOT, SCRIPTS, run_process, run_script, script
from job_server import job_server

SCAN = ["--kind", "paintings", "--count", 1, "--shards", "all=1"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("scan", ["--help"]),
        ("scan", [*SCAN, "--sead", 1]),
        ("scan", [*SCAN, "--shards", "train=1", "--out", "x"]),
        ("checksums", ["gone/0.tar", "--out", "x"]),
    ],
    ids=["help", "command line", "user", "operating system"],
)
def test_a_script_has_the_same_output_and_status_in_its_own_process(name, arguments):
    here, there, job = (run(name, *arguments) for run in (run_script, run_process, run_job))
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert (job.returncode, job.stdout, job.stderr) == (there.returncode, there.stdout, there.stderr)


def run_job(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run a script as a job of a study does, through the server of jobs."""
    command = ["bash", "-c", 'python "$@"', "job", str(SCRIPTS / f"{name}.py"), *map(str, args)]
    with job_server() as environment:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENV | environment, check=False)


def surroundings() -> dict[str, object]:
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "words": sys.argv[:],
        "path": sys.path[:],
        "temporary": tempfile.tempdir,
        "logging": (root.level, root.handlers[:], logging.getLogger("shapebias").isEnabledFor(logging.INFO)),
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)],
        "threads": torch.get_num_threads(),
        "figures": dict(mpl.rcParams),
        "random": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
    }


@pytest.mark.parametrize("fails", [False, True])
def test_changes_of_a_script_are_undone_when_it_ends(monkeypatch, tmp_path, fails):
    def spoil() -> None:
        logging.getLogger().setLevel(logging.DEBUG)
        logging.getLogger().addHandler(logging.NullHandler())
        os.environ["RANK"] = "7"
        del os.environ["PATH"]
        os.chdir(tmp_path)
        sys.argv.append("x")
        sys.path.insert(0, "x")
        tempfile.tempdir = str(tmp_path)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        torch.set_num_threads(2)
        mpl.rcParams["lines.linewidth"] = 7
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        if fails:
            raise ZeroDivisionError("told with a traceback")

    monkeypatch.setattr(script("scan"), "main", spoil)
    before = surroundings()
    done = run_script("scan")
    assert surroundings() == before
    assert (done.returncode, "told with a traceback" in done.stderr) == (int(fails), fails)


def test_a_script_sees_only_the_environment_of_the_tests(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "7")
    monkeypatch.setitem(ENV, "MARK", "here")
    monkeypatch.setattr(script("scan"), "main", lambda: print("RANK" in os.environ, os.environ["MARK"], Path.cwd()))
    done = run_script("scan")
    assert done.stdout == f"False here {Path(__file__).parents[2]}\n"
    assert capsys.readouterr().out == ""
