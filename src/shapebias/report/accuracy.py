"""Report sections on accuracy: the accuracy cost of a changed bias, and transfer to melanoma."""

from collections.abc import Iterable

import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.evaluation.benchmarks import KINDS
from shapebias.report import charts, html_tables, wording
from shapebias.report.charts import Chart, Control
from shapebias.report.encoding import IDENTITY, Encoding, label_observers
from shapebias.report.html_tables import ReportTable, csv_download, make_report_table
from shapebias.report.study import (
    ReportFigure,
    Section,
    StudyResults,
    Subsection,
    drop_pooled_people,
    format_intervals,
    format_span,
    order_by_mean,
    select_benchmark,
)
from shapebias.tables.summaries import PEOPLE, observer_kinds, pool_accuracy, pool_means

SIGNIFICANCE = 0.05  # level of the paired tests, after the correction for many tests
MAX_STATEMENTS = 4  # readers skip longer runs of sentences

# At what cost in accuracy?


def cost_section(study: StudyResults) -> Section | None:
    """Return the section on accuracy, or None if no accuracy was measured."""
    tables = study.tables
    accuracy, by_condition, cues = (tables[name] for name in ("accuracy", "accuracy_by_condition", "cue_accuracy"))
    subsections = []
    if len(accuracy):
        figure = ReportFigure(
            study.figure("accuracy", "Accuracy of each observer on each benchmark, with 95 % intervals"),
            f"n = {format_span(drop_pooled_people(accuracy)['images'])} images per "
            "benchmark. How to read it: each marker is the share of images that an observer named correctly, with its "
            "95 % interval. An answer by class is one of the classes that the network was trained on; an answer by "
            "category is one of the 16 categories. Dashed lines and upright grey ticks mark chance.",
            "wide",
            [accuracy_chart(accuracy, study.encoding)],
        )
        table = make_report_table(
            "Accuracy of every observer",
            html_tables.format_accuracy_table,
            accuracy,
            csv_download("accuracy", accuracy),
        )
        findings = cost_findings(accuracy, tables["accuracy_differences"], study.regimes)
        tested = make_report_table(
            "Differences between the regimes of each network, paired by image",
            html_tables.format_accuracy_differences,
            tables["accuracy_differences"],
            csv_download("accuracy_differences", tables["accuracy_differences"]),
        )
        subsections.append(Subsection("", findings, "", [figure], [table, tested]))
    distorted = by_condition[by_condition["condition"].fillna("").astype(str) != ""]
    if len(distorted):
        has_people_curve = distorted["difference"].notna().any()
        figure = ReportFigure(
            study.figure("accuracy_by_condition", "Accuracy of every observer in each condition"),
            f"n = {format_span(distorted['images'])} images per condition and observer. How to read it: the "
            "distortion grows from left to right; the curve of a robust observer stays high. The dashed line is "
            "chance. "
            f"{'Diamonds: people on the same images.' if has_people_curve else ''}",
            "wide",
            [condition_chart(distorted, study)],
        )
        table = make_report_table(
            "Accuracy in each condition",
            html_tables.format_conditions_table,
            distorted,
            csv_download("accuracy_by_condition", by_condition),
        )
        subsections.append(
            Subsection("Distorted images", condition_findings(study.label_regimes(by_condition)), "", [figure], [table])
        )
    for benchmark, table in cues.groupby("benchmark", sort=False):
        name = str(benchmark)
        chart = cue_chart(name, table, study.encoding) if table["shape_accuracy"].notna().any() else None
        figure = ReportFigure(
            study.figure(f"cue_accuracy.{name}", f"Share of shape answers and of texture answers on {name}"),
            f"n = {format_span(drop_pooled_people(table)['conflict_images'])} conflict images. How to read it: shape "
            "bias is a ratio, so it hides how often an observer names either cue. Markers further up name the shape "
            "more often; markers further right name the texture more often. On the diagonal through the origin, the "
            "bias is one half. At the lower left, answers name neither cue; guessing names each in "
            f"{100 * float(table['chance'].iloc[0]):.0f} % of answers. Bars are 95 % "
            "intervals.",
            "medium",
            [chart] if chart else [],
        )
        report_tables = [
            ReportTable(
                "Shape and texture answers",
                html_tables.format_cue_table(table),
                csv_download(f"cue_accuracy.{name}", table),
            )
        ]
        ranked = select_benchmark(tables["top_k"], name)
        figures = [figure]
        if len(ranked):
            figures.append(
                ReportFigure(
                    study.figure(f"top_k.{name}", f"Shape and texture among the first k classes on {name}"),
                    f"n = {format_span(ranked['images'])} images. How to read it: each curve shows how often "
                    "the class of the shape, or of the texture, is among the first k of all classes of the network. "
                    "Where an image names only a category, the best-ranked class of that category counts. Intervals "
                    "are 95 % intervals.",
                )
            )
            report_tables.append(
                make_report_table(
                    "Among the first k", html_tables.format_top_k_table, ranked, csv_download(f"top_k.{name}", ranked)
                )
            )
        heading = f"How often answers name a cue of the conflict image: {name}"
        subsections.append(
            Subsection(heading, cue_findings(study.label_regimes(cues), name), "", figures, report_tables)
        )
    title = "At what cost in accuracy?" if study.regimes.treatment else "How accurate are they?"
    return Section("cost", title, subsections) if subsections else None


