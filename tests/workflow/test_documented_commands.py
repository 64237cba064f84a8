"""Commands of the README and the pages: dry runs of the workflow, and real runs of the scripts for measuring."""

import subprocess
import sys

import pytest
import timm
import yaml
from documents import BLOCKS, COMMANDS, person_csv
from helpers import ENV, ROOT, image_folder, picture
from safetensors.torch import save_file
from snakemake.cli import main as snakemake_main
from workspaces import run_forked

# These need programs or data that test machines lack. tests/unit/test_docs.py checks their options.
NOT_RUN = {
    "--containerize": "writes for each environment what conda would install",
    "--report": "needs results",
    "--software-deployment-method": "asks conda",
}
# Pages whose commands of scripts run.
EXECUTED = ("README.md", "docs/measuring.md", "docs/networks.md", "docs/stylizing.md")
NEED_WEIGHTS = {"adain", "gatys"}


def published_data(study):
    """Yield folders and archives of stimuli and decisions in a study, which must exist before a dry run."""
    entries = [*study["benchmarks"].values(), *study.get("observers", {}).values()]
    paths = [entry.get("folder") or entry.get("decisions") or "" for entry in entries]
    return [path for path in paths if path and not path.startswith("download:")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a writable copy of this checkout with the files of the pages: studies, stimuli, photographs."""
    place = tmp_path_factory.mktemp("documented")
    for name in ("Snakefile", "config.yaml", "experiments", "profiles", "workflow", "scripts", "src", "envs"):
        (place / name).symlink_to(ROOT / name)
    for block in BLOCKS:
        if block.kind == "yaml" and block.title:
            (place / block.title).write_text(block.text)
    for study in (ROOT / "experiments").glob("*.yaml"):
        for path in published_data(yaml.safe_load(study.read_text())):
            (place / "FOLDER" / path).mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(["cat/cat1-bird1", "cat/cat2-car1", "bird/bird1-cat2"]):
        path = place / f"STIMULI/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(k, (224, 224)).save(path)
    image_folder(place / "SILHOUETTES", {"cat": 2, "dog": 2}, size=64)
    image_folder(place / "PHOTOS", {"cat": 2}, size=64)
    image_folder(place / "PHOTOGRAPHS", {"bird": 2, "cat": 3}, size=64)
    image_folder(place / "PAINTINGS", {"painted": 2}, size=64)
    (place / "observers").mkdir()
    for person in ("subject-01", "subject-02"):
        person_csv(place / f"observers/{person}.csv", person)
    save_file(timm.create_model("resnet50").state_dict(), place / "my.safetensors")
    return place


def run_at(place, *words):
    done = subprocess.run([sys.executable, *words], cwd=place, env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def dry_runs():
    """Return the words of each workflow command, after `snakemake` and with -n → the block of the command."""
    blocks_of_words = {}
    for command in COMMANDS:
        if command.words[0] == "snakemake" and not NOT_RUN.keys() & set(command.words):
            words = [word.replace("REPO", ".") for word in command.words[1:]]
            words = words if "-n" in words else ["-n", *words]
            blocks_of_words.setdefault(tuple(words), str(command.block))
    return blocks_of_words


@pytest.mark.parametrize("words", dry_runs(), ids=" ".join)
def test_a_workflow_command_plans_jobs(checkout, words):
    done = run_forked(snakemake_main, checkout, ["snakemake", *words])
    assert done.returncode == 0, done.stdout


def test_commands_of_scripts_run_as_documented(checkout):
    calls = [command.words for command in COMMANDS if command.block.page in EXECUTED]
    calls = [words for words in dict.fromkeys(calls) if words[0].startswith("scripts/")]
    calls = [words for words in calls if NEED_WEIGHTS.isdisjoint(words)]
    scripts = ("evaluate", "shape_bias", "report", "stylize", "tables")
    assert {words[0] for words in calls} == {f"scripts/{name}.py" for name in scripts}
    for words in calls:
        run_at(checkout, *words)
