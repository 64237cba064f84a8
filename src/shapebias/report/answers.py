"""The report's sections on single answers: how human-like are the errors, and what is answered?"""

import pandas as pd

from shapebias.report import charts, html_tables
from shapebias.report.answers_findings import ALL, answer_findings, consistency_findings, likeness_findings, with_people
from shapebias.report.charts import Chart, Control
from shapebias.report.html_tables import Grid, Table, csv_of, grid
from shapebias.report.study import (
    LARGEST_MATRIX,
    Figure,
    Part,
    Section,
    Study,
    cells,
    everyone,
    intervals,
    of_benchmark,
    pair_rows,
    single,
    span,
)
from shapebias.tables.summaries import PEOPLE, observer_names

MOST_PAIRS = 8000  # of all benchmarks together


# How human-like are the errors?


def likeness(study: Study) -> Section | None:
    tables = study.tables
    consistency, ranks = tables["error_consistency"], tables["human_likeness"]
    persons = set(tables["shape_bias"].loc[tables["shape_bias"]["model"] == PEOPLE, "observer"])
    persons |= set(tables["accuracy_by_condition"].loc[tables["accuracy_by_condition"]["model"] == PEOPLE, "observer"])
    names = observer_names(everyone(study))
    statements = consistency_findings(consistency, persons, names)
    parts = []
    everything = consistency[consistency["condition"] == ALL]
    matrix = consistency_chart(everything, study) if len(everything) else None
    for benchmark, table in everything.groupby("benchmark", sort=False):
        name = str(benchmark)
        human = with_people(table)
        right = RIGHT_BY_SHAPE if name in set(tables["shape_bias"]["benchmark"]) else ""
        figure = Figure(
            study.figure(f"error_consistency.{name}", f"Error consistency of each pair of observers on {name}"),
            f"n = {span(table['images'])} images seen by both. How to read it: κ is 0 where two observers err on the "
            "same images no more often than their accuracies make likely, 1 where they err on exactly the same ones. "
            f"Purple: more alike than chance; orange: less.{right}",
            "wide",
            [matrix] if matrix is not None and not parts else [],  # one chart, of whichever benchmark is chosen
        )
        table = grid(
            "Error consistency with people" if len(human) else "Error consistency of every pair",
            html_tables.consistency_table,
            human if len(human) else table,
            csv_of(f"error_consistency.{name}", of_benchmark(consistency, name)),
        )
        parts.append(Part(name, [statements[name]] if name in statements else [], "", [figure], [table]))
    if ranks["mean_rank"].notna().any():
        figure = Figure(
            study.figure("human_likeness", "Likeness to people of every network"),
            "How to read it: accuracy; squared difference of accuracy from people (lower is more alike); observed and "
            "error consistency with people (higher is more alike); and the mean of the ranks in these last three, over "
            "benchmarks.",
        )
        table = grid("Ranks of likeness to people", html_tables.likeness_table, ranks, csv_of("human_likeness", ranks))
        parts.append(Part("All benchmarks together", likeness_findings(ranks, names), "", [figure], [table]))
    title = "How human-like are the errors?" if len(with_people(consistency)) else "Which observers err alike?"
    return Section("likeness", title, parts) if parts else None


RIGHT_BY_SHAPE = (
    " On conflict images, to err is to answer anything but the category of the shape, over all images whose shape is "
    "known, also those whose two cues agree."
)


def consistency_chart(everything: pd.DataFrame, study: Study) -> Chart | None:
    """κ of every pair, one benchmark at a time; None for more than a page should carry."""
    if len({*everything["observer_1"], *everything["observer_2"]}) > LARGEST_MATRIX or len(everything) > MOST_PAIRS:
        return None
    rows = pair_rows(everything, study).assign(kappa=everything["kappa"], images=everything["images"])
    rows["value_text"] = everything["kappa"].map(html_tables.fraction)
    rows["cell"] = cells(everything["kappa"])
    rows["interval_text"] = intervals(everything, "ci_low", "ci_high")
    rows["observed_text"] = everything["observed"].map(html_tables.fraction)
    rows["expected_text"] = everything["expected"].map(html_tables.fraction)
    both = pd.concat([rows, charts.turned(rows)], ignore_index=True)
    both = both.drop_duplicates(["benchmark", "who_1", "who_2"])  # people with people is its own mirror image
    benchmarks = [(str(name), str(name)) for name in dict.fromkeys(rows["benchmark"])]
    return charts.matrix(
        "error_consistency",
        both,
        value=("kappa", "κ"),
        description="Error consistency of every pair of observers on a benchmark",
        picks=[Control("Benchmark", "pick", benchmarks, "benchmark")],
        tooltip=[
            *(("who_1", "observer"), ("who_2", "with"), ("value_text", "κ"), ("interval_text", "95 % interval")),
            *(("observed_text", "observed"), ("expected_text", "expected"), ("images", "images")),
        ],
    )


# What is answered?


def answers(study: Study) -> Section | None:
    tables, parts = study.tables, []
    for benchmark in dict.fromkeys(tables["shape_bias"]["benchmark"]):
        name = str(benchmark)
        confusion, report = of_benchmark(tables["confusion"], name), of_benchmark(tables["classification_report"], name)
        figures = [
            Figure(
                study.figure(
                    f"sample_predictions.{name}",
                    f"Conflict images of {name} with answers of some observers",
                    numbers=False,
                ),
                "How to read it: a sample of conflict images, each with both labels and what observers answered.",
            ),
            Figure(
                study.figure(f"confusion.{name}", f"Confusion matrices of {name}", numbers=False),
                f"n = {span(single(of_benchmark(tables['shape_bias'], name))['conflict_images'])} conflict images. How "
                "to read it: rows are the category of a cue, columns the answer; a dark diagonal by texture is "
                "an observer that goes by texture. The two matrices at the right hold only answers that name one of "
                "the two cues.",
            ),
        ]
        grids = [
            Grid(
                "Precision, recall and F1, mean of the categories",
                html_tables.classification_table(report),
                csv_of(f"classification_report.{name}", report),
            ),
            Grid("All confusions", Table([]), csv_of(f"confusion.{name}", confusion)),
        ]
        parts.append(Part(name, answer_findings(confusion, name), "", figures, grids))
    return Section("answers", "Which answers are given?", parts) if parts else None
