"""The files and folders that a config names: their paths, and the missing ones.

A plan needs none of them, so it can be made before the data exist. A run needs all of them before its first job.
"""

import contextlib
import fnmatch
import itertools
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from shapebias.categories import category_of, ilsvrc_wnids
from shapebias.config.dataset_sizes import class_folders
from shapebias.config.queries import ALL, Config, is_url, network_names
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.label_maps import published_label_map, read_label_map

FOLDER, FILE, EITHER = "folder", "file", "folder or file"
# Section, key and expected kind of each path in a config, and how a value begins that is no path there.
PATH_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("sources", "folder", EITHER, ""),  # a folder, or the tar file of ILSVRC
    ("sources", "categories", FILE, ""),
    ("styles", "folder", FOLDER, ""),
    ("stylizers", "encoder", FILE, "random"),
    ("stylizers", "decoder", FILE, ""),
    ("stylizers", "weights", FILE, ""),
    ("stylizers", "style_masks", FOLDER, ""),
    ("models", "weights", FILE, "package:"),
    ("benchmarks", "folder", EITHER, "download:"),  # a folder, or an archive of it
    ("benchmarks", "labels", FILE, ""),
    ("observers", "decisions", EITHER, "download:"),
    ("observers", "weights", FILE, "package:"),
    ("observers", "classes", FILE, ""),
)
PATH_TESTS: dict[str, Callable[[Path], bool]] = {FOLDER: Path.is_dir, FILE: Path.is_file, EITHER: Path.exists}
NAMED_ITEMS = 5  # in one message
CLOCK_TOLERANCE = 1.0  # seconds


def local_paths(config: Config) -> Iterator[tuple[str, str, str, str]]:
    """Yield section, name, key and expected kind of each local file or folder in the config."""
    for section, key, kind, other in PATH_KEYS:
        for name, entry in config[section].items():
            value = entry.get(key)
            is_path = value is not None and not is_url(value)
            if is_path and not (value.startswith(other) if other.endswith(":") else value == other):
                yield section, name, key, kind


def resolve_paths(config: Config) -> None:
    """Resolve relative paths against `data_root`."""
    for section, name, key, _ in local_paths(config):
        entry = config[section][name]
        entry[key] = str(Path(config["data_root"]) / entry[key])
    for name, folder in published_folders(config).items():
        config["published"][name] = str(Path(config["data_root"]) / folder)


def published_folders(config: Config) -> dict[str, str]:
    """Return source → folder of the published observers that need no download."""
    return {name: path for name, path in config["published"].items() if not path.startswith("download:")}


def data_problems(config: Config) -> list[str]:
    """Return a message for each file or folder that is missing, and each that does not fit the config.

    Tables that people wrote are read, and images of each class are counted. No image is opened.
    """
    missing = [
        f"config: {section}.{name}.{key}: {path} {problem} (data_root is {config['data_root']})"
        for section, name, key, kind in local_paths(config)
        if (problem := path_problem(path := Path(config[section][name][key]), kind))
    ]
    missing += [
        f"config: published.{name}: {path} {problem} (data_root is {config['data_root']})"
        for name, path in published_folders(config).items()
        if (problem := path_problem(Path(path), FOLDER))
    ]
    checks = (category_problems, class_size_problems, output_problems, label_problems, decision_problems)
    return missing + [f"config: {problem}" for check in checks for problem in check(config)]


def future_problem(paths: Iterable[Path], now: float) -> str | None:
    """Return a message if files are dated in the future, or None; now: seconds since 1970, by the results' disk.

    Snakemake compares times when a job is done, and deletes its outputs if an input is newer. Paths that do not exist
    are left out.
    """
    dates = {path: max(path.lstat().st_mtime, path.stat().st_mtime) for path in paths if path.exists()}
    ahead = [path for path, date in dates.items() if date > now + CLOCK_TOLERANCE]
    if not ahead:
        return None
    latest = max(ahead, key=lambda path: dates[path])
    date, minutes = datetime.fromtimestamp(dates[latest]).isoformat(" ", "minutes"), (dates[latest] - now) / 60
    ahead_by = f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.1f} minutes"
    more = f" and {len(ahead) - 1} other input{'s' if len(ahead) > 2 else ''}" if len(ahead) > 1 else ""
    paths_text = shlex.join(map(str, ahead[:NAMED_ITEMS])) + (" …" if len(ahead) > NAMED_ITEMS else "")
    return (
        f"{latest}{more}: dated {date}, {ahead_by} in the future. Snakemake would delete all results made from "
        f"it. Give it the time of now: touch {paths_text}"
    )


def path_problem(path: Path, kind: str) -> str | None:
    """Return why a path is not the needed file or folder, or None if it is."""
    if not path.exists():
        return "does not exist"
    if not PATH_TESTS[kind](path):
        return f"is a {FOLDER if path.is_dir() else FILE}, not a {kind}"
    return "is an empty folder" if path.is_dir() and next(path.iterdir(), None) is None else None


