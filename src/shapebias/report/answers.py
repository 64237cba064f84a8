"""Report sections on single answers: human likeness of the errors, and confusions."""

from collections.abc import Iterable, Mapping

import pandas as pd

from shapebias.evaluation.benchmarks import KINDS
from shapebias.metrics.shape_bias import wilson_interval
from shapebias.report import charts, html_tables, wording
from shapebias.report.charts import Chart, Control
from shapebias.report.html_tables import ReportTable, TextTable, csv_download, make_report_table
from shapebias.report.study import (
    MAX_MATRIX_OBSERVERS,
    ReportFigure,
    Section,
    StudyResults,
    Subsection,
    drop_pooled_people,
    format_cells,
    format_intervals,
    format_span,
    label_pairs,
    select_benchmark,
)
from shapebias.tables.summaries import PEOPLE, is_interpretable

ALL = "all"  # marks rows over all conditions, or over all benchmarks

MAX_PAIRS = 100_000  # over all benchmarks; the page holds the data of each
MAX_CAUSES = 3  # examples of observers that guess


# How human-like are the errors?


def likeness_section(study: StudyResults) -> Section | None:
    """Return the section on error consistency and human likeness, or None if neither was measured."""
    tables = study.tables
    consistency, ranks = tables["error_consistency"], tables["human_likeness"]
    persons = set(tables["shape_bias"].loc[tables["shape_bias"]["model"] == PEOPLE, "observer"])
    persons |= set(tables["accuracy_by_condition"].loc[tables["accuracy_by_condition"]["model"] == PEOPLE, "observer"])
    names = study.observer_names()
    statements = consistency_findings(consistency, persons, names)
    subsections = []
    overall = consistency[consistency["condition"] == ALL]
    drawn = benchmarks_with_matrix(overall)
    matrix = consistency_chart(overall[overall["benchmark"].isin(drawn)], study) if drawn else None
    for benchmark, table in overall.groupby("benchmark", sort=False):
        name = str(benchmark)
        human_pairs = pairs_with_people(table)
        error_definition = ERRORS_ON_CONFLICTS if name in set(tables["shape_bias"]["benchmark"]) else ""
        figure = ReportFigure(
            study.figure(f"error_consistency.{name}", f"Error consistency of each pair of observers on {name}"),
            f"n = {format_span(table['images'])} images that both observers saw. How to read it: κ is 0 if two "
            "observers err on the same images as often as their accuracies predict. κ is 1 if they err on exactly the "
            "same images. Purple: more alike than chance; orange: less alike. Hatched or empty cells: κ is undefined, "
            f"or says nothing because an observer guesses or nearly always gives one answer.{error_definition}",
            "wide",
            [matrix] if matrix and not subsections else [],  # one chart for all benchmarks; the reader picks one
        )
        sentences = [statements[name]] if name in statements else []
        if name not in drawn and figure.image is None:
            sentences.append(
                f"The page has no matrix of these {len(table):,} pairs, because it would be too large: a page holds at "
                f"most {MAX_PAIRS:,} pairs in all, of {MAX_MATRIX_OBSERVERS} observers. The CSV file below holds all "
                "pairs."
            )
        report_table = make_report_table(
            "Error consistency with people" if len(human_pairs) else "Error consistency of every pair",
            html_tables.format_consistency_table,
            human_pairs if len(human_pairs) else table,
            csv_download(f"error_consistency.{name}", select_benchmark(consistency, name)),
        )
        subsections.append(Subsection(name, sentences, "", [figure], [report_table]))
    if ranks["mean_rank"].notna().any():
        figure = ReportFigure(
            study.figure("human_likeness", "Likeness of every network to people"),
            "How to read it: the panels show accuracy; the squared difference between the accuracy of a network and of "
            "people (lower is more alike); observed consistency and error consistency with people (higher is more "
            f"alike); and the mean rank in the last three measures over all benchmarks.{describe_omitted(study)}",
        )
        table = make_report_table(
            "Ranks of likeness to people",
            html_tables.format_likeness_table,
            ranks,
            csv_download("human_likeness", ranks),
        )
        subsections.append(
            Subsection("All benchmarks together", likeness_findings(ranks, names), "", [figure], [table])
        )
    title = "How human-like are the errors?" if len(pairs_with_people(consistency)) else "Which observers err alike?"
    return Section("likeness", title, subsections) if subsections else None


