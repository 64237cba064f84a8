"""Report sections on shape bias: its change by training on stylized images, by architecture and by category."""

import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.report import charts, html_tables
from shapebias.report.charts import Chart, Control
from shapebias.report.effects import bias_changes
from shapebias.report.encoding import IDENTITY, Encoding, label_observers
from shapebias.report.headline import category_findings, effect_findings, observer_findings, unreadable_cues
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
    has_people,
    label_pairs,
    order_by_mean,
    select_benchmark,
)
from shapebias.tables.summaries import PEOPLE, observer_kinds, pool_bias

# Does SIN training change the bias?


def bias_section(study: StudyResults) -> Section | None:
    """Return the section on shape bias, or None if no shape bias was measured."""
    tables, subsections = study.tables, []
    regimes = study.regimes
    model_changes = bias_changes(tables["shape_bias"], tables["shape_bias_differences"], regimes)
    for position, (benchmark, table) in enumerate(tables["shape_bias"].groupby("benchmark", sort=False)):
        name = str(benchmark)
        benchmark_changes = select_benchmark(model_changes, name)
        pairs = select_benchmark(tables["shape_bias_differences"], name)
        figures = [] if position == 0 else [bias_figure(study, name)]  # the headline shows the first
        figures.append(
            ReportFigure(
                study.figure(f"shape_bias_differences.{name}", f"Differences in shape bias on {name}"),
                f"{_images_of_both(pairs)}How to read it: each value is the difference in shape bias between two "
                "observers of the same images. Two observers differ where the 95 % interval (paired by image) "
                "excludes 0.",
                "medium",
                difference_charts(name, benchmark_changes, pairs, study),
            )
        )
        pooled = select_benchmark(tables["shape_bias_pooled"], name)
        report_tables = [
            ReportTable(
                "Bias of each model and regime over all seeds",
                html_tables.format_pooled_table(pooled),
                csv_download(f"shape_bias_pooled.{name}", pooled),
            ),
            ReportTable(
                "Bias, hits and training of every observer",
                html_tables.format_bias_table(table, select_benchmark(tables["cue_accuracy"], name), tables["runs"]),
                csv_download(f"shape_bias.{name}", table),
            ),
            make_report_table(
                "Change of bias in every run"
                if len(benchmark_changes)
                else "Difference of bias between every two observers",
                html_tables.format_changes_table if len(benchmark_changes) else html_tables.format_differences_table,
                benchmark_changes if len(benchmark_changes) else pairs,
                csv_download(f"shape_bias_differences.{name}", pairs),
            ),
        ]
        warning = ORIGIN_WARNINGS.get(study.origin(name), "").format(name=name)
        unreadable = unreadable_cues(tables, name)
        statements = [unreadable] if unreadable else []
        if not unreadable:
            findings = effect_findings(tables, name, regimes)
            labelled = {**tables, "shape_bias_pooled": study.label_regimes(tables["shape_bias_pooled"])}
            statements = findings.get(regimes.treatment or "", []) + observer_findings(labelled, name, study.people)
        if (others := len(find_other_observers(table))) > MAX_MATRIX_OBSERVERS:
            statements.append(
                f"The page has no matrix of the differences between these {others} observers, because it shows "
                f"at most {MAX_MATRIX_OBSERVERS}. The CSV file of differences holds all pairs."
            )
        subsections.append(Subsection(name, [text for text in statements if text], warning, figures, report_tables))
    title = "Does training on stylized images change the bias?" if regimes.treatment else "Which cue decides?"
    return Section("bias", title, subsections) if subsections else None


def bias_figure(study: StudyResults, benchmark: str) -> ReportFigure:
    """Return the figure of every observer's shape bias on one benchmark."""
    pooled = select_benchmark(study.tables["shape_bias_pooled"], benchmark)
    images = format_span(drop_pooled_people(select_benchmark(study.tables["shape_bias"], benchmark))["conflict_images"])
    seeds = ", and over seeds if a network has several" if (pooled["seeds"] > 1).any() else ""
    return ReportFigure(
        study.figure(f"shape_bias.{benchmark}", f"Shape bias of every observer on {benchmark}, with 95 % intervals"),
        f"“{benchmark}”, n = {images} conflict images. How to read it: observers left of the dashed line decide by "
        "texture more often than by shape; observers right of it decide by shape more often. Bars are 95 % intervals "
        f"over images{seeds}.",
        "medium",
        [bias_chart(benchmark, pooled, study.encoding)] if len(pooled) else [],
    )


