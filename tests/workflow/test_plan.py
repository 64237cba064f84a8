"""Dry runs: the graph follows from the config, and an error in the config stops it before the first job."""

import re
import shutil

import pytest
import yaml
from workspaces import job_counts

RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture
def demo(demo_config):
    """A copy of the demo's config, which a test may change."""
    return demo_config()


def test_the_demo_has_the_expected_number_of_jobs_for_each_rule(workspace, demo):
    jobs = workspace().plan(demo)
    models, regimes, seeds = len(demo["models"]), len(demo["regimes"]), len(demo["seeds"])
    assert jobs["train"] == models * regimes * seeds == 16
    assert jobs["evaluate"] == 16  # every benchmark and the read-out in one job
    assert jobs["pack"] == 2 + 1 + 1 + 1 + 1 + 1 + 1  # in: train, val, test; silhouettes; edges; anagrams; paintings
    assert jobs["stylize"] == (2 + 1 + 1) + 1  # sin: train, val, test; conflict: test
    assert jobs["encode_styles"] == 1 + 1  # paintings; the photographs of the test split
    assert jobs["checksums"] == 2 * 3 + 4  # in and sin: train, val, test; conflict, silhouettes, edges, anagrams: test
    assert jobs["catalogue"] == 5 + 2
    assert jobs["scan"] == 0  # all images are drawn
    assert jobs["tables"] == jobs["figures"] == jobs["report"] == jobs["track"] == 1
    assert jobs["total"] <= 72
    assert "track" not in workspace().plan(demo | {"wandb": {"mode": "disabled"}})


def test_seeds_shards_and_models_multiply_the_jobs(workspace, demo):
    demo["seeds"] = [0, 1, 2]
    demo["models"] = {"resnet": demo["models"]["resnet"]}
    demo["sources"]["in"]["shards"] = {"train": 7, "val": 2, "test": 3}
    jobs = workspace().plan(demo)
    assert jobs["train"] == 1 * 4 * 3
    assert jobs["stylize"] == (7 + 2 + 3) + 3


def test_only_melanoma_runs_are_evaluated_on_melanoma_benchmarks_and_on_no_other(workspace, demo):
    place = workspace()
    demo["models"] = {"resnet": demo["models"]["resnet"]}
    demo["sources"]["isic"] = {"kind": "isic2017", "folder": str(place.folder), "shards": {"train": 2}}
    demo["regimes"] = {"in": {"train_on": ["in"]}, "mela_in": {"train_on": ["isic"], "init": "in"}}
    demo["regimes"]["mela_imagenet"] = {"train_on": ["isic"], "init": "pretrained"}
    demo["benchmarks"] |= {"mela": {"kind": "melanoma", "images": "isic"}}
    jobs = place.plan(demo)
    assert (jobs["train"], jobs["evaluate"], jobs["evaluate_melanoma"]) == (3, 1, 2)
    output = place.snakemake("-n", "-p", config=demo).stdout
    predicted = set(re.findall(r"--out '?results/predictions/(\w+)/(\w+)\.parquet", output))
    others = {(name, "resnet_in_seed0") for name in demo["benchmarks"] if name != "mela"}
    lesions = {("mela", f"resnet_{regime}_seed0") for regime in ("mela_in", "mela_imagenet")}
    assert predicted == others | lesions
    assert "--melanoma-baseline mela_imagenet" in output
    assert "results/predictions/mela/resnet_mela_in_seed0.csv" not in output
    assert "results/figures/melanoma.mela.svg" in output and "results/tables/melanoma.csv" in output


