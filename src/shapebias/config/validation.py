"""The configuration: defaults filled in, and every mistake found before the first job.

The schema describes each key; what no schema can say (a regime that starts from itself, a set that has no
such split) is checked here. Every message names the key, its value and what is allowed.
"""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from shapebias.config.checks import CLASS_COUNTS, problems, suggestion
from shapebias.config.queries import Config, is_url
from shapebias.errors import UserError

# Where a config names files and folders: section, key, what it must be.
PATH_KEYS = (
    ("sources", "folder", Path.exists),  # a folder, or ILSVRC's tar file
    ("styles", "folder", Path.is_dir),
    ("benchmarks", "folder", Path.exists),  # a folder, or an archive of it
    ("observers", "decisions", Path.exists),
    ("sources", "categories", Path.is_file),
    ("models", "weights", Path.is_file),
    ("observers", "weights", Path.is_file),
    ("observers", "classes", Path.is_file),
    ("stylizers", "encoder", Path.is_file),
    ("stylizers", "decoder", Path.is_file),
)
# Photographs and paintings may be fetched later than the plan is made.
LATER = (("sources", "folder"), ("styles", "folder"))

SHARD_SIZE = 1000  # images of a shard of ILSVRC, where the config says nothing


def checked(config: Config, schema: dict[str, Any]) -> Config:
    """A copy of the config with defaults filled in and paths taken from `data_root`; raises UserError."""
    config = unshared(config)
    error = best_match(with_defaults(schema).iter_errors(config))
    if error is not None:
        raise UserError(f"config: {explain(error)}")
    config.setdefault("input_size", config["image_size"])
    for problem in (*path_problems(config), *problems(config)):
        raise UserError(f"config: {problem}")
    for entry in config["sources"].values():
        if entry["kind"] == "ilsvrc":
            entry["shards"] = default_shards(entry) | entry["shards"]
    return config


def unshared(value: Any) -> Any:
    """A copy in which each part stands once: what places share by a YAML anchor may get other defaults in each."""
    if isinstance(value, dict):
        return {key: unshared(part) for key, part in value.items()}
    return [unshared(part) for part in value] if isinstance(value, list) else value


def parse_scalars(value: Any) -> Any:
    """A copy in which texts that YAML reads as numbers, booleans or null are those: `--config "training={epochs: 3}"`
    comes with the text "3".
    """
    if isinstance(value, dict):
        return {key: parse_scalars(part) for key, part in value.items()}
    if isinstance(value, list):
        return [parse_scalars(part) for part in value]
    try:
        scalar = yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value
    return scalar if scalar is None or isinstance(scalar, bool | int | float) else value


def default_shards(entry: Config) -> dict[str, int]:
    """Shards of an ILSVRC source: so many that each holds SHARD_SIZE images (of `all` images, as if 1,300 a class)."""
    classes = CLASS_COUNTS[entry["classes"]]
    counts = {split: 1300 if count == "all" else count for split, count in entry["per_class"].items()}
    return {split: math.ceil(classes * count / SHARD_SIZE) for split, count in counts.items()}


def with_defaults(schema: dict[str, Any]) -> jsonschema.protocols.Validator:
    """A validator that also writes the schema's defaults into what it validates."""
    plain = dict(Draft202012Validator.VALIDATORS)["properties"]

    def properties(validator: Any, described: dict, instance: Any, parent: dict) -> Iterator[ValidationError]:
        if isinstance(instance, dict):
            for key, described_value in described.items():
                if "default" in described_value:
                    instance.setdefault(key, copy.deepcopy(described_value["default"]))
        yield from plain(validator, described, instance, parent)

    # JSON calls 96.0 an integer and YAML knows .nan; a command line takes neither.
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    )
    return jsonschema.validators.extend(Draft202012Validator, {"properties": properties}, type_checker=types)(schema)


def explain(error: ValidationError) -> str:
    """One line for one mistake: the key, its value, what is allowed."""
    key = ".".join(map(str, error.absolute_path))
    described: Any = error.schema
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        allowed = sorted(described["properties"])
        strange = sorted(set(error.instance) - set(allowed), key=str)[0]
        return f"unknown key {f'{key}.{strange}' if key else strange!r}{suggestion(strange, allowed)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"key {f'{key}.{missing}' if key else missing!r} is missing"
    if error.validator == "type":
        return f"{key}: {error.instance!r} is a {type(error.instance).__name__}, expected {error.validator_value}"
    if error.validator == "enum":
        return f"{key}: {error.instance!r} is not allowed{suggestion(error.instance, error.validator_value)}"
    if error.validator == "anyOf":
        allowed = [v for option in error.validator_value for v in option.get("enum", [option.get("const")]) if v]
        numbers = any(option.get("type") == "integer" for option in error.validator_value)
        return f"{key}: {error.instance!r} is not allowed; allowed: {', '.join(allowed)}" + numbers * ", or a number"
    if error.validator == "oneOf":
        options = " or ".join(" and ".join(option["required"]) for option in error.validator_value)
        return f"{key}: give exactly one of: {options}"
    return f"{key}: {error.message}" if key else error.message


def path_problems(config: Config) -> Iterator[str]:
    """Take relative paths from `data_root`; yields what does not exist, but for what may be fetched later."""
    root = Path(config["data_root"])
    for section, key, is_there in PATH_KEYS:
        for name, entry in config[section].items():
            value = entry.get(key)
            if value is None or is_url(value) or value.startswith(("package:", "download:")) or value == "random":
                continue
            path = root / value
            entry[key] = str(path)
            if not is_there(path) and (section, key) not in LATER:
                yield f"{section}.{name}.{key}: {path} {missing(path)} (data_root is {root})"


def missing_folders(config: Config) -> list[str]:
    """The folders of photographs and paintings that do not exist (yet): a plan needs none, the first job does."""
    return [
        f"config: {section}.{name}.{key}: {path} {missing(path)} (data_root is {config['data_root']})"
        for section, key in LATER
        for name, entry in config[section].items()
        if key in entry and not (path := Path(entry[key])).exists()
    ]


def missing(path: Path) -> str:
    return "is a file, not a folder" if path.is_file() else "does not exist" if not path.exists() else "is no file"