def category_problems(config: Config) -> Iterator[str]:
    """Yield a message for each image folder with classes that belong to none of the 16 categories."""
    for name, entry in config["sources"].items():
        if entry["kind"] != "imagefolder" or not Path(entry["folder"]).is_dir():
            continue
        try:
            categories = own_categories(entry.get("categories"))
        except UserError as error:
            yield f"sources.{name}.categories: {error}"
            continue
        if categories is None:
            continue
        classes = [folder for folder in class_folders(Path(entry["folder"])) if category_of(folder, categories) is None]
        if classes:
            more = f" and {len(classes) - NAMED_ITEMS} more" if len(classes) > NAMED_ITEMS else ""
            yield (
                f"sources.{name}.folder: {entry['folder']}: no category for class {', '.join(classes[:NAMED_ITEMS])}"
                f"{more}: neither one of the 207 ILSVRC classes nor named like one of the 16 categories; give a CSV "
                f"file class,category (`categories`)"
            )


def own_categories(path: str | None) -> dict[str, str] | None:
    """Return class → category from a CSV file, or None if the file is missing."""
    if path is None:
        return {}
    if not Path(path).is_file():
        return None
    from shapebias.images.image_folder import read_categories  # pandas takes half a second to import

    return read_categories(Path(path))


def class_size_problems(config: Config) -> Iterator[str]:
    """Yield a message for each image folder with a class that has fewer images than the config takes of it."""
    for name, entry in config["sources"].items():
        root, per_class = Path(entry.get("folder", "")), entry.get("per_class", {})
        if entry["kind"] != "imagefolder" or not root.is_dir():
            continue
        own_folders = [split for split in ("train", "val", "test") if (root / split).is_dir()]
        wanted = dict.fromkeys(own_folders or ["train"], 0)
        for split, count in per_class.items():  # a split without a folder takes training images
            folder = split if split in own_folders else "train"
            wanted[folder] = wanted.get(folder, 0) + (1 if count == ALL else count)
        for folder, least in wanted.items():
            parent = root / folder if own_folders else root
            for path in sorted(parent.iterdir()) if parent.is_dir() and least else ():
                if not path.is_dir() or path.name.startswith((".", "__MACOSX")):
                    continue
                present = count_images(path, least)
                if present < least:
                    yield (
                        f"sources.{name}.per_class: class {path.name!r} in {parent} has {present} images, {least} are "
                        f"wanted for all splits; lower per_class or add images"
                    )
                    break


def count_images(folder: Path, most: int) -> int:
    """Return the number of image files below a folder, counting no further than `most`."""
    from shapebias.images.codec import is_image_name

    def image_names() -> Iterator[str]:
        visited = set[str]()
        for parent, folders, files in os.walk(folder, followlinks=True):
            if (place := os.path.realpath(parent)) in visited:  # a link to a folder above
                folders.clear()
                continue
            visited.add(place)
            yield from (name for name in files if is_image_name(name) and not name.startswith("."))

    return sum(1 for _ in itertools.islice(image_names(), most))


def output_problems(config: Config) -> Iterator[str]:
    """Yield a message for each table of a network's outputs that cannot be read."""
    for name, entry in config["observers"].items():
        if "classes" in entry:
            try:
                own_categories(entry["classes"])
            except UserError as error:
                yield f"observers.{name}.classes: {error}"


def label_problems(config: Config) -> Iterator[str]:
    """Yield a message for each table of labels that cannot be read, or whose classes an observer does not have."""
    observers: dict[str, list[str]] = {}
    for name, entry in config["observers"].items():
        if "timm" in entry:
            with contextlib.suppress(UserError):  # of `output_problems`
                own = own_categories(entry.get("classes"))
                if own is not None:
                    observers[name] = list(own) or ilsvrc_wnids()
    for name, entry in config["benchmarks"].items():
        kind, table = KINDS[entry["kind"]], entry.get("labels")
        if not kind.rule or not ("folder" in entry if table is None else Path(table).is_file()):
            continue
        key = f"benchmarks.{name}.labels"
        try:
            label_map = published_label_map(kind.label_map, kind.rule)
            if table is not None:
                label_map = read_label_map(Path(table), kind.rule)
            for observer, classes in observers.items():
                key = f"benchmarks.{name}.labels, for observers.{observer}"
                label_map.positions(classes)
        except UserError as error:
            yield f"{key}: {error}"


def decision_problems(config: Config) -> Iterator[str]:
    """Yield a message for recorded decisions that the tables could not take: unreadable, or with a name used twice."""
    networks = set(network_names(config))
    for name, entry in config["observers"].items():
        if "decisions" not in entry:
            continue
        path = Path(entry["decisions"])
        files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not files and any(path.iterdir()):  # an empty folder is reported as such
            yield f"observers.{name}.decisions: {path} holds no CSV file; give a file of decisions, or a folder of them"
        if not files or not all(file.is_file() for file in files):
            continue
        from shapebias.evaluation.decisions import read_decisions  # imports pandas

        key, observers = f"observers.{name}", set[str]()
        try:
            for file in files:
                observers |= set(read_decisions(file, config["benchmarks"][entry["benchmark"]]["kind"])["observer"])
        except UserError as error:
            yield f"{key}.decisions: {error}"
            continue
        for observer in sorted(observers & (networks | {"people", "image", "shape", "texture"})):
            yield (
                f"{key}.decisions: {path}: an observer is called {observer!r}, as a network, a column of the answers "
                f"or all people together; rename it"
            )
        for pool, pattern in entry.get("pool", {}).items():
            if pool in observers:
                yield f"{key}.pool.{pool}: an observer in {path} has that name; choose another"
            if not fnmatch.filter(observers, pattern):
                names = ", ".join(sorted(observers)[:10])
                yield f"{key}.pool.{pool}: no observer matches {pattern!r}; there are {names}"