def _images_of_both(pairs: pd.DataFrame) -> str:
    return f"n = {format_span(pairs['conflict_images'])} images that both observers saw. " if len(pairs) else ""


def find_other_observers(observers: pd.DataFrame) -> list[str]:
    """Return the observers that were not trained here; people count as one if they were pooled."""
    kinds = observer_kinds(observers)
    people = PEOPLE if (kinds == PEOPLE).any() else "person"
    return list(observers["observer"][(kinds == "pretrained") | (kinds == people)])


def difference_charts(
    benchmark: str, model_changes: pd.DataFrame, pairs: pd.DataFrame, study: StudyResults
) -> list[Chart]:
    """Return the chart of each run's change, and the matrix of differences between all other observers."""
    has_changes = model_changes["difference"].notna().any()
    chart_list = [change_chart(benchmark, model_changes, study.encoding)] if has_changes else []
    others = find_other_observers(select_benchmark(study.tables["shape_bias"], benchmark))
    defined_pairs = pairs[pairs["observer_1"].isin(others) & pairs["observer_2"].isin(others)].dropna(
        subset=["difference"]
    )
    if defined_pairs.empty or len(others) > MAX_MATRIX_OBSERVERS:
        return chart_list
    rows = label_pairs(defined_pairs, study)
    rows["difference"] = defined_pairs["difference"]
    rows["interval_text"] = [
        html_tables.format_interval(*pair)
        for pair in zip(defined_pairs["ci_low"], defined_pairs["ci_high"], strict=True)
    ]
    swapped = charts.swap_pairs(rows).assign(difference=-defined_pairs["difference"])
    swapped["interval_text"] = [
        html_tables.format_interval(-high, -low)
        for low, high in zip(defined_pairs["ci_low"], defined_pairs["ci_high"], strict=True)
    ]
    ordered_pairs = pd.concat([rows, swapped], ignore_index=True)
    ordered_pairs["value_text"] = ordered_pairs["difference"].map(html_tables.format_fraction)
    ordered_pairs["cell"] = format_cells(ordered_pairs["difference"])
    chart = charts.matrix_chart(
        f"shape_bias_differences_of_others.{benchmark}",
        ordered_pairs.assign(images=[*defined_pairs["conflict_images"]] * 2),
        value=("difference", "row minus column"),
        description=f"Difference in shape bias between every two observers on {benchmark}",
        tooltip=[
            *(("observer_name_1", "observer"), ("observer_name_2", "minus"), ("value_text", "difference")),
            *(("interval_text", "95 % interval, paired"), ("images", "images both saw")),
        ],
    )
    return [*chart_list, chart]


ORIGIN_WARNINGS = {  # origin of a benchmark's images → warning
    "stylized here": "Not comparable with published numbers. The images of “{name}” were stylized here. The published "
    "stimuli come from other photographs, and were made by optimization on the features of VGG-19 (Gatys et al.). Do "
    "not compare a bias on one set with a bias on the other; compare observers within a set.",
    "": "The images of “{name}” do not have the names of the published stimuli, and their origin is not recorded. "
    "Compare observers within this set, not with published numbers.",
}


def bias_chart(benchmark: str, pooled: pd.DataFrame, encoding: Encoding) -> Chart:
    """Return the chart of every observer's shape bias with its interval."""
    rows = label_observers(pooled, encoding)
    rows["interval_text"] = format_intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(html_tables.format_fraction)
    return charts.forest_chart(
        f"shape_bias.{benchmark}",
        rows[[*IDENTITY, "shape_bias", "ci_low", "ci_high", *_BIAS_NUMBERS]],
        encoding,
        value=("shape_bias", "shape bias (0: texture decides, 1: shape decides)"),
        description=f"Shape bias of every observer on {benchmark}",
        reference=0.5,
        tooltip=[
            *(("observer_name", "observer"), ("value_text", "shape bias"), ("interval_text", "95 % interval")),
            *(("shape_hits", "shape hits"), ("texture_hits", "texture hits"), ("conflict_images", "conflict images")),
        ],
    )


