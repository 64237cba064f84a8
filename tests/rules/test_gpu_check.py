"""benchmarks/gpu_check.py on the CPU, with tiny networks: its table and its exit status."""

import importlib
import os
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from helpers import ROOT


@pytest.fixture
def check(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("gpu_check")


@pytest.fixture
def run(check, capsys, tmp_path):
    """Return a function that runs parts of the check; it returns the exit status and the lines of the table."""
    sizes = check.cpu_sizes(1)
    sizes = replace(sizes, drawn=32, batch=8, steps=2, side=32, packed=32, style=32, width=4, decoder_steps=10)
    sizes.networks["vit_2_blocks"]["kwargs"]["img_size"] = 32

    def run_parts(*parts: str, rates: bool = True) -> tuple[int, list[str]]:
        arguments = ["--device", "cpu", *(["--rates", str(tmp_path / "rates.json")] if rates else []), "--only", *parts]
        status = check.main(arguments, sizes)
        return status, capsys.readouterr().out.splitlines()

    return run_parts


AGREEMENT = ("precision", "one_rank", "two_ranks", "resume", "frozen", "adain", "decisions")


def test_on_a_cpu_all_agree(run):
    status, lines = run(*AGREEMENT)
    assert [line for line in lines if not line.startswith(" ")][:-1] == ["machine", *AGREEMENT]
    assert not any("BROKEN" in line for line in lines)
    assert sum("equal bits" in line for line in lines) == 2  # both networks, stopped and resumed
    assert lines[-1].endswith("no tolerance is broken")
    assert status == 0


def test_a_broken_tolerance_and_a_crash_are_rows_of_the_table_and_its_exit_status(run, check, monkeypatch):
    monkeypatch.setattr(check.gpu_agreement, "SAME_LOSS", -1.0)
    monkeypatch.setattr(check.gpu_agreement, "compiled", lambda *_: os._exit(3))
    status, lines = run("frozen", "compile", "rates")
    broken = [line for line in lines if line.endswith("BROKEN")]
    assert "validation loss" in broken[0]
    assert "failed: its process ended with status 3" in broken[1]
    assert len(broken) == 2 and any(line.startswith("  train: resnet10t ") for line in lines)
    assert lines[-1].endswith("2 rows are broken")
    assert status == 1


def test_rates_of_the_small_networks_are_kept_only_on_request(run, tmp_path, monkeypatch):
    """The file would give `make plan` the speed of AdaIN on tiny images."""
    monkeypatch.chdir(tmp_path)
    status, lines = run("rates", rates=False)
    assert status == 0
    assert any("written" in line and "nothing" in line for line in lines)
    assert not list(tmp_path.glob("*.json"))


def test_wrong_options_are_refused_before_anything_runs(check, tmp_path):
    for options, problem in (
        (["--only", "precission"], "--only precission: no such part; there are machine, precision"),
        (["--rates", str(tmp_path)], f"--rates {tmp_path} is a folder; give the path of a file"),
    ):
        with pytest.raises(SystemExit) as ended:
            check.main(["--device", "cpu", *options])
        assert problem in str(ended.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_check_says_how_to_run_without_one(check, capfd):
    assert check.main([]) == 1
    output, errors = capfd.readouterr()
    assert "torch sees no GPU here; --device cpu" in output and "BROKEN" in output
    assert "Traceback" not in errors