def test_a_regime_starts_from_the_weights_of_another_with_its_own_recipe(workspace, demo):
    # The third network of Geirhos et al.: trained on both kinds of images, then fine-tuned on photographs.
    demo["models"] = {"resnet": {"timm": "resnet10t"}}
    fine = {"epochs": 60, "lr": 0.01, "schedule": "step", "step_epochs": 30, "warmup_epochs": 0}
    demo["regimes"] = {
        "model_c": {"train_on": ["in"], "init": "combined", "training": fine},
        "combined": {"train_on": ["in", "sin"], "training": {"epochs": 45}},
        "top": {"train_on": ["sin"], "init": "model_c", "trainable": 2},
    }
    output = workspace().snakemake("-n", "-p", config=demo).stdout
    commands = {name: next(c for c in output.splitlines() if f"--regime {name} " in c) for name in demo["regimes"]}
    assert "--init scratch" in commands["combined"] and "--epochs 45" in commands["combined"]
    assert "--init results/runs/resnet/combined/seed0/model.safetensors" in commands["model_c"]
    assert "--epochs 60" in commands["model_c"] and "--lr 0.01" in commands["model_c"]
    assert "--step-epochs 30" in commands["model_c"]
    assert "--init results/runs/resnet/model_c/seed0/model.safetensors" in commands["top"]
    assert "--trainable 2" in commands["top"]


def test_ranks_and_workers_determine_cpus_and_gpus(workspace, demo):
    demo["models"], demo["gpus"] = {"resnet": demo["models"]["resnet"]}, 1
    demo["regimes"] = {"in": {"train_on": ["in"], "training": {"ranks": 2, "workers": 3}}}
    output = workspace().snakemake("-n", "-p", "--cores", "16", "--resources", "gpus=8", config=demo).stdout
    job = next(text for name, text in RULE.findall(output) if name == "train")
    assert "threads: 8" in job  # two ranks, each with one computing thread and three workers
    assert "gpus=2" in job
    # MB of each rank: 4,000, 600 per worker, and little for the labels of these few images.
    assert 2 * 5800 < int(re.findall(r"mem_mb=(\d+)", job)[0]) < 2 * 6000
    command = next(line for line in output.splitlines() if "train.py" in line)
    assert "--ranks 2 --workers 3 --cpus 4 --device cuda" in command  # CPUs of a rank
    assert " launch 2 1 4 " in command  # ranks, nodes, CPUs of a rank: workflow/launch.sh


def test_a_study_of_melanoma_needs_no_other_benchmark(workspace, demo):
    place = workspace()
    isic = {"kind": "isic2017", "folder": str(place.folder)}
    only = {"sources": {"isic": isic}, "regimes": {"mela": {"train_on": ["isic"]}}, "stylized": {}, "styles": {}}
    jobs = place.plan(demo | only | {"benchmarks": {"mela": {"kind": "melanoma", "images": "isic"}}})
    assert (jobs["evaluate_melanoma"], jobs["evaluate"], jobs["report"]) == (4, 0, 1)


def test_the_target_figures_makes_no_report(workspace, demo):
    jobs = workspace().plan(demo, "figures")
    assert jobs["figures"] == 1
    assert "report" not in jobs


def test_a_study_of_an_observer_trains_nothing(workspace, demo):
    del demo["models"], demo["regimes"], demo["stylized"]["sin"], demo["styles"], demo["benchmarks"]["sin_test"]
    demo["observers"] = {"mine": {"timm": "resnet18"}}
    jobs = workspace().plan(demo)
    assert jobs["evaluate"] == 1
    assert "train" not in jobs


def test_configfile_replaces_the_default_config(workspace, demo):
    demo["models"] = {"only": demo["models"]["resnet"]}
    for profile in ("local", "slurm"):
        assert workspace().plan(demo, profile=profile)["train"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["training"].update(epoch=3), "unknown key 'training.epoch'; did you mean 'epochs'?"),
        (lambda c: c["training"].update(lr="fast"), "training.lr: 'fast' is not a number"),
        (
            lambda c: c["models"].update(x={"timm": "resnet10"}),
            "timm has no network 'resnet10'; did you mean resnet10t",
        ),
        (lambda c: c["regimes"]["sin"].update(init="inn"), "regimes.sin.init: 'inn' is no start; did you mean 'in'?"),
        (lambda c: c["regimes"]["in"].update(init="sin"), "goes in a circle: in ← sin ← in"),
        (
            lambda c: c["sources"].update(p={"kind": "imagefolder", "folder": "gone", "per_class": {"test": 1}}),
            "gone does",
        ),
    ],
)
def test_an_error_in_the_config_is_one_line_that_names_the_key(workspace, demo, change, message):
    change(demo)
    place = workspace()
    done = place.snakemake(config=demo)
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert not (place.folder / "results").exists()