def accuracy_chart(accuracy: pd.DataFrame, encoding: Encoding) -> Chart:
    """Return the chart of each observer's accuracy on each benchmark."""
    rows = label_observers(pool_accuracy(accuracy), encoding)
    rows["interval_text"] = format_intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(html_tables.format_fraction)
    columns = [*IDENTITY, "benchmark", "unit", "accuracy", "ci_low", "ci_high", "chance"]
    networks = rows[(rows["model"] != PEOPLE) & (rows["unit"] == "category")]
    names = list(dict.fromkeys(rows["benchmark"]))
    sorts = {
        "as measured": names,
        "by accuracy": order_by_mean(networks if len(networks) else rows, "benchmark", "accuracy"),
    }
    sorts["by name"] = sorted(names)
    units = [(unit, unit) for unit in ("category", "class") if (rows["unit"] == unit).any()]
    return charts.dot_chart(
        "accuracy",
        rows[[*columns, "value_text", "interval_text", "images", "correct"]],
        encoding,
        row="benchmark",
        value=("accuracy", "accuracy"),
        chance="chance",
        description="Accuracy of every observer on every benchmark",
        sorts={label: [*order, *(name for name in names if name not in order)] for label, order in sorts.items()},
        picks=[Control("Answer by", "pick", units, "unit")],
        tooltip=[
            *(("observer_name", "observer"), ("benchmark", "benchmark"), ("value_text", "accuracy")),
            *(("interval_text", "95 % interval"), ("correct", "correct"), ("images", "images")),
        ],
    )


def condition_chart(distorted: pd.DataFrame, study: StudyResults) -> Chart:
    """Return the chart of accuracy over the conditions of one benchmark; the reader picks the benchmark."""
    bounds = {"accuracy": ("ci_low", "ci_high")}
    pooled = pool_means(distorted, bounds, by=["benchmark", "condition"], first=["images", "chance"])
    rows = label_observers(pooled, study.encoding)
    labels: dict[tuple[str, str], tuple[str, int]] = {}  # (benchmark, condition) → (label, position on the axis)
    for benchmark, group_rows in distorted.groupby("benchmark", sort=False):
        kind = KINDS.get(study.kind(str(benchmark)))
        present = list(dict.fromkeys(group_rows["condition"].astype(str)))
        standard = [condition for condition in (kind.conditions if kind else ()) if condition in present]
        order = [*standard, *sort_conditions(name for name in present if name not in standard)]
        titles = kind.condition_names if kind else {}
        labels |= {(str(benchmark), name): (titles.get(name, name), place) for place, name in enumerate(order)}
    keys = list(zip(rows["benchmark"], rows["condition"].astype(str), strict=True))
    rows = rows.assign(condition=[labels[key][0] for key in keys], place=[labels[key][1] for key in keys])
    rows["interval_text"] = format_intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(html_tables.format_fraction)
    columns = [*IDENTITY, "benchmark", "condition", "place", "accuracy", "ci_low", "ci_high", "chance"]
    benchmarks = [(str(name), str(name)) for name in dict.fromkeys(rows["benchmark"])]
    return charts.line_chart(
        "accuracy_by_condition",
        rows[[*columns, "value_text", "interval_text", "images"]],
        study.encoding,
        x=("condition", "condition"),
        value=("accuracy", "accuracy"),
        ordered=True,
        description="Accuracy of every observer in each condition of a benchmark",
        picks=[Control("Benchmark", "pick", benchmarks, "benchmark")],
        tooltip=[
            *(("observer_name", "observer"), ("condition", "condition"), ("value_text", "accuracy")),
            *(("interval_text", "95 % interval"), ("images", "images")),
        ],
    )


