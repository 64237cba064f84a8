"""Plans: numbers of images and jobs, costs and wall time. Every expected number is computed by hand."""

import math
import re
import subprocess
import sys

import pytest
import yaml
from helpers import ROOT, TINY_RESNET, tiny_resnet
from PIL import Image

from shapebias.config.dataset_sizes import count_folders, images_in, images_in_shard, images_shown
from shapebias.config.queries import DRAWN_CLASSES, pretrained_name
from shapebias.config.validation import check_config
from shapebias.errors import UserError
from shapebias.planning import throughput
from shapebias.planning.costs import (
    Measurements,
    NetworkSize,
    Throughput,
    encode_cost,
    image_bytes,
    pack_cost,
    parse_throughputs,
    stylize_cost,
)
from shapebias.planning.graph import PlannedJob, list_jobs
from shapebias.planning.jobs import JobGroup
from shapebias.planning.network_costs import (
    NETWORKS,
    checkpoint_bytes,
    evaluation_seconds,
    network_key,
    suppression_seconds,
    training_seconds,
)
from shapebias.planning.plan import plan_study
from shapebias.planning.schedule import simulate_schedule
from shapebias.planning.summary import (
    compare_timings,
    format_bytes,
    format_duration,
    format_plan,
    list_assumptions,
    sum_groups,
)
from shapebias.planning.throughput import count_networks, count_operations
from shapebias.planning.work import PlanInputs, work_of
from shapebias.stylize.stylizers import STYLIZERS
from shapebias.synthetic.scene import CLASSES

# The demo on two idle cores: seconds of all jobs of a rule (logs/benchmarks, 30 November 2026).
DEMO = {"pack": 95, "encode_styles": 8, "stylize": 127, "train": 467, "evaluate": 217, "figures": 12, "checksums": 2}
DEMO |= {"catalogue": 7, "rejected_sheet": 1, "tables": 6, "report": 8}


def study(**changes):
    """Return the checked config of one network in one regime on drawn photographs, updated with changes."""
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


def measurements(**throughputs):
    """Return measurements with the throughputs of a config."""
    return Measurements(parse_throughputs(throughputs, "given in the config"))


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


def test_each_condition_of_cue_suppression_shows_each_photograph_once():
    suppress = {"shape": [2, 4], "texture": [1], "colour": []}
    config = study(benchmarks={"reliance": {"kind": "suppressed", "images": "in", "suppress": suppress}})
    assert images_shown(config, "reliance") == 32 * 2 * (1 + 3)


def test_filters_of_cue_suppression_count_once_for_each_image():
    # At sigma 1 the disc of the bilateral filter has a radius of 2 pixels, at sigma 3 one of 6 pixels.
    suppress = {"shape": [2], "texture": [1], "colour": [], "texture_and_shape": [[1, 2], [3, 2], [3, 4]]}
    config = study(benchmarks={"reliance": {"kind": "suppressed", "images": "in", "suppress": suppress}})
    smoothing = math.pi * (2**2 + 6**2) * 224**2 * 5e-9
    assert suppression_seconds(config, "reliance", 224) == pytest.approx(smoothing)
    assert images_shown(config, "reliance") == 32 * 2 * (1 + 5)
    config["benchmarks"]["reliance"]["suppress"]["non_local_means"] = [5, 10, 15]
    assert suppression_seconds(config, "reliance", 224) == pytest.approx(
        smoothing + 21**2 * (7 + 3 * 3) * 224**2 * 1e-9
    )


def test_existing_folders_are_counted_and_missing_ones_are_assumed(tmp_path):
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
    sizes = count_folders(config)
    assert sizes == {"sources.own": 2, "styles.paintings": 2}
    assert images_in(config, "own", "train", sizes) == 2 * 3
    assert images_in(config, "gone", "train", sizes) == 207 * 3
    text = "\n".join(list_assumptions(config, [], Measurements(folder_sizes=sizes), 1))
    assert "sources.own: 2 classes are there" in text and "sources.gone: 207 classes assumed" in text
    assert "styles.later: 79,434 images assumed" in text


