"""Plans: how many images and jobs, what they cost, how long they take; each number by hand."""

import subprocess
import sys

import pytest
import yaml
from helpers import ROOT

from shapebias.config.dataset_sizes import DRAWN_CLASSES, counted, images_in, images_in_shard, images_shown
from shapebias.config.validation import check_config
from shapebias.errors import UserError
from shapebias.planning.costs import Given, Known, Network, given_throughputs, image_bytes
from shapebias.planning.graph import Job, list_jobs
from shapebias.planning.jobs import Jobs
from shapebias.planning.network_costs import (
    NETWORKS,
    checkpoint_bytes,
    evaluation_seconds,
    network_key,
    training_seconds,
)
from shapebias.planning.plan import plan_study
from shapebias.planning.schedule import course
from shapebias.planning.summary import assumptions, comparison, duration, size, summed, table
from shapebias.planning.throughput import count, counted_networks
from shapebias.synthetic.scene import CLASSES

# What the demo took on two cores, seconds of all jobs of a rule (logs/benchmarks, 24 November 2026).
DEMO = {"pack": 47, "encode_styles": 16, "stylize": 68, "train": 574, "evaluate": 404, "read_out": 225, "figures": 12}
DEMO |= {"scan": 3, "manifest": 14, "contact_sheet": 6, "rejected_sheet": 1, "tables": 6, "report": 7}


def study(**changes):
    """One network in one regime on drawn photographs, with some keys changed; checked."""
    config = {
        "image_size": 64,
        "sources": {
            "in": {"kind": "synthetic", "per_class": {"train": 10, "val": 1, "test": 2}, "shards": {"train": 3}}
        },
        "models": {"net": {"timm": "resnet50"}},
        "regimes": {"in": {"train_on": ["in"]}},
        "training": {"epochs": 2},
        "benchmarks": {"in_test": {"kind": "in_test", "images": "in"}},
        "wandb": {"mode": "disabled"},
    }
    return check_config(config | changes)


def known(**throughputs):
    return Known(given_throughputs(throughputs, "given in the config"))


# Images


def test_images_of_a_set_are_classes_times_images_of_each():
    config = study(
        sources={
            "in": {"kind": "synthetic", "per_class": {"train": 10, "val": 1, "test": 2}, "shards": {"train": 3}},
            "big": {"kind": "ilsvrc", "folder": "x"},
            "isic": {"kind": "isic2017", "folder": "x"},
            "own": {"kind": "imagefolder", "folder": "x", "per_class": {"train": "all", "test": 5}},
        },
        stylized={"sin": {"content": "big", "styles": "in", "splits": ["train", "val"]}},
    )
    assert DRAWN_CLASSES == len(CLASSES) == 32
    assert images_in(config, "in", "train") == 32 * 10
    assert images_in_shard(config, "in", "train") == 107  # of 320 in 3 shards
    assert images_in(config, "big", "train") == images_in(config, "sin", "train") == 207 * 500
    assert [images_in(config, "isic", split) for split in ("train", "val", "test")] == [2000, 150, 600]
    assert images_in(config, "own", "test", {"sources.own": 7}) == 7 * 5
    assert images_in(config, "own", "train", {"sources.own": 7}) == 7 * 1300  # as many as a class of ILSVRC, at most


def test_a_suppressed_photograph_is_shown_once_in_each_condition():
    suppress = {"shape": [2, 4], "texture": [1], "colour": []}
    config = study(benchmarks={"reliance": {"kind": "suppressed", "images": "in", "suppress": suppress}})
    assert images_shown(config, "reliance") == 32 * 2 * (1 + 3)