def sort_conditions(conditions: Iterable[str]) -> list[str]:
    """Return the conditions by value if all are numbers, otherwise unchanged."""
    conditions = list(conditions)
    try:
        return sorted(conditions, key=float)
    except ValueError:
        return conditions


def cue_chart(benchmark: str, cues: pd.DataFrame, encoding: Encoding) -> Chart:
    """Return the chart of shape answers against texture answers."""
    kinds = observer_kinds(cues)
    rows = label_observers(cues[kinds != "person"] if (kinds == PEOPLE).any() else cues, encoding)
    for cue in ("shape", "texture"):
        rows[f"{cue}_text"] = rows[f"{cue}_accuracy"].map(html_tables.format_fraction)
        rows[f"{cue}_interval"] = format_intervals(rows, f"{cue}_low", f"{cue}_high")
    rows["coverage_text"] = rows["coverage"].map(html_tables.format_fraction)
    columns = [*IDENTITY, "shape_accuracy", "texture_accuracy", "shape_low", "shape_high"]
    texts = ["shape_text", "shape_interval", "texture_text", "texture_interval", "coverage_text", "conflict_images"]
    return charts.cue_plane_chart(
        f"cue_accuracy.{benchmark}",
        rows[[*columns, "texture_low", "texture_high", *texts]],
        encoding,
        description=f"Share of texture answers against share of shape answers on {benchmark}",
        chance=float(cues["chance"].mean()),
        tooltip=[
            *(("observer_name", "observer"), ("shape_text", "shape answers"), ("shape_interval", "95 % interval")),
            *(("texture_text", "texture answers"), ("texture_interval", "95 % interval ")),
            *(("coverage_text", "either cue"), ("conflict_images", "conflict images")),
        ],
    )


# Does it transfer to melanoma?

NO_DIAGNOSIS = (
    "The task is to tell melanomas from all other lesions. It tests how useful the learned features are; none of these "
    "networks is a diagnostic tool."
)


def melanoma_section(study: StudyResults) -> Section | None:
    """Return the section on transfer to melanoma, or None if it was not measured."""
    tables, subsections = study.tables, []
    for benchmark, table in tables["melanoma"].groupby("benchmark", sort=False):
        name = str(benchmark)
        figures = [
            ReportFigure(
                study.figure(f"melanoma.{name}", f"Melanoma classification by each run on {name}"),
                f"n = {format_span(table['images'])} images, {format_span(table['melanoma_images'])} of them "
                "melanomas. How to read it: ROC AUC is the probability that a melanoma gets a higher score than "
                "another lesion (chance: 0.5). Sensitivity is the share of melanomas that are classified as "
                "melanoma. Specificity is the share of other lesions that are not. Bars are 95 % bootstrap intervals "
                "over images. The last panel compares each run, image by image, with the run of the same model and "
                "seed that started from ImageNet weights alone. Where the bar excludes 0, the initialization made a "
                "difference.",
            ),
            ReportFigure(
                study.figure(f"melanoma_confusion.{name}", f"Confusion matrix of each run on {name}", numbers=False),
                "How to read it: rows are the true labels, columns the predicted labels. A darker cell holds a larger "
                "share of its row.",
                "medium",
            ),
        ]
        report_table = ReportTable(
            "Every measure",
            html_tables.format_melanoma_table(table, tables["runs"]),
            csv_download(f"melanoma.{name}", table),
        )
        subsections.append(Subsection(name, melanoma_findings(table), NO_DIAGNOSIS, figures, [report_table]))
    return Section("melanoma", "Does it transfer to melanoma?", subsections) if subsections else None


