"""Report section on LAION-C: accuracy under synthetic distortions, among 16 superclasses."""

import pandas as pd

from shapebias.metrics.laion_c import ALL_DISTORTIONS
from shapebias.report import wording
from shapebias.report.cues import curve_chart
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
from shapebias.report.label_instruments import instrument_chart
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection


def laion_c_section(study: StudyResults) -> Section | None:
    """Return the section on LAION-C, or None if it was not measured."""
    subsections = []
    for benchmark, rows in study.tables["laion_c"].groupby("benchmark", sort=False):
        name = str(benchmark)
        means = rows[rows["distortion"] == ALL_DISTORTIONS]
        caption = (
            "How to read it: photographs are distorted in ways that hardly occur in photographs of the web, each in up "
            "to five severities. Networks choose among 16 superclasses. The first chart shows the mean over all "
            "conditions, the others each distortion. Bars are 95 % intervals over images. The dashed line is chance."
        )
        charts = [
            instrument_chart(
                *(f"laion_c.{name}", means, study.encoding, ("accuracy", "accuracy on LAION-C")),
                *("chance", "images"),
            )
        ]
        charts += [
            curve_chart(
                f"laion_c.{name}.{distortion}",
                part,
                study.encoding,
                x=("severity", "severity"),
                cue=str(distortion).replace("_", " "),
                title="accuracy",
            )
            for distortion, part in rows.dropna(subset=["severity"]).groupby("distortion", sort=False)
        ]
        table = make_report_table(
            "Accuracy in each condition of LAION-C",
            format_laion_c_table,
            rows,
            csv_download(f"laion_c.{name}", rows),
        )
        findings = laion_c_findings(name, study.label_regimes(rows))
        subsections.append(Subsection(name, findings, "", [ReportFigure(None, caption, "wide", charts)], [table]))
    title = "How robust are networks to distortions beyond web photographs?"
    return Section("laion-c", title, subsections) if subsections else None


def laion_c_findings(benchmark: str, rows: pd.DataFrame) -> list[str]:
    """Return sentences on the accuracies of one benchmark: over all conditions, and in each distortion."""
    means = rows[rows["distortion"] == ALL_DISTORTIONS]
    several = wording.has_several_seeds(means)
    count = wording.count_networks(len(means), several)
    clauses = [
        f"{str(distortion).replace('_', ' ')} {wording.format_extremes(part, 'accuracy', 'ci_low', 'ci_high')}"
        for distortion, part in rows[rows["severity"].isna()].groupby("distortion", sort=False)
        if distortion != ALL_DISTORTIONS
    ]
    return [
        f"On “{benchmark}” (n = {wording.format_image_count(means['images'])} images, "
        f"{wording.format_image_count(means['conditions'])} conditions, {int(means['labels'].max())} labels, chance "
        f"{means['chance'].max():.3f}), the mean accuracy of {count} is "
        f"{wording.format_extremes(means, 'accuracy', 'ci_low', 'ci_high')}. By distortion: {'; '.join(clauses)}."
    ]


def format_laion_c_table(rows: pd.DataFrame) -> TextTable:
    """Return the accuracy of each network over all conditions, in each distortion and in each condition."""
    return build_table(
        rows,
        *(text_column("benchmark", "benchmark"), *observer_columns(), text_column("distortion", "distortion")),
        *(integer_column("severity", "severity"), integer_column("conditions", "conditions")),
        *(integer_column("images", "images"), fraction_column("accuracy", "accuracy"), interval_column()),
        *(fraction_column("chance", "chance"), integer_column("labels", "labels")),
    )
