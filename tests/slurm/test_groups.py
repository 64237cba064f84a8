"""Groups of jobs, through the commented lines of profiles/slurm/config.yaml."""

import re

import yaml
from helpers import ROOT


def test_a_profile_with_groups_submits_several_shards_as_one_job(cluster, cluster_workspace):
    place = cluster_workspace()
    profile = (ROOT / "profiles/slurm/config.yaml").read_text()
    commented = "".join(re.findall(r"^# (group.*\n)", profile, re.MULTILINE))
    assert set(yaml.safe_load(commented)) == {"groups", "group-components"}
    (place.folder / "grouped").mkdir()
    grouped = re.sub(r"^# (group.*)", r"\1", profile, flags=re.MULTILINE).replace("shards: 10", "shards: 2")
    (place.folder / "grouped/config.yaml").write_text(grouped)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    source = {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}, "shards": {"train": 4}}
    config |= {"image_size": 48, "sources": {"in": source}, "styles": {}, "stylized": {}}
    config["benchmarks"] = {"in_test": {"kind": "in_test", "images": "in"}}
    config["regimes"] = {"in": {"train_on": ["in"]}}
    shards = [f"results/images/in/train/{shard}.tar" for shard in range(4)]
    done = place.snakemake(*shards, "--profile", str(place.folder / "grouped"), config=config, profile=None)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("has been submitted") == 2
    assert all((place.folder / shard).exists() for shard in shards)
