"""The files and folders that a config names: their paths, and the missing ones.

A plan needs none of them, so it can be made before the data exist. A run needs all of them before its first job.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from shapebias.categories import category_of
from shapebias.config.dataset_sizes import class_folders
from shapebias.config.queries import Config, is_url

FOLDER, FILE, EITHER = "folder", "file", "folder or file"
# Section, key and expected kind of each path in a config.
PATH_KEYS = (
    ("sources", "folder", EITHER),  # a folder, or the tar file of ILSVRC
    ("sources", "categories", FILE),
    ("styles", "folder", FOLDER),
    ("stylizers", "encoder", FILE),
    ("stylizers", "decoder", FILE),
    ("models", "weights", FILE),
    ("benchmarks", "folder", EITHER),  # a folder, or an archive of it
    ("observers", "decisions", EITHER),
    ("observers", "weights", FILE),
    ("observers", "classes", FILE),
)
PATH_TESTS: dict[str, Callable[[Path], bool]] = {FOLDER: Path.is_dir, FILE: Path.is_file, EITHER: Path.exists}
NAMED_ITEMS = 5  # in one message
CLOCK_TOLERANCE = 1.0  # seconds


def local_paths(config: Config) -> Iterator[tuple[str, str, str, str]]:
    """Yield section, name, key and expected kind of each local file or folder in the config."""
    for section, key, kind in PATH_KEYS:
        for name, entry in config[section].items():
            value = entry.get(key, "random")
            if not is_url(value) and not value.startswith(("package:", "download:")) and value != "random":
                yield section, name, key, kind


def resolve_paths(config: Config) -> None:
    """Resolve relative paths against `data_root`."""
    for section, name, key, _ in local_paths(config):
        entry = config[section][name]
        entry[key] = str(Path(config["data_root"]) / entry[key])


def data_problems(config: Config) -> list[str]:
    """Return a message for each file or folder that is missing, and each source with classes without a category."""
    missing = [
        f"config: {section}.{name}.{key}: {path} {problem} (data_root is {config['data_root']})"
        for section, name, key, kind in local_paths(config)
        if (problem := path_problem(path := Path(config[section][name][key]), kind))
    ]
    return missing + [f"config: {problem}" for problem in category_problems(config)]


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
    shown = shlex.join(map(str, ahead[:NAMED_ITEMS])) + (" …" if len(ahead) > NAMED_ITEMS else "")
    return (
        f"{latest}{more}: dated {date}, {ahead_by} in the future. Snakemake would delete all results made from "
        f"it. Give it the time of now: touch {shown}"
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
        categories = own_categories(entry.get("categories"))
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
