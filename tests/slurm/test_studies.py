"""The command of the README on a cluster: a small version of each study of experiments/, from a clone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, TINY_RESNET, tiny_resnet
from safetensors.torch import save_file

# The last file of each study.
TARGETS = {
    "paper": "results/runs/resnet50/sin/seed123/model.safetensors",
    "melanoma": "results/predictions/mela/resnet50_mela_imagenet_seed123.parquet",
    "tiny-imagenet": "results/images/conflict/manifest.csv",
    "stylizer": "results/images/sin/manifest.csv",
    "model-vs-human": "results/predictions/cue-conflict/torchvision_resnet50.csv",
}


def clone(target: Path) -> Path:
    """Copy the files of this checkout that git does not ignore, as `git clone` does."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    return target


def put_data(root: Path, shared: Path) -> None:
    """Put a few real files and the weights of a tiny network where the experiments expect them."""
    for wnid in sorted(path.name for path in (shared / "tiny-imagenet/train").iterdir())[:4]:
        photographs = sorted((shared / "tiny-imagenet/train" / wnid).iterdir())[:5]
        for layout in (f"imagenet/train/{wnid}", f"tiny-imagenet/train/{wnid}"):
            copy(photographs[:3], root / layout)
        copy(photographs[3:], root / "tiny-imagenet/val" / wnid)
    copy(sorted((shared / "paintings").iterdir())[:3], root / "painter-by-numbers/train")
    (root / "paintings").symlink_to(root / "painter-by-numbers/train")
    (root / "isic2017").symlink_to(shared / "isic2017")
    for kind in ("cue-conflict", "silhouettes", "edges"):
        for category in sorted((shared / "stimuli" / kind).iterdir())[:4]:
            copy(sorted(category.iterdir())[:2], root / "stimuli" / kind / category.name)
    (root / "observers").symlink_to(shared / "observers")
    save_file(tiny_resnet(classes=1000).state_dict(), root / "tiny weights.safetensors")


def copy(paths: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copy(path, folder)


def shrink(study: dict) -> dict:
    """Reduce a study to few images and steps, one tiny network and one seed, without downloads and GPU."""
    tiny = {"timm": "resnet10t", "kwargs": TINY_RESNET, "weights": "tiny weights.safetensors"}
    study |= {"image_size": 48, "input_size": 32, "gpus": 0, "max_rejected": 0.1}
    study["seeds"] = study.get("seeds", [0])[:1]
    for name, source in study.get("sources", {}).items():
        source.pop("shards", None)
        if name == "in":
            source["per_class"] = {"train": 1, "val": 1, "test": 1}
        if source["kind"] == "ilsvrc":
            source["classes"] = "present"
    for style in study.get("styles", {}).values():
        style |= {"size": 64} | ({"count": 3} if style["kind"] == "synthetic" else {"shards": 1})
    for stylizer in study.get("stylizers", {}).values():
        if "training" in stylizer:
            stylizer["training"] |= {"steps": 2, "resize": 48, "size": 32}
    for entry in study.get("stylized", {}).values():
        entry.pop("crop", None)
        if entry.get("stylizer") == "adain":
            del entry["stylizer"]
    study.get("stylizers", {}).pop("adain", None)
    study["models"] = dict.fromkeys(list(study.get("models", {}))[:1], tiny)
    for recipe in (study.get("training", {}), *(r.get("training", {}) for r in study.get("regimes", {}).values())):
        recipe |= {"epochs": 1, "batch_size": 4} | ({"workers": 0} if "workers" in recipe else {})
    study["evaluation"] = {"workers": 0}
    sets = {"cue_conflict": "cue-conflict", "silhouettes": "silhouettes", "edges": "edges"}
    study["benchmarks"] = {
        name: benchmark | ({"folder": f"stimuli/{sets[benchmark['kind']]}"} if "folder" in benchmark else {})
        for name, benchmark in study["benchmarks"].items()
        if "images" in benchmark or benchmark["kind"] in sets
    }
    observers = study.get("observers", {})
    networks = [name for name, entry in observers.items() if "timm" in entry][:1]
    people = {name: entry | {"decisions": "observers"} for name, entry in observers.items() if "decisions" in entry}
    conflicts = {name for name, benchmark in study["benchmarks"].items() if benchmark["kind"] == "cue_conflict"}
    study["observers"] = dict.fromkeys(networks, tiny) | {
        name: entry for name, entry in people.items() if entry["benchmark"] in conflicts
    }
    return study


@pytest.mark.parametrize("name", TARGETS)
def test_a_study_of_the_experiments_folder_runs_with_the_command_of_the_readme(
    cluster, shared_data, tmp_path_factory, name
):
    """Repository, study, photographs and results lie in four folders, each with a space in its name.

    The study of the paper runs in the repository itself, whose config.yaml is another study.
    """
    place = tmp_path_factory.mktemp("studies")
    repository, data, studies = clone(place / "my clone"), place / "my data", place / "my studies"
    working = repository if name == "paper" else place / "my results"
    (repository / ".venv").symlink_to(Path(sys.prefix))  # like that of `make setup`, in a folder with a space
    put_data(data, shared_data)
    studies.mkdir()
    working.mkdir(exist_ok=True)
    text = (repository / f"experiments/{name}.yaml").read_text()
    (studies / f"my {name}.yaml").write_text(yaml.safe_dump(shrink(yaml.safe_load(text))))
    done = cluster.run(
        *(
            "env",
            f"PYTHONPATH={repository / 'src'}",
            repository / ".venv/bin/python",
            "-m",
            "snakemake",
            TARGETS[name],
        ),
        *("--snakefile", repository / "Snakefile", "--profile", repository / "profiles/slurm"),
        *("--configfile", studies / f"my {name}.yaml", "--config", f"data_root={data}"),
        *("title='A study in small'", "training={epochs: 1}"),
        cwd=working,
        check=False,
    )
    assert (working / TARGETS[name]).exists(), done
    # A busy machine may lose a node of this small cluster, which the profile's retries mend. No job fails otherwise.
    ends = re.findall(r"ended as (\w+)", done)
    assert {*ends} <= {"NODE_FAIL"}, done
    assert ends or "error" not in done.lower()
