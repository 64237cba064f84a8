"""The whole workflow, small: real rules, real networks, drawn photographs, through profiles/local."""

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time

import pandas as pd
import pytest
from helpers import ENV, ROOT, run_process, run_script, succeeded

from shapebias.tables import columns

RUNS = 2 * 3  # models × regimes
CATEGORIES = 16


@pytest.fixture(scope="module")
def small(demo_config):
    """Return the demo's config with few images, two tiny networks and one epoch."""
    config = demo_config()
    config |= {"image_size": 48, "input_size": 32}
    config["sources"]["in"] = {
        "kind": "synthetic",
        "per_class": {"train": 4, "val": 1, "test": 2},
        "shards": {"train": 2},
    }
    for name in ("silhouettes", "edges", "anagrams"):
        config["sources"][name]["per_class"] = {"test": 1}
    config["styles"]["paintings"] = {"kind": "synthetic", "count": 6, "size": 64}
    vit = {"img_size": 32, "patch_size": 8, "depth": 1, "embed_dim": 32, "num_heads": 2}
    config["models"] = {
        "resnet": {"timm": "resnet10t", "kwargs": {"channels": [8, 8, 16, 16], "stem_width": 8}},
        "vit": {"timm": "vit_tiny_patch16_224", "kwargs": vit},
    }
    del config["regimes"]["combined"]
    for regime in config["regimes"].values():
        regime.pop("training", None)
    config["training"] |= {"epochs": 2, "lr": 0.001}
    config["regimes"]["frozen"]["training"] = {"ranks": 2, "feature_views": 2}
    config["benchmarks"]["conflict"]["protocols"] = True
    return config


@pytest.fixture(scope="module")
def small_demo(small, workspace):
    """Return a workspace in which the small demo has run."""
    place = workspace()
    done = place.snakemake(config=small)
    assert done.returncode == 0, done.stdout
    return place


def test_every_run_is_measured_on_every_benchmark(small_demo):
    bias = pd.read_csv(small_demo.folder / "results/tables/shape_bias.csv")
    assert ",".join(bias.columns) == (
        "benchmark,observer,model,regime,seed,conflict_images,shape_hits,texture_hits,shape_bias,ci_low,ci_high"
    )
    assert len(bias) == RUNS
    assert (bias["conflict_images"] == 2 * 32).all()
    by_category = pd.read_csv(small_demo.folder / "results/tables/shape_bias_by_category.csv")
    assert len(by_category) == RUNS * CATEGORIES
    sums = by_category.groupby("observer")[["conflict_images", "shape_hits", "texture_hits"]].sum()
    assert (sums == bias.set_index("observer")[sums.columns]).all(axis=None)
    accuracy = pd.read_csv(small_demo.folder / "results/tables/accuracy.csv")
    assert set(accuracy["benchmark"]) == {"in_test", "sin_test", "silhouettes", "edges"}
    assert len(accuracy) == RUNS * 4 * 2  # by category and by class
    reliance = pd.read_csv(small_demo.folder / "results/tables/reliance.csv")
    untouched, suppressed = 3, 1 + 1 + 1  # cues; strengths of shape, texture and colour
    assert len(reliance) == RUNS * (untouched + suppressed)
    assert set(reliance["images"]) == {2 * 32}
    shape = pd.read_csv(small_demo.folder / "results/tables/configural_shape.csv")
    assert len(shape) == RUNS and set(shape["pairs"]) == {7} and set(shape["css_chance"]) == {1 / CATEGORIES**2}
    read_out = pd.read_csv(small_demo.folder / "results/tables/read_out.csv")
    assert set(read_out["cue"]) == {"shape", "texture"} and read_out["observer"].nunique() == RUNS
    assert {"pixels", "penultimate"} <= set(read_out["stage"])


