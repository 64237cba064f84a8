"""Values that would end a study in its last jobs end it in the check of its config, which names the key."""

import copy
import functools
import math
import re
from typing import Any

import pytest
import yaml
from helpers import ROOT, image_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from shapebias.config.data_files import data_problems
from shapebias.config.validation import check_config
from shapebias.errors import UserError

DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())
NET = {"timm": "resnet18", "weights": "package:timm/__init__.py"}


@pytest.fixture
def config(tmp_path) -> dict[str, Any]:
    """Return the demo's config with a data folder that holds decisions of two people."""
    rows = "".join(f"subject-0{i},1,1,NaN,cat,cat,0,cat1-dog1.png\n" for i in (1, 2))
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions/a.csv").write_text(
        f"subj,session,trial,rt,object_response,category,condition,imagename\n{rows}"
    )
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("no table")
    return copy.deepcopy(DEMO) | {"data_root": str(tmp_path)}


def put(config: dict[str, Any], path: str, value: Any) -> None:
    *above, key = path.split("/")
    for name in above:
        config = config.setdefault(name, {})
    config[key] = value


def decisions(pool: Any = None, folder: str = "decisions") -> dict[str, Any]:
    return {"decisions": folder, "benchmark": "conflict"} | ({} if pool is None else {"pool": pool})


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("figures/palette", "nonsense", "figures.palette: 'nonsense' is no palette"),
        ("figures/palette", "light:nonsense", "figures.palette: 'light:nonsense' is no palette"),
        ("figures/palette", "", "figures.palette: ''"),
        ("figures/dpi", 10**6, "figures.dpi"),
        ("figures/font_scale", 1e-300, "figures.font_scale: 1e-300 is less than the minimum of 0.1"),
        ("title", "--help", "title: '--help': a title is one line"),
        ("title", "", "title: '': a title is one line"),
        ("title", "two\nlines", "title: 'two\\nlines'"),
        ("title", "x" * 129, "title: "),
        ("observers", {"shape": NET}, "observers.shape: a column of the answers has that name"),
        ("observers", {"image": NET}, "observers.image: a column of the answers has that name"),
        ("observers", {"people": NET}, "observers.people: in the tables this name means all people together"),
        ("models/people", DEMO["models"]["resnet"], "models.people: in the tables this name means all people"),
        ("regimes/people", {"train_on": ["in"]}, "regimes.people: in the tables this name means all people"),
        ("observers", {"p": decisions({"a=b": "s*"})}, "observers.p.pool: 'a=b' is not a name"),
        ("observers", {"p": decisions({"-x": "s*"})}, "observers.p.pool: '-x' is not a name"),
        ("observers", {"p": decisions({"people": ""})}, "observers.p.pool.people: '' has a length of 0"),
        ("observers", {"p": decisions({"resnet_in_seed0": "s*"})}, "observers.p.pool.resnet_in_seed0: a trained run"),
        ("observers", {"p": decisions({"net": "s*"}), "net": NET}, "observers.p.pool.net: a trained run or a network"),
        ("observers", {"p": decisions({"shape": "s*"})}, "observers.p.pool.shape: a column of the answers"),
        (
            "observers",
            dict.fromkeys("pq", decisions({"people": "s*"})),
            "observers.q.pool.people: observers.p has a pool",
        ),
        ("models/resnet/kwargs", {"chanels": [8]}, "models.resnet.kwargs.chanels: timm's resnet10t takes no argument"),
        ("models/resnet/kwargs", {"num_classes": 5}, "models.resnet.kwargs.num_classes: the workflow sets it"),
        ("models/resnet/kwargs", {"stem_width": math.inf}, "models.resnet.kwargs: "),
        ("models/resnet/kwargs", {"stem_width": 10**30}, "a number is larger"),
        ("models/resnet/kwargs", {"stem_width": {1, 2}}, "{1, 2} is not text, a number"),
        (
            "observers",
            {"n": NET | {"kwargs": {"drop_rat": 0.1}}},
            "observers.n.kwargs.drop_rat: timm's resnet18 takes no",
        ),
        ("regimes/sin/trainable", 10**9, "regimes.sin.trainable: 1000000000 is not allowed"),
        ("training/batch_size", 10**30, "training.batch_size: 1000000000000000000000000000000 is more than"),
        ("training/batch_size", 2561, "a batch_size of 2,561 (models.resnet) is larger than its 2,560 training images"),
        ("training/threads", 10**9, "training.threads: 1000000000 is more than the maximum of 1024"),
        ("evaluation/workers", 10**9, "evaluation.workers: 1000000000 is more than"),
        ("training/lr", 1e308, "training.lr: 1e+308 is more than the maximum of 1000"),
        ("training/weight_decay", 1e308, "training.weight_decay"),
        ("training/lr", math.nan, "training.lr: nan is not a finite number"),
        ("seeds", [2**64], "seeds.0: 18446744073709551616 is more than the maximum of 2147483647"),
        ("seeds", [10**30], "seeds.0: "),
        ("seeds", [10**5000], "seeds.0: a int of great size is more than"),
        ("data_seed", 2**64, "data_seed: "),
        ("sources/in/shards", {"train": 10**9}, "sources.in.shards.train: 1000000000 is more than the maximum"),
        ("sources/in/shards", {"train": 2561}, "sources.in.shards.train: 2561 shards, but the split has at most 2,560"),
        ("sources/in/per_class/train", 10**12, "sources.in.per_class.train"),
        ("throughputs/train", {"resnet": 1e-300}, "throughputs.train.resnet: 1e-300 is less than"),
        ("benchmarks/x", {"kind": "sketch", "folder": ""}, "benchmarks.x.folder: '' is empty"),
        ("benchmarks/x", {"kind": "sketch", "folder": "http://x"}, "benchmarks.x.folder: 'http://x' is a URL"),
        ("benchmarks/x", {"kind": "sketch", "folder": "x" * 300}, "benchmarks.x.folder: "),
        ("benchmarks/x", {"kind": "sketch", "folder": "a/st{x}"}, "benchmarks.x.folder: 'a/st{x}' holds { or }"),
        ("benchmarks/x", {"kind": "sketch", "folder": "-x"}, "benchmarks.x.folder: '-x' begins with -"),
        ("benchmarks/x", {"kind": "sketch", "folder": "a\nb"}, "benchmarks.x.folder: 'a\\nb' holds a character"),
        ("benchmarks/x", {"kind": "sketch", "folder": "a\0b"}, "benchmarks.x.folder: "),
        ("benchmarks/x", {"kind": "sketch", "folder": "package:timm"}, "package: has no meaning here"),
        ("styles/x", {"kind": "folder", "folder": "download:stimuli/edges"}, "download: has no meaning here"),
        ("models/resnet/weights", "we{x}ights.pth", "models.resnet.weights: 'we{x}ights.pth' holds { or }"),
        ("models/resnet/weights", "ftp://x/y.pth", "models.resnet.weights: 'ftp://x/y.pth' is no path, and no http"),
        ("data_root", "da{ta}", "data_root: 'da{ta}' holds { or }"),
        ("regimes/" + "ab" * 150, {"train_on": ["in"]}, "regimes: "),
        ("regimes/" + "r" * 65, {"train_on": ["in"]}, "at most 64"),
        ("benchmarks/" + "b" * 65, DEMO["benchmarks"]["conflict"], "at most 64"),
        ("wandb/project", "p" * 129, "wandb.project: "),
    ],
)
def test_a_value_that_would_fail_later_is_refused_by_its_key(config, path, value, reason):
    put(config, path, value)
    with pytest.raises(UserError) as refusal:
        check_config(config)
    assert reason in str(refusal.value)
    assert all(len(line) < 500 for line in str(refusal.value).splitlines())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("title", "Shape {or} texture? – “test” & more"),
        ("figures/palette", "light:#5A9"),
        ("figures/palette", "ch:s=.25,rot=-.25"),
        ("observers", {"p": decisions({"people": "subject-*"}), "q": decisions({"others": "*[12]"})}),
        ("observers", {"n": NET | {"kwargs": {"drop_rate": 0.1}}}),
        ("regimes/" + "r" * 64, {"train_on": ["in"]}),
        ("seeds", [2**31 - 1]),
        ("training/batch_size", 2560),
        ("benchmarks/NA", DEMO["benchmarks"]["conflict"]),
        ("regimes/null", {"train_on": ["in"]}),
    ],
)
def test_an_unusual_value_that_works_is_accepted(config, path, value):
    put(config, path, value)
    check_config(config)


