"""The README and the pages: each block of code is checked, each link has a target, and the pages can be built.

Tests that run the code: tests/rules/test_documented_python.py; tests/workflow/test_documented_commands.py for commands.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from documents import BLOCKS, COMMANDS, PAGES, page_name, person_csv
from helpers import ROOT
from snakemake.cli import get_argument_parser

SCHEMA = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Programs of the reader's machine, whose options do not belong to this project.
OTHERS = {"cp", "uv", "git", "cd", "$EDITOR", "apptainer", "squeue", "wandb", "sbatch"}


def module_at(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def script(path: str):
    """Return the module with the code of a script."""
    assert (ROOT / path).is_file()
    return importlib.import_module(f"shapebias.commands.{Path(path).stem}")


@pytest.fixture(scope="module")
def hooks():
    return module_at(ROOT / "docs/hooks.py", "documentation_hooks")


# Every block


def test_the_readme_fits_on_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_each_block_has_a_kind_that_is_checked():
    assert {block.kind for block in BLOCKS} == {"bash", "python", "yaml", "csv", "text"}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_code_hides_in_an_indented_block(page):
    outside = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    paragraphs = re.findall(r"(?:^|\n)\n((?: {4}|\t)[^\n]*)", outside)
    assert paragraphs == []


# bash


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_programs_and_options_of_a_command_exist(command, monkeypatch):
    program, *words = command.words
    if program == "torchrun":
        start = next(k for k, word in enumerate(words) if word.startswith("scripts/"))
        program, *words = words[start:]
    if program == "snakemake":
        all_options = get_argument_parser()._option_string_actions
        options = [
            word for word in words if word.startswith("-") and " " not in word
        ]  # words with spaces are commands for other programs
        assert [option for option in options if option not in all_options] == []
        if "--configfile" in words:  # this option takes all words up to the next option
            files = words[words.index("--configfile") + 1 :]
            assert all(word.startswith("-") for word in files[1:2]), "targets go before --configfile"
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
        variables = [word.partition("=")[0] for word in words if "=" in word]
        assert [word for word in words if "=" not in word and word not in targets] == []
        assert [name for name in variables if f"$({name})" not in MAKEFILE] == []
    elif program.startswith("scripts/"):
        monkeypatch.setattr(sys, "argv", [program, *words])
        script(program).parse_args(words)  # exits if an option is unknown or missing
    elif program.startswith(("benchmarks/", "experiments/")):
        code = (ROOT / program).read_text(encoding="utf-8")
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in code] == []
    else:
        assert program in OTHERS, f"nothing checks {program}"


def test_most_commands_are_of_this_project():
    programs = [command.words[0] for command in COMMANDS]
    assert sum(name in OTHERS for name in programs) < len(programs) / 5


# yaml


def without_required(schema):
    """Return the schema without required keys, for a part of a study."""
    return {key: value for key, value in schema.items() if key != "required"}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "yaml"], ids=str)
def test_yaml_follows_the_schema(block):
    jsonschema.validate(yaml.safe_load(block.text), SCHEMA if block.title else without_required(SCHEMA))


def test_a_mistyped_key_in_yaml_is_found():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"training": {"epoch": 1}}, without_required(SCHEMA))


# csv, text


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "csv"], ids=str)
def test_csv_is_the_header_of_a_real_table(block, tmp_path):
    person_csv(tmp_path / "subject-01.csv", "subject-01")
    out = tmp_path / "bias.csv"
    script("scripts/shape_bias.py").main([str(tmp_path / "subject-01.csv"), "--out", str(out)])
    assert out.read_text().splitlines()[0] == block.text.strip()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "text"], ids=str)
def test_text_contains_no_command(block):
    assert not re.search(r"^\s*(\$|uv|make|snakemake|python|sbatch|scripts/)\b", block.text, re.MULTILINE)


# Links and names of files


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_and_file_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            is_generated = linked.name == "configuration.md"  # its headings come from the schema
            names = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in (SCHEMA["properties"] if is_generated else names), target
    for path in re.findall(r"(?:scripts|experiments|profiles|workflow|src|envs|tests|docs)/[\w./-]*\w", text):
        if "results/" in text[max(0, text.find(path) - 9) : text.find(path)]:
            continue
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_in_the_text_exist(page):
    targets = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= set(targets)


def test_the_list_of_floors_has_exactly_the_packages_of_the_library():
    text = (ROOT / "docs/development.md").read_text(encoding="utf-8")
    floors = re.findall(r"^\| (?:[2-9]|\d\d) \| (.+) \|$", text, re.MULTILINE)
    named = {name for floor in floors for name in re.findall(r"`(\w+)`", floor)} - {"api"}
    assert named == {path.parent.name for path in (ROOT / "src/shapebias").glob("*/__init__.py")}


def test_each_experiment_and_each_script_for_users_is_mentioned():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in (ROOT / "experiments").glob("*.yaml"):
        assert f"experiments/{path.name}" in pages


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


# The built pages


def keys_below(node, schema):
    """Yield every key of the schema, at any depth."""
    if isinstance(node, dict):
        yield from node.get("properties", {}) if isinstance(node.get("properties"), dict) else ()
        for value in node.values():
            yield from keys_below(value, schema)
    elif isinstance(node, list):
        for value in node:
            yield from keys_below(value, schema)


def test_the_page_of_the_configuration_has_each_key_of_the_schema(hooks):
    page = hooks.configuration(SCHEMA)
    missing = [key for key in set(keys_below(SCHEMA, SCHEMA)) if not re.search(rf"[`.]{key}`|^## {key}$", page, re.M)]
    assert missing == []
    assert "| `seeds` | list of integer 0 to 2147483647 | `[0]` |" in page


def test_the_page_of_the_configuration_reads_a_schema_that_pydantic_writes(hooks):
    """There, optional values are `anyOf` with null, and entries of several kinds are `oneOf` with a discriminator."""
    recipe = {"type": "object", "properties": {"lr": {"type": "number", "exclusiveMinimum": 0, "description": "Rate."}}}
    drawn = {"properties": {"kind": {"const": "drawn"}, "count": {"type": "integer"}}, "required": ["kind", "count"]}
    files = {"properties": {"kind": {"enum": ["files"]}, "folder": {"type": "string", "description": "Where."}}}
    choice = {
        "oneOf": [{"$ref": "#/$defs/Drawn"}, {"$ref": "#/$defs/Files"}],
        "discriminator": {"propertyName": "kind"},
    }
    model = {"properties": {"training": {"anyOf": [{"$ref": "#/$defs/Recipe"}, {"type": "null"}], "default": None}}}
    page = hooks.configuration(
        {
            "$defs": {"Recipe": recipe, "Drawn": drawn, "Files": files, "Model": model},
            "properties": {
                "input_size": {"anyOf": [{"type": "integer", "minimum": 16}, {"type": "null"}], "default": None},
                "training": {"$ref": "#/$defs/Recipe"},
                "sources": {"type": "object", "additionalProperties": choice},
                "models": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Model"}},
            },
        }
    )
    assert "| `input_size` | integer ≥\u00a016 |  |" in page
    assert "## training" in page and "| `lr` | number >\u00a00 |  | Rate. |" in page
    assert "### sources: kind `drawn`" in page and "| `count` | integer | *required* |" in page
    assert "### sources: kind `files`" in page and "| `folder` | text |  | Where. |" in page
    assert "| `training` | the keys of [`training`](#training) |" in page


def test_the_pages_are_built_without_warnings_and_load_nothing_from_the_internet(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path]
    no_network = dict.fromkeys(("http_proxy", "https_proxy"), "http://localhost:9")
    environment = os.environ | no_network | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}
    assert {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} <= set(pages)
    for name, text in pages.items():
        loaded = re.findall(r"""(?:src=|<link[^>]+href=)["']?(https?:)""", text.replace('rel="canonical"', ""))
        assert loaded == [], name
    assert "feature_views" in pages["configuration.html"]