def describe_omitted(study: StudyResults) -> str:
    """Return a sentence that names the conditions that count in no measure, or "" if no condition is left out."""
    by_benchmark = study.tables["accuracy_by_condition"].groupby("benchmark", sort=False)
    parts = []
    for benchmark, conditions in by_benchmark["condition"].agg(set).items():
        kind = KINDS.get(study.kind(str(benchmark)))
        omitted = [condition for condition in kind.omitted if condition in conditions] if kind else []
        if omitted:
            parts.append(f"{benchmark} {', '.join(omitted)}")
    if not parts:
        return ""
    return (
        " Undistorted images, and conditions in which people hardly recognize anything, are left out, as in the "
        f"model-vs-human toolbox: {'; '.join(parts)}."
    )


ERRORS_ON_CONFLICTS = (
    " On conflict images, every answer except the category of the shape is an error. All images of a known shape "
    "count, including those where shape and texture agree."
)


def benchmarks_with_matrix(consistency: pd.DataFrame) -> list[str]:
    """Return the first benchmarks whose pairs, rows of a table, fit on the page together."""
    if len({*consistency["observer_1"], *consistency["observer_2"]}) > MAX_MATRIX_OBSERVERS:
        return []
    counts = consistency["benchmark"].value_counts(sort=False).cumsum()
    return [str(name) for name, pairs in counts.items() if pairs <= MAX_PAIRS]


def consistency_chart(consistency: pd.DataFrame, study: StudyResults) -> Chart:
    """Return the chart of κ for every pair on one benchmark."""
    kappa = consistency["kappa"].where(is_interpretable(consistency))
    rows = label_pairs(consistency, study).assign(kappa=kappa, images=consistency["images"])
    rows["value_text"] = kappa.map(html_tables.format_fraction).where(is_interpretable(consistency), "says nothing: ")
    rows["value_text"] += consistency["caution"].fillna("")
    rows["cell"] = format_cells(kappa)
    rows["interval_text"] = format_intervals(consistency, "ci_low", "ci_high")
    rows["p_text"] = consistency["p_value"].map(html_tables.format_fraction)
    rows["observed_text"] = consistency["observed"].map(html_tables.format_fraction)
    rows["expected_text"] = consistency["expected"].map(html_tables.format_fraction)
    benchmarks = [(str(name), str(name)) for name in dict.fromkeys(rows["benchmark"])]
    return charts.matrix_chart(
        "error_consistency",
        rows,
        value=("kappa", "κ"),
        description="Error consistency of every pair of observers on a benchmark",
        picks=[Control("Benchmark", "pick", benchmarks, "benchmark")],
        mirrored=True,
        tooltip=[
            *(
                ("observer_name_1", "observer"),
                ("observer_name_2", "with"),
                ("value_text", "κ"),
                ("interval_text", "95 % interval"),
                ("p_text", "p-value"),
            ),
            *(("observed_text", "observed"), ("expected_text", "expected"), ("images", "images")),
        ],
    )


# What is answered?


def answers_section(study: StudyResults) -> Section | None:
    """Return the section on confusions, or None without conflict images."""
    tables, subsections = study.tables, []
    for benchmark in dict.fromkeys(tables["shape_bias"]["benchmark"]):
        name = str(benchmark)
        confusion, report = (
            select_benchmark(tables["confusion"], name),
            select_benchmark(tables["classification_report"], name),
        )
        figures = [
            ReportFigure(
                study.figure(
                    f"sample_predictions.{name}",
                    f"Conflict images of {name} with the answers of some observers",
                    numbers=False,
                ),
                "How to read it: each image of this sample stands beside its two labels and the observers' answers.",
            ),
            ReportFigure(
                study.figure(f"confusion.{name}", f"Confusion matrices of {name}", numbers=False),
                "n = "
                f"{format_span(drop_pooled_people(select_benchmark(tables['shape_bias'], name))['conflict_images'])} "
                "conflict images. How to read it: rows are the category of a cue, columns the answer. A dark "
                "diagonal in the matrix by texture means that the observer decides by texture. The two matrices at "
                "the right hold only answers that name one of the two cues.",
            ),
        ]
        report_tables = [
            ReportTable(
                "Precision, recall and F1, mean of the categories",
                html_tables.format_classification_table(report),
                csv_download(f"classification_report.{name}", report),
            ),
            ReportTable("All confusions", TextTable([]), csv_download(f"confusion.{name}", confusion)),
        ]
        subsections.append(
            Subsection(name, answer_findings(study.label_regimes(confusion), name), "", figures, report_tables)
        )
    return Section("answers", "Which answers are given?", subsections) if subsections else None