def test_only_an_encoder_can_be_random(config, tmp_path):
    config["styles"]["prints"] = {"kind": "folder", "folder": "random"}
    config["models"]["resnet"]["weights"] = "random"
    config["stylizers"] = {
        "x": {"encoder": "random", "training": {"content": "in", "styles": "in", "resize": 64, "size": 64}}
    }
    full = check_config(config)
    assert full["styles"]["prints"]["folder"] == f"{tmp_path}/random"
    assert full["models"]["resnet"]["weights"] == f"{tmp_path}/random"
    assert full["stylizers"]["x"]["encoder"] == "random"


@pytest.mark.parametrize(
    ("observer", "text", "reason"),
    [
        (decisions({"people": "person*"}), None, "pool.people: no observer matches 'person*'; there are subject-01"),
        (decisions({"subject-01": "s*"}), None, "pool.subject-01: an observer in"),
        (decisions(), ("subject-02,", "resnet_in_seed0,"), "an observer is called 'resnet_in_seed0'"),
        (decisions(), ("subject-02,", "people,"), "an observer is called 'people'"),
        (decisions(), ("subject-02,", "texture,"), "an observer is called 'texture'"),
        (decisions(), ("subject-02,1,", "subject-02,1,1,"), "a.csv, line 3: 9 values in this row"),
        (decisions(), ("NaN,cat", "NaN,kat"), "'kat' is not one of the 16 categories"),
        (decisions(folder="texts"), None, "texts holds no CSV file"),
    ],
)
def test_decisions_are_read_before_the_first_job(config, tmp_path, observer, text, reason):
    path = tmp_path / "decisions/a.csv"
    if text:
        path.write_text(path.read_text().replace(*text))
    config["observers"] = {"p": observer}
    (problem,) = data_problems(check_config(config))
    assert problem.startswith("config: observers.p.") and reason in problem


