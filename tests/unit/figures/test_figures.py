"""Figures show the numbers of the tables, and the same figure gives the same file."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from helpers import picture
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.figures.accuracy import ConditionAxis, accuracy_overview, condition_lines, reliance_lines
from shapebias.figures.answers import answer_matrices, sample_predictions
from shapebias.figures.category_bias import shape_bias_by_category
from shapebias.figures.critical_band import bandwidth_overview
from shapebias.figures.cues import bias_differences, cue_plane
from shapebias.figures.draw import check_style
from shapebias.figures.forest_plot import describe_ticks
from shapebias.figures.likeness import consistency_matrix, likeness_dots
from shapebias.figures.line_panels import make_panels
from shapebias.figures.melanoma import confusion_matrices
from shapebias.figures.read_out import read_out_lines, top_k_lines
from shapebias.figures.save import save_figure
from shapebias.figures.shape_bias import shape_bias_overview
from shapebias.figures.style import FigureStyle, NoDataError, darken, wrap_name
from shapebias.figures.training_curves import training_curves
from shapebias.metrics.melanoma import MELANOMA_COUNTS
from shapebias.tables.columns import MELANOMA_TABLE_COLUMNS
from shapebias.tables.summaries import pool_bias, sort_observers


def decisions(*rows: tuple[str, str | None, int | None, str, int, int]) -> pd.DataFrame:
    """model, regime, seed, category, shape hits, texture hits → `shape_bias_by_category.csv`."""
    table = pd.DataFrame(rows, columns=["model", "regime", "seed", "category", "shape_hits", "texture_hits"])
    table["benchmark"], table["conflict_images"] = "conflict", 10
    table["observer"] = table["model"].str.cat([table["regime"].astype(str), table["seed"].astype(str)], sep="_")
    table["shape_bias"] = table["shape_hits"] / (table["shape_hits"] + table["texture_hits"])
    table["ci_low"], table["ci_high"] = table["shape_bias"] - 0.1, table["shape_bias"] + 0.1
    return table


def xs(line) -> list[float]:
    return np.asarray(line.get_xdata(), dtype=float).tolist()


def ys(line) -> list[float]:
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def cells(axes) -> np.ndarray:
    """Return the values of a matrix; NaN for an empty cell."""
    return np.ma.filled(np.ma.asarray(axes.images[0].get_array(), dtype=float), np.nan)


def markers(figure, label: str) -> np.ndarray:
    """Return the x of one series' markers, from the top row to the bottom row."""
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == label and line.get_linestyle() == "None"]
    return np.asarray(xs(line))


PEOPLE = pd.DataFrame({"category": ["cat", "dog"], "shape_hits": [9, 8], "texture_hits": [1, 2]})


def test_markers_are_at_the_values_of_the_table_and_undefined_values_have_none():
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


def test_people_of_the_published_stimuli_are_labelled_unless_people_saw_this_benchmark():
    runs = decisions(("vit", "in", 0, "cat", 3, 1), ("vit", "in", 0, "dog", 1, 3))
    reference = shape_bias_by_category(runs, PEOPLE, benchmark="conflict")
    np.testing.assert_allclose(markers(reference, "people, published stimuli"), [0.9, 0.8])

    persons = decisions(("people", None, None, "cat", 6, 4), ("people", None, None, "dog", 5, 5))
    with_persons = shape_bias_by_category(pd.concat([runs, persons]), PEOPLE, benchmark="conflict")
    np.testing.assert_allclose(markers(with_persons, "people"), [0.6, 0.5])


def test_intervals_are_drawn_for_few_series_and_the_number_of_series_is_limited():
    few = decisions(("vit", "in", 0, "cat", 3, 1))
    (bars,) = [c for c in shape_bias_by_category(few, benchmark="conflict").axes[0].collections if len(c.get_paths())]
    np.testing.assert_allclose(np.asarray(bars.get_paths()[0].vertices)[:, 0], [0.65, 0.85])

    many = decisions(*[(f"net{i}", None, None, "cat", 3, 1) for i in range(50)])
    figure = shape_bias_by_category(many, benchmark="conflict")
    assert "41 others" in legend_of(figure) and "intervals: in the table" in below(figure)
    assert markers(figure, "net49") == pytest.approx([0.75])  # as a grey tick


