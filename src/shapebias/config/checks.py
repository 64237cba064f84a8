"""What no schema can say of a config: names that refer to nothing, sets without a split, circles.

Each mistake is one line that names the key, its value and what is allowed.
"""

import difflib
import importlib.util
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from shapebias.config.queries import (
    Config,
    file_of,
    is_melanoma,
    is_url,
    melanoma_regimes,
    networks,
    recipe_of,
    run_name,
    splits_of,
)
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, PUBLISHED_ONLY
from shapebias.images.archives import ARCHIVE_SUFFIXES
from shapebias.training.recipe import Recipe

ALL = "all"  # a count: every image that there is
CLASS_COUNTS = {"categories": 207, "present": 207, "all": 1000}  # of ILSVRC, by `classes`
DOWNLOADS = ("stimuli/cue-conflict", "stimuli/silhouettes", "stimuli/edges", "decisions")


def problems(config: Config) -> Iterator[str]:
    """All mistakes of a config that fits the schema."""
    checks = (name_problems, set_problems, stylizer_problems, regime_problems, test_problems, weights_problems)
    for check in (*checks, download_problems, throughput_problems):
        yield from check(config)


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
        if entry["other_category"] and any(is_melanoma(config, entry[key]) for key in ("content", "styles")):
            yield f"stylized.{name}.other_category: melanoma and other are no categories; leave it out"
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
                if split not in splits_of(config, origin):
                    yield f"stylized.{name}.splits: sources.{origin}.per_class has no split {split!r}"
    for name, entry in config["sources"].items():
        for split, count in entry.get("per_class", {}).items():
            if entry["kind"] == "synthetic" and count == ALL:
                yield f"sources.{name}.per_class.{split}: 'all' is no number of images to draw; give a number"
        for split in entry["shards"]:
            if split not in splits_of(config, name):
                yield unknown(f"sources.{name}.shards", split, "split of this source", splits_of(config, name))


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
            if "train" not in splits_of(config, origin):
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


def throughput_problems(config: Config) -> Iterator[str]:
    """Names under `throughputs` that are nothing of which there is a speed."""
    stylizers, observers = ["ghiasi", *config["stylizers"]], [n for n, e in config["observers"].items() if "timm" in e]
    allowed = {
        "pack": ("source or set of styles", [*config["sources"], *config["styles"]]),
        "encode": ("stylizer", stylizers),
        "stylize": ("stylizer", stylizers),
        "train": ("model", [*config["models"]]),
        "show": ("model, or network among the observers", [*config["models"], *observers]),
    }
    for kind, rates in config["throughputs"].items():
        what, names = allowed[kind]
        for name in rates:
            if name not in names:
                yield unknown(f"throughputs.{kind}", name, what, names)


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
        for key in ("img_size", "image_size"):  # timm's word, torchvision's
            side = model["kwargs"].get(key, config["input_size"])
            if side != config["input_size"]:
                yield f"models.{name}.kwargs.{key}: {side} is not input_size, {config['input_size']}"
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
    for name, regime in regimes.items():
        kinds = {is_melanoma(config, images): images for images in regime["train_on"]}
        if len(kinds) > 1:
            yield f"regimes.{name}.train_on: {kinds[True]!r} and {kinds[False]!r} have other classes; take one of them"
    for name, model in itertools.product(regimes, config["models"]):
        count = regimes[name]["trainable"]
        if isinstance(count, int) and config["models"][model]["timm"].startswith("torchvision/"):
            yield (
                f"regimes.{name}.trainable: {count} layer groups, but models.{model} is torchvision's and has none; "
                f"give all or head, or take the network from timm"
            )
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
        nodes, ranks = values.pop("nodes", 1), values.get("ranks", 0) or 1
        if ranks % nodes:
            where = f"training of models.{model} in regimes.{regime}"
            yield f"{where}: ranks {ranks} cannot be shared evenly by nodes {nodes}"
        if "crop_scale" in values:
            values["crop_scale"] = tuple(values["crop_scale"])
        try:
            recipe = Recipe(**values).validate()
        except UserError as error:
            yield f"training of models.{model} in regimes.{regime}: {error}"
            continue
        if optimizers and recipe.optimizer not in optimizers:
            yield unknown("training.optimizer", recipe.optimizer, "optimizer of timm", sorted(optimizers))


