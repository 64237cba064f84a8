"""What a cluster refuses is said before the first job, with the setting to change; what it takes, it takes whole."""

import os
import signal
import time

import pytest
import yaml
from helpers import ROOT


def demo():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def refused(done):
    """The words of a run that ended before its first job, without a traceback."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout and "Submitted" not in done.stdout and "has been submitted" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("slurm_partition=gpu", ["-p gpu", "main*", "urgent", "default-resources"]),
        ("slurm_account=nobody", ["-A nobody", "sacctmgr show assoc user=$USER", "default-resources"]),
        ("qos=gold", ["--qos=gold", "sacctmgr show assoc user=$USER"]),
        ("constraint=slow", ["slow", "AVAIL_FEATURES"]),
    ],
)
def test_a_wrong_setting_of_the_profile_is_named_with_what_there_is(on_cluster, setting, named):
    said = refused(on_cluster().snakemake("images", "--default-resources", setting, config=demo(), profile="slurm"))
    for words in named:
        assert words in said


def test_more_gpus_than_any_node_has_are_refused_with_what_nodes_have(on_cluster):
    config = demo()
    config["gpus"], config["training"]["ranks"] = 1, 3
    said = refused(on_cluster().snakemake(config=config, profile="slurm"))
    assert ": rules train" in said and "--gres=gpu:3" in said
    assert "gpu:a100:2" in said and "`ranks`, `nodes` in the config" in said


def test_a_gpu_model_that_no_node_has_is_refused_and_jobs_without_gpus_never_ask_for_it(on_cluster):
    config = demo()
    config["gpus"] = 1
    said = refused(on_cluster().snakemake("--default-resources", "gpu_model=h100", config=config, profile="slurm"))
    assert "gres=gpu:h100:1" in said
    [refusal] = [line for line in said.splitlines() if line.startswith("- ")]
    assert refusal.endswith(": rules evaluate, train")


def test_a_time_limit_that_the_partition_does_not_grant_is_refused(on_cluster):
    said = refused(on_cluster().snakemake("--set-resources", "train:runtime=9999", config=demo(), profile="slurm"))
    assert "it asks for 9999 minutes, the partition grants 2880" in said


def everything():
    """A study with every rule that is ever submitted, on GPUs, over nodes."""
    config = demo()
    config |= {"gpus": 1, "max_rejected": 0.1}
    config["training"] |= {"ranks": 4, "nodes": 2}
    config["sources"]["isic"] = {"kind": "isic2017", "folder": "isic"}
    config["regimes"]["mela"] = {"train_on": ["isic"], "init": "in"}
    config["benchmarks"]["mela"] = {"kind": "melanoma", "images": "isic"}
    training = {"content": "in", "styles": "paintings", "resize": 96, "size": 64, "gpus": 2}
    config["stylizers"] = {"mine": {"encoder": "random", "training": training}}
    config["stylized"]["sin"]["stylizer"] = "mine"
    config["observers"] = {"pretrained": {"timm": "resnet18"}}
    return config


def test_sbatch_takes_the_jobs_of_every_rule(on_cluster):
    place = on_cluster()
    (place.folder / "isic").mkdir()
    arguments = ["--default-resources", "gpu_model=a100", "runtime=60", "--set-resources", "train:runtime=5"]
    running = place.start(*arguments, config=everything(), profile="slurm")
    log, end = place.folder / "started.log", time.monotonic() + 120
    try:
        while "first checkpoint" not in (said := log.read_text()):
            assert running.poll() is None and time.monotonic() < end, said
            time.sleep(0.2)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert "train's runtime of 5 minutes ends before its first checkpoint" in said and "set-resources" in said
    planned = place.plan(None, profile="slurm")
    local = {"all", "settings", "track", "download_pretrained", "total"}
    [count] = {line.rpartition(" of ")[2] for line in said.splitlines() if "sbatch takes all jobs" in line}
    assert count == f"{len(set(planned) - local)} rules."
    assert {"train", "train_stylizer", "evaluate_melanoma", "encode_styles"} <= set(planned)


def test_each_rank_has_its_own_gpu(cluster, tmp_path):
    """srun shows each rank the GPUs of its node; each takes the one of its number there. Slurm hands them out for real;
    that torch would count them is pretended, for want of any.
    """
    script = tmp_path / "which.py"
    script.write_text(
        "import os, socket, sys\n"
        "import torch\n"
        "from shapebias.training import distributed\n"
        "torch.cuda.device_count = lambda: len(os.environ['CUDA_VISIBLE_DEVICES'].split(','))\n"
        "distributed.export_environment()\n"
        "local, world = int(os.environ['LOCAL_RANK']), int(os.environ['LOCAL_WORLD_SIZE'])\n"
        "print(os.environ['SLURMD_NODENAME'], distributed.rank_device('cuda', local, world), os.environ['RANK'])\n"
    )
    options = ["--nodes=2", "--ntasks-per-node=2", "--gres=gpu:2"]
    said = cluster.run("srun", *options, "env", f"PYTHONPATH={ROOT / 'src'}", "python", script).splitlines()
    told = sorted(line.split() for line in said if line.startswith("n"))
    assert [device for _, device, _ in told] == ["cuda:0", "cuda:1"] * 2
    assert len({node for node, _, _ in told}) == 2
    assert sorted(rank for _, _, rank in told) == ["0", "1", "2", "3"]


def test_a_folder_that_nodes_do_not_see_is_named(cluster, on_cluster):
    place = on_cluster()
    place.folder = cluster.folder / "unseen" / "study"
    place.folder.mkdir()
    done = place.snakemake("results/images/paintings/all/0.tar", "--retries", "0", config=demo(), profile="slurm")
    assert done.returncode == 1
    assert f"do the nodes see {place.folder}" in done.stdout
