"""Read the file of a config, and refuse what YAML readers understand in different ways.

Snakemake takes the last of two equal keys, and reads 010 as 8 and 1:30 as 90, as YAML 1.1 says. YAML 1.2, and most
people, read them otherwise. The messages name the line.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from shapebias.errors import UserError
from shapebias.files import read_utf8

STANDARD = "tag:yaml.org,2002:"
KINDS = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}
MAX_VALUES = 100_000  # of a config with its aliases written out
MAX_DIGITS = 100
# Plain scalars that YAML 1.1 and 1.2 read alike, by their type in 1.1.
ALIKE = {
    "int": re.compile(rf"[-+]?(0|[1-9][0-9]{{0,{MAX_DIGITS}}}|0x[0-9a-fA-F]{{1,{MAX_DIGITS}}})"),
    "float": re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    "bool": re.compile("true|True|TRUE|false|False|FALSE"),
    "null": re.compile("(~|null|Null|NULL|)"),
}
NUMBER_OF_1_2 = re.compile(r"0o[0-7]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def read_config_file(path: Path) -> dict[str, Any]:
    """Return the content of a config file, YAML or JSON.

    Raises UserError, with the line, for a file that is no YAML, a key that stands twice, and a value that YAML 1.1 and
    1.2 read differently.
    """
    text = read_utf8(path)
    content = parse_json(text, str(path)) if text.lstrip().startswith("{") else None
    content = parse_yaml(text, str(path)) if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{path}: no config; expected keys such as sources and benchmarks")
    return content


def parse_json(text: str, origin: str) -> Any:
    """Return the value of a JSON text, or None if it is no JSON; raises UserError for a key that stands twice."""

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise UserError(f"{origin}: key {key!r} stands twice in one section; keep one of them")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=refuse_repeats)
    except (ValueError, RecursionError):
        return None


def parse_yaml(text: str, origin: str) -> Any:
    """Return the value of a YAML text; origin: where it stands, for messages. `read_config_file` lists the errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            for line, problem in find_surprises(root, "", (), set()):
                raise UserError(f"{origin}, line {line}: {problem}")
            if count_values(root, {}) > MAX_VALUES:
                raise UserError(f"{origin}: its aliases stand for more than {MAX_VALUES:,} values; write less")
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        reason = " ".join(filter(None, [error.context, error.problem]))
        raise UserError(f"{origin}{line}: not YAML: {reason}; values with : or # stand in quotation marks") from None
    except yaml.YAMLError as error:
        raise UserError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{origin}: sections are nested too deeply") from None


def find_surprises(node: yaml.Node, key: str, above: tuple[int, ...], finished: set[int]) -> Iterator[tuple[int, str]]:
    """Yield line and message for each value and key that readers of YAML understand in different ways.

    key: the path of keys to the node. above: ids of the nodes that contain it. finished: ids of checked nodes, to
    which aliases refer again.
    """
    line = node.start_mark.line + 1
    if id(node) in above:
        yield line, f"{key}: the alias stands for a section that contains it"
        return
    if id(node) in finished:
        return
    finished.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if reason := surprise(node):
            yield line, f"{key}: {reason}" if key else reason
        return
    if node.tag not in (f"{STANDARD}seq", f"{STANDARD}map"):
        yield line, f"{key}: tag {node.tag!r} has no meaning in a config; leave it out"
        return
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from find_surprises(item, key, (*above, id(node)), finished)
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        name_line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode):
            yield name_line, f"{key or 'the top level'}: a key is a name, not a section or list"
            continue
        path = f"{key}.{name.value}" if key else name.value
        if name.value in lines:
            yield name_line, f"key {path!r} stands twice, in line {lines[name.value]} too; keep one of them"
        lines[name.value] = name_line
        if name.tag != f"{STANDARD}merge":
            yield from find_surprises(name, path, above, finished)
        yield from find_surprises(value, path, (*above, id(node)), finished)


def surprise(node: yaml.ScalarNode) -> str | None:
    """Return why a value is ambiguous, or None."""
    kind = node.tag.removeprefix(STANDARD)
    if kind == "str":
        if node.style is None and NUMBER_OF_1_2.fullmatch(node.value):
            return (
                f"{node.value} is text for Snakemake and a number in YAML 1.2; write a decimal number such as 0.001 or "
                f"1.0e-3, or the text in quotation marks"
            )
        return None
    if kind not in ALIKE:
        return f"{node.value} is read as a {kind}, not as text; write it in quotation marks"
    if ALIKE[kind].fullmatch(node.value):
        return None
    if len(node.value) > MAX_DIGITS:
        return f"a number of {len(node.value)} digits is too large"
    read = yaml.safe_load(node.value)
    return (
        f"{node.value} is read as {json.dumps(read)} by some readers of YAML and otherwise by others; "
        f'write {json.dumps(read)}, or "{node.value}" for the text'
    )


def count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """Return the number of values in a node, each alias with all that it stands for; counts: earlier results."""
    if id(node) not in counts:
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        scalar = isinstance(node, yaml.ScalarNode)
        counts[id(node)] = 1 if scalar else 1 + sum(count_values(part, counts) for part in parts)
    return counts[id(node)]


def parse_scalar(text: str) -> Any:
    """Return the number, boolean or null that a text spells, or the text itself if it spells none without doubt."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode) or node.style is not None or surprise(node):
            return text
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return text