def test_problems(config: Config) -> Iterator[str]:
    if "all" in config["benchmarks"]:
        yield "benchmarks.all: in the tables the name stands for all benchmarks together; choose another"
    for name, entry in config["benchmarks"].items():
        yield from benchmark_problems(config, f"benchmarks.{name}", entry)
    yield from unseen_problems(config)
    answered = [name for name, e in config["benchmarks"].items() if KINDS[e["kind"]].measures in ("bias", "accuracy")]
    for name, entry in config["observers"].items():
        strange = {"benchmark", "pool"} if "timm" in entry else {"weights", "weights_sha256", "classes"}
        for key in sorted(strange & set(entry)):
            yield f"observers.{name}.{key}: has no meaning for {'a network' if 'timm' in entry else 'decisions'}"
        if "timm" in entry:
            yield from network_problems(f"observers.{name}.timm", entry["timm"])
        elif entry["benchmark"] not in answered:
            what = "benchmark that people or other networks could have answered"
            yield unknown(f"observers.{name}.benchmark", entry["benchmark"], what, answered)


# What a benchmark's `images` must be, where its kind takes only some: a test of name and config, and its words.
SETS_OF_KIND: dict[str, tuple[Callable[[Config, str], bool], str]] = {
    "cue_conflict": (
        lambda config, images: bool(config["stylized"].get(images, {}).get("other_category")),
        "stylized set with other_category: true",
    ),
    "sin_test": (
        lambda config, images: images in config["stylized"] and not config["stylized"][images]["other_category"],
        "stylized set without other_category",
    ),
    "in_test": (lambda config, images: images in config["sources"], "source"),
    "suppressed": (lambda config, images: images in config["sources"], "source"),
}


def benchmark_problems(config: Config, key: str, entry: Config) -> Iterator[str]:
    """Of one benchmark: where its images come from, and what its kind has."""
    kind, images = entry["kind"], entry.get("images")
    if entry["read_out"] and kind != "cue_conflict":
        yield f"{key}.read_out: kind {kind!r} has no shape and texture that disagree; give it with kind cue_conflict"
    if kind != "suppressed" and "suppress" in entry:
        yield f"{key}.suppress: has no meaning for kind {kind!r}; give it with kind suppressed"
    if kind == "suppressed" and not any(entry["suppress"].values()):
        yield f"{key}.suppress: suppresses nothing; give a strength of shape, texture or colour"
    for grid in entry.get("suppress", {}).get("shape", []):
        if grid > config["input_size"]:
            yield f"{key}.suppress.shape: {grid} patches a side are more than input_size, {config['input_size']} pixels"
    if images is None:
        needed = {"melanoma": "a set of kind isic2017", "suppressed": "a source"}.get(kind)
        if needed:
            yield f"{key}: kind {kind!r} needs `images`, {needed}, and no folder"
        elif Path(entry["folder"]).is_file() and not entry["folder"].lower().endswith(ARCHIVE_SUFFIXES):
            yield f"{key}.folder: {entry['folder']} is neither a folder nor an archive ({', '.join(ARCHIVE_SUFFIXES)})"
        return
    sets = [*config["sources"], *config["stylized"]]
    suits, suiting = SETS_OF_KIND.get(kind, (lambda *_: True, ""))
    if kind in PUBLISHED_ONLY:
        yield f"{key}: kind {kind!r} needs `folder`, the published images, and no `images`"
    elif images not in sets:
        yield unknown(f"{key}.images", images, "set of images", sets)
    elif "test" not in splits_of(config, images):
        yield f"{key}.images: set {images!r} has no split 'test'"
    elif (kind == "melanoma") != is_melanoma(config, images):
        classes = "are melanomas and others" if is_melanoma(config, images) else "hold no melanomas"
        yield f"{key}.images: those of {images!r} {classes}, which kind {kind!r} is not for"
    elif not suits(config, images):
        yield f"{key}.images: {images!r} is no {suiting}, which kind {kind!r} needs"


