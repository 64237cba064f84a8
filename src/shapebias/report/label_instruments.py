"""Report sections on instruments with labels of their own: configural shape and REFINED-BIAS."""

import pandas as pd

from shapebias.evaluation.benchmarks import ALL_LABELS
from shapebias.metrics.refined_bias import REFINED_BIAS_CUES
from shapebias.report import charts, html_tables, wording
from shapebias.report.charts import Chart
from shapebias.report.encoding import IDENTITY, Encoding, label_observers
from shapebias.report.html_tables import (
    TextTable,
    build_table,
    csv_download,
    fraction_column,
    integer_column,
    interval_column,
    make_report_table,
    observer_columns,
    text_column,
)
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection, format_intervals
from shapebias.tables.summaries import pool_means

BOUNDS = ("ci_low", "ci_high")

# Do networks see the arrangement of parts?


def configural_shape_section(study: StudyResults) -> Section | None:
    """Return the section on the configural shape score, or None if it was not measured."""
    subsections = []
    for benchmark, rows in study.tables["configural_shape"].groupby("benchmark", sort=False):
        name = str(benchmark)
        caption = (
            "How to read it: each pair of images consists of the same parts in two arrangements, which show two "
            "objects. The configural shape score is the share of pairs in which a network names both images correctly. "
            "Parts alone cannot tell the two images apart. Bars are 95 % intervals over pairs. The dashed line is "
            "chance."
        )
        chart = instrument_chart(
            f"configural_shape.{name}", rows, study.encoding, ("css", "configural shape score"), "css_chance", "pairs"
        )
        table = make_report_table(
            "Configural shape of every network",
            format_configural_table,
            rows,
            csv_download(f"configural_shape.{name}", rows),
        )
        findings = configural_findings(name, study.label_regimes(rows))
        subsections.append(Subsection(name, findings, "", [ReportFigure(None, caption, "wide", [chart])], [table]))
    return Section("configural", "Do networks see the arrangement of parts?", subsections) if subsections else None


def configural_findings(benchmark: str, rows: pd.DataFrame) -> list[str]:
    """Return a sentence on the configural shape scores of one benchmark, with chance, n and intervals."""
    above = int((rows["ci_low"] > rows["css_chance"]).sum())
    several = wording.has_several_seeds(rows)
    return [
        f"On “{benchmark}” (n = {wording.format_image_count(rows['pairs'])} pairs, {int(rows['labels'].max())} labels, "
        f"chance {rows['css_chance'].max():.3f}), the configural shape score of "
        f"{wording.count_networks(len(rows), several)} is {wording.format_extremes(rows, 'css', *BOUNDS)}. It is above "
        f"chance (by its interval) in {above} of {len(rows)}. Single images: accuracy "
        f"{wording.format_extremes(rows, 'accuracy', 'accuracy_low', 'accuracy_high')}, chance "
        f"{rows['chance'].max():.3f}."
    ]


def format_configural_table(rows: pd.DataFrame) -> TextTable:
    """Return the configural shape score of each network, with accuracy, foil rate and margins."""
    return build_table(
        rows,
        *(text_column("benchmark", "benchmark"), *observer_columns(), integer_column("pairs", "pairs")),
        *(integer_column("both right", "both_right"), fraction_column("configural shape score", "css")),
        *(interval_column(), fraction_column("chance", "css_chance"), fraction_column("accuracy", "accuracy")),
        *(interval_column("accuracy_low", "accuracy_high"), fraction_column("foil rate", "foil_rate")),
        *(interval_column("foil_low", "foil_high"), fraction_column("chance of one image", "chance")),
        *(fraction_column("decision margin", "decision_margin"), fraction_column("foil margin", "foil_margin")),
        *(fraction_column("pair margin", "pair_margin"), text_column("why undefined", "reason")),
    )


# How well do networks know a cue that stands alone?


