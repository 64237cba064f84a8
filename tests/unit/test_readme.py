"""The README has no placeholders, and its links and commands exist."""

import re

from helpers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_no_placeholder():
    assert re.findall(r"@[A-Z_]+@", README) == []


def test_linked_and_named_files_exist():
    linked = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    named = re.findall(r"(?:scripts|experiments|profiles|workflow)/[\w./-]+\w", README)
    assert linked and named
    for path in {*linked, *named} - {"experiments/x.yaml"}:
        assert (ROOT / path).exists(), path


def test_named_make_targets_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make (demo|test|check|clean|setup)", README)) <= set(targets)
