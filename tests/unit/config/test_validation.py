"""The check of a config: defaults, and a message for every mistake before the first job."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from helpers import ROOT, image_folder

from shapebias.config.models import json_schema
from shapebias.config.queries import melanoma_regimes, recipe_of, splits_of
from shapebias.config.validation import check_config, parse_scalars
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.training.recipe import Recipe

SCHEMA = json_schema()
DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture
def config() -> dict[str, Any]:
    """Return the demo's config, which a test may change."""
    return copy.deepcopy(DEMO)


def test_the_demo_is_valid(config):
    before = copy.deepcopy(config)
    check_config(config)
    assert config == before  # defaults are filled into a copy


def test_defaults_are_filled_in(config):
    for key in ("title", "input_size", "seeds", "evaluation"):
        config.pop(key, None)
    config["stylized"]["sin"].pop("strength")
    config["models"]["vit"]["kwargs"]["img_size"] = config["models"]["coatnet"]["kwargs"]["img_size"] = 160
    full = check_config(config)
    assert (full["data_seed"], full["format"], full["max_rejected"], full["gpus"]) == (0, "jpeg", 0.25, 0)
    assert full["input_size"] == full["image_size"] == 160
    assert full["seeds"] == [0]
    assert (
        full["stylized"]["sin"] | {"stylizer": "ghiasi", "strength": 1, "other_category": False}
        == full["stylized"]["sin"]
    )
    assert (full["regimes"]["in"]["init"], full["regimes"]["in"]["trainable"]) == ("scratch", "all")
    assert full["evaluation"] == {"batch_size": 16, "threads": 1, "workers": 0}
    assert full["observers"] == {} and full["sources"]["in"]["appearance"] == "photograph"


def test_a_model_differs_from_the_common_recipe_and_a_regime_from_both(config):
    config["training"] = {"lr": 0.1, "epochs": 8, "patience": 5}
    config["models"]["vit"]["training"] = {"lr": 0.2, "epochs": 9}
    config["regimes"]["frozen"]["training"] = {"epochs": 3}
    full = check_config(config)
    assert recipe_of(full, "vit", "frozen") == {"lr": 0.2, "epochs": 3, "patience": 5}


def test_a_stylized_set_has_its_own_splits_and_a_source_those_of_per_class(config):
    full = check_config(config)
    assert splits_of(full, "conflict") == ["test"]
    assert splits_of(full, "in") == ["train", "val", "test"]


def test_lesions_have_the_splits_of_the_challenge_even_if_stylized(config):
    with_lesions(config)
    config["stylized"]["painted"] = {"content": "isic", "styles": "paintings", "splits": ["train", "val"]}
    config["regimes"]["mela_painted"] = {"train_on": ["isic", "painted"]}
    full = check_config(config)
    assert (splits_of(full, "isic"), splits_of(full, "painted")) == (["train", "val", "test"], ["train", "val"])
    assert melanoma_regimes(full) == ["mela", "mela_painted"]


def test_the_smallest_config_measures_an_observer(tmp_path, config):
    image_folder(tmp_path / "stimuli", {"cat": 1})
    full = check_config(
        {
            "seeds": [0],
            "image_size": 64,
            "data_root": str(tmp_path),
            "sources": config["sources"],
            "benchmarks": {"published": {"kind": "cue_conflict", "folder": "stimuli"}},
            "observers": {"lite": {"timm": "tf_efficientnet_lite0"}},
        }
    )
    assert full["benchmarks"]["published"]["folder"] == str(tmp_path / "stimuli")
    assert full["models"] == full["regimes"] == {}


def test_two_places_that_share_a_yaml_anchor_get_separate_defaults(config):
    """With a YAML anchor, a model and an observer share one entry."""
    shared = {"timm": "torchvision/resnet18", "weights": URL, "weights_sha256": HEX[:8]}
    config["models"]["both"] = shared
    config["observers"] = {"both": shared}
    full = check_config(config)
    assert full["models"]["both"] == shared | {"kwargs": {}, "training": {}}
    assert full["observers"]["both"] == shared | {"kwargs": {}}
    assert len(shared) == 3


def test_benchmarks_of_all_kinds_are_declared_alike(tmp_path, config):
    config["benchmarks"] = {
        name: {"kind": name, "folder": str(tmp_path)} | ({"labels": "labels.csv"} if kind.rule else {})
        for name, kind in KINDS.items()
        if name not in ("suppressed", "melanoma")
    }
    archive = tmp_path / "set.tar.gz"
    archive.write_bytes(b"opened later")
    config["benchmarks"]["rotation"]["folder"] = str(archive)
    config["benchmarks"]["reliance"] = {"kind": "suppressed", "images": "in", "suppress": {"texture": [3]}}
    (tmp_path / "decisions.csv").touch()
    config["observers"] = {"people": {"decisions": str(tmp_path), "benchmark": "false-colour"}}
    full = check_config(config)["benchmarks"]
    assert full["reliance"]["suppress"] == {"shape": [2, 4, 8, 16], "texture": [3], "colour": [1]}
    assert full["rotation"] == {"kind": "rotation", "folder": str(archive), "read_out": False, "protocols": False}