def cost_findings(accuracy: pd.DataFrame, differences: pd.DataFrame, regimes: Regimes) -> list[str]:
    """Return sentences on how the treatment changes the accuracy on each benchmark.

    A sentence claims a change in a network only if the paired test of each of its seeds shows it, after the correction
    for all tests of the study.
    """
    treatment = regimes.treatment
    by_category = accuracy[accuracy["unit"] == "category"]
    if treatment is None or by_category.empty:
        return []
    baseline = str(regimes.baseline(treatment))
    statements = []
    for benchmark, table in by_category.groupby("benchmark", sort=False):
        pooled = pool_accuracy(table)
        before, after = (pooled[pooled["regime"] == regime] for regime in (baseline, treatment))
        pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
        if pairs.empty:
            continue
        changes = _tested_changes(table, select_benchmark(differences, str(benchmark)), baseline, treatment)
        directions = pd.Series([changes.get(model, "unclear") for model in pairs["model"]], dtype=str)
        counts = wording.list_counts(
            (int((directions == "lower").sum()), "lower in"),
            (int((directions == "higher").sum()), "higher in"),
            (int((directions == "unclear").sum()), "not measurably different in"),
        )
        ordered = pairs.assign(change=pairs["accuracy_after"] - pairs["accuracy"]).sort_values("change")
        reported = pairs if len(pairs) <= wording.MAX_NAMES else ordered.iloc[[0, -1]]
        values = [
            f"{row['model']} {wording.format_estimate(row, 'accuracy')} → "
            f"{wording.format_estimate(row, 'accuracy', suffix='_after')}"
            for row in wording.records(reported)
        ]
        changes_text = "; ".join(values) if len(pairs) <= wording.MAX_NAMES else f"from {values[0]} to {values[1]}"
        images = wording.format_image_count(table.loc[table["model"] != PEOPLE, "images"])
        statements.append(
            f"On “{benchmark}” (n = {images}, chance {pairs['chance'].iloc[0]:.2f}), accuracy after "
            f"{regimes.describe_training(treatment)} is {counts} of {wording.pluralize(len(pairs), 'network')} "
            f"({changes_text}). {_below_chance(pairs, regimes, baseline, treatment)}".strip()
        )
    if len(statements) > MAX_STATEMENTS:
        rest = len(statements) - MAX_STATEMENTS
        statements = [*statements[:MAX_STATEMENTS], f"The table below lists the other {rest} benchmarks."]
    return statements


def _tested_changes(accuracy: pd.DataFrame, differences: pd.DataFrame, before: str, after: str) -> dict[str, str]:
    """Return model → `higher`, `lower` or `unclear`, from the paired tests of all seeds on one benchmark."""
    identities = accuracy.drop_duplicates("observer").set_index("observer")
    changes: dict[str, set[str]] = {}
    for row in wording.records(differences):
        names = [row["observer_1"], row["observer_2"]]
        regimes_of_pair = [str(identities["regime"].get(name, "")) for name in names]
        if sorted(regimes_of_pair) != sorted((before, after)):
            continue
        sign = 1 if regimes_of_pair[0] == after else -1
        is_tested = row["p_adjusted"] < SIGNIFICANCE
        direction = "unclear" if not is_tested else "higher" if sign * row["difference"] > 0 else "lower"
        changes.setdefault(str(identities["model"][names[0]]), set()).add(direction)
    return {model: directions.pop() if len(directions) == 1 else "unclear" for model, directions in changes.items()}


