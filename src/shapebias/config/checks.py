"""Checks across the keys of a config: names that refer to nothing, sets without a split, circles.

Each message is one line with the key, its value and the allowed values.
"""

import collections
import difflib
import importlib.util
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from shapebias.config import registries
from shapebias.config.data_files import PATH_KEYS
from shapebias.config.partial import WrongValueError, skip_wrong_values
from shapebias.config.queries import (
    ALL,
    ILSVRC_CLASS,
    STYLIZER_PARTS,
    Config,
    file_of,
    is_melanoma,
    is_url,
    melanoma_regimes,
    most_images,
    networks,
    recipe_of,
    run_name,
    splits_of,
)
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS, PUBLISHED_ONLY
from shapebias.evaluation.published import SOURCES
from shapebias.images.archives import ARCHIVE_SUFFIXES
from shapebias.networks.hub_names import HUB_PREFIX, hub_name_problem, is_hub_name
from shapebias.stylize.gatys_settings import GatysSettings
from shapebias.stylize.stylizers import EMBEDDED
from shapebias.training.recipe import Recipe

DOWNLOADS = ("stimuli/cue-conflict", "stimuli/silhouettes", "stimuli/edges", "decisions")
# Library → the argument that sets a network's input size.
SIZE_KEYS = {"timm": "img_size", "torchvision": "image_size"}
# Arguments of a network that the workflow sets → from what.
SET_ARGUMENTS = {
    "num_classes": "from the classes of the images",
    "in_chans": "to the three colours of an image",
    "pretrained": "from `init`",
    "weights": "from the key `weights`",
    "checkpoint_path": "from the key `weights`",
    "features_only": "to false",
}
PEOPLE = "people"  # all people together, in the tables
ANSWER_COLUMNS = ("image", "shape", "texture")  # of the table of answers, beside the observers
# With one of these arguments, a timm network takes images of any size.
ANY_SIZE = {"dynamic_img_size": True, "use_naflex": True, "strict_img_size": False}