def test_bytes_of_an_image_grow_with_its_pixels_and_with_lossless_encoding():
    small, large, png = study(), study(image_size=128), study(format="png")
    assert image_bytes(large, "in") - 2500 == pytest.approx(4 * (image_bytes(small, "in") - 2500))
    assert image_bytes(png, "in") > 1.5 * image_bytes(small, "in")


# Seconds


def test_training_time_follows_from_epochs_and_throughput():
    config, rate = study(), measurements(train={"net": 100})
    train, val = 320 / 100, 32 / 300  # validation is a forward pass, a third of the work
    assert training_seconds(config, "net", "in", rate) == pytest.approx(5 + 2 * (train + val))
    two = study(regimes={"in": {"train_on": ["in"], "training": {"ranks": 2}}})
    assert training_seconds(two, "net", "in", rate) == pytest.approx(5 + 2 * (train + val) / 2)
    head = study(regimes={"in": {"train_on": ["in"], "trainable": "head"}})
    assert training_seconds(head, "net", "in", rate) == pytest.approx(5 + 2 * (train / 3 + val))
    views = {"train_on": ["in"], "trainable": "head", "training": {"feature_views": 4}}
    expected = 5 + (4 * 320 + 32) / 300 + 2 * 352 * 3e-5
    assert training_seconds(study(regimes={"in": views}), "net", "in", rate) == pytest.approx(expected)


def test_a_throughput_that_was_not_measured_follows_from_the_operations_of_the_network():
    def seconds(operations, **changes):
        config = study(**changes)
        key = network_key(config["models"]["net"], config["input_size"])
        return training_seconds(config, "net", "in", Measurements(networks={key: NetworkSize(operations, 1)}))

    work = (seconds(2e9) - seconds(1e9)) / (
        2 * (320 + 32 / 3)
    )  # seconds per image of one billion additional operations
    assert work == pytest.approx(3 * 1e9 / 50e9)  # three times: the backward pass costs twice the forward pass
    work = (seconds(2e9, gpus=1) - seconds(1e9, gpus=1)) / (2 * (320 + 32 / 3))
    assert work == pytest.approx(3 * 1e9 / 15e12)


def test_evaluation_time_is_the_start_and_one_answer_per_image():
    assert (
        evaluation_seconds(study(), "net", trained=True, melanoma=False, measurements=measurements(show={"net": 16}))
        == 5 + 64 / 16
    )


def test_a_stylizer_on_a_gpu_waits_for_the_slower_of_computing_and_of_its_files():
    """The 48.4 billion operations of AdaIN take 1.21 ms at 40 TFLOP/s, and the files of an image 8 ms on a core."""

    def milliseconds(**changes):
        entry = {"encoder": "vgg.pth", "decoder": "decoder.pth"} | changes
        stylized = {"sin": {"content": "in", "styles": "in", "stylizer": "own", "splits": ["train"]}}
        config = study(stylizers={"own": entry}, stylized=stylized, gpus=1, image_size=224)
        return 1000 * stylize_cost(config, "sin").seconds

    assert [milliseconds(workers=workers) for workers in (0, 1, 100)] == pytest.approx([1.21 + 8, 8, 1.21])


def test_an_image_of_gatys_costs_all_steps_of_the_optimization():
    """A step goes through VGG-19 and back, 76 billion operations: 5.07 ms at 15 TFLOP/s in float32."""
    stylized = {"sin": {"content": "in", "styles": "in", "stylizer": "own", "splits": ["train"]}}
    entry = {"kind": "gatys", "weights": "vgg.pth", "steps": 50}
    on_gpu, on_cpu = (study(stylizers={"own": entry}, stylized=stylized, gpus=gpus, image_size=224) for gpus in (1, 0))
    assert stylize_cost(on_gpu, "sin").seconds == pytest.approx(50 * 5.07e-3, rel=1e-3)
    assert stylize_cost(on_cpu, "sin").seconds == pytest.approx(50 * STYLIZERS["gatys"].stylizing.core_ms / 1000)
    # The style is encoded once, not in each step.
    assert encode_cost(on_cpu, "own", "in").seconds == pytest.approx(STYLIZERS["gatys"].encoding.core_ms / 1000)