def test_folders_that_are_there_are_counted_and_others_assumed(tmp_path):
    for name in ("cat", "dog", ".hidden"):
        (tmp_path / "photographs" / "train" / name).mkdir(parents=True)
    (tmp_path / "paintings" / "old").mkdir(parents=True)
    for name in ("a.jpg", "old/b.PNG", "notes.txt"):
        (tmp_path / "paintings" / name).touch()
    config = study(
        data_root=str(tmp_path),
        sources={
            "in": {"kind": "synthetic", "per_class": {"train": 10, "val": 1, "test": 2}},
            "own": {"kind": "imagefolder", "folder": "photographs", "per_class": {"train": 3}},
            "gone": {"kind": "imagefolder", "folder": "gone", "per_class": {"train": 3}},
        },
        styles={"paintings": {"kind": "folder", "folder": "paintings"}, "later": {"kind": "folder", "folder": "later"}},
    )
    found = counted(config)
    assert found == {"sources.own": 2, "styles.paintings": 2}
    assert images_in(config, "own", "train", found) == 2 * 3
    assert images_in(config, "gone", "train", found) == 207 * 3
    told = "\n".join(assumptions(config, [], Known(found=found), 1))
    assert "sources.own: 2 classes are there" in told and "sources.gone: 207 classes assumed" in told
    assert "styles.later: 79,434 images assumed" in told


def test_an_image_in_a_shard_is_larger_at_more_pixels_and_without_loss():
    small, large, png = study(), study(image_size=128), study(format="png")
    assert image_bytes(large, "in") - 2500 == pytest.approx(4 * (image_bytes(small, "in") - 2500))
    assert image_bytes(png, "in") > 1.5 * image_bytes(small, "in")


# Seconds


def test_a_run_takes_its_epochs_at_the_throughput_given():
    config, rate = study(), known(train={"net": 100})
    train, val = 320 / 100, 32 / 300  # validation is the forward pass alone, a third
    assert training_seconds(config, "net", "in", rate) == pytest.approx(5 + 2 * (train + val))
    two = study(regimes={"in": {"train_on": ["in"], "training": {"ranks": 2}}})
    assert training_seconds(two, "net", "in", rate) == pytest.approx(5 + 2 * (train + val) / 2)
    head = study(regimes={"in": {"train_on": ["in"], "trainable": "head"}})
    assert training_seconds(head, "net", "in", rate) == pytest.approx(5 + 2 * (train / 3 + val))
    views = {"train_on": ["in"], "trainable": "head", "training": {"feature_views": 4}}
    once = 5 + (4 * 320 + 32) / 300 + 2 * 352 * 3e-5
    assert training_seconds(study(regimes={"in": views}), "net", "in", rate) == pytest.approx(once)


def test_an_unknown_throughput_follows_from_what_the_network_computes():
    def seconds(operations, **changes):
        config = study(**changes)
        key = network_key(config["models"]["net"], config["input_size"])
        return training_seconds(config, "net", "in", Known(networks={key: Network(operations, 1)}))

    work = (seconds(2e9) - seconds(1e9)) / (2 * (320 + 32 / 3))  # an image's share of a billion operations more
    assert work == pytest.approx(3 * 1e9 / 50e9)  # thrice: forwards, and twice as much backwards
    work = (seconds(2e9, gpus=1) - seconds(1e9, gpus=1)) / (2 * (320 + 32 / 3))
    assert work == pytest.approx(3 * 1e9 / 15e12)


def test_showing_costs_an_answer_each_and_the_start():
    assert (
        evaluation_seconds(study(), "net", trained=True, melanoma=False, known=known(show={"net": 16})) == 5 + 64 / 16
    )


def test_listed_networks_compute_what_is_listed():
    for name, listed in NETWORKS.items():
        found = count({"timm": name, "kwargs": {}}, 224)
        assert (found.weights, found.operations) == (listed.weights, pytest.approx(listed.operations, rel=0.002))


