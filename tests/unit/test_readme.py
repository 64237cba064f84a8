"""What the README shows and points to is there."""

import re

from helpers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_no_placeholder_is_left():
    assert re.findall(r"@[A-Z_]+@", README) == []


def test_files_that_it_links_to_or_names_exist():
    linked = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    named = re.findall(r"(?:scripts|experiments|profiles|workflow)/[\w./-]+\w", README)
    assert linked and named
    for path in {*linked, *named} - {"experiments/x.yaml"}:
        assert (ROOT / path).exists(), path


def test_make_targets_that_it_names_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make (demo|test|check|clean|setup)", README)) <= set(targets)