def test_a_measured_throughput_replaces_the_assumed_cost_of_packing():
    assert pack_cost(study(), "in", measurements(pack={"in": 20})).seconds == 1 / 20


def test_networks_to_count_are_models_and_observers_without_a_listed_size():
    tiny = {"timm": "resnet10t", "kwargs": TINY_RESNET}
    config = study(
        observers={
            "tiny": tiny,
            "listed": {"timm": "resnet50"},
            "people": {"decisions": "x.csv", "benchmark": "in_test"},
        }
    )
    [(key, size)] = count_networks(config).items()
    assert key == network_key(config["observers"]["tiny"], None)
    assert size.weights == sum(weights.numel() for weights in tiny_resnet(classes=1000).parameters())


def test_a_rate_is_the_median_over_batches_without_the_first(monkeypatch):
    seconds = iter([0.0, 2.0, 4.0, 8.0])  # of two cores, after each batch
    monkeypatch.setattr(throughput.time, "process_time", lambda: next(seconds))
    assert throughput.median_rate(iter([50, 6, 12, 6]), cores=2) == 6  # 6 / 1 s, 12 / 1 s, 6 / 2 s


def test_a_stylizer_to_measure_has_the_width_of_the_study_s():
    content = {"content": "in", "styles": "in", "width": 8, "resize": 32, "size": 32}
    stylized = {"sin": {"content": "in", "styles": "in", "stylizer": "own", "splits": ["train"]}}
    config = study(stylizers={"own": {"encoder": "random", "training": content}}, stylized=stylized)
    stylizer = throughput.build_stylizer(config, "own", "cpu")
    vector = stylizer.encode(Image.new("RGB", (32, 32)))
    assert vector.shape == (2 * 8 * 8,)  # mean and standard deviation of eight times the width
    assert throughput.build_stylizer(config, "ghiasi", "cpu").name == "ghiasi"
    layers = {"content_layers": ["features.3"], "style_layers": ["features.3"]}
    gatys = {"kind": "gatys", "timm": "torchvision/squeezenet1_1", "weights": "x.pth"} | layers
    stylizer = throughput.build_stylizer(study(stylizers={"own": gatys}, stylized=stylized), "own", "cpu")
    assert stylizer.encode(Image.new("RGB", (32, 32))).shape == (128 * 129 / 2,)  # half of a Gram matrix, 128 channels


def test_listed_sizes_of_networks_are_correct():
    for name, listed in NETWORKS.items():
        size = count_operations({"timm": name, "kwargs": {}}, 224)
        assert (size.weights, size.operations) == (listed.weights, pytest.approx(listed.operations, rel=0.002))


def test_checkpoints_hold_weights_twice_and_the_moments_of_the_optimizer():
    net = NetworkSize(1, 1000)

    def checkpoint_size(**changes):
        config = study(**changes)
        return checkpoint_bytes(
            config, "net", "in", Measurements(networks={network_key(config["models"]["net"], 64): net})
        )

    assert checkpoint_size() == 4 * 1000 * (2 + 1)
    assert checkpoint_size(training={"optimizer": "adamw"}) == 4 * 1000 * (2 + 2)
    assert checkpoint_size(regimes={"in": {"train_on": ["in"], "trainable": "head"}}) == 4 * 1000 * 2