def unseen_problems(config: Config) -> Iterator[str]:
    """Runs that tell melanomas see benchmarks of that kind alone, and no others do: each must have its counterpart."""
    melanoma = [name for name, entry in config["benchmarks"].items() if entry["kind"] == "melanoma"]
    theirs = melanoma_regimes(config)
    others = [f"regimes.{name}" for name in config["regimes"] if name not in theirs]
    others += [f"observers.{name}" for name, entry in config["observers"].items() if "timm" in entry]
    if melanoma and not theirs:
        yield f"benchmarks.{melanoma[0]}: nobody sees it; declare a regime that is trained on an isic2017 set"
    if theirs and not melanoma:
        yield f"regimes.{theirs[0]}: its runs see benchmarks of kind melanoma alone; declare one"
    if others and len(melanoma) == len(config["benchmarks"]):
        yield f"{others[0]}: sees no benchmark of kind melanoma; declare one of another kind"


def weights_problems(config: Config) -> Iterator[str]:
    """Of the weights of models and observers; files that are fetched are told apart by their names."""
    files: dict[str, tuple[str, str | None]] = {}
    for owner, entry in networks(config):
        key = f"{owner}.weights"
        weights, sha256 = entry.get("weights", ""), entry.get("weights_sha256")
        package = weights.partition("package:")[2].partition("/")[0]
        if package and importlib.util.find_spec(package) is None:
            yield f"{key}: package {package!r} is not installed"
        if not is_url(weights):
            if sha256:
                yield f"{key}_sha256: has no meaning but for a URL in weights"
            continue
        if sha256 is None:
            yield f"{key}_sha256 is missing: what comes from a URL is verified"
        if not re.fullmatch(r"\w[\w.+=-]*", file_of(weights)):
            yield f"{key}: {weights} does not end in the name of a file (letters, digits, . _ + = -)"
        if files.setdefault(file_of(weights), (weights, sha256)) != (weights, sha256):
            yield f"{key}: another network's weights are called {file_of(weights)} too, with other URL or checksum"


def network_problems(key: str, name: str) -> Iterator[str]:
    library = "torchvision" if name.startswith("torchvision/") else "timm"
    own = name.removeprefix("torchvision/")
    known = torchvision_names() if library == "torchvision" else timm_names()
    if known and own.partition(".")[0] not in known:
        near = difflib.get_close_matches(own, known, 3)
        lister = "timm.list_models()" if library == "timm" else "torchvision.models.list_models()"
        hint = f"did you mean {' or '.join(near)}?" if near else f"{lister} lists them"
        yield f"{key}: {library} has no network {own!r}; {hint}"


def timm_names() -> set[str]:
    """The networks that the installed timm registers, read from its source: importing it would take seconds.

    Empty where timm is not installed, as in the environment of a head node that only plans.
    """
    return named_in("timm", "models/*.py", r"@register_model\s+def (\w+)")


def torchvision_names() -> set[str]:
    """The networks that the installed torchvision registers, found in the same way."""
    return named_in("torchvision", "models/*.py", r"@register_model\(\)\s+@handle_legacy_interface[^@]*?\ndef (\w+)")


def timm_optimizers() -> set[str]:
    """The optimizers that the installed timm knows by name, found in the same way."""
    return named_in("timm", "optim/_optim_factory.py", r"OptimInfo\(\s*name='(\w+)'")


def named_in(package: str, files: str, pattern: str) -> set[str]:
    """What a pattern finds in the source of an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return set()
    texts = (path.read_text(encoding="utf-8") for path in Path(spec.origin).parent.glob(files))
    return {name for text in texts for name in re.findall(pattern, text)}
