"""Options and messages that all commands share."""

import importlib
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers import ENV

from shapebias import cli


def test_progress_in_a_file_is_one_line_every_half_minute(monkeypatch, caplog):
    clock = iter([0.0, 10.0, 31.0, 31.0, 50.0, 62.0, 62.0])  # the start, then each item; twice if a line is printed
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        assert list(cli.progress(range(4), total=1200, unit="image", label="edges")) == [0, 1, 2, 3]
    assert caplog.messages == ["edges: 2 of 1,200 images", "edges: 4 of 1,200 images"]


@pytest.mark.parametrize("moment", ["import", "main"])
def test_ctrl_c_ends_a_script_with_one_word(moment):
    """The import of torch takes seconds, so Ctrl-C often comes meanwhile."""
    interrupt = "lambda *_: os.kill(os.getpid(), signal.SIGINT)"
    found = interrupt if moment == "import" else f"lambda name: types.SimpleNamespace(main={interrupt})"
    code = f"""
import importlib, os, signal, types
from shapebias import cli
importlib.import_module = {found}
cli.run_command("evaluate")
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "interrupted\n")


def test_a_background_job_of_a_shell_keeps_ignoring_ctrl_c(monkeypatch):
    handlers = []
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: handlers.append(signal.getsignal(signal.SIGINT)) or SimpleNamespace(main=int),
    )
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cli.run_command("evaluate")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert handlers == [signal.SIG_IGN]
