"""Conda environment files: mistakes that conda would tell late, or in many words."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# A name, then nothing, a version (numpy=2.4) or an expression (numpy >=2,<3); before it a channel (conda-forge::numpy).
SPEC = re.compile(r"([\w-]+::)?[a-z0-9_][\w.-]*(\s*[=<>!~][=<>!~\w.*+,|\s-]*)?(\[.*\])?", re.IGNORECASE)


def environment_problems(path: Path) -> Iterator[str]:
    """The mistakes of one environment file, each in a line that says what to edit."""
    if not path.is_file():
        there = sorted(other.name for other in path.parent.glob("*.y*ml"))
        near = difflib.get_close_matches(path.name, there, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"{path.parent} has {', '.join(there) or 'none'}"
        yield f"{path}: no such environment file, but a rule names it (`conda:`); {hint}"
        return
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        yield f"{path}{where}: no YAML ({getattr(error, 'problem', None) or error}); correct it"
        return
    if not isinstance(content, dict):
        yield f"{path}: holds no keys; an environment file has the lists `channels` and `dependencies`"
        return
    for key in ("channels", "dependencies"):
        if not isinstance(content.get(key), list) or not content[key]:
            yield f"{path}: {key}: {content.get(key)!r} is not a list of names; an environment file needs one"
            return
    yield from dependency_problems(path, content["dependencies"])


def dependency_problems(path: Path, dependencies: list[Any]) -> Iterator[str]:
    for item in dependencies:
        if isinstance(item, dict) and list(item) == ["pip"] and isinstance(item["pip"], list):
            if not any(isinstance(other, str) and re.split(r"[\s=<>]", other)[0] == "pip" for other in dependencies):
                yield f"{path}: dependencies: `pip:` lists packages, but pip itself is not listed; add `- pip`"
        elif not isinstance(item, str) or not SPEC.fullmatch(item.strip()):
            yield f"{path}: dependencies: {item!r} is no package; write NAME=VERSION"
