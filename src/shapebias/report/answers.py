"""The report's sections on single answers: how human-like are the errors, and what is answered?"""

from collections.abc import Iterable, Mapping

import pandas as pd

from shapebias.metrics.shape_bias import wilson_interval
from shapebias.report import charts, html_tables
from shapebias.report import wording as words
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

ALL = "all"  # conditions, or benchmarks, together

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


def consistency_findings(
    consistency: pd.DataFrame, persons: Iterable[str] = (), names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Benchmark → do networks err on the images that people err on? Of κ with people, else of every pair.

    persons: observers that are people; names: observer → what to call it.
    """
    names = names or {}
    persons = set(persons) - {PEOPLE}
    statements = {}
    for benchmark, table in consistency[consistency["condition"] == ALL].groupby("benchmark", sort=False):
        told = _of_pairs(table, names)
        if told:
            statements[str(benchmark)] = f"On “{benchmark}”, {told}"
    pairs = with_people(consistency)
    both = (consistency["observer_1"] == PEOPLE) & (consistency["observer_2"] == PEOPLE)
    pairs_of_people = consistency[both & (consistency["condition"] == ALL)].dropna(subset=["kappa"])
    for benchmark, table in pairs[pairs["condition"] == ALL].groupby("benchmark", sort=False):
        human = pairs_of_people[pairs_of_people["benchmark"] == benchmark]
        everyone = table[~table["observer"].isin(persons)]
        networks = everyone.dropna(subset=["kappa"]).sort_values("kappa")
        if networks.empty:
            continue
        above = int((networks["ci_low"] > 0).sum())
        last, first = networks.iloc[0], networks.iloc[-1]
        told = f"{names.get(first['observer'], first['observer'])} {_kappa(first)}"
        if len(networks) > 1:
            told = f"from {names.get(last['observer'], last['observer'])} {_kappa(last)} to {told}"
        observers = "observer errs" if len(everyone) == 1 else "observers err"
        undefined = len(everyone) - len(networks)
        statement = (
            f"On “{benchmark}” (n = {words.count(everyone['images'])}), {above} of {len(everyone)} {observers} "
            f"on the same images as people more often than accuracies alone would make likely (κ {told})."
        )
        if undefined:
            statement += f" κ is undefined in {undefined}."
        if len(human):
            statement += f" People among themselves: {_kappa(human.iloc[0])}."
        statements[str(benchmark)] = statement
    return statements


def _of_pairs(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Which of all pairs err alike, and which the most and the least."""
    defined = table.dropna(subset=["kappa"]).sort_values("kappa")
    if defined.empty:
        return ""
    above, below = int((defined["ci_low"] > 0).sum()), int((defined["ci_high"] < 0).sum())
    told = words.counted(
        (above, "κ lies above 0 in"),
        (below, "below 0 in"),
        (len(defined) - above - below, "its interval holds 0 in"),
        (len(table) - len(defined), "it is undefined in"),
    )

    def pair(row: pd.Series) -> str:
        one, other = (names.get(row[f"observer_{side}"], row[f"observer_{side}"]) for side in (1, 2))
        return f"{one} with {other} {_kappa(row)}"

    ends = [pair(defined.iloc[place]) for place in ((0, -1) if len(defined) > 1 else (0,))]
    pairs = "pair" if len(table) == 1 else "pairs"
    span = f"from {ends[0]} to {ends[1]}" if len(ends) > 1 else ends[0]
    return f"{told} of {len(table):,} {pairs} (n = {words.count(table['images'])}): {span}."


def likeness_findings(likeness: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[str]:
    """Which networks rank first in likeness to people over all benchmarks."""
    names = names or {}
    ranked = likeness[(likeness["benchmark"] == ALL) & (likeness["model"] != PEOPLE)].dropna(subset=["mean_rank"])
    if ranked.empty:
        return []
    ranked = ranked.sort_values("mean_rank", kind="stable")
    benchmarks = likeness.loc[(likeness["observer"] == PEOPLE) & (likeness["benchmark"] != ALL), "benchmark"].nunique()
    told = [f"{names.get(row['observer'], row['observer'])} ({row['mean_rank']:.1f})" for row in words.records(ranked)]
    what = "one observer is" if len(told) == 1 else f"{len(told)} observers are"
    span = f"{told[0]} comes nearest to people" + (f", {told[-1]} least near" if len(told) > 1 else "")
    return [
        f"Over {words.plural(benchmarks, 'benchmark')} that people answered, {what} ranked: {span} (mean rank; ranks "
        f"have no interval, so neighbours may well change places)."
    ]


def with_people(consistency: pd.DataFrame) -> pd.DataFrame:
    """The pairs of an observer with `people`, the observer in a column of that name."""
    first, second = (consistency[f"observer_{i}"] == PEOPLE for i in (1, 2))
    turned = consistency[first & ~second]
    turned = turned.rename(
        columns={
            **{"observer_1": "observer_2", "observer_2": "observer_1"},
            **{"accuracy_1": "accuracy_2", "accuracy_2": "accuracy_1"},
        }
    )
    pairs = pd.concat([consistency[second & ~first], turned[consistency.columns]], ignore_index=True)
    return pairs.assign(observer=pairs["observer_1"])


def _kappa(row: pd.Series) -> str:
    return words.minus(f"{row['kappa']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]")


def answer_findings(confusion: pd.DataFrame, benchmark: str) -> list[str]:
    """How lopsided answers are: the category that each network answers most often, and how often."""
    rows = confusion[(confusion["benchmark"] == benchmark) & (confusion["trials"] == "all")]
    rows = rows[(rows["cue"] == "shape") & (rows["model"] != PEOPLE)]
    if rows.empty:
        return []
    who = ["observer", "model", "regime", "seed"]
    counts = rows.groupby([*who, "answer"], sort=False, dropna=False)["count"].sum().reset_index()
    counts["images"] = counts.groupby("observer")["count"].transform("sum")
    most = counts.loc[counts.groupby("observer", sort=False)["count"].idxmax()]
    most = most.assign(share=most["count"] / most["images"]).sort_values("share", kind="stable")
    bounds = [
        wilson_interval(int(count), int(images)) for count, images in zip(most["count"], most["images"], strict=True)
    ]
    most["ci_low"], most["ci_high"] = [low for low, _ in bounds], [high for _, high in bounds]
    ends = [most.iloc[place] for place in ((0, -1) if len(most) > 1 else (0,))]
    told = [f"{words.bounded(row, 'share')} (“{row['answer']}”, {words.called(row)})" for row in ends]
    span = f"from {told[0]} to {told[1]}" if len(told) > 1 else told[0]
    return [
        f"The answer that a network gives most often takes this share of all its answers "
        f"(n = {words.count(most['images'])}; {1 / 16:.2f} if answers were spread evenly): {span}."
    ]
