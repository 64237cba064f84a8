"""Check conda environment files early, before conda reports a mistake late and at length."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# A name, then nothing, a version (numpy=2.4) or an expression (numpy >=2,<3); before it a channel (conda-forge::numpy).
SPEC = re.compile(r"([\w-]+::)?[a-z0-9_][\w.-]*(\s*[=<>!~][=<>!~\w.*+,|\s-]*)?(\[.*\])?", re.IGNORECASE)


def environment_problems(path: Path) -> Iterator[str]:
    """Yield the mistakes of one environment file, each as one line that names the necessary edit."""
    if not path.is_file():
        existing = sorted(file.name for file in path.parent.glob("*.y*ml"))
        similar = difflib.get_close_matches(path.name, existing, 1)
        hint = f"did you mean {similar[0]!r}?" if similar else f"{path.parent} has {', '.join(existing) or 'none'}"
        yield f"{path}: no such environment file, but a rule names it (`conda:`); {hint}"
        return
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        yield f"{path}{line}: invalid YAML ({getattr(error, 'problem', None) or error}); correct it"
        return
    if not isinstance(content, dict):
        yield f"{path}: has no keys; an environment file has the lists `channels` and `dependencies`"
        return
    for key in ("channels", "dependencies"):
        if not isinstance(content.get(key), list) or not content[key]:
            yield f"{path}: {key}: {content.get(key)!r} is not a list of names; an environment file needs one"
            return
    yield from dependency_problems(path, content["dependencies"])


def dependency_problems(path: Path, dependencies: list[Any]) -> Iterator[str]:
    for item in dependencies:
        if isinstance(item, dict) and list(item) == ["pip"] and isinstance(item["pip"], list):
            packages = [dependency for dependency in dependencies if isinstance(dependency, str)]
            if not any(re.split(r"[\s=<>]", package)[0] == "pip" for package in packages):
                yield f"{path}: dependencies: `pip:` lists packages, but pip itself is not listed; add `- pip`"
        elif not isinstance(item, str) or not SPEC.fullmatch(item.strip()):
            yield f"{path}: dependencies: {item!r} is not a package; write NAME=VERSION"