_BIAS_NUMBERS = ["value_text", "interval_text", "shape_hits", "texture_hits", "conflict_images"]


# In every architecture?


def architectures_section(study: StudyResults) -> Section | None:
    """Return the section on bias by category and on regimes without stylized training, or None without data."""
    tables, subsections = study.tables, []
    for benchmark in dict.fromkeys(tables["shape_bias_by_category"]["benchmark"]):
        name = str(benchmark)
        by_category = select_benchmark(tables["shape_bias_by_category"], name)
        # The section on shape bias reports the effect of the treatment.
        findings = {} if unreadable_cues(tables, name) else effect_findings(tables, name, study.regimes)
        statements = [text for regime, texts in findings.items() if regime != study.regimes.treatment for text in texts]
        statements += [text for text in [category_findings(by_category, name, study.regimes)] if text]
        figures, report_tables = [], []
        people = "" if study.people is None or has_people(by_category) else PEOPLE_ON_PUBLISHED
        if pool_bias(by_category, by=["category"])["shape_bias"].notna().any():
            figures.append(
                ReportFigure(
                    study.figure(f"shape_bias_by_category.{name}", f"Shape bias by category on {name}"),
                    f"n = {format_span(drop_pooled_people(by_category)['conflict_images'])} conflict images per "
                    "category and observer. How to read it: each marker is the shape bias on the images whose shape "
                    "is of that category. Shape bias is the share of shape among the decisions for the shape or the "
                    "texture. Observers further right decide by shape more often. A category has no marker if no "
                    f"answer named either cue.{people}",
                    "wide",
                    [category_chart(name, study)],
                )
            )
            pooled = label_observers(pool_bias(by_category, by=["category"]), study.encoding)
            report_tables.append(
                ReportTable(
                    "Bias by category of the shape",
                    pivot_by_observer(pooled, "category"),
                    csv_download(f"shape_bias_by_category.{name}", by_category),
                )
            )
        by_answer = select_benchmark(tables["shape_bias_by_answer"], name)
        if len(by_answer):
            pooled = label_observers(pool_bias(by_answer, by=["category"]), study.encoding)
            report_tables.append(
                ReportTable(
                    "Bias by category of the answer (the grouping of the original study)",
                    pivot_by_observer(pooled, "category"),
                    csv_download(f"shape_bias_by_answer.{name}", by_answer),
                )
            )
        if statements or figures or report_tables:
            subsections.append(Subsection(name, statements, "", figures, report_tables))
    title = "In every architecture, and every category?" if study.regimes.treatment else "In every category?"
    return Section("architectures", title, subsections) if subsections else None


PEOPLE_ON_PUBLISHED = (
    " Diamonds: ten people on the published stimuli. Those are different images, shown for orientation only."
)


def pivot_by_observer(pooled: pd.DataFrame, row_column: str) -> TextTable:
    """Return a table with a line per category and a column per observer; cells hold bias and interval."""
    cells = [
        html_tables.format_fraction(bias) + ("" if pd.isna(low) else f" ({html_tables.format_interval(low, high)})")
        for bias, low, high in zip(pooled["shape_bias"], pooled["ci_low"], pooled["ci_high"], strict=True)
    ]
    table = pooled.assign(cell=cells).pivot(index=row_column, columns="observer_name", values="cell")
    table = table.reindex(
        index=list(dict.fromkeys(pooled[row_column])), columns=list(dict.fromkeys(pooled["observer_name"]))
    )
    lines = [[str(name), *values] for name, *values in table.fillna(html_tables.EMPTY_CELL).itertuples()]
    return TextTable([(row_column, False), *((str(name), True) for name in table.columns)], lines)