def test_the_schema_knows_the_kinds_of_the_code():
    kinds = SCHEMA["$defs"]["Benchmark"]["properties"]["kind"]["enum"]
    assert kinds == list(KINDS)


def put(path: str, value: Any) -> Callable[[dict], None]:
    """Return a function that sets the key at a dotted path of a config."""

    def set_key(config: dict) -> None:
        *above, last = path.split(".")
        for key in above:
            config = config[key]
        config[last] = value

    return set_key


def drop(path: str) -> Callable[[dict], None]:
    def remove_key(config: dict) -> None:
        *above, last = path.split(".")
        for key in above:
            config = config[key]
        del config[last]

    return remove_key


MELANOMA = {"kind": "melanoma", "images": "isic"}


def with_lesions(config: dict[str, Any]) -> None:
    """Add a regime that learns to recognize melanoma, and its benchmark."""
    config["sources"]["isic"] = {"kind": "isic2017", "folder": "isic2017"}
    config["regimes"]["mela"] = {"train_on": ["isic"], "init": "in"}
    config["benchmarks"]["mela"] = dict(MELANOMA)


SUPPRESSED = {"kind": "suppressed", "images": "in"}
FOLDER = {"kind": "imagefolder", "folder": "nowhere", "per_class": {"test": 1}}

URL = "https://example.org/weights.pth"
HEX = 64 * "0"
TRAINING = {"content": "in", "styles": "paintings", "resize": 96, "size": 64}
GATYS = {"kind": "gatys", "weights": "w.pth"}

