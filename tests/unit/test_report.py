"""The report escapes, stays offline, and claims no more than the tables hold."""

import re
from typing import Any

import pandas as pd
import pytest

from shapebias.findings import cautions, headline
from shapebias.reading import COLUMNS
from shapebias.report import render

PEOPLE = pd.DataFrame({"category": ["cat"], "shape_hits": [96], "texture_hits": [4]})


def biases(*rows: tuple) -> pd.DataFrame:
    """model, regime, shape hits, texture hits, half the interval → `shape_bias.csv`."""
    table = pd.DataFrame(rows, columns=["model", "regime", "shape_hits", "texture_hits", "half"])
    table["benchmark"], table["conflict_images"], table["seed"] = "conflict", 100, 0
    table["observer"] = [f"{model}_{regime}_seed0" if regime else model for model, regime, *_ in rows]
    table.loc[table["regime"].isna(), "seed"] = None
    table["shape_bias"] = table["shape_hits"] / (table["shape_hits"] + table["texture_hits"])
    table["ci_low"], table["ci_high"] = table["shape_bias"] - table["half"], table["shape_bias"] + table["half"]
    return table[COLUMNS["shape_bias"]]


def page(shape_bias: pd.DataFrame, **changes) -> str:
    tables = {name: pd.DataFrame(columns=COLUMNS[name]) for name in ("cue_accuracy", "accuracy", "runs", "rejected")}
    config = {"stylized": {"conflict": {}}, "benchmarks": {"conflict": {"images": "conflict"}}}
    given: dict[str, Any] = {"title": "T", "figures": {}, "config": config, "people": PEOPLE} | changes
    return render(tables=tables | {"shape_bias": shape_bias} | given.pop("tables", {}), **given)


def test_text_from_inputs_is_escaped():
    bad = "<script>alert(1)</script>"
    rejected = pd.DataFrame([["in", "train", bad, bad]], columns=COLUMNS["rejected"])
    html = page(
        biases((bad, "in", 3, 1, 0.1)),
        title=bad,
        tables={"rejected": rejected},
        config={"title": bad},
        contact_sheets={bad: b"png"},
        records=[
            {"model": bad, "regime": "in", "seed": 0, "commit": bad, "versions": {bad: bad}, "seconds": {bad: 1.0}}
        ],
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 8


def test_each_sheet_says_what_it_shows():
    sheets = {"in": b"webp", "conflict": b"webp", "rejected": b"webp"}
    told = re.findall(r"<figcaption>(.*?)</figcaption>", page(biases(("vit", "in", 3, 1, 0.1)), contact_sheets=sheets))
    assert "in: a sample, spread evenly over the classes." in told
    assert "conflict: a sample, spread evenly over the classes; each beside its content and its style." in told
    assert sum("were set aside" in caption for caption in told) == 1


def test_the_page_makes_no_request():
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    html = page(biases(("vit", "in", 3, 1, 0.1)), figures={"shape_bias_by_category.conflict": svg, "accuracy": svg})
    sources = re.findall(r'(?:src|srcset|data|poster)="([^"]*)"', html)
    assert len(sources) == 1 and sources[0].startswith("data:image/svg+xml;base64,")  # no accuracy table, no figure
    assert not re.search(r"<(script|link|iframe|object|embed)\b|@import|url\(", html)


def test_home_made_conflicts_carry_a_warning():
    table = biases(("vit", "in", 3, 1, 0.1))
    assert "Not comparable with published numbers" in page(table)
    assert "Not comparable with published numbers" not in page(table, config={"benchmarks": {"conflict": {}}})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((60, 40, 0.05), "moved the shape bias of the one network towards shape (vit 0.30 → 0.60)"),
        ((34, 66, 0.05), "did not measurably change the shape bias of the one network: 95 % intervals overlap"),
        ((10, 90, 0.05), "moved the shape bias of the one network towards texture (vit 0.30 → 0.10)"),
        ((0, 0, 0.0), "Undefined, as no answer named a cue: vit sin."),
    ],
)
def test_headline_claims_a_move_only_where_intervals_are_apart(after, said):
    (statement,) = headline(biases(("vit", "in", 30, 70, 0.05), ("vit", "sin", *after)), PEOPLE)
    assert said in statement
    assert statement.endswith("People: 0.96, on the published stimuli.")


def test_headline_counts_networks():
    before = [(model, "in", 30, 70, 0.05) for model in ("a", "b", "c")]
    after = [("a", "sin", 60, 40, 0.05), ("b", "sin", 31, 69, 0.05), ("c", "sin", 10, 90, 0.05)]
    (statement,) = headline(biases(*before, *after))
    assert "moved the shape bias of 1 of 3 networks towards shape, and moved that of 1 of 3 networks" in statement
    assert "and did not measurably change that of 1, whose 95 % intervals overlap" in statement


def test_headline_without_runs_or_without_anything():
    (statement,) = headline(biases(("tf_net", None, 22, 78, 0.05)))
    assert statement == "On “conflict”, without training here, the shape bias of tf_net is 0.22."
    assert headline(biases()) == ["No bias was measured: the tables hold no benchmark of cue conflict."]
    assert "No bias was measured" in page(biases())


def test_a_bias_that_rests_on_guesses_is_called_out():
    table = biases(("vit", "in", 3, 1, 0.1))
    notes = cautions(table, table.assign(coverage=0.14))
    assert any("vit in (14 %)" in note for note in notes)
    assert not any("guessing" in note for note in cautions(table, table.assign(coverage=0.6)))