def test_networks_with_two_classes_a_category_have_three_protocols_for_each_preparation(small_demo):
    protocols = pd.read_csv(small_demo.folder / "results/tables/protocols.csv")
    assert protocols["observer"].nunique() == RUNS
    rules, preparations = 3, 8  # mean probability, maximum, mean logit; crops × interpolations × antialiasing
    own = 1  # the ViT's own crop differs from the others; vlm-shapebias uses it
    counts = protocols.groupby("model").size() / (RUNS / 2)
    assert counts.to_dict() == {"resnet": rules * preparations, "vit": rules * preparations + own}
    pairs = pd.read_csv(small_demo.folder / "results/tables/protocol_pairs.csv")
    assert len(pairs) == RUNS * (RUNS - 1) // 2


def test_the_tables_of_the_rule_are_those_of_the_library(small_demo):
    made_tables = {path.stem for path in (small_demo.folder / "results/tables").glob("*.csv")}
    assert made_tables == {*columns.TABLE_COLUMNS, "runs", "rejected", "answers.conflict"}
    for name, names in columns.TABLE_COLUMNS.items():
        assert list(pd.read_csv(small_demo.folder / f"results/tables/{name}.csv").columns) == names


def test_remaking_tables_and_figures_needs_no_other_job(small_demo, small):
    for target in ("tables", "figures"):
        jobs = small_demo.plan(small, target, "--forcerun", target)
        assert set(jobs) == {target, "total"}


def test_conflict_images_carry_both_cues_of_different_categories(small_demo):
    labels = pd.read_csv(small_demo.folder / "results/images/conflict/manifest.csv")
    assert (labels["shape"] != labels["texture"]).all()
    assert labels["style"].notna().all()
    styled = pd.read_csv(small_demo.folder / "results/images/sin/manifest.csv")
    assert styled["texture"].isna().all()


def test_another_number_of_workers_repeats_no_run(small_demo, small):
    other = small | {"training": small["training"] | {"workers": 2}, "wandb": {"project": "elsewhere"}}
    assert "train" not in small_demo.plan(other)


def test_every_run_is_recorded_at_wandb_offline_once(small_demo):
    folders = list((small_demo.folder / "results/wandb").glob("offline-run-*"))
    assert len(folders) == RUNS + 1  # the last one is the report
    receipt = json.loads((small_demo.folder / "results/wandb/report.json").read_text())
    assert receipt["mode"] == "offline" and receipt["warning"] is None
    assert "shape_bias" in receipt["tables"] and "shape_bias.conflict" in receipt["figures"]


def test_a_run_with_two_ranks_removes_its_checkpoints(small_demo):
    run = json.loads((small_demo.folder / "results/runs/resnet/frozen/seed0/run.json").read_text())
    assert run["ranks"] == 2 and [link["regime"] for link in run["lineage"]] == ["in", "frozen"]
    assert not list((small_demo.folder / "results/checkpoints").rglob("*.pt"))


def test_the_record_of_a_run_has_its_initial_weights_and_images(small_demo):
    run = json.loads((small_demo.folder / "results/runs/resnet/sin/seed0/run.json").read_text())
    assert run["init"] == "in"
    assert run["images_seen"] == {"sin": 2 * 4 * 32}
    frozen = json.loads((small_demo.folder / "results/runs/vit/frozen/seed0/run.json").read_text())
    assert frozen["trainable"] == "head"
    history = pd.read_csv(small_demo.folder / "results/runs/vit/frozen/seed0/history.csv")
    assert list(history["epoch"]) == [1, 2]


def test_the_report_is_one_file_that_loads_no_other(small_demo):
    page = (small_demo.folder / "results/report.html").read_text()
    page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)  # another test covers scripts in a browser
    page = re.sub(r'"data:[^"]*"', '"data:"', page)  # figures refer to their own parts
    loaded = re.findall(r"""(?:src|data|poster|srcset)\s*=\s*["']?([^"'\s>]+)|url\(["']?([^"')]+)""", page)
    assert loaded, "the figures are embedded"
    assert all("".join(parts).startswith(("data:", "#")) for parts in loaded)
    assert "<link" not in page
    for text in ("resnet", "vit", "frozen", "conflict", "timm"):
        assert text in page