def problems(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between keys; a check stops at a value that is wrong by itself."""
    for check in STUDY_CHECKS:
        yield from skip_wrong_values(check(config))
    for section, check in ENTRY_CHECKS:
        for name in names_in(config, section):
            yield from skip_wrong_values(check(config, name))


def names_in(config: Config, section: str) -> list[str]:
    """Return the names of a section's entries, or an empty list if an entry as a whole is wrong."""
    try:
        return list(config[section])
    except WrongValueError:
        return []


def nearest(value: Any, allowed: Iterable[str]) -> str | None:
    """Return the allowed value with the most similar spelling, or None if no spelling is similar."""
    return next(iter(difflib.get_close_matches(str(value), [str(word) for word in allowed], 1)), None)


def suggestion(value: Any, allowed: Iterable[str]) -> str:
    """Return the end of a message: the most similar allowed value, if there is one, and all allowed values."""
    allowed = list(allowed)
    near = nearest(value, allowed)
    hint = f"; did you mean {near!r}?" if near else ";"
    return f"{hint} allowed: {', '.join(map(str, allowed)) or 'none is declared'}"


def unknown(key: str, value: str, noun: str, allowed: Iterable[str]) -> str:
    """Return a message about a name that refers to nothing."""
    return f"{key}: {value!r} is no {noun}{suggestion(value, allowed)}"


def set_name_problems(config: Config) -> Iterator[str]:
    """Yield a message for each name that two sets share; results of both would have the same paths."""
    owner: dict[str, str] = {}
    for section in ("sources", "styles", "stylized"):
        for name in config[section]:
            if name in owner:
                yield f"{section}.{name}: {owner[name]} has a set of that name already; choose another"
            owner[name] = section


def run_name_problems(config: Config) -> Iterator[str]:
    """Yield a message for each name that two runs, or a run and an observer, share."""
    runs: set[str] = set()
    for model, regime, seed in itertools.product(config["models"], config["regimes"], config["seeds"]):
        name = run_name(model, regime, seed)
        if name in runs:
            yield f"models.{model}, regimes.{regime}: two runs would be called {name}; rename a model or a regime"
        runs.add(name)
    for name in config["observers"]:
        if name in runs:
            yield f"observers.{name}: a trained run has that name; choose another"


def reserved_name_problems(config: Config) -> Iterator[str]:
    """Yield a message for each name that has a fixed meaning."""
    for name in EMBEDDED:
        if name in config["stylizers"]:
            yield f"stylizers.{name}: the embedded network has that name already; choose another"
    for name in ("scratch", "pretrained"):
        if name in config["regimes"]:
            yield f"regimes.{name}: a value of `init` has that name already; choose another"
    if "all" in config["benchmarks"]:
        yield "benchmarks.all: in the tables this name means all benchmarks together; choose another"
    observers = [name for name in names_in(config, "observers") if "timm" in config["observers"][name]]
    for section, names in (("models", config["models"]), ("regimes", config["regimes"]), ("observers", observers)):
        if PEOPLE in names:
            yield f"{section}.{PEOPLE}: in the tables this name means all people together; choose another"
    for name in ANSWER_COLUMNS:
        if name in observers:
            yield f"observers.{name}: a column of the answers has that name; choose another"


def pool_problems(config: Config) -> Iterator[str]:
    """Yield a message for each pool of observers with the name of a run, a network, another pool or a column."""
    networks_and_runs = {
        run_name(*run) for run in itertools.product(config["models"], config["regimes"], config["seeds"])
    } | {name for name in names_in(config, "observers") if "timm" in config["observers"][name]}
    owner: dict[tuple[str, str], str] = {}
    for name in names_in(config, "observers"):
        entry = config["observers"][name]
        for pool in entry.get("pool", {}):
            key = f"observers.{name}.pool.{pool}"
            if pool in networks_and_runs:
                yield f"{key}: a trained run or a network has that name; choose another"
            if pool in ANSWER_COLUMNS:
                yield f"{key}: a column of the answers has that name; choose another"
            earlier = owner.setdefault((entry["benchmark"], pool), name)
            if earlier != name:
                yield f"{key}: observers.{earlier} has a pool of that name on {entry['benchmark']!r}; choose another"


def source_problems(config: Config, name: str) -> Iterator[str]:
    entry = config["sources"][name]
    for split in entry["shards"]:
        if split not in splits_of(config, name):
            yield unknown(f"sources.{name}.shards", split, "split of this source", splits_of(config, name))
    for split, count in entry.get("per_class", {}).items():
        if entry["kind"] == "synthetic" and count == ALL:
            yield f"sources.{name}.per_class.{split}: 'all' is no number of images to draw; give a number"
    for split, count in entry["shards"].items():
        images = most_images(config, name, split)
        if images is not None and count > images:
            yield f"sources.{name}.shards.{split}: {count} shards, but the split has at most {images:,} images"
    counts = [count for count in entry.get("per_class", {}).values() if count != ALL]
    if entry["kind"] == "ilsvrc" and sum(counts) > ILSVRC_CLASS:
        yield f"sources.{name}.per_class: {sum(counts):,} images of a class, but ILSVRC has at most {ILSVRC_CLASS:,}"


def stylized_problems(config: Config, name: str) -> Iterator[str]:
    entry, key = config["stylized"][name], f"stylized.{name}"
    yield from skip_wrong_values(stylizing_problems(config, name))
    styles = [*config["styles"], *config["sources"]]
    if entry["content"] not in config["sources"]:
        yield unknown(f"{key}.content", entry["content"], "source", config["sources"])
    if entry["styles"] not in styles:
        yield unknown(f"{key}.styles", entry["styles"], "set of styles or source", styles)
    if entry["content"] not in config["sources"] or entry["styles"] not in styles:
        return
    if entry["other_category"]:
        yield from other_category_problems(config, name)
    for origin in dict.fromkeys([entry["content"], entry["styles"]]):
        for split in entry["splits"] if origin in config["sources"] else ():
            if split not in splits_of(config, origin):
                yield f"{key}.splits: sources.{origin}.per_class has no split {split!r}"


def stylizing_problems(config: Config, name: str) -> Iterator[str]:
    """Check the stylizer and the crop of a stylized set."""
    entry, allowed = config["stylized"][name], [*EMBEDDED, *config["stylizers"]]
    if entry["stylizer"] not in allowed:
        yield unknown(f"stylized.{name}.stylizer", entry["stylizer"], "stylizer", allowed)
    if entry.get("crop", 0) > config["image_size"]:
        yield f"stylized.{name}.crop: {entry['crop']} is larger than image_size, {config['image_size']}"


def other_category_problems(config: Config, name: str) -> Iterator[str]:
    """Check that all content and style images have a category, so that the style can be of another one."""
    entry, key = config["stylized"][name], f"stylized.{name}"
    if any(is_melanoma(config, entry[part]) for part in ("content", "styles")):
        yield f"{key}.other_category: melanoma and other are no categories; leave it out"
    if entry["styles"] not in config["sources"]:
        yield f"{key}.styles: {entry['styles']!r} has no categories; other_category needs a source"
    for origin in dict.fromkeys([entry["content"], entry["styles"]]):
        if config["sources"].get(origin, {}).get("classes") == "all":
            yield (
                f"{key}: sources.{origin}.classes is 'all', but most ILSVRC classes have no category that another "
                f"could differ from; take a source with classes: categories"
            )


def stylizer_problems(config: Config, name: str) -> Iterator[str]:
    entry, key = config["stylizers"][name], f"stylizers.{name}"
    for part in STYLIZER_PARTS:
        if is_url(entry.get(part, "")) and f"{part}_sha256" not in entry:
            yield f"{key}.{part}_sha256 is missing: downloads from a URL are verified"
    if entry["kind"] == "gatys":
        yield from gatys_problems(config, name)
    elif entry["encoder"] == "random" and "training" not in entry:
        yield f"{key}.encoder: 'random' suits no published decoder; give `training` instead of `decoder`"
    for styles, painted in config["styles"].items():
        used = any(e["styles"] == styles and e["stylizer"] == name for e in config["stylized"].values())
        if used and entry.get("style_size", 0) > painted["size"]:
            yield f"{key}.style_size: {entry['style_size']} is larger than styles.{styles}.size"


def gatys_problems(config: Config, name: str) -> Iterator[str]:
    """Check that the network of a stylizer exists, and that a network other than VGG has layers of its own."""
    entry, key = config["stylizers"][name], f"stylizers.{name}"
    yield from network_problems(f"{key}.timm", entry["timm"])
    for layers in ("content_layers", "style_layers"):
        if entry[layers] == list(getattr(GatysSettings, layers)) and not entry["timm"].startswith("torchvision/vgg"):
            yield f"{key}.{layers}: {entry['timm']} has no {entry[layers][0]}; name modules of this network"


def decoder_problems(config: Config, name: str) -> Iterator[str]:
    """Check the training of a stylizer's decoder."""
    if "training" not in config["stylizers"][name]:
        return
    recipe, key = config["stylizers"][name]["training"], f"stylizers.{name}.training"
    sources, sets = config["sources"], [*config["styles"], *config["sources"]]
    if recipe["content"] not in sources:
        yield unknown(f"{key}.content", recipe["content"], "source", sources)
    if recipe["styles"] not in sets:
        yield unknown(f"{key}.styles", recipe["styles"], "set of styles or source", sets)
    for origin in dict.fromkeys([recipe["content"], recipe["styles"]]):
        if origin in sources and "train" not in splits_of(config, origin):
            yield f"{key}: sources.{origin}.per_class has no split 'train'"
    packed = [config["image_size"], config["styles"].get(recipe["styles"], {}).get("size", config["image_size"])]
    if recipe["resize"] > min(packed):
        yield f"{key}.resize: {recipe['resize']} is larger than the images are packed, {min(packed)}"
    if recipe["size"] > recipe["resize"]:
        yield f"{key}.size: {recipe['size']} is larger than resize, {recipe['resize']}"


def download_problems(config: Config) -> Iterator[str]:
    for section, key in (("benchmarks", "folder"), ("observers", "decisions")):
        for name in names_in(config, section):
            prefix, _, wanted = config[section][name].get(key, "").partition("download:")
            if wanted and not prefix and wanted not in DOWNLOADS:
                yield unknown(f"{section}.{name}.{key}", wanted, "download", DOWNLOADS)


def published_problems(config: Config) -> Iterator[str]:
    """Yield a message for each source of published observers that cannot be downloaded."""
    for name, path in config["published"].items():
        wanted = path.removeprefix("download:")
        if wanted == path:
            continue
        if wanted not in SOURCES:
            yield unknown("published", wanted, "source", SOURCES)
        elif name != wanted:
            yield (
                f"published.{name}: {wanted} is downloaded under its own name, which stands for its groups and its "
                f"licence; write published: [{wanted}]"
            )
        elif not SOURCES[wanted].folders:
            yield (
                f"published.{name}: {wanted} cannot be downloaded, since checksums of its files are not known; give a "
                f"folder: published: {{{name}: FOLDER}}"
            )


def published_label_problems(config: Config) -> Iterator[str]:
    """Yield a message for each benchmark whose published labels are classes that networks trained here do not have."""
    regime = next((name for name, entry in config["regimes"].items() if lacks_ilsvrc(config, entry["train_on"][0])), "")
    for name, entry in config["benchmarks"].items():
        if regime and KINDS[entry["kind"]].rule and "folder" in entry and "labels" not in entry:
            yield (
                f"benchmarks.{name}: its published labels are classes of ILSVRC that networks of regimes.{regime} do "
                f"not have; give `labels`, a CSV file class,label with their classes, or measure it in another study"
            )


def lacks_ilsvrc(config: Config, images: str) -> bool:
    """Return whether some of the 1,000 classes of ILSVRC are surely missing in a set. Folders can hold any classes."""
    source = config["sources"].get(config["stylized"].get(images, {}).get("content", images), {})
    return source.get("kind") == "synthetic" or (source.get("kind") == "ilsvrc" and source["classes"] != ALL)


def path_problems(config: Config) -> Iterator[str]:
    """Yield a message for each path that begins like a word of other keys."""
    for section, key, _, other in PATH_KEYS:
        for name in names_in(config, section):
            try:
                value = config[section][name].get(key, "")
            except WrongValueError:
                continue
            for word in ("package:", "download:"):
                if value.startswith(word) and word != other:
                    yield f"{section}.{name}.{key}: {value!r}: {word} has no meaning here; give a path"


def throughput_problems(config: Config) -> Iterator[str]:
    """Yield a message for each name under `throughputs` that the config does not declare."""
    stylizers, observers = [*EMBEDDED, *config["stylizers"]], [n for n, e in config["observers"].items() if "timm" in e]
    allowed = {
        "pack": ("source or set of styles", [*config["sources"], *config["styles"]]),
        "encode": ("stylizer", stylizers),
        "stylize": ("stylizer", stylizers),
        "train": ("model", [*config["models"]]),
        "show": ("model, or network among the observers", [*config["models"], *observers]),
    }
    for kind, rates in config["throughputs"].items():
        noun, names = allowed[kind]
        for name in rates:
            if name not in names:
                yield unknown(f"throughputs.{kind}", name, noun, names)


def palette_problems(config: Config) -> Iterator[str]:
    """Check that seaborn has the palette."""
    palette = config["figures"]["palette"]
    if not registries.is_palette(palette):
        near = nearest(palette, registries.palettes())
        hint = f"did you mean {near!r}?" if near else "allowed: colorblind, deep, muted, viridis, …"
        yield f"figures.palette: {palette!r} is no palette of seaborn; {hint} (seaborn.color_palette lists them)"


def training_problems(config: Config) -> Iterator[str]:
    if bool(config["models"]) != bool(config["regimes"]):
        yield "models and regimes: declare both, or neither (to measure `observers` alone)"


def model_problems(config: Config, name: str) -> Iterator[str]:
    """Check that a model's network exists and takes images of `input_size`."""
    entry, key = config["models"][name], f"models.{name}"
    yield from network_problems(f"{key}.timm", entry["timm"])
    yield from argument_problems(f"{key}.kwargs", entry)
    size = config["input_size"]
    for argument in SIZE_KEYS.values():
        if entry["kwargs"].get(argument, size) != size:
            yield f"{key}.kwargs.{argument}: {entry['kwargs'][argument]} is not input_size, {size}"
    library, network, tag = parse_network(entry["timm"])
    argument = SIZE_KEYS[library]
    if argument in entry["kwargs"] or any(entry["kwargs"].get(word) is value for word, value in ANY_SIZE.items()):
        return
    own_size = registries.input_size_of(library, network, tag)
    if own_size not in (None, size):
        yield (
            f"{key}.timm: {entry['timm']!r} takes images of {own_size} pixels, but input_size is {size}; "
            f"give kwargs: {{{argument}: {size}}}, or another input_size"
        )


def regime_problems(config: Config, name: str) -> Iterator[str]:
    regimes, sets = config["regimes"], [*config["sources"], *config["stylized"]]
    regime, key = regimes[name], f"regimes.{name}"
    yield from skip_wrong_values(init_problems(config, name))
    yield from skip_wrong_values(trainable_problems(config, name))
    for images in regime["train_on"]:
        if images not in sets:
            yield unknown(f"{key}.train_on", images, "set of images", sets)
            continue
        for split in ("train", "val"):
            if split not in splits_of(config, images):
                yield f"{key}.train_on: set {images!r} has no split {split!r}"
    kinds = {is_melanoma(config, images): images for images in regime["train_on"]}
    if len(kinds) > 1:
        yield f"{key}.train_on: {kinds[True]!r} and {kinds[False]!r} have other classes; take one of them"


def init_problems(config: Config, name: str) -> Iterator[str]:
    """Check that the initial weights of a regime exist and do not come from the regime itself."""
    regimes = config["regimes"]
    allowed, init = ["scratch", "pretrained", *regimes], regimes[name]["init"]
    if init not in allowed:
        yield unknown(f"regimes.{name}.init", init, "start", [start for start in allowed if start != name])
    chain = [name]
    while init in regimes and init not in chain:
        chain.append(init)
        init = regimes[init]["init"]
    if init == name == min(chain, key=list(regimes).index):  # one line for the circle
        yield f"regimes.{name}.init: goes in a circle: {' ← '.join([*chain, name])}"


def trainable_problems(config: Config, name: str) -> Iterator[str]:
    """Check that a number of layer groups is given for timm networks only; torchvision's have none."""
    count = config["regimes"][name]["trainable"]
    if not isinstance(count, int):
        return
    models = [m for m, entry in config["models"].items() if parse_network(entry["timm"])[0] == "torchvision"]
    if models:
        yield (
            f"regimes.{name}.trainable: {count} layer groups, but torchvision's networks have none "
            f"({', '.join(f'models.{model}' for model in models)}); give all or head, or take the network from timm"
        )


def recipe_problems(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between hyperparameters; most runs share it."""
    runs: dict[str, list[str]] = collections.defaultdict(list)
    for model, regime in itertools.product(config["models"], config["regimes"]):
        try:
            message = recipe_problem(recipe_of(config, model, regime))
        except WrongValueError:
            continue
        if message:
            runs[message].append(f"models.{model} in regimes.{regime}")
    for message, (first, *others) in runs.items():
        more = f" (and of {len(others)} other{'s' * (len(others) > 1)})" if others else ""
        yield f"training of {first}{more}: {message}"


def recipe_problem(values: dict[str, Any]) -> str | None:
    nodes, ranks = values.pop("nodes", 1), values.get("ranks", 0) or 1
    if ranks % nodes:
        return f"ranks {ranks} cannot be shared evenly by nodes {nodes}"
    if "crop_scale" in values:
        values["crop_scale"] = tuple(values["crop_scale"])
    try:
        Recipe(**values).validate()
    except UserError as error:
        return str(error)
    return None


def batch_problems(config: Config) -> Iterator[str]:
    """Yield a message for each batch that is larger than the training images, where their number is known."""
    for model, regime in itertools.product(config["models"], config["regimes"]):
        yield from skip_wrong_values(batch_problem(config, model, regime))


def batch_problem(config: Config, model: str, regime: str) -> Iterator[str]:
    sets, available = config["regimes"][regime]["train_on"], [*config["sources"], *config["stylized"]]
    counts = [most_images(config, images, "train") if images in available else None for images in sets]
    total = sum(filter(None, counts))
    batch_size = recipe_of(config, model, regime).get("batch_size", Recipe.batch_size)
    if None not in counts and batch_size > total:
        yield (
            f"regimes.{regime}: a batch_size of {batch_size:,} (models.{model}) is larger than its {total:,} training "
            f"images; lower batch_size"
        )


def optimizer_problems(config: Config) -> Iterator[str]:
    """Check that timm has the optimizers."""
    optimizers = registries.timm_optimizers()
    places = {"training": config["training"]}
    for section in ("models", "regimes"):
        places |= {
            f"{section}.{name}.training": config[section][name]["training"] for name in names_in(config, section)
        }
    for key, values in places.items():
        if optimizers and values.get("optimizer", "sgd") not in optimizers:
            yield unknown(f"{key}.optimizer", values["optimizer"], "optimizer of timm", sorted(optimizers))


def observer_problems(config: Config, name: str) -> Iterator[str]:
    entry, key = config["observers"][name], f"observers.{name}"
    is_network = "timm" in entry
    for unused in ("benchmark", "pool") if is_network else ("classes", "weights", "weights_sha256"):
        if unused in entry:
            yield f"{key}.{unused}: has no meaning for {'a network' if is_network else 'decisions'}"
    if is_network:
        yield from network_problems(f"{key}.timm", entry["timm"])
        yield from argument_problems(f"{key}.kwargs", entry)
        return
    answerable = [n for n, e in config["benchmarks"].items() if KINDS[e["kind"]].takes_decisions]
    if entry["benchmark"] not in answerable:
        noun = "benchmark that people or other networks could have answered"
        yield unknown(f"{key}.benchmark", entry["benchmark"], noun, answerable)


# Kinds of benchmarks that need a certain kind of set → a test of the set, and its description.
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
    "configural_shape": (
        lambda config, images: config["sources"].get(images, {}).get("appearance") == "anagram",
        "source with appearance: anagram",
    ),
    "critical_band": (lambda config, images: images in config["sources"], "source"),
}


def benchmark_problems(config: Config, name: str) -> Iterator[str]:
    """Check a benchmark: its images, and the options that its kind allows."""
    entry, key = config["benchmarks"][name], f"benchmarks.{name}"
    yield from skip_wrong_values(suppression_problems(config, name))
    if "labels" in entry and KINDS[entry["kind"]].rule is None:
        kinds = ", ".join(kind.name for kind in KINDS.values() if kind.rule)
        yield f"{key}.labels: kind {entry['kind']!r} has no labels of its own; give it with kind {kinds}"
    for option in ("read_out", "protocols"):
        if entry[option] and entry["kind"] != "cue_conflict":
            yield (
                f"{key}.{option}: kind {entry['kind']!r} has no shape and texture that disagree; give it with kind "
                f"cue_conflict"
            )
    if "folder" in entry:
        yield from stimuli_problems(config, entry, key)
    else:
        yield from image_problems(config, entry, key)


def suppression_problems(config: Config, name: str) -> Iterator[str]:
    entry, key = config["benchmarks"][name], f"benchmarks.{name}.suppress"
    if "suppress" not in entry:
        return
    if entry["kind"] != "suppressed":
        yield f"{key}: has no meaning for kind {entry['kind']!r}; give it with kind suppressed"
    elif not any(entry["suppress"].values()):
        yield f"{key}: suppresses nothing; give a strength of shape, texture or colour"
    suppress = entry["suppress"]
    grids = [(cue, grid) for cue in ("shape", "rotation") for grid in suppress.get(cue, [])]
    grids += [("texture_and_shape", grid) for _, grid in suppress.get("texture_and_shape", [])]
    grids += [("shape_and_colour", grid) for grid, _ in suppress.get("shape_and_colour", [])]
    for cue, grid in grids:
        if grid > config["input_size"]:
            yield f"{key}.{cue}: {grid} patches a side are more than input_size, {config['input_size']} pixels"


def stimuli_problems(config: Config, entry: Config, key: str) -> Iterator[str]:
    """Check a benchmark with `folder`."""
    needed = {"melanoma": "a set of kind isic2017", "suppressed": "a source"}.get(entry["kind"])
    if needed:
        yield f"{key}: kind {entry['kind']!r} needs `images`, {needed}, and no folder"
        return
    path = Path(config["data_root"]) / entry["folder"]
    if entry["kind"] == "configural_shape":
        if path.is_file() and path.suffix != ".parquet":
            yield f"{key}.folder: {path} is neither a folder of anagrams nor a Parquet file of them; unpack an archive"
    elif path.is_file() and not path.name.lower().endswith(ARCHIVE_SUFFIXES):
        yield f"{key}.folder: {path} is neither a folder nor an archive ({', '.join(ARCHIVE_SUFFIXES)})"


def image_problems(config: Config, entry: Config, key: str) -> Iterator[str]:
    """Check a benchmark with `images`."""
    kind, images, sets = entry["kind"], entry["images"], [*config["sources"], *config["stylized"]]
    is_suitable, noun = SETS_OF_KIND.get(kind, (lambda *_: True, ""))
    if kind in PUBLISHED_ONLY:
        yield f"{key}: kind {kind!r} needs `folder`, the published images, and no `images`"
    elif images not in sets:
        yield unknown(f"{key}.images", images, "set of images", sets)
    elif "test" not in splits_of(config, images):
        yield f"{key}.images: set {images!r} has no split 'test'"
    elif (kind == "melanoma") != is_melanoma(config, images):
        classes = "are melanomas and others" if is_melanoma(config, images) else "hold no melanomas"
        yield f"{key}.images: those of {images!r} {classes}, which kind {kind!r} is not for"
    elif not is_suitable(config, images):
        yield f"{key}.images: {images!r} is no {noun}, which kind {kind!r} needs"


def counterpart_problems(config: Config) -> Iterator[str]:
    """Check that melanoma runs have a melanoma benchmark, other networks another one, and each benchmark a network."""
    melanoma = [name for name, entry in config["benchmarks"].items() if entry["kind"] == "melanoma"]
    regimes = melanoma_regimes(config)
    others = [f"regimes.{name}" for name in config["regimes"] if name not in regimes]
    others += [f"observers.{name}" for name, entry in config["observers"].items() if "timm" in entry]
    if melanoma and not regimes:
        yield f"benchmarks.{melanoma[0]}: nobody sees it; declare a regime that is trained on an isic2017 set"
    if regimes and not melanoma:
        yield f"regimes.{regimes[0]}: its runs see benchmarks of kind melanoma alone; declare one"
    if others and len(melanoma) == len(config["benchmarks"]):
        yield f"{others[0]}: sees no benchmark of kind melanoma; declare one of another kind"


def weights_problems(config: Config) -> Iterator[str]:
    """Check the weights of models and observers. Downloads keep the file name of their URL, so names must differ."""
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
            yield f"{key}_sha256 is missing: downloads from a URL are verified"
        if not re.fullmatch(r"\w[\w.+=-]*", file_of(weights)):
            yield f"{key}: {weights} does not end in the name of a file (letters, digits, . _ + = -)"
        if files.setdefault(file_of(weights), (weights, sha256)) != (weights, sha256):
            yield f"{key}: another network's weights are called {file_of(weights)} too, with other URL or checksum"


def parse_network(name: str) -> tuple[str, str, str]:
    """Return library, network and weights tag ("" if there is none) of torchvision/resnet50.IMAGENET1K_V1."""
    library = "torchvision" if name.startswith("torchvision/") else "timm"
    network, _, tag = name.removeprefix("torchvision/").partition(".")
    return library, network, tag


def network_problems(key: str, name: str) -> Iterator[str]:
    """Check that the installed library has a network and its weights; the hub's networks are known to the hub alone."""
    if is_hub_name(name):
        if problem := hub_name_problem(name):
            yield f"{key}: {problem}"
        return
    library, network, tag = parse_network(name)
    networks = registries.networks_by_source(library)
    if networks and network not in networks:
        near = difflib.get_close_matches(name.removeprefix("torchvision/"), networks, 3)
        lister = "timm.list_models()" if library == "timm" else "torchvision.models.list_models()"
        hint = f"did you mean {' or '.join(near)}?" if near else f"{lister} lists them"
        if "/" in network:
            hint = f"a network on the Hugging Face hub is called {HUB_PREFIX}{name}"
        yield f"{key}: {library} has no network {network!r}; {hint}"
    weights = registries.weights_of(library, network)
    if tag and weights and tag not in weights:
        yield f"{key}: {library} has no weights {tag!r} of {network}{suggestion(tag, filter(None, weights))}"


def is_argument(name: str, words: frozenset[str]) -> bool:
    """Return whether a name is a known word. MaxxViT puts a part before its arguments: conv_stride_mode."""
    part, _, rest = name.partition("_")
    return name in words or (f"{part}_" in words and rest in words)


def argument_problems(key: str, entry: Config) -> Iterator[str]:
    """Check the names of a network's arguments."""
    library, network, _ = parse_network(entry["timm"])
    words = registries.argument_words(library, network)
    for name in (name for name in entry["kwargs"] if isinstance(name, str)):
        if name in SET_ARGUMENTS:
            yield f"{key}.{name}: the workflow sets it, {SET_ARGUMENTS[name]}; leave it out"
        elif words and not is_argument(name, words):
            near = nearest(name, words)
            hint = f"; did you mean {near!r}?" if near else ""
            yield f"{key}.{name}: {library}'s {network} takes no argument of that name{hint}"


STUDY_CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    set_name_problems,
    run_name_problems,
    reserved_name_problems,
    pool_problems,
    batch_problems,
    training_problems,
    recipe_problems,
    optimizer_problems,
    counterpart_problems,
    weights_problems,
    download_problems,
    published_problems,
    published_label_problems,
    path_problems,
    throughput_problems,
    palette_problems,
)
ENTRY_CHECKS: tuple[tuple[str, Callable[[Config, str], Iterator[str]]], ...] = (
    ("sources", source_problems),
    ("stylized", stylized_problems),
    ("stylizers", stylizer_problems),
    ("stylizers", decoder_problems),
    ("models", model_problems),
    ("regimes", regime_problems),
    ("benchmarks", benchmark_problems),
    ("observers", observer_problems),
)