def refined_bias_section(study: StudyResults) -> Section | None:
    """Return the section on REFINED-BIAS, or None if it was not measured."""
    subsections = []
    for benchmark, rows in study.tables["refined_bias"].groupby("benchmark", sort=False):
        name = str(benchmark)
        by_cue = {cue: rows[(rows["cue"] == cue) & (rows["label"] == ALL_LABELS)] for cue in REFINED_BIAS_CUES}
        by_cue = {cue: cue_rows for cue, cue_rows in by_cue.items() if len(cue_rows)}
        drawn = [
            instrument_chart(
                *(f"refined_bias.{name}.{cue}", cue_rows, study.encoding),
                *(("reciprocal_rank", f"mean reciprocal rank, {cue}"), "chance", "images"),
            )
            for cue, cue_rows in by_cue.items()
        ]
        caption = (
            "How to read it: images show the shape of an object without its texture, or a texture without the shape. "
            "For each image, r is the rank of its class among all classes of the network. The mean of 1 / r is 1 if "
            "the class always comes first. Bars are 95 % intervals over images. The dashed line is chance. These ranks "
            "are among all classes; they are not comparable with reciprocal ranks among the 16 categories."
        )
        table = make_report_table(
            "Reciprocal ranks by cue and label",
            format_refined_bias_table,
            rows,
            csv_download(f"refined_bias.{name}", rows),
        )
        findings = refined_bias_findings(name, {cue: study.label_regimes(part) for cue, part in by_cue.items()})
        subsections.append(Subsection(name, findings, "", [ReportFigure(None, caption, "wide", drawn)], [table]))
    title = "How well do networks know a cue that stands alone?"
    return Section("refined-bias", title, subsections) if subsections else None


def refined_bias_findings(benchmark: str, by_cue: dict[str, pd.DataFrame]) -> list[str]:
    """Return a sentence on the mean reciprocal ranks of one benchmark, with chance, n and intervals."""
    clauses = [
        f"of the {cue} {wording.format_extremes(rows, 'reciprocal_rank', *BOUNDS)} (n = "
        f"{wording.format_image_count(rows['images'])} images, chance {rows['chance'].max():.3f})"
        for cue, rows in by_cue.items()
    ]
    classes = int(next(iter(by_cue.values()))["network_classes"].max())
    return [f"On “{benchmark}”, the mean reciprocal rank among {classes:,} classes is {', and '.join(clauses)}."]


def format_refined_bias_table(rows: pd.DataFrame) -> TextTable:
    """Return the mean reciprocal rank of each network for each cue and label."""
    return build_table(
        rows,
        *(text_column("benchmark", "benchmark"), *observer_columns(), text_column("cue", "cue")),
        *(text_column("label", "label"), integer_column("images", "images")),
        *(fraction_column("mean reciprocal rank", "reciprocal_rank"), interval_column()),
        *(fraction_column("chance", "chance"), integer_column("classes", "network_classes")),
    )


def instrument_chart(
    name: str, rows: pd.DataFrame, encoding: Encoding, value: tuple[str, str], chance: str, counted: str
) -> Chart:
    """Return the chart of one number of each network, with its interval and with chance as a dashed line.

    value: (column, title). chance: column with the chance level. counted: column with the number of images or pairs.
    """
    column, title = value
    shown = label_observers(pool_means(rows, {column: BOUNDS}, first=[chance, counted]), encoding)
    shown["interval_text"] = format_intervals(shown, *BOUNDS)
    shown["value_text"] = shown[column].map(html_tables.format_fraction)
    return charts.forest_chart(
        name,
        shown[[*IDENTITY, column, *BOUNDS, "value_text", "interval_text", counted]],
        encoding,
        value=value,
        description=f"{html_tables.format_text(title).capitalize()} of every network",
        reference=float(shown[chance].mean()),
        tooltip=[
            *(("observer_name", "observer"), ("value_text", title)),
            *(("interval_text", "95 % interval"), (counted, counted)),
        ],
    )