def test_each_model_has_a_panel_with_the_regimes_before_and_after():
    rows = [
        (model, regime, 0, category, hits, 10 - hits)
        for model, before in (("vit", 1), ("net", 2))
        for regime, hits in (("in", before), ("sin", 6), ("combined", 3))
        for category in ("cat", "dog")
    ]
    figure = shape_bias_by_category(decisions(*rows), PEOPLE, benchmark="conflict", compared=("in", "sin"))
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["vit", "net"]
    labels = {line.get_label() for line in panels[0].lines if line.get_linestyle() == "None"}
    assert labels == {"vit in", "vit sin", "people, published stimuli"}
    colours = [{str(line.get_label())[-3:]: line.get_color() for line in axes.lines} for axes in panels]
    assert colours[0]["sin"] == colours[1]["sin"] != colours[0][" in"]
    many = [(f"net{i}", "in", 0, "cat", 3, 1) for i in range(7)]
    panels = shape_bias_by_category(decisions(*many), benchmark="conflict").axes
    assert [axes.get_title(loc="left") for axes in panels if axes.get_visible()] == [f"net{i}" for i in range(7)]


def test_the_overview_prints_bias_and_coverage_and_marks_undefined_bias():
    table = decisions(("vit", "in", 0, "all", 3, 1), ("vit", "sin", 0, "all", 0, 0))
    pooled = table.assign(kind="run", seeds=1, interval="images and seeds")
    coverage = table.assign(coverage=[0.4, 0.0])
    figure = shape_bias_overview(pooled, table, coverage, benchmark="conflict")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"0.75", "40 %", "0 %", "undefined"} <= set(texts)
    assert "95 % interval over images and seeds" in below(figure)


# Other tables: `identity` returns model, regime and seed of an observer, and its name.


def identity(model: str, regime: str | None = None, seed: int | None = None, observer: str = "") -> dict[str, Any]:
    name = observer or "_".join(map(str, filter(None, [model, regime]))) + ("" if seed is None else f"_seed{seed}")
    return {"benchmark": "conflict", "observer": name, "model": model, "regime": regime, "seed": seed}


RUN, SIN = identity("vit", "in", 0), identity("vit", "sin", 0)
PERSONS = [identity("people", observer="subject-01"), identity("people", observer="subject-02")]
POOL = identity("people", observer="people")
NETWORKS = [identity("alexnet"), identity("vgg")]


def below(figure: Figure) -> str:
    """The note below a figure."""
    return figure.get_supxlabel()