def test_a_second_run_does_nothing(small_demo, small):
    assert "Nothing to be done" in small_demo.snakemake(config=small).stdout


def test_other_colours_repeat_the_figures_and_no_training(small_demo, small):
    jobs = small_demo.plan(small | {"figures": {"palette": "Set2", "dpi": 100}})
    assert set(jobs) == {"figures", "settings", "report", "track", "all", "total"}
    done = small_demo.snakemake("figures", config=small | {"figures": {"palette": "Set2", "dpi": 100}})
    assert done.returncode == 0, done.stdout
    assert "rule figures" in done.stdout
    assert "rule train" not in done.stdout


def test_another_learning_rate_of_a_model_retrains_only_that_model(small_demo, small):
    resnet = small["models"]["resnet"] | {"training": {"lr": 0.002}}
    jobs = small_demo.plan(small | {"models": small["models"] | {"resnet": resnet}})
    assert jobs["train"] == jobs["evaluate"] == RUNS // 2
    assert "pack" not in jobs
    assert "stylize" not in jobs


def test_a_rule_that_is_written_differently_repeats_no_training(small_demo, small, tmp_path):
    """As after `git pull`."""
    for name in ("src", "scripts", "envs", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    rules = shutil.copytree(ROOT / "workflow", tmp_path / "workflow") / "rules/training.smk"
    text = rules.read_text()
    rules.write_text(text.replace(" --out {params.folder:q}", "  --out {params.folder:q}"))
    assert rules.read_text() != text
    assert not {"pack", "train", "evaluate"} & set(small_demo.plan(small, "--snakefile", str(tmp_path / "Snakefile")))


@pytest.fixture
def another_user(tmp_path, monkeypatch):
    """Give processes the environment of somebody else: home, decimal commas, time zone, rights, and hash seed."""
    values = {"HOME": tmp_path / "home", "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "17", "LC_ALL": "POSIX"}
    values["HOME"].mkdir()
    german = ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"]
    if shutil.which("localedef") and subprocess.run(german, capture_output=True, check=False).returncode == 0:
        values |= {"LC_ALL": "de_DE.UTF-8", "LOCPATH": tmp_path}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
        monkeypatch.setitem(ENV, name, str(value))
    mask = os.umask(0o077)
    yield
    os.umask(mask)


def test_same_bytes_with_other_shards_and_cores_and_for_another_user(small_demo, small, workspace, another_user):
    """The test covers a network with initial weights of another regime, and a frozen backbone."""
    other = workspace()
    other.forks = False
    source = small["sources"]["in"] | {"shards": {"train": 4, "val": 1, "test": 2}}
    training = small["training"] | {"workers": 1}
    config = small | {"sources": small["sources"] | {"in": source}, "training": training}
    networks = {"resnet": ("in", "sin"), "vit": ("in", "frozen")}
    ends = [f"{model}_{regimes[-1]}_seed0" for model, regimes in networks.items()]
    decisions = [f"results/predictions/{benchmark}/{end}.parquet" for benchmark in small["benchmarks"] for end in ends]
    done = other.snakemake("--cores", "1", *decisions, config=config)
    assert done.returncode == 0, done.stdout
    for name in ("in", "sin", "conflict"):
        for split in ("train", "test"):
            assert images(other.folder, name, split) == images(small_demo.folder, name, split)
    runs = [f"results/runs/{model}/{regime}/seed0" for model, regimes in networks.items() for regime in regimes]
    same = [f"{run}/{file}" for run in runs for file in ("model.safetensors", "history.csv")]
    same += [f"results/images/{name}/0.tar" for name in ("paintings/all", "silhouettes/test", "edges/test")]
    for path in same:
        assert (other.folder / path).read_bytes() == (small_demo.folder / path).read_bytes(), path
    for path in decisions:  # their metadata contain the commit
        pd.testing.assert_frame_equal(
            pd.read_parquet(other.folder / path), pd.read_parquet(small_demo.folder / path), check_exact=True
        )
    flags = ["--predictions", "results/predictions", "--benchmarks", *small["benchmarks"], "--observers", *ends]
    flags += ["--runs", "results/runs", "--out", "again"]
    for place, run in ((small_demo, run_script), (other, run_process)):
        succeeded(run("tables", *flags, folder=place.folder))
    for path in (small_demo.folder / "again").iterdir():
        assert path.read_bytes() == (other.folder / "again" / path.name).read_bytes(), path.name


def test_a_lost_shard_is_named_before_the_first_job_and_made_again_without_training(small_demo, small):
    shard, listed = (f"results/images/in/train/{name}" for name in ("0.tar", "sha256sums.txt"))
    before = (small_demo.folder / shard).read_bytes()
    (small_demo.folder / shard).unlink()
    run, as_if_large = "results/runs/resnet/in/seed0/run.json", "--max-checksum-file-size=1000"
    refused = small_demo.snakemake(run, "--forcerun", "train", config=small)
    assert refused.returncode == 1 and "Traceback" not in refused.stdout
    assert f"1 of the shards that {listed} lists are gone" in refused.stdout
    assert small_demo.snakemake("images", as_if_large, config=small).returncode == 0
    assert (small_demo.folder / shard).read_bytes() == before
    assert not {"train", "evaluate"} & set(small_demo.plan(small, as_if_large))


def test_a_network_is_evaluated_on_a_new_benchmark_only(small_demo, small):
    again = {"kind": "suppressed", "images": "in", "suppress": {"colour": [0.5]}}
    benchmarks = small["benchmarks"] | {"again": again}
    target = "results/predictions/{}/resnet_in_seed0.parquet"
    old = {name: (small_demo.folder / target.format(name)).read_bytes() for name in small["benchmarks"]}
    done = small_demo.snakemake(target.format("again"), config=small | {"benchmarks": benchmarks})
    assert done.returncode == 0, done.stdout
    text = (small_demo.folder / "logs/evaluate/resnet_in_seed0.log").read_text()
    assert text.count("reused an earlier measurement") == len(old)
    assert text.count(" images, 0 rejected") == 1
    for name, data in old.items():
        assert (small_demo.folder / target.format(name)).read_bytes() == data


def test_an_interrupted_run_leaves_no_partial_file_and_resumes(small, workspace):
    place = workspace()
    config = small | {"models": {"resnet": small["models"]["resnet"]}}
    process = place.start(config=config)
    wait_for(lambda: any(place.folder.glob("results/images/*/*/*.tar")), process)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    assert process.wait(timeout=60) != 0
    for path in place.folder.glob("results/images/*/*/*.tar"):
        with tarfile.open(path) as tar:
            assert tar.getmembers()
    assert not list(place.folder.glob("results/**/.*")), "drafts are removed"
    times = {path: path.stat().st_mtime_ns for path in place.folder.glob("results/images/*/*/*.tar")}
    done = place.snakemake("results/images/conflict/test/0.tar", config=config)
    assert done.returncode == 0, done.stdout
    assert all(path.stat().st_mtime_ns == time_made for path, time_made in times.items()), "what was done is kept"


def wait_for(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, "ended before there was anything to interrupt"
        time.sleep(0.1)
    raise AssertionError("nothing was made within a minute")


def images(folder, name, split):
    """Return path → bytes of all images of a set's split, from all shards."""
    contents = {}
    for path in folder.glob(f"results/images/{name}/{split}/*.tar"):
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            contents |= {name: file.read() for name, file in files.items() if file}
    return contents


def test_the_report_opens_in_a_browser_without_errors(small_demo, tmp_path, chromium):
    picture = tmp_path / "page.png"
    done = subprocess.run(
        [
            *chromium,
            f"--screenshot={picture}",
            "--window-size=1280,2000",
            f"file://{small_demo.folder}/results/report.html",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert picture.stat().st_size > 50_000, "the page is not blank"
    assert "CONSOLE" not in done.stderr, done.stderr
