"""scripts/plan.py: the table and totals of a study, measured throughputs, and messages about mistakes."""

import csv
import json

import pytest
import yaml
from helpers import TINY_RESNET, files_below, refused, run_script, succeeded


@pytest.fixture
def config():
    """Return a study that draws and stylizes photographs. It trains nothing, so it needs no torch."""
    return {
        "image_size": 32,
        "sources": {"in": {"kind": "synthetic", "per_class": {"train": 4, "test": 2}, "shards": {"train": 2}}},
        "stylized": {"conflict": {"content": "in", "styles": "in", "other_category": True, "splits": ["test"]}},
        "benchmarks": {"conflict": {"kind": "cue_conflict", "images": "conflict"}},
    }


@pytest.fixture
def plan(config, tmp_path):
    """Return a function that runs plan.py on the config, with or without changes."""

    def run(*arguments, **changes):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(config | changes))
        return run_script("plan", "--configfile", path, *arguments)

    return run


def test_a_plan_has_a_line_per_rule_then_totals_then_assumptions(plan, tmp_path):
    done = succeeded(plan("--cpus", 4, "--out", tmp_path / "plan.csv"))
    table, totals, rests = done.stdout.split("\n\n")
    lines = {line.split()[0]: line.split() for line in table.splitlines()[1:]}
    assert lines["pack"][1:3] == ["3", "192"]  # two shards of 128 and one of 64
    assert lines["stylize"][1:3] == ["1", "64"]
    assert "on 4 cores" in totals and "GPU-hours      none (gpus: 0)" in totals and "downloads      none" in totals
    assert "stylizing with ghiasi: 0.735 ms an image (36 at 224 px, measured)" in rests
    with (tmp_path / "plan.csv").open() as file:
        rows = {row["rule"]: row for row in csv.DictReader(file)}
    assert (rows["pack"]["stage"], rows["pack"]["jobs"], rows["pack"]["files"]) == ("images", "3", "6")


def test_throughputs_of_the_config_override_measured_ones_which_override_assumed_ones(plan, tmp_path):
    measured = {"machine": "there", "throughputs": {"stylize": {"ghiasi": 50.0}, "encode": {"ghiasi": 20.0}}}
    (tmp_path / "rates.json").write_text(json.dumps(measured))
    throughputs = {"stylize": {"ghiasi": 400}}
    text = succeeded(plan("--throughputs", tmp_path / "rates.json", throughputs=throughputs)).stdout
    assert "stylizing with ghiasi: 400 images a second (given in the config)" in text
    assert "encoding styles with ghiasi: 20 images a second (measured on there)" in text
    assert "packing in: " in text and "ms an image (8 at 96 px, measured)" in text


def test_a_plan_can_use_throughputs_measured_on_this_machine(plan, tmp_path):
    models = {"models": {"net": {"timm": "resnet10t", "kwargs": TINY_RESNET}}, "regimes": {"in": {"train_on": ["in"]}}}
    sources = {"in": {"kind": "synthetic", "per_class": {"train": 4, "val": 1, "test": 2}}}
    rates = tmp_path / "rates.json"
    succeeded(plan("--measure", "--device", "cpu", "--out", rates, sources=sources, **models))
    rates_by_kind = json.loads(rates.read_text())["throughputs"]
    assert {kind: list(part) for kind, part in rates_by_kind.items()} == {
        "train": ["net"],
        "show": ["net"],
        "encode": ["ghiasi"],
        "stylize": ["ghiasi"],
    }
    assert all(rate > 0 for part in rates_by_kind.values() for rate in part.values())
    text = succeeded(plan("--throughputs", rates, sources=sources, **models)).stdout
    assert "training net: " in text and " images a second (measured on " in text


def test_measured_times_are_printed_beside_planned_times(plan, tmp_path):
    for name, seconds in (("pack/in/train/0", 3), ("pack/in/train/1", 5), ("tables", 1)):
        timing = tmp_path / "benchmarks" / f"{name}.tsv"
        timing.parent.mkdir(parents=True, exist_ok=True)
        timing.write_text(f"s\tmax_rss\n{seconds}\t100\n")
    lines = [line.split() for line in succeeded(plan("--compare", tmp_path / "benchmarks")).stdout.splitlines()]
    assert [line[:3] for line in lines[1:]] == [["pack", "2", "3"], ["tables", "1", "1"], ["total", "3", lines[-1][2]]]
    assert lines[1][4] == "8"


@pytest.mark.parametrize(
    ("arguments", "changes", "named"),
    [
        (["--gpus", "1"], {"stylizers": {"own": {"encoder": "random"}}}, ["stylizers.own"]),
        ([], {"benchmark": {}}, ["benchmark", "benchmarks"]),
        (["--config", "data_root"], {}, ["data_root", "KEY=VALUE"]),
        (["--configfile", "gone.yaml"], {}, ["gone.yaml"]),
        (["--throughputs", "gone.json"], {}, ["gone.json"]),
        (["--throughputs", "{folder}/study.yaml"], {}, ["study.yaml", "--measure"]),
        (["--compare", "{folder}/empty"], {}, ["empty", "logs/benchmarks"]),
        (["--compare", "{folder}/other"], {}, ["other", "evaluate", "another study"]),
        (["--measure"], {}, ["--out"]),
    ],
)
def test_a_mistake_is_named_in_one_line(plan, tmp_path, arguments, changes, named):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/evaluate.tsv").write_text("s\n1\n")
    refused(plan(*(word.format(folder=tmp_path) for word in arguments), **changes), *named)
    assert files_below(tmp_path) == ["other/evaluate.tsv", "study.yaml"]


@pytest.mark.parametrize("rate", [0, -1, "fast"])
def test_measured_rates_that_are_no_rates_are_refused(plan, tmp_path, rate):
    measured = {"machine": "there", "throughputs": {"stylize": {"ghiasi": rate}}}
    (tmp_path / "rates.json").write_text(json.dumps(measured))
    done = plan("--throughputs", tmp_path / "rates.json")
    refused(done, "rates.json: not a file of --measure (throughputs are numbers above 0)")


def test_missing_photographs_are_named_beside_the_plan(plan, config):
    photographs = {"kind": "imagefolder", "folder": "gone", "per_class": {"test": 2}, "shards": {"test": 1}}
    done = succeeded(plan(sources=config["sources"] | {"photos": photographs}))
    assert "sources.photos.folder: gone does not exist" in done.stderr
    assert "sources.photos: 207 classes assumed, the folder does not exist" in done.stdout


def test_command_line_keys_are_merged_into_the_config_file(plan):
    """As for Snakemake's --config, one key of a source changes, and its other keys stay."""
    one = succeeded(plan("--config", "sources={in: {shards: {train: 4}}}")).stdout
    assert next(line.split()[1:3] for line in one.splitlines() if line.split()[:1] == ["pack"]) == ["5", "192"]


def test_a_job_that_needs_more_gpus_than_available_is_named(plan):
    adain = {
        "own": {"encoder": "random", "training": {"content": "in", "styles": "in", "gpus": 2, "resize": 32, "size": 32}}
    }
    stylized = {"sin": {"content": "in", "styles": "in", "stylizer": "own", "splits": ["train"]}}
    done = plan(
        "--gpus", "1", stylizers=adain, stylized=stylized, benchmarks={"x": {"kind": "in_test", "images": "in"}}
    )
    refused(done, "1 GPUs", "train_stylizer own takes 2")
