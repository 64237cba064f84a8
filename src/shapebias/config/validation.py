"""The check of a config. It fills in defaults and reports all mistakes at once, before the first job.

`models` describes single keys, and `checks` compares several keys. Each message is one line with the key, its value and
the allowed values.
"""

import difflib
import functools
import math
import re
from typing import Any

from pydantic import ValidationError

from shapebias.config.checks import nearest, problems, suggestion
from shapebias.config.data_files import resolve_paths
from shapebias.config.files import parse_scalar
from shapebias.config.models import Section, Study
from shapebias.config.partial import mark_wrong_values
from shapebias.config.queries import CLASS_COUNTS, Config
from shapebias.errors import UserError

SHARD_SIZE = 1000  # images in a shard of ILSVRC, if the config gives no number of shards
SECTIONS_WITH_KINDS = ("sources", "styles", "stylizers")  # the kind of an entry decides its keys
EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section of keys and values",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a section of keys and values",
}
LIMITS = {
    "greater_than_equal": ("ge", "less than the minimum of"),
    "less_than_equal": ("le", "more than the maximum of"),
    "greater_than": ("gt", "not above"),
    "less_than": ("lt", "not below"),
}
LONGEST_VALUE = 200  # characters of a value in a message
QUOTED = re.compile("'([^']*)'")
Place = tuple[Any, ...]  # the path of keys to a value: ("training", "lr")


def check_config(config: Config) -> Config:
    """Return a copy of the config with defaults filled in and relative paths resolved against `data_root`.

    Raises UserError with one line for each mistake.
    """
    config, lines, wrong = check_keys(config)
    if "input_size" not in config:
        if ("image_size",) in wrong:
            wrong.append(("input_size",))
        config["input_size"] = config["image_size"]
    lines += problems(mark_wrong_values(config, wrong))
    if lines:
        raise UserError("\n".join(f"config: {line}" for line in dict.fromkeys(lines)))
    resolve_paths(config)
    for entry in config["sources"].values():
        if entry["kind"] == "ilsvrc":
            entry["shards"] = default_shards(entry) | entry["shards"]
    return config


def unshare(value: Any) -> Any:
    """Return a deep copy that shares no parts: places with the same YAML anchor may need different defaults."""
    if isinstance(value, dict):
        return {key: unshare(part) for key, part in value.items()}
    return [unshare(part) for part in value] if isinstance(value, list) else value


def parse_scalars(value: Any) -> Any:
    """Return a copy with texts such as "3" or "true" replaced by the numbers, booleans or nulls that they spell.

    Snakemake passes `--config "training={epochs: 3}"` on with the text "3".
    """
    if isinstance(value, dict):
        return {key: parse_scalars(part) for key, part in value.items()}
    if isinstance(value, list):
        return [parse_scalars(part) for part in value]
    return parse_scalar(value) if isinstance(value, str) else value


def default_shards(entry: Config) -> dict[str, int]:
    """Return split → number of shards of an ILSVRC source, of SHARD_SIZE images each; `all` counts as 1,300 a class."""
    classes = CLASS_COUNTS[entry["classes"]]
    counts = {split: 1300 if count == "all" else count for split, count in entry["per_class"].items()}
    return {split: math.ceil(classes * count / SHARD_SIZE) for split, count in counts.items()}


def check_keys(written: Config) -> tuple[Config, list[str], list[Place]]:
    """Check single keys; return the config with defaults, a line for each mistake, and the places of wrong values.

    A misspelt key is renamed to the nearest allowed one, and a misspelt kind becomes the nearest one. What depends on
    them is then checked too, and the right key is not reported as missing.
    """
    written, lines = unshare(written), []
    while True:
        config, sections = unshare(written), {}
        try:
            Study.model_validate(config, context=sections)
        except ValidationError as failure:
            errors: list[Any] = failure.errors(include_url=False)
        else:
            return config, lines, []
        misspelt = [place for error in errors if (place := misspelt_key(config, error))]
        kinds = {place_of(error): kind for error in errors if (kind := nearest_kind(error))}
        if not misspelt and not kinds:
            break
        for place in misspelt:
            lines.append(correct_key(written, place, sorted(keys_at(config, place[:-1], sections))))
        lines += [explain(error) for error in errors if place_of(error) in kinds]
        for (*above, key), kind in kinds.items():
            value_at(written, tuple(above))[key] = kind
    wrong = [place for error in errors for place in wrong_places(config, error, sections)]
    return config, lines + [explain(error) for error in errors], wrong


def value_at(config: Config, place: Place) -> Any:
    """Return the value at a place."""
    return functools.reduce(lambda section, name: section[key_named(section, name)], place, config)