def _below_chance(pairs: pd.DataFrame, regimes: Regimes, before: str, after: str) -> str:
    """Return a sentence that names the networks whose interval lies below chance; "" if there are none."""
    names = [
        f"{row['model']} ({regimes.label(regime)})"
        for row in wording.records(pairs)
        for regime, end in ((before, ""), (after, "_after"))
        if row[f"ci_high{end}"] < row["chance"]
    ]
    return f"Below chance: {wording.join_names(names)}." if names else ""


def cue_findings(cue_accuracy: pd.DataFrame, benchmark: str) -> list[str]:
    """Return a sentence on how often answers name the shape, the texture and either cue.

    The sentence gives the lowest and the highest share among networks, and the share of people.
    """
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark].dropna(subset=["coverage"])
    table = table.rename(columns={"coverage": "coverage_accuracy"})
    if table.empty:
        return []
    cues = {"shape": "the shape", "texture": "the texture", "coverage": "either cue"}
    pooled = pool_means(table, {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in cues}, ["benchmark"])
    networks, people = pooled[pooled["kind"] != PEOPLE], pooled[pooled["kind"] == PEOPLE]
    ranges = [
        f"{label} {wording.format_extremes(networks, f'{cue}_accuracy', f'{cue}_low', f'{cue}_high')}"
        for cue, label in cues.items()
    ]
    images = table.loc[observer_kinds(table) != PEOPLE, "conflict_images"]
    count = wording.format_image_count(images)
    statement = f"Share of answers that name a cue (n = {count} conflict images): {'; '.join(ranges)}."
    if networks.empty:
        statement = ""
    if len(people):
        shares = [
            f"{label} "
            f"{wording.format_estimate(people.iloc[0], f'{cue}_accuracy', bounds=(f'{cue}_low', f'{cue}_high'))}"
            for cue, label in cues.items()
        ]
        statement += f" People: {'; '.join(shares)}."
    return [statement.strip()]


def condition_findings(by_condition: pd.DataFrame) -> list[str]:
    """Return a sentence that compares networks with people on the same images, over all distorted benchmarks."""
    compared = by_condition[by_condition["model"] != PEOPLE].dropna(subset=["difference_low", "difference_high"])
    if compared.empty:
        return []
    worse, better = int((compared["difference_high"] < 0).sum()), int((compared["difference_low"] > 0).sum())
    return [
        f"Compared with people on the same {wording.format_image_count(compared['images'])} images, networks are less "
        f"accurate in {worse:,} of {len(compared):,} comparisons (each of one observer in one condition) and more "
        f"accurate in {better:,}. In the others, the 95 % interval of the difference contains 0. Differences: "
        f"{wording.format_extreme_differences(compared)}."
    ]


def melanoma_findings(melanoma: pd.DataFrame) -> list[str]:
    """Return a sentence for each melanoma benchmark on the gain of a run over ImageNet weights alone.

    A sentence claims a difference only where its 95 % interval excludes 0.
    """
    statements = []
    for benchmark, table in melanoma.groupby("benchmark", sort=False):
        compared = table.dropna(subset=["auc_difference"])
        clauses = []
        for regime, runs in compared.groupby("regime", sort=False):
            higher, lower = int((runs["auc_difference_low"] > 0).sum()), int((runs["auc_difference_high"] < 0).sum())
            parts = ((higher, "higher"), (lower, "lower"), (len(runs) - higher - lower, "not measurably different"))
            counts = wording.join_names([f"{direction} in {count}" for count, direction in parts if count])
            clauses.append(f"{counts} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} of {regime}")
        if clauses:
            statements.append(f"On “{benchmark}”, against ImageNet weights alone, ROC AUC is {'; '.join(clauses)}.")
        else:
            statements.append(
                f"On “{benchmark}”, no run has a matching run that started from ImageNet weights alone, so the effect "
                "of the initialization is unknown."
            )
    return statements
