"""Tables and figures from recorded decisions, through the scripts, without a network, a run or a config."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from helpers import files_below, picture, refused, run_process, run_script, succeeded

from shapebias.categories import CATEGORIES
from shapebias.figures.draw import choose_samples, condition_axes
from shapebias.tables.reading import read_table

OF_CONFLICTS = ["shape_bias", "shape_bias_by_category", "shape_bias_differences", "cue_accuracy", "confusion"]
OF_CONFLICTS += ["error_consistency", "sample_predictions"]  # but no top_k: decisions have no ranks
COLUMNS = ["subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename"]


def names() -> list[str]:
    """Return names of sixteen conflicts: each category is a shape once, with the next category as texture."""
    followers = [*CATEGORIES[1:], CATEGORIES[0]]
    return [f"{shape}1-{texture}1" for shape, texture in zip(CATEGORIES, followers, strict=True)]


@pytest.fixture(scope="session")
def stimuli(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stimuli")
    for i, name in enumerate(names()):
        (folder / CATEGORIES[i]).mkdir()
        picture(i).save(folder / CATEGORIES[i] / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def tables(tmp_path_factory) -> Path:
    """Return tables of two people who answer the shape, and a network that answers the texture, except airplane."""
    folder = tmp_path_factory.mktemp("decisions") / "conflict"
    folder.mkdir()
    for subject, cue in (("subject-01", 0), ("subject-02", 0), ("goggles", 1)):
        with (folder / f"{subject}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for trial, name in enumerate(names(), start=1):
                shape, texture = (part.rstrip("1") for part in name.split("-"))
                answer = shape if cue == 0 or shape == "airplane" else texture
                writer.writerow(
                    [subject, 1, trial, 0.5, answer, shape, 0, f"{trial:04d}_x_dnn_0_{shape}_00_{name}.png"]
                )
    out = tmp_path_factory.mktemp("tables")
    succeeded(run_script("tables", "--predictions", folder, "--out", out))
    return out


def draw(tables: Path, out: Path, *more: object, run=run_script):
    return run("figures", "--tables", tables, "--dpi", 40, *more, "--out", out)


def test_recorded_decisions_become_figures_with_reproducible_bytes(tables, stimuli, tmp_path):
    for folder, run, workers in (("one", run_script, 0), ("two", run_process, 2)):
        options = ["--sample-images", f"conflict={stimuli}", "--workers", workers]
        succeeded(draw(tables, tmp_path / folder, *options, run=run))
    figure_names = [*(f"{name}.conflict" for name in OF_CONFLICTS), "human_likeness"]
    assert files_below(tmp_path / "one") == sorted(
        f"{name}.{kind}" for name in figure_names for kind in ("png", "svg", "pdf")
    )
    for name in files_below(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_declared_figure_without_data_says_so_and_others_are_left_out(tables, tmp_path):
    (tmp_path / "training_curves.svg").write_text("a figure of an earlier study")
    succeeded(draw(tables, tmp_path, "--declared", "reliance", "shape_bias.conflict"))
    names = {name.rpartition(".")[0] for name in files_below(tmp_path)}
    assert {"reliance", "shape_bias.conflict"} <= names and "training_curves" not in names
    refused(draw(tables, tmp_path, "--declared", "shape_bias.nowhere"), "shape_bias.nowhere", "shape_bias.conflict")


def test_an_answer_without_a_name_counts_and_an_unseen_image_does_not(tables, stimuli, tmp_path):
    rows = (tables / "answers.conflict.csv").read_text().splitlines()
    header = rows[0].split(",")
    cells = [dict(zip(header, row.split(","), strict=True)) for row in rows[1:]]
    for cell in cells:
        cell |= {"goggles": "none", "subject-01": ""}
    text = "\n".join([rows[0], *(",".join(cell.values()) for cell in cells)])
    (tmp_path / "answers.conflict.csv").write_text(text + "\n")
    bias = read_table(tables, "shape_bias")
    bias = bias[bias["observer"] != "subject-02"]
    samples, total = choose_samples(tmp_path, "conflict", bias, [stimuli])
    assert total == len(cells) and len(samples) == 12
    for _, _, _, decisions in samples:
        assert decisions == {"subject-01": "", "goggles": "none"}


def test_images_without_answers_and_unknown_benchmarks_are_refused(tables, tmp_path):
    (tmp_path / "stimuli" / "cat").mkdir(parents=True)
    picture().save(tmp_path / "stimuli" / "cat" / "cat7-dog9.png")
    done = draw(tables, tmp_path / "out", "--sample-images", f"conflict={tmp_path / 'stimuli'}")
    refused(done, "answers.conflict.csv", str(tmp_path / "stimuli"))
    refused(draw(tables, tmp_path / "out", "--sample-images", f"nowhere={tmp_path}"), "nowhere", "conflict")


def test_a_missing_table_is_named_and_nothing_is_drawn(tables, tmp_path):
    for file in tables.iterdir():
        if file.name != "top_k.csv":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    refused(draw(tmp_path, tmp_path / "out"), "top_k.csv", "scripts/tables.py")
    assert not (tmp_path / "out").exists()


def test_the_axis_of_a_benchmark_follows_from_its_kind_or_its_conditions():
    rows = [("low-pass", "0"), ("mine", "c50"), ("mine", "c05"), ("turned", "0"), ("turned", "90")]
    axes = condition_axes(pd.DataFrame(rows, columns=["benchmark", "condition"]))
    assert axes["low-pass"].order[:2] == ("0", "1")
    assert axes["mine"].label == "Contrast (%)"
    assert "turned" not in axes  # its conditions fit two kinds, phase noise and rotation