def change_chart(benchmark: str, model_changes: pd.DataFrame, encoding: Encoding) -> Chart:
    """Return the chart of each run's change from the baseline of its model."""
    rows = label_observers(model_changes, encoding)
    rows["interval_text"] = format_intervals(rows, "ci_low", "ci_high")
    for column in ("before", "after", "difference"):
        rows[f"{column}_text"] = rows[column].map(html_tables.format_fraction)
    widest = float(rows[["difference", "ci_low", "ci_high"]].abs().max(axis=None))
    limit = min(1.0, round(1.1 * widest, 2)) if widest > 0 else 1.0
    columns = [*IDENTITY, "difference", "ci_low", "ci_high", "conflict_images", "interval_text"]
    baselines = dict.fromkeys(encoding.label(str(name)) for name in model_changes["baseline"])
    return charts.forest_chart(
        f"shape_bias_differences.{benchmark}",
        rows[[*columns, "before_text", "after_text", "difference_text"]],
        encoding,
        value=("difference", f"change in shape bias (from “{' or '.join(baselines)}”)"),
        description=f"Change in shape bias on {benchmark} from the baseline of the same network",
        reference=0.0,
        domain=(-limit, limit),
        tooltip=[
            *(("observer_name", "observer"), ("difference_text", "change"), ("interval_text", "95 % interval, paired")),
            *(("before_text", "bias before"), ("after_text", "bias after"), ("conflict_images", "images both saw")),
        ],
    )


def category_chart(benchmark: str, study: StudyResults) -> Chart:
    """Return the chart of bias in each category, grouped by the category of the shape or of the answer."""
    grouped_rows, picks = [], []
    for name, label in (("shape_bias_by_category", "of the shape"), ("shape_bias_by_answer", "of the answer")):
        table = select_benchmark(study.tables[name], benchmark)
        if len(table):
            pooled = pool_bias(table, by=["category"])
            grouped_rows.append(label_observers(pooled, study.encoding).assign(grouped=name))
            picks.append((name, label))
    rows = pd.concat(grouped_rows, ignore_index=True).dropna(subset=["shape_bias"])
    if study.people is not None and not has_people(rows):
        rows = pd.concat([rows, _published_people_rows(study.people, study.encoding)], ignore_index=True)
    rows["interval_text"] = format_intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(html_tables.format_fraction)
    by_shape = rows[rows["grouped"] == "shape_bias_by_category"]
    networks, people = by_shape[by_shape["model"] != PEOPLE], by_shape[by_shape["model"] == PEOPLE]
    sorts = {"by bias": order_by_mean(networks if len(networks) else people, "category", "shape_bias")}
    sorts |= {"by name": list(CATEGORIES)}
    if len(people):
        sorts["by people"] = order_by_mean(people, "category", "shape_bias")
    return charts.dot_chart(
        f"shape_bias_by_category.{benchmark}",
        rows[[*IDENTITY, "category", "grouped", "shape_bias", "ci_low", "ci_high", *_BIAS_NUMBERS]],
        study.encoding,
        row="category",
        value=("shape_bias", "shape bias (0: texture decides, 1: shape decides)"),
        description=f"Shape bias of every observer in each category on {benchmark}",
        reference=0.5,
        sorts={label: [*names, *(name for name in CATEGORIES if name not in names)] for label, names in sorts.items()},
        picks=[Control("Category", "pick", picks, "grouped")] if len(picks) > 1 else [],
        tooltip=[
            *(("observer_name", "observer"), ("category", "category"), ("value_text", "shape bias")),
            *(("interval_text", "95 % interval"), ("shape_hits", "shape hits"), ("texture_hits", "texture hits")),
            ("conflict_images", "conflict images"),
        ],
    )


def _published_people_rows(people: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Return people's hits on the published stimuli as rows of a chart."""
    hits = people["shape_hits"] + people["texture_hits"]
    rows = people.assign(shape_bias=people["shape_hits"] / hits, grouped="shape_bias_by_category")
    rows = label_observers(rows.assign(observer=PEOPLE, model=PEOPLE, regime=None), encoding)
    return rows.assign(observer_name="people, published stimuli", ci_low=float("nan"), ci_high=float("nan"))