def legend_of(figure: Figure) -> list[str]:
    """Return all entries of the legends."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def lines_of(axes) -> dict[str, np.ndarray]:
    """Return label → y of each labelled line."""
    return {line.get_label(): np.asarray(ys(line)) for line in axes.lines if line.get_label()[0] != "_"}


def cues(*rows: tuple[dict[str, Any], float, float]) -> pd.DataFrame:
    """Observer, shape accuracy, texture accuracy → `cue_accuracy.csv`."""
    records = [w | {"shape_accuracy": shape, "texture_accuracy": texture} for w, shape, texture in rows]
    table = pd.DataFrame(records).assign(conflict_images=1200, coverage=lambda t: t.shape_accuracy + t.texture_accuracy)
    for cue in ("shape", "texture"):
        table[f"{cue}_low"], table[f"{cue}_high"] = table[f"{cue}_accuracy"] - 0.05, table[f"{cue}_accuracy"] + 0.05
    return table


def test_a_point_of_the_cue_plane_has_texture_as_x_shape_as_y_and_a_cross():
    figure = cue_plane(cues((RUN, 0.2, 0.6), *[(person, 0.8, 0.05) for person in PERSONS]), benchmark="conflict")
    (point,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert (xs(point)[0], ys(point)[0]) == (0.6, 0.2)
    drawn = [(tuple(xs(line)), tuple(ys(line))) for line in figure.axes[0].lines]
    assert ((0.55, 0.65), (0.2, 0.2)) in [(tuple(np.round(x, 9)), y) for x, y in drawn]
    (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "+"]
    assert (xs(cross)[0], ys(cross)[0]) == (1 / 16, 1 / 16)


def differences(*rows: tuple[dict[str, Any], dict[str, Any], float]) -> pd.DataFrame:
    """Two observers and the bias of the first minus that of the second → `shape_bias_differences.csv`."""
    records = [
        {"benchmark": "conflict", "observer_1": one["observer"], "observer_2": two["observer"], "difference": value}
        | {"ci_low": value - 0.1, "ci_high": value + 0.1, "conflict_images": 1200}
        for one, two, value in rows
    ]
    return pd.DataFrame(records)


def biases(*observers: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(observers).assign(conflict_images=1200)


@pytest.mark.parametrize("pair", [(SIN, RUN, 0.3), (RUN, SIN, -0.3)])
def test_a_run_is_compared_with_its_baseline_in_either_order_of_the_pair(pair):
    figure = bias_differences(differences(pair), biases(RUN, SIN), benchmark="conflict", baseline="in")
    (axes,) = figure.axes
    (point,) = [line for line in axes.lines if len(xs(line)) == 1]
    assert xs(point)[0] == pytest.approx(0.3)
    intervals = [xs(line) for line in axes.lines if len(xs(line)) == 2]
    assert any(np.allclose(interval, [0.2, 0.4]) for interval in intervals)
    low, high = axes.get_xlim()
    assert low == -high  # 0 is in the middle


def test_runs_of_the_same_seed_are_compared_and_observers_without_a_baseline_with_each_other():
    runs = [identity("vit", regime, seed) for seed in (0, 1) for regime in ("in", "sin")]
    pairs = [
        (runs[1], runs[0], 0.2),
        (runs[3], runs[2], 0.4),
        (runs[3], runs[0], 0.9),
        (NETWORKS[0], NETWORKS[1], 0.25),
    ]
    figure = bias_differences(differences(*pairs), biases(*runs, *NETWORKS), benchmark="conflict", baseline="in")
    forest, matrix = figure.axes
    points = sorted(float(xs(line)[0]) for line in forest.lines if line.get_marker() == "X")
    assert points == pytest.approx([0.3])
    np.testing.assert_allclose(cells(matrix), [[np.nan, 0.25], [-0.25, np.nan]])
    assert [text.get_text() for text in matrix.texts] == ["+0.25", "−0.25"]
    assert [text.get_fontweight() for text in matrix.texts] == ["bold", "bold"]


def test_observers_without_room_in_the_matrix_of_differences_are_counted():
    networks = [identity(f"net{i:02d}") for i in range(70)]
    pairs = [(networks[0], other, 0.3) for other in networks[1:]]
    figure = bias_differences(differences(*pairs), biases(*networks), benchmark="conflict", baseline="in")
    shown = len(figure.axes[0].get_yticklabels())
    assert 1 < shown < 70
    assert f"not shown: {70 - shown} more observers, in the table" in " ".join(below(figure).split())


def consistency(*rows: tuple[dict[str, Any], dict[str, Any], float]) -> pd.DataFrame:
    """Two observers and their kappa → `error_consistency.csv`."""
    table = differences(*rows).rename(columns={"difference": "kappa"}).assign(caution="")
    return table.assign(condition="all", images=1280)


def test_consistency_is_symmetric_ordered_by_kind_and_hatched_if_undefined():
    pairs = [(RUN, PERSONS[0], 0.1), (NETWORKS[0], RUN, 0.5), (NETWORKS[0], PERSONS[0], np.nan), (RUN, POOL, 0.2)]
    observers = biases(RUN, NETWORKS[0], PERSONS[0], POOL)
    figure = consistency_matrix(consistency(*pairs), observers, benchmark="conflict")
    matrix, strip = figure.axes[:2]
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["subject-01", "alexnet", "in"]
    assert [text.get_text() for text in matrix.texts if text.get_fontweight() == "bold"] == ["vit"]
    wanted = [[np.nan, np.nan, 0.1], [np.nan, np.nan, 0.5], [0.1, 0.5, np.nan]]
    np.testing.assert_allclose(cells(matrix), wanted)
    (hatched,) = [patch for patch in matrix.patches if patch.get_hatch()]
    inside = hatched.get_path().contains_points([(1, 0), (0, 1), (0, 0), (2, 0)])
    assert inside.tolist() == [True, True, False, False]
    (point,) = [line for line in strip.lines if line.get_marker() == "o"]
    assert (xs(point)[0], ys(point)[0]) == (0.2, 2)


def test_numbers_are_printed_for_few_observers_and_the_number_of_observers_is_limited():
    def drawn(count: int) -> Figure:
        networks = [identity(f"net{i:02d}") for i in range(count)]
        pairs = [(networks[0], other, 0.3) for other in networks[1:]]
        return consistency_matrix(consistency(*pairs), biases(*networks), benchmark="conflict")

    assert len(drawn(14).axes[0].texts) == 2 * 13
    assert len(drawn(15).axes[0].texts) == 0
    assert "not shown: 6 more" in below(drawn(70))


def test_a_matrix_of_answers_holds_shares_of_its_rows():
    counts = [("cat", "cat", 6), ("cat", "dog", 2), ("dog", "none", 5)]
    rows = [
        RUN | {"trials": trials, "cue": cue, "category": category, "answer": answer, "count": count}
        for trials in ("all", "consistent")
        for cue in ("shape", "texture")
        for category, answer, count in counts
    ]
    figure = answer_matrices(pd.DataFrame(rows), benchmark="conflict")
    shares = cells(figure.axes[0])
    cat, dog = CATEGORIES.index("cat"), CATEGORIES.index("dog")
    assert shares.shape == (16, 17)  # `none` comes last
    assert (shares[cat, cat], shares[cat, dog], shares[dog, 16]) == (0.75, 0.25, 1)
    assert np.isnan(shares[0]).all()  # no answer to an airplane
    assert figure.axes[0].get_title(loc="left") == "13 answers"


def test_some_observers_of_each_model_have_matrices_and_the_note_names_the_rest(monkeypatch):
    monkeypatch.setattr("shapebias.figures.answers.MOST_MATRICES", 2)
    rows = [
        identity(f"net{model}", regime, 0)
        | {"trials": "all", "cue": "shape", "category": "cat", "answer": "cat", "count": 1}
        for model in range(2)
        for regime in ("in", "sin")
    ]
    figure = answer_matrices(pd.DataFrame(rows), benchmark="conflict")
    assert len([axes for axes in figure.axes if axes.images]) == 4 * 2
    assert "net0 sin, net1 sin" in below(figure) and "net1 in" not in below(figure)
    assert "(1 conflict images)" in figure.get_suptitle()


def accuracies(*rows: tuple[dict[str, Any], str, float]) -> pd.DataFrame:
    """Observer, condition, accuracy → `accuracy_by_condition.csv`."""
    table = pd.DataFrame([w | {"condition": name, "accuracy": value} for w, name, value in rows])
    return table.assign(ci_low=table["accuracy"] - 0.1, ci_high=table["accuracy"] + 0.1, images=160, chance=1 / 16)


def test_conditions_have_the_order_and_the_names_of_their_axis():
    rows = [(RUN, "c01", 0.1), (RUN, "c100", 0.9), (POOL, "c01", 0.5), (POOL, "c100", 1.0)]
    axis = ConditionAxis(("c100", "c50", "c01"), "Contrast (%)", {"c100": "100", "c01": "1"})
    (panel,) = condition_lines(accuracies(*rows), {"conflict": axis}).axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["100", "1"]  # c50 was not shown
    assert panel.get_xlabel() == "Contrast (%)"
    drawn = {tuple(ys(line)): line.get_color() for line in panel.lines if line.get_marker() != "None"}
    assert set(drawn) == {(0.9, 0.1), (1.0, 0.5)} and drawn[1.0, 0.5] == (0, 0, 0)


def test_a_single_condition_has_no_panel_and_an_unknown_axis_follows_the_table():
    other = accuracies((RUN, "", 0.4)).assign(benchmark="sketch")
    table = pd.concat([accuracies((RUN, "b", 0.1), (RUN, "a", 0.2)), other])
    (panel,) = condition_lines(table, {}).axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["b", "a"]


def test_very_many_accuracies_become_a_matrix_of_numbers():
    rows = [identity(f"net{i}") | {"benchmark": f"b{j}", "unit": "category"} for i in range(50) for j in range(6)]
    table = pd.DataFrame(rows).assign(images=160, correct=40, accuracy=0.25, ci_low=0.2, ci_high=0.3, chance=1 / 16)
    figure = accuracy_overview(table)
    assert cells(figure.axes[0]).shape == (50, 6)
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.25"}
    assert len(accuracy_overview(table[table["benchmark"] == "b0"]).axes[0].images) == 0


def test_more_ways_to_suppress_a_cue_than_fit_side_by_side_become_a_matrix():
    strengths = {"shape": (1, 8), "texture": (0, 2), "gaussian": (0, 0.33, 2.33), "rotation": (1, 4)}
    rows = [RUN | {"cue": cue, "strength": strength} for cue, values in strengths.items() for strength in values]
    table = pd.DataFrame(rows).assign(accuracy=0.25, ci_low=0.2, ci_high=0.3, images=160, chance=1 / 16)
    names = [label.get_text() for axes in reliance_lines(table).axes for label in axes.get_xticklabels()]
    assert {"8 × 8", "4 × 4", "0.33", "2.33", "none"} <= set(names)
    assert len(reliance_lines(table[table["cue"] != "rotation"]).axes) == 3


def test_reliance_shows_the_accuracy_of_every_network_and_chance():
    rows = [("shape", 1, 0.9), ("shape", 8, 0.07), ("shape", 2, 0.45), ("colour", 0, 0.9), ("colour", 1, 0.72)]
    records = [RUN | {"cue": cue, "strength": strength, "accuracy": value} for cue, strength, value in rows]
    records += [
        SIN | {"cue": "shape", "strength": strength, "accuracy": value} for strength, value in ((1, 0.3), (8, 0.3))
    ]
    table = pd.DataFrame(records)
    table = table.assign(ci_low=table["accuracy"] - 0.03, ci_high=table["accuracy"] + 0.03, images=1280, chance=1 / 16)
    figure = reliance_lines(table)
    shape, colour = figure.axes
    assert [label.get_text() for label in shape.get_xticklabels()] == ["none", "2 × 2", "8 × 8"]
    assert [ys(line) for line in shape.lines if line.get_marker() not in ("None", "")] == [
        [0.9, 0.45, 0.07],
        [0.3, 0.3],
    ]
    assert [1 / 16, 1 / 16] in [ys(line) for line in shape.lines]
    assert [label.get_text() for label in colour.get_xticklabels()] == ["none", "1"]
    assert "chance" in legend_of(figure)


def test_bandwidths_have_intervals_and_runs_with_an_undefined_seed_have_none():
    values = [(RUN, 0, 2.0), (RUN, 1, 4.0), (SIN, 0, 3.0), (SIN, 1, np.nan)]
    table = pd.DataFrame(
        [
            network | {"seed": seed, "observer": f"{network['regime']}{seed}", "bandwidth": value, "benchmark": "b"}
            for network, seed, value in values
        ]
    )
    table = table.assign(bandwidth_low=table["bandwidth"] - 1, bandwidth_high=table["bandwidth"] + 1, images=1050)
    figure = bandwidth_overview(table, benchmark="b")
    (axes,) = figure.axes
    assert [1.0, 5.0] in [
        np.ravel(line.get_xdata()).tolist() for line in axes.lines
    ]  # from the lowest bound to the highest
    assert [text.get_text() for text in axes.texts].count("undefined") == 1
    assert "1,050 images" in figure.get_suptitle().replace("\n", " ")


def test_a_regime_has_one_look_in_all_figures_also_where_others_are_not_shown():
    style = FigureStyle(models=("vit", "net"), regimes=("in", "sin", "combined"))
    assert style.regime_colors(["combined"])["combined"] == style.regime_colors(["in", "sin", "combined"])["combined"]
    assert style.regime_markers(["combined"])["combined"] == style.regime_markers(["in", "combined"])["combined"]
    assert style.distinct_colors(["net"])["net"] == style.distinct_colors(["vit", "net"])["net"]


def test_ticks_are_explained_if_there_are_any():
    one = biases(RUN, NETWORKS[0], PERSONS[0], POOL)
    assert describe_ticks(one) == []
    assert describe_ticks(biases(RUN, identity("vit", "in", 1), PERSONS[0])) == ["tick: one seed"]
    assert describe_ticks(biases(RUN, identity("vit", "in", 1), *PERSONS)) == ["tick: one seed or person"]


def test_names_of_87_letters_leave_room_for_the_axes():
    name = "n" * 87
    table = cues((identity(name), 0.2, 0.6))
    pooled = table.assign(kind="pretrained", shape_bias=0.25, ci_low=0.2, ci_high=0.3, interval="images")
    figure = shape_bias_overview(pooled, table, table, benchmark="conflict")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # constrained layout warns if it fails
        figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > 0.5


def test_titles_and_notes_end_inside_the_figure():
    lesions = {"images": 1000, "melanoma_images": 100, "auc": 0.5} | dict.fromkeys(MELANOMA_COUNTS, 10)
    columns = dict.fromkeys(MELANOMA_TABLE_COLUMNS, np.nan)
    table = pd.DataFrame([columns | identity("vit", "in", 0) | lesions | {"benchmark": "melanomas_of_the_archive"}])
    figure = confusion_matrices(table, benchmark="melanomas_of_the_archive")
    figure.draw_without_rendering()
    for text in figure.texts:
        assert text.get_window_extent().x1 < figure.bbox.x1, text.get_text()


def test_both_cues_are_drawn_over_depth_and_over_k_in_order():
    rows = [
        RUN | {"cue": cue, "depth": d, "accuracy": a}
        for d, a in ((1, 0.5), (0, 0.1), (0.5, 0.3))
        for cue in ("shape", "texture")
    ]
    table = pd.DataFrame(rows).assign(ci_low=0, ci_high=1, images=1280, chance=1 / 16)
    drawn = lines_of(read_out_lines(table, benchmark="conflict").axes[0])
    assert {name: y.tolist() for name, y in drawn.items()} == {"vit in shape": [0.3, 0.5], "vit in texture": [0.3, 0.5]}
    axes = read_out_lines(table, benchmark="conflict").axes[0]
    lines = [part for part in axes.collections if isinstance(part, LineCollection)]
    pixels = [np.asarray(part.get_segments()[0])[:, 1].tolist() for part in lines]
    assert pixels == [[0.1, 0.1], [0.1, 0.1]]  # apart from the first stage

    ranked = table[table["depth"] != 0.5].assign(k=[5, 5, 1, 1], of="best class of the category")
    figure = top_k_lines(ranked, benchmark="conflict")
    assert figure.axes[0].get_ylabel() == "best class of the category\namong the first k"
    assert lines_of(figure.axes[0])["vit in shape"].tolist() == [0.1, 0.5]
    both = pd.concat([ranked, ranked.assign(of="class", accuracy=0.3)])
    assert top_k_lines(both, benchmark="conflict").axes[0].get_ylabel() == "class\namong the first k"


def test_networks_not_trained_here_share_a_panel_and_grey_ones_are_counted():
    rows = [identity(f"net{i}") | {"cue": "shape", "k": 1, "of": "class", "accuracy": 0.2} for i in range(12)]
    table = pd.DataFrame(rows).assign(ci_low=0.1, ci_high=0.3, images=1280, chance=0.001)
    figure = top_k_lines(table, benchmark="conflict")
    assert len(figure.axes) == 1
    assert "3 others, lowest to highest" in legend_of(figure)


def test_the_most_human_like_network_is_on_top_and_people_are_a_line():
    measures = ["accuracy", "accuracy_difference", "observed_consistency", "error_consistency"]
    rows = []
    for observer, value, rank in ((identity("far"), 0.1, 2.0), (identity("near"), 0.3, 1.0), (POOL, 0.5, np.nan)):
        values = dict.fromkeys(measures, value) | {f"{name}_rank": rank for name in measures} | {"mean_rank": rank}
        rows += [observer | {"benchmark": benchmark} | values for benchmark in ("sketch", "all")]
    figure = likeness_dots(pd.DataFrame(rows))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["near  (1.0)", "far  (2.0)"]
    (people,) = [line for line in figure.axes[3].lines if line.get_color() == (0, 0, 0)]
    assert xs(people) == [0.5, 0.5]
    assert "over 1 benchmark" in figure.get_suptitle()


def test_an_undefined_likeness_has_no_marker_and_no_rank():
    measures = ["accuracy", "accuracy_difference", "observed_consistency", "error_consistency"]
    unknown = dict.fromkeys([*measures, *(f"{name}_rank" for name in measures), "mean_rank"], np.nan)
    rows = [
        identity(name) | {"benchmark": benchmark} | unknown | {"error_consistency": kappa}
        for name, kappa in (("a", 0.25), ("people", np.nan))
        for benchmark in ("sketch", "all")
    ]
    figure = likeness_dots(pd.DataFrame(rows))
    markers_of_panels = [[xs(line) for line in axes.lines if line.get_marker() == "*"] for axes in figure.axes]
    assert markers_of_panels == [[], [], [], [[0.25]]]
    assert not any(text.get_text() for axes in figure.axes for text in axes.texts)
    low, high = figure.axes[1].get_xlim()
    assert low < 0 < 1 < high  # an axis without values


def test_loss_and_accuracy_are_drawn_completely_for_every_model():
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [9.0, 2.0], "val_loss": [3.0, 2.5]})
    history = history.assign(train_accuracy=[0.1, 0.5], val_accuracy=[0.2, 0.4], regime="in", seed=0, best_epoch=2)
    histories = pd.concat([history.assign(model="calm", train_loss=[2.0, 1.0]), history.assign(model="wild")])
    figure = training_curves(histories)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (nats)", "", "accuracy", ""]
    low, high = figure.axes[1].get_ylim()
    assert low == 0 and high > 9
    drawn = [ys(line) for line in figure.axes[3].lines]
    assert [0.1, 0.5] in drawn and [0.2, 0.4] in drawn and [0.4] in drawn  # the epoch of the saved weights


def test_answers_beside_a_picture_are_marked_by_the_cue_that_they_follow():
    answers = {"a": "cat", "b": "dog", "c": "oven", "d": "none", "e": ""}  # e did not see the picture
    figure = sample_predictions([(picture(size=(300, 200)), "cat", "dog", answers)], 1280, benchmark="conflict")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]
    assert texts[:4] == ["●", "shape: cat", "■", "texture: dog"]
    assert texts[4:] == ["●", "cat", "a", "■", "dog", "b", "○", "oven", "c", "–", "no answer", "d"]
    assert cells(figure.axes[0]).shape == (149, 224, 3)  # shrunk, not distorted


def test_the_numbers_of_pictures_and_answers_are_limited(monkeypatch):
    monkeypatch.setattr("shapebias.figures.answers.MOST_SAMPLES", 2)
    answers = {f"net{i}": "cat" for i in range(14)}
    figure = sample_predictions([(picture(i), "cat", "dog", answers) for i in range(3)], 20, benchmark="conflict")
    assert len([axes for axes in figure.axes if axes.images]) == 2
    assert "2 of its 20 conflict images" in figure.get_suptitle().replace("\n", " ")
    assert "not listed: 4 more observers" in below(figure)


def test_without_data_there_is_no_figure():
    empty = decisions()
    none = pd.DataFrame(columns=["benchmark", "condition", "accuracy", "of", "observer", "model"])
    for draw in (
        lambda: shape_bias_by_category(empty, benchmark="conflict"),
        lambda: shape_bias_overview(empty, empty, empty, benchmark="conflict"),
        lambda: accuracy_overview(pd.DataFrame()),
        lambda: training_curves(pd.DataFrame()),
        lambda: cue_plane(none, benchmark="conflict"),
        lambda: bias_differences(none, empty, benchmark="conflict", baseline="in"),
        lambda: bias_differences(differences((RUN, SIN, 0.1))[:0], biases(RUN), benchmark="conflict", baseline="in"),
        lambda: answer_matrices(none.assign(regime=""), benchmark="conflict"),
        lambda: consistency_matrix(none, empty, benchmark="conflict"),
        lambda: condition_lines(none, {}),
        lambda: reliance_lines(none),
        lambda: bandwidth_overview(none, benchmark="bands"),
        lambda: read_out_lines(none, benchmark="conflict"),
        lambda: top_k_lines(none, benchmark="conflict"),
        lambda: likeness_dots(none),
        lambda: sample_predictions([], 0, benchmark="conflict"),
    ):
        with pytest.raises(NoDataError):
            draw()


def test_names_break_only_after_spaces_underscores_and_hyphens():
    assert wrap_name("vit_tiny_patch16_224 combined", 12) == "vit_tiny_\npatch16_224\ncombined"
    assert wrap_name("resnet", 3) == "resnet"


def test_only_distinguishable_models_have_a_colour():
    colors = FigureStyle().distinct_colors([f"net{i}" for i in range(12)])
    assert len(set(colors.values())) == 9 + 1
    assert colors["net9"] == colors["net10"] == colors["net11"]


def test_another_palette_colours_the_models_in_its_own_order():
    colors = FigureStyle(palette="Set2").model_colors(["a", "b"])
    assert list(colors.values()) == [darken(color) for color in sns.color_palette("Set2", 2)]
    assert colors != FigureStyle().model_colors(["a", "b"])


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        (FigureStyle(palette="colourblind"), "palette 'colourblind': unknown; use a seaborn palette"),
        (FigureStyle(dpi=0), r"dpi 0, font scale 1\.0: both must be above 0"),
        (FigureStyle(font_scale=float("nan")), "dpi 300, font scale nan: both must be above 0"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused(style, problem):
    check_style(FigureStyle())
    with pytest.raises(UserError, match=problem):
        check_style(style)


def test_networks_not_trained_here_share_a_panel_beside_many_models():
    rows = [(f"m{i}", "in", "run") for i in range(3)] + [(f"n{i}", "", "pretrained") for i in range(2)]
    pooled = pd.DataFrame(rows, columns=["model", "regime", "kind"])
    assert [len(make_panels(pooled, most=most)) for most in (5, 4)] == [5, 4]
    assert make_panels(pooled, most=4)[-1].series == [("n0", ""), ("n1", "")]


def test_regimes_follow_the_study_and_models_follow_the_table():
    rows = [("vit", "sin"), ("vit", "combined"), ("vit", "in"), ("resnet", "warm"), ("resnet", "in")]
    table = decisions(*[(model, regime, 0, "cat", 1, 1) for model, regime in rows])
    ordered = sort_observers(table)
    assert list(zip(ordered["model"], ordered["regime"], strict=True)) == [
        *(("vit", "in"), ("vit", "sin"), ("vit", "combined")),
        *(("resnet", "in"), ("resnet", "warm")),
    ]


def test_the_same_figure_gives_the_same_bytes_and_restores_settings(tmp_path: Path):
    settings = dict(mpl.rcParams)
    table = decisions(("vit", "in", 0, "cat", 3, 1))
    for name in ("a.1", "b.1"):
        save_figure(shape_bias_by_category(table, PEOPLE, benchmark="conflict"), tmp_path / name, dpi=40)
    assert len(list(tmp_path.iterdir())) == 6
    for suffix in ("png", "svg", "pdf"):
        assert (tmp_path / f"a.1.{suffix}").read_bytes() == (tmp_path / f"b.1.{suffix}").read_bytes()
    assert dict(mpl.rcParams) == settings
