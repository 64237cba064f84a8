"""What no schema can say of a config: names that refer to nothing, sets without a split, circles.

Each mistake is one line that names the key, its value and what is allowed.
"""

import difflib
import importlib.util
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from shapebias.errors import UserError
from shapebias.recipe import Recipe

Config = dict[str, Any]

ALL = "all"  # a count: every image that there is
CLASS_COUNTS = {"categories": 207, "present": 207, "all": 1000}  # of ILSVRC, by `classes`
DOWNLOADS = ("stimuli/cue-conflict", "stimuli/silhouettes", "stimuli/edges", "decisions")


def problems(config: Config) -> Iterator[str]:
    """All mistakes of a config that fits the schema."""
    for check in (name_problems, set_problems, stylizer_problems, regime_problems, test_problems, download_problems):
        yield from check(config)


def is_url(value: str) -> bool:
    """Whether a file is named by where to download it from."""
    return "://" in value


def suggestion(value: Any, allowed: Iterable[str]) -> str:
    """The nearest allowed value, if one is near, and all of them."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(value), allowed, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} allowed: {', '.join(map(str, allowed)) or 'none is declared'}"


def unknown(key: str, value: str, what: str, allowed: Iterable[str]) -> str:
    """A name that refers to nothing that is declared."""
    return f"{key}: {value!r} is no {what}{suggestion(value, allowed)}"


def name_problems(config: Config) -> Iterator[str]:
    """A name stands for one thing, also in the paths of results."""
    owner: dict[str, str] = {}
    for section in ("sources", "styles", "stylized"):
        for name in config[section]:
            if name in owner:
                yield f"{section}.{name}: {owner[name]} has a set of that name already; choose another"
            owner[name] = section
    runs: set[str] = set()
    for model, regime, seed in itertools.product(config["models"], config["regimes"], config["seeds"]):
        name = run_name(model, regime, seed)
        if name in runs:
            yield f"models.{model}, regimes.{regime}: two runs would be called {name}; rename a model or a regime"
        runs.add(name)
    for name in config["observers"]:
        if name in runs:
            yield f"observers.{name}: a trained run has that name; choose another"


def set_problems(config: Config) -> Iterator[str]:
    for name, entry in config["stylized"].items():
        if entry["content"] not in config["sources"]:
            yield unknown(f"stylized.{name}.content", entry["content"], "source", config["sources"])
            continue
        styles = [*config["styles"], *config["sources"]]
        if entry["styles"] not in styles:
            yield unknown(f"stylized.{name}.styles", entry["styles"], "set of styles or source", styles)
            continue
        if entry["other_category"] and entry["styles"] not in config["sources"]:
            yield f"stylized.{name}.styles: {entry['styles']!r} has no categories; other_category needs a source"
        for origin in dict.fromkeys([entry["content"], entry["styles"]]):
            if origin not in config["sources"]:
                continue
            if entry["other_category"] and config["sources"][origin].get("classes") == "all":
                yield (
                    f"stylized.{name}: sources.{origin}.classes is 'all', but most ILSVRC classes have no category "
                    f"that another could differ from; take a source with classes: categories"
                )
            for split in entry["splits"]:
                if split not in config["sources"][origin]["per_class"]:
                    yield f"stylized.{name}.splits: sources.{origin}.per_class has no split {split!r}"
    for name, entry in config["sources"].items():
        for split, count in entry["per_class"].items():
            if entry["kind"] == "synthetic" and count == ALL:
                yield f"sources.{name}.per_class.{split}: 'all' is no number of images to draw; give a number"
        for split in entry["shards"]:
            if split not in entry["per_class"]:
                yield unknown(f"sources.{name}.shards", split, "split of this source", entry["per_class"])


def stylizer_problems(config: Config) -> Iterator[str]:
    if "ghiasi" in config["stylizers"]:
        yield "stylizers.ghiasi: the name stands for the embedded network already; choose another"
    for name, entry in config["stylized"].items():
        if entry["stylizer"] not in ("ghiasi", *config["stylizers"]):
            allowed = ["ghiasi", *config["stylizers"]]
            yield unknown(f"stylized.{name}.stylizer", entry["stylizer"], "stylizer", allowed)
        if entry.get("crop", 0) > config["image_size"]:
            yield f"stylized.{name}.crop: {entry['crop']} is larger than image_size, {config['image_size']}"
    for name, entry in config["stylizers"].items():
        for part in ("encoder", "decoder"):
            if is_url(entry.get(part, "")) and f"{part}_sha256" not in entry:
                yield f"stylizers.{name}.{part}_sha256 is missing: what comes from a URL is verified"
        if entry["encoder"] == "random" and "training" not in entry:
            yield f"stylizers.{name}.encoder: 'random' suits no published decoder; give `training` instead of `decoder`"
        for styles, painted in config["styles"].items():
            used = any(e["styles"] == styles and e["stylizer"] == name for e in config["stylized"].values())
            if used and entry.get("style_size", 0) > painted["size"]:
                yield f"stylizers.{name}.style_size: {entry['style_size']} is larger than styles.{styles}.size"
        if "training" not in entry:
            continue
        sources, sets = config["sources"], [*config["styles"], *config["sources"]]
        recipe, key = entry["training"], f"stylizers.{name}.training"
        if recipe["content"] not in sources:
            yield unknown(f"{key}.content", recipe["content"], "source", sources)
        if recipe["styles"] not in sets:
            yield unknown(f"{key}.styles", recipe["styles"], "set of styles or source", sets)
        for origin in {recipe["content"], recipe["styles"]} & set(sources):
            if "train" not in sources[origin]["per_class"]:
                yield f"{key}: sources.{origin}.per_class has no split 'train'"
        packed = [config["image_size"], config["styles"].get(recipe["styles"], {}).get("size", config["image_size"])]
        if recipe["resize"] > min(packed):
            yield f"{key}.resize: {recipe['resize']} is larger than the images are packed, {min(packed)}"
        if recipe["size"] > recipe["resize"]:
            yield f"{key}.size: {recipe['size']} is larger than resize, {recipe['resize']}"


def download_problems(config: Config) -> Iterator[str]:
    for section, key in (("benchmarks", "folder"), ("observers", "decisions")):
        for name, entry in config[section].items():
            prefix, _, wanted = entry.get(key, "").partition("download:")
            if wanted and not prefix and wanted not in DOWNLOADS:
                yield unknown(f"{section}.{name}.{key}", wanted, "download", DOWNLOADS)


def regime_problems(config: Config) -> Iterator[str]:
    regimes, sets = config["regimes"], [*config["sources"], *config["stylized"]]
    if bool(config["models"]) != bool(regimes):
        yield "models and regimes: declare both, or neither (to measure `observers` alone)"
    for name, model in config["models"].items():
        yield from network_problems(f"models.{name}.timm", model["timm"])
    yield from recipe_problems(config)
    for name in {"scratch", "pretrained"} & set(regimes):
        yield f"regimes.{name}: the name stands for a start (`init`) already; choose another"
    for name, model in config["models"].items():
        side = model["kwargs"].get("img_size", config["input_size"])
        if side != config["input_size"]:
            yield f"models.{name}.kwargs.img_size: {side} is not input_size, {config['input_size']}"
    for name, regime in regimes.items():
        for images in regime["train_on"]:
            if images not in sets:
                yield unknown(f"regimes.{name}.train_on", images, "set of images", sets)
                continue
            for split in ("train", "val"):
                if split not in splits_of(config, images):
                    yield f"regimes.{name}.train_on: set {images!r} has no split {split!r}"
        allowed = ["scratch", "pretrained", *regimes]
        if regime["init"] not in allowed:
            yield unknown(f"regimes.{name}.init", regime["init"], "start", allowed)
    for name in regimes:
        chain = [name]
        while (init := regimes[chain[-1]]["init"]) in regimes:
            if init in chain:
                circle = [*chain[chain.index(init) :], init]
                yield f"regimes.{init}.init: goes in a circle: {' ← '.join(circle)}"
                break
            chain.append(init)


def recipe_problems(config: Config) -> Iterator[str]:
    optimizers = timm_optimizers()
    for model, regime in itertools.product(config["models"], config["regimes"]):
        values = recipe_of(config, model, regime)
        if "crop_scale" in values:
            values["crop_scale"] = tuple(values["crop_scale"])
        try:
            recipe = Recipe(**values).checked()
        except UserError as error:
            yield f"training of models.{model} in regimes.{regime}: {error}"
            continue
        if optimizers and recipe.optimizer not in optimizers:
            yield unknown("training.optimizer", recipe.optimizer, "optimizer of timm", sorted(optimizers))


def test_problems(config: Config) -> Iterator[str]:
    sets = [*config["sources"], *config["stylized"]]
    for name, entry in config["benchmarks"].items():
        images = entry.get("images")
        if images is None:
            continue
        if images not in sets:
            yield unknown(f"benchmarks.{name}.images", images, "set of images", sets)
        elif "test" not in splits_of(config, images):
            yield f"benchmarks.{name}.images: set {images!r} has no split 'test'"
        elif entry["kind"] == "cue_conflict" and not config["stylized"].get(images, {}).get("other_category"):
            yield f"benchmarks.{name}.images: {images!r} is no stylized set with other_category: true"
    conflicts = [name for name, entry in config["benchmarks"].items() if entry["kind"] == "cue_conflict"]
    for name, entry in config["observers"].items():
        strange = {"benchmark", "pool"} if "timm" in entry else {"weights", "classes"}
        for key in sorted(strange & set(entry)):
            yield f"observers.{name}.{key}: has no meaning for {'a network' if 'timm' in entry else 'decisions'}"
        if "timm" in entry:
            yield from network_problems(f"observers.{name}.timm", entry["timm"])
            package = entry.get("weights", "").partition("package:")[2].partition("/")[0]
            if package and importlib.util.find_spec(package) is None:
                yield f"observers.{name}.weights: package {package!r} is not installed"
        elif entry["benchmark"] not in conflicts:
            yield unknown(f"observers.{name}.benchmark", entry["benchmark"], "benchmark of cue conflict", conflicts)


def network_problems(key: str, name: str) -> Iterator[str]:
    known = timm_names()
    if known and name.partition(".")[0] not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; timm.list_models() lists them"
        yield f"{key}: timm has no network {name!r}{hint}"


def timm_names() -> set[str]:
    """The networks that the installed timm registers, read from its source: importing it would take seconds.

    Empty where timm is not installed, as in the environment of a head node that only plans.
    """
    return timm_source(r"models/*.py", r"@register_model\s+def (\w+)")


def timm_optimizers() -> set[str]:
    """The optimizers that the installed timm knows by name, found in the same way."""
    return timm_source("optim/_optim_factory.py", r"OptimInfo\(\s*name='(\w+)'")


def timm_source(files: str, pattern: str) -> set[str]:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return set()
    texts = (path.read_text(encoding="utf-8") for path in Path(spec.origin).parent.glob(files))
    return {name for text in texts for name in re.findall(pattern, text)}


def splits_of(config: Config, images: str) -> list[str]:
    """The splits of a source or a stylized set."""
    if images in config["stylized"]:
        return config["stylized"][images]["splits"]
    return list(config["sources"][images]["per_class"])


def run_name(model: str, regime: str, seed: int) -> str:
    """The observer that a run is."""
    return f"{model}_{regime}_seed{seed}"


def recipe_of(config: Config, model: str, regime: str) -> dict[str, Any]:
    """The training keys of one run: the common ones, the model's over them, the regime's over both."""
    return config["training"] | config["models"][model]["training"] | config["regimes"][regime]["training"]