def key_named(section: Any, name: Any) -> Any:
    """Return the key that pydantic reports under a name; pydantic writes keys such as 1.5 or null as text."""
    if isinstance(section, list) or name in section:
        return name
    return next((key for key in section if str(key) == name), name)


def written_place(config: Config, place: Place) -> Place:
    """Return a place with the keys as the config has them; the last one may be missing."""
    if not place:
        return ()
    *above, name = place
    keys = written_place(config, tuple(above))
    section = functools.reduce(lambda part, key: part[key], keys, config)
    return (*keys, key_named(section, name) if isinstance(section, dict) else name)


def keys_at(config: Config, place: Place, sections: dict[int, type[Section]]) -> list[str]:
    """Return the allowed keys of a section. A section without a kind needs `kind` before any other key."""
    model = sections.get(id(value_at(config, place)))
    return [*model.model_fields] if model else ["kind"]


def place_of(error: Any) -> Place:
    """Return the place of a mistake, without what pydantic adds: the kind of a source, and `[key]` for a name."""
    place = error["loc"]
    if place[-1] == "[key]":
        return place[:-1]
    if place[0] in SECTIONS_WITH_KINDS and len(place) > 2:
        place = place[:2] + place[3:]
    return (*place, "kind") if error["type"].startswith("union_tag") else place


def misspelt_key(config: Config, error: Any) -> Place | None:
    """Return the place of a key that does not exist, or None for any other mistake."""
    if error["type"] in ("extra_forbidden", "invalid_key"):
        return place_of(error)
    if error["type"] == "union_tag_not_found":
        *above, _ = place_of(error)
        near = difflib.get_close_matches("kind", map(str, value_at(config, tuple(above))), 1)
        return (*above, near[0]) if near else None
    return None


def nearest_kind(error: Any) -> str | None:
    """Return the kind that is spelt most like the unknown kind of an entry, or None for any other mistake."""
    if error["type"] != "union_tag_invalid":
        return None
    return nearest(error["ctx"]["tag"], QUOTED.findall(error["ctx"]["expected_tags"]))


def correct_key(written: Config, place: Place, allowed: list[str]) -> str:
    """Rename a misspelt key to the nearest allowed key that is missing, or remove it; return the message."""
    *above, key = place
    section = value_at(written, tuple(above))
    value, near = section.pop(key_named(section, key)), nearest(key, allowed)
    if near and near not in section:
        section[near] = value
    name = ".".join(map(str, place)) if above else key
    return f"unknown key {name!r}{suggestion(key, allowed)}"


def wrong_places(config: Config, error: Any, sections: dict[int, type[Section]]) -> list[Place]:
    """Return the places of the values that checks across keys cannot use after this mistake."""
    place = written_place(config, place_of(error))
    if error["type"].startswith("union_tag"):
        return [place[:-1]]
    if error["type"] == "alternatives":
        return [(*place, key) for keys in sections[id(value_at(config, place))].alternatives for key in keys]
    return [place]


def explain(error: Any) -> str:
    """Return the message for a mistake: one line with the key, its value and the allowed values."""
    place, kind, value, details = place_of(error), error["type"], error["input"], error.get("ctx", {})
    key, value_text = ".".join(map(str, place)), show(value)
    if error["loc"][-1] == "[key]":
        section = ".".join(map(str, place[:-1]))
        return (
            f"{section}: {value_text} is not a name; allowed: letters, digits, . _ -, the first one a letter or digit, "
            f"at most 64 characters"
        )
    if kind in ("missing", "union_tag_not_found"):
        return f"key {key!r} is missing"
    if kind in EXPECTED:
        return f"{key}: {value_text} is not {EXPECTED[kind]}"
    if kind in LIMITS:
        limit, words = LIMITS[kind]
        bound = details[limit]
        return f"{key}: {value_text} is {words} {bound if isinstance(bound, int) else format(bound, 'g')}"
    if kind in ("literal_error", "union_tag_invalid"):
        value, words = details.get("tag", value), details.get("expected") or details["expected_tags"]
        return f"{key}: {value!r} is not allowed{suggestion(value, QUOTED.findall(words))}"
    if kind == "choice":
        return f"{key}: {value_text} is not allowed; allowed: {error['msg']}"
    if kind == "string_pattern_mismatch":
        return f"{key}: {value_text} does not match the pattern {details['pattern']}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        length = "at least {min_length}" if "min_length" in details else "at most {max_length}"
        return f"{key}: {value_text} has a length of {len(value)}; allowed: {length.format(**details)}"
    if kind == "alternatives":
        return f"{key}: {error['msg']}"
    if kind == "path":
        return f"{key}: {value_text} {error['msg']}"
    return f"{key}: {value_text}: {error['msg']}"


def show(value: Any) -> str:
    """Return a value as it is written, shortened if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4,300 digits
        return f"a {type(value).__name__} of great size"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