MISTAKES = [
    # misspelt keys
    (put("trainig", {}), ["'trainig'", "did you mean 'training'"]),
    (put("training.epoch", 3), ["training.epoch", "did you mean 'epochs'"]),
    (put("models.vit.training.peek_lr", 0.1), ["models.vit.training.peek_lr", "allowed: accumulate"]),
    (put("sources.in.apearance", "edges"), ["sources.in.apearance", "did you mean 'appearance'"]),
    (put("sources.in.folder", "x"), ["sources.in.folder", "allowed: appearance"]),
    # networks and their weights
    (put("models.vit.timm", "torchvision/vit_b_61"), ["models.vit.timm", "torchvision", "did you mean vit_b_16"]),
    (put("models.vit.weights", "package:nothing/x.pth"), ["models.vit.weights", "'nothing' is not installed"]),
    (put("models.vit.weights", URL), ["models.vit.weights_sha256 is missing"]),
    (put("models.vit.weights_sha256", HEX), ["models.vit.weights_sha256", "but for a URL"]),
    (put("models.vit.weights_sha256", "12ab"), ["models.vit.weights_sha256", "'12ab'"]),
    (
        put("observers", {"x": {"timm": "resnet10t", "weights": "https://x.org/", "weights_sha256": HEX}}),
        ["observers.x.weights", "does not end in the name of a file"],
    ),
    (
        put(
            "observers",
            {
                "x": {"timm": "resnet10t", "weights": URL, "weights_sha256": HEX},
                "y": {"timm": "resnet10t", "weights": f"{URL}?v=2", "weights_sha256": HEX},
            },
        ),
        ["observers.y.weights", "called weights.pth too"],
    ),
    (
        lambda config: (
            put("models.vit", {"timm": "torchvision/resnet18"})(config),
            put("regimes.sin.trainable", 2)(config),
        ),
        ["regimes.sin.trainable", "2 layer groups", "models.vit", "all or head"],
    ),
    # missing keys
    (drop("benchmarks"), ["'benchmarks' is missing"]),
    (drop("models.vit.timm"), ["'models.vit.timm' is missing"]),
    (drop("styles.paintings.count"), ["'styles.paintings.count' is missing"]),
    (drop("benchmarks.conflict.images"), ["benchmarks.conflict", "images or folder"]),
    # wrong types and values
    (put("image_size", "96"), ["image_size", "'96'", "integer"]),
    (put("image_size", 8), ["image_size", "8", "16"]),
    (put("seeds", 0), ["seeds", "0", "a list"]),
    (put("seeds", []), ["seeds", "[]"]),
    (put("seeds", [1, 1]), ["seeds", "[1, 1]"]),
    (put("training.lr", "0,1"), ["training.lr", "'0,1'", "number"]),
    (put("training.flip", "yes"), ["training.flip", "'yes'", "true or false"]),
    (put("training.schedule", "cosin"), ["training.schedule", "'cosin'", "did you mean 'cosine'", "step"]),
    (put("sources.in.per_class.train", 0), ["sources.in.per_class.train", "0"]),
    (put("sources.in.kind", "imagenet"), ["sources.in.kind", "'imagenet'", "synthetic, imagefolder"]),
    (put("stylized.sin.stylizer", "gatys"), ["stylized.sin.stylizer", "'gatys'", "ghiasi"]),
    (put("stylized.sin.crop", 256), ["stylized.sin.crop", "256", "image_size, 160"]),
    (put("stylizers", {"ghiasi": {"encoder": "e.pth", "decoder": "d.pth"}}), ["stylizers.ghiasi", "choose another"]),
    (put("stylizers", {"x": {"encoder": "random"}}), ["stylizers.x", "exactly one of: decoder or training"]),
    (put("stylizers", {"x": {"encoder": "random", "decoder": URL, "decoder_sha256": HEX}}), ["x.encoder", "random"]),
    (put("stylizers", {"x": {"encoder": URL, "training": TRAINING}}), ["stylizers.x.encoder_sha256 is missing"]),
    (
        put("stylizers", {"x": {"encoder": "random", "training": TRAINING | {"styles": "painting"}}}),
        ["stylizers.x.training.styles", "'painting'", "did you mean 'paintings'"],
    ),
    (
        put("stylizers", {"x": {"encoder": "random", "training": TRAINING | {"size": 128}}}),
        ["stylizers.x.training.size", "128", "resize, 96"],
    ),
    (
        put("stylizers", {"x": {"encoder": "random", "training": TRAINING | {"resize": 256}}}),
        ["stylizers.x.training.resize", "256", "packed, 160"],
    ),
    (put("stylizers", {"x": GATYS | {"kind": "gaty"}}), ["stylizers.x.kind", "'gaty'", "did you mean 'gatys'"]),
    (put("stylizers", {"x": {"kind": "gatys"}}), ["'stylizers.x.weights' is missing"]),
    (put("stylizers", {"x": GATYS | {"weights": URL}}), ["stylizers.x.weights_sha256 is missing"]),
    (put("stylizers", {"x": GATYS | {"timm": "torchvision/vgg91"}}), ["stylizers.x.timm", "'vgg91'", "vgg19"]),
    (put("stylizers", {"x": GATYS | {"timm": "resnet18"}}), ["stylizers.x.content_layers", "resnet18 has no conv4_2"]),
    (put("stylizers", {"x": GATYS | {"style_layers": []}}), ["stylizers.x.style_layers", "at least 1"]),
    (put("stylizers", {"x": GATYS | {"steps": 0}}), ["stylizers.x.steps", "0"]),
    (put("stylizers", {"x": GATYS | {"style_crop": 0}}), ["stylizers.x.style_crop", "0"]),
    (put("stylizers", {"x": GATYS | {"encoder": "e.pth"}}), ["unknown key 'stylizers.x.encoder'"]),
    (put("benchmarks.x", {"kind": "edges", "folder": "download:edges"}), ["x.folder", "'edges'", "stimuli/edges"]),
    (put("stylized.sin.strength", 1.5), ["stylized.sin.strength", "1.5"]),
    (put("regimes.frozen.trainable", "fc"), ["regimes.frozen.trainable", "'fc'", "all, head"]),
    (put("models", {"../up": {"timm": "resnet10t"}}), ["models", "'../up'"]),
    (put("models", {2017: {"timm": "resnet10t"}}), ["models", "2017"]),  # YAML reads it as a number
    (put("regimes", {True: {"train_on": ["in"]}}), ["regimes", "True"]),  # and `on:` as a boolean
    # unknown names
    (put("models.vit.timm", "vit_tiny_patch16_2244"), ["models.vit.timm", "2244'", "did you mean vit_tiny"]),
    (put("observers", {"x": {"timm": "resnet5O"}}), ["observers.x.timm", "'resnet5O'", "resnet50"]),
    (put("regimes.sin.init", "inn"), ["regimes.sin.init", "'inn'", "did you mean 'in'", "scratch, pretrained"]),
    (put("regimes.sin.train_on", ["sinn"]), ["regimes.sin.train_on", "'sinn'", "did you mean 'sin'"]),
    (put("stylized.sin.content", "inn"), ["stylized.sin.content", "'inn'", "did you mean 'in'"]),
    (put("stylized.sin.styles", "painting"), ["stylized.sin.styles", "'painting'", "did you mean 'paintings'"]),
    (put("benchmarks.conflict.images", "conflicts"), ["benchmarks.conflict.images", "'conflicts'", "'conflict'"]),
    # circles
    (put("regimes.in.init", "in"), ["regimes.in.init", "circle", "in ← in"]),
    (put("regimes.in.init", "sin"), ["init", "circle", "in ← sin ← in"]),
    # sets without the needed splits or categories
    (put("regimes.in.train_on", ["conflict"]), ["regimes.in.train_on", "'conflict'", "no split"]),
    (put("stylized.sin.splits", ["train", "val"]), ["benchmarks.sin_test.images", "'sin'", "no split 'test'"]),
    (put("benchmarks.conflict.images", "in"), ["benchmarks.conflict.images", "'in'", "other_category"]),
    (put("stylized.sin.content", "edges"), ["stylized.sin", "edges", "no split 'train'"]),
    (put("stylized.sin.other_category", True), ["stylized.sin", "other_category", "'paintings'"]),
    (
        put("sources.in", {"kind": "ilsvrc", "folder": ".", "classes": "all"}),
        ["stylized.conflict", "sources.in.classes is 'all'", "classes: categories"],
    ),
    (put("sources.edges.shards", {"train": 2}), ["sources.edges.shards", "'train'", "allowed: test"]),
    (
        put("sources.in", {"kind": "ilsvrc", "folder": ".", "per_class": {"train": 1200, "val": 101, "test": "all"}}),
        ["sources.in.per_class", "1,301 images of a class", "at most 1,300"],
    ),
    (
        put("stylizers", {"x": {"encoder": "random", "training": TRAINING | {"content": "inn"}}}),
        ["stylizers.x.training.content", "'inn'", "did you mean 'in'"],
    ),
    (
        put("stylizers", {"x": {"encoder": "random", "training": TRAINING | {"content": "edges"}}}),
        ["stylizers.x.training", "sources.edges.per_class has no split 'train'"],
    ),
    (
        lambda config: (
            put("stylizers", {"x": {"encoder": "e.pth", "decoder": "d.pth", "style_size": 2048}})(config),
            put("stylized.sin.stylizer", "x")(config),
        ),
        ["stylizers.x.style_size", "2048 is larger than styles.paintings.size"],
    ),
    # names that two entries share
    (put("styles.in", {"kind": "synthetic", "count": 3}), ["styles.in", "sources", "name"]),
    (put("observers", {"vit_in_seed0": {"timm": "resnet50"}}), ["observers.vit_in_seed0", "name"]),
    # lesions, which have no categories
    (put("stylized.conflict.styles", "isic"), ["stylized.conflict.other_category", "no categories"]),
    (put("regimes.mela.train_on", ["isic", "in"]), ["regimes.mela.train_on", "'isic'", "'in'", "other classes"]),
    (put("benchmarks.in_test.images", "isic"), ["benchmarks.in_test.images", "'isic'", "'in_test'"]),
    (put("benchmarks.mela.images", "in"), ["benchmarks.mela.images", "'in'", "no melanomas"]),
    (put("benchmarks.mela", {"kind": "melanoma", "folder": "."}), ["benchmarks.mela", "needs `images`", "isic2017"]),
    (drop("benchmarks.mela"), ["regimes.mela", "declare one"]),
    (drop("regimes.mela"), ["benchmarks.mela", "nobody sees it"]),
    (put("benchmarks", {"mela": MELANOMA}), ["regimes.in", "sees no benchmark of kind melanoma"]),
    (put("sources.isic.shards", {"all": 2}), ["sources.isic.shards.all", "test, train, val"]),
    (put("sources.isic.per_class", {"train": 1}), ["sources.isic.per_class", "allowed: folder"]),
    # models without a way to train them
    (put("regimes", {}), ["models and regimes"]),
    # benchmarks whose images do not suit their kind
    (put("benchmarks.in_test.kind", "in-test"), ["benchmarks.in_test.kind", "'in-test'", "did you mean 'in_test'"]),
    (put("benchmarks.x", {"kind": "sin_test", "images": "in"}), ["x.images", "'in'", "stylized set without other"]),
    (put("benchmarks.x", {"kind": "sin_test", "images": "conflict"}), ["x.images", "'conflict'", "without other"]),
    (put("benchmarks.in_test.images", "conflict"), ["benchmarks.in_test.images", "'conflict'", "no source"]),
    (put("benchmarks.x", {"kind": "rotation", "images": "in"}), ["benchmarks.x", "'rotation'", "needs `folder`"]),
    (put("benchmarks.x", {"kind": "sketch", "images": "in"}), ["benchmarks.x", "'sketch'", "needs `folder`"]),
    (put("benchmarks.x", {"kind": "edges", "folder": "README.md"}), ["x.folder", "README.md", "archive", ".tar.gz"]),
    # keys of other kinds
    (put("benchmarks.edges.read_out", True), ["benchmarks.edges.read_out", "'edges'", "cue_conflict"]),
    (put("benchmarks.conflict.read_out", "yes"), ["benchmarks.conflict.read_out", "'yes'", "true or false"]),
    (put("benchmarks.edges.labels", "x.csv"), ["benchmarks.edges.labels", "'edges'", "configural_shape, refined_bias"]),
    (put("benchmarks.x", {"kind": "configural_shape", "images": "edges"}), ["x.images", "'edges'", "anagram"]),
    (put("benchmarks.x", {"kind": "configural_shape", "folder": "README.md"}), ["x.folder", "README.md", "Parquet"]),
    (put("benchmarks.x", {"kind": "refined_bias", "images": "edges"}), ["benchmarks.x", "needs `folder`"]),
    (put("benchmarks.edges.suppress", {}), ["benchmarks.edges.suppress", "'edges'", "suppressed"]),
    (put("benchmarks.x", {"kind": "suppressed", "folder": "."}), ["benchmarks.x", "needs `images`", "source"]),
    (put("benchmarks.x", SUPPRESSED | {"images": "conflict"}), ["benchmarks.x.images", "'conflict'", "no source"]),
    (put("benchmarks.x", SUPPRESSED | {"suppress": {"shape": [1]}}), ["x.suppress.shape.0", "1", "the minimum of 2"]),
    (put("benchmarks.x", SUPPRESSED | {"suppress": {"shape": [2.5]}}), ["x.suppress.shape.0", "2.5", "integer"]),
    (put("benchmarks.x", SUPPRESSED | {"suppress": {"colour": [2]}}), ["x.suppress.colour.0", "2", "maximum of 1"]),
    (
        put("benchmarks.x", SUPPRESSED | {"suppress": {"texture_and_shape": [[1, 2], [1.5, 2.5]]}}),
        ["x.suppress.texture_and_shape.1.1", "2.5", "integer"],
    ),
    (put("benchmarks.x", SUPPRESSED | {"suppress": {"texture_and_shape": [2]}}), ["texture_and_shape.0", "2", "list"]),
    (put("benchmarks.x", SUPPRESSED | {"suppress": {"color": [1]}}), ["suppress.color", "did you mean 'colour'"]),
    (
        put("benchmarks.x", SUPPRESSED | {"suppress": {"shape": [], "texture": [], "colour": []}}),
        ["benchmarks.x.suppress", "suppresses nothing"],
    ),
    (
        lambda config: (
            config.update(input_size=32, models={}, regimes={}),
            put("benchmarks.x", SUPPRESSED | {"suppress": {"shape": [48]}})(config),
        ),
        ["benchmarks.x.suppress.shape", "48", "input_size, 32"],
    ),
    (
        lambda config: (
            config.update(input_size=32, models={}, regimes={}),
            put("benchmarks.x", SUPPRESSED | {"suppress": {"rotation": [48]}})(config),
        ),
        ["benchmarks.x.suppress.rotation", "48", "input_size, 32"],
    ),
    (
        lambda config: (
            config.update(input_size=32, models={}, regimes={}),
            put("benchmarks.x", SUPPRESSED | {"suppress": {"texture_and_shape": [[1, 48]]}})(config),
        ),
        ["benchmarks.x.suppress.texture_and_shape", "48", "input_size, 32"],
    ),
    (put("evaluation", {"workers": -1}), ["evaluation.workers", "-1", "the minimum of 0"]),
    # decisions on benchmarks that people cannot have seen, or without a benchmark
    (
        lambda config: (
            put("benchmarks.x", dict(SUPPRESSED))(config),
            put("observers", {"y": {"decisions": ".", "benchmark": "x"}})(config),
        ),
        ["observers.y.benchmark", "'x'", "people", "allowed: conflict"],
    ),
    (put("observers", {"x": {"decisions": ".", "benchmark": "mela"}}), ["observers.x.benchmark", "'mela'"]),
    (put("observers", {"x": {"decisions": "."}}), ["observers.x", "decisions and benchmark"]),
    (
        put("benchmarks.x", {"kind": "refined_bias", "folder": "."}),
        ["benchmarks.x", "published labels are classes of ILSVRC", "regimes.in", "give `labels`"],
    ),
    (put("published", ["huber2023", "huber2023"]), ["published: ", "a value is listed twice"]),
    (put("published", {"mine": "download:huber2023"}), ["published.mine", "write published: [huber2023]"]),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "named"), MISTAKES, ids=[" ".join(named) for _, named in MISTAKES])
