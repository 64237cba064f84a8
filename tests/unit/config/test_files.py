"""Config files: each is read as its author meant it, or refused with the line."""

import pytest
import yaml
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from shapebias.config.files import parse_scalar, parse_yaml, read_config_file
from shapebias.errors import UserError

STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "experiments").glob("*.yaml"))]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_study_of_this_repository_reads_as_snakemake_reads_it(path):
    assert read_config_file(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' stands twice, in line 1 too"),
        ("a:\n  b: 1\n  c: 2\n  b: 3", "line 4: key 'a.b' stands twice, in line 2 too"),
        ("a: [{b: 1, b: 2}]", "line 1: key 'a.b' stands twice"),
        ("1: x\n'1': y", "line 2: key '1' stands twice"),
        ("seeds: [0, 010]", "line 1: seeds: 010 is read as 8 by some readers"),
        ("image_size: 1:30", "line 1: image_size: 1:30 is read as 90"),
        ("a: 1_000", "a: 1_000 is read as 1000"),
        ("a: 0b11", "a: 0b11 is read as 3"),
        ("a: yes", "a: yes is read as true"),
        ("regimes:\n  no: {}", "line 2: regimes.no: no is read as false"),
        ("a: 2020-01-01", "a: 2020-01-01 is read as a timestamp"),
        ("lr: 1e-3", "lr: 1e-3 is text for Snakemake and a number in YAML 1.2"),
        ("a: 0o17", "a: 0o17 is text for Snakemake"),
        ("a: !!int '010'", "010 is read as 8"),
        ("a: !!binary aGk=", "read as a binary"),
        ("a: !!set {b}", "has no meaning in a config"),
        ("a: !own 3", "line 1: a: "),
        ("? [a]\n: 1", "line 1: the top level: a key is a name"),
        ("a: 1\nb: [1, 2", "line 2: not YAML"),
        ("a: 1\nb: c: d", "line 2: not YAML"),
        ("a: 1\n\tb: 2", "line 2: not YAML"),
        ("a: 1\n---\nb: 2", "line 2: not YAML: expected a single document"),
        ("a: \x01", "not YAML"),
        ("a: &a [*a]", "line 1: a: the alias stands for a section that contains it"),
        (f"a: {'7' * 5000}", "line 1: a: a number of 5000 digits is too large"),
        ("[" * 3000, "nested too deeply"),
        ("- a", "no config"),
        ("", "no config"),
        ('{"a": {"b": 1, "b": 2}}', "key 'b' stands twice"),
    ],
)
def test_what_could_be_misread_is_refused_with_its_line(tmp_path, text, reason):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(UserError) as refusal:
        read_config_file(tmp_path / "study.yaml")
    assert reason in str(refusal.value) and "study.yaml" in str(refusal.value)


def test_another_encoding_is_refused_with_its_line(tmp_path):
    (tmp_path / "study.yaml").write_bytes("a: 1\ntitle: café\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"study\.yaml, line 2: not text in UTF-8"):
        read_config_file(tmp_path / "study.yaml")


def test_aliases_that_stand_for_a_billion_values_are_refused_at_once():
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(UserError, match="aliases stand for more than 100,000 values"):
        parse_yaml("\n".join(lines), "study.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}", {"a": {"b": 1}, "c": {"b": 2}}),
        ("a: '010'\nb: \"yes\"", {"a": "010", "b": "yes"}),
        ("a: 1.0e-3\nb: .5\nc: -3\nd: ~\ne: false", {"a": 0.001, "b": 0.5, "c": -3, "d": None, "e": False}),
        ("\ufeffa: 1", {"a": 1}),
        ('{\n\t"a": [1e-3, "x"]\n}', {"a": [0.001, "x"]}),
    ],
)
def test_values_that_all_readers_understand_alike_are_read(tmp_path, text, value):
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    assert read_config_file(tmp_path / "study.yaml") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("null", None), ("", None), ("010", "010"), ("1:30", "1:30")]
    + [("yes", "yes"), ("1e3", "1e3"), ("a: b", "a: b"), ("[1]", "[1]"), ("*x", "*x")],
)
def test_a_text_of_the_command_line_becomes_a_number_only_without_doubt(text, value):
    assert parse_scalar(text) == value and type(parse_scalar(text)) is type(value)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
VALUES = st.recursive(
    LEAVES, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=4), parts, max_size=3)
)
PIECES = [
    "a",
    "b: ",
    "- ",
    "&x ",
    "*x",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "\n",
    "  ",
    "010",
    "1:30",
    "yes",
    "'",
    '"',
    "#",
    "|",
    "!!int ",
]


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(value=st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
def test_what_yaml_writes_is_read_back_or_refused(value):
    try:
        assert parse_yaml(yaml.safe_dump(value), "study.yaml") == value
    except UserError as error:
        assert str(error).startswith("study.yaml")


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_read_as_yaml_reads_it_or_refused(text):
    try:
        value = parse_yaml(text, "study.yaml")
    except UserError as error:
        assert str(error).startswith("study.yaml")
    else:
        assert value == yaml.safe_load(text)
