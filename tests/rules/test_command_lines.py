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


EVALUATE = "--timm resnet10t --images x --out x.parquet --benchmark"
STYLIZE = "--content x --content-size 32 --out x.tar"
CATALOGUE = "--folder x --shards all=1 --out x --rejected x --sheet x --sample x --title x"
DECODER = "--content x --styles x --encoder random --out x"


@pytest.mark.parametrize(
    ("name", "words", "named"),
    [
        ("evaluate", f"{EVALUATE} edges --benchmark edges", "equally often"),
        ("evaluate", f"{EVALUATE} melanoma --decisions x.csv", "--decisions"),
        ("evaluate", f"{EVALUATE} edges --suppress shape=2", "--suppress once for each benchmark of kind suppressed"),
        ("evaluate", f"{EVALUATE} edges --read-out x=x.csv", "--read-out once for each benchmark of kind cue_conflict"),
        ("evaluate", f"{EVALUATE} cue_conflict --read-out x.csv", "--read-out 'x.csv' is not NAME=X.csv"),
        ("evaluate", f"{EVALUATE} edges --observer people", "--observer people: in the tables this name means all"),
        ("evaluate", "--timm resnet10t --images x --benchmark edges --out x.csv", "--out x.csv: predictions are a Par"),
        ("evaluate", f"{EVALUATE} edges --kwargs [1]", "--kwargs: invalid json_object value: '[1]'"),
        ("report", "--out x.html --tables x --runs x", "--figures, --config missing"),
        ("report", "--out x.html --predictions x --tables x", "leave out --tables, --figures, --runs, --config"),
        ("download", "--source x --out x --checksums x --sha256 0123abcd", "--sha256 is for one file"),
        ("download", "--source x --out x --take edges=edges", "--take chooses from a list"),
        ("download", "--source x --out x --checksums x --take edges", "'edges' is not FOLDER=FOLDER"),
        ("download", "--source x --out x --checksums x --take edges=../x", "'edges=../x' is not FOLDER=FOLDER"),
        ("stylize", f"{STYLIZE} --styles x --crop 64", "--crop 64: larger than --content-size 32"),
        ("stylize", f"{STYLIZE} --style-vectors x --style-size 32", "--style-size: the styles are encoded already"),
        ("catalogue", f"{CATALOGUE} --content x", "--content and --styles: give both, or neither"),
        ("rejected_sheet", "--sets edges --out x", "'edges' is not NAME=CSV or NAME=CSV=FOLDER"),
        ("train", "--train x.tar --val in=x.tar --timm resnet10t --out x", "'x.tar' is not SET=TAR"),
        ("train", "--train =x.tar --val in=x.tar --timm resnet10t --out x", "'=x.tar' is not SET=TAR"),
        ("train_stylizer", f"{DECODER} --size 64 --resize 32", "--size 64: larger than --resize 32"),
        ("train_stylizer", f"{DECODER} --steps 0", "0 is not at least 1"),
        ("scan", "--kind ilsvrc --per-class train=1 --shards train=1 --out x", "--kind ilsvrc needs --folder"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(tmp_path, name, words, named):
    refused(run_script(name, *words.split(), folder=tmp_path), named)
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
