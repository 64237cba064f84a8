"""Figures show the numbers of the tables, and the same figure is the same file."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from shapebias.figure_style import save
from shapebias.figures import accuracy_overview, shape_bias_by_category, shape_bias_overview, training_curves
from shapebias.summaries import in_order, pool_bias


def decisions(*rows: tuple[str, str | None, int | None, str, int, int]) -> pd.DataFrame:
    """model, regime, seed, category, shape hits, texture hits → `shape_bias_by_category.csv`."""
    table = pd.DataFrame(rows, columns=["model", "regime", "seed", "category", "shape_hits", "texture_hits"])
    table["benchmark"], table["conflict_images"] = "conflict", 10
    table["observer"] = table["model"].str.cat([table["regime"].astype(str), table["seed"].astype(str)], sep="_")
    table["shape_bias"] = table["shape_hits"] / (table["shape_hits"] + table["texture_hits"])
    table["ci_low"], table["ci_high"] = table["shape_bias"] - 0.1, table["shape_bias"] + 0.1
    return table


def markers(figure, label: str) -> np.ndarray:
    """x of the markers of one series, from the top row to the bottom one."""
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == label and line.get_linestyle() == "None"]
    return np.asarray(line.get_xdata())


PEOPLE = pd.DataFrame({"category": ["cat", "dog"], "shape_hits": [9, 8], "texture_hits": [1, 2]})


def test_markers_stand_at_the_values_of_the_table_and_an_undefined_one_is_missing():
    table = decisions(("vit", "in", 0, "cat", 3, 1), ("vit", "in", 0, "dog", 1, 3), ("vit", "in", 0, "car", 0, 0))
    figure = shape_bias_by_category(table, benchmark="conflict")
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["cat", "dog", "car"]
    np.testing.assert_equal(markers(figure, "vit in"), [0.75, 0.25, np.nan])


def test_seeds_are_pooled_by_hits_not_by_biases():
    table = decisions(*[("vit", "in", seed, "cat", *hits) for seed, hits in enumerate([(1, 0), (0, 4), (2, 3)])])
    assert markers(shape_bias_by_category(table, benchmark="conflict"), "vit in") == pytest.approx([3 / 10])
    pooled = pool_bias(table)
    assert (pooled["ci_low"].item(), pooled["ci_high"].item()) == pytest.approx((-0.1, 1.1))  # widest, never narrower


def test_people_of_the_published_stimuli_are_labelled_so_unless_people_saw_this_benchmark():
    runs = decisions(("vit", "in", 0, "cat", 3, 1), ("vit", "in", 0, "dog", 1, 3))
    reference = shape_bias_by_category(runs, PEOPLE, benchmark="conflict")
    np.testing.assert_allclose(markers(reference, "people, published stimuli"), [0.9, 0.8])

    persons = decisions(("people", None, None, "cat", 6, 4), ("people", None, None, "dog", 5, 5))
    measured = shape_bias_by_category(pd.concat([runs, persons]), PEOPLE, benchmark="conflict")
    np.testing.assert_allclose(markers(measured, "people"), [0.6, 0.5])


def test_overview_prints_bias_and_coverage_and_says_where_bias_is_undefined():
    table = decisions(("vit", "in", 0, "all", 3, 1), ("vit", "sin", 0, "all", 0, 0))
    coverage = table.assign(coverage=[0.4, 0.0])
    figure = shape_bias_overview(table, coverage, benchmark="conflict")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"0.75", "40 %", "0 %", "undefined"} <= set(texts)


def test_nothing_to_draw_is_said_in_words():
    empty = decisions()
    for figure in (
        shape_bias_by_category(empty, benchmark="conflict"),
        shape_bias_overview(empty, empty, benchmark="conflict"),
        accuracy_overview(pd.DataFrame()),
        training_curves(pd.DataFrame()),
    ):
        assert figure.texts[0].get_text()


def test_regimes_stand_in_the_order_of_the_study_and_models_in_that_of_the_table():
    rows = [("vit", "sin"), ("vit", "combined"), ("vit", "in"), ("resnet", "warm"), ("resnet", "in")]
    table = decisions(*[(model, regime, 0, "cat", 1, 1) for model, regime in rows])
    ordered = in_order(table)
    assert list(zip(ordered["model"], ordered["regime"], strict=True)) == [
        *(("vit", "in"), ("vit", "sin"), ("vit", "combined")),
        *(("resnet", "in"), ("resnet", "warm")),
    ]


def test_the_same_figure_gives_the_same_bytes_and_leaves_settings_as_they_were(tmp_path: Path):
    settings = dict(mpl.rcParams)
    table = decisions(("vit", "in", 0, "cat", 3, 1))
    for name in ("a.1", "b.1"):
        save(shape_bias_by_category(table, PEOPLE, benchmark="conflict"), tmp_path / name, dpi=40)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.1.png", "a.1.svg", "b.1.png", "b.1.svg"]
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.1.{suffix}").read_bytes() == (tmp_path / f"b.1.{suffix}").read_bytes()
    assert dict(mpl.rcParams) == settings