def test_checkpoints_hold_weights_twice_and_what_the_optimizer_remembers():
    net = Network(1, 1000)

    def stored(**changes):
        config = study(**changes)
        return checkpoint_bytes(config, "net", "in", Known(networks={network_key(config["models"]["net"], 64): net}))

    assert stored() == 4 * 1000 * (2 + 1)
    assert stored(training={"optimizer": "adamw"}) == 4 * 1000 * (2 + 2)
    assert stored(regimes={"in": {"train_on": ["in"], "trainable": "head"}}) == 4 * 1000 * 2


def test_the_demo_s_plan_is_what_the_demo_took_within_a_factor_of_two(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = check_config(yaml.safe_load((ROOT / "config.yaml").read_text()))
    jobs = list_jobs(ROOT / "Snakefile", ROOT / "config.yaml", {})
    plan = plan_study(config, jobs, Known(networks=counted_networks(config)))
    assert len(jobs) == sum(entry.count for entry in plan) <= 70
    seconds = {rule: sum(jobs.count * jobs.seconds for jobs in plan if jobs.rule == rule) for rule in DEMO}
    assert sum(DEMO.values()) / 2 < sum(seconds.values()) < sum(DEMO.values()) * 2
    for rule in ("pack", "encode_styles", "stylize", "train", "evaluate"):
        assert DEMO[rule] / 2 < seconds[rule] < DEMO[rule] * 2, rule


# Jobs


def test_shards_and_seeds_are_one_entry_and_cost_what_the_config_says():
    config = study(seeds=[0, 1])
    packs = [
        Job("pack", {"set": "in", "split": "train", "shard": str(shard)}, outputs=(f"{shard}.tar", f"{shard}.csv"))
        for shard in range(3)
    ]
    trainings = [
        Job("train", {"model": "net", "regime": "in", "seed": seed}, ("0.tar", "2.tar"), (f"{seed}.weights",), cpus=2)
        for seed in "01"
    ]
    shows = [Job("evaluate", {"observer": f"net_in_seed{seed}"}, (f"{seed}.weights",)) for seed in "01"]
    plan = {entry.key: entry for entry in plan_study(config, [*shows, *trainings, *packs])}
    assert list(plan) == [("pack", "in", "train"), ("train", "net", "in"), ("evaluate", "net", "in")]
    assert [(entry.count, entry.files, entry.cpus) for entry in plan.values()] == [(3, 2, 1), (2, 1, 2), (2, 0, 1)]
    assert plan["pack", "in", "train"].images == 10 * 16 * 2  # 16 categories, two drawn classes each
    assert plan["train", "net", "in"].seconds == training_seconds(config, "net", "in")
    assert plan["train", "net", "in"].after == (("pack", "in", "train"),)
    assert plan["evaluate", "net", "in"].after == (("train", "net", "in"),)


def test_staged_shards_are_those_that_a_run_trains_on_and_is_validated_with():
    def staged(**changes):
        [entry] = plan_study(study(**changes), [Job("train", {"model": "net", "regime": "in", "seed": "0"})])
        return entry.staged

    assert staged() == 0
    assert staged(stage_shards=True) == pytest.approx((320 + 32) * image_bytes(study(), "in"))


def test_jobs_share_processors_and_gpus_and_wait_for_each_other():
    some = Jobs(("pack",), 4, 10.0, written=5.0)
    assert course([some], cpus=1, gpus=0).seconds == 40
    assert course([some], cpus=3, gpus=0).seconds == 20
    assert course([some], cpus=4, gpus=0, start=1.0).seconds == 11
    wide = Jobs(("train",), 2, 7.0, cpus=8, gpus=1, scratch=100.0, staged=30.0, after=(("pack",),))
    took = course([some, wide], cpus=4, gpus=2)
    assert took.seconds == 10 + 2 * 7  # one after the other: each takes all processors that there are
    assert (took.checkpoints, took.drafts, took.staged) == (100, 4 * 5, 30)
    spread = Jobs(("train",), 1, 7.0, cpus=8, staged=30.0, nodes=4)
    assert course([spread], cpus=8, gpus=0).staged == 4 * 30
    assert course([some, wide], cpus=16, gpus=2).seconds == 10 + 7
    assert course([some, wide], cpus=16, gpus=1).seconds == 10 + 2 * 7


def test_more_gpus_than_there_are_is_an_error_that_says_how_many():
    with pytest.raises(UserError, match="1 GPUs: a job of train net in takes 2; plan with as many at least"):
        course([Jobs(("train", "net", "in"), 1, 1.0, gpus=2)], cpus=9, gpus=1)


# Words


def test_the_table_sums_rules_to_stages_and_to_a_total():
    plan = [
        Jobs(("scan", "in"), 1, 3.6, images=5),
        Jobs(("pack", "in", "train"), 2, 3600.0, images=5, files=2, written=1e6),
        Jobs(("train", "net", "in"), 3, 7200.0, images=30, cpus=2, gpus=1, files=3, written=1e9),
    ]
    assert table(plan).splitlines() == [
        "          jobs  images  core-hours  GPU-hours  files  written",
        "images       3                 2.0                 5     2 MB",
        "  scan       1       5       0.001                 1      0 B",
        "  pack       2       5         2.0                 4     2 MB",
        "training     3                  12        6.0      9     3 GB",
        "  train      3      30          12        6.0      9     3 GB",
        "total        6                  14        6.0     14     3 GB",
    ]
    assert summed(plan).written == 3.002e9


def test_numbers_are_told_in_units_that_suit_them():
    assert [duration(s) for s in (59, 600, 9000, 1e6)] == ["59 s", "10 minutes", "2.5 hours", "11.6 days"]
    assert [size(s) for s in (12, 3400, 5.6e10, 1.25e12)] == ["12 B", "3.4 kB", "56 GB", "1.25 TB"]


def test_every_throughput_says_where_it_comes_from():
    config = study()
    jobs = [
        Job("train", {"model": "net", "regime": "in", "seed": "0"}),
        Job("evaluate", {"observer": "net_in_seed0"}),
    ]
    told = "\n".join(assumptions(config, plan_study(config, jobs, known(train={"net": 310})), known(), 1))
    assert "training net: 310 images a second (given in the config)" in told
    assert "showing to net: " in told and "0.668 GFLOP an image (counted) at 50 GFLOP/s" in told
    assert "at most 2 epochs; `patience` may end a run earlier" in told
    measured = Known({("show", "net"): Given(20, "measured on this machine")})
    assert "20 images a second (measured on this machine)" in "\n".join(
        assumptions(config, plan_study(config, jobs, measured), measured, 1)
    )


def test_planned_and_taken_seconds_are_compared_job_by_job():
    plan = [Jobs(("pack", "a"), 2, 10.0), Jobs(("pack", "b"), 2, 30.0), Jobs(("tables",), 1, 5.0)]
    text, ratio = comparison(plan, {"pack": [25.0, 35.0], "tables": [6.0]})
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["pack", "2", "4", "40", "60", "1.50"]  # two of four have run, of 20 s in the mean
    assert lines[-1] == ["total", "3", "5", "45", "66", "1.47"]
    assert ratio == pytest.approx(66 / 45)
    assert comparison(plan, {"tables": [6.0], "of_another_study": [1.0]})[0].splitlines()[-1].split()[1] == "1"


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("train", "nett", "throughputs.train: 'nett' is no model; did you mean 'net'?"),
        ("stylize", "adain", "throughputs.stylize: 'adain' is no stylizer; allowed: ghiasi"),
        ("pack", "out", "throughputs.pack: 'out' is no source or set of styles; allowed: in"),
    ],
)
def test_a_throughput_of_nothing_is_a_mistake_in_the_config(kind, name, told):
    with pytest.raises(UserError) as error:
        study(throughputs={kind: {name: 1.0}})
    assert told in str(error.value)


def test_planning_imports_no_torch():
    code = "import sys, shapebias.planning.plan, shapebias.planning.summary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT / "src").returncode == 0