def test_the_demo_s_planned_seconds_are_within_a_factor_of_two_of_the_measured_ones(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = check_config(yaml.safe_load((ROOT / "config.yaml").read_text()))
    jobs = list_jobs(ROOT / "Snakefile", ROOT / "config.yaml", {})
    plan = plan_study(config, jobs, Measurements(networks=count_networks(config)))
    assert len(jobs) == sum(group.count for group in plan) <= 72
    seconds = {rule: sum(group.count * group.seconds for group in plan if group.rule == rule) for rule in DEMO}
    assert sum(DEMO.values()) / 2 < sum(seconds.values()) < sum(DEMO.values()) * 2
    for rule in ("pack", "encode_styles", "stylize", "train", "evaluate"):
        assert DEMO[rule] / 2 < seconds[rule] < DEMO[rule] * 2, rule


# Jobs


def test_a_download_writes_the_weights_of_its_network():
    weights = "https://example.org/files/own.pth?download=1"
    config = study(
        models={"net": {"timm": "resnet50", "weights": weights, "weights_sha256": "0" * 64}},
        observers={"vgg": {"timm": "torchvision/vgg16"}, "lite": {"timm": "tf_efficientnet_lite0"}},
    )

    def work(rule, **wildcards):
        return work_of(PlanInputs(config, Measurements()), rule, wildcards, 1)

    resnet, vgg = work("download_network", file="own.pth"), work("download_pretrained", network="torchvision/vgg16")
    assert (resnet.written, resnet.seconds) == (4 * 25_557_032, 0.7)  # float32; Python without torch
    assert (vgg.written, vgg.seconds) == (4 * 138_357_544, 5.0)
    other = [work("download_network", file="gone.pth"), work("download_pretrained", network="gone")]
    assert [job.seconds for job in other] == [0.7, 5.0]
    parts = [work("download_weights", part=part).written for part in ("encoder", "decoder")]
    assert parts == [80e6, 14e6]


def test_weights_for_other_keyword_arguments_have_a_name_of_their_own():
    assert pretrained_name({"timm": "resnet50", "kwargs": {}}) == "resnet50"
    names = {pretrained_name({"timm": "resnet50", "kwargs": {"output_stride": stride}}) for stride in (8, 16)}
    assert len(names) == 2 and all(re.fullmatch("resnet50-[0-9a-f]{8}", name) for name in names)


def test_a_scan_lists_every_image_of_a_set():
    work = work_of(PlanInputs(study(), Measurements()), "scan", {"set": "in"}, 1)
    assert work.images == 32 * (10 + 1 + 2)
    assert (work.seconds, work.written) == (pytest.approx(0.7 + 416 * 5e-5), 416 * 130)


def test_an_evaluation_on_melanoma_shows_the_600_images_of_the_challenge_alone():
    config = study(
        sources=study()["sources"] | {"isic": {"kind": "isic2017", "folder": "x"}},
        regimes={"isic": {"train_on": ["isic"]}},
        benchmarks={"in_test": {"kind": "in_test", "images": "in"}, "isic": {"kind": "melanoma", "images": "isic"}},
    )
    inputs = PlanInputs(config, Measurements(), {"net_isic_seed0": ("net", "isic")})
    images = {
        rule: work_of(inputs, rule, {"observer": "net_isic_seed0"}, 1).images
        for rule in ("evaluate", "evaluate_melanoma")
    }
    assert images == {"evaluate": 32 * 2, "evaluate_melanoma": 600}


def test_a_folder_of_stimuli_that_is_absent_counts_as_the_published_set():
    benchmarks = {name: {"kind": name, "folder": "gone"} for name in ("edges", "sketch", "cue_conflict")}
    config = study(benchmarks=benchmarks)
    assert [images_shown(config, name) for name in benchmarks] == [160, 800, 1280]
    assert images_shown(config, "edges", {"benchmarks.edges": 7}) == 7


def test_shards_and_seeds_form_one_group_with_the_cost_of_the_config():
    config = study(seeds=[0, 1])
    packs = [
        PlannedJob(
            "pack", {"set": "in", "split": "train", "shard": str(shard)}, outputs=(f"{shard}.tar", f"{shard}.csv")
        )
        for shard in range(3)
    ]
    trainings = [
        PlannedJob(
            "train", {"model": "net", "regime": "in", "seed": seed}, ("0.tar", "2.tar"), (f"{seed}.weights",), cpus=2
        )
        for seed in "01"
    ]
    evaluations = [PlannedJob("evaluate", {"observer": f"net_in_seed{seed}"}, (f"{seed}.weights",)) for seed in "01"]
    plan = {group.key: group for group in plan_study(config, [*evaluations, *trainings, *packs])}
    assert list(plan) == [("pack", "in", "train"), ("train", "net", "in"), ("evaluate", "net", "in")]
    assert [(group.count, group.files, group.cpus) for group in plan.values()] == [(3, 2, 1), (2, 1, 2), (2, 0, 1)]
    assert plan["pack", "in", "train"].images == 10 * 16 * 2  # 16 categories, two drawn classes each
    assert plan["train", "net", "in"].seconds == training_seconds(config, "net", "in")
    assert plan["train", "net", "in"].after == (("pack", "in", "train"),)
    assert plan["evaluate", "net", "in"].after == (("train", "net", "in"),)


def test_staged_shards_are_those_of_training_and_validation():
    def staged(**changes):
        [group] = plan_study(study(**changes), [PlannedJob("train", {"model": "net", "regime": "in", "seed": "0"})])
        return group.staged

    assert staged() == 0
    assert staged(stage_shards=True) == pytest.approx((320 + 32) * image_bytes(study(), "in"))


def test_jobs_share_cores_and_gpus_and_wait_for_their_inputs():
    pack = JobGroup(("pack",), 4, 10.0, written=5.0)
    assert simulate_schedule([pack], cpus=1, gpus=0).seconds == 40
    assert simulate_schedule([pack], cpus=3, gpus=0).seconds == 20
    assert simulate_schedule([pack], cpus=4, gpus=0, start=1.0).seconds == 11
    train = JobGroup(("train",), 2, 7.0, cpus=8, gpus=1, scratch=100.0, staged=30.0, after=(("pack",),))
    schedule = simulate_schedule([pack, train], cpus=4, gpus=2)
    assert schedule.seconds == 10 + 2 * 7  # the two trainings run in turn, because each takes all cores
    assert (schedule.checkpoints, schedule.drafts, schedule.staged) == (100, 4 * 5, 30)
    spread = JobGroup(("train",), 1, 7.0, cpus=8, staged=30.0, nodes=4)
    assert simulate_schedule([spread], cpus=8, gpus=0).staged == 4 * 30
    assert simulate_schedule([pack, train], cpus=16, gpus=2).seconds == 10 + 7
    assert simulate_schedule([pack, train], cpus=16, gpus=1).seconds == 10 + 2 * 7


def test_a_job_with_more_gpus_than_exist_is_an_error_with_both_numbers():
    with pytest.raises(UserError, match="1 GPUs: a job of train net in takes 2; plan with at least as many"):
        simulate_schedule([JobGroup(("train", "net", "in"), 1, 1.0, gpus=2)], cpus=9, gpus=1)


# Words


def test_the_table_adds_rules_up_to_stages_and_to_a_total():
    plan = [
        JobGroup(("scan", "in"), 1, 3.6, images=5),
        JobGroup(("pack", "in", "train"), 2, 3600.0, images=5, files=2, written=1e6),
        JobGroup(("train", "net", "in"), 3, 7200.0, images=30, cpus=2, gpus=1, files=3, written=1e9),
    ]
    assert format_plan(plan).splitlines() == [
        "          jobs  images  core-hours  GPU-hours  files  written",
        "images       3                 2.0                 5     2 MB",
        "  scan       1       5       0.001                 1      0 B",
        "  pack       2       5         2.0                 4     2 MB",
        "training     3                  12        6.0      9     3 GB",
        "  train      3      30          12        6.0      9     3 GB",
        "total        6                  14        6.0     14     3 GB",
    ]
    assert sum_groups(plan).written == 3.002e9


def test_times_and_sizes_have_suitable_units():
    assert [format_duration(seconds) for seconds in (59, 600, 9000, 1e6)] == [
        "59 s",
        "10 minutes",
        "2.5 hours",
        "11.6 days",
    ]
    assert [format_bytes(count) for count in (12, 3400, 5.6e10, 1.25e12)] == ["12 B", "3.4 kB", "56 GB", "1.25 TB"]


def test_every_throughput_has_its_source():
    config = study()
    jobs = [
        PlannedJob("train", {"model": "net", "regime": "in", "seed": "0"}),
        PlannedJob("evaluate", {"observer": "net_in_seed0"}),
    ]
    plan = plan_study(config, jobs, measurements(train={"net": 310}))
    text = "\n".join(list_assumptions(config, plan, measurements(), 1))
    assert "training net: 310 images a second (given in the config)" in text
    assert "evaluating net: " in text and "0.668 GFLOP an image (counted) at 50 GFLOP/s" in text
    assert "at most 2 epochs; `patience` may end a run earlier" in text
    measured = Measurements({("show", "net"): Throughput(20, "measured on this machine")})
    assert "20 images a second (measured on this machine)" in "\n".join(
        list_assumptions(config, plan_study(config, jobs, measured), measured, 1)
    )


def test_assumed_numbers_of_images_and_shared_training_are_named():
    config = study(
        sources={"in": {"kind": "ilsvrc", "folder": "x", "per_class": {"train": "all", "val": 1, "test": 2}}},
        styles={"drawn": {"kind": "synthetic", "count": 5}},
        regimes={"in": {"train_on": ["in"], "training": {"ranks": 2}}},
        benchmarks={"edges": {"kind": "edges", "folder": "gone"}, "in_test": {"kind": "in_test", "images": "in"}},
    )
    sentences = list_assumptions(config, [], Measurements(), 1)
    assert "sources.in: 1,300 images a class assumed, as per_class is all" in sentences
    assert "benchmarks edges: as many images as were published" in sentences
    assert "training: ranks share the work without loss" in sentences
    assert not any(sentence.startswith("styles.drawn") for sentence in sentences)
    sentences = list_assumptions(config, [], Measurements(folder_sizes={"benchmarks.edges": 7}), 1)
    assert not any("published" in sentence for sentence in sentences)


def test_planned_and_measured_seconds_are_compared_job_by_job():
    plan = [JobGroup(("pack", "a"), 2, 10.0), JobGroup(("pack", "b"), 2, 30.0), JobGroup(("tables",), 1, 5.0)]
    text, ratio = compare_timings(plan, {"pack": [25.0, 35.0], "tables": [6.0]})
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["pack", "2", "4", "40", "60", "1.50"]  # two of four have finished; the mean plan is 20 s
    assert lines[-1] == ["total", "3", "5", "45", "66", "1.47"]
    assert ratio == pytest.approx(66 / 45)
    assert compare_timings(plan, {"tables": [6.0], "of_another_study": [1.0]})[0].splitlines()[-1].split()[1] == "1"


@pytest.mark.parametrize(
    ("stage", "name", "message"),
    [
        ("train", "nett", "throughputs.train: 'nett' is no model; did you mean 'net'?"),
        ("stylize", "adain", "throughputs.stylize: 'adain' is no stylizer; allowed: ghiasi"),
        ("pack", "out", "throughputs.pack: 'out' is no source or set of styles; allowed: in"),
    ],
)
def test_a_throughput_with_an_unknown_name_is_an_error(stage, name, message):
    with pytest.raises(UserError) as error:
        study(throughputs={stage: {name: 1.0}})
    assert message in str(error.value)


def test_planning_imports_no_torch():
    code = "import sys, shapebias.planning.plan, shapebias.planning.summary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT / "src").returncode == 0