def consistency_findings(
    consistency: pd.DataFrame, persons: Iterable[str] = (), names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return benchmark → sentence on whether networks err on the same images as people.

    Without people on a benchmark, the sentence covers κ of every pair. persons: observers that are single people.
    names: observer → display name.
    """
    names = names or {}
    persons = set(persons) - {PEOPLE}
    statements = {}
    doubtful = consistency[(consistency["condition"] == ALL) & ~is_interpretable(consistency)]
    consistency = consistency[is_interpretable(consistency)]
    for benchmark, table in consistency[consistency["condition"] == ALL].groupby("benchmark", sort=False):
        statement = _pairs_statement(table, names)
        if statement:
            statements[str(benchmark)] = f"On “{benchmark}”, {statement}"
    pairs = pairs_with_people(consistency)
    between_people = (consistency["observer_1"] == PEOPLE) & (consistency["observer_2"] == PEOPLE)
    pairs_of_people = consistency[between_people & (consistency["condition"] == ALL)].dropna(subset=["kappa"])
    for benchmark, table in pairs[pairs["condition"] == ALL].groupby("benchmark", sort=False):
        human_pairs = pairs_of_people[pairs_of_people["benchmark"] == benchmark]
        compared = table[~table["observer"].isin(persons)]
        networks = compared.dropna(subset=["kappa"]).sort_values("kappa")
        if networks.empty:
            continue
        above = int((networks["ci_low"] > 0).sum())
        lowest, highest = networks.iloc[0], networks.iloc[-1]
        extremes = f"{names.get(highest['observer'], highest['observer'])} {_format_kappa(highest)}"
        if len(networks) > 1:
            extremes = f"from {names.get(lowest['observer'], lowest['observer'])} {_format_kappa(lowest)} to {extremes}"
        observers = "observer errs" if len(compared) == 1 else "observers err"
        undefined = len(compared) - len(networks)
        statement = (
            f"On “{benchmark}” (n = {wording.format_image_count(compared['images'])}), {above} of {len(compared)} "
            f"{observers} on the same images as people more often than the accuracies alone predict (κ {extremes})."
        )
        if undefined:
            statement += f" κ is undefined for {undefined}."
        if len(human_pairs):
            statement += f" People among themselves: {_format_kappa(human_pairs.iloc[0])}."
        statements[str(benchmark)] = statement
    for benchmark, table in doubtful.groupby("benchmark", sort=False):
        causes = list(dict.fromkeys(cause for text in table["caution"] for cause in text.split("; ")))
        for observer, name in names.items():
            causes = [cause.replace(f"{observer} ", f"{name} ", 1) for cause in causes]
        statement = (
            f"For {wording.pluralize(len(table), 'pair')} on “{benchmark}” κ says nothing about likeness, because an "
            f"observer guesses or nearly always gives one answer: {wording.join_names(causes, MAX_CAUSES, '; ')}."
        )
        statements[str(benchmark)] = f"{statements.get(str(benchmark), '')} {statement}".strip()
    return statements


def _pairs_statement(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return a sentence that counts the pairs with similar errors and names the most and the least similar pair."""
    defined = table.dropna(subset=["kappa"]).sort_values("kappa")
    if defined.empty:
        return ""
    above, below = int((defined["ci_low"] > 0).sum()), int((defined["ci_high"] < 0).sum())
    counts = wording.list_counts(
        (above, "above 0 for"),
        (below, "below 0 for"),
        (len(defined) - above - below, "not distinguishable from 0 for"),
        (len(table) - len(defined), "undefined for"),
    )

    def describe_pair(row: pd.Series) -> str:
        first, second = (names.get(row[f"observer_{side}"], row[f"observer_{side}"]) for side in (1, 2))
        return f"{first} with {second} {_format_kappa(row)}"

    ends = [describe_pair(defined.iloc[place]) for place in ((0, -1) if len(defined) > 1 else (0,))]
    pairs = "pair" if len(table) == 1 else "pairs"
    extremes = f"from {ends[0]} to {ends[1]}" if len(ends) > 1 else ends[0]
    return f"κ is {counts} of {len(table):,} {pairs} (n = {wording.format_image_count(table['images'])}): {extremes}."


def likeness_findings(likeness: pd.DataFrame, names: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence that names the networks most and least like people over all benchmarks."""
    names = names or {}
    ranked = likeness[(likeness["benchmark"] == ALL) & (likeness["model"] != PEOPLE)].dropna(subset=["mean_rank"])
    if ranked.empty:
        return []
    ranked = ranked.sort_values("mean_rank", kind="stable")
    benchmarks = likeness.loc[(likeness["observer"] == PEOPLE) & (likeness["benchmark"] != ALL), "benchmark"].nunique()
    ranking = [
        f"{names.get(row['observer'], row['observer'])} ({row['mean_rank']:.1f})" for row in wording.records(ranked)
    ]
    subject = "one observer is" if len(ranking) == 1 else f"{len(ranking)} observers are"
    extremes = f"{ranking[0]} is most like people" + (f", {ranking[-1]} least" if len(ranking) > 1 else "")
    return [
        f"Over {wording.pluralize(benchmarks, 'benchmark')} with answers from people, {subject} ranked: {extremes} "
        "(mean rank; ranks have no interval, so neighbours could change places)."
    ]


def pairs_with_people(consistency: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of an observer with `people`; the column `observer` holds the observer."""
    first, second = (consistency[f"observer_{i}"] == PEOPLE for i in (1, 2))
    swapped = consistency[first & ~second]
    swapped = swapped.rename(
        columns={
            **{"observer_1": "observer_2", "observer_2": "observer_1"},
            **{"accuracy_1": "accuracy_2", "accuracy_2": "accuracy_1"},
        }
    )
    pairs = pd.concat([consistency[second & ~first], swapped[consistency.columns]], ignore_index=True)
    return pairs.assign(observer=pairs["observer_1"])


def _format_kappa(row: pd.Series) -> str:
    return wording.typeset_minus(f"{row['kappa']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]")


def answer_findings(confusion: pd.DataFrame, benchmark: str) -> list[str]:
    """Return a sentence on each network's most frequent answer and its share of all answers."""
    rows = confusion[(confusion["benchmark"] == benchmark) & (confusion["trials"] == "all")]
    rows = rows[(rows["cue"] == "shape") & (rows["model"] != PEOPLE)]
    if rows.empty:
        return []
    keys = ["observer", "model", "regime", "seed"]
    counts = rows.groupby([*keys, "answer"], sort=False, dropna=False)["count"].sum().reset_index()
    counts["images"] = counts.groupby("observer")["count"].transform("sum")
    most_frequent = counts.loc[counts.groupby("observer", sort=False)["count"].idxmax()]
    most_frequent = most_frequent.assign(share=most_frequent["count"] / most_frequent["images"]).sort_values(
        "share", kind="stable"
    )
    bounds = [
        wilson_interval(int(count), int(images))
        for count, images in zip(most_frequent["count"], most_frequent["images"], strict=True)
    ]
    most_frequent["ci_low"], most_frequent["ci_high"] = [low for low, _ in bounds], [high for _, high in bounds]
    extreme_rows = [most_frequent.iloc[place] for place in ((0, -1) if len(most_frequent) > 1 else (0,))]
    shares = [
        f"{wording.format_estimate(row, 'share')} (“{row['answer']}”, {wording.network_name(row)})"
        for row in extreme_rows
    ]
    extremes = f"from {shares[0]} to {shares[1]}" if len(shares) > 1 else shares[0]
    return [
        "Share of a network's most frequent answer among all its answers (n = "
        f"{wording.format_image_count(most_frequent['images'])}; {1 / 16:.2f} if all answers were equally frequent): "
        f"{extremes}."
    ]