def test_a_mistake_is_reported_with_its_value_and_the_allowed_values(config, mistake, named):
    with_lesions(config)
    mistake(config)
    with pytest.raises(UserError) as refusal:
        check_config(config)
    lines = str(refusal.value).splitlines()
    assert all(line.startswith("config: ") for line in lines)
    assert any(all(text in line for text in named) for line in lines), lines


def lines_of(config: dict[str, Any]) -> list[str]:
    """Return the lines of the error message about a config."""
    with pytest.raises(UserError) as refusal:
        check_config(config)
    return str(refusal.value).splitlines()


def test_all_mistakes_are_reported_at_once_in_a_line_each(config):
    config["trainig"] = config.pop("training")
    config["sources"]["edges"]["apearance"] = config["sources"]["edges"].pop("appearance")
    config["sources"]["silhouettes"]["kid"] = config["sources"]["silhouettes"].pop("kind")
    config["stylized"]["sin"]["contents"] = config["stylized"]["sin"].pop("content")  # a key that must not be missing
    config["stylized"]["conflict"]["styles"] = "inn"
    config["models"]["vit"]["timm"] = "vit_tiny_patch16_2244"
    config["regimes"]["combined"]["train_on"] = ["in", "sinn"]
    config["benchmarks"]["edges"]["kind"] = "edge"
    lines = lines_of(config)
    assert len(lines) == 8, lines
    for text in (
        "config: unknown key 'trainig'; did you mean 'training'?",
        "config: unknown key 'sources.edges.apearance'; did you mean 'appearance'?",
        "config: unknown key 'sources.silhouettes.kid'; did you mean 'kind'?",
        "config: unknown key 'stylized.sin.contents'; did you mean 'content'?",
        "config: stylized.conflict.styles: 'inn' is no set of styles or source; did you mean 'in'?",
        "config: models.vit.timm: timm has no network 'vit_tiny_patch16_2244'; did you mean vit_tiny",
        "config: regimes.combined.train_on: 'sinn' is no set of images; did you mean 'sin'?",
        "config: benchmarks.edges.kind: 'edge' is not allowed; did you mean 'edges'?",
    ):
        assert sum(line.startswith(text) for line in lines) == 1, (text, lines)