def test_every_rule_that_runs_a_script_has_log_environment_and_resources(repository):
    rules = {}
    for path in sorted((repository / "workflow/rules").glob("*.smk")):
        rules |= dict(RULE.findall(path.read_text()))
    assert {"scan", "pack", "stylize", "train", "evaluate", "tables", "figures", "report"} <= set(rules)
    for name, body in rules.items():
        if "    shell:" not in body:
            continue  # a target
        for part in ("log:", "conda:", "threads:", "resources:"):
            assert f"    {part}" in body, f"rule {name} has no {part}"
        script = re.search(r"SCRIPTS\W+(\w+)\.py", body)
        if script:
            # A rule, its script and its log bear one name; several rules of one script begin with it.
            assert name == script[1] or name.startswith(f"{script[1]}_")
            assert (repository / "scripts" / f"{script[1]}.py").exists()
            assert f"logs/{name}" in body


@pytest.mark.parametrize("name", ["paper", "melanoma", "tiny-imagenet", "stylizer", "model-vs-human"])
def test_a_study_has_the_same_jobs_with_and_without_a_profile_beside_another_config_file(
    workspace, repository, shared_data, demo, name
):
    """A job has no profile. Without a profile, too, the folder's `config.yaml` must not change another study."""
    place, study = workspace(), repository / f"experiments/{name}.yaml"
    place.put_data(yaml.safe_load(study.read_text()), shared_data)
    (place.folder / "config.yaml").write_text(yaml.safe_dump(demo))
    renamed = place.folder / "my study.yaml"
    renamed.write_text(study.read_text())
    pages = [
        place.snakemake("-n", "-p", "--cores", "4", "--configfile", str(renamed), profile=profile).stdout
        for profile in ("local", None)
    ]
    jobs, same_jobs = (sorted(re.findall(r"^    output: (.*)$", page, re.MULTILINE)) for page in pages)
    assert jobs == same_jobs and len(jobs) > 5


def test_values_on_the_command_line_change_the_study(workspace, demo):
    """The values include nested ones and paths with spaces."""
    place = workspace()
    (place.folder / "my photographs/cat").mkdir(parents=True)
    (place.folder / "my photographs/cat/1.jpg").touch()
    demo["sources"]["own"] = {"kind": "imagefolder", "folder": "somewhere", "per_class": {"test": 1}}
    demo["benchmarks"]["own"] = {"kind": "in_test", "images": "own"}
    demo["models"], demo["regimes"] = {"resnet": {"timm": "resnet10t"}}, {"in": {"train_on": ["in"]}}
    changes = ["seeds=[7]", "training={epochs: 3}", f"data_root={place.folder}"]
    changes.append("sources={'own': {'folder': 'my photographs'}}")
    page = place.snakemake("-n", "-p", "--config", *changes, config=demo).stdout
    assert "--epochs 3 " in page and "--seed 7 " in page
    assert f"--folder '{place.folder}/my photographs'" in page


