"""A study that the cluster refuses stops before its first job and names the setting to change."""

import os
import signal
import time

import pytest
import yaml
from helpers import ROOT


def demo():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def refusal_text(done):
    """Return the output of a run that stopped before its first job, without a traceback."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout and "Submitted" not in done.stdout and "has been submitted" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("slurm_partition=gpu", ["-p gpu", "main*", "urgent", "default-resources"]),
        ("slurm_account=nobody", ["-A nobody", "sacctmgr show assoc user=$USER", "default-resources"]),
        ("qos=gold", ["--qos=gold", "sacctmgr show assoc user=$USER"]),
        ("constraint=slow", ["slow", "AVAIL_FEATURES"]),
    ],
)
def test_a_wrong_setting_of_the_profile_is_named_with_the_available_values(cluster_workspace, setting, expected):
    text = refusal_text(
        cluster_workspace().snakemake("images", "--default-resources", setting, config=demo(), profile="slurm")
    )
    for words in expected:
        assert words in text


def test_too_many_gpus_for_any_node_are_refused_with_the_gpus_of_the_nodes(cluster_workspace):
    config = demo()
    config["gpus"], config["training"]["ranks"] = 1, 3
    done = cluster_workspace().snakemake(config=config, profile="slurm")
    text = refusal_text(done)
    assert ": rules train" in text and "--gres=gpu:3" in text
    assert "gpu:a100:2" in text and "`ranks` or `nodes` in the config" in text


def test_an_unknown_gpu_model_is_refused_but_not_for_jobs_without_gpus(cluster_workspace):
    config = demo()
    config["gpus"] = 1
    text = refusal_text(
        cluster_workspace().snakemake("--default-resources", "gpu_model=h100", config=config, profile="slurm")
    )
    assert "gres=gpu:h100:1" in text
    [refusal] = [line for line in text.splitlines() if line.startswith("- ")]
    assert refusal.endswith(": rules evaluate, train")


def test_a_time_limit_beyond_that_of_the_partition_is_refused(cluster_workspace):
    text = refusal_text(
        cluster_workspace().snakemake("--set-resources", "train:runtime=9999", config=demo(), profile="slurm")
    )
    assert "it requests 9999 minutes, the partition allows 2880" in text


def study_with_all_rules():
    """Return a study with all submitted rules, on GPUs and on several nodes."""
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


def test_sbatch_accepts_the_jobs_of_every_rule(cluster_workspace):
    place = cluster_workspace()
    (place.folder / "isic").mkdir()
    (place.folder / "isic/lesion.jpg").touch()
    arguments = ["--default-resources", "gpu_model=a100", "runtime=60", "--set-resources", "train:runtime=5"]
    planned = place.plan(study_with_all_rules(), profile="slurm")  # before any job writes files that a plan could meet
    running = place.start(*arguments, config=study_with_all_rules(), profile="slurm")
    log, end = place.folder / "started.log", time.monotonic() + 120
    try:
        while "first checkpoint" not in (text := log.read_text()):
            assert running.poll() is None and time.monotonic() < end, text
            time.sleep(0.2)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert "train's runtime of 5 minutes ends before its first checkpoint" in text and "set-resources" in text
    local = {"all", "settings", "track", "download_pretrained", "total"}
    [count] = {line.rpartition(" of ")[2] for line in text.splitlines() if "sbatch accepts all jobs" in line}
    assert count == f"{len(set(planned) - local)} rules."
    assert {"train", "train_stylizer", "evaluate_melanoma", "encode_styles"} <= set(planned)


def test_each_rank_has_its_own_gpu(cluster, tmp_path):
    """srun shows each rank the GPUs of its node, and each rank takes the GPU of its local number.

    Slurm really assigns the GPUs. torch.cuda.device_count is replaced, because the test machine has no GPU.
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
    lines = cluster.run("srun", *options, "env", f"PYTHONPATH={ROOT / 'src'}", "python", script).splitlines()
    rows = sorted(line.split() for line in lines if line.startswith("n"))
    assert [device for _, device, _ in rows] == ["cuda:0", "cuda:1"] * 2
    assert len({node for node, _, _ in rows}) == 2
    assert sorted(rank for _, _, rank in rows) == ["0", "1", "2", "3"]


def test_a_folder_that_is_invisible_to_the_nodes_is_named(cluster, cluster_workspace):
    place = cluster_workspace()
    place.folder = cluster.folder / "unseen" / "study"
    place.folder.mkdir()
    done = place.snakemake("results/images/paintings/all/0.tar", "--retries", "0", config=demo(), profile="slurm")
    assert done.returncode == 1
    assert f"can the nodes see {place.folder}" in done.stdout