def test_a_network_on_the_hub_has_an_owner_and_a_name(config):
    config["models"]["vit"] = {"timm": "hf-hub:timm/vit_tiny_patch16_224.augreg_in21k@main"}
    check_config(config)
    for name, message in (
        ("hf-hub:vit_tiny", "'hf-hub:vit_tiny' is no name on the Hugging Face hub; expected hf-hub:OWNER/NAME"),
        (
            "timm/vit_tiny",
            "timm has no network 'timm/vit_tiny'; a network on the Hugging Face hub is called hf-hub:timm/",
        ),
    ):
        config["models"]["vit"]["timm"] = name
        [line] = lines_of(config)
        assert line.startswith(f"config: models.vit.timm: {message}")


def test_a_wrong_value_causes_no_other_message(config):
    """There is no message about consequences of the wrong value, and all other values are still checked."""
    config["image_size"] = "96"  # the largest crop
    config["stylized"]["sin"]["crop"] = 128
    config["sources"]["in"]["per_class"]["val"] = 0  # a split of regimes
    config["regimes"]["frozen"]["init"] = "inn"
    assert [line.split(":")[1].strip() for line in lines_of(config)] == [
        "image_size",
        "sources.in.per_class.val",
        "regimes.frozen.init",
    ]


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (
            put("regimes.in.trainable", "fc"),
            "regimes.in.trainable: 'fc' is not allowed; allowed: all, head, or a number",
        ),
        (put("sources.in.per_class", {}), "sources.in.per_class: {}: no split; give train, val or test"),
        (put("sources.in", "photo"), "sources.in: 'photo' is not a section of keys and values"),
        (put("models.vit", "photo"), "models.vit: 'photo' is not a section of keys and values"),
        (put("training.crop_scale", [0.4]), "training.crop_scale: [0.4] has a length of 1; allowed: at least 2"),
        (
            put("training.crop_scale", [1, 1, 1]),
            "training.crop_scale: [1, 1, 1] has a length of 3; allowed: at most 2",
        ),
        (put("training.lr", 0), "training.lr: 0 is not above 0"),
        (put("training.momentum", 1), "training.momentum: 1 is not below 1"),
        (put("container", ""), "container: '' has a length of 0; allowed: at least 1"),
        (put("wandb", {"project": "a b"}), "wandb.project: 'a b' does not match the pattern ^[A-Za-z0-9_.-]+$"),
        (
            put("models.a b", {"timm": "resnet18"}),
            "models: 'a b' is not a name; allowed: letters, digits, . _ -",
        ),
        (drop("sources.in.kind"), "key 'sources.in.kind' is missing"),
    ],
)
def test_each_kind_of_mistake_has_everyday_words(config, mistake, line):
    mistake(config)
    (only,) = lines_of(config)
    assert only.startswith(f"config: {line}")