def test_gatys_stylizes_with_the_settings_and_the_part_of_styles_of_the_config(workspace, demo):
    place = workspace()
    (place.folder / "w.pth").touch()
    (place.folder / "masks/test/cat").mkdir(parents=True)
    settings = {"timm": "torchvision/squeezenet1_1", "content_layers": ["features.9"], "style_layers": ["a", "b"]}
    entry = {"kind": "gatys", "weights": "w.pth", "style_masks": "masks", "style_crop": 0.5, "steps": 7}
    demo["stylizers"] = {"own": entry | settings}
    demo["stylized"]["conflict"]["stylizer"] = "own"
    page = place.snakemake("-n", "-p", "results/images/conflict/manifest.csv", config=demo).stdout
    [copied] = re.findall(r"download\.py --source .*w\.pth --out (\S+)", page)
    options = f"--stylizer gatys --weights {copied} --threads 1 --workers 0 --timm torchvision/squeezenet1_1"
    options += " --content-layers features.9 --style-layers a b --content-weight 1.0 --style-weight 1000.0 --steps 7"
    assert page.count(f" {options} ") == 2  # styles are encoded, and photographs stylized
    assert page.count(f"{options} --style-crop 0.5 --style-masks masks ") == 1
    assert re.findall(r"^    input: results/images/in/test/.*, masks$", page, re.MULTILINE)  # changed masks count


def test_all_experiments_are_valid(workspace, repository, shared_data):
    for path in sorted((repository / "experiments").glob("*.yaml")):
        place, config = workspace(), yaml.safe_load(path.read_text())
        place.put_data(config, shared_data)
        assert place.plan(config)["report"] == 1


def test_all_experiments_can_be_planned_before_their_data_exist(workspace, repository):
    for path in sorted((repository / "experiments").glob("*.yaml")):
        if path.stem == "paper":  # the next test
            continue
        done = workspace().snakemake("-n", config=yaml.safe_load(path.read_text()))
        assert done.returncode == 0, f"{path.name}: {done.stdout}"
        assert "Error" not in done.stdout, path.name


def test_the_paper_s_study_can_be_planned_before_its_data_exist(paper_page):
    assert "Error" not in paper_page
    assert "sources.in.folder: imagenet does not exist" in paper_page
    jobs = job_counts(paper_page)
    photographs = 104 + 11 + 11  # 207 classes × 500, 50, 50 images, with 1,000 in a shard
    assert jobs["pack"] == photographs + 80
    assert jobs["stylize"] == (104 + 11 + 11) + 11  # sin: train, val, test; conflict: test
    assert jobs["encode_styles"] == 80 + 11  # paintings; the photographs of the test split
    assert jobs["train"] == 5 * 4 * 3
    assert (
        jobs["evaluate"] == 5 * 4 * 3 + 5 + 2 + 5
    )  # runs; pretrained: the same five, AlexNet, VGG-16; five of Geirhos et al.
    assert (jobs["download_stimuli"], jobs["download_decisions"], jobs["download_weights"]) == (1, 1, 2)
    assert jobs["download_network"] == 5 + 2 + 5  # a model and an observer with the same weights share a file


def test_initial_weights_are_downloaded_once_or_read_from_a_local_file(workspace, demo):
    net = {"timm": "torchvision/resnet18", "weights": "https://x.org/net-0123abcd.pth.tar?v=1"}
    net["weights_sha256"] = "0123abcd"
    place = workspace()
    (place.folder / "mine.pth").touch()
    demo["models"] = {"url": net, "file": {"timm": "resnet10t", "weights": "mine.pth"}, "none": {"timm": "resnet10t"}}
    demo["models"]["package"] = {"timm": "resnet10t", "weights": "package:timm/x.pth"}
    demo["observers"] = {"same": net}
    demo["regimes"] = {"in": {"train_on": ["in"], "init": "pretrained"}, "new": {"train_on": ["in"]}}
    output = place.snakemake("-n", "-p", config=demo).stdout
    starts = {model: init for init, model in re.findall(r"train\.py.*--init (\S+).*--model (\w+) --regime in", output)}
    fetched = "results/downloads/networks/net-0123abcd.pth.tar"
    published = "results/downloads/pretrained/resnet10t.safetensors"
    assert starts == {"url": fetched, "file": "mine.pth", "none": published, "package": "package:timm/x.pth"}
    assert output.count(f"download_pretrained.py --timm resnet10t --kwargs '{{}}' --out {published}") == 1
    assert set(re.findall(r"train\.py.*--init (\S+).*--regime new", output)) == {"scratch"}
    assert f"--weights {fetched} --observer same" in output
    assert output.count(f"--sha256 0123abcd --out {fetched}") == 1


