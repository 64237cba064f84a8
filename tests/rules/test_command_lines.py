"""Command lines of all scripts, without Snakemake: help, misspelt options and missing files."""

import runpy

import pytest
from helpers import ENV, ROOT, exit_status, files_below, isolated, refused, run_process, run_script

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text())
WITHOUT_OUTPUT = ["reproduce", "power"]  # they only print


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_explains_a_script_and_each_of_its_options(name, capsys):
    script = str(ROOT / "scripts" / f"{name}.py")
    with isolated([script, "--help"], ROOT):
        status = exit_status(lambda: runpy.run_path(script, run_name="__main__"))
    assert status == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"usage: {name}.py")
    assert "--out" in help_text or name in WITHOUT_OUTPUT


def test_a_misspelt_option_is_named_in_one_line():
    needed = ["--kind", "synthetic", "--per-class", "test=1", "--shards", "test=1", "--out", "x.csv"]
    refused(run_script("scan", *needed, "--sead", "1"), "--sead", "--help")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--kind", "imagefolder", "--per-class", "train=1", "--shards", "train=1"], "--folder"),
        (["--kind", "synthetic", "--shards", "train=1"], "--per-class"),
        (["--kind", "synthetic", "--per-class", "train=all", "--shards", "train=1"], "all"),
        (["--kind", "synthetic", "--per-class", "train=1,test=1", "--shards", "train=1"], "test"),
        (["--kind", "paintings", "--shards", "all=1"], "--count"),
        (["--kind", "paintings", "--count", "3", "--shards", "train=1"], "all"),
    ],
)
def test_scan_names_the_option_that_a_kind_needs(tmp_path, arguments, named):
    done = run_script("scan", *arguments, "--out", tmp_path / "listing.parquet")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert named in done.stderr.splitlines()[-1]
    assert files_below(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run_script(
        "scan", "--kind", "paintings", "--count", 1, "--shards", "all=1", "--out", tmp_path / "file" / "x.csv"
    )
    refused(done, str(tmp_path / "file"))


def test_a_locale_without_utf8_is_refused(tmp_path, monkeypatch):
    for name, value in {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setitem(ENV, name, value)
    done = run_process("checksums", ROOT / "uv.lock", "--out", tmp_path / "sums.txt")
    refused(done, "PYTHONUTF8=1")
    assert files_below(tmp_path) == []