def test_tables_of_classes_are_read_before_the_first_job(config, tmp_path):
    image_folder(tmp_path / "photos", {"moggy": 3})
    (tmp_path / "c.csv").write_text("class,category\nmoggy,cat\nmoggy,dog\n")
    photos = {"kind": "imagefolder", "folder": "photos", "categories": "c.csv", "per_class": {"test": 1}}
    config["sources"]["photos"], config["observers"] = photos, {"n": NET | {"classes": "c.csv"}}
    reasons = data_problems(check_config(config))
    assert [re.sub(r"/\S*/", "", reason) for reason in reasons] == [
        f"config: {key}: c.csv, line 3: class 'moggy' is named twice, in line 2 too; keep one of the rows"
        for key in ("sources.photos.categories", "observers.n.classes")
    ]


@pytest.mark.parametrize(
    ("folders", "per_class", "reason"),
    [
        ({"cat": 5, "dog": 3}, {"train": 3, "test": 1}, "class 'dog' in {root} has 3 images, 4 are wanted"),
        ({"cat": 5, "dog": 3}, {"train": "all", "test": 3}, "class 'dog' in {root} has 3 images, 4 are wanted"),
        ({"train/cat": 5, "test/cat": 1}, {"train": 5, "test": 2}, "class 'cat' in {root}/test has 1 images, 2 are"),
        (
            {"train/cat": 5, "test/cat": 1},
            {"train": 4, "val": 2, "test": 1},
            "class 'cat' in {root}/train has 5 images, 6",
        ),
        ({"train/cat": 5, "test/cat": 2}, {"train": 3, "val": 2, "test": 2}, ""),
        ({"cat": 5, "dog": 4}, {"train": "all", "test": 3}, ""),
    ],
)
def test_classes_with_too_few_images_are_named_before_the_first_job(config, tmp_path, folders, per_class, reason):
    for name, count in folders.items():
        image_folder(tmp_path / "photos", {name: count})
    config["sources"]["photos"] = {"kind": "imagefolder", "folder": "photos", "per_class": per_class}
    problems = data_problems(check_config(config))
    assert len(problems) == bool(reason)
    assert all(reason.format(root=tmp_path / "photos") in problem for problem in problems)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Return the path of every value in a config."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key, part in below for place in places(part, (*path, key)))]


PLACES = places(DEMO)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["all", "random", "people", "shape", "NA", "in", "sin", "-x", "a{b}", "x" * 300, "http://x", "../x"]
    )
    | st.sampled_from([0, -1, 1, 2**31, 2**64, 10**30, 10**4000, 1e308, 1e-320])
)
KEYS = st.sampled_from(["train", "folder", "kind", "timm", "pool", "x", "people", "", "a b", 1, None, 1.5, True])
VALUES = st.recursive(
    SCALARS, lambda parts: st.lists(parts, max_size=2) | st.dictionaries(KEYS, parts, max_size=2), max_leaves=4
)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES, st.sampled_from(["set", "add", "drop"])), max_size=3),
    key=KEYS,
)
def test_any_config_passes_the_check_or_is_refused_by_a_key(changes, key):
    config = copy.deepcopy(DEMO)
    for (*above, last), value, change in changes:
        try:
            section: Any = config
            for name in above:
                section = section[name]
            if change == "drop":
                del section[last]
            else:
                section[key if change == "add" and isinstance(section, dict) else last] = value
        except (KeyError, IndexError, TypeError):
            continue
    try:
        full = check_config(config)
    except UserError as error:
        names = {str(part) for place in places(config) for part in place} | {str(name) for name in full_keys()}
        for line in str(error).splitlines():
            assert line.startswith("config: ") and any(name in line for name in names if name), line
    else:
        assert check_config(full)["benchmarks"] == full["benchmarks"]


@functools.cache
def full_keys() -> list[str]:
    return [str(place[-1]) for place in places(check_config(copy.deepcopy(DEMO)))]