def places_in(value: Any, above: str = "") -> Iterator[str]:
    """Yield the dotted path of every key below a value, except arguments of networks, which may be anything."""
    for key, part in value.items() if isinstance(value, dict) else ():
        if key != "kwargs":
            yield f"{above}{key}"
            yield from places_in(part, f"{above}{key}.")


@pytest.mark.parametrize("place", list(places_in(DEMO)))
def test_every_wrong_value_has_exactly_one_message(config, place):
    """Checks across keys neither fail on it nor draw conclusions from it."""
    put(place, object())(config)
    (line,) = lines_of(config)
    assert line.startswith(f"config: {place}")


@pytest.mark.parametrize("key", [2, 1.5, None, True])
def test_keys_that_are_not_text_are_reported(config, key):
    config["training"][key] = 1
    config["models"][key] = {"tim": "resnet18"}
    assert len(lines_of(config)) == 3


def test_a_mistake_that_all_runs_share_has_one_message(config):
    config["training"] |= {"epochs": 3, "warmup_epochs": 4, "optimizer": "adamx"}
    config["regimes"] = {"in": config["regimes"]["in"]}
    first, second = lines_of(config)
    assert "models.resnet in regimes.in (and of 3 others): warmup_epochs 4" in first
    assert "training.optimizer: 'adamx' is no optimizer of timm; did you mean 'adam" in second


VIT = {"timm": "vit_tiny_patch16_224"}


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (VIT, "takes images of 224 pixels, but input_size is 48; give kwargs: {img_size: 48}"),
        ({"timm": "vit_base_patch16_384.augreg_in1k"}, "takes images of 384 pixels"),
        ({"timm": "torchvision/vit_b_16"}, "224 pixels, but input_size is 48; give kwargs: {image_size: 48}"),
        (VIT | {"kwargs": {"img_size": 48}}, None),
        (VIT | {"kwargs": {"dynamic_img_size": True}}, None),
        ({"timm": "resnet18"}, None),  # takes any size
    ],
)
def test_a_network_with_another_input_size_is_reported_before_the_first_job(config, network, sizes):
    config["models"]["vit"] = network
    if sizes is None:
        check_config(config)
    else:
        (line,) = lines_of(config)
        assert line.startswith(f"config: models.vit.timm: '{network['timm']}'") and sizes in line


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        ("resnet18.a1_in1", "timm has no weights 'a1_in1' of resnet18; did you mean 'a1_in1k'?"),
        ("torchvision/resnet50.IMAGENET1K_V3", "no weights 'IMAGENET1K_V3' of resnet50; did you mean 'IMAGENET1K_V"),
    ],
)
def test_unknown_weights_are_reported_before_the_first_job(config, network, hint):
    config["observers"] = {"x": {"timm": network}}
    (line,) = lines_of(config)
    assert line.startswith("config: observers.x.timm: ") and hint in line