def test_a_dry_run_works_without_slurm(workspace, demo, tmp_path, monkeypatch):
    for tool in ("bash", "which"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert workspace().plan(demo, profile="slurm")["report"] == 1


def test_a_run_depends_on_one_checksum_file_per_split_which_depends_on_every_shard(workspace, demo):
    demo["sources"]["in"]["shards"]["test"] = 2
    demo["models"] = {"resnet": demo["models"]["resnet"]}
    output = workspace().snakemake("-n", "-p", config=demo).stdout
    jobs = re.findall(r"^    input: (.*)\n    output: ([^, \n]*)", output, re.MULTILINE)
    inputs = {output: set(files.split(", ")) for files, output in jobs}
    sums = "results/images/in/{}/sha256sums.txt".format
    assert inputs["results/runs/resnet/in/seed0/model.safetensors"] == {sums("train"), sums("val")}
    assert inputs[sums("train")] == {f"results/images/in/train/{shard}.tar" for shard in range(2)}
    first = min(demo["benchmarks"])  # the config file of a workspace is in the order of names
    assert sums("test") in inputs[f"results/predictions/{first}/resnet_in_seed0.parquet"]
    vectors = "results/style_vectors/ghiasi/in/test/sha256sums.txt"
    assert inputs["results/images/conflict/test/0.tar"] == {"results/images/in/test/0.tar", vectors}
    assert inputs[vectors] == {f"results/style_vectors/ghiasi/in/test/{shard}.safetensors" for shard in range(2)}


def test_missing_photographs_stop_a_run_before_its_first_job(workspace, repository):
    place = workspace()
    done = place.snakemake(config=yaml.safe_load((repository / "experiments/paper.yaml").read_text()))
    assert done.returncode == 1
    assert "sources.in.folder: imagenet does not exist (data_root is .)" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (place.folder / "results").exists()


def test_a_job_s_time_limit_grows_with_its_shard(workspace, demo):
    def minutes(shards):
        demo["sources"]["in"]["shards"]["train"] = shards
        output = workspace().snakemake("-n", "-p", config=demo).stdout
        return max(int(m) for m in re.findall(r"rule stylize:.*?runtime=(\d+)", output, re.DOTALL))

    demo["sources"]["in"]["per_class"]["train"] = 2000
    assert minutes(1) > 2 * minutes(8)


def test_each_attempt_of_a_job_has_more_time_and_memory(workspace, demo):
    outputs = [workspace().snakemake("-n", "-p", "--attempt", attempt, config=demo).stdout for attempt in ("1", "2")]

    def requests(resource, output):
        job = rf"^ *rule (\w+):\n(?: +.*\n)*? +resources: .*?{resource}=(\d+)"
        return {rule: int(number) for rule, number in re.findall(job, output, re.MULTILINE)}

    # Training without a configured throughput gets a day, and resumes at the next attempt.
    for resource, constant in (("runtime", {"train"}), ("mem_mb", set())):
        first, second = (requests(resource, output) for output in outputs)
        assert {"pack", "train", "evaluate", "tables", "report"} <= set(first)
        assert {rule for rule in first if second[rule] <= first[rule]} == constant


def test_a_folder_with_spaces_is_one_word_of_the_command(workspace, demo):
    place = workspace()
    folder = place.folder / "my photographs"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").touch()
    demo["sources"]["own"] = {"kind": "imagefolder", "folder": str(folder), "per_class": {"test": 1}}
    demo["benchmarks"]["own"] = {"kind": "in_test", "images": "own"}
    done = place.snakemake("-n", "-p", config=demo)
    assert done.returncode == 0, done.stdout
    assert f"--folder '{folder}'" in done.stdout