@pytest.mark.parametrize(
    ("palette", "hint"), [("colourblind", "did you mean 'colorblind'?"), ("jet", "no palette"), ("#ff0000", "allowed:")]
)
def test_an_unknown_palette_is_reported_before_the_first_job(config, palette, hint):
    config["figures"] = {"palette": palette}
    (line,) = lines_of(config)
    assert line.startswith(f"config: figures.palette: {palette!r} is no palette of seaborn; ") and hint in line


@pytest.mark.parametrize("palette", ["deep", "husl", "viridis_r", "Blues_d", "rocket", "Grays", "light:seagreen"])
def test_all_palettes_of_seaborn_are_accepted(config, palette):
    config["figures"] = {"palette": palette}
    check_config(config)


def test_values_stay_as_they_are_written_and_defaults_come_after_them(config):
    """The number 1 does not become 1.0, because command lines, and so reruns, depend on it."""
    config["training"]["lr"] = 1
    config["models"] = {"resnet": {"training": {}, "timm": "resnet10t"}}
    full = check_config(config)
    assert repr(full["training"]["lr"]) == "1"
    assert list(full["models"]["resnet"]) == ["training", "timm", "kwargs"]
    assert list(full)[: len(config)] == list(config)
    assert repr(full["stylized"]["conflict"]["strength"]) == "1"


def test_the_schema_in_the_repository_is_that_of_the_models():
    committed = (ROOT / "workflow/schemas/config.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == SCHEMA, "run `make schema`"


@pytest.mark.parametrize(
    "wrong", [{"warmup_epochs": 9, "epochs": 3}, {"crop_scale": [1.0, 0.4]}, {"optimizer": "adamx"}]
)
def test_a_contradictory_recipe_is_refused_before_the_first_job(config, wrong):
    config["training"] |= wrong
    with pytest.raises(UserError, match=next(iter(wrong))):
        check_config(config)


def test_two_runs_with_one_name_are_refused(config):
    # Model `vit`, regime `small_in` and model `vit_small`, regime `in` are both run vit_small_in_seed0.
    config["models"] |= {"vit_small": config["models"]["vit"]}
    config["regimes"] |= {"small_in": {"train_on": ["in"]}}
    with pytest.raises(UserError, match="vit_small_in_seed0"):
        check_config(config)


def test_the_number_of_drawn_images_cannot_be_all(config):
    config["sources"]["in"]["per_class"]["train"] = "all"
    with pytest.raises(UserError, match=r"sources\.in\.per_class\.train.*'all'"):
        check_config(config)


def test_the_schema_describes_each_hyperparameter():
    fields = {field.name for field in dataclasses.fields(Recipe)}
    starting = {"nodes"}  # for starting the ranks
    assert set(SCHEMA["$defs"]["Training"]["properties"]) == fields | starting


def test_nodes_share_the_ranks_evenly(config):
    config["training"] |= {"ranks": 4, "nodes": 2}
    check_config(config)
    config["training"]["ranks"] = 3
    with pytest.raises(UserError, match="ranks 3 cannot be shared evenly by nodes 2"):
        check_config(config)


def test_names_of_appearances_are_those_of_the_code():
    from shapebias.config.queries import ANAGRAM_CLASSES, DRAWN_CLASSES
    from shapebias.synthetic import anagrams, scene

    appearances = SCHEMA["$defs"]["SyntheticSource"]["properties"]["appearance"]["enum"]
    assert appearances == [*scene.APPEARANCES, anagrams.ANAGRAM]
    assert len(scene.CLASSES) == DRAWN_CLASSES and len(anagrams.ANAGRAM_CLASSES) == ANAGRAM_CLASSES


def described_keys(schema: Any, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield the path and the schema of every key."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "properties":
            yield from ((f"{path}.{name}", described) for name, described in value.items())
        yield from described_keys(value, f"{path}.{key}")


def test_every_key_is_described():
    def description(entry: dict) -> str:
        target = SCHEMA["$defs"][entry["$ref"].rpartition("/")[2]] if "$ref" in entry else {}
        return entry.get("description") or target.get("description", "")

    keys = [
        (path, entry) for path, entry in described_keys(SCHEMA) if not (path.endswith(".kind") and "const" in entry)
    ]
    assert len(keys) > 60
    assert [path for path, entry in keys if not description(entry)] == []


def test_every_object_is_closed():
    """An open object would accept a misspelt key."""
    assert {name for name, entry in SCHEMA["$defs"].items() if entry["additionalProperties"] is not False} == set()
    assert SCHEMA["additionalProperties"] is False
    assert "patternProperties" not in json.dumps(SCHEMA)  # it allows other names


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        (lambda c: c.update(image_size=96.0), "image_size: 96.0"),
        (lambda c: c["training"].update(lr=float("nan")), "training.lr"),
        (lambda c: c["sources"]["in"].pop("kind"), "sources.in.kind"),
        (lambda c: c["models"]["vit"]["kwargs"].update(img_size=224), "models.vit.kwargs.img_size: 224"),
        (
            lambda c: c["models"]["resnet"].update(kwargs={"drop_rat": 0.1}),
            "models.resnet.kwargs.drop_rat: timm's resnet10t takes no argument of that name; did you mean 'drop_rate'?",
        ),
        (
            lambda c: c["models"]["resnet"].update(kwargs={"num_classes": 5}),
            "models.resnet.kwargs.num_classes: the workflow sets it",
        ),
        (
            lambda c: c["observers"].update(x={"timm": "torchvision/vit_b_16", "kwargs": {"img_size": 32}}),
            "observers.x.kwargs.img_size: torchvision's vit_b_16 takes no argument of that name; did you mean 'image_",
        ),
        (
            lambda c: c["observers"].update(x={"timm": "resnet18", "kwargs": {"pretrained": True}}),
            "x.kwargs.pretrained",
        ),
        (lambda c: c["regimes"].update(scratch={"train_on": ["in"]}), "regimes.scratch"),
        (lambda c: c["observers"].update(x={"timm": "resnet18", "pool": {}}), "observers.x.pool"),
        (lambda c: c["observers"].update(x={"timm": "resnet18", "weights": "package:nope/x"}), "'nope'"),
        (lambda c: c.update({1: 2, "zz": 3}), "unknown key 1"),
    ],
)
def test_mistakes_that_would_fail_a_later_job_are_reported_now(config, mistake, named):
    config.setdefault("observers", {})
    mistake(config)
    with pytest.raises(UserError) as refusal:
        check_config(config)
    assert named in str(refusal.value)


def test_measuring_a_network_needs_no_photographs_in_the_config(tmp_path):
    stimuli = {"published": {"kind": "cue_conflict", "folder": str(tmp_path)}}
    full = check_config({"benchmarks": stimuli, "observers": {"mine": {"timm": "resnet18"}}})
    assert full["sources"] == full["models"] == {}


def test_ilsvrc_has_the_defaults_of_the_study(tmp_path, config):
    config["sources"]["in"] = {"kind": "ilsvrc", "folder": str(tmp_path), "shards": {"test": 3}}
    del config["image_size"], config["models"], config["regimes"]
    full = check_config(config)
    source = full["sources"]["in"]
    assert (full["image_size"], source["classes"]) == (256, "categories")
    assert source["per_class"] == {"train": 500, "val": 50, "test": 50}
    assert source["shards"] == {"train": 104, "val": 11, "test": 3}  # 207 · 500 / 1000, 207 · 50 / 1000


def test_all_of_ilsvrc_has_a_shard_per_thousand_images(tmp_path, config):
    ilsvrc = {"kind": "ilsvrc", "folder": str(tmp_path), "classes": "all", "per_class": {"test": "all"}}
    config["sources"]["edges"] = ilsvrc
    assert check_config(config)["sources"]["edges"]["shards"] == {"test": 1300}


def test_no_benchmark_has_the_name_all(config):
    config["benchmarks"]["all"] = config["benchmarks"]["in_test"]
    with pytest.raises(UserError, match=r"benchmarks\.all: .*choose another"):
        check_config(config)


def test_a_wrong_image_size_has_one_message_if_the_input_size_follows_it(config):
    config.pop("input_size", None)
    config["image_size"] = "96"
    (line,) = lines_of(config)
    assert line.startswith("config: image_size: '96'")


def test_layer_groups_may_learn_in_every_network_of_timm(config):
    config["regimes"]["sin"]["trainable"] = 2
    assert check_config(config)["regimes"]["sin"]["trainable"] == 2


def test_texts_that_yaml_reads_as_numbers_become_numbers_and_no_other_text_changes():
    texts = {"a": ["7", "0.5", "true", "null", ""], "b": {"c": "0676ba61", "d": "2026-11-29", "e": "[x", "f": "a: b"}}
    assert parse_scalars(texts) == {"a": [7, 0.5, True, None, None], "b": texts["b"]}


def test_references_are_checked_although_the_entry_that_they_name_is_wrong():
    config = {
        "sources": {"in": {"kind": "sinthetic", "per_clas": {"train": 4, "val": 1, "test": 2}}},
        "models": {"net": {"timm": "resnet10t"}},
        "regimes": {"first": {"train_on": ["inn"], "init": "pretraned"}},
        "benchmarks": {"test": {"kind": "in_test", "images": "inn"}},
    }
    with pytest.raises(UserError) as refusal:
        check_config(config)
    message = str(refusal.value)
    for line in (
        "sources.in.kind: 'sinthetic' is not allowed; did you mean 'synthetic'?",
        "unknown key 'sources.in.per_clas'; did you mean 'per_class'?",
        "regimes.first.train_on: 'inn' is no set of images; did you mean 'in'?",
        "regimes.first.init: 'pretraned' is no start; did you mean 'pretrained'? allowed: scratch, pretrained",
        "benchmarks.test.images: 'inn' is no set of images; did you mean 'in'?",
    ):
        assert line in message, message
